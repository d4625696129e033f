//! Passes: several nodes of few groups over one reading of a fact table.
//!
//! Nodes that look at the same rows of a table share the scan, the decoded columns, the masks and
//! the products, whatever date and segments each of them groups by. What is summed up for more
//! than one of them is computed once. The pipeline is scan, filter, select, partial sums by
//! morsel (`preaggregate`), sums by key. Nodes of many groups, distinct counts and medians run
//! alone (`node`); which nodes belong together is decided by [`passes`].

use std::sync::Arc;

use dealframe_model::calendar::{Calendar, TimeUnit};
use polars::prelude::*;

use crate::cube::{Cube, Groups};
use crate::error::QueryError;
use crate::facts::Fact;
use crate::masks::Split;
use crate::node::{Apart, MeasureSpec, NodeReport, NodeSpec, collect, integers, measure_data, scan};
use crate::preaggregate::{KEY, NodeKeys, PreAggregate, SumColumn, TimeKey};

/// Keys that a node may have to be addressed directly, as long as they are few in proportion to the rows.
const MOST_KEYS: i64 = 1 << 24;
const SMALL_KEYS: f64 = 65_536.0;
const KEYS_PER_ROW: f64 = 0.2;

/// What nodes must share to be part of one pass: the table, the filter, and the range if it cuts anything off.
type Common<'n> = (&'n str, &'n str, Option<(&'n str, Option<i32>, Option<i32>)>);

/// Puts nodes together that one pass can serve; positions in `nodes`, in order.
pub(crate) fn passes(
    nodes: &[&NodeSpec],
    calendar: &Calendar,
    fact: &dyn Fn(&str) -> Result<Arc<Fact>, QueryError>,
) -> Result<Vec<Vec<usize>>, QueryError> {
    let mut found: Vec<(Option<Common<'_>>, Vec<usize>)> = Vec::new();
    for (position, node) in nodes.iter().enumerate() {
        let fact = fact(&node.table)?;
        let common = if is_dense(node, &fact, calendar) {
            let (from, to) = node.range(&fact);
            let range = (from.is_some() || to.is_some()).then(|| (node.date.as_deref().unwrap_or(""), from, to));
            Some((node.table.as_str(), node.filter_text.as_str(), range))
        } else {
            None
        };
        match found.iter_mut().find(|(known, _)| common.is_some() && *known == common) {
            Some((_, together)) => together.push(position),
            None => found.push((common, vec![position])),
        }
    }
    Ok(found.into_iter().map(|(_, together)| together).collect())
}

/// Whether the keys of a node can serve as addresses.
pub(crate) fn is_dense(node: &NodeSpec, fact: &Fact, calendar: &Calendar) -> bool {
    let rows = u32::try_from(fact.rows).map_or(f64::MAX, f64::from);
    node.apart == Apart::No
        && !fact.parts.is_empty()
        && node.groups <= (rows * KEYS_PER_ROW).max(SMALL_KEYS)
        && area(node, fact, calendar, &[]).is_some()
}

/// The number of keys of a node with some more columns told apart.
fn area(node: &NodeSpec, fact: &Fact, calendar: &Calendar, told_apart: &[String]) -> Option<i64> {
    let time = node.time(fact, calendar).map_or(1, |time| time.card);
    let card = |name: &String| fact.column(name).map_or(1, |column| i64::from(column.distinct) + 2);
    node.dimensions
        .iter()
        .chain(told_apart)
        .map(card)
        .try_fold(time, |area, card| area.checked_mul(card))
        .filter(|area| *area <= MOST_KEYS)
}

/// A node of a pass, and how its keys are read.
struct Member<'n> {
    node: &'n NodeSpec,
    split: Split,
    keys: NodeKeys,
    /// Per part of the key its cardinality, least significant first: time, dimensions, columns told apart.
    cards: Vec<i64>,
    time_origin: i64,
}

impl Member<'_> {
    fn has_no_keys(&self) -> bool {
        self.keys.time.is_none() && self.keys.codes.is_empty()
    }
}

/// The selection of a pass: every column once, whoever wants it.
#[derive(Default)]
struct Selection {
    columns: Vec<Expr>,
    names: Vec<String>,
    sums: Vec<(MeasureSpec, SumColumn, u32)>,
}

