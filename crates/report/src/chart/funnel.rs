//! A funnel: the KPIs of a frame as steps, or the segments of one KPI, in the latest whole period.

use dealframe_model::frame::{Frame, Number, quotient};
use dealframe_model::kpi::Unit;

use super::axis::WIDTH;
use super::{PALETTE, Plot, escaped, short};
use crate::number::percent;

pub(super) fn figure(frame: &Frame, plots: &[Plot]) -> Option<String> {
    let first = plots.first()?;
    let at = first.latest()?;
    let steps: Vec<(String, Number, Unit)> = if frame.segments.is_empty() {
        let of = |plot: &Plot| plot.series.first().and_then(|series| series.points.get(at).copied().flatten());
        plots
            .iter()
            .filter(|plot| plot.labels == first.labels)
            .filter_map(|plot| of(plot).map(|point| (plot.title.clone(), point.value, plot.unit)))
            .collect()
    } else {
        let point =
            |series: &super::Series| series.points[at].map(|point| (series.name.clone(), point.value, first.unit));
        first.series.iter().filter_map(point).collect()
    };
    let greatest = steps.iter().map(|(_, value, _)| value.to_f64()).fold(0.0f64, f64::max);
    if greatest <= 0.0 || steps.iter().any(|(_, value, _)| value.value < 0) {
        return None;
    }
    let start = steps.first()?.1;
    let height = steps.len() as f64 * 36.0 + 4.0;
    let (left, room) = (160.0, WIDTH - 160.0 - 130.0);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"Funnel\" xmlns=\"http://www.w3.org/2000/svg\">"
    );
    for (index, (name, value, unit)) in steps.iter().enumerate() {
        let y = index as f64 * 36.0 + 3.0;
        let width = (value.to_f64() / greatest * room).max(1.0);
        let share = quotient(*value, start).map_or(String::new(), |share| format!(" · {}", percent(share, 1)));
        svg.push_str(&format!(
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"28\" rx=\"2\" fill=\"{}\" opacity=\"{:.2}\"/>\
             <text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}{share}</text>",
            left - 12.0,
            y + 18.0,
            escaped(name),
            left + (room - width) / 2.0,
            PALETTE[0],
            1.0 - 0.5 * index as f64 / steps.len() as f64,
            left + room + 12.0,
            y + 18.0,
            short(*value, *unit)
        ));
    }
    svg.push_str("</svg>");
    let period = escaped(&first.labels[at]);
    let star = if first.partial[at] { "*" } else { "" };
    Some(format!(
        "<figure class=\"chart wide\"><figcaption>Funnel <span class=\"unit\">{period}{star}</span></figcaption>{svg}</figure>"
    ))
}
