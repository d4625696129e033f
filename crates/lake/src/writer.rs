//! The one writer: batches over several tables that take effect together.
//!
//! Every upsert commits to its table at once, but no reader looks there before the row in
//! `batches` pins the new versions; that row is the last commit. A writer that dies in between
//! leaves work for `recover.rs`. How rows are merged is in `upsert.rs`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use dealframe_model::table::{REJECTS, Table};
use uuid::Uuid;

use crate::LakeError;
use crate::chunk::Layout;
use crate::encode::{Block, Blocks};
use crate::lake::{BATCHES, DataFile, Lake, lock};
use crate::parquet_file::{self, Content, NewFile};
use crate::record::{self, BatchRecord};
use crate::recover::{self, STAGING};
use crate::schema::{arrow_schema, known_table};
use crate::stage::Stage;
use crate::superseded::Superseded;
use crate::table::{Change, LogEngine, TableLog};
use crate::upsert::{self, FileChange, Job, UpsertCounts, UpsertOptions};

/// Incoming rows kept in memory before they are put aside on disk.
const MEMORY_BUDGET: usize = 1 << 30;
/// Rejected rows kept in memory before they are written.
const REJECTS_BUDGET: usize = 32 << 20;
/// Rows a bucket is planned for, and rows at which a table gets more buckets.
const BUCKET_ROWS: u64 = 1_000_000;
const CROWDED_ROWS: u64 = 4_000_000;
const MOST_BUCKETS: u32 = 64;
/// Without a hint: a table whose first rows go beyond this gets `UNHINTED_BUCKETS`.
const PEEK_ROWS: usize = 256 * 1024;
const UNHINTED_BUCKETS: u32 = 8;
/// Files of the table `batches` after which they are rewritten as one.
const MOST_BATCH_FILES: usize = 32;

/// The exclusive right to write to a lake, held until it is dropped.
#[derive(Debug)]
pub struct Writer {
    lake: Lake,
    memory_budget: usize,
    crowded_rows: u64,
    _lock: File,
}

impl Writer {
    pub(crate) fn open(root: &std::path::Path, engine: &LogEngine) -> Result<Self, LakeError> {
        let lock = lock(root)?;
        // Under the lock, so that the newest state stays the newest.
        let lake = Lake::newest(root, engine)?;
        recover::restore(&lake)?;
        Ok(Self { lake, memory_budget: MEMORY_BUDGET, crowded_rows: CROWDED_ROWS, _lock: lock })
    }

    /// Bytes of incoming rows to keep in memory; what goes beyond is put aside on disk.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// Rows per bucket at which a table is spread over more buckets.
    #[cfg(test)]
    pub(crate) fn with_crowded_rows(mut self, rows: u64) -> Self {
        self.crowded_rows = rows;
        self
    }

    /// The state this writer builds on.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The record of a batch that is part of the lake already.
    ///
    /// # Errors
    /// None today: the history is read when the writer is opened.
    pub fn applied(&self, batch_id: &str) -> Result<Option<BatchRecord>, LakeError> {
        Ok(self.lake.batches()?.into_iter().find(|record| record.batch_id == batch_id))
    }

    /// Begins a batch.
    ///
    /// # Errors
    /// When the batch was applied before.
    pub fn begin(self, batch_id: &str) -> Result<Batch, LakeError> {
        if let Some(record) = self.applied(batch_id)? {
            return Err(LakeError::AlreadyApplied { batch_id: record.batch_id, sequence: record.sequence });
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(rayon::current_num_threads())
            .thread_name(|index| format!("lake-{index}"))
            .build()
            .map_err(LakeError::arrow("start threads", "*"))?;
        let staging = self.lake.root().join(STAGING).join(Uuid::new_v4().to_string());
        let versions = self.lake.table_versions();
        Ok(Batch {
            writer: self,
            batch_id: batch_id.to_owned(),
            versions,
            rejects: Vec::new(),
            rejects_bytes: 0,
            staging,
            pool,
            superseded: Vec::new(),
        })
    }
}

/// A change of several tables that takes effect as a whole when it is committed.
///
/// Dropped without [`Batch::commit`] it has no effect: the next writer takes its traces away.
#[derive(Debug)]
pub struct Batch {
    writer: Writer,
    batch_id: String,
    versions: BTreeMap<String, u64>,
    rejects: Vec<RecordBatch>,
    rejects_bytes: usize,
    staging: PathBuf,
    pool: rayon::ThreadPool,
    superseded: Vec<Superseded>,
}

impl Batch {
    /// Sequence that this batch will get.
    pub fn table_sequence(&self) -> u64 {
        self.writer.lake.sequence() + 1
    }

