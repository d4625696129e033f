//! Survival: how long something takes, with what still runs counted as not yet ended.
//!
//! Every row is watched from its entry to the as-of day, in whole days. What ended within that
//! time is an end after the time it took; everything else is censored: it still ran when the
//! watch was over. The state in the cubes is exact and adds up: ends and censored rows by time.
//! From it comes the Kaplan-Meier estimate, in integers of [`DIGITS`] digits and in order of
//! time, so that neither threads nor roll-ups can move it. A row that is censored at a time was
//! still at risk then. The words of the rule are shared with the statements in `crate::sql`.

use dealframe_model::date;
use dealframe_model::decimal::{divide_rounded, power_of_ten};
use dealframe_model::frame::{Number, QUOTIENT_SCALE};
use dealframe_model::kpi::{Survival, SurvivalShow, Unit};
use hashbrown::HashMap;

use super::points::Points;
use super::{Key, Point, Question, Series, Source, Walk, no_values};
use crate::error::QueryError;
use crate::node::{Apart, MeasureSpec};
use crate::plan::Ask;

/// Digits after the point of a share that still runs.
const DIGITS: u32 = 24;
/// All of them.
const WHOLE: i128 = power_of_ten(DIGITS);
/// Digits of the tolerance of a threshold: a share counts as a half if it exceeds it by no more than 10^-9. It covers
/// what the floats of other engines lose, and is far below what one row more or less changes.
pub(crate) const TOLERANCE_DIGITS: u32 = 9;

/// What a survival asks of its rows, in the language of expressions.
pub(crate) struct Watched {
    /// The time that a row adds: the one it took, or the one it was watched for.
    pub time: String,
    /// The row ended while it was watched.
    pub ended: String,
    /// It did not.
    pub running: String,
}

impl Watched {
    pub(crate) fn of(survival: &Survival, unit: Unit, as_of: Option<i32>) -> Self {
        let Survival { date: entry, of, ended, .. } = survival;
        // Without any date there is nothing to watch.
        let days = format!("days_between({entry}, '{}')", date::format(as_of.unwrap_or_default()));
        let watched = match unit.in_a_day().unwrap_or(1) {
            1 => days,
            many => format!("{many} * {days}"),
        };
        let ended_in_time = format!("({ended}) and ({of}) <= {watched}");
        // A condition that is null is not met.
        let still_ran = format!("(case when {ended} then 0 else 1 end = 1 or ({of}) > {watched})");
        let counted = |state: String| match &survival.filter {
            Some(filter) => format!("({filter}) and {state}"),
            None => state,
        };
        Self {
            time: format!("case when {ended_in_time} then {of} else {watched} end"),
            ended: counted(ended_in_time),
            running: counted(still_ran),
        }
    }
}

/// Rows that leave the watch after one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leaving {
    time: i128,
    ended: i64,
    running: i64,
}

impl Walk<'_> {
    /// A survival over the rows that entered in each period.
    pub(crate) fn survival(
        &mut self,
        unit: Unit,
        survival: &Survival,
        question: &Question,
    ) -> Result<Series, QueryError> {
        let fact = self.facts.table(&survival.table)?;
        let by = self.dimensions(&fact, question)?;
        let watched = Watched::of(survival, unit, self.as_of);
        let time = self.catalogue.expression(&watched.time)?;
        let mut asks = Vec::with_capacity(2);
        for filter in [&watched.ended, &watched.running] {
            asks.push(Ask {
                table: survival.table.clone(),
                date: Some(survival.date.clone()),
                unit: question.unit,
                by: by.clone(),
                apart: Apart::Number(watched.time.clone()),
                apart_expression: Some(time.clone()),
                filter: question.filter.clone(),
                filter_text: question.filter_text.clone(),
                from: question.from,
                to: question.to,
                measure: MeasureSpec {
                    of: None,
                    filter: Some(self.catalogue.expression(filter)?),
                    text: filter.clone(),
                },
            });
        }
        let cubes = match &mut self.source {
            Source::Collect(found) => {
                found.extend(asks);
                return Ok(no_values(Point::NULL, false));
            }
            Source::Answer(cubes) => *cubes,
        };
        let mut leaving: HashMap<Key, Vec<Leaving>> = HashMap::new();
        let mut scale = 0;
        for (ask, is_end) in asks.iter().zip([true, false]) {
            let (rolled, time_scale) = cubes.roll_up(ask, question.grain, &self.calendar)?;
            scale = time_scale;
            let combinations = self.space.combinations_of(&rolled.ways, &fact, &by)?;
            for (cell, count) in rolled.counts.iter().enumerate().filter(|(_, count)| **count != 0) {
                let (ended, running) = if is_end { (*count, 0) } else { (0, *count) };
                let time = i128::from(rolled.ways.apart[cell]);
                let key = (rolled.ways.periods[cell], combinations[cell]);
                leaving.entry(key).or_default().push(Leaving { time, ended, running });
            }
        }
        let points: Points<Point> = leaving
            .into_iter()
            .map(|(key, rows)| {
                let count = rows.iter().map(|row| row.ended + row.running).sum();
                let value = shown(&curve(rows), survival.show, scale);
                (key, Point { value, numerator: value, denominator: None, rows: count })
            })
            .collect();
        Ok(Series { span: points.span(), points, ..no_values(Point::NULL, false) })
    }
}

