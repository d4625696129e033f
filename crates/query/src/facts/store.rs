//! Fact tables on disk: writing parts, publishing a table, finding a valid one.
//!
//! A table is a directory `<lake>/_facts/<table>-<fingerprint>` with Parquet parts, one file per
//! dictionary and `fact.json`. The fingerprint covers the versions of all lake tables that went
//! into it, so a stale table is not found at all. It is written beside its place and renamed
//! into it: readers see a whole table or none. Where the lake is read-only, a directory of the
//! system's temporary files serves instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Date32Type, Field, Int32Type, Int64Type, Schema, UInt32Type};
use dealframe_lake::Lake;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::dictionary::{Interners, KEY_PREFIX};
use super::encode::{Encoded, read_file, row_count};
use super::{Dictionaries, Fact, FactColumn, FactKind, Layers, ROW_KEY};
use crate::error::QueryError;

/// Changes whenever a fact table would come out differently for the same lake.
const FORMAT: u32 = 8;
const ROW_GROUP_ROWS: usize = 262_144;
/// Codes beyond which a column is written as it is.
const MOST_DICTIONARY_CODES: i64 = 40_000;
const DIRECTORY: &str = "_facts";

/// What `fact.json` says of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Format, program and salt that the table was made with.
    pub made_by: String,
    pub table: String,
    pub rows: u64,
    pub columns: Vec<FactColumn>,
    pub parts: Vec<String>,
    /// By table of the lake, the data files that went into this one.
    pub files: BTreeMap<String, BTreeSet<String>>,
    /// For a table that was carried over: the directory beside it that has the parts, and the rows in its layers.
    pub carried: Option<Carried>,
}

/// What a table that was carried over rests on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Carried {
    pub base: String,
    pub removed_rows: u64,
    pub added_rows: u64,
}

/// A table at rest with all that is known of it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub directory: PathBuf,
    pub manifest: Manifest,
}

fn made_by(salt: &str) -> String {
    format!("{FORMAT};{};{salt}", env!("CARGO_PKG_VERSION"))
}

/// Name of the directory for a table made from these versions.
fn directory_name(table: &str, lake: &Lake, depends_on: &[&str], salt: &str) -> String {
    let versions: Vec<String> = depends_on
        .iter()
        .map(|name| {
            format!("{name}={}", lake.table_version(name).map_or("-".to_owned(), |version| version.to_string()))
        })
        .collect();
    let text = format!("{};{}", made_by(salt), versions.join(";"));
    format!("{table}-{:032x}", xxh3_128(text.as_bytes()))
}

/// Where fact tables of a lake may lie: in the lake, or for a read-only one in the temporary files; or where it says.
fn homes(lake: &Lake) -> Vec<PathBuf> {
    if let Some(folder) = lake.derives_into() {
        return vec![folder.to_owned()];
    }
    let shadow = format!("dealframe-facts-{:032x}", xxh3_128(lake.root().display().to_string().as_bytes()));
    vec![lake.root().join(DIRECTORY), std::env::temp_dir().join(shadow)]
}

/// An empty folder beside the fact tables, removed when it is dropped.
pub(crate) fn scratch(lake: &Lake, prefix: &str) -> Result<tempfile::TempDir, QueryError> {
    let mut last = None;
    for home in homes(lake) {
        let made = fs::create_dir_all(&home).and_then(|()| tempfile::Builder::new().prefix(prefix).tempdir_in(&home));
        match made {
            Ok(folder) => return Ok(folder),
            Err(source) => last = Some(QueryError::Io { path: home, source }),
        }
    }
    Err(last.unwrap_or_else(|| QueryError::engine("facts", "no place to write")))
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
    read_manifest(directory)?.fact()
}

fn read_manifest(directory: &Path) -> Result<Stored, QueryError> {
    let path = directory.join("fact.json");
    let text = fs::read(&path).map_err(|source| QueryError::Io { path: path.clone(), source })?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| QueryError::File { path: path.display().to_string(), reason: error.to_string() })?;
    Ok(Stored { directory: directory.to_owned(), manifest })
}

/// Tables of this kind that were made from older states of the lake, the newest first.
pub(crate) fn older(lake: &Lake, table: &str, salt: &str) -> Vec<Stored> {
    let made_by = made_by(salt);
    let mut found: Vec<(std::time::SystemTime, Stored)> = homes(lake)
        .iter()
        .flat_map(|home| of_table(home, table))
        .filter_map(|(modified, path)| Some((modified, read_manifest(&path).ok()?)))
        .filter(|(_, stored)| stored.manifest.made_by == made_by)
        .collect();
    found.sort_by(|(left, _), (right, _)| right.cmp(left));
    found.into_iter().map(|(_, stored)| stored).collect()
}

