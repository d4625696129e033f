//! Pacing: targets spread over the days of their own periods.
//!
//! A target is first spread over the months of its period, by what the same months brought in
//! the years before as far as they are known on the as-of day, then evenly over the days of each
//! month; where no year is known, evenly over all days. Both times the running total is rounded
//! to the cent and parts are its differences, so parts always add up to the target. A month that
//! its period cuts counts for the days that it has of it, one whose sum is below 0 for nothing.
//! Everything is in integers of four digits. `crate::sql` says the same in statements.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Date32Type;
use dealframe_model::calendar::{Calendar, Grain, TimeUnit};
use dealframe_model::decimal::{self, MONEY_SCALE, divide_rounded};
use dealframe_model::frame::Number;
use dealframe_model::kpi::{Aggregate, Compute, Measure, Pacing};

use super::leaf::Target;
use super::money::common;
use super::points::Points;
use super::{Point, Question, Series, Walk, no_values};
use crate::catalogue::Catalogue;
use crate::error::QueryError;
use crate::facts::encode::{column, live_rows, read_columns};
use crate::plan::Facts;

/// Units of the fourth digit in a cent.
const CENT: i128 = 100;
/// A multiple of the lengths of all months, so that a month's share by days is a whole number.
pub(crate) const MONTHS_DAYS: i32 = 28 * 29 * 15 * 31;

/// Whether a season can be read off a KPI: only off what adds up over time.
pub(crate) fn has_season(compute: &Compute) -> bool {
    matches!(compute, Compute::Flow { measure } if matches!(measure.aggregate, Aggregate::Count | Aggregate::Sum))
}

/// What is wrong with spreading targets by a KPI without a season, and what to do about it.
pub(crate) fn no_season(actual: &str) -> (String, String) {
    (
        format!("`{actual}` is no sum or count over a period, so it has no season to spread targets by"),
        "leave out `pacing`, or name a flow that counts or adds up as `actual`".to_owned(),
    )
}

/// Refuses to read a season off what has none.
pub(crate) fn check(catalogue: &Catalogue, kpi: &str, actual: &str) -> Result<(), QueryError> {
    if has_season(&catalogue.get(actual)?.compute) {
        return Ok(());
    }
    let (reason, hint) = no_season(actual);
    Err(QueryError::Unsupported { kpi: kpi.to_owned(), reason, hint })
}

/// The months that say how a target is spread, for every engine: all up to the as-of day, as far as they are over.
pub(crate) fn history(calendar: &Calendar, as_of: Option<i32>, question: &Question) -> Question {
    let end = as_of.map(|day| day + 1);
    Question {
        grain: Grain::Month,
        unit: calendar.common_unit([Grain::Month]),
        from: None,
        to: end,
        to_asked: end,
        ..question.clone()
    }
}

/// The last month that is over on the as-of day.
pub(crate) fn last_known(calendar: &Calendar, as_of: Option<i32>) -> i32 {
    as_of.map_or(i32::MIN / 2, |day| calendar.index(Grain::Month, day + 1) - 1)
}

/// One month of a target, or what its period has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// First day, and first day after it.
    start: i32,
    end: i32,
    part: i128,
}

impl Piece {
    /// What falls on the days before `day`.
    fn until(&self, day: i32) -> Option<i128> {
        if day == self.end {
            return Some(self.part);
        }
        let days = i128::from(self.end - self.start);
        let cents = divide_rounded(self.part.checked_mul(i128::from(day - self.start))?, days * CENT)?;
        Some(cents * CENT)
    }
}

/// Spreads a value over months and their weights; `None` where a number gets too large.
fn pieces(value: i128, start: i32, end: i32, calendar: &Calendar, weight: &dyn Fn(i32) -> i128) -> Option<Vec<Piece>> {
    let months = calendar.index(Grain::Month, start)..=calendar.index(Grain::Month, end - 1);
    let mut spans: Vec<(i32, i32, i128)> = Vec::new();
    for month in months {
        let (first, next) = (calendar.start(Grain::Month, month), calendar.end(Grain::Month, month));
        let (from, to) = (first.max(start), next.min(end));
        let by_days = i128::from(to - from) * i128::from(MONTHS_DAYS / (next - first));
        spans.push((from, to, weight(month).max(0).checked_mul(by_days)?));
    }
    if spans.iter().all(|(.., weight)| *weight == 0) {
        spans.iter_mut().for_each(|(from, to, weight)| *weight = i128::from(*to - *from));
    }
    let total: i128 = spans.iter().map(|(.., weight)| weight).sum();
    let (mut passed, mut before) = (0, 0);
    spans
        .into_iter()
        .map(|(start, end, weight)| {
            passed += weight;
            let until = match passed == total {
                true => value,
                false => divide_rounded(value.checked_mul(passed)?, total.checked_mul(CENT)?)? * CENT,
            };
            let part = until - before;
            before = until;
            Some(Piece { start, end, part })
        })
        .collect()
}

