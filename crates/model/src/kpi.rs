//! What a KPI is: the shape of the definition files in `crates/query/kpis`.
//!
//! A definition is data. It names tables, date columns, measures and rules, and carries its own
//! documentation; nothing in it names an engine. A missing field is an error, an unknown one
//! too. Reading the files, checking them against the tables and running them is the business of
//! `dealframe-query`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One KPI. Field names are those of the YAML files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Lower-case words joined by `_`; equals the file name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Folder the file lies in: revenue, leads, pipeline, customers, cost, satisfaction or activity; or one of your own.
    pub family: String,
    pub unit: Unit,
    /// Whether a higher value is better.
    pub better: Better,
    /// Readings of the same idea share a concept; `--variants` prints them side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concept: Option<String>,
    pub compute: Compute,
    /// What the KPI measures, in one or two sentences.
    pub what: String,
    /// The formula in words.
    pub formula: String,
    /// Why anybody looks at it.
    pub why: String,
    /// Which rows count, and by which date.
    pub population: String,
    /// What it does not say, and where it misleads.
    pub caveats: String,
    /// A worked example with figures.
    pub example: String,
    /// Identifiers in the KPI inventory.
    pub inventory: Vec<String>,
    /// Other KPIs worth reading beside this one.
    pub related: Vec<String>,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// An amount in a currency; the result names the currency.
    Money,
    Count,
    /// A fraction: 0.25 is 25 %.
    Ratio,
    Days,
    Hours,
    Minutes,
    Seconds,
    Months,
    /// A number with no unit of its own: a score, an index, sales per head.
    Number,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Count => "count",
            Self::Ratio => "ratio",
            Self::Days => "days",
            Self::Hours => "hours",
            Self::Minutes => "minutes",
            Self::Seconds => "seconds",
            Self::Months => "months",
            Self::Number => "number",
        }
    }

    /// How many of a unit of time a day has.
    pub fn in_a_day(self) -> Option<i64> {
        match self {
            Self::Days => Some(1),
            Self::Hours => Some(24),
            Self::Minutes => Some(1_440),
            Self::Seconds => Some(86_400),
            Self::Money | Self::Count | Self::Ratio | Self::Months | Self::Number => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Higher,
    Lower,
    Neither,
}

/// How the value comes about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Compute {
    /// What happened in the period.
    Flow { measure: Measure },
    /// One part over another; null when the denominator is 0.
    Ratio {
        numerator: Part,
        denominator: Part,
        /// Only what happens within so many days counts above, and only what is that old counts at all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<Within>,
        /// Multiplies the quotient, e.g. 100 for a score in points.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        #[schemars(range(min = 1, max = 1_000_000_000))]
        factor: i64,
        /// The denominator is the mean of its terms (of the start and the end of the period) and not their sum.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        denominator_is_mean: bool,
    },
    /// What stands at the end of the period.
    Stock { stock: Stock },
    /// A sum of parts, e.g. revenue less cost.
    Total { part: Part },
    /// Another KPI against itself: over time, or against its total.
    // The operation lies beside `of`, which the schema cannot say without this word.
    #[schemars(extend("unevaluatedProperties" = false))]
    Derived(Derived),
    /// Arithmetic on the values of other KPIs: names, numbers, `+ - * /` and brackets. A name stands for the value as
    /// it is shown, a quotient with its twelve digits, so that anybody can work it out again from the parts.
    Formula { formula: String },
    /// Customers seen in one period and again in the next.
    Retention { retention: Retention },
    /// How long something takes, with what still runs counted as not yet ended: the Kaplan-Meier estimate.
    Survival { survival: Survival },
    /// Movements of recurring revenue: new, expansion, contraction, churn, reactivation, or their sum.
    Recurring { movement: Movement },
    /// Actual against target, over the targets of one metric.
    Attainment {
        /// As the column `metric` of targets has it: revenue, deals_won, leads, or one of your own.
        metric: String,
        /// The KPI that is held against the targets, in their unit.
        actual: String,
        show: AttainmentShow,
        /// Spreads each target over the days of its own period, and sets what was reached against the share of it
        /// that falls on the days until the as-of day.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pacing: Option<Pacing>,
    },
}

impl Compute {
    /// The name of the kind, as in the files.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flow { .. } => "flow",
            Self::Ratio { .. } => "ratio",
            Self::Stock { .. } => "stock",
            Self::Total { .. } => "total",
            Self::Derived(_) => "derived",
            Self::Formula { .. } => "formula",
            Self::Retention { .. } => "retention",
            Self::Survival { .. } => "survival",
            Self::Recurring { .. } => "recurring",
            Self::Attainment { .. } => "attainment",
        }
    }
}

fn one() -> i64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_one(factor: &i64) -> bool {
    *factor == 1
}

/// A conversion within a number of days after the date that puts a row into a period.
///
/// Above the line a row counts if `until` lies at most `days` days after that date. Rows younger than that on the
/// as-of day count neither above nor below: they are not failures, their time is not over yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Within {
    /// At most a hundred years.
    #[schemars(range(min = 1, max = 36_525))]
    pub days: u32,
    /// Date column of the table above the line: when it happened.
    pub until: String,
}