/// Whether there is anything at rest of a table.
pub(crate) fn has(lake: &Lake, table: &str) -> bool {
    homes(lake).iter().any(|home| !of_table(home, table).is_empty())
}

/// Files of the two layers of a table that was carried over.
pub(crate) const REMOVED: &str = "removed.parquet";
pub(crate) const ADDED: &str = "added.parquet";

impl Stored {
    /// The directory that has the parts of the table.
    pub(crate) fn base(&self) -> PathBuf {
        match (&self.manifest.carried, self.directory.parent()) {
            (Some(carried), Some(home)) => home.join(&carried.base),
            _ => self.directory.clone(),
        }
    }

    /// Where its dictionaries may lie.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        let mut places = vec![self.directory.clone(), self.base()];
        places.dedup();
        places
    }

    /// Paths of the parts of the table, without its layers.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        let base = self.base();
        self.manifest.parts.iter().map(|part| base.join(part)).collect()
    }

    /// The file of a layer, if it has rows.
    pub(crate) fn layer(&self, file: &str) -> Option<PathBuf> {
        let carried = self.manifest.carried.as_ref()?;
        let rows = if file == REMOVED { carried.removed_rows } else { carried.added_rows };
        (rows > 0).then(|| self.directory.join(file))
    }

    fn fact(self) -> Result<Fact, QueryError> {
        let parts = self.parts();
        // Kept files may be gone: a directory that somebody removed.
        if let Some(missing) = parts.iter().find(|part| !part.is_file()) {
            return Err(QueryError::File { path: missing.display().to_string(), reason: "it is missing".to_owned() });
        }
        let dictionaries = Arc::new(Dictionaries { places: self.places(), loaded: Mutex::default() });
        let fact = |parts: Vec<PathBuf>, rows: u64, layers: Option<Layers>| Fact {
            table: self.manifest.table.clone(),
            columns: self.manifest.columns.clone(),
            parts,
            rows,
            layers,
            dictionaries: Arc::clone(&dictionaries),
        };
        let layers = self.manifest.carried.as_ref().map(|carried| {
            let layer = |file: &str, rows: u64| Box::new(fact(self.layer(file).into_iter().collect(), rows, None));
            Layers { removed: layer(REMOVED, carried.removed_rows), added: layer(ADDED, carried.added_rows) }
        });
        Ok(fact(parts, self.manifest.rows, layers))
    }
}

/// The file of a dictionary in the first place that has it.
pub(crate) fn dictionary(places: &[PathBuf], domain: &str) -> Result<PathBuf, QueryError> {
    let file = dictionary_file(domain);
    places.iter().map(|place| place.join(&file)).find(|path| path.is_file()).ok_or_else(|| QueryError::File {
        path: places.first().map(|place| place.join(&file).display().to_string()).unwrap_or_default(),
        reason: "the dictionary is missing".to_owned(),
    })
}

/// Labels of a dictionary of a published table.
pub(crate) fn read_dictionary(path: &Path) -> Result<Vec<Box<str>>, QueryError> {
    Ok(read_keys(path)?.into_iter().map(|(label, _)| label).collect())
}

/// Labels of a dictionary, those of keys each with the code of its source system.
pub(crate) fn read_keys(path: &Path) -> Result<Vec<(Box<str>, u32)>, QueryError> {
    let mut keys = Vec::with_capacity(row_count(path));
    read_file(path, &["label", "source"], &mut |batch| {
        let labels: &StringArray = batch.column(0).as_string();
        let sources = batch.columns().get(1).map(|sources| sources.as_primitive::<UInt32Type>());
        keys.extend(
            (0..batch.num_rows()).map(|row| (labels.value(row).into(), sources.map_or(0, |codes| codes.value(row)))),
        );
        Ok(())
    })?;
    Ok(keys)
}

pub(crate) fn dictionary_file(domain: &str) -> String {
    format!("{domain}.dictionary.parquet")
}

/// A fact table being written.
pub(crate) struct FactWriter {
    table: String,
    made_by: String,
    files: BTreeMap<String, BTreeSet<String>>,
    work: tempfile::TempDir,
    target: PathBuf,
}

