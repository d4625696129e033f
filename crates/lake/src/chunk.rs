//! Rows in a compact form: what the lake keeps of them between reading and writing.
//!
//! Columns without a value are left out, decimals become 64-bit integers, dictionary codes become
//! as narrow as they can, and texts of which there are few are kept once each. That makes rows
//! two to three times smaller than in Arrow's usual form. `stage.rs` collects chunks, `gather.rs`
//! turns them back into canonical columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, Int64Array, PrimitiveArray, RecordBatch, StringArray,
    UInt32Array,
};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::compute::take;
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowNativeType, DataType, Field, Int32Type, Int64Type, Schema, SchemaRef,
    TimestampMicrosecondType, UInt8Type, UInt16Type,
};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use dealframe_model::table::Table;
use hashbrown::HashTable;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::LakeError;
use crate::schema::{arrow_schema, stored_columns};

/// Where the columns that the lake itself looks at stand in a table.
pub(crate) struct Layout {
    pub table: &'static Table,
    pub schema: SchemaRef,
    pub key: usize,
    pub source: usize,
    pub modified: usize,
    pub deleted: usize,
    pub batch: usize,
    /// Where a record came from: file and line.
    pub file: usize,
    pub line: usize,
    pub date: Option<usize>,
    /// Columns that make a row different from the stored one.
    pub compared: Vec<usize>,
}

impl Layout {
    pub(crate) fn new(table: &'static Table) -> Result<Self, LakeError> {
        let schema = arrow_schema(table);
        let find = |name: &str| {
            schema
                .index_of(name)
                .map_err(|_| LakeError::UnknownColumn { table: table.name.to_owned(), column: name.to_owned() })
        };
        let ignored = ["batch_id", "source_file", "source_line", "modified_at"];
        let compared = stored_columns(table)
            .iter()
            .enumerate()
            .filter(|(position, column)| *position < table.own.len() || !ignored.contains(&column.name))
            .map(|(position, _)| position)
            .collect();
        Ok(Self {
            table,
            key: find(table.key)?,
            source: find("source_system")?,
            modified: find("modified_at")?,
            deleted: find("is_deleted")?,
            batch: find("batch_id")?,
            file: find("source_file")?,
            line: find("source_line")?,
            date: table.business_date.map(find).transpose()?,
            compared,
            schema,
        })
    }

    /// Checks that a batch has exactly the columns of the table.
    pub(crate) fn check(&self, batch: &RecordBatch) -> Result<(), LakeError> {
        let (found, expected) = (batch.schema(), &self.schema);
        let describe = |schema: &Schema, position: usize| {
            schema
                .fields()
                .get(position)
                .map_or("absent".to_owned(), |field| format!("{} {}", field.name(), field.data_type()))
        };
        for position in 0..found.fields().len().max(expected.fields().len()) {
            let (found, expected) = (describe(&found, position), describe(expected, position));
            if found != expected {
                return Err(LakeError::WrongColumn { table: self.table.name.to_owned(), position, found, expected });
            }
        }
        Ok(())
    }
}

/// Rows in compact form; columns stand in the order of the table.
#[derive(Clone)]
pub(crate) struct Chunk {
    pub columns: Vec<Option<ArrayRef>>,
    pub rows: usize,
}

impl Chunk {
    /// Compacts a batch that [`Layout::check`] accepted.
    pub(crate) fn from_batch(layout: &Layout, batch: &RecordBatch) -> Result<Self, LakeError> {
        let compact_column = |(position, array): (usize, &ArrayRef)| {
            if array.is_empty() || array.null_count() == array.len() {
                return Ok(None);
            }
            compact(layout, position, array).map(Some)
        };
        let columns = batch.columns().iter().enumerate().map(compact_column).collect::<Result<_, LakeError>>()?;
        Ok(Self { columns, rows: batch.num_rows() })
    }

