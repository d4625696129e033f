//! What must hold between answers, whatever they are: parts and wholes, order, scale, threads.

use std::collections::BTreeMap;
use std::process::Command;

use dealframe_model::calendar::Grain;
use dealframe_model::kpi::{Aggregate, AttainmentShow, Base, Compute, Definition, Part, Unit};
use dealframe_query::request::{Request, Settings};

use super::compare::{Ask, Case, Cells, cells, definitions, suitable_segments};
use super::evaluate::Combination;
use super::generate::{asked, rich_world};
use super::value::{Fraction, Value};

/// KPIs whose values of segments add up to the whole: sums and counts of rows, and sums of those.
fn is_additive(definitions: &BTreeMap<String, Definition>, definition: &Definition) -> bool {
    let adds = |aggregate: Aggregate| matches!(aggregate, Aggregate::Sum | Aggregate::Count);
    let part_adds = |part: &Part| {
        part.terms().iter().all(|term| {
            term.measure.as_ref().is_none_or(|measure| adds(measure.aggregate))
                && term.stock.as_ref().is_none_or(|stock| adds(stock.aggregate))
                && term.kpi.as_ref().is_none_or(|kpi| is_additive(definitions, &definitions[kpi]))
        })
    };
    match &definition.compute {
        Compute::Flow { measure } => adds(measure.aggregate),
        Compute::Stock { stock } => adds(stock.aggregate),
        Compute::Total { part } => part_adds(part),
        Compute::Recurring { .. } => true,
        _ => false,
    }
}

fn totals(cells: &Cells) -> BTreeMap<(String, String), (Fraction, i64)> {
    let mut totals = BTreeMap::new();
    for ((grain, label, _), answer) in cells {
        let total = totals.entry((grain.clone(), label.clone())).or_insert((Fraction::ZERO, 0));
        *total = (total.0.plus(answer.value.unwrap_or(Fraction::ZERO)), total.1 + answer.rows);
    }
    totals
}

fn frames(case: &Case, requests: &[Request]) -> Vec<Cells> {
    case.engine.run(requests).unwrap().iter().map(cells).collect()
}

#[test]
fn segments_add_up_to_the_whole() {
    let definitions = definitions();
    let additive: Vec<&String> = definitions
        .iter()
        .filter(|(_, definition)| is_additive(&definitions, definition))
        .map(|(kpi, _)| kpi)
        .collect();
    assert!(additive.len() > 60, "{} additive KPIs", additive.len());
    let case = Case::new(&rich_world(21));
    for kpi in additive {
        let segments = suitable_segments(&definitions, kpi);
        let mut asks = vec![Ask::new(kpi, &[], asked())];
        asks.extend(segments.iter().map(|segment| Ask::new(kpi, &[segment], asked())));
        asks.extend(segments.windows(2).map(|pair| Ask::new(kpi, pair, asked())));
        let requests: Vec<Request> = asks.iter().map(Ask::request).collect();
        let frames = frames(&case, &requests);
        let whole = totals(&frames[0]);
        for (ask, frame) in asks.iter().zip(&frames).skip(1).filter(|(_, frame)| !frame.is_empty()) {
            assert_eq!(totals(frame), whole, "{kpi} by {:?}", ask.by);
        }
    }
}

#[test]
fn the_top_and_the_others_add_up_to_the_whole() {
    let definitions = definitions();
    let case = Case::new(&rich_world(22));
    let mut others_seen = 0;
    for (kpi, _) in definitions.iter().filter(|(_, definition)| is_additive(&definitions, definition)) {
        for segment in suitable_segments(&definitions, kpi) {
            let plain = Ask { grains: vec![Grain::Month], ..Ask::new(kpi, &[segment], asked()) }.request();
            let top = Request { top: Some(1), ..plain.clone() };
            let frames = frames(&case, &[plain, top]);
            assert_eq!(totals(&frames[1]), totals(&frames[0]), "{kpi} by {segment}");
            let kept: std::collections::BTreeSet<&Combination> = frames[1].keys().map(|key| &key.2).collect();
            assert!(kept.len() <= 2, "{kpi} by {segment}: {kept:?}");
            others_seen += usize::from(kept.contains(&vec![Some("(other)".to_owned())]));
        }
    }
    assert!(others_seen > 100, "others in {others_seen} answers only");
}

/// Every KPI, as a whole and by a segment.
fn everything() -> Vec<Request> {
    let definitions = definitions();
    let mut requests = Vec::new();
    for (place, kpi) in definitions.keys().enumerate() {
        requests.push(Ask::new(kpi, &[], asked()).request());
        let segments = suitable_segments(&definitions, kpi);
        if !segments.is_empty() {
            requests.push(Ask::new(kpi, &[segments[place % segments.len()]], asked()).request());
        }
    }
    requests
}

