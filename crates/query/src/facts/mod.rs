//! Fact tables: what the planner needs at rest, derived from the lake and disposable.
//!
//! A fact table holds the rows of one canonical (or derived) table in the shape that aggregation
//! wants: segments resolved through their references and written as dictionary codes, money as
//! integers, every business date with its month. It is kept under `<lake>/_facts/` and carries
//! the versions of every lake table it was made from; a fact table whose versions differ from
//! the pinned state of the lake is never read. Deleted rows are left out here, once for all.
//!
//! `build` makes canonical fact tables, `derived` those that no export contains (stays in a
//! stage, customer activity, movements of recurring revenue), `dimension` resolves segments,
//! `dictionary` assigns the codes, `store` keeps the files.

pub(crate) mod anchor;
pub(crate) mod build;
pub(crate) mod derived;
pub(crate) mod dictionary;
pub(crate) mod dimension;
pub(crate) mod encode;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::error::QueryError;

/// How a fact column is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// UInt32 codes of a dictionary; 0 is null.
    Code {
        domain: String,
    },
    /// Int64 scaled by 10^scale.
    Number {
        scale: u32,
    },
    Boolean,
    /// Date32, beside it `<name>__month`: months since year 0.
    Date,
}

/// A fact column with its statistics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactColumn {
    pub name: String,
    pub kind: FactKind,
    pub nulls: bool,
    /// Smallest and greatest value of numbers and dates.
    pub bounds: Option<(i64, i64)>,
    /// Number of distinct codes, for the planner's cost rule.
    pub distinct: u32,
}

/// A fact table at rest.
#[derive(Debug)]
pub struct Fact {
    pub table: String,
    pub directory: PathBuf,
    pub columns: Vec<FactColumn>,
    pub parts: Vec<PathBuf>,
    pub rows: u64,
    dictionaries: Mutex<BTreeMap<String, Arc<Vec<Box<str>>>>>,
}

impl Fact {
    pub(crate) fn new(
        table: String,
        directory: PathBuf,
        columns: Vec<FactColumn>,
        parts: Vec<PathBuf>,
        rows: u64,
    ) -> Self {
        Self { table, directory, columns, parts, rows, dictionaries: Mutex::default() }
    }

    pub fn column(&self, name: &str) -> Option<&FactColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The labels of a dictionary; code `n` is the label at `n - 1`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn labels(&self, domain: &str) -> Result<Arc<Vec<Box<str>>>, QueryError> {
        let mut loaded = self.dictionaries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(labels) = loaded.get(domain) {
            return Ok(Arc::clone(labels));
        }
        let labels = Arc::new(store::read_dictionary(&self.directory, domain)?);
        loaded.insert(domain.to_owned(), Arc::clone(&labels));
        Ok(labels)
    }
}

/// Name of the month column that stands beside a date column.
pub(crate) fn month_column(date: &str) -> String {
    format!("{date}__month")
}
