//! Series as CTEs: one line per period and segment combination that has a value.
//!
//! A series CTE has `period` (its index), one column `s1`, `s2`... per segment, `value`,
//! `row_count`, and `numerator` and `denominator` where they are something of their own. What a
//! period without a line has is known when the statement is written ([`Empty`]), just as in
//! `crate::evaluate`. Statements that read the same lines share one CTE.

use std::collections::{BTreeMap, BTreeSet};

use dealframe_model::calendar::{Calendar, Grain};

use super::dialect::Dialect;
use crate::error::QueryError;

/// Where a column of a series comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Null,
    /// The same as the value.
    Value,
    /// A column of its own.
    Own,
}

/// What a period without a line has: 0 or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Empty {
    pub value: bool,
    pub numerator: bool,
    pub denominator: bool,
}

impl Empty {
    pub(super) const NULL: Self = Self { value: false, numerator: false, denominator: false };
    pub(super) const ZERO: Self = Self { value: true, numerator: true, denominator: false };
}

/// The currency of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Currency {
    None,
    One(String),
    /// One per value of the segment at this position.
    Segment(usize),
    /// One of several in the table: the rows decide which.
    OfRows,
}

/// A series and what is known of it without running it.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub name: String,
    /// Other CTEs whose first period the series starts with, if it is earlier.
    pub also_from: Vec<String>,
    pub numerator: Source,
    pub denominator: Source,
    pub empty: Empty,
    pub carried: bool,
    /// The period up to which a stock is known; later ones have what that one has.
    pub carried_to: Option<i32>,
    /// As SQL, the first period for which `empty` holds; before it there is nothing at all.
    pub starts: Option<String>,
    /// Periods after the as-of day belong to it.
    pub ahead: bool,
    /// Digits after the point of everything in it; `None` where a quotient made it a float.
    pub scale: Option<u32>,
    pub currency: Currency,
}

impl Series {
    /// Values that are their own numerators; null in a period without any.
    pub(super) fn of_values(name: String, scale: Option<u32>, currency: Currency) -> Self {
        Self {
            name,
            also_from: Vec::new(),
            numerator: Source::Value,
            denominator: Source::Null,
            empty: Empty::NULL,
            carried: false,
            carried_to: None,
            starts: None,
            ahead: false,
            scale,
            currency,
        }
    }

    /// The first period, as SQL; null for a series without any.
    pub(super) fn first(&self) -> String {
        let firsts: Vec<String> = [&self.name]
            .into_iter()
            .chain(&self.also_from)
            .map(|name| format!("(SELECT MIN(period) FROM {name})"))
            .collect();
        match firsts.as_slice() {
            [one] => one.clone(),
            many => format!("LEAST({})", many.join(", ")),
        }
    }

    /// The last period, as SQL.
    pub(super) fn last(&self) -> String {
        format!("(SELECT MAX(period) FROM {})", self.name)
    }

    /// The value of the line `alias`, with what stands for no line in the period of `key`.
    pub(super) fn value(&self, alias: &str, key: &str) -> String {
        self.or_zero(alias, key, "value", self.empty.value)
    }

    pub(super) fn numerator(&self, alias: &str, key: &str) -> String {
        match self.numerator {
            Source::Null => "NULL".to_owned(),
            Source::Value => self.value(alias, key),
            Source::Own => self.or_zero(alias, key, "numerator", self.empty.numerator),
        }
    }

    pub(super) fn denominator(&self, alias: &str, key: &str) -> String {
        match self.denominator {
            Source::Null => "NULL".to_owned(),
            Source::Value => self.value(alias, key),
            Source::Own => self.or_zero(alias, key, "denominator", self.empty.denominator),
        }
    }

    fn or_zero(&self, alias: &str, key: &str, column: &str, zero: bool) -> String {
        match (&self.starts, zero) {
            (_, false) => format!("{alias}.{column}"),
            (None, true) => format!("CASE WHEN {alias}.period IS NULL THEN 0 ELSE {alias}.{column} END"),
            (Some(starts), true) => format!(
                "CASE WHEN {alias}.period IS NULL AND {key}.period >= {starts} THEN 0 ELSE {alias}.{column} END"
            ),
        }
    }

    /// The join of the series' lines, under an alias, to the keys of another.
    pub(super) fn joined(&self, alias: &str, key: &str, width: usize) -> String {
        // A stock stands as it was in the last period up to which it is known.
        let period =
            self.carried_to.map_or_else(|| format!("{key}.period"), |last| format!("LEAST({key}.period, {last})"));
        format!("LEFT JOIN {} AS {alias} ON {alias}.period = {period}{}", self.name, same_segments(width, alias, key))
    }
}

/// Greater of two scales; a float makes a float.
pub(super) fn joint_scale(left: Option<u32>, right: Option<u32>) -> Option<u32> {
    Some(left?.max(right?))
}

/// Periods that a statement names.
pub(super) struct Periods {
    pub first: i32,
    pub last: i32,
}

/// Periods of one grain beyond which a statement is no longer text for people or engines.
const MOST_PERIODS: i64 = 100_000;

