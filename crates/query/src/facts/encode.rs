//! Canonical rows to fact rows: one record batch at a time.
//!
//! Categories and references become codes, segments are resolved candidate by candidate, money
//! becomes integers, dates get their month beside them. Columns of free text, JSON and
//! timestamps stay behind: nothing is summed or grouped by them.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int32Array, Int64Array, RecordBatch, UInt32Array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use dealframe_lake::Lake;
use dealframe_model::date;
use dealframe_model::segment;
use dealframe_model::table::{ColumnType, Table};
use hashbrown::HashMap;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter, RowSelection};

use super::dictionary::{Interner, Interners, KEY_PREFIX, short_key, strings};
use super::dimension::{self, Candidate, Dimensions, LookUp};
use super::{FactKind, ROW_KEY, month_column};
use crate::error::QueryError;

const BATCH_ROWS: usize = 65_536;

/// A named column of a fact batch.
pub(crate) struct Encoded {
    pub name: String,
    pub kind: FactKind,
    pub array: ArrayRef,
}

/// Calls `visit` with every batch of a lake table, reading only `columns`.
pub(crate) fn read_columns(
    lake: &Lake,
    table: &str,
    columns: &[&str],
    visit: &mut dyn FnMut(&RecordBatch) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    for file in lake.files(table)? {
        read_file(&file.path, columns, visit)?;
    }
    Ok(())
}

/// Calls `visit` with every batch of one Parquet file, reading only `columns`.
pub(crate) fn read_file(
    path: &Path,
    columns: &[&str],
    visit: &mut dyn FnMut(&RecordBatch) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    for batch in built(path, projected(open(path)?, columns))? {
        visit(&batch?)?;
    }
    Ok(())
}

/// A Parquet file with its metadata, before it is said what is read of it.
type Opened = ParquetRecordBatchReaderBuilder<File>;

fn open(path: &Path) -> Result<Opened, QueryError> {
    let file = File::open(path).map_err(|source| QueryError::Io { path: path.to_owned(), source })?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable(path))
}

fn projected(file: Opened, columns: &[&str]) -> Opened {
    let mask = ProjectionMask::columns(file.parquet_schema(), columns.iter().copied());
    file.with_projection(mask)
}

fn built(path: &Path, file: Opened) -> Result<impl Iterator<Item = Result<RecordBatch, QueryError>>, QueryError> {
    let reader = file.with_batch_size(BATCH_ROWS).build().map_err(unreadable(path))?;
    Ok(reader.map(|batch| batch.map_err(unreadable(path))))
}

fn unreadable<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> QueryError {
    move |error| QueryError::File { path: path.display().to_string(), reason: error.to_string() }
}

/// Which rows of a batch are wanted.
pub(crate) type Test = Box<dyn FnMut(&RecordBatch) -> Result<BooleanArray, ArrowError> + Send>;

/// Rows of a Parquet file.
pub(crate) enum Wanted<'w> {
    All,
    /// Those that pass a test of some columns; others are decoded for those rows only.
    Where(&'w [&'w str], Test),
    /// Those in ascending ranges.
    At(Vec<Range<usize>>),
}

/// Some rows and columns of a Parquet file.
pub(crate) fn read_rows(
    path: &Path,
    wanted: Wanted<'_>,
    columns: Option<&[&str]>,
) -> Result<Vec<RecordBatch>, QueryError> {
    let mut builder = open(path)?;
    if let Some(columns) = columns {
        builder = projected(builder, columns);
    }
    match wanted {
        Wanted::All => {}
        Wanted::Where(tested, mut test) => {
            let mask = ProjectionMask::columns(builder.parquet_schema(), tested.iter().copied());
            let predicate = ArrowPredicateFn::new(mask, move |batch: RecordBatch| test(&batch));
            builder = builder.with_row_filter(RowFilter::new(vec![Box::new(predicate)]));
        }
        Wanted::At(ranges) => {
            let rows = builder.metadata().file_metadata().num_rows();
            let rows = usize::try_from(rows).map_err(unreadable(path))?;
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges.into_iter(), rows));
        }
    }
    built(path, builder)?.collect()
}

/// Number of rows of a Parquet file, for room that need not grow; 0 where it is not known.
pub(crate) fn row_count(path: &Path) -> usize {
    open(path).ok().and_then(|file| usize::try_from(file.metadata().file_metadata().num_rows()).ok()).unwrap_or(0)
}