    /// The rows at `indices`, in that order.
    pub(crate) fn take(&self, indices: &UInt32Array) -> Result<Self, arrow::error::ArrowError> {
        let take_column =
            |column: &Option<ArrayRef>| column.as_ref().map(|array| take(array.as_ref(), indices, None)).transpose();
        Ok(Self { columns: self.columns.iter().map(take_column).collect::<Result<_, _>>()?, rows: indices.len() })
    }

    pub(crate) fn slice(&self, start: usize, rows: usize) -> Self {
        let columns = self.columns.iter().map(|column| column.as_ref().map(|array| array.slice(start, rows))).collect();
        Self { columns, rows }
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.iter().flatten().map(|array| array.get_buffer_memory_size()).sum()
    }

    /// A 128-bit hash of (source system, key) per row. Two keys that share one are taken for the
    /// same: at a billion rows the odds of that are below one in 10^20.
    pub(crate) fn key_hashes(&self, layout: &Layout) -> Result<Vec<u128>, LakeError> {
        let missing = |column: usize, row: usize| self.missing_key(layout, column, row);
        let sources = self.columns[layout.source].as_ref().ok_or_else(|| missing(layout.source, 0))?;
        let keys = self.columns[layout.key].as_ref().ok_or_else(|| missing(layout.key, 0))?;
        let seeds = codes(sources, |text| xxh3_64(text.as_bytes()));
        let mut hashes = Vec::with_capacity(self.rows);
        if let Some(keys) = keys.as_string_opt::<i32>() {
            for row in 0..self.rows {
                let seed = seeds.at(row).ok_or_else(|| missing(layout.source, row))?;
                if keys.is_null(row) {
                    return Err(missing(layout.key, row));
                }
                hashes.push(xxh3_128_with_seed(keys.value(row).as_bytes(), seed));
            }
        } else {
            // Keys of which there are few: one row, or the same rows again and again.
            let texts = codes(keys, str::to_owned);
            for row in 0..self.rows {
                let seed = seeds.at(row).ok_or_else(|| missing(layout.source, row))?;
                let key = texts.at(row).ok_or_else(|| missing(layout.key, row))?;
                hashes.push(xxh3_128_with_seed(key.as_bytes(), seed));
            }
        }
        Ok(hashes)
    }

    /// Names of the source systems of the rows.
    pub(crate) fn sources(&self, layout: &Layout) -> Vec<String> {
        let Some(column) = &self.columns[layout.source] else { return Vec::new() };
        let named = codes(column, str::to_owned);
        let mut used = vec![false; named.values.len()];
        for row in 0..self.rows {
            if let Some(code) = named.code(row) {
                used[code] = true;
            }
        }
        named.values.into_iter().zip(used).filter_map(|(name, used)| name.filter(|_| used)).collect()
    }