    /// Merges rows into a table by (source system, key).
    ///
    /// `rows` are batches of [`crate::schema::arrow_schema`] in file order. Of rows with the same key
    /// the newest `modified_at` wins (none is oldest), then the last one.
    ///
    /// # Errors
    /// When a row has no key, a full export lost too many rows, or a file cannot be read or written.
    /// The batch can then only be aborted or dropped.
    pub fn upsert(
        &mut self,
        table: &'static Table,
        rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
        options: UpsertOptions<'_>,
    ) -> Result<UpsertCounts, LakeError> {
        if dealframe_model::table::table(table.name).is_none() {
            return Err(LakeError::UnknownTable { name: table.name.to_owned() });
        }
        let layout = Layout::new(table)?;
        let log = self.log(table.name);
        let mut base = log.newest_version()?;
        let mut stored = base.map_or(Ok(Vec::new()), |version| log.files(version))?;
        let stored_rows: u64 = stored.iter().map(|file| file.rows).sum();
        let mut peeked = Vec::new();
        let buckets = match base {
            Some(version) if !stored.is_empty() => {
                let buckets = log.buckets(version)?;
                let rows = stored_rows.max(options.expected_rows.unwrap_or(0));
                let wanted = planned_buckets(rows);
                if rows / self.writer.crowded_rows >= u64::from(buckets) && wanted > buckets {
                    let version = self.rebucket(&layout, &log, version, &stored, wanted)?;
                    base = Some(version);
                    stored = log.files(version)?;
                    wanted
                } else {
                    buckets
                }
            }
            _ => match options.expected_rows {
                Some(rows) => planned_buckets(rows),
                None => peek(rows, &mut peeked)?,
            },
        };
        let mut stage = Stage::new(&layout, buckets, &self.staging, self.writer.memory_budget);
        stage.fill(&mut peeked.into_iter().map(Ok), &self.pool)?;
        stage.fill(rows, &self.pool)?;
        let job = Job {
            layout: &layout,
            lake: self.writer.lake.root(),
            folder: log.folder(),
            stored: by_bucket(stored),
            batch_id: &self.batch_id,
            full: options.full,
            allow_shrink: options.allow_shrink,
            pool: &self.pool,
        };
        let (counts, files, superseded) = upsert::run(&job, stage, options.on_change)?;
        self.superseded.extend(superseded.into_list(table.name));
        self.commit_files(table, &log, base, buckets, &files, "upsert")?;
        Ok(counts)
    }

    /// The records that other records of the same upsert superseded with other content, since the last call.
    pub fn take_superseded(&mut self) -> Vec<Superseded> {
        std::mem::take(&mut self.superseded)
    }

    /// Keeps rejected rows; they become part of the lake with the batch.
    ///
    /// # Errors
    /// When the rows are not of the table `rejects`, or cannot be written.
    pub fn append_rejects(&mut self, rows: RecordBatch) -> Result<(), LakeError> {
        let expected = arrow_schema(&REJECTS);
        if rows.schema().fields() != expected.fields() {
            return Err(LakeError::WrongColumn {
                table: REJECTS.name.to_owned(),
                position: 0,
                found: rows.schema().to_string(),
                expected: expected.to_string(),
            });
        }
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.rejects_bytes += rows.get_array_memory_size();
        self.rejects.push(rows);
        if self.rejects_bytes > REJECTS_BUDGET { self.flush_rejects() } else { Ok(()) }
    }

