//! One Delta table: its versions, its live files and its commits.
//!
//! Every call of `delta_kernel` stands in this file, because that crate changes its interface
//! often while the format on disk stays. A commit here is durable when it returns: the engine's
//! store syncs the log, and data files must have been synced by `parquet_file.rs` before.
//! Which versions belong together is decided in `writer.rs` and `recover.rs`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, StructArray};
use arrow::datatypes::{DataType as ArrowType, Field, Fields};
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine_data::FilteredEngineData;
use delta_kernel::expressions::Scalar;
use delta_kernel::scan::StatsOptions;
use delta_kernel::scan::state::ScanFile;
use delta_kernel::schema::{DataType, StructField, StructType};
use delta_kernel::snapshot::{Snapshot, SnapshotRef};
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;
use delta_kernel::transaction::{CommitResult, Transaction, UpdateTableOperation};
use delta_kernel::{Engine, FileMeta, KernelError};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::parquet::DataFileMetadata;
use delta_kernel_default_engine::{DefaultEngineBuilder, build_add_file_metadata};
use object_store::local::LocalFileSystem;
use url::Url;

use crate::lake::DataFile;
use crate::parquet_file::NewFile;
use crate::{LakeError, durable};

/// Column by which every table is partitioned.
const PARTITION: &str = "bucket";
/// Domain metadata that holds the bucket count; unlike a table property it can change with a rewrite.
const LAYOUT_DOMAIN: &str = "dealframe.layout";
const WRITER_NAME: &str = concat!("dealframe/", env!("CARGO_PKG_VERSION"));
/// Commits after which the log is summed up in a checkpoint.
const CHECKPOINT_EVERY: u64 = 20;

/// Shared access to the table logs of a lake.
#[derive(Clone)]
pub(crate) struct LogEngine(Arc<dyn Engine>);

impl LogEngine {
    pub(crate) fn new() -> Result<Self, LakeError> {
        let store = Arc::new(LocalFileSystem::new().with_fsync(true));
        let executor = TokioMultiThreadExecutor::new_owned_runtime(Some(1), Some(4)).map_err(log("*", "start"))?;
        Ok(Self(Arc::new(DefaultEngineBuilder::new(store).with_task_executor(Arc::new(executor)).build())))
    }
}

/// What a commit changes.
#[derive(Default)]
pub(crate) struct Change<'a> {
    pub add: &'a [NewFile],
    /// Live files that leave the table.
    pub remove: &'a [PathBuf],
    /// A new bucket count.
    pub buckets: Option<u32>,
    /// Application id and version of a Delta `txn` action.
    pub transaction: Option<(String, i64)>,
    /// What the commit is for, for people who read the table history.
    pub purpose: &'a str,
}

/// The log of one table.
#[derive(Clone)]
pub(crate) struct TableLog {
    name: String,
    folder: PathBuf,
    engine: LogEngine,
}