/// By table of the lake, its data files.
pub(crate) fn files(lake: &Lake, tables: &[&str]) -> Result<BTreeMap<String, BTreeSet<String>>, QueryError> {
    tables.iter().map(|table| Ok(((*table).to_owned(), lake.file_names(table)?))).collect()
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
        let files = files(lake, depends_on)?;
        let work = scratch(lake, ".making-")?;
        let target = work.path().with_file_name(name);
        Ok(Self { table: table.to_owned(), made_by: made_by(salt), files, work, target })
    }

    /// Starts part `number`.
    pub(crate) fn part(&self, number: usize) -> PartWriter {
        let file = format!("part-{number:05}.parquet");
        self.named(&file)
    }

    /// Starts a file of a name.
    pub(crate) fn named(&self, file: &str) -> PartWriter {
        let path = self.work.path().join(file);
        PartWriter { path, file: file.to_owned(), writer: None, columns: Vec::new(), rows: 0 }
    }

    /// Writes the dictionaries and puts the table in its place.
    pub(crate) fn publish(self, parts: Vec<PartSummary>, interners: &Interners) -> Result<Fact, QueryError> {
        let mut columns: Vec<FactColumn> = Vec::new();
        for part in &parts {
            merge_all(&mut columns, &part.columns);
        }
        let mut sizes = BTreeMap::new();
        for column in &mut columns {
            if let FactKind::Code { domain } = &column.kind {
                let size = match sizes.get(domain) {
                    Some(size) => *size,
                    None => {
                        let size = self.write_dictionary(domain, interners)?;
                        sizes.insert(domain.clone(), size);
                        size
                    }
                };
                column.distinct = size;
            }
        }
        let manifest = Manifest {
            made_by: self.made_by.clone(),
            table: self.table.clone(),
            rows: parts.iter().map(|part| part.rows).sum(),
            columns: columns.into_iter().filter(|column| column.name != ROW_KEY).collect(),
            parts: parts.into_iter().filter(|part| part.rows > 0).map(|part| part.file).collect(),
            files: self.files.clone(),
            carried: None,
        };
        self.finish(&manifest)
    }

    /// Puts a table in its place that has its parts in the base of an older one, and two layers of its own.
    pub(crate) fn publish_carried(
        self,
        before: &Stored,
        [removed, added]: [PartSummary; 2],
        interners: &Interners,
    ) -> Result<Fact, QueryError> {
        let mut manifest = before.manifest.clone();
        merge_all(&mut manifest.columns, &removed.columns);
        merge_all(&mut manifest.columns, &added.columns);
        manifest.columns.retain(|column| column.name != ROW_KEY);
        let mut sizes: BTreeMap<String, Option<u32>> = BTreeMap::new();
        for column in &mut manifest.columns {
            let FactKind::Code { domain } = &column.kind else { continue };
            let size = match sizes.get(domain) {
                Some(size) => *size,
                None => {
                    let size = if interners.has_grown(domain) {
                        Some(self.write_dictionary(domain, interners)?)
                    } else {
                        self.take_dictionary(before, domain)?;
                        None
                    };
                    sizes.insert(domain.clone(), size);
                    size
                }
            };
            column.distinct = size.unwrap_or(column.distinct);
        }
        let known = before.manifest.carried.as_ref();
        let base_rows = before.manifest.rows + known.map_or(0, |known| known.removed_rows)
            - known.map_or(0, |known| known.added_rows);
        manifest.rows = (base_rows + added.rows).saturating_sub(removed.rows);
        manifest.files.clone_from(&self.files);
        let base = before.base();
        let base = base.file_name().unwrap_or_default().to_string_lossy().into_owned();
        manifest.carried = Some(Carried { base, removed_rows: removed.rows, added_rows: added.rows });
        self.finish(&manifest)
    }

    fn finish(self, manifest: &Manifest) -> Result<Fact, QueryError> {
        let path = self.work.path().join("fact.json");
        let text = serde_json::to_vec(manifest).map_err(|error| QueryError::engine("facts", error))?;
        fs::write(&path, text).map_err(|source| QueryError::Io { path, source })?;
        let work = self.work.keep();
        if fs::rename(&work, &self.target).is_err() {
            // Somebody else made the same table meanwhile; theirs is as good.
            let _ = fs::remove_dir_all(&work);
        }
        remove_older(&self.target, &self.table);
        open(&self.target)
    }

    /// Where a table would rest whose parts are those of another one: beside it, or not at all.
    pub(crate) fn is_beside(&self, other: &Stored) -> bool {
        self.target.parent() == other.directory.parent()
    }

    /// Takes a dictionary over that the older table wrote for itself; those of the base are read where they are.
    fn take_dictionary(&self, before: &Stored, domain: &str) -> Result<(), QueryError> {
        let file = dictionary_file(domain);
        let own = before.directory.join(&file);
        if before.manifest.carried.is_none() || !own.is_file() {
            return Ok(());
        }
        let path = self.work.path().join(file);
        fs::copy(&own, &path).map(|_| ()).map_err(|source| QueryError::Io { path, source })
    }

    /// Keeps what a look-up by the code of a reference gives, so that later states need not read the dimension.
    pub(crate) fn write_lookup(&self, name: &str, values: &[u32]) -> Result<(), QueryError> {
        let array: ArrayRef = Arc::new(UInt32Array::from(values.to_vec()));
        self.write_columns(&lookup_file(name), vec![("code", array)])
    }

    /// Writes the dictionary of a domain; its size.
    fn write_dictionary(&self, domain: &str, interners: &Interners) -> Result<u32, QueryError> {
        let labels = interners.labels(domain);
        let size = u32::try_from(labels.len()).unwrap_or(u32::MAX);
        let array: ArrayRef = Arc::new(StringArray::from_iter_values(labels.iter().map(|label| &**label)));
        let mut columns = vec![("label", array)];
        if let Some(table) = domain.strip_prefix(KEY_PREFIX) {
            let sources: ArrayRef = Arc::new(UInt32Array::from(interners.keys(table).sources()));
            columns.push(("source", sources));
        }
        self.write_columns(&dictionary_file(domain), columns)?;
        Ok(size)
    }

    fn write_columns(&self, file: &str, columns: Vec<(&str, ArrayRef)>) -> Result<(), QueryError> {
        let path = self.work.path().join(file);
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, false)))
                .map_err(|error| QueryError::engine("facts", error))?;
        let file = File::create(&path).map_err(|source| QueryError::Io { path: path.clone(), source })?;
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_compression(Compression::UNCOMPRESSED)
            .build();
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(|error| write_error(&path, &error))?;
        writer.write(&batch).map_err(|error| write_error(&path, &error))?;
        writer.close().map_err(|error| write_error(&path, &error))?;
        Ok(())
    }
}

