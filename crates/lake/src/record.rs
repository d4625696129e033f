//! One row of the table `batches`, typed, and its way to and from Arrow.
//!
//! The record says what a batch did and which version of every table belongs to the state it
//! made. Nothing here touches files: `writer.rs` stores records, `lake.rs` finds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};
use serde::{Deserialize, Serialize};

use crate::LakeError;
use crate::schema::{arrow_schema, known_table};

/// What one batch did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchRecord {
    /// Content hash over the inputs and the mapping.
    pub batch_id: String,
    /// Position in the history of the lake, from 1; filled by the commit.
    pub sequence: u64,
    /// Microseconds since the epoch, UTC; 0 asks the commit to fill in the clock.
    pub finished_at: i64,
    /// Date of the export, in days since the epoch.
    pub as_of: Option<i32>,
    pub source_path: String,
    pub rows_read: u64,
    pub rows_loaded: u64,
    pub rows_inserted: u64,
    pub rows_updated: u64,
    pub rows_unchanged: u64,
    pub rows_rejected: u64,
    pub rows_duplicate: u64,
    pub rows_furniture: u64,
    /// Delta version of every table of this state; filled by the commit.
    pub table_versions: BTreeMap<String, u64>,
    /// Per file: hash, dialect, profile, mapping, counts, seconds.
    pub manifest: serde_json::Value,
}

impl BatchRecord {
    /// Every row that was read must have ended somewhere.
    pub(crate) fn check_conservation(&self) -> Result<(), LakeError> {
        let loaded = self.rows_inserted + self.rows_updated + self.rows_unchanged;
        if loaded != self.rows_loaded {
            return Err(LakeError::LoadedNotConserved {
                loaded: self.rows_loaded,
                inserted: self.rows_inserted,
                updated: self.rows_updated,
                unchanged: self.rows_unchanged,
            });
        }
        let sum = loaded + self.rows_rejected + self.rows_duplicate + self.rows_furniture;
        if sum != self.rows_read {
            return Err(LakeError::NotConserved {
                read: self.rows_read,
                loaded,
                rejected: self.rows_rejected,
                duplicate: self.rows_duplicate,
                furniture: self.rows_furniture,
                sum,
            });
        }
        Ok(())
    }

    fn counts(&self) -> [(&'static str, u64); 9] {
        [
            ("sequence", self.sequence),
            ("rows_read", self.rows_read),
            ("rows_loaded", self.rows_loaded),
            ("rows_inserted", self.rows_inserted),
            ("rows_updated", self.rows_updated),
            ("rows_unchanged", self.rows_unchanged),
            ("rows_rejected", self.rows_rejected),
            ("rows_duplicate", self.rows_duplicate),
            ("rows_furniture", self.rows_furniture),
        ]
    }
}

fn batches_table() -> Result<&'static dealframe_model::table::Table, LakeError> {
    known_table("batches").ok_or_else(|| LakeError::UnknownTable { name: "batches".into() })
}

/// Records as rows of the table `batches`.
pub(crate) fn to_batch(records: &[BatchRecord]) -> Result<RecordBatch, LakeError> {
    let schema = arrow_schema(batches_table()?);
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        arrays.push(column(field.name(), records)?);
    }
    RecordBatch::try_new(schema, arrays).map_err(LakeError::arrow("build the record", "batches"))
}

fn column(name: &str, records: &[BatchRecord]) -> Result<ArrayRef, LakeError> {
    let text = |value: &dyn Fn(&BatchRecord) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(records.iter().map(value)))
    };
    Ok(match name {
        "batch_id" => text(&|record| record.batch_id.clone()),
        "source_path" => text(&|record| record.source_path.clone()),
        "table_versions" => text(&|record| serde_json::json!(record.table_versions).to_string()),
        "manifest" => text(&|record| record.manifest.to_string()),
        "finished_at" => Arc::new(
            TimestampMicrosecondArray::from_iter_values(records.iter().map(|record| record.finished_at))
                .with_timezone("UTC"),
        ),
        "as_of" => Arc::new(Date32Array::from_iter(records.iter().map(|record| record.as_of))),
        _ => {
            let unknown = || LakeError::UnknownColumn { table: "batches".into(), column: name.to_owned() };
            let mut values = Vec::with_capacity(records.len());
            for record in records {
                let count = record.counts().into_iter().find(|(column, _)| *column == name).ok_or_else(unknown)?;
                values.push(i64::try_from(count.1).map_err(LakeError::arrow("store a count", "batches"))?);
            }
            Arc::new(Int64Array::from(values))
        }
    })
}

/// Rows of the table `batches` as records.
pub(crate) fn from_batch(batch: &RecordBatch) -> Result<Vec<BatchRecord>, LakeError> {
    (0..batch.num_rows()).map(|row| read_row(batch, row)).collect()
}

fn read_row(batch: &RecordBatch, row: usize) -> Result<BatchRecord, LakeError> {
    let find = |name: &str| {
        batch
            .column_by_name(name)
            .ok_or_else(|| LakeError::UnknownColumn { table: "batches".into(), column: name.into() })
    };
    let wrong = |name: &str| LakeError::WrongColumn {
        table: "batches".into(),
        position: 0,
        found: "an unreadable value".into(),
        expected: name.into(),
    };
    let text = |name: &str| -> Result<String, LakeError> {
        let array = find(name)?.as_string_opt::<i32>().ok_or_else(|| wrong(name))?;
        Ok(if array.is_null(row) { String::new() } else { array.value(row).to_owned() })
    };
    let count = |name: &str| -> Result<u64, LakeError> {
        let array = find(name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(name))?;
        u64::try_from(array.value(row)).map_err(|_| wrong(name))
    };
    let finished =
        find("finished_at")?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| wrong("finished_at"))?;
    let as_of = find("as_of")?.as_primitive_opt::<Date32Type>().ok_or_else(|| wrong("as_of"))?;
    Ok(BatchRecord {
        batch_id: text("batch_id")?,
        sequence: count("sequence")?,
        finished_at: finished.value(row),
        as_of: (!as_of.is_null(row)).then(|| as_of.value(row)),
        source_path: text("source_path")?,
        rows_read: count("rows_read")?,
        rows_loaded: count("rows_loaded")?,
        rows_inserted: count("rows_inserted")?,
        rows_updated: count("rows_updated")?,
        rows_unchanged: count("rows_unchanged")?,
        rows_rejected: count("rows_rejected")?,
        rows_duplicate: count("rows_duplicate")?,
        rows_furniture: count("rows_furniture")?,
        table_versions: serde_json::from_str(&text("table_versions")?).map_err(|_| wrong("table_versions"))?,
        manifest: serde_json::from_str(&text("manifest")?).map_err(|_| wrong("manifest"))?,
    })
}
