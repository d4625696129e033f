//! A tidy frame as the table a reader expects: segments and periods down, KPIs or periods across.
//!
//! One grid per grain. Rows and columns keep the order of the frame, apart from segments over a
//! single period, which stand from the greatest value down; a combination that the
//! frame does not have stays blank, a null shows as `–`.

use std::collections::HashMap;

use dealframe_model::calendar::Grain;
use dealframe_model::frame::{Frame, Row};
use dealframe_model::kpi::{Better, Unit};

use super::Columns;
use crate::number::{difference, display, grouped};
use crate::render::cells::{change_text, unit_of, value_text};

/// Whether a change is welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    #[default]
    None,
    Good,
    Bad,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridColumn {
    pub title: String,
    pub unit: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridRow {
    pub heads: Vec<String>,
    pub running: bool,
    pub cells: Vec<Option<Cell>>,
}

/// A table of one grain, and of one KPI where periods lie across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    pub caption: Option<String>,
    pub heads: Vec<String>,
    pub columns: Vec<GridColumn>,
    pub rows: Vec<GridRow>,
    pub running: bool,
}

/// Periods that fit across a page.
const MOST_ACROSS: usize = 13;

pub fn grids(frame: &Frame, columns: Columns) -> Vec<Grid> {
    let mut grains: Vec<Grain> = Vec::new();
    for period in &frame.periods {
        if !grains.contains(&period.grain) {
            grains.push(period.grain);
        }
    }
    let several = grains.len() > 1;
    let mut out = Vec::new();
    for grain in grains {
        let periods = frame.periods.iter().filter(|period| period.grain == grain).count();
        let caption = several.then(|| format!("By {}", if grain == Grain::All { "whole range" } else { grain.name() }));
        let across = match columns {
            Columns::Kpis => false,
            Columns::Periods => periods > 0,
            Columns::Auto => {
                !frame.segments.is_empty()
                    && frame.kpis.len() == 1
                    && !frame.compared
                    && (2..=MOST_ACROSS).contains(&periods)
            }
        };
        if across {
            let several = frame.kpis.len() > 1;
            for (kpi, about) in frame.kpis.iter().enumerate() {
                let caption = if several { Some(about.name.clone()) } else { caption.clone() };
                out.push(periods_across(frame, grain, kpi, caption));
            }
        } else {
            out.push(kpis_across(frame, grain, caption, periods > 1));
        }
    }
    out.retain(|grid| !grid.rows.is_empty());
    out
}

fn in_grain(frame: &Frame, row: &Row, grain: Grain) -> bool {
    frame.periods.get(row.period as usize).is_some_and(|period| period.grain == grain)
}

fn kpis_across(frame: &Frame, grain: Grain, caption: Option<String>, show_period: bool) -> Grid {
    let width = if frame.compared { 2 } else { 1 };
    let mut columns = Vec::new();
    for (index, kpi) in frame.kpis.iter().enumerate() {
        let unit_name = frame.rows.iter().find(|row| row.kpi as usize == index).map(|row| row.unit);
        let unit_name = unit_name.and_then(|unit| frame.units.get(unit as usize)).cloned().unwrap_or_default();
        columns.push(GridColumn { title: kpi.name.clone(), unit: unit_note(kpi.unit, &unit_name) });
        if frame.compared {
            columns.push(GridColumn { title: "Change".to_owned(), unit: String::new() });
        }
    }
    let show_period = show_period || frame.segments.is_empty();
    let whole = whole_amounts(frame);
    let mut rows: Vec<GridRow> = Vec::new();
    let mut known: HashMap<(u32, &[Option<u32>]), usize> = HashMap::new();
    for (position, row) in frame.rows.iter().enumerate().filter(|(_, row)| in_grain(frame, row, grain)) {
        let index = *known.entry((row.period, &row.segments)).or_insert_with(|| {
            let mut heads = segment_heads(frame, row);
            let (label, running) = period_label(frame, row);
            if show_period {
                heads.insert(0, label);
            }
            rows.push(GridRow { heads, running, cells: vec![None; columns.len()] });
            rows.len() - 1
        });
        let at = row.kpi as usize * width;
        rows[index].cells[at] = Some(Cell { text: text(frame, position, &whole), tone: Tone::None });
        if frame.compared {
            rows[index].cells[at + 1] = Some(Cell { text: change_cell(frame, row), tone: tone(frame, row) });
        }
    }
    if !show_period {
        let order = by_value(frame, grain);
        let place: HashMap<&Vec<String>, usize> = order.iter().enumerate().map(|(at, heads)| (heads, at)).collect();
        rows.sort_by_cached_key(|row| place.get(&row.heads).copied().unwrap_or(usize::MAX));
    }
    let mut heads = frame.segments.clone();
    if show_period {
        heads.insert(0, "period".to_owned());
    }
    let running = rows.iter().any(|row| row.running);
    Grid { caption, heads, columns, rows, running }
}

