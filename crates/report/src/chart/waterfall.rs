//! A waterfall: how the segments take a total from the base to the value, or build it up from 0.
//!
//! Only for what adds up: amounts and counts. The steps are exact differences of the frame.

use dealframe_model::decimal::rescale;
use dealframe_model::frame::Number;
use dealframe_model::kpi::Unit;

use super::axis::Frame;
use super::{PALETTE, Plot, escaped, short};

pub(super) fn svg(plot: &Plot) -> Option<String> {
    if !matches!(plot.unit, Unit::Money | Unit::Count) {
        return None;
    }
    let at = plot.latest()?;
    let points: Vec<_> =
        plot.series.iter().filter_map(|series| series.points[at].map(|point| (&series.name, point))).collect();
    let compared = points.iter().any(|(_, point)| point.base.is_some());
    let mut steps: Vec<Step> = Vec::new();
    let mut level = Number::ZERO;
    if compared {
        for (_, point) in &points {
            level = sum(level, point.base.unwrap_or(Number::ZERO), 1);
        }
        steps.push(Step { name: "before".to_owned(), from: Number::ZERO, to: level });
    }
    for (name, point) in &points {
        let change = if compared { sum(point.value, point.base.unwrap_or(Number::ZERO), -1) } else { point.value };
        let to = sum(level, change, 1);
        steps.push(Step { name: (*name).clone(), from: level, to });
        level = to;
    }
    steps.push(Step { name: plot.labels[at].clone(), from: Number::ZERO, to: level });
    Some(draw(plot, &steps, compared))
}

struct Step {
    name: String,
    from: Number,
    to: Number,
}

fn sum(left: Number, right: Number, sign: i128) -> Number {
    let scale = left.scale.max(right.scale);
    Number { value: rescale(left.value, left.scale, scale) + sign * rescale(right.value, right.scale, scale), scale }
}

fn draw(plot: &Plot, steps: &[Step], compared: bool) -> String {
    let frame = Frame::new(steps.iter().flat_map(|step| [step.from.to_f64(), step.to.to_f64()]), steps.len());
    let names = Plot {
        labels: steps.iter().map(|step| step.name.clone()).collect(),
        partial: vec![false; steps.len()],
        ..plot.clone()
    };
    let mut svg = frame.open(&names);
    let width = (frame.slot() * 0.7).min(70.0);
    for (index, step) in steps.iter().enumerate() {
        let total = index + 1 == steps.len() || (compared && index == 0);
        let change = sum(step.to, step.from, -1);
        let fill = if total {
            PALETTE[6]
        } else if change.value < 0 {
            PALETTE[5]
        } else {
            PALETTE[2]
        };
        let (top, bottom) =
            (frame.y(step.from.to_f64().max(step.to.to_f64())), frame.y(step.from.to_f64().min(step.to.to_f64())));
        let text = short(change, plot.unit);
        let text = if total { text } else { crate::number::signed(text, change) };
        svg.push_str(&format!(
            "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{fill}\"><title>{}: {text}</title></rect>\
             <text class=\"value\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            frame.x(index) - width / 2.0,
            (bottom - top).max(0.8),
            escaped(&step.name),
            frame.x(index),
            top - 3.0
        ));
    }
    svg.push_str("</svg>");
    svg
}
