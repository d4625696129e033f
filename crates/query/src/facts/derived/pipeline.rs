//! Movements of the open pipeline, deal by deal: what enters it, leaves it and changes in it.
//!
//! They are read off the stays in open states that the value of the pipeline is the sum of. A
//! row is a state that a deal entered (`direction` 1) or left (-1) on a day, with the stage,
//! amount and probability of that state; a change inside the pipeline is a pair of rows. So the
//! sum of `amount * direction` over any span is the change of the pipeline over it, whatever
//! segment or filter it is looked at by: those of the deal, and those of the state as well.
//! What happened and was undone within one day is not seen, as in the pipeline itself.

use arrow::array::{Date32Array, Int64Array};
use dealframe_lake::Lake;

use super::deal_history::{Stay, build, is_dropped, picked_dates, stays};
use crate::error::QueryError;
use crate::facts::Fact;
use crate::facts::build::take;
use crate::facts::encode;

/// The words for what happens to a state.
pub(crate) const MOVEMENTS: [&str; 7] = ["opened", "reopened", "won", "lost", "moved", "raised", "lowered"];

/// A state that was entered or left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    date: i32,
    movement: &'static str,
    direction: i64,
    stage: u32,
    amount: Option<i64>,
    probability: Option<i64>,
}

/// The movements of one deal, from its stays in order of time.
fn steps(stays: &[Stay]) -> Vec<Step> {
    let mut result = Vec::with_capacity(stays.len() * 2);
    let mut step = |date: i32, movement: &'static str, direction: i64, state: &Stay| {
        let Stay { stage, amount, probability, .. } = *state;
        result.push(Step { date, movement, direction, stage, amount, probability });
    };
    for (position, stay) in stays.iter().enumerate() {
        match position.checked_sub(1).and_then(|before| stays.get(before)) {
            Some(before) if before.until == Some(stay.from) => {
                // First it comes to stand elsewhere with the value that it had, then it changes its value there.
                let moved = Stay { amount: before.amount, ..*stay };
                if (before.stage, before.probability) != (stay.stage, stay.probability) {
                    step(stay.from, "moved", -1, before);
                    step(stay.from, "moved", 1, &moved);
                }
                if before.amount != stay.amount {
                    let is_lowered = stay.amount.unwrap_or(0) < before.amount.unwrap_or(0);
                    let movement = if is_lowered { "lowered" } else { "raised" };
                    step(stay.from, movement, -1, &moved);
                    step(stay.from, movement, 1, stay);
                }
            }
            _ => step(stay.from, if stay.is_first { "opened" } else { "reopened" }, 1, stay),
        }
        let is_followed = |until: i32| stays.get(position + 1).is_some_and(|next| next.from == until);
        if let Some(until) = stay.until.filter(|until| !is_followed(*until)) {
            step(until, if stay.ends_won { "won" } else { "lost" }, -1, stay);
        }
    }
    result
}

/// What all deals brought into the pipeline and took out of it.
pub(crate) fn pipeline_changes(lake: &Lake, anchor: Option<i32>) -> Result<Fact, QueryError> {
    let salt = format!("anchor={anchor:?}");
    build(lake, "pipeline_changes", &salt, &|rows, history, encoded| {
        let (mut picked, mut dates, mut kinds, mut directions) = (vec![], vec![], vec![], vec![]);
        let (mut stages, mut amounts, mut probabilities) = (vec![], vec![], vec![]);
        for (row, present, changes) in rows {
            for step in steps(&stays(present, changes, history.statuses(), anchor.unwrap_or(0))) {
                picked.push(*row);
                dates.push(Some(step.date));
                kinds.push(history.movements.intern(step.movement));
                directions.push(Some(step.direction));
                stages.push(step.stage);
                amounts.push(step.amount);
                probabilities.push(step.probability);
            }
        }
        let own = ["stage", "amount", "probability", "close_date", "close_date__month", "status"];
        let mut columns = take(encoded, &picked, &|name| !own.contains(&name) && !is_dropped(name))?;
        columns.push(encode::codes("stage", "stage", stages));
        columns.push(encode::number("amount", 4, Int64Array::from(amounts)));
        columns.push(encode::number("probability", 4, Int64Array::from(probabilities)));
        columns.extend(encode::dates("expected_close_date", &picked_dates(encoded, "close_date", &picked)?));
        columns.extend(encode::dates("change_date", &Date32Array::from(dates)));
        columns.push(encode::codes("movement", "movement", kinds));
        columns.push(encode::number("direction", 0, Int64Array::from(directions)));
        Ok(columns)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn stay(from: i32, until: Option<i32>, stage: u32, amount: Option<i64>) -> Stay {
        Stay { from, until, stage, amount, probability: None, is_first: from == 10, ends_won: until == Some(60) }
    }

    #[test]
    fn steps_lead_from_nothing_to_what_stands() {
        let stays = [
            stay(10, Some(20), 5, None),
            stay(20, Some(30), 5, Some(700)),
            stay(30, Some(40), 6, Some(400)),
            stay(50, Some(60), 6, Some(400)),
            stay(70, None, 7, Some(90)),
        ];
        let found: Vec<_> = steps(&stays)
            .iter()
            .map(|step| (step.date, step.movement, step.direction, step.stage, step.amount))
            .collect();
        let expected = [
            (10, "opened", 1, 5, None),
            (20, "raised", -1, 5, None),
            (20, "raised", 1, 5, Some(700)),
            (30, "moved", -1, 5, Some(700)),
            (30, "moved", 1, 6, Some(700)),
            (30, "lowered", -1, 6, Some(700)),
            (30, "lowered", 1, 6, Some(400)),
            (40, "lost", -1, 6, Some(400)),
            (50, "reopened", 1, 6, Some(400)),
            (60, "won", -1, 6, Some(400)),
            (70, "reopened", 1, 7, Some(90)),
        ];
        assert_eq!(found, expected);
        let words: BTreeSet<&str> = expected.iter().map(|(_, movement, ..)| *movement).collect();
        assert_eq!(words, BTreeSet::from(MOVEMENTS));
    }
}
