//! The read handle: one state of the lake, pinned when it was opened.
//!
//! A state is a row of the table `batches`; its `table_versions` say which version of every table
//! belongs to it. Readers never look at anything newer, so a writer cannot disturb them. Writing
//! begins at [`Lake::writer`]; marker, lock and folders of the lake are known here.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::record::{self, BatchRecord};
use crate::schema::known_table;
use crate::table::{LogEngine, TableLog};
use crate::vacuum::Vacuumed;
use crate::writer::Writer;
use crate::{LakeError, durable, parquet_file};

const MARKER: &str = "dealframe.json";
const LOCK: &str = ".lock";
const FORMAT: u64 = 1;
pub(crate) const BATCHES: &str = "batches";

/// Which state of the lake to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The newest one.
    Latest,
    /// The one a batch made, by its sequence; 0 is the empty lake.
    Sequence(u64),
    /// The newest one that was complete at this instant, in microseconds since the epoch.
    Time(i64),
}

/// A live data file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Absolute path.
    pub path: PathBuf,
    pub rows: u64,
    pub bytes: u64,
    /// Hash bucket of the keys in the file.
    pub bucket: u32,
}

/// The file that makes a folder a lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Marker {
    format: u64,
    /// States before this one were cleaned up.
    #[serde(default, skip_serializing_if = "is_zero")]
    oldest_sequence: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A lake, pinned to one of its states. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    root: PathBuf,
    engine: LogEngine,
    history: Arc<Vec<BatchRecord>>,
    /// Number of records of the history that belong to the pinned state.
    pinned: usize,
    /// Where derived data is kept, if not in the lake.
    derived: Option<PathBuf>,
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lake").field("root", &self.root).field("sequence", &self.sequence()).finish()
    }
}

