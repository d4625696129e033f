//! The stages that deals reached, those that they passed over included.
//!
//! The rule: a deal has reached a stage on the day it first entered it or a later one, or was won;
//! it has passed it on the day it first entered a later one, or was won. So a stage that a deal
//! jumps over is reached and passed in one, going back undoes nothing, and the first time counts.
//! Which stage is later is taken from the deals themselves: within a pipeline of a source, a stage
//! stands after another one if more deals entered it later than earlier, and its level is the
//! number of stages that it stands after. Stages of the same level are none the later one.

use std::collections::BTreeMap;

use arrow::array::{AsArray, BooleanArray, Date32Array};
use arrow::datatypes::UInt32Type;
use dealframe_lake::Lake;

use super::deal_history::{DealRow, History, build_after, is_dropped, progress};
use crate::error::QueryError;
use crate::facts::Fact;
use crate::facts::build::take;
use crate::facts::encode::{self, Encoded};

/// Source and pipeline.
type Group = (u32, u32);

/// How often a stage was entered before another one, less how often after it.
#[derive(Debug, Default)]
struct Precedence(BTreeMap<u32, BTreeMap<u32, i64>>);

impl Precedence {
    /// Takes note of the stages of one deal, in the order in which it entered them.
    fn note(&mut self, stages: &[(u32, i32)]) {
        for (position, (earlier, _)) in stages.iter().enumerate() {
            self.0.entry(*earlier).or_default();
            for (later, _) in &stages[position + 1..] {
                *self.0.entry(*earlier).or_default().entry(*later).or_default() += 1;
                *self.0.entry(*later).or_default().entry(*earlier).or_default() -= 1;
            }
        }
    }

    /// Every stage with the number of stages that it stands after.
    fn levels(&self) -> BTreeMap<u32, usize> {
        let before = |others: &BTreeMap<u32, i64>| others.values().filter(|net| **net < 0).count();
        self.0.iter().map(|(stage, others)| (*stage, before(others))).collect()
    }
}

/// A stage that a deal reached.
#[derive(Debug, PartialEq, Eq)]
struct Reached {
    stage: u32,
    reached: i32,
    passed: Option<i32>,
    /// It was not entered by the day on which it was reached.
    is_skipped: bool,
}

fn reached(stages: &[(u32, i32)], won: Option<i32>, levels: &BTreeMap<u32, usize>) -> Vec<Reached> {
    if stages.is_empty() {
        return Vec::new();
    }
    let mut result = Vec::new();
    for (stage, level) in levels {
        let own = stages.iter().find(|(known, _)| known == stage).map(|(_, entered)| *entered);
        let later = stages.iter().filter(|(known, _)| levels.get(known) > Some(level)).map(|(_, entered)| *entered);
        let passed = later.chain(won).min();
        if let Some(first) = own.into_iter().chain(passed).min() {
            let is_skipped = own.is_none_or(|own| own > first);
            result.push(Reached { stage: *stage, reached: first, passed, is_skipped });
        }
    }
    result
}

/// Source and pipeline of every row of a batch.
fn groups(encoded: &[Encoded]) -> Result<impl Fn(u32) -> Group, QueryError> {
    let codes = |name: &str| {
        let column = encoded.iter().find(|column| column.name == name);
        column
            .and_then(|column| column.array.as_primitive_opt::<UInt32Type>().cloned())
            .ok_or_else(|| QueryError::engine("funnel", format!("column `{name}` is missing")))
    };
    let (sources, pipelines) = (codes("source_system")?, codes("pipeline")?);
    Ok(move |row: u32| (sources.value(row as usize), pipelines.value(row as usize)))
}

/// What every deal reached.
pub(crate) fn stages_reached(lake: &Lake) -> Result<Fact, QueryError> {
    let orders = std::sync::Mutex::new(BTreeMap::<Group, Precedence>::new());
    let mut look = |rows: &[DealRow<'_>], history: &History, encoded: &[Encoded]| {
        let group = groups(encoded)?;
        let mut orders = orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (row, present, changes) in rows {
            let (stages, _) = progress(present, changes, history.statuses());
            if !stages.is_empty() {
                orders.entry(group(*row)).or_default().note(&stages);
            }
        }
        Ok(())
    };
    let levels = std::sync::OnceLock::<BTreeMap<Group, BTreeMap<u32, usize>>>::new();
    build_after(lake, "stages_reached", "", Some(&mut look), &|rows, history, encoded| {
        let group = groups(encoded)?;
        // The empty table that is written first knows of no deal and must not settle the order.
        let none = BTreeMap::new();
        let levels = match rows {
            [] => &none,
            _ => levels.get_or_init(|| {
                let orders = orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                orders.iter().map(|(group, order)| (*group, order.levels())).collect()
            }),
        };
        let (mut picked, mut stages, mut dates, mut passed) = (vec![], vec![], vec![], vec![]);
        let (mut is_passed, mut is_skipped, mut is_won, mut is_closed) = (vec![], vec![], vec![], vec![]);
        for (row, present, changes) in rows {
            let Some(levels) = levels.get(&group(*row)) else { continue };
            let (entered, won) = progress(present, changes, history.statuses());
            for one in reached(&entered, won, levels) {
                picked.push(*row);
                stages.push(one.stage);
                dates.push(Some(one.reached));
                passed.push(one.passed);
                is_passed.push(one.passed.is_some());
                is_skipped.push(one.is_skipped);
                is_won.push(present.is_won);
                is_closed.push(!present.is_open);
            }
        }
        let mut columns = take(encoded, &picked, &|name| name != "stage" && !is_dropped(name))?;
        columns.push(encode::codes("stage", "stage", stages));
        columns.extend(encode::dates("reached_date", &Date32Array::from(dates)));
        columns.extend(encode::dates("passed_date", &Date32Array::from(passed)));
        columns.push(encode::boolean("is_passed", BooleanArray::from(is_passed)));
        columns.push(encode::boolean("is_skipped", BooleanArray::from(is_skipped)));
        columns.push(encode::boolean("is_won", BooleanArray::from(is_won)));
        columns.push(encode::boolean("is_closed", BooleanArray::from(is_closed)));
        Ok(columns)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deals_tell_the_order_of_stages_and_jumps_pass_over_them() {
        let mut order = Precedence::default();
        // Twice forward, once back, once straight from 1 to 3.
        for stages in [&[(1, 10), (2, 20), (3, 30)][..], &[(1, 10), (2, 20)], &[(2, 10), (1, 20)], &[(1, 10), (3, 20)]]
        {
            order.note(stages);
        }
        let levels = order.levels();
        assert_eq!(levels, BTreeMap::from([(1, 0), (2, 1), (3, 2)]));
        let row = |stage, reached, passed, is_skipped| Reached { stage, reached, passed, is_skipped };
        let jump = [(1, 10), (3, 20), (2, 30)];
        assert_eq!(
            reached(&jump, None, &levels),
            [row(1, 10, Some(20), false), row(2, 20, Some(20), true), row(3, 20, None, false)]
        );
        let won = [(2, 15)];
        assert_eq!(
            reached(&won, Some(40), &levels),
            [row(1, 15, Some(15), true), row(2, 15, Some(40), false), row(3, 40, Some(40), true)]
        );
        assert_eq!(reached(&[], Some(40), &levels), []);
    }
}
