//! Arrow IPC files (Feather 2), for pandas, Polars and R without parsing.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::ipc::writer::FileWriter;

use crate::ReportError;

pub(super) fn write(batch: &RecordBatch, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut writer =
        FileWriter::try_new(Vec::new(), &batch.schema()).map_err(|error| ReportError::build("Arrow file", error))?;
    writer.write(batch).map_err(|error| ReportError::build("Arrow file", error))?;
    let bytes = writer.into_inner().map_err(|error| ReportError::build("Arrow file", error))?;
    out.write_all(&bytes).map_err(ReportError::Write)
}
