//! Fact tables on disk: writing parts, publishing a table, finding a valid one.
//!
//! A table is a directory `<lake>/_facts/<table>-<fingerprint>` with Parquet parts, one file per
//! dictionary and `fact.json`. The fingerprint covers the versions of all lake tables that went
//! into it, so a stale table is not found at all. It is written beside its place and renamed
//! into it: readers see a whole table or none. Where the lake is read-only, a directory of the
//! system's temporary files serves instead.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Field, Int32Type, Int64Type, Schema, UInt32Type};
use dealframe_lake::Lake;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::encode::{Encoded, read_file};
use super::{Fact, FactColumn, FactKind};
use crate::error::QueryError;

/// Changes whenever a fact table would come out differently for the same lake.
const FORMAT: u32 = 3;
const ROW_GROUP_ROWS: usize = 262_144;
/// Codes beyond which a column is written as it is.
const MOST_DICTIONARY_CODES: i64 = 40_000;
const DIRECTORY: &str = "_facts";

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    table: String,
    rows: u64,
    columns: Vec<FactColumn>,
    parts: Vec<String>,
}

/// Name of the directory for a table made from these versions.
fn directory_name(table: &str, lake: &Lake, depends_on: &[&str], salt: &str) -> String {
    let versions: Vec<String> = depends_on
        .iter()
        .map(|name| {
            format!("{name}={}", lake.table_version(name).map_or("-".to_owned(), |version| version.to_string()))
        })
        .collect();
    let text = format!("{FORMAT};{};{salt};{}", env!("CARGO_PKG_VERSION"), versions.join(";"));
    format!("{table}-{:032x}", xxh3_128(text.as_bytes()))
}

/// Where fact tables of a lake may lie: in the lake, or for a read-only one in the temporary files.
fn homes(lake: &Lake) -> [PathBuf; 2] {
    let shadow = format!("dealframe-facts-{:032x}", xxh3_128(lake.root().display().to_string().as_bytes()));
    [lake.root().join(DIRECTORY), std::env::temp_dir().join(shadow)]
}

/// A short text that was noted for exactly this state of the lake.
pub(crate) fn read_note(lake: &Lake, name: &str) -> Option<String> {
    let file = note_file(lake, name);
    homes(lake).into_iter().find_map(|home| fs::read_to_string(home.join(&file)).ok())
}

/// Notes a short text for this state of the lake; a place that cannot be written to costs only time.
pub(crate) fn write_note(lake: &Lake, name: &str, text: &str) {
    let file = note_file(lake, name);
    for home in homes(lake) {
        let written = fs::create_dir_all(&home).and_then(|()| tempfile::NamedTempFile::new_in(&home)).and_then(
            |mut temporary| {
                std::io::Write::write_all(&mut temporary, text.as_bytes())?;
                temporary.persist(home.join(&file)).map_err(std::io::Error::from)
            },
        );
        if written.is_ok() {
            return;
        }
    }
}

fn note_file(lake: &Lake, name: &str) -> String {
    let tables: Vec<&str> = dealframe_model::table::TABLES.iter().map(|table| table.name).collect();
    directory_name(name, lake, &tables, &lake.sequence().to_string()) + ".note"
}

/// The fact table for exactly this state of the lake, if it was made before.
pub(crate) fn find(lake: &Lake, table: &str, depends_on: &[&str], salt: &str) -> Option<Fact> {
    let name = directory_name(table, lake, depends_on, salt);
    homes(lake).into_iter().find_map(|home| open(&home.join(&name)).ok())
}

fn open(directory: &Path) -> Result<Fact, QueryError> {
    let path = directory.join("fact.json");
    let text = fs::read(&path).map_err(|source| QueryError::Io { path: path.clone(), source })?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| QueryError::File { path: path.display().to_string(), reason: error.to_string() })?;
    let parts = manifest.parts.iter().map(|part| directory.join(part)).collect();
    Ok(Fact::new(manifest.table, directory.to_owned(), manifest.columns, parts, manifest.rows))
}

/// Labels of a dictionary of a published table.
pub(crate) fn read_dictionary(directory: &Path, domain: &str) -> Result<Vec<Box<str>>, QueryError> {
    let mut labels = Vec::new();
    read_file(&directory.join(dictionary_file(domain)), &["label"], &mut |batch| {
        let array: &StringArray = batch.column(0).as_string();
        labels.extend(array.iter().map(|label| label.unwrap_or_default().into()));
        Ok(())
    })?;
    Ok(labels)
}

fn dictionary_file(domain: &str) -> String {
    format!("{domain}.dictionary.parquet")
}