#[test]
fn the_order_and_the_pieces_in_which_rows_arrive_do_not_matter() {
    let world = rich_world(23);
    let mut other = world.clone();
    for rows in other.tables.values_mut() {
        rows.reverse();
        let middle = rows.len() / 3;
        rows.rotate_left(middle);
    }
    let requests = everything();
    let expected = Case::new(&world).engine.run(&requests).unwrap();
    let found = Case::with(&other, 3, Settings::default()).engine.run(&requests).unwrap();
    for ((request, expected), found) in requests.iter().zip(&expected).zip(&found) {
        assert_eq!(cells(expected), cells(found), "{:?} by {:?}", request.kpis, request.by);
        assert_eq!(expected, found, "not in the same order: {:?} by {:?}", request.kpis, request.by);
    }
}

#[test]
fn questions_asked_together_and_alone_have_the_same_answers() {
    let case = Case::new(&rich_world(24));
    let requests = everything();
    let together = case.engine.run(&requests).unwrap();
    for (request, expected) in requests.iter().zip(&together) {
        let alone = case.engine.run(std::slice::from_ref(request)).unwrap();
        assert_eq!(alone[0], *expected, "{:?} by {:?}", request.kpis, request.by);
    }
}

/// Columns of money, as opposed to scores and quantities of the same type.
fn is_money(column: &str, metric: &Value) -> bool {
    column == "amount"
        || column.ends_with("_amount")
        || matches!(column, "unit_price" | "list_price")
        || (column == "target_value" && *metric == Value::text("revenue"))
}

#[test]
fn three_times_the_amounts_give_three_times_the_money_and_the_same_of_all_else() {
    let definitions = definitions();
    let world = rich_world(25);
    let mut dearer = world.clone();
    for row in dearer.tables.values_mut().flatten() {
        let metric = super::world::cell(row, "metric");
        for (column, value) in row.iter_mut() {
            if let (Value::Number(number), true) = (&*value, is_money(column, &metric)) {
                *value = Value::Number(number.times(Fraction::whole(3)));
            }
        }
    }
    let requests = everything();
    let before = frames(&Case::new(&world), &requests);
    let after = frames(&Case::new(&dearer), &requests);
    let mut grown = 0;
    for ((request, before), after) in requests.iter().zip(&before).zip(&after) {
        let definition = &definitions[&request.kpis[0]];
        // A gap and a target have the unit of what is planned; a margin per number of sales and the like are money.
        let factor = Fraction::whole(if definition.unit == Unit::Money { 3 } else { 1 });
        let spread = match &definition.compute {
            Compute::Attainment { pacing: Some(_), show, .. } => Some(*show),
            _ => None,
        };
        assert_eq!(before.len(), after.len(), "{:?} by {:?}", request.kpis, request.by);
        for (key, answer) in before {
            let (expected, found) = (answer.value.map(|value| value.times(factor)), after[key].value);
            let near = match (expected, found) {
                // Spread targets are rounded to the cent on the way, and what is divided by few cents can be anything.
                _ if spread == Some(AttainmentShow::Rate) => true,
                (Some(expected), Some(found)) if spread.is_some() => {
                    let apart = expected.minus(found);
                    apart < Fraction::whole(1) && Fraction::whole(-1) < apart
                }
                (Some(expected), Some(found)) => is_near(expected, found),
                (expected, found) => expected == found,
            };
            assert!(near, "{:?} by {:?} {key:?}: expected {expected:?}, got {found:?}", request.kpis, request.by);
            grown += usize::from(factor != Fraction::whole(1) && found.is_some_and(|found| !found.is_zero()));
        }
    }
    assert!(grown > 1000, "only {grown} amounts grew");
}

/// Equal but for the twelfth digit of the quotients on the way.
fn is_near(expected: Fraction, found: Fraction) -> bool {
    let size = |number: Fraction| if number < Fraction::ZERO { Fraction::ZERO.minus(number) } else { number };
    let allowed = Fraction::new(1, 1_000_000_000);
    size(expected.minus(found)) <= allowed.plus(size(found).rounded().times(allowed))
}

const FRAMES_FILE: &str = "DEALFRAME_TEST_FRAMES";