fn lookup_file(name: &str) -> String {
    format!("{name}{LOOKUP}")
}

const LOOKUP: &str = ".lookup.parquet";

/// What look-ups by the code of a reference gave when the table was made, by name; index 0 is null.
pub(crate) fn read_lookups(directory: &Path) -> Result<BTreeMap<String, Vec<u32>>, QueryError> {
    let io = |source| QueryError::Io { path: directory.to_owned(), source };
    let files: Vec<PathBuf> =
        fs::read_dir(directory).map_err(io)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    let named = files.par_iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?.strip_suffix(LOOKUP)?.to_owned();
        Some((name, path))
    });
    named
        .map(|(name, path)| {
            let mut values = Vec::with_capacity(row_count(path));
            read_file(path, &["code"], &mut |batch| {
                values.extend_from_slice(batch.column(0).as_primitive::<UInt32Type>().values());
                Ok(())
            })?;
            Ok((name, values))
        })
        .collect()
}

fn write_error(path: &Path, error: &dyn std::fmt::Display) -> QueryError {
    QueryError::File { path: path.display().to_string(), reason: error.to_string() }
}

/// Directories of a table, and when each was last changed.
fn of_table(home: &Path, table: &str) -> Vec<(std::time::SystemTime, PathBuf)> {
    let Ok(entries) = fs::read_dir(home) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.strip_prefix(table).is_some_and(|rest| rest.len() == 33 && rest.starts_with('-'))
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect()
}

/// Keeps the newest two tables of a kind, and what they rest on: a report that still reads the older one is not
/// disturbed.
fn remove_older(target: &Path, table: &str) {
    let Some(home) = target.parent() else { return };
    let mut others = of_table(home, table);
    others.retain(|(_, path)| path != target);
    others.sort();
    others.reverse();
    let kept = std::iter::once(target.to_owned()).chain(others.first().map(|(_, path)| path.clone()));
    let kept: Vec<PathBuf> = kept
        .flat_map(|path| {
            let base = read_manifest(&path).map(|stored| stored.base());
            std::iter::once(path).chain(base)
        })
        .collect();
    for (_, path) in others.into_iter().filter(|(_, path)| !kept.contains(path)) {
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

/// Takes the statistics of a part into those of a table; columns come in the same order.
fn merge_all(columns: &mut Vec<FactColumn>, part: &[FactColumn]) {
    for column in part {
        match columns.iter_mut().find(|known| known.name == column.name) {
            Some(known) => merge(known, column),
            None => columns.push(column.clone()),
        }
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