/// The times at which rows leave, in order, each with the share that still runs after it.
fn curve(mut rows: Vec<Leaving>) -> Vec<(i128, i128)> {
    rows.sort_unstable_by_key(|row| row.time);
    let mut at_risk: i128 = rows.iter().map(|row| i128::from(row.ended + row.running)).sum();
    let mut share = WHOLE;
    let mut steps = Vec::new();
    for together in rows.chunk_by(|one, other| one.time == other.time) {
        let ended: i128 = together.iter().map(|row| i128::from(row.ended)).sum();
        let running: i128 = together.iter().map(|row| i128::from(row.running)).sum();
        share = divide_rounded(share * (at_risk - ended), at_risk).unwrap_or(0);
        at_risk -= ended + running;
        steps.push((together[0].time, share));
    }
    steps
}

/// What is read off a curve over times of a scale.
fn shown(steps: &[(i128, i128)], show: SurvivalShow, scale: u32) -> Option<Number> {
    let first_at_most = |share: i128| {
        let limit = share + power_of_ten(DIGITS - TOLERANCE_DIGITS);
        let (time, _) = steps.iter().find(|(_, left)| *left <= limit)?;
        Some(Number { value: *time, scale })
    };
    match show {
        SurvivalShow::Median => first_at_most(WHOLE / 2),
        SurvivalShow::P90 => first_at_most(WHOLE / 10),
        SurvivalShow::Mean => {
            let (first, _) = steps.first()?;
            if steps.last().is_none_or(|(_, left)| *left == WHOLE) {
                return None;
            }
            // All run until the first time; from each time to the next one the share that is left does.
            let area = steps.windows(2).try_fold(first.checked_mul(WHOLE)?, |area, two| {
                area.checked_add(two[0].1.checked_mul(two[1].0 - two[0].0)?)
            })?;
            let value = divide_rounded(area, power_of_ten(DIGITS + scale - QUOTIENT_SCALE))?;
            Some(Number { value, scale: QUOTIENT_SCALE })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rows(ended: &[i128], running: &[i128]) -> Vec<Leaving> {
        let end = ended.iter().map(|time| Leaving { time: *time, ended: 1, running: 0 });
        end.chain(running.iter().map(|time| Leaving { time: *time, ended: 0, running: 1 })).collect()
    }

    fn values(ended: &[i128], running: &[i128]) -> [Option<String>; 3] {
        let steps = curve(rows(ended, running));
        [SurvivalShow::Median, SurvivalShow::P90, SurvivalShow::Mean]
            .map(|show| shown(&steps, show, 0).map(Number::plain))
    }

    /// The remission times of 21 children under 6-MP (Freireich and others, 1963), as textbooks print them.
    #[test]
    fn the_textbook_example() {
        let ended = [6, 6, 6, 7, 10, 13, 16, 22, 23];
        let running = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
        let steps = curve(rows(&ended, &running));
        let share = |time: i128| {
            let (_, share) = steps.iter().find(|(at, _)| *at == time).unwrap();
            share / power_of_ten(DIGITS - 3)
        };
        let printed = [(6, 857), (7, 806), (10, 752), (13, 690), (16, 627), (22, 537), (23, 448), (35, 448)];
        for (time, expected) in printed {
            assert_eq!(share(time), expected, "after {time} weeks");
        }
        let [median, p90, mean] = values(&ended, &running);
        assert_eq!((median.as_deref(), p90), (Some("23"), None));
        // 6 + 1 x 6/7 + 3 x 0.8067 + 3 x 0.7529 + 3 x 0.6902 + 6 x 0.6275 + 1 x 0.5378 + 12 x 0.4482
        assert!(mean.unwrap().starts_with("23.287"));
    }

    #[test]
    fn a_half_that_is_a_half_counts() {
        // Without censoring the shares are those of a count, whatever the fractions lose on the way to them.
        for count in 1..=60_i128 {
            let ended: Vec<i128> = (1..=count).collect();
            let [median, p90, mean] = values(&ended, &[]);
            assert_eq!(median, Some(((count + 1) / 2).to_string()), "of {count}");
            assert_eq!(p90, Some(((count * 9 + 9) / 10).to_string()), "of {count}");
            let plain = Number { value: (count + 1) * 5, scale: 1 }.plain();
            assert_eq!(mean.map(|mean| mean.parse::<f64>().unwrap()), plain.parse().ok(), "of {count}");
        }
    }

    #[test]
    fn nothing_all_running_and_one_row() {
        assert_eq!(values(&[], &[]), [None, None, None]);
        assert_eq!(values(&[], &[3, 9]), [None, None, None]);
        assert_eq!(values(&[4], &[])[0].as_deref(), Some("4"));
        // Two thirds are left after 1, and the only one of them that is still watched ends after 5.
        assert_eq!(values(&[1, 5], &[1])[0].as_deref(), Some("5"));
        // Negative times are times as well.
        assert_eq!(values(&[-4, 2], &[]).map(|value| value.unwrap().parse::<f64>().unwrap()), [-4.0, 2.0, -1.0]);
    }
}
