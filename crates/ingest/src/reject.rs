//! Records that could not be loaded: where they stood, what was found, what was expected.
//!
//! The columns are those of the canonical table `rejects`. The record is kept as it stood;
//! only when rejected records pile up beyond [`KEPT_BYTES`] are further ones kept without
//! their text, with a message that says so: file, line and offset still find them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use dealframe_model::table::REJECTS;

use crate::derived::{Value, record_batch};

/// Raw text kept in one ingest.
pub const KEPT_BYTES: usize = 256 << 20;

/// One record that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub file: Arc<str>,
    pub line: u64,
    pub offset: u64,
    pub table: Option<&'static str>,
    pub column: Option<&'static str>,
    pub value: Option<String>,
    pub reason: &'static str,
    pub message: String,
    pub raw: Option<String>,
}

/// Rejects as rows of the table.
///
/// # Errors
/// When the rows cannot be built, which would be a fault of ours.
pub fn to_batch(rejects: &[Reject], batch_id: &str) -> Result<RecordBatch, ArrowError> {
    let ids: Vec<String> = rejects.iter().map(|reject| format!("{batch_id}:{}:{}", reject.file, reject.line)).collect();
    record_batch(&REJECTS, rejects.len(), |column, row| {
        let reject = &rejects[row];
        match column.name {
            "reject_id" => Value::Text(&ids[row]),
            "batch_id" => Value::Text(batch_id),
            "source_file" => Value::Text(&reject.file),
            "source_line" => Value::Integer(reject.line as i64),
            "byte_offset" => Value::Integer(reject.offset as i64),
            "target_table" => reject.table.map_or(Value::Null, Value::Text),
            "column_name" => reject.column.map_or(Value::Null, Value::Text),
            "value" => reject.value.as_deref().map_or(Value::Null, Value::Text),
            "reason" => Value::Text(reject.reason),
            "message" => Value::Text(&reject.message),
            "raw_record" => reject.raw.as_deref().map_or(Value::Null, Value::Text),
            _ => Value::Null,
        }
    })
}

/// Drops the raw text of rejects beyond the bound; `kept` is what was kept so far.
pub fn bound(rows: &mut [Reject], kept: &mut usize) {
    for row in rows {
        let Some(size) = row.raw.as_ref().map(String::len) else { continue };
        if *kept + size > KEPT_BYTES {
            row.raw = None;
            row.message.push_str(" (the record itself is not kept here: too many rejects; see file and line)");
        } else {
            *kept += size;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn raw_text_is_bounded_and_says_so() {
        let reject = Reject {
            file: Arc::from("f"),
            line: 1,
            offset: 0,
            table: None,
            column: None,
            value: None,
            reason: "too_few_fields",
            message: "m".to_owned(),
            raw: Some("abc".to_owned()),
        };
        let mut rows = vec![reject.clone(), reject];
        let mut kept = KEPT_BYTES - 4;
        bound(&mut rows, &mut kept);
        assert_eq!((rows[0].raw.as_deref(), rows[0].message.as_str()), (Some("abc"), "m"));
        assert!(rows[1].raw.is_none() && rows[1].message.contains("not kept"));
        let again = rows[1].message.clone();
        bound(&mut rows, &mut kept);
        assert_eq!(rows[1].message, again);
    }
}