/// The columns of a Parquet file.
pub(crate) fn schema_of(path: &Path) -> Result<SchemaRef, QueryError> {
    open(path).map(|file| Arc::clone(file.schema()))
}

/// A column of a batch.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, QueryError> {
    batch.column_by_name(name).ok_or_else(|| QueryError::engine("facts", format!("column `{name}` is missing")))
}

/// The rows that are not deleted.
pub(crate) fn live_rows(batch: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let deleted = column(batch, "is_deleted")?.as_boolean();
    if deleted.true_count() == 0 {
        return Ok(batch.clone());
    }
    let live: BooleanArray = deleted.iter().map(|deleted| Some(deleted != Some(true))).collect();
    filter_record_batch(batch, &live).map_err(|error| QueryError::engine("facts", error))
}

/// Encodes batches of one table.
pub(crate) struct Encoder<'a> {
    pub table: &'static Table,
    interners: &'a Interners,
    segments: Vec<SegmentPlan>,
    sources: Arc<Interner>,
}

struct SegmentPlan {
    name: &'static str,
    interner: Arc<Interner>,
    candidates: Vec<Candidate>,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(
        table: &'static Table,
        interners: &'a Interners,
        dimensions: &Dimensions<'_>,
    ) -> Result<Self, QueryError> {
        Self::with(table, interners, &|_, target, path, domain| Ok(dimensions.resolve(target, path, domain)))
    }

    /// An encoder whose look-ups by key come from `look_up`.
    pub(crate) fn with(
        table: &'static Table,
        interners: &'a Interners,
        look_up: LookUp<'_>,
    ) -> Result<Self, QueryError> {
        let segments = segment::segments_of(table)
            .into_iter()
            .filter(|name| *name != "source_system")
            .map(|name| {
                let interner = interners.domain(name);
                let candidates = dimension::candidates(table, name, &segment::paths(table, name), &interner, look_up)?;
                Ok(SegmentPlan { name, interner, candidates })
            })
            .collect::<Result<_, QueryError>>()?;
        Ok(Self { table, interners, segments, sources: interners.domain("source_system") })
    }

    /// Columns of the lake that the encoder reads.
    pub(crate) fn projection(&self) -> Vec<&'static str> {
        let ends = |name: &str| {
            self.segments.iter().flat_map(|plan| &plan.candidates).any(|candidate| match candidate {
                Candidate::Own(own) | Candidate::Identifier(own) => *own == name,
                Candidate::ByKey(..) => false,
            })
        };
        self.table
            .columns()
            .filter(|column| {
                column.references.is_some()
                    || ends(column.name)
                    || !matches!(column.kind, ColumnType::Text | ColumnType::Json | ColumnType::Timestamp)
                    || column.name == self.table.key
            })
            .filter(|column| !matches!(column.name, "source_file" | "source_line" | "batch_id"))
            .map(|column| column.name)
            .collect()
    }

    /// Encodes the live rows of a batch.
    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<Vec<Encoded>, QueryError> {
        let sources = self.sources.encode(column(batch, "source_system")?)?;
        let mut keys: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
        let mut encoded = Vec::new();
        for definition in self.table.own {
            if let Some(to) = definition.references {
                let codes = self.interners.keys(to).encode(strings(column(batch, definition.name)?)?, &sources);
                keys.insert(definition.name, codes);
            }
        }
        for plan in &self.segments {
            encoded.push(codes(plan.name, plan.name, self.resolve(plan, batch, &keys)?));
        }
        encoded.push(codes("source_system", "source_system", sources));
        for definition in self.table.own {
            let array = || column(batch, definition.name);
            match definition.kind {
                _ if definition.references.is_some() => {
                    let to = definition.references.unwrap_or_default();
                    let values = keys.remove(definition.name).unwrap_or_default();
                    encoded.push(codes(definition.name, &format!("{KEY_PREFIX}{to}"), values));
                }
                ColumnType::Money | ColumnType::Fraction | ColumnType::Rate => {
                    let scale = u32::from(definition.kind.scale().unwrap_or(4));
                    encoded.push(number(definition.name, scale, decimals(array()?)?));
                }
                ColumnType::Integer => {
                    encoded.push(number(definition.name, 0, array()?.as_primitive::<Int64Type>().clone()));
                }
                ColumnType::Boolean => encoded.push(boolean(definition.name, array()?.as_boolean().clone())),
                ColumnType::Date => encoded.extend(dates(definition.name, array()?.as_primitive::<Date32Type>())),
                // Categories are segments already; the rest stays behind.
                ColumnType::Category | ColumnType::Text | ColumnType::Timestamp | ColumnType::Json => {}
            }
        }
        Ok(encoded)
    }

    fn resolve(
        &self,
        plan: &SegmentPlan,
        batch: &RecordBatch,
        keys: &BTreeMap<&'static str, Vec<u32>>,
    ) -> Result<Vec<u32>, QueryError> {
        let mut result: Option<Vec<u32>> = None;
        for candidate in &plan.candidates {
            if result.as_ref().is_some_and(|codes| codes.iter().all(|code| *code != 0)) {
                break;
            }
            let values = match candidate {
                Candidate::Own(name) => plan.interner.encode(column(batch, name)?)?,
                Candidate::ByKey(reference, by_key) => keys.get(reference).map_or_else(
                    || vec![0; batch.num_rows()],
                    |keys| keys.iter().map(|key| by_key.get(*key as usize).copied().unwrap_or(0)).collect(),
                ),
                Candidate::Identifier(reference) => {
                    let identifiers = strings(column(batch, reference)?)?;
                    let mut seen: HashMap<u32, u32> = HashMap::new();
                    let keys = keys.get(reference).map_or(&[][..], Vec::as_slice);
                    (0..batch.num_rows())
                        .map(|row| match (result.as_ref().map_or(0, |codes| codes[row]), keys.get(row)) {
                            (0, Some(key)) if *key != 0 => {
                                *seen.entry(*key).or_insert_with(|| plan.interner.intern(identifiers.value(row)))
                            }
                            _ => 0,
                        })
                        .collect()
                }
            };
            result = Some(match result {
                None => values,
                Some(mut codes) => {
                    for (code, value) in codes.iter_mut().zip(values) {
                        if *code == 0 {
                            *code = value;
                        }
                    }
                    codes
                }
            });
        }
        Ok(result.unwrap_or_else(|| vec![0; batch.num_rows()]))
    }
}