impl Lake {
    /// Opens a lake at its newest state; makes one of a folder that is absent or empty.
    ///
    /// # Errors
    /// When the folder holds something else, or cannot be written.
    pub fn create_or_open(root: &Path) -> Result<Self, LakeError> {
        if root.join(MARKER).is_file() {
            return Self::open(root);
        }
        // A crash between the lock and the marker leaves only names that begin with a dot or a temporary marker.
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name == LOCK || name == "dealframe.tmp"
        };
        if !durable::list(root)?.iter().all(is_ours) {
            return Err(LakeError::NotEmpty { root: root.to_path_buf() });
        }
        let absolute = std::path::absolute(root).map_err(LakeError::io("find", root))?;
        durable::create_folder(&absolute)?;
        write_marker(&absolute, &Marker { format: FORMAT, oldest_sequence: 0 })?;
        Self::open(root)
    }

    /// Opens a lake at its newest state.
    ///
    /// # Errors
    /// When the folder is no lake, or its log cannot be read.
    pub fn open(root: &Path) -> Result<Self, LakeError> {
        Self::open_at(root, At::Latest)
    }

    /// Opens a lake at one of its states.
    ///
    /// # Errors
    /// When the folder is no lake, when there is no such state, or when it was cleaned up.
    pub fn open_at(root: &Path, at: At) -> Result<Self, LakeError> {
        let marker = read_marker(root)?;
        let root = fs::canonicalize(root).map_err(LakeError::io("find", root))?;
        let engine = LogEngine::new()?;
        let history = Arc::new(read_history(&root, &engine)?);
        let pinned = choose(&history, at)?;
        let lake = Self { root, engine, history, pinned, derived: None };
        let oldest = marker.oldest_sequence;
        if lake.sequence() < oldest {
            return Err(LakeError::StateCleaned { sequence: lake.sequence(), oldest });
        }
        Ok(lake)
    }

    /// Absolute path of the lake.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Sequence of the pinned state, 0 for an empty lake.
    pub fn sequence(&self) -> u64 {
        self.record().map_or(0, |record| record.sequence)
    }

    /// Version of a table in the pinned state.
    pub fn table_version(&self, table: &str) -> Option<u64> {
        self.record().and_then(|record| record.table_versions.get(table).copied())
    }

    /// Live files of a table in the pinned state, sorted by path; none when the table has no rows.
    ///
    /// # Errors
    /// When the table is unknown or its log cannot be read.
    pub fn files(&self, table: &str) -> Result<Vec<DataFile>, LakeError> {
        let known = known_table(table).ok_or_else(|| LakeError::UnknownTable { name: table.to_owned() })?;
        let log = TableLog::new(&self.root, known.name, &self.engine);
        if known.name == BATCHES {
            return log.newest_version()?.map_or(Ok(Vec::new()), |version| log.files(version));
        }
        self.table_version(table).map_or(Ok(Vec::new()), |version| log.files(version))
    }

    /// The batches that made the pinned state, oldest first.
    ///
    /// # Errors
    /// None today: the history is read when the lake is opened.
    pub fn batches(&self) -> Result<Vec<BatchRecord>, LakeError> {
        Ok(self.history[..self.pinned].to_vec())
    }

    /// Reads a table into memory: for small tables and tests.
    ///
    /// # Errors
    /// When the table or a column is unknown, or a file cannot be read.
    pub fn read(&self, table: &str, columns: Option<&[&str]>) -> Result<Vec<RecordBatch>, LakeError> {
        let mut batches = Vec::new();
        self.visit(table, columns, &mut |batch| {
            batches.push(batch);
            Ok(())
        })?;
        Ok(batches)
    }

    /// Calls `visit` with every batch of a table, one after the other.
    ///
    /// # Errors
    /// As [`Lake::read`], and those of `visit`.
    pub fn visit(
        &self,
        table: &str,
        columns: Option<&[&str]>,
        visit: &mut dyn FnMut(RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let known = known_table(table).ok_or_else(|| LakeError::UnknownTable { name: table.to_owned() })?;
        let schema = crate::schema::arrow_schema(known);
        let schema = match columns {
            None => schema,
            Some(names) => {
                let mut fields = Vec::with_capacity(names.len());
                for name in names {
                    let unknown = |_| LakeError::UnknownColumn { table: table.to_owned(), column: (*name).to_owned() };
                    fields.push(schema.field_with_name(name).map_err(unknown)?.clone());
                }
                Arc::new(arrow::datatypes::Schema::new(fields))
            }
        };
        if known.name == BATCHES && columns.is_none() {
            // Newer batches than the pinned one are in the newest file too.
            return visit(record::to_batch(&self.history[..self.pinned])?);
        }
        for file in self.files(table)? {
            for batch in parquet_file::open(&file.path, &schema, None)? {
                visit(batch?)?;
            }
        }
        Ok(())
    }

    /// Becomes the one writer of the lake, and removes what a crashed writer left.
    ///
    /// # Errors
    /// When another process is writing, or the folder cannot be written.
    pub fn writer(&self) -> Result<Writer, LakeError> {
        Writer::open(&self.root, &self.engine)
    }

    /// Removes files that none of the newest `keep_batches` states needs, and leftovers of crashes.
    ///
    /// States older than that can no longer be opened. A reader that was opened at such a state
    /// before will miss its files, so keep as many states as reports may run behind. With `dry_run`
    /// nothing is changed and the result says what would be removed.
    ///
    /// # Errors
    /// When another process is writing, or the folder cannot be written.
    pub fn vacuum(&self, keep_batches: u64, dry_run: bool) -> Result<Vacuumed, LakeError> {
        crate::vacuum::vacuum(&self.root, &self.engine, keep_batches, dry_run)
    }

    /// Folder for data that others derive from the pinned state; cleaned up together with the state.
    pub fn derived_folder(&self) -> PathBuf {
        self.root.join(crate::vacuum::DERIVED).join(self.sequence().to_string())
    }

    /// The same state, with what others derive from it kept in another folder.
    #[must_use]
    pub fn deriving_into(&self, folder: &Path) -> Self {
        Self { derived: Some(folder.to_owned()), ..self.clone() }
    }

    /// The folder that was named for derived data, if any.
    pub fn derives_into(&self) -> Option<&Path> {
        self.derived.as_deref()
    }

    /// The record of the pinned state.
    pub(crate) fn record(&self) -> Option<&BatchRecord> {
        self.pinned.checked_sub(1).and_then(|last| self.history.get(last))
    }

    /// Opens the newest state once more, sharing the engine.
    pub(crate) fn newest(root: &Path, engine: &LogEngine) -> Result<Self, LakeError> {
        let history = Arc::new(read_history(root, engine)?);
        let pinned = history.len();
        Ok(Self { root: root.to_path_buf(), engine: engine.clone(), history, pinned, derived: None })
    }

    pub(crate) fn engine(&self) -> &LogEngine {
        &self.engine
    }

    /// Versions of all tables of the pinned state.
    pub(crate) fn table_versions(&self) -> BTreeMap<String, u64> {
        self.record().map(|record| record.table_versions.clone()).unwrap_or_default()
    }
}

