//! Parquet, zstd-compressed, one row group per million rows.

use std::io::Write;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::ReportError;

pub(super) fn write(batch: &RecordBatch, out: &mut dyn Write) -> Result<(), ReportError> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))
        .map_err(|error| ReportError::build("Parquet file", error))?;
    writer.write(batch).map_err(|error| ReportError::build("Parquet file", error))?;
    writer.close().map_err(|error| ReportError::build("Parquet file", error))?;
    out.write_all(&bytes).map_err(ReportError::Write)
}
