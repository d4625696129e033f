//! Closing stages under names of a company's own, as the deals that stand in them tell them.
//!
//! A history of stages does not say which of them close a deal. Profiles know the usual names and
//! take every other stage for an open one. Where the stage of a deal settles its status
//! (`stage_settles_status` in the profile of the history), most deals in a stage say which status
//! it has: those of the same export, else those of the lake before it. A stage in which no deal
//! stands keeps what the profile says, and so does one whose deals do not agree. Once deals tell
//! that a stage closes one, what the lake holds of its history is told anew ([`Restated`]).

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use dealframe_model::table::ColumnType;
use hashbrown::{HashMap, HashSet};

use crate::column::Builder;
use crate::history::{Texts, View, put, row_key};

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

    /// Stages that close a deal, and did not by what was known earlier.
    pub fn new_since(&self, earlier: &Self) -> Self {
        let was = |stage: &(String, String)| earlier.stages.get(stage).and_then(|deals| deals.closing());
        let is_new = |stage: &(String, String), deals: &Deals| {
            deals.closing().is_some_and(|closing| was(stage) != Some(closing))
        };
        let stages = self.stages.iter().filter(|(stage, deals)| is_new(stage, deals));
        Self { sources: self.sources.clone(), stages: stages.map(|(stage, deals)| (stage.clone(), *deals)).collect() }
    }

    /// Takes the stages of an earlier state that no deal noted so far stands in.
    pub fn or(&mut self, earlier: Self) {
        for (stage, deals) in earlier.stages {
            self.stages.entry(stage).or_insert(deals);
        }
    }

    pub fn closes_any(&self) -> bool {
        self.stages.values().any(|deals| deals.closing().is_some())
    }

    /// A part of a history with the status that its stages have, where they count as open but close a deal.
    ///
    /// # Errors
    /// When the columns cannot be rebuilt, which would be a fault of ours.
    pub fn restate(&self, part: RecordBatch) -> Result<RecordBatch, ArrowError> {
        Ok(self.restated(part)?.0)
    }

    /// The same, with the rows that are others now.
    fn restated(&self, part: RecordBatch) -> Result<(RecordBatch, BooleanArray), ArrowError> {
        let mut changed = vec![false; part.num_rows()];
        let mut parts = [part];
        if self.closes_any() {
            for (stage, status) in [("stage", "status"), ("from_stage", "from_status")] {
                let closings = self.closings(&parts[0], stage, status);
                // Most parts have nothing to tell anew, and keep their columns.
                if closings.iter().any(Option::is_some) {
                    let given = View(&parts[0]).texts(status);
                    let mut builder = Builder::new(ColumnType::Category);
                    for (row, closing) in closings.into_iter().enumerate() {
                        changed[row] |= closing.is_some();
                        builder.push_text(closing.or(given.get(row)));
                    }
                    let column = builder.finish()?;
                    put(&mut parts, status, vec![column])?;
                }
            }
        }
        let [part] = parts;
        Ok((part, changed.into()))
    }

    /// For every row the status that closes the deal, where the row says open.
    fn closings(&self, part: &RecordBatch, stage: &str, status: &str) -> Vec<Option<&'static str>> {
        let view = View(part);
        let (sources, stages, statuses) = (view.texts("source_system"), view.texts(stage), view.texts(status));
        let mut known: HashMap<(&str, &str), Option<&'static str>> = HashMap::new();
        let closing = |row| match (statuses.get(row), sources.get(row), stages.get(row)) {
            (Some("open"), Some(source), Some(stage)) => *known.entry((source, stage)).or_insert_with(|| {
                self.stages.get(&(source.to_owned(), stage.to_owned())).and_then(|deals| deals.closing())
            }),
            _ => None,
        };
        (0..part.num_rows()).map(closing).collect()
    }
}

/// Rows of the lake's history that are to be told anew, because deals tell by now which stages close one.
#[derive(Debug, Default)]
pub struct Restated {
    rows: Vec<RecordBatch>,
    keys: HashSet<u64>,
}

impl Restated {
    /// Looks at a part of the lake's history. What two exports of deals differ in has the status of the deals.
    ///
    /// # Errors
    /// As [`ClosingStages::restate`].
    pub fn note(&mut self, part: RecordBatch, stages: &ClosingStages) -> Result<(), ArrowError> {
        let (part, changed) = stages.restated(part)?;
        let origins = View(&part).texts("origin");
        let is_told = |row: &usize| origins.get(*row) != Some("snapshot_diff");
        let picked: BooleanArray = (0..part.num_rows()).map(|row| Some(changed.value(row) && is_told(&row))).collect();
        if picked.has_true() {
            let rows = filter_record_batch(&part, &picked)?;
            self.keys.extend(keys(&rows));
            self.rows.push(rows);
        }
        Ok(())
    }

    /// Leaves out rows that the export brings anew.
    pub fn without(&mut self, part: &RecordBatch) {
        if !self.keys.is_empty() {
            for key in keys(part) {
                self.keys.remove(&key);
            }
        }
    }

    /// What is to be told anew.
    ///
    /// # Errors
    /// When rows cannot be picked, which would be a fault of ours.
    pub fn into_rows(self) -> Result<Vec<RecordBatch>, ArrowError> {
        let picked =
            |rows: &RecordBatch| -> BooleanArray { keys(rows).map(|key| Some(self.keys.contains(&key))).collect() };
        self.rows.iter().map(|rows| filter_record_batch(rows, &picked(rows))).collect()
    }
}

/// What tells the changes of a part apart.
fn keys(part: &RecordBatch) -> impl Iterator<Item = u64> {
    let (sources, ids) = (View(part).texts("source_system"), View(part).texts("change_id"));
    (0..part.num_rows()).map(move |row| row_key(sources.get(row), ids.get(row).unwrap_or_default()))
}