/// A statement in the making.
pub(super) struct Builder {
    pub dialect: Dialect,
    pub calendar: Calendar,
    /// Columns read of every fact table.
    pub needed: BTreeMap<String, BTreeSet<String>>,
    pub periods: BTreeMap<Grain, Periods>,
    /// First day of the range, for grain `all`.
    pub from: Option<i32>,
    series: Vec<(String, String)>,
}

impl Builder {
    pub(super) fn new(dialect: Dialect, calendar: Calendar, from: Option<i32>) -> Self {
        Self { dialect, calendar, needed: BTreeMap::new(), periods: BTreeMap::new(), from, series: Vec::new() }
    }

    /// Adds a CTE, or finds the equal one that is there.
    pub(super) fn add(&mut self, hint: &str, body: String) -> String {
        if let Some((name, _)) = self.series.iter().find(|(_, known)| *known == body) {
            return name.clone();
        }
        let taken = |name: &str| self.series.iter().any(|(known, _)| known == name);
        let mut name = format!("kpi_{hint}");
        let mut number = 2;
        while taken(&name) {
            name = format!("kpi_{hint}_{number}");
            number += 1;
        }
        self.series.push((name.clone(), body));
        name
    }

    pub(super) fn need(&mut self, table: &str, column: &str) {
        self.needed.entry(table.to_owned()).or_default().insert(column.to_owned());
    }

    /// Notes that periods of a grain are named.
    pub(super) fn cover(&mut self, grain: Grain, first: i32, last: i32) {
        let known = self.periods.entry(grain).or_insert(Periods { first, last });
        (known.first, known.last) = (known.first.min(first), known.last.max(last));
    }

    pub(super) fn series(self) -> Vec<(String, String)> {
        self.series
    }

    /// The calendar of a grain as constant rows.
    pub(super) fn calendar_rows(&self, grain: Grain, periods: &Periods) -> Result<String, QueryError> {
        let names = "period, label, first_day, next_day, year, fiscal_year, year_ago";
        let day = |day: i32| self.dialect.date(day);
        if grain == Grain::All {
            let first = self.from.map_or_else(|| "CAST(NULL AS DATE)".to_owned(), day);
            return Ok(format!("SELECT 0 AS period, 'all' AS label, {first} AS first_day"));
        }
        let count = i64::from(periods.last) - i64::from(periods.first) + 1;
        if count > MOST_PERIODS {
            return Err(QueryError::Unsupported {
                kpi: format!("grain {}", grain.name()),
                reason: format!("the statement would list {count} periods"),
                hint: "narrow the range with --from and --to, choose a coarser grain, or look for impossible dates with `dealframe check`"
                    .to_owned(),
            });
        }
        if count < 1 {
            return Ok(format!(
                "SELECT 0 AS period, '' AS label, {0} AS first_day, {0} AS next_day, 0 AS year, 0 AS fiscal_year, \
                 0 AS year_ago\n  WHERE 1 = 0",
                day(0)
            ));
        }
        let calendar = &self.calendar;
        let mut rows = Vec::new();
        for period in periods.first..=periods.last {
            let start = calendar.start(grain, period);
            // As in the pipelines, the year before is a matter of positions and not of the company's calendar.
            let ago = Calendar::default().year_ago(grain, period).unwrap_or(period);
            rows.push(format!(
                "({period}, {}, {}, {}, {}, {}, {ago})",
                self.dialect.text(&calendar.label(grain, period)),
                day(start),
                day(calendar.end(grain, period)),
                calendar.index(Grain::Year, start),
                calendar.index(Grain::FiscalYear, start),
            ));
        }
        Ok(format!("SELECT *\n  FROM (VALUES\n    {}\n  ) AS calendar({names})", rows.join(",\n    ")))
    }
}

/// The CTE of a grain's calendar.
pub(super) fn calendar_name(grain: Grain) -> String {
    format!("calendar_{}", grain.name().replace('-', "_"))
}

/// `s1, s2` of a number of segments, each after a comma, under an alias.
pub(super) fn segments(width: usize, alias: &str) -> String {
    (1..=width).map(|number| format!(", {alias}.s{number}")).collect()
}

/// The same without an alias and without the first comma.
pub(super) fn bare_segments(width: usize) -> String {
    (1..=width).map(|number| format!("s{number}")).collect::<Vec<_>>().join(", ")
}

/// ` AND a.s1 IS NOT DISTINCT FROM b.s1...`
pub(super) fn same_segments(width: usize, left: &str, right: &str) -> String {
    (1..=width).map(|number| format!(" AND {left}.s{number} IS NOT DISTINCT FROM {right}.s{number}")).collect()
}

/// `PARTITION BY s1, s2 ` and what else, or nothing.
pub(super) fn partition(width: usize, alias: &str, more: &[&str]) -> String {
    let mut all: Vec<String> = (1..=width).map(|number| format!("{alias}.s{number}")).collect();
    all.extend(more.iter().map(|column| (*column).to_owned()));
    if all.is_empty() { String::new() } else { format!("PARTITION BY {} ", all.join(", ")) }
}