impl TableLog {
    /// `lake` must be an absolute path.
    pub(crate) fn new(lake: &Path, name: &str, engine: &LogEngine) -> Self {
        Self { name: name.to_owned(), folder: lake.join(name), engine: engine.clone() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the table was ever created: its log has a commit or a checkpoint.
    pub(crate) fn exists(&self) -> Result<bool, LakeError> {
        let is_entry = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(|first: char| first.is_ascii_digit())
                && (name.ends_with(".json") || name.ends_with(".parquet"))
        };
        Ok(durable::list(&self.folder.join("_delta_log"))?.iter().any(is_entry))
    }

    /// The newest version, `None` before the table exists.
    pub(crate) fn newest_version(&self) -> Result<Option<u64>, LakeError> {
        Ok(if self.exists()? { Some(self.snapshot(None)?.version()) } else { None })
    }

    /// Live files of a version, sorted by path.
    pub(crate) fn files(&self, version: u64) -> Result<Vec<DataFile>, LakeError> {
        let snapshot = self.snapshot(Some(version))?;
        self.files_of(&snapshot)
    }

    /// Number of buckets the keys of a version are spread over.
    pub(crate) fn buckets(&self, version: u64) -> Result<u32, LakeError> {
        let snapshot = self.snapshot(Some(version))?;
        let text = snapshot
            .get_domain_metadata(LAYOUT_DOMAIN, self.engine.0.as_ref())
            .map_err(log(&self.name, "read the layout"))?
            .unwrap_or_default();
        text.parse().map_err(|_| {
            LakeError::damaged(&self.folder, format!("the table says it has {text:?} buckets, expected a number"))
        })
    }

    /// The version an application id was last committed with.
    #[cfg(test)]
    pub(crate) fn transaction_version(&self, application: &str) -> Result<Option<i64>, LakeError> {
        if !self.exists()? {
            return Ok(None);
        }
        self.snapshot(None)?
            .get_app_id_version(application, self.engine.0.as_ref())
            .map_err(log(&self.name, "read the transactions"))
    }

    /// Creates the empty table and returns its version.
    pub(crate) fn create(&self, fields: &Fields, buckets: u32) -> Result<u64, LakeError> {
        durable::create_folder(&self.folder)?;
        let mut columns = Vec::with_capacity(fields.len() + 1);
        for field in fields {
            columns.push(StructField::nullable(field.name(), self.delta_type(field)?));
        }
        columns.push(StructField::nullable(PARTITION, DataType::INTEGER));
        let schema = StructType::try_new(columns).map_err(log(&self.name, "build the schema"))?;
        let engine = self.engine.0.as_ref();
        let result = create_table(self.url()?, Arc::new(schema), WRITER_NAME, false)
            .with_table_properties([
                ("delta.enableInCommitTimestamps", "true"),
                ("delta.feature.domainMetadata", "supported"),
                // Statistics come from us: row count and business date. Others must not expect more.
                ("delta.dataSkippingNumIndexedCols", "0"),
            ])
            .with_data_layout(DataLayout::partitioned([PARTITION]))
            .with_domain_metadata(LAYOUT_DOMAIN, buckets.to_string())
            .build(engine, Box::new(FileSystemCommitter::new()))
            .and_then(|transaction| transaction.commit(engine).map(|result| result.is_committed()));
        match result {
            Ok(true) => Ok(0),
            // The commit may be there although its confirmation is not: look before giving up.
            Ok(false) | Err(_) if self.exists()? => {
                let version = self.snapshot(None)?.version();
                if version == 0 && self.buckets(0)? == buckets && self.files(0)?.is_empty() {
                    Ok(0)
                } else {
                    Err(LakeError::Conflict { table: self.name.clone(), found: version, expected: 0 })
                }
            }
            Ok(false) => Err(LakeError::Conflict { table: self.name.clone(), found: 0, expected: 0 }),
            Err(error) => Err(log(&self.name, "create the table")(error)),
        }
    }

    /// Commits a change on top of version `base` and returns the new version.
    pub(crate) fn commit(&self, base: u64, fields: &Fields, change: &Change<'_>) -> Result<u64, LakeError> {
        let snapshot = self.snapshot(None)?;
        if snapshot.version() != base {
            return Err(self.conflict(snapshot.version(), base));
        }
        let transaction = self.transaction(&snapshot, fields, change)?;
        match transaction.commit(self.engine.0.as_ref()) {
            Ok(CommitResult::Committed(committed)) => {
                if committed.post_commit_stats().commits_since_checkpoint >= CHECKPOINT_EVERY
                    && let Some(snapshot) = committed.post_commit_snapshot()
                {
                    // A checkpoint only makes reading faster: the commit stands without it, the next one tries again.
                    let _ = snapshot.checkpoint(self.engine.0.as_ref(), None);
                }
                Ok(committed.commit_version())
            }
            Ok(CommitResult::Conflicted(conflicted)) => Err(self.conflict(conflicted.conflict_version(), base)),
            Ok(CommitResult::Retryable(retryable)) => {
                self.settle(base, change, log(&self.name, "commit")(retryable.error))
            }
            Err(error) => self.settle(base, change, log(&self.name, "commit")(error)),
        }
    }

    /// After a failed commit: it may be in the log nevertheless (a failed sync after the link).
    fn settle(&self, base: u64, change: &Change<'_>, error: LakeError) -> Result<u64, LakeError> {
        let Ok(snapshot) = self.snapshot(None) else { return Err(error) };
        if snapshot.version() != base + 1 {
            return Err(error);
        }
        let live = self.files_of(&snapshot)?;
        let is_live = |path: &Path| live.iter().any(|file| file.path == path);
        let applied =
            change.add.iter().all(|file| is_live(&file.path)) && !change.remove.iter().any(|path| is_live(path));
        if applied && !(change.add.is_empty() && change.remove.is_empty()) {
            durable::sync_folder(&self.folder.join("_delta_log"))?;
            return Ok(base + 1);
        }
        Err(error)
    }

    fn transaction(
        &self,
        snapshot: &SnapshotRef,
        fields: &Fields,
        change: &Change<'_>,
    ) -> Result<Transaction, LakeError> {
        let engine = self.engine.0.as_ref();
        let operation =
            if change.remove.is_empty() { UpdateTableOperation::Write } else { UpdateTableOperation::Merge };
        let mut builder = snapshot
            .clone()
            .update_table(operation, WRITER_NAME, true)
            .with_operation_parameters([("purpose", Some(change.purpose))]);
        let known = snapshot.schema();
        for field in fields.iter().filter(|field| known.field(field.name()).is_none()) {
            builder = builder.add_column(StructField::nullable(field.name(), self.delta_type(field)?));
        }
        if let Some(buckets) = change.buckets {
            builder = builder.with_domain_metadata(LAYOUT_DOMAIN, buckets.to_string());
        }
        if let Some((application, version)) = &change.transaction {
            builder = builder.with_transaction_id(application.clone(), *version);
        }
        let mut transaction =
            builder.build(engine, Box::new(FileSystemCommitter::new())).map_err(log(&self.name, "begin a commit"))?;
        if !change.remove.is_empty() {
            self.remove(snapshot, &mut transaction, change.remove)?;
        }
        self.add(&mut transaction, change.add)?;
        Ok(transaction)
    }

    fn add(&self, transaction: &mut Transaction, files: &[NewFile]) -> Result<(), LakeError> {
        for file in files {
            let bucket = i32::try_from(file.bucket).map_err(LakeError::arrow("store the bucket", &self.name))?;
            let context = transaction
                .write_state()
                .and_then(|state| {
                    state
                        .write_context_builder()
                        .with_partition_values(HashMap::from([(PARTITION.to_owned(), Scalar::Integer(bucket))]))
                        .build()
                })
                .map_err(log(&self.name, "prepare a file"))?;
            let location = Url::from_file_path(&file.path)
                .map_err(|()| LakeError::damaged(&file.path, "the path cannot be written as a URL"))?;
            let modified = std::fs::metadata(&file.path)
                .and_then(|metadata| metadata.modified())
                .map_err(LakeError::io("read", &file.path))?
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(0));
            let meta = FileMeta { location, last_modified: modified, size: file.bytes };
            let stats = statistics(file).map_err(LakeError::arrow("build statistics", &self.name))?;
            let row = build_add_file_metadata(DataFileMetadata::new(meta, stats), &context)
                .map_err(log(&self.name, "add a file"))?;
            transaction.add_files(row);
        }
        Ok(())
    }

