//! The small curve of a headline tile.

use super::PALETTE;

/// A curve without axes through the values; missing values are gaps.
pub fn svg(values: &[Option<f64>]) -> String {
    let (width, height) = (150.0, 30.0);
    let known = || values.iter().flatten().copied();
    let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    if known().count() < 2 {
        return String::new();
    }
    let span = if high > low { high - low } else { 1.0 };
    let x = |at: usize| 2.0 + at as f64 / (values.len() - 1) as f64 * (width - 6.0);
    let y = |value: f64| 3.0 + (high - value) / span * (height - 6.0);
    let mut path = String::new();
    let mut last = None;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        let joined = at > 0 && values[at - 1].is_some();
        path.push_str(&format!("{}{:.1} {:.1}", if joined { "L" } else { "M" }, x(at), y(*value)));
        last = Some((x(at), y(*value)));
    }
    let dot = last.map_or(String::new(), |(x, y)| {
        format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.4\" fill=\"{}\"/>", PALETTE[0])
    });
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\"><path class=\"line\" d=\"{path}\" \
         stroke=\"{}\"/>{dot}</svg>",
        PALETTE[0]
    )
}
