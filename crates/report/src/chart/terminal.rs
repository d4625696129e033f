//! Charts of block characters, for `--chart`.
//!
//! A single series becomes bars, one line per period or segment; several series over several
//! periods become one sparkline each.

use dealframe_model::frame::Frame;

use super::{Plot, Series, plots, short};

const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The frame as text, `width` characters wide where the names allow it.
pub fn draw(frame: &Frame, width: usize) -> String {
    let mut out = String::new();
    for plot in plots(frame) {
        let unit = if plot.unit == dealframe_model::kpi::Unit::Money {
            format!(" ({})", plot.unit_name)
        } else {
            String::new()
        };
        out.push_str(&format!("{}{unit}\n", plot.title));
        let lines = match (plot.series.as_slice(), plot.labels.len()) {
            ([series], _) => bars(&plot, by_period(&plot, series), width),
            (_, 1) => bars(&plot, by_segment(&plot), width),
            _ => sparklines(&plot),
        };
        out.push_str(&lines);
        out.push('\n');
    }
    out
}

type Entry = (String, Option<dealframe_model::frame::Number>);

fn by_period(plot: &Plot, series: &Series) -> Vec<Entry> {
    let label = |at: usize| format!("{}{}", plot.labels[at], if plot.partial[at] { "*" } else { "" });
    series.points.iter().enumerate().map(|(at, point)| (label(at), point.map(|point| point.value))).collect()
}

fn by_segment(plot: &Plot) -> Vec<Entry> {
    plot.series.iter().map(|series| (series.name.clone(), series.points[0].map(|point| point.value))).collect()
}

fn bars(plot: &Plot, entries: Vec<Entry>, width: usize) -> String {
    let names = entries.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let greatest = entries.iter().filter_map(|(_, value)| *value).map(|value| value.to_f64().abs()).fold(0.0, f64::max);
    let room = width.saturating_sub(names + 14).max(10);
    let mut out = String::new();
    for (name, value) in entries {
        let Some(value) = value else {
            out.push_str(&format!("{name:<names$}  –\n"));
            continue;
        };
        let eighths =
            if greatest > 0.0 { (value.to_f64().abs() / greatest * room as f64 * 8.0).round() as usize } else { 0 };
        let mut bar = EIGHTHS[7].to_string().repeat(eighths / 8);
        if !eighths.is_multiple_of(8) {
            bar.push(EIGHTHS[eighths % 8 - 1]);
        }
        out.push_str(&format!("{name:<names$}  {bar} {}\n", short(value, plot.unit)));
    }
    out
}

fn sparklines(plot: &Plot) -> String {
    let names = plot.series.iter().map(|series| series.name.chars().count()).max().unwrap_or(0);
    let values = plot.series.iter().flat_map(|series| series.points.iter().flatten());
    let greatest = values.map(|point| point.value.to_f64()).fold(0.0f64, f64::max);
    let mut out = String::new();
    for series in &plot.series {
        let line: String = (series.points.iter())
            .map(|point| match point {
                Some(point) if greatest > 0.0 => {
                    LEVELS[((point.value.to_f64() / greatest * 8.0).ceil().clamp(1.0, 8.0)) as usize - 1]
                }
                Some(_) => LEVELS[0],
                None => ' ',
            })
            .collect();
        let last = plot
            .latest()
            .and_then(|at| series.points[at])
            .map_or("–".to_owned(), |point| short(point.value, plot.unit));
        out.push_str(&format!("{:<names$}  {line}  {last}\n", series.name));
    }
    if let (Some(first), Some(last)) = (plot.labels.first(), plot.latest().map(|at| &plot.labels[at])) {
        out.push_str(&format!("{:<names$}  {first} .. ; figures of {last}\n", ""));
    }
    out
}
