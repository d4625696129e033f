//! `--interval` against textbooks, on random companies, row by row.
//!
//! The bounds of a rate are found as the roots of the equation that Wilson solved, those of a
//! mean from the values themselves in two passes, with Student's quantile from its integral.
//! Which KPIs have an interval is written down here and not asked of the engine.

use dealframe_model::calendar::Grain;
use dealframe_model::frame::Number;
use dealframe_model::kpi::{Compute, Measure, Part};
use dealframe_query::request::Request;

use super::compare::{Ask, Case, definitions, suitable_segments};
use super::evaluate::{Combination, Question};
use super::generate::{asked, rich_world};
use super::value::Fraction;

const RATES: [&str; 8] = [
    "win_rate",
    "win_rate_created",
    "win_rate_created_decided",
    "lead_conversion",
    "cross_sell_rate",
    "loss_reason_coverage",
    "csat",
    "stage_conversion",
];

const MEANS: [&str; 8] = [
    "average_deal_size",
    "sales_cycle_mean",
    "sales_cycle_lost_mean",
    "nps",
    "csat_mean",
    "basket_per_order",
    "resolution_time_mean",
    "stage_duration_mean",
];

const NEITHER: [&str; 6] = [
    "revenue",
    "win_rate_by_value",
    "win_rate_same_period",
    "discount_rate",
    "sales_cycle_median",
    "open_pipeline_value",
];

/// The roots of n (k/n - p)² = z² p (1 - p).
fn wilson(hits: f64, rows: f64) -> (f64, f64) {
    let square = 1.959_963_984_540_054_f64.powi(2);
    let (a, b, c) = (rows + square, 2.0 * hits + square, hits * hits / rows);
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    ((b - root) / (2.0 * a), (b + root) / (2.0 * a))
}

/// The point beyond which 2.5 % of Student's distribution lie: by halving, over its integral.
fn student(freedom: usize) -> f64 {
    let v = freedom as f64;
    // The integral over t = √v tan u; its constant is Γ((v+1)/2) / (√π Γ(v/2)), by recursion.
    let mut constant = if freedom % 2 == 1 { 1.0 / std::f64::consts::PI } else { 0.5 };
    for step in (if freedom % 2 == 1 { 1 } else { 2 }..freedom).step_by(2) {
        constant *= (step as f64 + 1.0) / step as f64;
    }
    let below = |t: f64| {
        let (end, parts) = ((t / v.sqrt()).atan(), 2_000);
        let height = |part: usize| (end * part as f64 / parts as f64).cos().powf(v - 1.0);
        let inner: f64 = (1..parts).map(|part| if part % 2 == 1 { 4.0 } else { 2.0 } * height(part)).sum();
        0.5 + constant * (height(0) + inner + height(parts)) * end / parts as f64 / 3.0
    };
    let (mut low, mut high) = (1.0, 20.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if below(middle) < 0.975 { low = middle } else { high = middle }
    }
    low
}

fn mean(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let half = student(values.len() - 1) * (variance / count).sqrt();
    Some((mean - half, mean + half))
}

#[test]
fn the_quantile_is_that_of_the_tables() {
    for (freedom, known) in [(1, 12.7062), (2, 4.3027), (7, 2.3646), (30, 2.0423), (60, 2.0003), (120, 1.9799)] {
        assert!((student(freedom) - known).abs() < 5e-5, "{freedom}: {}", student(freedom));
    }
}

/// The measure above the line.
fn above(case: &Question<'_>, kpi: &str) -> Measure {
    let Compute::Ratio { numerator: Part::One(term), .. } = &case.definitions[kpi].compute else { panic!("{kpi}") };
    match (&term.measure, &term.kpi) {
        (Some(measure), _) => measure.clone(),
        (None, Some(id)) => match &case.definitions[id].compute {
            Compute::Flow { measure } => measure.clone(),
            other => panic!("{kpi} divides a {}", other.kind()),
        },
        (None, None) => panic!("{kpi}"),
    }
}

fn float(number: Fraction) -> f64 {
    number.to_string().split('~').next_back().unwrap().trim_end_matches(')').parse().unwrap()
}

fn same(found: Option<Number>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (None, None) => true,
        (Some(found), Some(expected)) => {
            found.scale == 6 && (found.to_f64() - expected).abs() <= 1e-6 + 1e-8 * expected.abs()
        }
        _ => false,
    }
}

#[test]
fn intervals_are_those_of_the_rows() {
    let definitions = definitions();
    for seed in 1..=4 {
        let case = Case::new(&rich_world(seed));
        let mut wide = 0;
        for (place, kpi) in RATES.iter().chain(&MEANS).chain(&NEITHER).enumerate() {
            let segments = suitable_segments(&definitions, kpi);
            let by = if place % 2 == 0 { vec![] } else { vec![segments[place % segments.len()]] };
            let ask = Ask { grains: vec![Grain::Quarter, Grain::All], ..Ask::new(kpi, &by, asked()) };
            let request = Request { interval: true, ..ask.request() };
            let frame = case.engine.run(&[request]).unwrap().pop().unwrap();
            let plain = case.engine.run(&[ask.request()]).unwrap().pop().unwrap();
            assert_eq!(frame.rows, plain.rows, "{kpi}: an interval changes nothing else");
            assert_eq!(plain.intervals, None);
            let question = Question::new(&case.facts, &definitions, case.calendar, &by, &[]);
            for (position, row) in frame.rows.iter().enumerate() {
                let period = &frame.periods[row.period as usize];
                let (from, to) = asked();
                let index = period.start.map_or(0, |day| case.calendar.index(period.grain, day.max(from)));
                let window = question.window(period.grain, index);
                let window =
                    super::evaluate::Window { first: window.first.max(from), last: window.last.min(to - 1), ..window };
                let combination: Combination =
                    (0..frame.segments.len()).map(|place| frame.label(row, place).map(str::to_owned)).collect();
                let answer = question.answer(kpi, window, Some(&combination));
                let rows = answer.denominator.map_or(0.0, float);
                let bounds = if RATES.contains(kpi) {
                    (rows > 0.0).then(|| wilson(float(answer.numerator.unwrap()), rows))
                } else if MEANS.contains(kpi) {
                    let factor = if *kpi == "nps" { 100.0 } else { 1.0 };
                    let values = question.values(&above(&question, kpi), window, Some(&combination));
                    mean(&values.into_iter().map(float).collect::<Vec<_>>())
                        .map(|(low, high)| (factor * low, factor * high))
                        // A score from -100 to 100 cannot be off it.
                        .map(|(low, high)| if *kpi == "nps" { (low.max(-100.0), high.min(100.0)) } else { (low, high) })
                } else {
                    None
                };
                let is_small = (!NEITHER.contains(kpi) && rows > 0.0).then_some(rows < 30.0);
                let found = frame.interval(position);
                let right = same(found.low, bounds.map(|(low, _)| low))
                    && same(found.high, bounds.map(|(_, high)| high))
                    && found.is_small == is_small;
                assert!(right, "{kpi} {} {combination:?}: {found:?}, expected {bounds:?} {is_small:?}", period.label);
                wide += usize::from(bounds.is_some());
            }
        }
        assert!(wide > 60, "only {wide} intervals to compare");
    }
}
