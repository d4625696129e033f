//! A finished report: headline tiles, sections with charts and tables, definitions.
//!
//! `grid` lays a tidy frame out as the table a reader expects, `tiles` makes the headlines, and
//! `html`, `markdown` and `json` print the whole. Nothing that changes between two runs over the
//! same lake (times, durations, paths) belongs into a document.

pub mod grid;
pub mod html;
pub mod json;
pub mod markdown;
pub mod tiles;

use dealframe_model::frame::Frame;
use serde::Deserialize;

use crate::chart;
use tiles::Tile;

/// Which dimension lies across the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Columns {
    /// Periods for one KPI by segments over at most 13 periods, else KPIs.
    #[default]
    Auto,
    Kpis,
    Periods,
}

/// A report, ready to print.
#[derive(Debug, Clone, Default)]
pub struct Document {
    pub title: String,
    pub description: Option<String>,
    pub as_of: Option<i32>,
    pub lake_sequence: u64,
    /// The range as it was resolved: `2017-01-01 .. 2017-12-31`.
    pub period: String,
    pub tiles: Vec<Tile>,
    pub sections: Vec<Section>,
    pub definitions: Vec<Definition>,
}

/// One section and its answer.
#[derive(Debug, Clone)]
pub struct Section {
    pub title: String,
    pub slug: String,
    pub text: Option<String>,
    pub period: String,
    pub filters: Vec<String>,
    pub chart: chart::Kind,
    pub columns: Columns,
    pub answer: Answer,
}

/// What became of a section.
#[derive(Debug, Clone)]
pub enum Answer {
    Frame(Frame),
    Failed { error: String, hint: Option<String> },
}

/// What a KPI of the report means.
#[derive(Debug, Clone)]
pub struct Definition {
    pub id: String,
    pub name: String,
    pub what: String,
    pub formula: String,
    pub caveats: String,
}