    fn missing_key(&self, layout: &Layout, column: usize, row: usize) -> LakeError {
        let position = |name: &str| layout.schema.index_of(name).ok().and_then(|index| self.columns[index].as_ref());
        let file = position("source_file").and_then(|column| codes(column, str::to_owned).at(row));
        let line = position("source_line")
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .filter(|lines| lines.is_valid(row))
            .map(|lines| lines.value(row).to_string());
        LakeError::MissingKey {
            table: layout.table.name.to_owned(),
            column: layout.schema.field(column).name().clone(),
            row,
            line: line.unwrap_or_else(|| "unknown".to_owned()),
            file: file.unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    /// The chunk as one self-contained Arrow IPC stream.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, arrow::error::ArrowError> {
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        for (position, column) in self.columns.iter().enumerate() {
            if let Some(array) = column {
                fields.push(Field::new(position.to_string(), array.data_type().clone(), true));
                arrays.push(Arc::clone(array));
            }
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(&batch)?;
        writer.finish()?;
        writer.into_inner()
    }

    /// Reads what [`Chunk::to_bytes`] wrote, without copying the columns.
    pub(crate) fn from_bytes(bytes: MutableBuffer, columns: usize) -> Result<Self, arrow::error::ArrowError> {
        let mut bytes = Buffer::from(bytes);
        let mut decoder = StreamDecoder::new();
        let batch = decoder.decode(&mut bytes)?;
        let batch = batch.ok_or_else(|| arrow::error::ArrowError::IpcError("the chunk is cut".to_owned()))?;
        let mut chunk = Self { columns: vec![None; columns], rows: batch.num_rows() };
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let slot = field.name().parse().ok().and_then(|position: usize| chunk.columns.get_mut(position));
            *slot.ok_or_else(|| arrow::error::ArrowError::IpcError(format!("column {}", field.name())))? =
                Some(Arc::clone(array));
        }
        Ok(chunk)
    }
}

/// Per row a value that was computed once per dictionary entry.
struct Codes<T> {
    rows: Vec<Option<usize>>,
    values: Vec<Option<T>>,
}

impl<T: Clone> Codes<T> {
    fn code(&self, row: usize) -> Option<usize> {
        self.rows[row]
    }
    fn at(&self, row: usize) -> Option<T> {
        self.rows[row].and_then(|code| self.values[code].clone())
    }
}

/// Looks at each distinct text of a compact column once.
fn codes<T>(array: &ArrayRef, compute: impl Fn(&str) -> T) -> Codes<T> {
    fn of<K: ArrowDictionaryKeyType, T>(array: &DictionaryArray<K>, compute: impl Fn(&str) -> T) -> Codes<T> {
        let rows = array.keys().iter().map(|key| key.map(ArrowNativeType::as_usize)).collect();
        let values = array.values().as_string_opt::<i32>();
        let values = values.map_or_else(Vec::new, |values| values.iter().map(|text| text.map(&compute)).collect());
        Codes { rows, values }
    }
    if let Some(array) = array.as_dictionary_opt::<UInt8Type>() {
        of(array, compute)
    } else if let Some(array) = array.as_dictionary_opt::<UInt16Type>() {
        of(array, compute)
    } else if let Some(array) = array.as_dictionary_opt::<Int32Type>() {
        of(array, compute)
    } else if let Some(array) = array.as_string_opt::<i32>() {
        let rows = (0..array.len()).map(|row| array.is_valid(row).then_some(row)).collect();
        Codes { rows, values: array.iter().map(|text| text.map(&compute)).collect() }
    } else {
        Codes { rows: vec![None; array.len()], values: Vec::new() }
    }
}

fn compact(layout: &Layout, position: usize, array: &ArrayRef) -> Result<ArrayRef, LakeError> {
    Ok(match array.data_type() {
        DataType::Decimal128(_, _) => Arc::new(narrow_decimals(layout, position, array.as_primitive())?),
        DataType::Timestamp(_, _) => {
            let instants = array.as_primitive::<TimestampMicrosecondType>();
            Arc::new(Int64Array::new(instants.values().clone(), instants.nulls().cloned()))
        }
        DataType::Date32 => {
            let days = array.as_primitive::<arrow::datatypes::Date32Type>();
            Arc::new(PrimitiveArray::<Int32Type>::new(days.values().clone(), days.nulls().cloned()))
        }
        DataType::Dictionary(_, _) => narrow_codes(array.as_dictionary::<Int32Type>()),
        DataType::Utf8 => fold_repeated(array),
        _ => Arc::clone(array),
    })
}

fn narrow_decimals(layout: &Layout, position: usize, array: &Decimal128Array) -> Result<Int64Array, LakeError> {
    let mut wide = None;
    let mut narrow = |value: i128| {
        i64::try_from(value).unwrap_or_else(|_| {
            wide = Some(value);
            0
        })
    };
    let values: Vec<i64> = match array.nulls() {
        None => array.values().iter().map(|value| narrow(*value)).collect(),
        // What stands in a null slot is arbitrary.
        Some(nulls) => array
            .values()
            .iter()
            .zip(nulls.iter())
            .map(|(value, valid)| if valid { narrow(*value) } else { 0 })
            .collect(),
    };
    match wide {
        None => Ok(Int64Array::new(values.into(), array.nulls().cloned())),
        Some(value) => Err(LakeError::DecimalTooLarge {
            table: layout.table.name.to_owned(),
            column: layout.schema.field(position).name().clone(),
            value,
        }),
    }
}

fn narrow_codes(array: &DictionaryArray<Int32Type>) -> ArrayRef {
    fn with<K: ArrowDictionaryKeyType>(array: &DictionaryArray<Int32Type>) -> Option<ArrayRef> {
        let keys = array.keys();
        let narrow = |key: &i32| K::Native::usize_as(usize::try_from(*key).unwrap_or(0));
        let values: Vec<K::Native> = match keys.nulls() {
            None => keys.values().iter().map(narrow).collect(),
            Some(nulls) => keys
                .values()
                .iter()
                .zip(nulls.iter())
                .map(|(key, valid)| narrow(if valid { key } else { &0 }))
                .collect(),
        };
        let keys = PrimitiveArray::<K>::new(values.into(), keys.nulls().cloned());
        DictionaryArray::try_new(keys, Arc::clone(array.values())).ok().map(|array| Arc::new(array) as ArrayRef)
    }
    let narrow = match array.values().len() {
        0..=256 => with::<UInt8Type>(array),
        257..=65536 => with::<UInt16Type>(array),
        _ => None,
    };
    narrow.unwrap_or_else(|| Arc::new(array.clone()))
}

/// Rows looked at to see whether texts repeat, and the most texts that are kept once each.
const SAMPLE: usize = 1024;
const MOST_TEXTS: usize = 1 << 14;

/// Texts of which there are few (a batch id, an owner, a product) are kept once each, with codes.
fn fold_repeated(array: &ArrayRef) -> ArrayRef {
    let folded = array.as_string_opt::<i32>().and_then(|texts| {
        let step = (texts.len() / SAMPLE).max(1);
        let mut sample: Vec<&str> =
            (0..texts.len()).step_by(step).filter(|row| texts.is_valid(*row)).map(|row| texts.value(row)).collect();
        let seen = sample.len();
        sample.sort_unstable();
        sample.dedup();
        if sample.len() > 1 && sample.len() * 8 > seen * 7 { None } else { number(texts) }
    });
    folded.unwrap_or_else(|| Arc::clone(array))
}

/// Every text once, and each row's code; `None` when there are too many.
fn number(texts: &StringArray) -> Option<ArrayRef> {
    let hash = |text: &str| xxh3_64(text.as_bytes());
    let mut known: Vec<&str> = Vec::new();
    let mut table: HashTable<(u64, u32)> = HashTable::new();
    let mut codes: Vec<u16> = Vec::with_capacity(texts.len());
    let most = MOST_TEXTS.min(texts.len().div_ceil(4).max(1));
    for row in 0..texts.len() {
        if texts.is_null(row) {
            codes.push(0);
            continue;
        }
        let text = texts.value(row);
        // A constant column is not hashed.
        if known.len() == 1 && known.first() == Some(&text) {
            codes.push(0);
            continue;
        }
        let hashed = hash(text);
        let found = table.find(hashed, |(other, code)| *other == hashed && known[*code as usize] == text);
        let code = match found {
            Some((_, code)) => *code,
            None if known.len() == most => return None,
            None => {
                let code = known.len() as u32;
                known.push(text);
                table.insert_unique(hashed, (hashed, code), |(hash, _)| *hash);
                code
            }
        };
        codes.push(code as u16);
    }
    let nulls = texts.nulls().cloned();
    let values: ArrayRef = Arc::new(StringArray::from_iter_values(&known));
    if known.len() <= 256 {
        let narrow: Vec<u8> = codes.iter().map(|code| *code as u8).collect();
        let keys = PrimitiveArray::<UInt8Type>::new(narrow.into(), nulls);
        DictionaryArray::try_new(keys, values).ok().map(|array| Arc::new(array) as ArrayRef)
    } else {
        let keys = PrimitiveArray::<UInt16Type>::new(codes.into(), nulls);
        DictionaryArray::try_new(keys, values).ok().map(|array| Arc::new(array) as ArrayRef)
    }
}
