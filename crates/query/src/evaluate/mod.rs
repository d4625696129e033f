//! Definitions to values: which asks a KPI has, and what its value is once they are answered.
//!
//! The same walk over a definition is done twice. The first time it only collects asks, so that
//! the planner sees all of them at once; the second time it reads the cubes. A value is kept
//! with numerator, denominator and row count. `leaf` reads measures and stocks, `survival`
//! distributions of times, `pacing` spreads targets, `kinds` combines them, `table` lays the result out as a frame.

mod converted;
pub(crate) mod interval;
pub(crate) mod kinds;
pub(crate) mod leaf;
pub(crate) mod money;
pub(crate) mod pacing;
pub(crate) mod past;
pub(crate) mod points;
pub(crate) mod space;
pub(crate) mod survival;
pub(crate) mod table;
pub(crate) mod year;

use dealframe_model::calendar::{Calendar, Grain, TimeUnit};
use dealframe_model::expression::Expression;
use dealframe_model::frame::Number;

use crate::catalogue::Catalogue;
use crate::error::QueryError;
use crate::plan::{Ask, Cubes, Facts};
use crate::request::Settings;
use points::Points;

/// Period index and segment combination.
pub(crate) type Key = (i32, u32);

/// A value with its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub value: Option<Number>,
    pub numerator: Option<Number>,
    pub denominator: Option<Number>,
    pub rows: i64,
}

impl Point {
    pub(crate) const NULL: Self = Self { value: None, numerator: None, denominator: None, rows: 0 };

    pub(crate) fn of(value: Number, rows: i64) -> Self {
        Self { value: Some(value), numerator: Some(value), denominator: None, rows }
    }
}

/// The values of one KPI at one grain.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub points: Points<Point>,
    /// What a period without rows has.
    pub empty: Point,
    /// Set for what stands at a point in time: a missing period has the value of the one before.
    pub carried: bool,
    /// First and last period with data.
    pub span: Option<(i32, i32)>,
    /// First period for which [`Series::empty`] holds; before it there is nothing at all.
    pub starts: Option<i32>,
    /// Periods after the as-of day belong to it.
    pub ahead: bool,
    /// Currency of every combination, for money.
    pub currency: money::Currency,
}

impl Series {
    pub(crate) fn get(&self, key: Key) -> Point {
        match self.points.get(&key) {
            Some(point) => *point,
            None if self.starts.is_some_and(|starts| key.0 < starts) => Point::NULL,
            None => self.empty,
        }
    }

    /// Segment combinations that occur.
    pub(crate) fn combinations(&self) -> Vec<u32> {
        self.points.combinations()
    }
}

/// What a question fixes for every KPI in it.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub by: Vec<String>,
    pub grain: Grain,
    /// Unit in which the cubes of the question keep time.
    pub unit: TimeUnit,
    /// Half-open range of days, the last one already cut off after the as-of day.
    pub from: Option<i32>,
    pub to: Option<i32>,
    /// The end of the range as it was asked for, for what lies ahead by nature.
    pub to_asked: Option<i32>,
    pub filter: Option<Expression>,
    pub filter_text: String,
}

/// Where the walk over a definition gets its cubes from.
pub(crate) enum Source<'a> {
    /// First walk: write down what is needed.
    Collect(&'a mut Vec<Ask>),
    /// Second walk: read.
    Answer(&'a Cubes),
}

/// Everything a walk needs.
pub(crate) struct Walk<'a> {
    pub facts: &'a Facts,
    pub catalogue: &'a Catalogue,
    pub calendar: Calendar,
    pub settings: &'a Settings,
    pub as_of: Option<i32>,
    pub source: Source<'a>,
    pub space: &'a mut space::Space,
    pub rates: &'a mut money::Rates,
    pub notes: &'a mut Vec<String>,
}

impl Walk<'_> {
    /// The values of a KPI.
    pub(crate) fn kpi(&mut self, id: &str, question: &Question) -> Result<Series, QueryError> {
        let catalogue = self.catalogue;
        let definition = catalogue.get(id)?;
        self.compute(definition, question)
    }

    pub(crate) fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Whether this is the first walk, in which no values are there yet.
    pub(crate) fn is_collecting(&self) -> bool {
        matches!(self.source, Source::Collect(_))
    }
}

pub(crate) fn no_values(empty: Point, carried: bool) -> Series {
    Series {
        points: Points::new(),
        empty,
        carried,
        span: None,
        starts: None,
        ahead: false,
        currency: money::Currency::default(),
    }
}
