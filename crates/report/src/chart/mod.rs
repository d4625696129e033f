//! Charts drawn from a frame: inline SVG for HTML, bars and sparklines for the terminal.
//!
//! A plot holds the values of one KPI over the periods of one grain, a series per segment
//! combination. Drawing is the only place in dealframe where a float may stand for a figure,
//! and no text in a chart is taken from one except the ticks of an axis. Colours are told apart
//! by people who see few of them, and on grey prints by dashes.

mod axis;
mod columns;
mod funnel;
mod line;
pub mod sparkline;
pub mod terminal;
mod waterfall;

use std::collections::HashMap;

use dealframe_model::calendar::Grain;
use dealframe_model::frame::{Frame, Number};
use dealframe_model::kpi::Unit;
use serde::Deserialize;

use crate::number;

/// What to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    None,
    Line,
    /// By period; by segment where there is one period; stacked where there are both.
    Bar,
    Stacked,
    Funnel,
    Waterfall,
}

/// Blue, orange, green, purple, sky, vermilion, black, grey: after Okabe and Ito.
pub(crate) const PALETTE: [&str; 8] =
    ["#0b6aa8", "#e08e00", "#00845f", "#b0578d", "#4aa5dc", "#c4500a", "#222222", "#8a8f98"];
const DASHES: [&str; 4] = ["", "6 3", "2 3", "8 3 2 3"];
/// More series than this cannot be told apart.
const MOST_SERIES: usize = 8;

/// One value of a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) value: Number,
    pub(crate) base: Option<Number>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<Option<Point>>,
}

/// One KPI over the periods of one grain.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) unit_name: String,
    pub(crate) labels: Vec<String>,
    pub(crate) partial: Vec<bool>,
    pub(crate) series: Vec<Series>,
}

impl Plot {
    /// Sum, or mean for what cannot be summed, used to rank series by weight only.
    fn weight(series: &Series) -> f64 {
        series.points.iter().flatten().map(|point| point.value.to_f64().abs()).sum()
    }

    /// The position of the latest period that is over, else of the last one.
    pub(crate) fn latest(&self) -> Option<usize> {
        (0..self.labels.len()).rev().find(|index| !self.partial[*index]).or_else(|| self.labels.len().checked_sub(1))
    }

    /// Whether values of different segments may be put on top of each other.
    fn additive(&self) -> bool {
        matches!(self.unit, Unit::Money | Unit::Count)
            && self.series.iter().flat_map(|series| series.points.iter().flatten()).all(|point| point.value.value >= 0)
    }
}

/// The plots of a frame, by grain and KPI.
pub(crate) fn plots(frame: &Frame) -> Vec<Plot> {
    let mut grains: Vec<Grain> = Vec::new();
    for period in &frame.periods {
        if !grains.contains(&period.grain) {
            grains.push(period.grain);
        }
    }
    let kpis = (0..frame.kpis.len()).collect::<Vec<_>>();
    grains.iter().flat_map(|grain| kpis.iter().filter_map(|kpi| plot(frame, *grain, *kpi))).collect()
}

fn plot(frame: &Frame, grain: Grain, kpi: usize) -> Option<Plot> {
    let positions: Vec<usize> = (0..frame.periods.len()).filter(|index| frame.periods[*index].grain == grain).collect();
    let place: HashMap<usize, usize> = positions.iter().enumerate().map(|(place, index)| (*index, place)).collect();
    let mut series: Vec<Series> = Vec::new();
    let mut known: HashMap<&[Option<u32>], usize> = HashMap::new();
    let mut unit_name = None;
    for row in frame.rows.iter().filter(|row| row.kpi as usize == kpi) {
        let Some(place) = place.get(&(row.period as usize)) else { continue };
        let index = *known.entry(&row.segments).or_insert_with(|| {
            let parts = (0..frame.segments.len()).map(|segment| frame.label(row, segment).unwrap_or("(none)"));
            series.push(Series { name: parts.collect::<Vec<_>>().join(" · "), points: vec![None; positions.len()] });
            series.len() - 1
        });
        series[index].points[*place] = row.value.map(|value| Point { value, base: row.base });
        unit_name = unit_name.or(frame.units.get(row.unit as usize));
    }
    let about = frame.kpis.get(kpi)?;
    (!series.is_empty()).then(|| Plot {
        title: about.name.clone(),
        unit: about.unit,
        unit_name: unit_name.cloned().unwrap_or_default(),
        labels: positions.iter().map(|index| frame.periods[*index].label.clone()).collect(),
        partial: positions.iter().map(|index| frame.periods[*index].partial).collect(),
        series,
    })
}