/// A fact table being written.
pub(crate) struct FactWriter {
    table: String,
    work: tempfile::TempDir,
    target: PathBuf,
}

/// Statistics of the columns of one part, merged over parts when the table is published.
pub(crate) struct PartSummary {
    file: String,
    rows: u64,
    columns: Vec<FactColumn>,
}

impl FactWriter {
    pub(crate) fn create(lake: &Lake, table: &str, depends_on: &[&str], salt: &str) -> Result<Self, QueryError> {
        let name = directory_name(table, lake, depends_on, salt);
        let mut last = None;
        for home in homes(lake) {
            let made =
                fs::create_dir_all(&home).and_then(|()| tempfile::Builder::new().prefix(".making-").tempdir_in(&home));
            match made {
                Ok(work) => return Ok(Self { table: table.to_owned(), work, target: home.join(name) }),
                Err(source) => last = Some(QueryError::Io { path: home, source }),
            }
        }
        Err(last.unwrap_or_else(|| QueryError::engine("facts", "no place to write")))
    }

    /// Starts part `number`.
    pub(crate) fn part(&self, number: usize) -> PartWriter {
        let file = format!("part-{number:05}.parquet");
        PartWriter { path: self.work.path().join(&file), file, writer: None, columns: Vec::new(), rows: 0 }
    }

    /// Writes the dictionaries and puts the table in its place.
    pub(crate) fn publish(
        self,
        parts: Vec<PartSummary>,
        labels: &dyn Fn(&str) -> Vec<Box<str>>,
    ) -> Result<Fact, QueryError> {
        let mut columns: Vec<FactColumn> = Vec::new();
        for part in parts.iter() {
            for (position, column) in part.columns.iter().enumerate() {
                match columns.get_mut(position) {
                    Some(known) => merge(known, column),
                    None => columns.push(column.clone()),
                }
            }
        }
        let mut sizes = BTreeMap::new();
        for column in &mut columns {
            if let FactKind::Code { domain } = &column.kind {
                let size = match sizes.get(domain) {
                    Some(size) => *size,
                    None => {
                        let labels = labels(domain);
                        let size = u32::try_from(labels.len()).unwrap_or(u32::MAX);
                        self.write_dictionary(domain, &labels)?;
                        sizes.insert(domain.clone(), size);
                        size
                    }
                };
                column.distinct = size;
            }
        }
        let manifest = Manifest {
            table: self.table.clone(),
            rows: parts.iter().map(|part| part.rows).sum(),
            columns,
            parts: parts.into_iter().filter(|part| part.rows > 0).map(|part| part.file).collect(),
        };
        let path = self.work.path().join("fact.json");
        let text = serde_json::to_vec(&manifest).map_err(|error| QueryError::engine("facts", error))?;
        fs::write(&path, text).map_err(|source| QueryError::Io { path, source })?;
        let work = self.work.keep();
        if fs::rename(&work, &self.target).is_err() {
            // Somebody else made the same table meanwhile; theirs is as good.
            let _ = fs::remove_dir_all(&work);
        }
        remove_older(&self.target, &self.table);
        open(&self.target)
    }

    fn write_dictionary(&self, domain: &str, labels: &[Box<str>]) -> Result<(), QueryError> {
        let path = self.work.path().join(dictionary_file(domain));
        let schema = Arc::new(Schema::new(vec![Field::new("label", DataType::Utf8, false)]));
        let array: ArrayRef = Arc::new(StringArray::from_iter_values(labels.iter().map(|label| &**label)));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array])
            .map_err(|error| QueryError::engine("facts", error))?;
        let file = File::create(&path).map_err(|source| QueryError::Io { path: path.clone(), source })?;
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_compression(Compression::UNCOMPRESSED)
            .build();
        let mut writer =
            ArrowWriter::try_new(file, schema, Some(properties)).map_err(|error| write_error(&path, &error))?;
        writer.write(&batch).map_err(|error| write_error(&path, &error))?;
        writer.close().map_err(|error| write_error(&path, &error))?;
        Ok(())
    }
}

fn write_error(path: &Path, error: &dyn std::fmt::Display) -> QueryError {
    QueryError::File { path: path.display().to_string(), reason: error.to_string() }
}