impl Selection {
    fn add(&mut self, name: String, expr: Expr) -> String {
        if !self.names.contains(&name) {
            self.columns.push(expr.alias(name.as_str()));
            self.names.push(name.clone());
        }
        name
    }
}

/// Runs nodes of one table together. All of them must have the same row filter, and the same range if there is one.
pub(crate) fn run(
    nodes: &[&NodeSpec],
    fact: &Fact,
    rewind_to: Option<i32>,
    calendar: &Calendar,
    explain: bool,
) -> Result<Vec<(Cube, NodeReport)>, QueryError> {
    let started = std::time::Instant::now();
    let Some(first) = nodes.first() else { return Ok(Vec::new()) };
    // What a range does not cut off may be asked for in different words; only what it cuts off counts.
    let dated = |node: &NodeSpec| (node.date.clone(), node.range(fact));
    let is_same_date = nodes.iter().all(|node| dated(node) == dated(first));
    if !is_same_date && nodes.iter().any(|node| node.range(fact) != (None, None)) {
        return Err(QueryError::engine(&fact.table, "nodes of different ranges in one pass"));
    }
    // A filter that all measures of all nodes share is applied before anything is decoded for them.
    let shared = first.shared_filter().filter(|shared| nodes.iter().all(|node| node.shared_filter() == Some(*shared)));
    let is_filtered = is_same_date && shared.is_some();
    let predicate = match (is_same_date, is_filtered) {
        (true, true) => first.predicate(fact, rewind_to)?,
        (true, false) => NodeSpec { measures: Vec::new(), ..(*first).clone() }.predicate(fact, rewind_to)?,
        (false, _) => first.row_filter(fact, rewind_to)?,
    };
    let mut selection = Selection::default();
    let mut members: Vec<Member<'_>> = Vec::with_capacity(nodes.len());
    let mut offset = 0;
    for node in nodes {
        let member = member(node, fact, rewind_to, calendar, is_filtered, offset, &mut selection)?;
        offset += i64::try_from(member.keys.area).unwrap_or(0);
        members.push(member);
    }
    let sums = selection.sums.iter().map(|(_, column, _)| column.clone()).collect();
    let keys = members.iter().map(|member| member.keys.clone()).collect();
    let frame = scan(&fact.parts, &fact.table)?;
    let frame = match predicate {
        Some(predicate) => frame.filter(predicate),
        None => frame,
    };
    // A selection of constants, or of nothing, would not have the rows of the table.
    if let (true, Some(column)) = (members.iter().all(Member::has_no_keys), fact.columns.first()) {
        selection.add("rows".to_owned(), col(column.name.as_str()));
    }
    let frame = frame.select(selection.columns.clone());
    let frame = Arc::new(PreAggregate::new(keys, sums)).aggregate(frame);
    let place = format!("a pass over {}", fact.table);
    let (frame, plan) = collect(frame, &place, explain)?;
    let results = read(&frame, &members, &selection)?;
    let seconds = started.elapsed().as_secs_f64();
    let reports = members.iter().enumerate().map(|(position, member)| NodeReport {
        plan: if position == 0 { plan.clone() } else { String::new() },
        seconds,
        told_apart: member.split.columns.clone(),
        sums: member.split.sums.len(),
        ..NodeReport::default()
    });
    Ok(results.into_iter().zip(reports).collect())
}