fn periods_across(frame: &Frame, grain: Grain, kpi: usize, caption: Option<String>) -> Grid {
    let positions: Vec<usize> = (0..frame.periods.len()).filter(|index| frame.periods[*index].grain == grain).collect();
    let place: HashMap<u32, usize> = positions.iter().enumerate().map(|(at, index)| (*index as u32, at)).collect();
    let columns: Vec<GridColumn> = (positions.iter())
        .map(|index| {
            let period = &frame.periods[*index];
            let star = if period.partial { "*" } else { "" };
            GridColumn { title: format!("{}{star}", period.label), unit: String::new() }
        })
        .collect();
    let whole = whole_amounts(frame);
    let mut rows: Vec<GridRow> = Vec::new();
    let mut known: HashMap<&[Option<u32>], usize> = HashMap::new();
    for (position, row) in frame.rows.iter().enumerate().filter(|(_, row)| row.kpi as usize == kpi) {
        let Some(at) = place.get(&row.period) else { continue };
        let index = *known.entry(&row.segments).or_insert_with(|| {
            let heads = segment_heads(frame, row);
            let heads = if heads.is_empty() { vec![frame.kpis[kpi].name.clone()] } else { heads };
            rows.push(GridRow { heads, running: false, cells: vec![None; columns.len()] });
            rows.len() - 1
        });
        rows[index].cells[*at] = Some(Cell { text: text(frame, position, &whole), tone: Tone::None });
    }
    let heads = if frame.segments.is_empty() { vec!["kpi".to_owned()] } else { frame.segments.clone() };
    let running = positions.iter().any(|index| frame.periods[*index].partial);
    Grid { caption, heads, columns, rows, running }
}

/// The segments of one period from the greatest value of the first KPI down; the rest and the nameless come last.
fn by_value(frame: &Frame, grain: Grain) -> Vec<Vec<String>> {
    let first = frame.rows.iter().filter(|row| row.kpi == 0 && in_grain(frame, row, grain));
    let mut rows: Vec<(bool, f64, Vec<String>)> = first
        .map(|row| {
            let heads = segment_heads(frame, row);
            let last = heads.iter().any(|head| head == "(other)" || head == "(none)");
            (last, row.value.map_or(f64::NEG_INFINITY, |value| value.to_f64()), heads)
        })
        .collect();
    rows.sort_by(|left, right| left.0.cmp(&right.0).then(right.1.total_cmp(&left.1)));
    rows.into_iter().map(|(_, _, heads)| heads).collect()
}

/// The change as a share of the base, for rates in points.
fn change_cell(frame: &Frame, row: &Row) -> String {
    match row.change().0 {
        Some(change) if unit_of(frame, row) == Unit::Ratio => difference(change, Unit::Ratio),
        _ => change_text(row),
    }
}

/// KPIs whose amounts are so large that cents would only be noise; the data files keep them.
fn whole_amounts(frame: &Frame) -> Vec<bool> {
    let mut whole: Vec<bool> = frame.kpis.iter().map(|_| false).collect();
    for row in &frame.rows {
        let large = row.value.is_some_and(|value| value.to_f64().abs() >= 10_000.0);
        if let Some(kpi) = whole.get_mut(row.kpi as usize) {
            *kpi |= large && frame.kpis[row.kpi as usize].unit == Unit::Money;
        }
    }
    whole
}