/// Keeps the newest two tables of a kind: a report that still reads the older one is not disturbed.
fn remove_older(target: &Path, table: &str) {
    let Some(home) = target.parent() else { return };
    let Ok(entries) = fs::read_dir(home) else { return };
    let mut others: Vec<(std::time::SystemTime, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            entry.path() != target
                && name.strip_prefix(table).is_some_and(|rest| rest.len() == 33 && rest.starts_with('-'))
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    others.sort();
    others.reverse();
    for (_, path) in others.into_iter().skip(1) {
        let _ = fs::remove_dir_all(path);
    }
}

/// One Parquet file of a fact table being written.
pub(crate) struct PartWriter {
    path: PathBuf,
    file: String,
    writer: Option<ArrowWriter<File>>,
    columns: Vec<FactColumn>,
    rows: u64,
}

impl PartWriter {
    pub(crate) fn write(&mut self, encoded: Vec<Encoded>) -> Result<(), QueryError> {
        let rows = encoded.first().map_or(0, |column| column.array.len());
        let summaries = encoded.iter().map(summarise);
        if self.columns.is_empty() {
            self.columns = summaries.collect();
        } else {
            for (known, column) in self.columns.iter_mut().zip(summaries.collect::<Vec<_>>()) {
                merge(known, &column);
            }
        }
        if rows == 0 {
            return Ok(());
        }
        let fields: Vec<Field> = encoded
            .iter()
            .map(|column| {
                Field::new(
                    &column.name,
                    column.array.data_type().clone(),
                    column.array.is_nullable() || !matches!(column.kind, FactKind::Code { .. }),
                )
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), encoded.into_iter().map(|column| column.array).collect())
            .map_err(|error| QueryError::engine("facts", error))?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let file =
                    File::create(&self.path).map_err(|source| QueryError::Io { path: self.path.clone(), source })?;
                let mut properties = WriterProperties::builder()
                    .set_writer_version(WriterVersion::PARQUET_1_0)
                    .set_compression(Compression::LZ4_RAW)
                    .set_statistics_enabled(EnabledStatistics::Chunk)
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
                // Amounts hardly repeat, nor do the keys of large tables: a dictionary would only cost time.
                for column in &self.columns {
                    let hardly_repeats = match column.kind {
                        FactKind::Number { scale } => scale > 0 && column.name.contains("amount"),
                        FactKind::Code { .. } => column.bounds.is_some_and(|(_, high)| high > MOST_DICTIONARY_CODES),
                        FactKind::Boolean | FactKind::Date => false,
                    };
                    if hardly_repeats {
                        properties = properties
                            .set_column_dictionary_enabled(column.name.as_str().into(), false)
                            .set_column_encoding(column.name.as_str().into(), Encoding::PLAIN);
                    }
                }
                let writer = ArrowWriter::try_new(file, schema, Some(properties.build()))
                    .map_err(|error| write_error(&self.path, &error))?;
                self.writer.insert(writer)
            }
        };
        writer.write(&batch).map_err(|error| write_error(&self.path, &error))?;
        self.rows += rows as u64;
        Ok(())
    }

    pub(crate) fn close(self) -> Result<PartSummary, QueryError> {
        if let Some(writer) = self.writer {
            writer.close().map_err(|error| write_error(&self.path, &error))?;
        }
        Ok(PartSummary { file: self.file, rows: self.rows, columns: self.columns })
    }
}

fn merge(known: &mut FactColumn, other: &FactColumn) {
    known.nulls |= other.nulls;
    known.bounds = match (known.bounds, other.bounds) {
        (Some((low, high)), Some((other_low, other_high))) => Some((low.min(other_low), high.max(other_high))),
        (one, other) => one.or(other),
    };
}

fn summarise(column: &Encoded) -> FactColumn {
    let array = &column.array;
    let bounds = match array.data_type() {
        DataType::Int64 => arrow::compute::min(array.as_primitive::<Int64Type>())
            .zip(arrow::compute::max(array.as_primitive::<Int64Type>())),
        DataType::Int32 => arrow::compute::min(array.as_primitive::<Int32Type>())
            .zip(arrow::compute::max(array.as_primitive::<Int32Type>()))
            .map(|(low, high)| (i64::from(low), i64::from(high))),
        DataType::Date32 => arrow::compute::min(array.as_primitive::<Date32Type>())
            .zip(arrow::compute::max(array.as_primitive::<Date32Type>()))
            .map(|(low, high)| (i64::from(low), i64::from(high))),
        DataType::UInt32 => arrow::compute::min(array.as_primitive::<UInt32Type>())
            .zip(arrow::compute::max(array.as_primitive::<UInt32Type>()))
            .map(|(low, high)| (i64::from(low), i64::from(high))),
        _ => None,
    };
    let nulls = match column.kind {
        FactKind::Code { .. } => bounds.is_some_and(|(low, _)| low == 0),
        _ => array.null_count() > 0,
    };
    FactColumn { name: column.name.clone(), kind: column.kind.clone(), nulls, bounds, distinct: 0 }
}