fn member<'n>(
    node: &'n NodeSpec,
    fact: &Fact,
    rewind_to: Option<i32>,
    calendar: &Calendar,
    is_filtered: bool,
    offset: i64,
    selection: &mut Selection,
) -> Result<Member<'n>, QueryError> {
    let mut split = if is_filtered {
        let measures: Vec<MeasureSpec> =
            node.measures.iter().map(|measure| MeasureSpec { filter: None, ..measure.clone() }).collect();
        Split::none(&measures)
    } else {
        Split::new(&node.measures, fact, node.groups, rewind_to.is_some())?
    };
    let area = match area(node, fact, calendar, &split.columns) {
        Some(area) => area,
        None => {
            // Told apart further, the keys would be too many for addresses; as they stand they are not.
            split = Split::none(&node.measures);
            area(node, fact, calendar, &[]).unwrap_or(MOST_KEYS)
        }
    };
    let mut cards = Vec::new();
    let mut factor: i64 = 1;
    let mut keys =
        NodeKeys { offset, area: usize::try_from(area).unwrap_or(0), time: None, codes: Vec::new(), sums: Vec::new() };
    let narrow = |factor: i64| u32::try_from(factor).map_err(|error| QueryError::engine(&fact.table, error));
    let mut time_origin = 0;
    if let Some(time) = node.time(fact, calendar) {
        let date = node.date.as_deref().unwrap_or_default();
        let column = selection.add(format!("time {:?} {date}", node.unit), time.unit);
        let low = i32::try_from(time.low).map_err(|error| QueryError::engine(&fact.table, error))?;
        keys.time = Some(TimeKey { column, low, factor: narrow(factor)? });
        time_origin = time.low + time.origin;
        cards.push(time.card);
        factor = time.card;
    } else if let Some(date) = node.date.as_ref().filter(|date| fact.column(date).is_some_and(|column| column.nulls)) {
        let column =
            selection.add(format!("time {:?} {date}", TimeUnit::Day), col(date.as_str()).cast(DataType::Int32));
        keys.time = Some(TimeKey { column, low: 0, factor: 0 });
    }
    for name in node.dimensions.iter().chain(&split.columns) {
        let (codes, card) = node.code(fact, rewind_to, name)?;
        keys.codes.push((selection.add(format!("code {name}"), codes), narrow(factor)?));
        cards.push(card);
        factor *= card;
    }
    for measure in &split.sums {
        let same =
            |(known, ..): &(MeasureSpec, SumColumn, u32)| known.of == measure.of && known.filter == measure.filter;
        let position = match selection.sums.iter().position(same) {
            Some(position) => position,
            None => {
                let position = selection.sums.len();
                let terms = node.terms(fact, rewind_to, measure, true)?;
                let (value, scale) = match terms.number {
                    Some((number, scale)) => {
                        // Constants alone are narrower.
                        let number = number.cast(DataType::Int64);
                        (Some(selection.add(format!("value {position}"), number)), scale)
                    }
                    None => (None, 0),
                };
                let mask = terms.mask.map(|mask| selection.add(format!("mask {position}"), mask));
                selection.sums.push((measure.clone(), SumColumn { value, mask, is_wide: terms.is_wide }, scale));
                position
            }
        };
        keys.sums.push(position);
    }
    Ok(Member { node, split, keys, cards, time_origin })
}

/// The result of a pass, node by node.
fn read(frame: &DataFrame, members: &[Member<'_>], selection: &Selection) -> Result<Vec<Cube>, QueryError> {
    let keys = integers(frame, KEY)?;
    let all = (selection.sums.iter().enumerate())
        .map(|(position, (_, column, scale))| {
            measure_data(frame, position, column.value.is_some(), (*scale, column.is_wide))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut cubes = Vec::with_capacity(members.len());
    for member in members {
        let first = member.keys.offset;
        let end = first + i64::try_from(member.keys.area).unwrap_or(0);
        // Groups come in the order in which threads finished; kept in the order of their keys, results are the same always.
        let mut rows: Vec<(i64, usize)> = keys
            .iter()
            .enumerate()
            .filter(|(_, key)| **key >= first && **key < end)
            .map(|(row, key)| (*key - first, row))
            .collect();
        rows.sort_unstable();
        let mut parts: Vec<Vec<u32>> = vec![Vec::with_capacity(rows.len()); member.cards.len()];
        for (key, _) in &rows {
            let mut rest = *key;
            for (part, card) in parts.iter_mut().zip(&member.cards) {
                part.push(u32::try_from(rest % card).unwrap_or(0));
                rest /= card;
            }
        }
        let has_time = member.keys.time.as_ref().is_some_and(|time| time.factor > 0);
        let times = has_time.then(|| parts.remove(0));
        let groups = Groups {
            count: rows.len(),
            times,
            time_origin: member.time_origin,
            codes: parts,
            sums: member.keys.sums.iter().map(|position| all[*position].at(rows.iter().map(|(_, row)| *row))).collect(),
            ..Groups::default()
        };
        cubes.push(groups.cube(member.node.unit, &member.node.dimensions, &member.split));
    }
    Ok(cubes)
}
