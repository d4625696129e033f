//! A frame as texts for people: what terminal and Markdown tables share.
//!
//! The columns are those of the data formats without `period_start` (the label says it), and
//! without `grain` where there is only one. Running periods carry a `*`; null shows as `–`.

use dealframe_model::frame::{Frame, Row};
use dealframe_model::kpi::Unit;

use crate::number::{difference, display, grouped, percent, signed};

/// How null looks on screen.
pub const NULL: &str = "–";
/// What the star at a period means.
pub const LEGEND: &str = "* period still running: not comparable with whole periods";

/// Texts in columns; `right` says which are numbers.
pub(crate) struct Cells {
    pub(crate) header: Vec<String>,
    pub(crate) right: Vec<bool>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) running: bool,
}

pub(crate) fn cells(frame: &Frame) -> Cells {
    let first = frame.periods.first().map(|period| period.grain);
    let grains = frame.periods.iter().any(|period| Some(period.grain) != first);
    let mut header = vec!["kpi".to_owned()];
    let mut right = vec![false];
    if grains {
        header.push("grain".to_owned());
        right.push(false);
    }
    header.push("period".to_owned());
    right.push(false);
    header.extend(frame.segments.iter().cloned());
    right.extend(frame.segments.iter().map(|_| false));
    header.extend(["value", "unit", "numerator", "denominator", "rows"].map(str::to_owned));
    right.extend([true, false, true, true, true]);
    if frame.compared {
        header.extend(["base", "change", "change %"].map(str::to_owned));
        right.extend([true, true, true]);
    }
    if frame.intervals.is_some() {
        header.extend(["low", "high", "sample"].map(str::to_owned));
        right.extend([true, true, false]);
    }
    let rows = (0..frame.rows.len()).map(|index| line(frame, index, grains)).collect();
    let running = frame.rows.iter().any(|row| is_running(frame, row));
    Cells { header, right, rows, running }
}

fn is_running(frame: &Frame, row: &Row) -> bool {
    frame.periods.get(row.period as usize).is_some_and(|period| period.partial)
}

/// The unit of a row's KPI.
pub fn unit_of(frame: &Frame, row: &Row) -> Unit {
    frame.kpis.get(row.kpi as usize).map_or(Unit::Number, |kpi| kpi.unit)
}

/// A row's value as people read it.
pub fn value_text(frame: &Frame, row: &Row) -> String {
    row.value.map_or(NULL.to_owned(), |value| display(value, unit_of(frame, row)))
}

/// A row's change in percent, signed.
pub fn change_text(row: &Row) -> String {
    row.change().1.map_or(NULL.to_owned(), |ratio| signed(percent(ratio, 1), ratio))
}

fn line(frame: &Frame, index: usize, grains: bool) -> Vec<String> {
    let row = &frame.rows[index];
    let unit = unit_of(frame, row);
    // Parts of a quotient are amounts or counts, whatever the unit of the quotient.
    let part = |value: Option<dealframe_model::frame::Number>| {
        value.map_or(NULL.to_owned(), |value| {
            let whole = value.value % dealframe_model::decimal::power_of_ten(value.scale) == 0;
            grouped(value, if unit == Unit::Money || !whole { 2 } else { 0 })
        })
    };
    let mut line = vec![frame.kpis.get(row.kpi as usize).map(|kpi| kpi.id.clone()).unwrap_or_default()];
    if let Some(period) = frame.periods.get(row.period as usize) {
        if grains {
            line.push(period.grain.name().to_owned());
        }
        line.push(format!("{}{}", period.label, if period.partial { "*" } else { "" }));
    }
    line.extend((0..frame.segments.len()).map(|index| frame.label(row, index).unwrap_or(NULL).to_owned()));
    line.push(value_text(frame, row));
    line.push(frame.units.get(row.unit as usize).cloned().unwrap_or_default());
    line.push(part(row.numerator));
    line.push(part(row.denominator));
    line.push(grouped(dealframe_model::frame::Number { value: i128::from(row.rows), scale: 0 }, 0));
    if frame.compared {
        line.push(row.base.map_or(NULL.to_owned(), |base| display(base, unit)));
        line.push(row.change().0.map_or(NULL.to_owned(), |change| difference(change, unit)));
        line.push(change_text(row));
    }
    if frame.intervals.is_some() {
        let interval = frame.interval(index);
        for bound in [interval.low, interval.high] {
            line.push(bound.map_or(NULL.to_owned(), |bound| display(bound, unit)));
        }
        line.push(interval.is_small.map_or(NULL, |small| if small { "small" } else { "" }).to_owned());
    }
    line
}
