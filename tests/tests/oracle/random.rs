//! Every KPI of the catalogue on random companies, engine against oracle.
//!
//! The seeds are fixed, so a failure comes again; proptest then looks for a smaller company that
//! fails as well. All questions to one company go through the engine together, as in a report.

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_query::request::Settings;
use proptest::prelude::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::compare::{Ask, Case, definitions, disagreements, suitable_segments};
use super::evaluate::tables;
use super::generate::{asked, everything_there_is, worlds};
use super::segments;
use super::world::World;

/// Runs a check on `cases` random companies.
pub fn on_random_worlds(
    worlds: impl Strategy<Value = World>,
    seed: u8,
    cases: u32,
    check: impl Fn(&World) -> Result<(), String>,
) {
    let config = Config { cases, max_shrink_iters: 12, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let outcome = runner.run(&worlds.prop_map(Wrapped), |world| check(&world.0).map_err(TestCaseError::fail));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// A company that prints as rows of words instead of pages of types.
struct Wrapped(World);

impl std::fmt::Debug for Wrapped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0.describe())
    }
}

pub fn all_well(disagreements: Vec<String>) -> Result<(), String> {
    if disagreements.is_empty() { Ok(()) } else { Err(disagreements.join("\n")) }
}

#[test]
fn every_kpi_agrees_with_the_oracle() {
    let definitions = definitions();
    let mut asks = Vec::new();
    for (place, kpi) in definitions.keys().enumerate() {
        asks.push(Ask::new(kpi, &[], asked()));
        let segments = suitable_segments(&definitions, kpi);
        if !segments.is_empty() {
            asks.push(Ask::new(kpi, &[segments[place % segments.len()]], asked()));
        }
    }
    assert!(asks.len() > 500, "the catalogue has shrunk to {} questions", asks.len());
    on_random_worlds(worlds(), 1, 10, |world| all_well(disagreements(&Case::new(world), &definitions, &asks)));
}

#[test]
fn filters_pairs_of_segments_and_other_grains_agree_with_the_oracle() {
    let definitions = definitions();
    let filters = [
        "region = 'North'",
        "region is null or region <> 'South'",
        "region in ('North', 'Ost') and not region = 'Ost'",
        "region like '%o%th'",
    ];
    let grains = [Grain::Year, Grain::Week, Grain::FiscalQuarter, Grain::Day];
    let mut asks = Vec::new();
    for (place, kpi) in definitions.keys().enumerate() {
        if tables(&definitions, kpi).iter().any(|table| !segments::has(table, "region") || table == "targets") {
            continue;
        }
        let segments = suitable_segments(&definitions, kpi);
        let pair = [segments[place % segments.len()], segments[(place + 1) % segments.len()]];
        asks.push(Ask { filters: vec![filters[place % filters.len()]], ..Ask::new(kpi, &[], asked()) });
        if pair[0] != pair[1] {
            asks.push(Ask::new(kpi, &pair, asked()));
        }
        // Weeks lie across the turn of a year, so sums since its start are refused by them.
        let grain = if kpi.ends_with("year_to_date") { Grain::FiscalQuarter } else { grains[place % 3] };
        asks.push(Ask { grains: vec![grain], ..Ask::new(kpi, &[], asked()) });
        let (from, _) = asked();
        asks.push(Ask { grains: vec![Grain::Day], ..Ask::new(kpi, &[], (from + 120, from + 134)) });
    }
    assert!(asks.len() > 600, "only {} questions", asks.len());
    on_random_worlds(worlds(), 2, 3, |world| all_well(disagreements(&Case::new(world), &definitions, &asks)));
}

/// Ranges without an end, fiscal years that start in April, and what lies ahead.
#[test]
fn open_ranges_fiscal_years_and_the_future_agree_with_the_oracle() {
    let definitions = definitions();
    let (from, _) = asked();
    let grains = [Grain::FiscalMonth, Grain::FiscalQuarter, Grain::FiscalYear, Grain::Month];
    let mut asks = Vec::new();
    for (place, kpi) in definitions.keys().enumerate() {
        let segments = suitable_segments(&definitions, kpi);
        let by = if segments.is_empty() { &[][..] } else { &segments[place % segments.len()..][..1] };
        // A sum since 1 January says nothing about years that begin in April.
        let year_to_date = matches!(kpi.as_str(), "revenue_year_to_date");
        let grains = vec![if year_to_date { Grain::FiscalQuarter } else { grains[place % 4] }, Grain::All];
        asks.push(Ask { range: None, grains: grains.clone(), ..Ask::new(kpi, by, asked()) });
        asks.push(Ask { grains, ..Ask::new(kpi, &[], (from, everything_there_is().1)) });
    }
    let calendar = Calendar { fiscal_start_month: 4, ..Calendar::default() };
    on_random_worlds(worlds(), 5, 3, |world| {
        let settings = Settings { calendar, ..Settings::default() };
        all_well(disagreements(&Case::with(world, 2, settings), &definitions, &asks))
    });
}
