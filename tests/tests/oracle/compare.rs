//! Engine against oracle: the same questions to both, every cell compared exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::frame::{Frame, Number};
use dealframe_model::kpi::{Compute, Definition, Operation};
use dealframe_query::request::{Request, Settings};
use dealframe_query::{Catalogue, Engine};

use super::derived::{Facts, facts};
use super::evaluate::{Answer, Combination, Question, Window, tables};
use super::segments;
use super::value::Fraction;
use super::world::World;

/// Grains of every comparison.
pub const GRAINS: [Grain; 3] = [Grain::All, Grain::Month, Grain::Quarter];

/// Segments to choose from, the most telling first.
const SEGMENTS: &[&str] = &[
    "region", "owner", "source", "team", "stage", "product", "account", "campaign", "industry", "manager", "country",
    "deal_type", "account_type", "loss_reason", "pipeline", "product_family", "kind", "plan", "role", "priority",
];

/// Period and combination to what stands there.
pub type Cells = BTreeMap<(String, String, Combination), Answer>;

pub fn definitions() -> BTreeMap<String, Definition> {
    let catalogue = Catalogue::load(None).unwrap();
    catalogue.all().map(|definition| (definition.id.clone(), definition.clone())).collect()
}

/// Segments that every table below a KPI has.
pub fn suitable_segments(definitions: &BTreeMap<String, Definition>, kpi: &str) -> Vec<&'static str> {
    if needs_target(definitions, kpi) {
        return vec!["region", "team", "owner"];
    }
    let tables = tables(definitions, kpi);
    SEGMENTS.iter().filter(|name| tables.iter().all(|table| segments::has(table, name))).copied().collect()
}

fn needs_target(definitions: &BTreeMap<String, Definition>, kpi: &str) -> bool {
    tables(definitions, kpi).contains("targets")
}

/// The segments of a result: those asked for, else those the definition brings along.
pub fn shown_segments(definition: &Definition, asked: &[&str]) -> Vec<String> {
    match &definition.compute {
        Compute::Derived(derived) if asked.is_empty() => match &derived.operation {
            Operation::By { segment } | Operation::Share { segment } => vec![segment.clone()],
            _ => Vec::new(),
        },
        _ => asked.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// One frame as cells.
pub fn cells(frame: &Frame) -> Cells {
    let number = |number: Option<Number>| number.map(Fraction::of);
    let mut cells = Cells::new();
    for row in &frame.rows {
        let period = &frame.periods[row.period as usize];
        let combination = (0..frame.segments.len()).map(|place| frame.label(row, place).map(str::to_owned)).collect();
        let answer = Answer {
            value: number(row.value),
            numerator: number(row.numerator),
            denominator: number(row.denominator),
            rows: row.rows,
        };
        let key = (period.grain.name().to_owned(), period.label.clone(), combination);
        assert!(cells.insert(key.clone(), answer).is_none(), "twice in a frame: {key:?}");
    }
    cells
}

/// The windows of a request, in order.
pub fn windows(question: &Question, grain: Grain, from: i32, to: i32) -> Vec<Window> {
    let calendar = Calendar::default();
    (calendar.index(grain, from)..=calendar.index(grain, to - 1))
        .map(|index| {
            let window = question.window(grain, index);
            Window { first: window.first.max(from), last: window.last.min(to - 1), ..window }
        })
        .collect()
}

/// Compares one frame with the oracle and describes every difference.
pub fn differences(question: &Question, kpi: &str, frame: &Frame, from: i32, to: i32) -> Vec<String> {
    let found = cells(frame);
    let mut differences = Vec::new();
    let mut visited = BTreeSet::new();
    let every = question.combinations(kpi);
    for grain in GRAINS {
        for window in windows(question, grain, from, to) {
            let label = question.calendar.label(grain, window.index);
            for combination in &every {
                let key = (grain.name().to_owned(), label.clone(), combination.clone());
                let expected = question.answer(kpi, window, Some(combination));
                match found.get(&key) {
                    Some(answer) if *answer == expected => {}
                    Some(answer) => differences.push(format!("{key:?}: expected {}, got {}", show(&expected), show(answer))),
                    None if expected.rows == 0 => {}
                    None => differences.push(format!("{key:?}: expected {}, got no line", show(&expected))),
                }
                visited.insert(key);
            }
        }
    }
    for (key, answer) in found.iter().filter(|(key, _)| !visited.contains(*key)) {
        // Lines of a combination that never occurs can only be the one line of a result without segments.
        if key.2.is_empty() {
            continue;
        }
        differences.push(format!("{key:?}: expected no line, got {}", show(answer)));
    }
    differences
}

pub fn show(answer: &Answer) -> String {
    let number = |number: Option<Fraction>| number.map_or_else(|| "null".to_owned(), |number| number.to_string());
    format!(
        "{} = {} / {} over {} rows",
        number(answer.value),
        number(answer.numerator),
        number(answer.denominator),
        answer.rows
    )
}

/// A company on disk beside its facts.
pub struct Case {
    pub facts: Facts,
    pub engine: Engine,
    _folder: tempfile::TempDir,
}

impl Case {
    pub fn new(world: &World) -> Self {
        Self::in_parts(world, 1)
    }

    pub fn in_parts(world: &World, parts: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake");
        world.write(&lake, parts);
        Self { facts: facts(world), engine: engine(&lake), _folder: folder }
    }
}

pub fn engine(lake: &Path) -> Engine {
    Engine::open(lake, Settings::default()).unwrap()
}

pub fn request(kpi: &str, by: &[&str], filters: &[&str], from: i32, to: i32) -> Request {
    Request {
        kpis: vec![kpi.to_owned()],
        by: by.iter().map(|name| (*name).to_owned()).collect(),
        grains: GRAINS.to_vec(),
        from: Some(from),
        to: Some(to),
        filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        ..Request::default()
    }
}