/// A part of a ratio: one term, or several that are added up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Part {
    One(Box<Term>),
    Sum(Vec<Term>),
}

impl Part {
    pub fn terms(&self) -> &[Term] {
        match self {
            Self::One(term) => std::slice::from_ref(term),
            Self::Sum(terms) => terms,
        }
    }
}

/// One addend of a part: a measure, a stock or another KPI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("allOf" = [
    { "oneOf": [{ "required": ["measure"] }, { "required": ["stock"] }, { "required": ["kpi"] }] },
    { "not": { "required": ["measure", "at"], "properties": { "at": { "const": "start" } } } },
]))]
pub struct Term {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<Stock>,
    /// The value of another KPI of kind flow, stock, total or recurring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kpi: Option<String>,
    /// For a stock: at the start or at the end of the period. What happens in a period has no start.
    #[serde(default)]
    pub at: At,
    /// Subtract instead of adding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub minus: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum At {
    Start,
    #[default]
    End,
}

/// An aggregate over the rows of a table that fall into the period by one date column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    pub table: String,
    /// Date column that puts a row into a period.
    pub date: String,
    pub aggregate: Aggregate,
    /// What is aggregated; not for `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Rows that count.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The value where no row counts.
    #[serde(default)]
    pub empty: Empty,
    /// The date lies ahead by nature (an expected closing, a target): rows after the as-of day count as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ahead: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// Rows; with `of`, rows where it is not null.
    Count,
    Sum,
    /// Distinct values, null not counted.
    CountDistinct,
    /// Exact, between the two middle values where their number is even.
    Median,
    /// Exact 90th percentile with linear interpolation.
    P90,
    /// What stands behind the interval of a mean. Not for definitions.
    #[serde(skip)]
    #[schemars(skip)]
    SumOfSquares,
}

/// The value of an aggregate over no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    #[default]
    Zero,
    Null,
}

/// What is there at a point in time: rows that have started and have not ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stock {
    pub table: String,
    /// Date column from which a row counts.
    pub from: String,
    /// Date column from which a row no longer counts; null there means that it still does.
    pub until: String,
    pub aggregate: Aggregate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// A KPI made from another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Derived {
    /// Id of the KPI it is made from.
    pub of: String,
    #[serde(flatten)]
    pub operation: Operation,
}

/// What `derived` does with another KPI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "operation", deny_unknown_fields)]
pub enum Operation {
    /// (value - base) / base.
    Growth { base: Base },
    /// Value / the sum over all values of the segments, in the same period.
    Share {
        /// Segment to show when the query names none.
        segment: String,
    },
    /// Sum from the start of the year (or of all time) to the end of the period.
    Cumulative { reset: Reset },
    /// Mean of the last periods.
    MovingAverage {
        #[schemars(range(min = 2, max = 36_525))]
        periods: u32,
    },
    /// Sum of the last periods.
    MovingSum {
        #[schemars(range(min = 2, max = 36_525))]
        periods: u32,
    },
    /// The KPI itself, broken down by a segment when the query names none.
    By { segment: String },
    /// Value / the mean of the values of its year: above 1 in strong periods.
    SeasonalIndex,
    /// Least-squares slope over the last periods, per period.
    Trend {
        #[schemars(range(min = 2, max = 36_525))]
        periods: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    Previous,
    YearAgo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    Never,
    Year,
    FiscalYear,
}

/// Identity-based retention: of the customers of the period before, those seen again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub table: String,
    pub date: String,
    /// Who is recognised again.
    pub key: String,
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Share that came back, or share that did not.
    pub show: RetentionShow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetentionShow {
    Retained,
    Lost,
}

/// The time from the entry of a row to its end, in the unit of the KPI, which is one of time.
///
/// Rows are put into periods by their entry. Each is watched for the whole days from its entry to
/// the as-of day: what took longer, or has not ended, counts as still running after that time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Survival {
    pub table: String,
    /// Date column of the entry: the watch begins with it.
    pub date: String,
    /// How long a row took that has ended. Where it is null the row does not count.
    pub of: String,
    /// Rows that have ended; all others still run.
    pub ended: String,
    /// Rows that count.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    pub show: SurvivalShow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SurvivalShow {
    /// The shortest time after which at most half still run; null while more do.
    Median,
    /// The shortest time after which at most a tenth still run; null while more do.
    P90,
    /// The restricted mean: the area under the curve up to the longest time watched; null where nothing has ended.
    Mean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    New,
    Expansion,
    Contraction,
    Churn,
    Reactivation,
    Net,
}

/// How a target is spread: by the season of its own actual figures, else evenly by days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pacing {
    /// So many years before a target's period say how much of it falls on each of its months. Years whose months are
    /// not all known on the as-of day say nothing; 0 spreads evenly.
    #[schemars(range(min = 0, max = 100))]
    pub years: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttainmentShow {
    Target,
    Rate,
    Gap,
}
