//! The tidy result of a query: one row per KPI, period and segment combination.
//!
//! Columns, in this order: `kpi, grain, period_start, period, <segments...>, value, unit,
//! numerator, denominator, rows`, with a comparison `base_value, change, change_ratio`, and with
//! intervals `low, high, small_sample`.
//! Every number is an exact scaled integer, so that a frame prints the same bytes everywhere.
//! `dealframe-query` makes frames, `dealframe-report` prints them.

use std::sync::Arc;

use crate::calendar::Grain;
use crate::decimal;
use crate::kpi::Unit;

/// An exact number: `value` / 10^`scale`.
///
/// Packed, because a result holds millions of them: a line takes half the room that it would take aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C, packed(4))]
pub struct Number {
    pub value: i128,
    pub scale: u32,
}

impl Number {
    pub const ZERO: Self = Self { value: 0, scale: 0 };

    /// Plain decimal without trailing zeros.
    pub fn plain(self) -> String {
        decimal::format(self.value, self.scale, 0)
    }

    /// Rounded half away from zero to `digits` after the point, and printed with exactly so many.
    pub fn rounded(self, digits: u32) -> String {
        decimal::format(decimal::rescale(self.value, self.scale, digits), digits, digits)
    }

    /// Nearest float, for charts and formats that have no decimals.
    #[expect(clippy::cast_precision_loss, reason = "charts do not need more than a float holds")]
    pub fn to_f64(self) -> f64 {
        self.value as f64 / decimal::power_of_ten(self.scale) as f64
    }
}

/// One line of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Position of the KPI in [`Frame::kpis`].
    pub kpi: u32,
    /// Position of the period in [`Frame::periods`].
    pub period: u32,
    /// One entry per segment: position of the value in [`Frame::labels`], `None` for null. Shared by the lines of a combination.
    pub segments: Arc<[Option<u32>]>,
    pub value: Option<Number>,
    /// Position of the unit in [`Frame::units`].
    pub unit: u32,
    pub numerator: Option<Number>,
    pub denominator: Option<Number>,
    /// Rows that went into the value.
    pub rows: i64,
    /// The value compared with, under `--compare`.
    pub base: Option<Number>,
}

/// The 95 % interval of a line's value, seen as a sample; nothing where it has no meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interval {
    pub low: Option<Number>,
    pub high: Option<Number>,
    /// Too few rows to lean on.
    pub is_small: Option<bool>,
}

/// A period of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    pub grain: Grain,
    /// First day; `None` for grain `all` over an empty range.
    pub start: Option<i32>,
    /// `2017`, `2017-Q1`, `2017-03`, `2017-W09`, `FY2018-Q1`, `all`.
    pub label: String,
    /// The period is still running at the as-of date.
    pub partial: bool,
}

/// A KPI of a result, with what a printer needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameKpi {
    pub id: String,
    pub name: String,
    pub unit: Unit,
    pub better: crate::kpi::Better,
}

/// The result of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    pub kpis: Vec<FrameKpi>,
    pub periods: Vec<Period>,
    /// Names of the segment columns.
    pub segments: Vec<String>,
    /// Segment values, shared by all segment columns.
    pub labels: Vec<String>,
    /// Units: a currency code for money where it is known, else the unit's name.
    pub units: Vec<String>,
    pub rows: Vec<Row>,
    /// Whether rows carry a comparison.
    pub compared: bool,
    /// Under `--interval` one for each row; else none at all.
    pub intervals: Option<Vec<Interval>>,
    /// Remarks for people: exclusions, running periods, missing rates. Never part of the data.
    pub notes: Vec<String>,
}

impl Frame {
    /// Column names in order.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns = vec!["kpi", "grain", "period_start", "period"];
        columns.extend(self.segments.iter().map(String::as_str));
        columns.extend(["value", "unit", "numerator", "denominator", "rows"]);
        if self.compared {
            columns.extend(["base_value", "change", "change_ratio"]);
        }
        if self.intervals.is_some() {
            columns.extend(["low", "high", "small_sample"]);
        }
        columns
    }

    /// The interval of the row at a position.
    pub fn interval(&self, row: usize) -> Interval {
        self.intervals.as_ref().and_then(|intervals| intervals.get(row)).copied().unwrap_or_default()
    }

    /// A row's segment value in one column, `None` for null.
    pub fn label(&self, row: &Row, segment: usize) -> Option<&str> {
        row.segments.get(segment).copied().flatten().and_then(|code| self.labels.get(code as usize)).map(String::as_str)
    }
}

/// Digits kept after the point by every quotient.
pub const QUOTIENT_SCALE: u32 = 12;

/// An exact quotient, rounded half away from zero to [`QUOTIENT_SCALE`] digits. `None` when the denominator is 0.
pub fn quotient(numerator: Number, denominator: Number) -> Option<Number> {
    let (top, bottom) = (
        numerator.value.checked_mul(decimal::power_of_ten(denominator.scale))?,
        denominator.value.checked_mul(decimal::power_of_ten(numerator.scale))?,
    );
    let unit = decimal::power_of_ten(QUOTIENT_SCALE);
    let value = match top.checked_mul(unit) {
        Some(scaled) => decimal::divide_rounded(scaled, bottom)?,
        // Reducing the fraction costs more than dividing, so it is left to those that need the room.
        None => {
            let shared = greatest_common_divisor(top.unsigned_abs(), bottom.unsigned_abs());
            let shared = i128::try_from(shared).ok().filter(|shared| *shared > 0)?;
            decimal::divide_rounded((top / shared).checked_mul(unit)?, bottom / shared)?
        }
    };
    Some(Number { value, scale: QUOTIENT_SCALE })
}

fn greatest_common_divisor(mut left: u128, mut right: u128) -> u128 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

impl Row {
    /// Change against the base, and the change as a share of the base. Null where either is missing or the base is 0.
    pub fn change(&self) -> (Option<Number>, Option<Number>) {
        let (Some(value), Some(base)) = (self.value, self.base) else { return (None, None) };
        let scale = value.scale.max(base.scale);
        let change = Number {
            value: decimal::rescale(value.value, value.scale, scale) - decimal::rescale(base.value, base.scale, scale),
            scale,
        };
        (Some(change), quotient(change, base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_exact_and_null_on_zero() {
        let number = |value, scale| Number { value, scale };
        assert_eq!(quotient(number(1, 0), number(0, 0)), None);
        assert_eq!(quotient(number(4238, 0), number(6711, 0)).map(Number::plain).as_deref(), Some("0.631500521532"));
        assert_eq!(quotient(number(15_000, 4), number(1, 0)).map(Number::plain).as_deref(), Some("1.5"));
        assert_eq!(quotient(number(i128::MAX, 0), number(1, 0)), None);
    }
}