/// Figures for HTML, one per KPI and grain; empty where there is nothing to draw.
pub fn figures(frame: &Frame, kind: Kind) -> Vec<String> {
    match kind {
        Kind::None => Vec::new(),
        Kind::Funnel => funnel::figure(frame, &plots(frame)).into_iter().collect(),
        _ => plots(frame).iter().filter_map(|plot| figure(plot, kind)).collect(),
    }
}

fn figure(plot: &Plot, kind: Kind) -> Option<String> {
    let (shown, left_out) = strongest(plot);
    let several = shown.series.len() > 1;
    let over_time = shown.labels.len() > 1;
    let svg = match kind {
        Kind::Line if over_time => line::svg(&shown),
        Kind::Stacked | Kind::Bar if over_time && several && shown.additive() => columns::stacked(&shown),
        Kind::Bar | Kind::Stacked if over_time && !several => columns::single(&shown),
        Kind::Bar | Kind::Stacked if over_time => line::svg(&shown),
        // Bars by segment can be many; there every one is shown.
        Kind::Line | Kind::Bar | Kind::Stacked => return Some(caption(plot, &columns::horizontal(plot), false, 0)),
        Kind::Waterfall => return waterfall::svg(plot).map(|svg| caption(plot, &svg, false, 0)),
        Kind::None | Kind::Funnel => return None,
    };
    Some(caption(&shown, &svg, several, left_out))
}

fn strongest(plot: &Plot) -> (Plot, usize) {
    let mut shown = plot.clone();
    let left_out = plot.series.len().saturating_sub(MOST_SERIES);
    if left_out > 0 {
        let mut order: Vec<usize> = (0..plot.series.len()).collect();
        order.sort_by(|left, right| {
            Plot::weight(&plot.series[*right]).total_cmp(&Plot::weight(&plot.series[*left])).then(left.cmp(right))
        });
        order.truncate(MOST_SERIES);
        order.sort_unstable();
        shown.series = order.iter().map(|index| plot.series[*index].clone()).collect();
    }
    (shown, left_out)
}

/// `svg` with its title, and for lines and stacks a legend; only lines are told apart by dashes as well.
fn caption(plot: &Plot, svg: &str, legend: bool, left_out: usize) -> String {
    let unit = match plot.unit {
        Unit::Money => plot.unit_name.clone(),
        Unit::Count | Unit::Ratio | Unit::Number => String::new(),
        unit => unit.name().to_owned(),
    };
    let mut out = format!("<figure class=\"chart\"><figcaption>{}", escaped(&plot.title));
    if !unit.is_empty() && unit != "money" {
        out.push_str(&format!(" <span class=\"unit\">{}</span>", escaped(&unit)));
    }
    out.push_str("</figcaption>");
    let lines = svg.contains("<path");
    if legend {
        out.push_str("<ul class=\"legend\">");
        for (index, series) in plot.series.iter().enumerate() {
            out.push_str(&format!(
                "<li><svg width=\"18\" height=\"8\" aria-hidden=\"true\"><line x1=\"0\" y1=\"4\" x2=\"18\" y2=\"4\" \
                 stroke=\"{}\" stroke-width=\"3\" stroke-dasharray=\"{}\"/></svg>{}</li>",
                colour(index),
                if lines { dash(index) } else { "" },
                escaped(&series.name)
            ));
        }
        out.push_str("</ul>");
    }
    out.push_str(svg);
    if left_out > 0 {
        out.push_str(&format!(
            "<p class=\"note\">The {MOST_SERIES} largest of {} are drawn; the table has all of them.</p>",
            plot.series.len() + left_out
        ));
    }
    out.push_str("</figure>");
    out
}

fn colour(index: usize) -> &'static str {
    PALETTE[index % PALETTE.len()]
}

fn dash(index: usize) -> &'static str {
    DASHES[(index / 2) % DASHES.len()]
}

/// A value in the words of a chart: short, without unit.
fn short(value: Number, unit: Unit) -> String {
    match unit {
        Unit::Ratio => number::percent(value, 1),
        Unit::Money | Unit::Count | Unit::Number => number::compact(value),
        _ => number::display(value, unit),
    }
}

/// A text safe in HTML and SVG.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests;
