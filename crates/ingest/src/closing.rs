//! Closing stages under names of a company's own, as the deals that stand in them tell them.
//!
//! A history of stages does not say which of them close a deal. Profiles know the usual names and
//! take every other stage for an open one. Where the stage of a deal settles its status
//! (`stage_settles_status` in the profile of the history), most deals in a stage say which status
//! it has: those of the same export, else those of the lake before it. A stage in which no deal
//! stands keeps what the profile says, and so does one whose deals do not agree.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use dealframe_model::table::ColumnType;
use hashbrown::{HashMap, HashSet};

use crate::column::Builder;
use crate::history::{Texts, View, put};

/// The columns of deals that it takes.
pub const COLUMNS: [&str; 3] = ["source_system", "stage", "status"];

/// How many deals of a stage are won, lost, and in all.
#[derive(Debug, Clone, Copy, Default)]
struct Deals {
    won: u64,
    lost: u64,
    all: u64,
}

impl Deals {
    fn closing(self) -> Option<&'static str> {
        match self {
            Self { won, all, .. } if won * 2 > all => Some("won"),
            Self { lost, all, .. } if lost * 2 > all => Some("lost"),
            _ => None,
        }
    }
}

/// Deals by stage, of the sources whose stages settle the status.
#[derive(Debug, Default)]
pub struct ClosingStages {
    sources: HashSet<String>,
    stages: HashMap<(String, String), Deals>,
}

impl ClosingStages {
    pub fn of(sources: HashSet<String>) -> Self {
        Self { sources, stages: HashMap::new() }
    }

    /// Whether there is any history whose stages settle the status.
    pub fn is_asked(&self) -> bool {
        !self.sources.is_empty()
    }

    pub fn sources(&self) -> &HashSet<String> {
        &self.sources
    }

    /// Counts rows of deals.
    pub fn note(&mut self, deals: &RecordBatch) {
        if !self.is_asked() {
            return;
        }
        let columns = COLUMNS.map(|name| View(deals).texts(name));
        let mut counts: HashMap<[Option<&str>; 3], u64> = HashMap::new();
        match columns {
            // Millions of rows have a handful of codes.
            [Texts::Coded(sources, _), Texts::Coded(stages, _), Texts::Coded(statuses, _)] => {
                let mut coded: HashMap<[Option<usize>; 3], (usize, u64)> = HashMap::new();
                for row in 0..deals.num_rows() {
                    let codes = [sources.key(row), stages.key(row), statuses.key(row)];
                    coded.entry(codes).or_insert((row, 0)).1 += 1;
                }
                for (row, count) in coded.into_values() {
                    *counts.entry(columns.map(|column| column.get(row))).or_default() += count;
                }
            }
            _ => (0..deals.num_rows())
                .for_each(|row| *counts.entry(columns.map(|column| column.get(row))).or_default() += 1),
        }
        for (words, count) in counts {
            let [Some(source), Some(stage), Some(status)] = words else { continue };
            if !self.sources.contains(source) {
                continue;
            }
            let deals = self.stages.entry((source.to_owned(), stage.to_owned())).or_default();
            deals.all += count;
            match status {
                "won" => deals.won += count,
                "lost" => deals.lost += count,
                _ => {}
            }
        }
    }

    /// Takes the stages of an earlier state that no deal noted so far stands in.
    pub fn or(&mut self, earlier: Self) {
        for (stage, deals) in earlier.stages {
            self.stages.entry(stage).or_insert(deals);
        }
    }

    /// A part of a history with the status that its stages have, where they count as open but close a deal.
    ///
    /// # Errors
    /// When the columns cannot be rebuilt, which would be a fault of ours.
    pub fn restate(&self, part: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.stages.values().all(|deals| deals.closing().is_none()) {
            return Ok(part);
        }
        let mut parts = [part];
        for (stage, status) in [("stage", "status"), ("from_stage", "from_status")] {
            if let Some(column) = self.restated(&parts[0], stage, status)? {
                put(&mut parts, status, vec![column])?;
            }
        }
        let [part] = parts;
        Ok(part)
    }

    fn restated(&self, part: &RecordBatch, stage: &str, status: &str) -> Result<Option<ArrayRef>, ArrowError> {
        let view = View(part);
        let (sources, stages, statuses) = (view.texts("source_system"), view.texts(stage), view.texts(status));
        let mut known: HashMap<(&str, &str), Option<&'static str>> = HashMap::new();
        let mut builder = Builder::new(ColumnType::Category);
        let mut is_changed = false;
        for row in 0..part.num_rows() {
            let given = statuses.get(row);
            let closing = match (given, sources.get(row), stages.get(row)) {
                (Some("open"), Some(source), Some(stage)) => *known.entry((source, stage)).or_insert_with(|| {
                    self.stages.get(&(source.to_owned(), stage.to_owned())).and_then(|deals| deals.closing())
                }),
                _ => None,
            };
            is_changed |= closing.is_some();
            builder.push_text(closing.or(given));
        }
        is_changed.then(|| builder.finish()).transpose()
    }
}
