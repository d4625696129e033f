//! Fact tables: what the planner needs at rest, derived from the lake and disposable.
//!
//! A fact table holds the rows of one canonical (or derived) table in the shape that aggregation
//! wants: segments resolved through their references and written as dictionary codes, money as
//! integers, every business date with its month. It is kept under `<lake>/_facts/` and carries
//! the versions of every lake table it was made from; a fact table whose versions differ from
//! the pinned state of the lake is never read. Deleted rows are left out here, once for all.
//!
//! `build` makes canonical fact tables, `carry` makes them out of those of an older state where few
//! rows changed, `derived` makes those that no export contains (stays in a stage, customer
//! activity, movements of recurring revenue), `dimension` resolves segments, `dictionary` assigns
//! the codes, `store` keeps the files, `verify` holds what is at rest against the lake.

pub(crate) mod anchor;
pub(crate) mod build;
pub(crate) mod carry;
pub(crate) mod derived;
pub(crate) mod dictionary;
pub(crate) mod dimension;
pub(crate) mod encode;
pub(crate) mod store;
pub(crate) mod verify;

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
    pub columns: Vec<FactColumn>,
    pub parts: Vec<PathBuf>,
    pub rows: u64,
    /// What a table that was carried over from an older state says beyond its `parts`.
    pub layers: Option<Layers>,
    dictionaries: Arc<Dictionaries>,
}

/// Rows of the older state that do not count any more, and rows that count instead.
///
/// Every measure is a sum or a count by cell, so what holds for the table is what holds for its
/// parts, less what holds for `removed`, plus what holds for `added`.
#[derive(Debug)]
pub struct Layers {
    pub removed: Box<Fact>,
    pub added: Box<Fact>,
}

impl Layers {
    /// Both, and whether what they say is taken away or added.
    pub(crate) fn signed(&self) -> [(&Fact, i8); 2] {
        [(&*self.removed, -1), (&*self.added, 1)]
    }
}

/// The labels of a table and its layers, read when they are first asked for.
#[derive(Debug)]
struct Dictionaries {
    /// Where dictionaries may lie, those of a newer state first.
    places: Vec<PathBuf>,
    loaded: Mutex<BTreeMap<String, Arc<Vec<Box<str>>>>>,
}

/// Name of a row across the states of a table: a hash of its source and identifier.
///
/// No KPI can refer to it; it serves to find rows that were replaced.
pub(crate) const ROW_KEY: &str = "row_key";

impl Fact {
    pub fn column(&self, name: &str) -> Option<&FactColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The most rows that a pass over the table can come upon.
    pub(crate) fn scanned_rows(&self) -> u64 {
        let layers = self.layers.iter().flat_map(Layers::signed).map(|(layer, _)| layer.rows);
        self.rows + layers.sum::<u64>()
    }

    /// The labels of a dictionary; code `n` is the label at `n - 1`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn labels(&self, domain: &str) -> Result<Arc<Vec<Box<str>>>, QueryError> {
        let mut loaded = self.dictionaries.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(labels) = loaded.get(domain) {
            return Ok(Arc::clone(labels));
        }
        let labels = Arc::new(store::read_dictionary(&store::dictionary(&self.dictionaries.places, domain)?)?);
        loaded.insert(domain.to_owned(), Arc::clone(&labels));
        Ok(labels)
    }
}

/// Name of the month column that stands beside a date column.
pub(crate) fn month_column(date: &str) -> String {
    format!("{date}__month")
}