    fn remove(
        &self,
        snapshot: &SnapshotRef,
        transaction: &mut Transaction,
        paths: &[PathBuf],
    ) -> Result<(), LakeError> {
        let wanted: std::collections::HashSet<&PathBuf> = paths.iter().collect();
        let engine = self.engine.0.as_ref();
        let scan = snapshot
            .clone()
            .scan_builder()
            .without_row_transforms()
            .with_stats(StatsOptions::none())
            .build()
            .map_err(log(&self.name, "list files"))?;
        let root = self.url()?;
        let mut found = 0;
        for metadata in scan.scan_metadata(engine).map_err(log(&self.name, "list files"))? {
            let metadata = metadata.map_err(log(&self.name, "list files"))?;
            let (data, mut selection) = metadata.scan_files.into_parts();
            let data = ArrowEngineData::try_from_engine_data(data).map_err(log(&self.name, "list files"))?;
            let batch = data.record_batch();
            // A short selection means that the rest is selected.
            selection.resize(batch.num_rows(), true);
            let names = batch
                .column_by_name("path")
                .and_then(|column| column.as_string_opt::<i32>())
                .ok_or_else(|| LakeError::damaged(&self.folder, "the log lists files without paths"))?;
            for (row, selected) in selection.iter_mut().enumerate() {
                if *selected {
                    *selected = wanted.contains(&self.resolve(&root, names.value(row))?);
                    found += usize::from(*selected);
                }
            }
            if selection.contains(&true) {
                let chosen = FilteredEngineData::try_new(data, selection).map_err(log(&self.name, "remove files"))?;
                transaction.remove_files(chosen);
            }
        }
        if found == wanted.len() {
            Ok(())
        } else {
            Err(LakeError::damaged(&self.folder, format!("{} files to remove, {found} of them live", wanted.len())))
        }
    }