/// A value, and behind it how far it may be off where that was asked for.
fn text(frame: &Frame, position: usize, whole: &[bool]) -> String {
    let row = &frame.rows[position];
    let is_whole = whole.get(row.kpi as usize).copied().unwrap_or(false);
    let text = match row.value {
        Some(value) if is_whole => grouped(value, 0),
        _ => value_text(frame, row),
    };
    let interval = frame.interval(position);
    let (Some(low), Some(high)) = (interval.low, interval.high) else { return text };
    let [low, high] =
        [low, high].map(|bound| if is_whole { grouped(bound, 0) } else { display(bound, unit_of(frame, row)) });
    let small = if interval.is_small == Some(true) { ", small" } else { "" };
    format!("{text} ({low} to {high}{small})")
}

fn segment_heads(frame: &Frame, row: &Row) -> Vec<String> {
    (0..frame.segments.len()).map(|segment| frame.label(row, segment).unwrap_or("(none)").to_owned()).collect()
}

fn period_label(frame: &Frame, row: &Row) -> (String, bool) {
    frame.periods.get(row.period as usize).map_or((String::new(), false), |period| {
        (format!("{}{}", period.label, if period.partial { "*" } else { "" }), period.partial)
    })
}

fn unit_note(unit: Unit, name: &str) -> String {
    match unit {
        Unit::Money if name != "money" => name.to_owned(),
        Unit::Days | Unit::Hours | Unit::Minutes | Unit::Seconds | Unit::Months => unit.name().to_owned(),
        _ => String::new(),
    }
}

/// Whether the change of a row is welcome. A running period is never judged.
pub fn tone(frame: &Frame, row: &Row) -> Tone {
    let running = frame.periods.get(row.period as usize).is_some_and(|period| period.partial);
    let better = frame.kpis.get(row.kpi as usize).map_or(Better::Neither, |kpi| kpi.better);
    match (row.change().0.map(|change| change.value.signum()), better) {
        _ if running => Tone::None,
        (Some(1), Better::Higher) | (Some(-1), Better::Lower) => Tone::Good,
        (Some(-1), Better::Higher) | (Some(1), Better::Lower) => Tone::Bad,
        _ => Tone::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::{compared, sample};

    #[test]
    fn segments_of_one_period_stand_from_the_greatest_down_and_the_rest_last() {
        let mut frame = compared();
        frame.labels = vec!["East".to_owned(), "West".to_owned()];
        let order = |frame: &Frame| {
            grids(frame, Columns::Auto)[0].rows.iter().map(|row| row.heads.join("/")).collect::<Vec<_>>()
        };
        assert_eq!(order(&frame), ["East", "West"]);
        frame.rows.swap(0, 1);
        assert_eq!(order(&frame), ["East", "West"]);
        frame.labels[0] = "(other)".to_owned();
        assert_eq!(order(&frame), ["West", "(other)"]);
    }

    #[test]
    fn one_kpi_by_segment_has_its_periods_across_and_blanks_stay_blank() {
        let mut frame = sample();
        frame.rows.truncate(2);
        frame.kpis.truncate(1);
        let grid = &grids(&frame, Columns::Auto)[0];
        let titles: Vec<&str> = grid.columns.iter().map(|column| column.title.as_str()).collect();
        assert_eq!(titles, ["2017-01", "2017-02*"]);
        assert!(grid.running);
        assert_eq!(grid.rows[0].cells[0].as_ref().map(|cell| cell.text.as_str()), Some("1,234,568"));
        assert_eq!(grid.rows[0].cells[1], None);
        assert_eq!(grid.rows[1].heads, ["(none)"]);
    }

    #[test]
    fn changes_are_judged_by_what_is_better() {
        let frame = compared();
        let grid = &grids(&frame, Columns::Auto)[0];
        let tones: Vec<Tone> = grid.rows.iter().filter_map(|row| row.cells[1].as_ref()).map(|cell| cell.tone).collect();
        assert_eq!(tones, [Tone::Good, Tone::Bad]);
    }
}