pub(crate) fn codes(name: &str, domain: &str, values: Vec<u32>) -> Encoded {
    Encoded {
        name: name.to_owned(),
        kind: FactKind::Code { domain: domain.to_owned() },
        array: Arc::new(UInt32Array::from(values)),
    }
}

pub(crate) fn number(name: &str, scale: u32, values: Int64Array) -> Encoded {
    Encoded { name: name.to_owned(), kind: FactKind::Number { scale }, array: Arc::new(values) }
}

pub(crate) fn boolean(name: &str, values: BooleanArray) -> Encoded {
    Encoded { name: name.to_owned(), kind: FactKind::Boolean, array: Arc::new(values) }
}

/// The column by which rows are found again in later states of their table.
pub(crate) fn row_keys(batch: &RecordBatch, table: &Table, sources: &Interner) -> Result<Encoded, QueryError> {
    let sources = sources.encode(column(batch, "source_system")?)?;
    let identifiers = strings(column(batch, table.key)?)?;
    let keys = (0..batch.num_rows()).map(|row| Some(short_key(sources[row], identifiers.value(row)))).collect();
    Ok(number(ROW_KEY, 0, keys))
}

/// A date column and, beside it, its month.
pub(crate) fn dates(name: &str, values: &Date32Array) -> [Encoded; 2] {
    let months: Int32Array = values
        .iter()
        .map(|day| {
            day.map(|day| {
                let (year, month, _) = date::to_civil(day);
                year * 12 + month.cast_signed() - 1
            })
        })
        .collect();
    [
        Encoded { name: name.to_owned(), kind: FactKind::Date, array: Arc::new(values.clone()) },
        Encoded { name: month_column(name), kind: FactKind::Number { scale: 0 }, array: Arc::new(months) },
    ]
}

/// Decimals as 64-bit integers of the same scale.
pub(crate) fn decimals(array: &ArrayRef) -> Result<Int64Array, QueryError> {
    if !matches!(array.data_type(), DataType::Decimal128(_, _)) {
        return Err(QueryError::engine("facts", format!("expected a decimal, found {}", array.data_type())));
    }
    let decimals = array.as_primitive::<Decimal128Type>();
    decimals
        .iter()
        .map(|value| value.map(i64::try_from).transpose())
        .collect::<Result<Int64Array, _>>()
        .map_err(|error| QueryError::engine("facts", error))
}
