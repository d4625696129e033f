//! Whole ingests into a lake on disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixtures;
mod meaning;
mod real_data;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use dealframe_lake::Lake;

use crate::{IngestError, IngestOptions, IngestOutcome, ingest};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("dealframe-ingest-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn lake(&self) -> PathBuf {
        self.0.join("lake")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load(path: &Path, lake: &Path) -> Result<IngestOutcome, IngestError> {
    load_with(path, lake, &IngestOptions::default())
}

fn load_with(path: &Path, lake: &Path, options: &IngestOptions) -> Result<IngestOutcome, IngestError> {
    let outcome = ingest(&[path.to_path_buf()], lake, options, &mut |_| {})?;
    let sum = outcome.loaded + outcome.rejected + outcome.duplicate + outcome.furniture;
    assert_eq!(outcome.rows_read, sum, "conservation");
    Ok(outcome)
}

/// The rows of a table as text, columns in the order asked for, sorted.
fn rows(lake: &Path, table: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let lake = Lake::open(lake).unwrap();
    let mut out = Vec::new();
    for batch in lake.read(table, None).unwrap() {
        let options = FormatOptions::default().with_null("∅");
        let formatters: Vec<ArrayFormatter<'_>> = columns
            .iter()
            .map(|name| ArrayFormatter::try_new(batch.column_by_name(name).unwrap().as_ref(), &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            out.push(formatters.iter().map(|formatter| formatter.value(row).to_string()).collect());
        }
    }
    out.sort();
    out
}

fn reasons(lake: &Path) -> Vec<String> {
    rows(lake, "rejects", &["source_file", "source_line", "reason", "column_name"])
        .into_iter()
        .map(|row| row.join(" "))
        .collect()
}
