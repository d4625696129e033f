//! Lines over periods. A gap is a gap; the way into a running period is dashed.

use super::axis::Frame;
use super::{Plot, colour, dash, escaped, short};

pub(super) fn svg(plot: &Plot) -> String {
    let values = plot.series.iter().flat_map(|series| series.points.iter().flatten());
    let frame = Frame::new(values.map(|point| point.value.to_f64()), plot.labels.len());
    let mut svg = frame.open(plot);
    for (index, series) in plot.series.iter().enumerate() {
        let colour = colour(index);
        let place = |at: usize| {
            series.points[at].map(|point| format!("{:.1} {:.1}", frame.x(at), frame.y(point.value.to_f64())))
        };
        let mut path = String::new();
        let mut running = String::new();
        for at in 0..series.points.len() {
            let Some(to) = place(at) else { continue };
            let from = at.checked_sub(1).and_then(place);
            if plot.partial[at] {
                if let Some(from) = from {
                    running.push_str(&format!("M{from}L{to}"));
                }
            } else if from.is_some() {
                path.push_str(&format!("L{to}"));
            } else {
                path.push_str(&format!("M{to}"));
            }
        }
        let dashes = if plot.series.len() > 1 { dash(index) } else { "" };
        svg.push_str(&format!(
            "<path class=\"line\" d=\"{path}\" stroke=\"{colour}\" stroke-dasharray=\"{dashes}\"/>\
             <path class=\"line\" d=\"{running}\" stroke=\"{colour}\" stroke-dasharray=\"2 4\" opacity=\"0.7\"/>"
        ));
        if series.points.len() <= 40 {
            for (at, point) in series.points.iter().enumerate() {
                let Some(point) = point else { continue };
                let fill = if plot.partial[at] { "#fff" } else { colour };
                let name = if series.name.is_empty() { String::new() } else { format!("{}, ", series.name) };
                svg.push_str(&format!(
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.8\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.4\">\
                     <title>{}{}: {}</title></circle>",
                    frame.x(at),
                    frame.y(point.value.to_f64()),
                    escaped(&name),
                    escaped(&plot.labels[at]),
                    short(point.value, plot.unit)
                ));
            }
        }
    }
    svg.push_str("</svg>");
    svg
}