    /// Makes the batch a state of the lake and returns its record, complete with sequence and versions.
    ///
    /// # Errors
    /// When rows are not conserved, or the commit cannot be written; the lake is then as it was.
    pub fn commit(mut self, mut record: BatchRecord) -> Result<BatchRecord, LakeError> {
        if record.batch_id.is_empty() {
            record.batch_id.clone_from(&self.batch_id);
        }
        if record.batch_id != self.batch_id {
            return Err(LakeError::WrongBatch { found: record.batch_id, expected: self.batch_id.clone() });
        }
        record.check_conservation()?;
        self.flush_rejects()?;
        record.sequence = self.table_sequence();
        record.table_versions = self.versions.clone();
        if record.finished_at == 0 {
            record.finished_at = self.now();
        }
        self.commit_record(&record)?;
        // The state stands; what is left in the staging folder is removed by the next writer at the latest.
        let _ = recover::clear_staging(self.writer.lake.root());
        Ok(record)
    }

    /// Gives the batch up and takes its traces away.
    ///
    /// # Errors
    /// When a table cannot be restored now; the next writer will try again.
    pub fn abort(self) -> Result<(), LakeError> {
        recover::restore(&self.writer.lake)
    }

    /// Writes the rejects without committing the batch, as a crash just before the end would leave it.
    #[cfg(test)]
    pub(crate) fn flush_for_test(mut self) {
        assert!(self.flush_rejects().is_ok());
    }

    fn log(&self, table: &str) -> TableLog {
        TableLog::new(self.writer.lake.root(), table, self.writer.lake.engine())
    }

    /// Now, but never before the previous state, or states could not be told apart by time.
    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let previous = self.writer.lake.record().map_or(0, |record| record.finished_at);
        i64::try_from(now.as_micros()).unwrap_or(i64::MAX).max(previous + 1)
    }

    fn commit_files(
        &mut self,
        table: &Table,
        log: &TableLog,
        base: Option<u64>,
        buckets: u32,
        files: &FileChange,
        purpose: &str,
    ) -> Result<(), LakeError> {
        if files.add.is_empty() && files.remove.is_empty() {
            return Ok(());
        }
        let schema = arrow_schema(table);
        let commit = || {
            let (base, buckets) = match base {
                None => (log.create(schema.fields(), buckets)?, None),
                Some(version) => (version, (log.buckets(version)? != buckets).then_some(buckets)),
            };
            let change = Change { add: &files.add, remove: &files.remove, buckets, transaction: None, purpose };
            log.commit(base, schema.fields(), &change)
        };
        // On an error the files stay: a commit that seemed to fail may still become visible, and then needs them.
        let version = commit()?;
        self.versions.insert(table.name.to_owned(), version);
        Ok(())
    }

    /// Spreads a table over more buckets, in a commit of its own.
    fn rebucket(
        &mut self,
        layout: &Layout,
        log: &TableLog,
        version: u64,
        stored: &[DataFile],
        buckets: u32,
    ) -> Result<u64, LakeError> {
        let mut stage = Stage::new(layout, buckets, &self.staging, self.writer.memory_budget);
        for file in stored {
            stage.fill(&mut parquet_file::open(&file.path, &layout.schema, None)?, &self.pool)?;
        }
        let job = Job {
            layout,
            lake: self.writer.lake.root(),
            folder: log.folder(),
            stored: BTreeMap::new(),
            batch_id: &self.batch_id,
            full: false,
            allow_shrink: false,
            pool: &self.pool,
        };
        let (_, mut files, _) = upsert::run(&job, stage, None)?;
        files.remove = stored.iter().map(|file| file.path.clone()).collect();
        self.commit_files(layout.table, log, Some(version), buckets, &files, "rebucket")?;
        self.versions
            .get(layout.table.name)
            .copied()
            .ok_or_else(|| LakeError::UnknownTable { name: layout.table.name.to_owned() })
    }

