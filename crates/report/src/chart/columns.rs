//! Bars: one per period, stacked by segment, or lying down with a bar per segment.

use super::axis::{Frame, WIDTH};
use super::{PALETTE, Plot, colour, escaped, short};

/// One bar per period; the running one is pale.
pub(super) fn single(plot: &Plot) -> String {
    let Some(series) = plot.series.first() else { return String::new() };
    let frame = Frame::new(series.points.iter().flatten().map(|point| point.value.to_f64()), plot.labels.len());
    let mut svg = frame.open(plot);
    for (at, point) in series.points.iter().enumerate() {
        let Some(point) = point else { continue };
        bar(
            &mut svg,
            &frame,
            at,
            (0.0, point.value.to_f64()),
            PALETTE[0],
            plot.partial[at],
            &format!("{}: {}", plot.labels[at], short(point.value, plot.unit)),
        );
        if plot.labels.len() <= 12 {
            svg.push_str(&format!(
                "<text class=\"value\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                frame.x(at),
                frame.y(point.value.to_f64().max(0.0)) - 3.0,
                short(point.value, plot.unit)
            ));
        }
    }
    svg.push_str("</svg>");
    svg
}

/// One bar per period, made of its segments.
pub(super) fn stacked(plot: &Plot) -> String {
    let totals = (0..plot.labels.len()).map(|at| {
        plot.series.iter().filter_map(|series| series.points[at]).map(|point| point.value.to_f64()).sum::<f64>()
    });
    let frame = Frame::new(totals, plot.labels.len());
    let mut svg = frame.open(plot);
    for at in 0..plot.labels.len() {
        let mut bottom = 0.0;
        for (index, series) in plot.series.iter().enumerate() {
            let Some(point) = series.points[at] else { continue };
            let top = bottom + point.value.to_f64();
            let title = format!("{}, {}: {}", series.name, plot.labels[at], short(point.value, plot.unit));
            bar(&mut svg, &frame, at, (bottom, top), colour(index), plot.partial[at], &title);
            bottom = top;
        }
    }
    svg.push_str("</svg>");
    svg
}

fn bar(svg: &mut String, frame: &Frame, at: usize, (from, to): (f64, f64), colour: &str, partial: bool, title: &str) {
    let width = (frame.slot() * 0.72).min(64.0);
    let (top, bottom) = (frame.y(from.max(to)), frame.y(from.min(to)));
    svg.push_str(&format!(
        "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\" opacity=\"{}\" \
         stroke=\"#fff\" stroke-width=\"0.6\"><title>{}{}</title></rect>",
        frame.x(at) - width / 2.0,
        (bottom - top).max(0.0),
        if partial { "0.4" } else { "1" },
        escaped(title),
        if partial { " (still running)" } else { "" }
    ));
}

/// A bar per segment, for the latest whole period, from the greatest down.
pub(super) fn horizontal(plot: &Plot) -> String {
    let Some(at) = plot.latest() else { return String::new() };
    let mut rows: Vec<_> =
        plot.series.iter().filter_map(|series| series.points[at].map(|point| (series, point))).collect();
    let rest = |name: &str| name == "(other)" || name == "(none)";
    rows.sort_by(|(left, low), (right, high)| {
        rest(&left.name).cmp(&rest(&right.name)).then(high.value.to_f64().total_cmp(&low.value.to_f64()))
    });
    let greatest = rows.iter().map(|(_, point)| point.value.to_f64().abs()).fold(0.0f64, f64::max);
    let height = rows.len() as f64 * 24.0 + 8.0;
    let longest = rows.iter().map(|(series, _)| series.name.chars().count()).max().unwrap_or(0);
    let left = (longest as f64 * 6.8 + 16.0).clamp(60.0, 240.0);
    let room = WIDTH - left - 80.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">",
        escaped(&plot.title)
    );
    for (index, (series, point)) in rows.iter().enumerate() {
        let y = index as f64 * 24.0 + 4.0;
        let value = point.value.to_f64();
        let width = if greatest > 0.0 { value.abs() / greatest * room } else { 0.0 };
        let fill = if value < 0.0 { PALETTE[5] } else { PALETTE[0] };
        let name = if series.name.is_empty() { &plot.labels[at] } else { &series.name };
        svg.push_str(&format!(
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"18\" fill=\"{fill}\" rx=\"1.5\"/>\
             <text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left - 8.0,
            y + 13.0,
            escaped(name),
            left + width + 6.0,
            y + 13.0,
            short(point.value, plot.unit)
        ));
    }
    svg.push_str("</svg>");
    svg
}