    fn files_of(&self, snapshot: &SnapshotRef) -> Result<Vec<DataFile>, LakeError> {
        let engine = self.engine.0.as_ref();
        let scan =
            snapshot.clone().scan_builder().without_row_transforms().build().map_err(log(&self.name, "list files"))?;
        let mut listed: Vec<ScanFile> = Vec::new();
        for metadata in scan.scan_metadata(engine).map_err(log(&self.name, "list files"))? {
            listed = metadata
                .and_then(|metadata| metadata.visit_scan_files(listed, |files, file| files.push(file)))
                .map_err(log(&self.name, "list files"))?;
        }
        let root = self.url()?;
        let mut files = Vec::with_capacity(listed.len());
        for file in listed {
            let path = self.resolve(&root, &file.path)?;
            if file.dv_info.has_vector() {
                return Err(LakeError::damaged(&path, "rows were deleted by another program (deletion vector)"));
            }
            let rows = file.stats.as_ref().map(|stats| stats.num_records);
            let rows = rows.ok_or_else(|| LakeError::damaged(&path, "the log does not say how many rows it has"))?;
            let bucket = file.partition_values.get(PARTITION).and_then(|value| value.parse().ok());
            let bucket = bucket.ok_or_else(|| LakeError::damaged(&path, "the log does not say which bucket it is"))?;
            let bytes = u64::try_from(file.size).map_err(|_| LakeError::damaged(&path, "negative size in the log"))?;
            files.push(DataFile { path, rows, bytes, bucket });
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(files)
    }

    fn snapshot(&self, version: Option<u64>) -> Result<SnapshotRef, LakeError> {
        let mut builder = Snapshot::builder_for(self.url()?);
        if let Some(version) = version {
            builder = builder.at_version(version);
        }
        builder.build(self.engine.0.as_ref()).map_err(log(&self.name, "open the table"))
    }

    fn url(&self) -> Result<Url, LakeError> {
        Url::from_directory_path(&self.folder)
            .map_err(|()| LakeError::damaged(&self.folder, "the path of a table must be absolute"))
    }

    fn resolve(&self, root: &Url, path: &str) -> Result<PathBuf, LakeError> {
        root.join(path)
            .ok()
            .and_then(|url| url.to_file_path().ok())
            .ok_or_else(|| LakeError::damaged(&self.folder, format!("the log names the file {path:?}")))
    }

    fn delta_type(&self, field: &Field) -> Result<DataType, LakeError> {
        Ok(match field.data_type() {
            ArrowType::Utf8 | ArrowType::Dictionary(_, _) => DataType::STRING,
            ArrowType::Int64 => DataType::LONG,
            ArrowType::Boolean => DataType::BOOLEAN,
            ArrowType::Date32 => DataType::DATE,
            ArrowType::Timestamp(_, _) => DataType::TIMESTAMP,
            ArrowType::Decimal128(precision, scale) => {
                let scale = u8::try_from(*scale).map_err(LakeError::arrow("build the schema", &self.name))?;
                DataType::decimal(*precision, scale).map_err(log(&self.name, "build the schema"))?
            }
            other => {
                return Err(LakeError::WrongColumn {
                    table: self.name.clone(),
                    position: 0,
                    found: other.to_string(),
                    expected: "a type of the canonical tables".into(),
                });
            }
        })
    }

    fn conflict(&self, found: u64, base: u64) -> LakeError {
        LakeError::Conflict { table: self.name.clone(), found, expected: base }
    }
}

fn log<'a>(table: &'a str, action: &'static str) -> impl FnOnce(KernelError) -> LakeError + 'a {
    move |source| LakeError::Log { table: table.to_owned(), action, source: Box::new(source) }
}

/// Row count, and the range of the business date, in the shape the log wants.
fn statistics(file: &NewFile) -> Result<StructArray, arrow::error::ArrowError> {
    let rows = i64::try_from(file.rows).unwrap_or(i64::MAX);
    let mut fields = vec![Field::new("numRecords", ArrowType::Int64, true)];
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![rows]))];
    if let Some(range) = &file.dates {
        let one = |kind: ArrowType, array: ArrayRef| -> Result<ArrayRef, arrow::error::ArrowError> {
            let field = Field::new(range.column.as_str(), kind, true);
            Ok(Arc::new(StructArray::try_new(Fields::from(vec![field]), vec![array], None)?))
        };
        let nulls = i64::try_from(range.nulls).unwrap_or(i64::MAX);
        for (name, array) in [
            ("nullCount", one(ArrowType::Int64, Arc::new(Int64Array::from(vec![nulls])))?),
            ("minValues", one(ArrowType::Date32, Arc::new(Date32Array::from(vec![range.least])))?),
            ("maxValues", one(ArrowType::Date32, Arc::new(Date32Array::from(vec![range.greatest])))?),
        ] {
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
    }
    fields.push(Field::new("tightBounds", ArrowType::Boolean, true));
    arrays.push(Arc::new(BooleanArray::from(vec![true])));
    StructArray::try_new(Fields::from(fields), arrays, None)
}
