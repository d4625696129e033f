//! Data files: how a Parquet file of the lake is written, checked and read.
//!
//! A file is sorted by its caller, compressed lightly, carries page and row group statistics, and
//! keeps the Arrow schema, so that category columns come back as dictionaries. It is durable once it
//! was synced, and belongs to a table only once `table.rs` committed it. How columns become bytes
//! is in `encode`.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use rayon::prelude::*;
use uuid::Uuid;

use crate::encode::{Blocks, ColumnChunk, Encoder};
use crate::{LakeError, durable};

/// Rows of a row group: the unit that readers skip, and that is encoded in parallel by column.
pub(crate) const ROW_GROUP_ROWS: usize = 256 * 1024;
/// Rows that are gathered and encoded at once.
pub(crate) const BLOCK_ROWS: usize = 32 * 1024;
/// Rows per batch when a file is read.
const READ_ROWS: usize = 64 * 1024;

/// A data file that was written, but may not be committed yet.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    pub path: PathBuf,
    pub bucket: u32,
    pub rows: u64,
    pub bytes: u64,
    pub dates: Option<DateRange>,
}

/// Range of the business date of a file, for readers that skip files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DateRange {
    pub column: String,
    pub least: Option<i32>,
    pub greatest: Option<i32>,
    pub nulls: u64,
}

/// What a file is to hold.
pub(crate) struct Content<'a> {
    pub schema: &'a SchemaRef,
    pub rows: usize,
    /// Column with almost only distinct values: a dictionary would be built in vain.
    pub key: &'a str,
    pub business_date: Option<&'a str>,
    /// Gives a column, block by block. Called from several threads.
    #[allow(clippy::type_complexity)]
    pub column: &'a (dyn Fn(usize) -> Result<Blocks<'a>, LakeError> + Sync),
}

/// A file with all its bytes that a power cut might still take.
pub(crate) struct Unsynced {
    pub file: NewFile,
    open: File,
    folder: PathBuf,
}

impl Unsynced {
    /// Makes the file durable. This waits for the disk, so it is better done beside other work.
    pub(crate) fn sync(&self) -> Result<(), LakeError> {
        self.open.sync_all().map_err(LakeError::io("sync", &self.file.path))?;
        durable::sync_folder(&self.folder)
    }
}

/// Writes a new file into the folder of a bucket.
pub(crate) fn write(
    table: &Path,
    bucket: u32,
    content: &Content<'_>,
    pool: &rayon::ThreadPool,
) -> Result<Unsynced, LakeError> {
    let folder = table.join(format!("bucket={bucket}"));
    durable::create_folder(&folder)?;
    let path = folder.join(format!("{}.parquet", Uuid::new_v4()));
    let written = write_at(&path, content, pool);
    match written.and_then(|open| Ok((open, describe(&path, bucket, content.business_date)?))) {
        Ok((open, file)) if file.rows == content.rows as u64 => Ok(Unsynced { file, open, folder }),
        Ok((_, file)) => {
            discard(std::slice::from_ref(&file));
            Err(LakeError::damaged(&path, format!("{} rows written, {} found", content.rows, file.rows)))
        }
        Err(error) => {
            let _ = fs::remove_file(&path);
            Err(error)
        }
    }
}

/// Removes files that will not be committed. What cannot be removed is left to the next vacuum.
pub(crate) fn discard(files: &[NewFile]) {
    for file in files {
        let _ = fs::remove_file(&file.path);
    }
}