/// Takes the lock that only one writer can hold. It is freed when the file is dropped or the process ends.
pub(crate) fn lock(root: &Path) -> Result<File, LakeError> {
    let path = root.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(LakeError::io("lock the lake with", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LakeError::Locked { root: root.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(LakeError::io("lock the lake with", &path)(error)),
    }
}

/// Notes that states before `oldest` can no longer be opened.
pub(crate) fn forget_before(root: &Path, oldest: u64) -> Result<(), LakeError> {
    let marker = read_marker(root)?;
    if marker.oldest_sequence >= oldest {
        return Ok(());
    }
    write_marker(root, &Marker { oldest_sequence: oldest, ..marker })
}

fn write_marker(root: &Path, marker: &Marker) -> Result<(), LakeError> {
    let path = root.join(MARKER);
    let mut text = serde_json::to_string(marker).map_err(LakeError::parquet("write", &path))?;
    text.push('\n');
    durable::replace_file(&path, text.as_bytes())
}

fn read_marker(root: &Path) -> Result<Marker, LakeError> {
    let not_a_lake = || LakeError::NotALake { root: root.to_path_buf() };
    let text = match fs::read_to_string(root.join(MARKER)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(LakeError::io("read", &root.join(MARKER))(error));
        }
        Err(_) => return Err(not_a_lake()),
    };
    let marker: Marker = serde_json::from_str(&text).map_err(|_| not_a_lake())?;
    if marker.format == FORMAT {
        Ok(marker)
    } else {
        Err(LakeError::UnknownFormat { root: root.to_path_buf(), found: marker.format })
    }
}

fn read_history(root: &Path, engine: &LogEngine) -> Result<Vec<BatchRecord>, LakeError> {
    let log = TableLog::new(root, BATCHES, engine);
    let Some(version) = log.newest_version()? else { return Ok(Vec::new()) };
    let table = known_table(BATCHES).ok_or_else(|| LakeError::UnknownTable { name: BATCHES.into() })?;
    let schema = crate::schema::arrow_schema(table);
    let mut records = Vec::new();
    for file in log.files(version)? {
        for batch in parquet_file::open(&file.path, &schema, None)? {
            records.extend(record::from_batch(&batch?)?);
        }
    }
    records.sort_by_key(|record| record.sequence);
    let gap = records.iter().zip(1..).find(|(record, sequence)| record.sequence != *sequence);
    if let Some((record, sequence)) = gap {
        let reason = format!("state {} follows state {}", record.sequence, sequence - 1);
        return Err(LakeError::damaged(log.folder(), reason));
    }
    Ok(records)
}

/// How many records of the history belong to the wanted state.
fn choose(history: &[BatchRecord], at: At) -> Result<usize, LakeError> {
    let newest = history.len();
    let absent = |wanted: String| LakeError::NoSuchState { wanted, newest: newest as u64 };
    match at {
        At::Latest => Ok(newest),
        At::Sequence(sequence) => {
            usize::try_from(sequence).ok().filter(|count| *count <= newest).ok_or_else(|| absent(sequence.to_string()))
        }
        At::Time(time) => Ok(history.iter().rposition(|record| record.finished_at <= time).map_or(0, |last| last + 1)),
    }
}
