//! What can be asked: requests, and the settings under which they are answered.
//!
//! A request names KPIs, segments, grains and a range as the user wrote them; resolving the
//! names against catalogue and lake is the planner's business (`plan`). Periods in words are
//! read in `period`.

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::kpi::Base;

/// One question: KPIs × grains, by segments, over a range.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// KPI ids.
    pub kpis: Vec<String>,
    /// Segment names, in the order of the result's columns.
    pub by: Vec<String>,
    /// Grains, in the order of the result; empty means `all`.
    pub grains: Vec<Grain>,
    /// First day of the range.
    pub from: Option<i32>,
    /// First day after the range.
    pub to: Option<i32>,
    /// Filters over columns and segments; all must hold.
    pub filters: Vec<String>,
    pub compare: Option<Base>,
    /// Keep the segment combinations with the greatest values over the range; the rest become one line `(other)`.
    pub top: Option<u32>,
    /// Leave out periods and combinations without rows.
    pub sparse: bool,
    /// Give rates and means their 95 % interval.
    pub interval: bool,
}

/// How a currency conversion picks its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RateKind {
    /// The newest spot rate on or before the business date.
    #[default]
    Spot,
    /// The average rate of the period, as the rates table gives it.
    Average,
    /// The fixed plan rate: growth without currency effects.
    Plan,
}

impl RateKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Average => "average",
            Self::Plan => "plan",
        }
    }
}

/// What holds for every request of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// "Now": the newest day that counts. By default the newest business date in the lake.
    pub as_of: Option<i32>,
    /// Convert money into this currency.
    pub currency: Option<String>,
    pub rate_kind: RateKind,
    pub calendar: Calendar,
    /// Directory with KPI definitions of the user's own.
    pub kpis: Option<std::path::PathBuf>,
    /// State of the lake: a batch sequence or a time. By default the latest.
    pub lake_sequence: Option<u64>,
    /// Bytes that the groups of one pass may take; a question that would need more is refused.
    pub memory_limit: Option<u64>,
    /// Rows that a table must have for what was summed up from it to be kept for the next run; by default those from
    /// which on it pays.
    pub keeps_from: Option<u64>,
}
