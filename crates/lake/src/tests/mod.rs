//! Tests of the crate through its public interface: a lake in a folder of its own per test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod batch;
mod crash;
mod encode;
mod layout;
mod merge;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use dealframe_model::table::Table;

use crate::schema::arrow_schema;
use crate::{Batch, BatchRecord, Lake, LakeError, UpsertCounts, UpsertOptions};

/// A folder that is removed at the end of the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("dealframe-lake-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    pub(super) fn path(&self) -> PathBuf {
        self.0.join("lake")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) type Row = BTreeMap<String, String>;

pub(super) fn table(name: &str) -> &'static Table {
    crate::schema::known_table(name).unwrap()
}

/// A row from "column=value" words; a dot stands for a blank in values.
pub(super) fn row(text: &str) -> Row {
    text.split_whitespace()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Rows as a batch of a table; columns that a row does not name are null.
pub(super) fn batch_of(table: &Table, rows: &[Row]) -> RecordBatch {
    let schema = arrow_schema(table);
    for row in rows {
        assert!(row.keys().all(|name| schema.index_of(name).is_ok()), "{row:?}");
    }
    let column = |name: &str, kind: &DataType| -> ArrayRef {
        let texts: StringArray = rows.iter().map(|row| row.get(name).map(String::as_str)).collect();
        let array = cast(&texts, kind).unwrap();
        assert_eq!(array.null_count(), texts.null_count(), "{name}: {texts:?}");
        array
    };
    use arrow::array::Array;
    let arrays = schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect();
    RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap()
}

/// Rows of a batch as texts; null columns are left out.
pub(super) fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    use arrow::array::Array;
    let mut rows = vec![Row::new(); batch.num_rows()];
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let texts = cast(array, &DataType::Utf8).unwrap();
        let texts = texts.as_string::<i32>();
        for (index, row) in rows.iter_mut().enumerate() {
            if texts.is_valid(index) {
                row.insert(field.name().clone(), texts.value(index).to_owned());
            }
        }
    }
    rows
}

/// All rows of a table, by source system and key.
pub(super) fn content(lake: &Lake, name: &str) -> BTreeMap<String, Row> {
    let table = table(name);
    let mut content = BTreeMap::new();
    for batch in lake.read(name, None).unwrap() {
        for row in rows_of(&batch) {
            let key = format!("{}/{}", row.get("source_system").cloned().unwrap_or_default(), row[table.key]);
            assert!(content.insert(key, row).is_none(), "a key twice");
        }
    }
    content
}

/// A deal with the columns every test needs.
pub(super) fn deal(key: &str, more: &str) -> Row {
    let mut deal = row("source_system=salesforce status=open batch_id=b0 source_file=deals.csv source_line=1");
    deal.insert("deal_id".into(), key.into());
    deal.extend(row(more));
    deal
}

pub(super) fn begin(root: &Path, id: &str) -> Batch {
    Lake::create_or_open(root).unwrap().writer().unwrap().begin(id).unwrap()
}

pub(super) fn upsert_with(
    batch: &mut Batch,
    name: &str,
    parts: &[&[Row]],
    options: UpsertOptions<'_>,
) -> Result<UpsertCounts, LakeError> {
    let table = table(name);
    batch.upsert(table, &mut parts.iter().map(|rows| Ok(batch_of(table, rows))), options)
}

pub(super) fn upsert(batch: &mut Batch, name: &str, rows: &[Row]) -> UpsertCounts {
    upsert_with(batch, name, &[rows], UpsertOptions::default()).unwrap()
}

/// One batch that puts deals into the lake.
pub(super) fn load(root: &Path, id: &str, rows: &[Row]) -> UpsertCounts {
    let mut batch = begin(root, id);
    let counts = upsert(&mut batch, "deals", rows);
    batch.commit(BatchRecord::default()).unwrap();
    counts
}

pub(super) fn counts(inserted: u64, updated: u64, unchanged: u64, duplicate: u64, deleted: u64) -> UpsertCounts {
    UpsertCounts { inserted, updated, unchanged, duplicate, deleted }
}

pub(super) fn open(root: &Path) -> Lake {
    Lake::open(root).unwrap()
}

/// Numbers that look random and are the same in every run.
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
