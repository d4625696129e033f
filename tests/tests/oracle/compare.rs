//! Engine against oracle: the same questions to both, every cell compared exactly.

use std::collections::{BTreeMap, BTreeSet};

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::frame::{Frame, Number};
use dealframe_model::kpi::{Compute, Definition, Operation};
use dealframe_query::request::{Request, Settings};
use dealframe_query::{Catalogue, Engine};

use super::derived::{Facts, facts};
use super::evaluate::{Answer, Combination, Question, Window, tables};
use super::generate::everything_there_is;
use super::segments;
use super::value::Fraction;
use super::world::World;

/// Grains of most comparisons.
pub const GRAINS: &[Grain] = &[Grain::All, Grain::Month, Grain::Quarter];

/// Segments to choose from, the most telling first.
const SEGMENTS: &[&str] = &[
    "region",
    "owner",
    "source",
    "team",
    "stage",
    "product",
    "account",
    "campaign",
    "industry",
    "manager",
    "country",
    "deal_type",
    "account_type",
    "loss_reason",
    "pipeline",
    "product_family",
    "kind",
    "plan",
    "role",
    "priority",
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

/// The windows of a range, in order; without one, those in which anything can have happened.
fn windows(question: &Question, grain: Grain, range: Option<(i32, i32)>) -> Vec<Window> {
    let (first, end) = range.unwrap_or_else(everything_there_is);
    let calendar = question.calendar;
    let cut = |index: i32| {
        let window = question.window(grain, index);
        let Some((from, to)) = range else { return window };
        Window { first: window.first.max(from), last: window.last.min(to - 1), ..window }
    };
    (calendar.index(grain, first)..=calendar.index(grain, end - 1)).map(cut).collect()
}

/// What is asked of both sides.
#[derive(Debug, Clone)]
pub struct Ask {
    pub kpi: String,
    pub by: Vec<&'static str>,
    pub filters: Vec<&'static str>,
    pub grains: Vec<Grain>,
    /// First day, and first day after the range; the whole of the data where there is none.
    pub range: Option<(i32, i32)>,
}

impl Ask {
    pub fn new(kpi: &str, by: &[&'static str], range: (i32, i32)) -> Self {
        let (by, grains) = (by.to_vec(), GRAINS.to_vec());
        Self { kpi: kpi.to_owned(), by, filters: Vec::new(), grains, range: Some(range) }
    }

    pub fn request(&self) -> Request {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Request {
            kpis: vec![self.kpi.clone()],
            by: owned(&self.by),
            grains: self.grains.clone(),
            from: self.range.map(|(from, _)| from),
            to: self.range.map(|(_, to)| to),
            filters: owned(&self.filters),
            ..Request::default()
        }
    }
}

/// Puts all questions to the engine at once and to the oracle one by one; describes the first difference of each.
pub fn disagreements(case: &Case, definitions: &BTreeMap<String, Definition>, asks: &[Ask]) -> Vec<String> {
    let requests: Vec<Request> = asks.iter().map(Ask::request).collect();
    let frames = case.engine.run(&requests).unwrap();
    let compare = |(ask, frame): (&Ask, &Frame)| {
        let differences = differences(case, definitions, ask, frame);
        let first = differences.first()?;
        Some(format!("{} by {:?} where {:?}: {} cells, {first}", ask.kpi, ask.by, ask.filters, differences.len()))
    };
    asks.iter().zip(&frames).filter_map(compare).collect()
}

/// Compares one frame with the oracle and describes every difference.
fn differences(case: &Case, definitions: &BTreeMap<String, Definition>, ask: &Ask, frame: &Frame) -> Vec<String> {
    let definition = &definitions[&ask.kpi];
    let shown = shown_segments(definition, &ask.by);
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let question = Question::new(&case.facts, definitions, case.calendar, &shown, &ask.filters);
    let strict = shows_parts_of_null(definition);
    let found = cells(frame);
    let every = question.combinations(&ask.kpi);
    let (mut differences, mut visited) = (Vec::new(), BTreeSet::new());
    for grain in &ask.grains {
        for window in windows(&question, *grain, ask.range) {
            if window.first > case.facts.as_of && !question.looks_ahead(&ask.kpi) {
                // What has not begun has no lines.
                continue;
            }
            let label = question.calendar.label(*grain, window.index);
            for combination in &every {
                let key = (grain.name().to_owned(), label.clone(), combination.clone());
                let expected = question.answer(&ask.kpi, window, Some(combination));
                match found.get(&key) {
                    Some(answer) if agree(answer, &expected, strict) => {}
                    Some(answer) => {
                        differences.push(format!("{key:?}: expected {}, got {}", show(&expected), show(answer)))
                    }
                    None if expected.rows == 0 => {}
                    None => differences.push(format!("{key:?}: expected {}, got no line", show(&expected))),
                }
                visited.insert(key);
            }
        }
    }
    // A result without segments has its lines even where no row counts at all.
    let unexpected = found.iter().filter(|(key, _)| !visited.contains(*key) && !key.2.is_empty());
    differences.extend(unexpected.map(|(key, answer)| format!("{key:?}: expected no line, got {}", show(answer))));
    differences
}

/// Ratios show what they divide even where the quotient is null; other kinds need not.
fn shows_parts_of_null(definition: &Definition) -> bool {
    !matches!(
        definition.compute,
        Compute::Derived(_) | Compute::Retention { .. } | Compute::Attainment { .. } | Compute::Formula { .. }
    )
}

fn agree(found: &Answer, expected: &Answer, strict: bool) -> bool {
    found == expected || (!strict && found.value.is_none() && expected.value.is_none())
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
    pub calendar: Calendar,
    /// Removed with the case.
    _folder: tempfile::TempDir,
}

impl Case {
    pub fn new(world: &World) -> Self {
        Self::with(world, 1, Settings::default())
    }

    /// A company whose rows arrive in pieces, looked at under settings of its own.
    pub fn with(world: &World, pieces: usize, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake");
        world.write(&lake, pieces);
        let calendar = settings.calendar;
        Self { facts: facts(world), engine: Engine::open(&lake, settings).unwrap(), calendar, _folder: folder }
    }
}
