//! Data files: how a Parquet file of the lake is written, checked and read.
//!
//! A file is sorted by its caller, compressed lightly, carries page and row group statistics, and
//! keeps the Arrow schema, so that category columns come back as dictionaries. It is durable when
//! `write` returns; it belongs to a table only once `table.rs` committed it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowWriterOptions, compute_leaves};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
use uuid::Uuid;

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
    /// Builds rows `start..start + count` of a column. Called from several threads.
    #[allow(clippy::type_complexity)]
    pub column: &'a (dyn Fn(usize, usize, usize) -> Result<ArrayRef, LakeError> + Sync),
}

/// Writes a new file into the folder of a bucket and makes it durable.
pub(crate) fn write(
    table: &Path,
    bucket: u32,
    content: &Content<'_>,
    pool: &rayon::ThreadPool,
) -> Result<NewFile, LakeError> {
    let folder = table.join(format!("bucket={bucket}"));
    durable::create_folder(&folder)?;
    let path = folder.join(format!("{}.parquet", Uuid::new_v4()));
    let written = write_at(&path, content, pool).and_then(|()| durable::sync_folder(&folder));
    match written.and_then(|()| describe(&path, bucket, content.business_date)) {
        Ok(file) if file.rows == content.rows as u64 => Ok(file),
        Ok(file) => {
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

fn write_at(path: &Path, content: &Content<'_>, pool: &rayon::ThreadPool) -> Result<(), LakeError> {
    let file = File::options().write(true).create_new(true).open(path).map_err(LakeError::io("create", path))?;
    let options = ArrowWriterOptions::new().with_properties(properties(content)?);
    let sink = BufWriter::with_capacity(1 << 20, file);
    let arrow_writer = ArrowWriter::try_new_with_options(sink, Arc::clone(content.schema), options)
        .map_err(LakeError::parquet("write", path))?;
    let (mut writer, factory) = arrow_writer.into_serialized_writer().map_err(LakeError::parquet("write", path))?;
    let mut start = 0;
    let mut group = 0;
    while start < content.rows {
        let count = ROW_GROUP_ROWS.min(content.rows - start);
        let columns = factory.create_column_writers(group).map_err(LakeError::parquet("write", path))?;
        let encode = |(index, mut column): (usize, parquet::arrow::arrow_writer::ArrowColumnWriter)| {
            // Blocks keep the gathered column small, and long texts within the 2 GiB of an Arrow array.
            for block in (start..start + count).step_by(BLOCK_ROWS) {
                let array = (content.column)(index, block, BLOCK_ROWS.min(start + count - block))?;
                let field = content.schema.field(index);
                for leaf in &compute_leaves(field, &array).map_err(LakeError::parquet("write", path))? {
                    column.write(leaf).map_err(LakeError::parquet("write", path))?;
                }
            }
            column.close().map_err(LakeError::parquet("write", path))
        };
        let chunks: Vec<ArrowColumnChunk> =
            pool.install(|| columns.into_par_iter().enumerate().map(encode).collect::<Result<_, LakeError>>())?;
        let mut row_group = writer.next_row_group().map_err(LakeError::parquet("write", path))?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut row_group).map_err(LakeError::parquet("write", path))?;
        }
        row_group.close().map_err(LakeError::parquet("write", path))?;
        start += count;
        group += 1;
    }
    let mut sink = writer.into_inner().map_err(LakeError::parquet("write", path))?;
    sink.flush().map_err(LakeError::io("write", path))?;
    sink.get_ref().sync_all().map_err(LakeError::io("sync", path))
}

fn properties(content: &Content<'_>) -> Result<WriterProperties, LakeError> {
    let level = ZstdLevel::try_new(1).map_err(LakeError::arrow("set up compression", content.key))?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by("dealframe".into())
        .set_column_dictionary_enabled(ColumnPath::from(content.key), false)
        .set_column_dictionary_enabled(ColumnPath::from("source_line"), false)
        .build())
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
