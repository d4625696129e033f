//! Axes: round ticks, the value scale, and period labels that do not run into each other.

use dealframe_model::frame::Number;
use dealframe_model::kpi::Unit;

use super::{Plot, escaped, short};

pub(super) const WIDTH: f64 = 600.0;
pub(super) const HEIGHT: f64 = 230.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// Where values and periods lie on the paper.
pub(super) struct Frame {
    low: f64,
    high: f64,
    step: f64,
    count: usize,
}

impl Frame {
    /// A value axis from 0 (or below) to a round number above the greatest value.
    pub(super) fn new(values: impl Iterator<Item = f64>, count: usize) -> Self {
        let (mut low, mut high) = (0.0f64, 0.0f64);
        for value in values {
            low = low.min(value);
            high = high.max(value);
        }
        if low == high {
            high = 1.0;
        }
        let step = round_step((high - low) / 4.0);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step, count }
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }

    /// The middle of a period's place.
    pub(super) fn x(&self, index: usize) -> f64 {
        LEFT + (index as f64 + 0.5) * self.slot()
    }

    /// Width of a period's place.
    pub(super) fn slot(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / self.count.max(1) as f64
    }

    /// Opens the picture: grid lines, tick texts, period labels.
    pub(super) fn open(&self, plot: &Plot) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">",
            escaped(&plot.title)
        );
        let ticks = ((self.high - self.low) / self.step).round() as usize;
        for tick in 0..=ticks {
            let value = self.low + self.step * tick as f64;
            let y = self.y(value);
            let class = if value.abs() < self.step / 1e6 { "zero" } else { "grid" };
            svg.push_str(&format!(
                "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 3.5,
                tick_text(value, self.step, plot.unit)
            ));
        }
        let widest = plot.labels.iter().map(|label| label.chars().count()).max().unwrap_or(1) + 1;
        let every = ((widest as f64 * 9.0) / self.slot()).ceil().max(1.0) as usize;
        for (index, label) in plot.labels.iter().enumerate() {
            // Counted from the end, so that the newest period is always named.
            if (plot.labels.len() - 1 - index).is_multiple_of(every) {
                svg.push_str(&format!(
                    "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}{}</text>",
                    self.x(index),
                    HEIGHT - 8.0,
                    escaped(label),
                    if plot.partial[index] { "*" } else { "" }
                ));
            }
        }
        svg
    }
}

/// 1, 2, 2.5 or 5 times a power of ten, at least `wanted`.
fn round_step(wanted: f64) -> f64 {
    let magnitude = 10f64.powf(wanted.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= wanted * 0.999_999)
        .unwrap_or(wanted)
}

fn tick_text(value: f64, step: f64, unit: Unit) -> String {
    let number = |scale: u32| Number { value: (value * 10f64.powi(scale as i32)).round() as i128, scale };
    match unit {
        Unit::Ratio if step < 0.01 => crate::number::percent(number(6), 2),
        Unit::Ratio => crate::number::percent(number(6), u32::from((step * 100.0).fract() > 1e-9)),
        _ if value == 0.0 => "0".to_owned(),
        _ if step < 1.0 => crate::number::grouped(number(3), if step < 0.1 { 3 } else { 2 }),
        Unit::Money | Unit::Count | Unit::Number => trimmed(&short(number(2), unit)),
        _ => crate::number::grouped(number(1), u32::from(step.fract() != 0.0)),
    }
}

/// `1.50M` as `1.5M`, `20.0K` as `20K`.
fn trimmed(text: &str) -> String {
    let end = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).len();
    let (digits, letter) = text.split_at(end);
    if digits.contains('.') {
        format!("{}{letter}", digits.trim_end_matches('0').trim_end_matches('.'))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert!((round_step(0.23) - 0.25).abs() < 1e-12);
        assert!((round_step(3.0) - 5.0).abs() < 1e-12);
        assert!((round_step(1_700_000.0) - 2_000_000.0).abs() < 1e-3);
    }

    #[test]
    fn tick_texts() {
        assert_eq!(tick_text(1_500_000.0, 500_000.0, Unit::Money), "1.5M");
        assert_eq!(tick_text(0.25, 0.25, Unit::Ratio), "25%");
        assert_eq!(tick_text(0.125, 0.125, Unit::Ratio), "12.5%");
        assert_eq!(tick_text(20_000.0, 10_000.0, Unit::Count), "20K");
        assert_eq!(tick_text(0.0, 10.0, Unit::Count), "0");
    }
}