impl Walk<'_> {
    /// Targets by the days of their periods; with `to_date` by those until the as-of day only.
    pub(crate) fn spread(
        &mut self,
        kpi: &str,
        measure: &Measure,
        currency: Option<&Target>,
        (actual, pacing, to_date): (&str, Pacing, bool),
        question: &Question,
    ) -> Result<Series, QueryError> {
        check(self.catalogue, kpi, actual)?;
        let calendar = self.calendar;
        let history = self.kpi(actual, &history(&calendar, self.as_of, question))?;
        let known_until = last_known(&calendar, self.as_of);
        let daily = Question { grain: Grain::Day, unit: TimeUnit::Day, from: None, ..question.clone() };
        // A measure for each length of a period, so that currencies are treated as those of any target.
        let mut by_length = Vec::new();
        for length in lengths(self.facts)? {
            let filter = measure.filter.as_deref().unwrap_or("true");
            let filter = format!("{filter} and days_between(period_start, period_end) = {length}");
            let of_length = Measure { filter: Some(filter), ..measure.clone() };
            by_length.push((length.max(0) + 1, self.measure_of(&of_length, currency, &daily)?));
        }
        let all: Vec<&super::money::Currency> = by_length.iter().map(|(_, series)| &series.currency).collect();
        let currency = common(kpi, &all)?;
        let four = |number: Number| decimal::rescale(number.value, number.scale, MONEY_SCALE);
        let to = if to_date { question.to } else { question.to_asked };
        let mut cells: Points<(i128, i64)> = Points::new();
        for (days, series) in &by_length {
            for ((start, combination), point) in series.points.iter() {
                let Some(value) = point.value.map(four) else { continue };
                let (end, months) = (start + days, |day: i32| calendar.index(Grain::Month, day));
                // Years of which every month is known.
                let years: Vec<i32> = (1..=i32::try_from(pacing.years).unwrap_or(i32::MAX))
                    .map_while(|year| year.checked_mul(12))
                    .take_while(|back| history.span.is_some_and(|(first, _)| months(start) - back >= first))
                    .filter(|back| months(end - 1) - back <= known_until)
                    .collect();
                let weight = |month: i32| -> i128 {
                    let sum = years.iter().filter_map(|back| history.get((month - back, combination)).value).map(four);
                    sum.sum()
                };
                let too_large = || QueryError::TooLarge { column: "target_value".to_owned() };
                let from = question.from.map_or(start, |from| from.max(start));
                let mut counted = None;
                for piece in pieces(value, start, end, &calendar, &weight).ok_or_else(too_large)? {
                    let (first, last) = (piece.start.max(from), to.map_or(piece.end, |to| to.min(piece.end)));
                    if first >= last {
                        continue;
                    }
                    let index =
                        |day: i32| if question.grain == Grain::All { 0 } else { calendar.index(question.grain, day) };
                    for period in index(first)..=index(last - 1) {
                        let (first, last) = match question.grain {
                            Grain::All => (first, last),
                            grain => (first.max(calendar.start(grain, period)), last.min(calendar.end(grain, period))),
                        };
                        let (before, until) = piece.until(first).zip(piece.until(last)).ok_or_else(too_large)?;
                        let cell = cells.entry((period, combination), || (0, 0));
                        cell.0 += until - before;
                        if counted != Some(period) {
                            cell.1 += point.rows;
                            counted = Some(period);
                        }
                    }
                }
            }
        }
        let points = cells.map(|_, (value, rows)| Point::of(Number { value: *value, scale: MONEY_SCALE }, *rows));
        Ok(Series { span: points.span(), points, ahead: !to_date, currency, ..no_values(Point::NULL, false) })
    }
}

/// Days from the first to the last day of the periods of targets, each length once.
fn lengths(facts: &Facts) -> Result<BTreeSet<i32>, QueryError> {
    let mut found = BTreeSet::new();
    read_columns(&facts.lake, "targets", &["period_start", "period_end", "is_deleted"], &mut |batch| {
        let batch = live_rows(batch)?;
        let days =
            |name: &str| -> Result<_, QueryError> { Ok(column(&batch, name)?.as_primitive::<Date32Type>().clone()) };
        let (starts, ends) = (days("period_start")?, days("period_end")?);
        let known = (0..batch.num_rows()).filter(|row| starts.is_valid(*row) && ends.is_valid(*row));
        found.extend(known.map(|row| ends.value(row) - starts.value(row)));
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use dealframe_model::date;

    use super::*;

    fn day(text: &str) -> i32 {
        date::parse(text).unwrap()
    }

    fn parts(value: i128, start: &str, end: &str, weight: &dyn Fn(i32) -> i128) -> Vec<i128> {
        let pieces = pieces(value, day(start), day(end) + 1, &Calendar::default(), weight).unwrap();
        pieces.iter().map(|piece| piece.part).collect()
    }

    #[test]
    fn parts_add_up_to_the_cent() {
        // 31, 29 and 31 of 91 days: 34.0659 and 65.9341, as running totals rounded to 34.07 and 65.93.
        assert_eq!(parts(1_000_000, "2024-01-01", "2024-03-31", &|_| 0), [340_700, 318_600, 340_700]);
        // 1 : 1 : 2, and whoever sums to less than nothing counts as nothing.
        let january = Calendar::default().index(Grain::Month, day("2024-01-01"));
        let season = |month: i32| [7, 7, 14, -5][(month - january) as usize];
        assert_eq!(parts(1_000_000, "2024-01-01", "2024-04-30", &season), [250_000, 250_000, 500_000, 0]);
        // Half of February and all of March, which brought the same.
        assert_eq!(parts(300_000, "2024-02-01", "2024-02-29", &|_| 1), [300_000]);
        assert_eq!(parts(900_000, "2023-02-15", "2023-03-31", &|_| 1), [300_000, 600_000]);
    }

    #[test]
    fn days_of_a_month_add_up_as_well() {
        for part in [100_i128, 333, 1_000_001, -1_000_001] {
            let piece = Piece { start: 0, end: 31, part };
            let days: Vec<i128> =
                (0..31).map(|day| piece.until(day + 1).unwrap() - piece.until(day).unwrap()).collect();
            assert_eq!(days.iter().sum::<i128>(), part);
            assert!(days[..30].iter().all(|day| day % CENT == 0));
        }
    }
}
