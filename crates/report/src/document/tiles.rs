//! Headline tiles: the latest whole period of a KPI, and how it stands against the one before
//! and against the same one a year ago.

use dealframe_model::calendar::Grain;
use dealframe_model::frame::{Frame, Row};
use dealframe_model::kpi::{Better, Unit};

use super::grid::{Tone, tone};
use crate::chart::sparkline;
use crate::number::{difference, display, headline, percent, signed};
use crate::render::cells::NULL;

/// Points of the small curve.
const CURVE: usize = 24;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    pub id: String,
    pub name: String,
    pub value: String,
    /// The value in full, for those who look closer.
    pub exact: String,
    pub period: String,
    pub running: bool,
    pub changes: Vec<Change>,
    pub curve: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub against: String,
    pub text: String,
    /// -1, 0 or 1.
    pub direction: i32,
    pub tone: Tone,
}

/// Tiles from the same question compared with the previous period and with the year before.
pub fn tiles(previous: &Frame, year_ago: Option<&Frame>, grain: Grain) -> Vec<Tile> {
    (0..previous.kpis.len()).filter_map(|kpi| tile(previous, year_ago, grain, kpi)).collect()
}

fn tile(previous: &Frame, year_ago: Option<&Frame>, grain: Grain, kpi: usize) -> Option<Tile> {
    let about = previous.kpis.get(kpi)?;
    let rows: Vec<&Row> = rows(previous, grain, kpi);
    let latest = latest(previous, &rows)?;
    let row = rows[latest];
    let period = previous.periods.get(row.period as usize)?;
    let unit_name = previous.units.get(row.unit as usize).map_or("", String::as_str);
    let mut changes: Vec<Change> =
        change(previous, row, &format!("vs previous {}", grain_word(grain))).into_iter().collect();
    if let Some(frame) = year_ago {
        let rows = self::rows(frame, grain, kpi);
        let same = rows
            .iter()
            .find(|other| frame.periods.get(other.period as usize).is_some_and(|other| other.label == period.label));
        changes.extend(same.and_then(|row| change(frame, row, "vs a year ago")));
    }
    let curve: Vec<Option<f64>> = rows[..=latest].iter().map(|row| row.value.map(|value| value.to_f64())).collect();
    Some(Tile {
        id: about.id.clone(),
        name: about.name.clone(),
        value: row.value.map_or(NULL.to_owned(), |value| headline(value, about.unit, unit_name)),
        exact: row.value.map_or(String::new(), |value| display(value, about.unit)),
        period: period.label.clone(),
        running: period.partial,
        changes,
        curve: sparkline::svg(&curve[curve.len().saturating_sub(CURVE)..]),
    })
}

fn grain_word(grain: Grain) -> &'static str {
    match grain {
        Grain::FiscalMonth => "fiscal month",
        Grain::FiscalQuarter => "fiscal quarter",
        Grain::FiscalYear => "fiscal year",
        other => other.name(),
    }
}

/// The rows of one KPI and grain in the order of their periods.
fn rows(frame: &Frame, grain: Grain, kpi: usize) -> Vec<&Row> {
    let start = |row: &Row| {
        frame.periods.get(row.period as usize).filter(|period| period.grain == grain).map(|period| period.start)
    };
    let mut rows: Vec<&Row> = frame.rows.iter().filter(|row| row.kpi as usize == kpi && start(row).is_some()).collect();
    rows.sort_by_key(|row| start(row));
    rows
}

fn latest(frame: &Frame, rows: &[&Row]) -> Option<usize> {
    let whole = |row: &&Row| frame.periods.get(row.period as usize).is_some_and(|period| !period.partial);
    rows.iter().rposition(whole).or_else(|| rows.len().checked_sub(1))
}

fn change(frame: &Frame, row: &Row, against: &str) -> Option<Change> {
    let about = frame.kpis.get(row.kpi as usize)?;
    let (change, ratio) = row.change();
    let change = change?;
    let direction = change.value.signum() as i32;
    let text = match ratio {
        Some(ratio) if about.unit != Unit::Ratio => signed(percent(ratio, 1), ratio),
        _ => difference(change, about.unit),
    };
    let tone = if about.better == Better::Neither { Tone::None } else { tone(frame, row) };
    Some(Change { against: against.to_owned(), text, direction, tone })
}