/// Not a test of its own: one process of the test below, which says into which file to write.
#[test]
fn frames_of_one_process() {
    if let Some(file) = std::env::var_os(FRAMES_FILE) {
        let frames = Case::new(&rich_world(26)).engine.run(&everything()).unwrap();
        std::fs::write(file, format!("{frames:?}")).unwrap();
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let frames: Vec<String> = ["1", "2", "8"]
        .iter()
        .map(|threads| {
            let file = folder.path().join(threads);
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["oracle::metamorphic::frames_of_one_process", "--exact"])
                .env("POLARS_MAX_THREADS", threads)
                .env("RAYON_NUM_THREADS", threads)
                .env(FRAMES_FILE, &file)
                .output()
                .unwrap();
            assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
            std::fs::read_to_string(file).unwrap()
        })
        .collect();
    assert!(frames[0].len() > 1_000_000, "the frames are too small to show anything");
    assert!(frames.iter().all(|other| *other == frames[0]), "frames differ with the number of threads");
}

#[test]
fn a_comparison_shows_what_the_earlier_period_shows_itself() {
    let case = Case::new(&rich_world(27));
    let calendar = case.calendar;
    let (from, to) = asked();
    let mut compared = 0;
    for base in [Base::Previous, Base::YearAgo] {
        for kpi in ["revenue", "win_rate", "open_pipeline_value", "sales_cycle_median", "cac", "revenue_per_rep"] {
            let grains = vec![Grain::Month];
            let plain = Ask { grains, ..Ask::new(kpi, &["region"], (super::world::day("2021-12-01"), to)) }.request();
            let request = Request { from: Some(from), compare: Some(base), ..plain.clone() };
            let answers = case.engine.run(&[plain, request]).unwrap();
            let values = cells(&answers[0]);
            for row in &answers[1].rows {
                let period = &answers[1].periods[row.period as usize];
                let index = calendar.index(Grain::Month, period.start.unwrap());
                let earlier = if base == Base::Previous { index - 1 } else { index - 12 };
                let region = answers[1].label(row, 0).map(str::to_owned);
                let key = ("month".to_owned(), calendar.label(Grain::Month, earlier), vec![region]);
                // Before the first data there is nothing to compare with, rather than a 0.
                if row.base.is_none() && period.start.unwrap() < super::world::day("2023-11-01") {
                    assert!(values[&key].value.is_none_or(Fraction::is_zero), "{kpi} {key:?}");
                    continue;
                }
                assert_eq!(row.base.map(Fraction::of), values[&key].value, "{kpi} {key:?}");
                compared += usize::from(row.base.is_some());
            }
        }
    }
    assert!(compared > 100, "only {compared} comparisons");
}

#[test]
fn a_range_that_cuts_a_period_cuts_it_with_and_without_a_comparison() {
    let case = Case::new(&rich_world(27));
    let (from, to) = (super::world::day("2023-11-15"), super::world::day("2024-03-11"));
    let whole = (super::world::day("2023-09-01"), super::world::day("2024-04-01"));
    for kpi in ["revenue", "open_pipeline_value", "deals_created", "win_rate"] {
        let ask = |range| Ask { grains: vec![Grain::Month], ..Ask::new(kpi, &["region"], range) }.request();
        let request = Request { compare: Some(Base::Previous), ..ask((from, to)) };
        let answers = case.engine.run(&[ask((from, to)), request, ask(whole)]).unwrap();
        let (plain, entire) = (cells(&answers[0]), cells(&answers[2]));
        let mut compared = 0;
        for row in &answers[1].rows {
            let period = &answers[1].periods[row.period as usize];
            let index = case.calendar.index(Grain::Month, period.start.unwrap());
            let region = answers[1].label(row, 0).map(str::to_owned);
            let key = |index| ("month".to_owned(), case.calendar.label(Grain::Month, index), vec![region.clone()]);
            let alone = plain.get(&key(index)).and_then(|cell| cell.value);
            if alone.is_some() {
                assert_eq!(row.value.map(Fraction::of), alone, "{kpi} {:?}", key(index));
            }
            assert_eq!(
                row.base.map(Fraction::of),
                entire.get(&key(index - 1)).and_then(|cell| cell.value),
                "{kpi} {:?}",
                key(index)
            );
            compared += usize::from(alone.is_some_and(|value| !value.is_zero()));
        }
        assert!(compared > 3, "{kpi}: only {compared} values");
        let notes = answers[1].notes.join("; ");
        if kpi == "open_pipeline_value" {
            assert!(!notes.contains("2023-11"), "{notes}");
            continue;
        }
        assert!(notes.contains("2023-11 counts from 2023-11-15 on and is compared with a whole period"), "{notes}");
        assert!(notes.contains("2024-03 counts until 2024-03-10 and is set against whole periods"), "{notes}");
    }
    let growth = Ask { grains: vec![Grain::Month], ..Ask::new("revenue_growth_previous", &[], (from, to)) }.request();
    let answers = case.engine.run(&[growth]).unwrap();
    let notes = answers[0].notes.join("; ");
    assert!(notes.contains("revenue_growth_previous looks back, so that its 2023-11 is the whole period"), "{notes}");
}