fn write_at(path: &Path, content: &Content<'_>, pool: &rayon::ThreadPool) -> Result<File, LakeError> {
    let file = File::options().write(true).create_new(true).open(path).map_err(LakeError::io("create", path))?;
    let properties = WriterProperties::builder().set_created_by("dealframe".into()).build();
    let options = ArrowWriterOptions::new().with_properties(properties);
    let sink = BufWriter::with_capacity(1 << 20, file);
    let arrow_writer = ArrowWriter::try_new_with_options(sink, Arc::clone(content.schema), options)
        .map_err(LakeError::parquet("write", path))?;
    // Only its schema is asked of the Arrow writer; the columns are encoded here.
    let (mut writer, _) = arrow_writer.into_serialized_writer().map_err(LakeError::parquet("write", path))?;
    let descriptors = writer.schema_descr().columns().to_vec();
    let groups: Vec<(usize, usize)> = (0..content.rows)
        .step_by(ROW_GROUP_ROWS)
        .map(|start| (start, ROW_GROUP_ROWS.min(content.rows - start)))
        .collect();
    // A column is got ready once for all its row groups. Compressed, they are small enough to wait.
    let encode = |(index, descriptor): (usize, &ColumnDescPtr)| -> Result<Vec<ColumnChunk>, LakeError> {
        let field = content.schema.field(index);
        let blocks = (content.column)(index)?;
        let mut chunks = Vec::with_capacity(groups.len());
        for (start, count) in &groups {
            let mut encoder =
                Encoder::new(Arc::clone(descriptor), field.data_type(), *count, field.name() == content.key)
                    .map_err(LakeError::parquet("write", path))?;
            // Blocks keep the gathered column small, and long texts within the 2 GiB of an Arrow array.
            for block in (*start..start + count).step_by(BLOCK_ROWS) {
                let block = blocks(block, BLOCK_ROWS.min(start + count - block))?;
                encoder.take(&block).map_err(LakeError::parquet("write", path))?;
            }
            chunks.push(encoder.finish().map_err(LakeError::parquet("write", path))?);
        }
        Ok(chunks)
    };
    let columns: Vec<Vec<ColumnChunk>> =
        pool.install(|| descriptors.par_iter().enumerate().map(encode).collect::<Result<_, LakeError>>())?;
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    for _ in &groups {
        let mut row_group = writer.next_row_group().map_err(LakeError::parquet("write", path))?;
        for chunk in columns.iter_mut().filter_map(Iterator::next) {
            chunk.append_to(&mut row_group).map_err(LakeError::parquet("write", path))?;
        }
        row_group.close().map_err(LakeError::parquet("write", path))?;
    }
    let mut sink = writer.into_inner().map_err(LakeError::parquet("write", path))?;
    sink.flush().map_err(LakeError::io("write", path))?;
    sink.into_inner().map_err(|error| LakeError::io("write", path)(error.into_error()))
}

/// Reads the footer of a file of ours: row count, size and range of the business date.
pub(crate) fn describe(path: &Path, bucket: u32, business_date: Option<&str>) -> Result<NewFile, LakeError> {
    let file = File::open(path).map_err(LakeError::io("open", path))?;
    let bytes = file.metadata().map_err(LakeError::io("read", path))?.len();
    let reader =
        ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(LakeError::parquet("read", path))?;
    let metadata = reader.metadata();
    let rows = u64::try_from(metadata.file_metadata().num_rows())
        .map_err(|_| LakeError::damaged(path, "negative row count"))?;
    let dates = business_date.and_then(|column| date_range(metadata, column));
    Ok(NewFile { path: path.to_path_buf(), bucket, rows, bytes, dates })
}

/// `None` unless every row group has exact statistics of the column.
fn date_range(metadata: &ParquetMetaData, column: &str) -> Option<DateRange> {
    let names = metadata.file_metadata().schema_descr();
    let index = (0..names.num_columns()).find(|index| names.column(*index).name() == column)?;
    let mut range = DateRange { column: column.to_owned(), least: None, greatest: None, nulls: 0 };
    for group in metadata.row_groups() {
        let statistics = group.column(index).statistics()?;
        range.nulls += statistics.null_count_opt()?;
        let Statistics::Int32(values) = statistics else { return None };
        let (least, greatest) = (values.min_opt().copied(), values.max_opt().copied());
        range.least = range.least.into_iter().chain(least).min();
        range.greatest = range.greatest.into_iter().chain(greatest).max();
    }
    Some(range)
}

/// Reads columns of a file by name. A column that the file is too old to have is null.
pub(crate) fn open(
    path: &Path,
    schema: &SchemaRef,
    batch_rows: Option<usize>,
) -> Result<impl Iterator<Item = Result<RecordBatch, LakeError>> + use<>, LakeError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(LakeError::damaged(path, "the file is missing, but the table log names it"));
        }
        Err(error) => return Err(LakeError::io("open", path)(error)),
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(LakeError::parquet("read", path))?;
    let present: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mask = ProjectionMask::columns(builder.parquet_schema(), present);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(batch_rows.unwrap_or(READ_ROWS))
        .build()
        .map_err(LakeError::parquet("read", path))?;
    let schema = Arc::clone(schema);
    let path = path.to_path_buf();
    Ok(reader.map(move |batch| {
        let batch = batch.map_err(LakeError::parquet("read", &path))?;
        conform(&batch, &schema).map_err(LakeError::parquet("read", &path))
    }))
}

/// Columns in the order of the schema, with its types.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        arrays.push(match batch.column_by_name(field.name()) {
            None => new_null_array(field.data_type(), batch.num_rows()),
            Some(array) if array.data_type() == field.data_type() => Arc::clone(array),
            // Files that another Delta writer made have plain strings, for example.
            Some(array) => cast(array, field.data_type())?,
        });
    }
    RecordBatch::try_new_with_options(
        Arc::clone(schema),
        arrays,
        &arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
    )
}
