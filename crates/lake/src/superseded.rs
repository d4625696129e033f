//! Records that another record of the same batch supersedes, although it says something else.
//!
//! They are counted as `duplicate`, but two records of one key that differ may also mean that the
//! key is not what the export means by one record; so whoever ingests is told which file, how many,
//! and where the first ones stand. Exact repetitions are not listed. `merge.rs` finds them.

use std::collections::BTreeMap;

use crate::chunk::Layout;
use crate::gather::{Gather, Place};

/// Records listed per file; the others are only counted.
const LISTED: usize = 3;

/// The superseded records of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superseded {
    pub table: &'static str,
    /// As in `source_file`.
    pub file: String,
    pub records: u64,
    /// The first of them, by line.
    pub first: Vec<SupersededRecord>,
}

/// A record that lost, and the one that won.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SupersededRecord {
    pub line: Option<i64>,
    pub key: String,
    pub winner_file: String,
    pub winner_line: Option<i64>,
}

/// Superseded records by file, gathered over the buckets of a table.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, (u64, Vec<SupersededRecord>)>);

impl Tally {
    /// Takes in pairs of loser and winner.
    pub(crate) fn note(&mut self, layout: &Layout, gather: &Gather<'_>, pairs: &[(Place, Place)]) {
        for (loser, winner) in pairs {
            let file = gather.text(layout.file, *loser).unwrap_or_default();
            let line = gather.integer(layout.line, *loser);
            let (records, first) = match self.0.get_mut(file) {
                Some(known) => known,
                None => self.0.entry(file.to_owned()).or_default(),
            };
            *records += 1;
            if first.len() >= LISTED && first.last().is_some_and(|last| last.line <= line) {
                continue;
            }
            let text = |column: usize, place: Place| gather.text(column, place).unwrap_or_default().to_owned();
            first.push(SupersededRecord {
                line,
                key: text(layout.key, *loser),
                winner_file: text(layout.file, *winner),
                winner_line: gather.integer(layout.line, *winner),
            });
            first.sort();
            first.truncate(LISTED);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (file, (count, records)) in other.0 {
            let (total, first) = self.0.entry(file).or_default();
            *total += count;
            first.extend(records);
            first.sort();
            first.truncate(LISTED);
        }
    }

    pub(crate) fn into_list(self, table: &'static str) -> impl Iterator<Item = Superseded> {
        self.0.into_iter().map(move |(file, (records, first))| Superseded { table, file, records, first })
    }
}
