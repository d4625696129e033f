//! What an ingest did, for people and for the batch manifest.

use dealframe_lake::BatchRecord;

/// The whole ingest.
#[derive(Debug, Clone, Default)]
pub struct IngestOutcome {
    /// The same contents with the same mapping were ingested before, and would change nothing; nothing was done.
    pub already_applied: bool,
    /// The batch, unless it was a dry run.
    pub batch: Option<BatchRecord>,
    pub files: Vec<FileOutcome>,
    pub tables: Vec<TableOutcome>,
    pub rows_read: u64,
    pub loaded: u64,
    pub rejected: u64,
    pub duplicate: u64,
    pub furniture: u64,
    /// The first rejects of every file.
    pub reject_samples: Vec<RejectSample>,
    pub seconds: f64,
}

/// One input file.
#[derive(Debug, Clone, Default)]
pub struct FileOutcome {
    /// Relative to the ingested path.
    pub path: String,
    pub table: Option<&'static str>,
    pub profile: Option<String>,
    pub dialect: String,
    pub encoding: String,
    pub rows_read: u64,
    pub rejected: u64,
    pub furniture: u64,
    /// Header of the file and canonical column.
    pub mapped: Vec<(String, String)>,
    /// Headers that are kept in `extra`.
    pub unmapped: Vec<String>,
    pub warnings: Vec<String>,
}

/// One canonical table. Without `derived`, the counts are of records read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableOutcome {
    pub table: &'static str,
    pub inserted: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub duplicate: u64,
    pub deleted: u64,
    /// Rows new to the table that were made from rows of other tables, such as stage changes from snapshots.
    pub derived: u64,
}

impl TableOutcome {
    /// Whether the table is as it was before.
    pub fn changes_nothing(&self) -> bool {
        self.inserted + self.updated + self.deleted + self.derived == 0
    }
}

/// A rejected record, shortened for the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectSample {
    pub file: String,
    pub line: u64,
    pub reason: &'static str,
    pub message: String,
}