    fn flush_rejects(&mut self) -> Result<(), LakeError> {
        if self.rejects.is_empty() {
            return Ok(());
        }
        let schema = arrow_schema(&REJECTS);
        let rows = concat_batches(&schema, &self.rejects).map_err(LakeError::arrow("collect rejects", REJECTS.name))?;
        self.rejects.clear();
        self.rejects_bytes = 0;
        let log = self.log(REJECTS.name);
        let file = write_batch(&log, &rows, REJECTS.key, &self.pool)?;
        let files = FileChange { add: vec![file], remove: Vec::new() };
        let base = log.newest_version()?;
        self.commit_files(&REJECTS, &log, base, 1, &files, "rejects")
    }

    /// The commit that makes everything before it count.
    fn commit_record(&self, record: &BatchRecord) -> Result<(), LakeError> {
        let table = known_table(BATCHES).ok_or_else(|| LakeError::UnknownTable { name: BATCHES.to_owned() })?;
        let schema = arrow_schema(table);
        let log = self.log(BATCHES);
        let base = match log.newest_version()? {
            Some(version) => version,
            None => log.create(schema.fields(), 1)?,
        };
        let live = log.files(base)?;
        let compacting = live.len() >= MOST_BATCH_FILES;
        let mut records = if compacting { self.writer.lake.batches()? } else { Vec::new() };
        records.push(record.clone());
        let file = write_batch(&log, &record::to_batch(&records)?, table.key, &self.pool)?;
        let remove: Vec<PathBuf> =
            if compacting { live.into_iter().map(|file| file.path).collect() } else { Vec::new() };
        let change = Change {
            add: &[file],
            remove: &remove,
            buckets: None,
            transaction: Some((format!("batch:{}", self.batch_id), i64::try_from(record.sequence).unwrap_or(i64::MAX))),
            purpose: "batch",
        };
        log.commit(base, schema.fields(), &change).map(|_| ())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.staging);
    }
}

/// Writes one batch of rows as the only bucket of a table that is appended to.
fn write_batch(log: &TableLog, rows: &RecordBatch, key: &str, pool: &rayon::ThreadPool) -> Result<NewFile, LakeError> {
    let schema = rows.schema();
    let column = |column: usize| -> Result<Blocks<'_>, LakeError> {
        Ok(Box::new(move |start, count| Ok(Block::Array(rows.column(column).slice(start, count)))))
    };
    let content = Content { schema: &schema, rows: rows.num_rows(), key, business_date: None, column: &column };
    let written = parquet_file::write(log.folder(), 0, &content, pool)?;
    if let Err(error) = written.sync() {
        parquet_file::discard(&[written.file]);
        return Err(error);
    }
    Ok(written.file)
}

fn by_bucket(files: Vec<DataFile>) -> BTreeMap<u32, Vec<DataFile>> {
    let mut buckets: BTreeMap<u32, Vec<DataFile>> = BTreeMap::new();
    for file in files {
        buckets.entry(file.bucket).or_default().push(file);
    }
    buckets
}

fn planned_buckets(rows: u64) -> u32 {
    u32::try_from(rows.div_ceil(BUCKET_ROWS)).unwrap_or(MOST_BUCKETS).clamp(1, MOST_BUCKETS)
}

/// Looks at the first rows of a new table to see whether it is a small one.
fn peek(
    rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
    peeked: &mut Vec<RecordBatch>,
) -> Result<u32, LakeError> {
    let mut seen = 0;
    for batch in rows {
        let batch = batch?;
        seen += batch.num_rows();
        peeked.push(batch);
        if seen > PEEK_ROWS {
            return Ok(UNHINTED_BUCKETS);
        }
    }
    Ok(1)
}
