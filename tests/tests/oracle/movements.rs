//! What stands, and what moves it: a start and all movements after it make the end, to the cent.

use std::collections::BTreeMap;

use dealframe_model::calendar::{Calendar, FiscalYearName, Grain, WeekPattern, WeekStart};
use dealframe_query::request::{Request, Settings};

use super::compare::{Case, cells};
use super::evaluate::Combination;
use super::generate::{everything_there_is, rich_world, worlds};
use super::random::on_random_worlds;
use super::value::Fraction;
use super::world::{World, day};

/// Value by period and combination.
type Values = BTreeMap<(String, Combination), Fraction>;

fn values(case: &Case, kpi: &str, by: &[&str], grain: Grain) -> Values {
    let request = Request {
        kpis: vec![kpi.to_owned()],
        by: by.iter().map(|name| (*name).to_owned()).collect(),
        grains: vec![grain],
        from: Some(everything_there_is().0),
        ..Request::default()
    };
    let frame = case.engine.run(&[request]).unwrap().pop().unwrap();
    let cells = cells(&frame).into_iter();
    cells
        .map(|((_, label, combination), answer)| ((label, combination), answer.value.unwrap_or(Fraction::ZERO)))
        .collect()
}

fn at(values: &Values, key: &(String, Combination)) -> Fraction {
    values.get(key).copied().unwrap_or(Fraction::ZERO)
}

/// Walks the periods in order; the stock of each must be that of the one before and the movements. Gives how many moved.
fn adds_up(stock: &Values, movements: &[(&Values, bool)], about: &str) -> Result<usize, String> {
    let mut keys: Vec<&(String, Combination)> =
        stock.keys().chain(movements.iter().flat_map(|(one, _)| one.keys())).collect();
    keys.sort();
    keys.dedup();
    let mut level: BTreeMap<&Combination, Fraction> = BTreeMap::new();
    let mut moved = 0;
    for key in keys {
        let before = level.get(&key.1).copied().unwrap_or(Fraction::ZERO);
        let change = movements.iter().fold(Fraction::ZERO, |sum, (values, adds)| {
            if *adds { sum.plus(at(values, key)) } else { sum.minus(at(values, key)) }
        });
        let end = at(stock, key);
        if before.plus(change) != end {
            return Err(format!("{about} {key:?}: {before} and {change} make {}, not {end}", before.plus(change)));
        }
        moved += usize::from(!change.is_zero());
        level.insert(&key.1, end);
    }
    Ok(moved)
}

const GRAINS: [Grain; 3] = [Grain::Month, Grain::Quarter, Grain::Day];

fn recurring_revenue(case: &Case) -> Result<usize, String> {
    let mut moved = 0;
    // Movements have the segments of the account; a subscription may have an owner of its own.
    for by in [&[][..], &["industry"], &["account"]] {
        for grain in GRAINS {
            let of = |kpi: &str| values(case, kpi, by, grain);
            let (level, net) = (of("mrr"), of("mrr_net_new"));
            let parts = ["mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churn", "mrr_reactivation"].map(of);
            let parts: Vec<(&Values, bool)> = parts.iter().map(|part| (part, true)).collect();
            moved += adds_up(&level, &parts, "MRR and its five movements")?;
            adds_up(&level, &[(&net, true)], "MRR and its net movement")?;
        }
    }
    Ok(moved)
}

/// The movements of the pipeline, as they are shipped.
const MOVEMENTS: [&str; 7] = [
    "pipeline_opened",
    "pipeline_reopened",
    "pipeline_value_increase",
    "pipeline_value_decrease",
    "pipeline_moved",
    "pipeline_won",
    "pipeline_lost",
];
const COUNTS: [&str; 4] =
    ["pipeline_opened_count", "pipeline_reopened_count", "pipeline_won_count", "pipeline_lost_count"];
const LEVELS: [&str; 6] = [
    "open_pipeline_value",
    "pipeline_at_start",
    "pipeline_movements",
    "pipeline_net_change",
    "open_pipeline_count",
    "pipeline_movements_count",
];

/// A question about the pipeline: segments, and a filter on how deals stand.
type View = (&'static [&'static str], Option<&'static str>);

/// Segments of the deal, of the state it is in and of both; filters that a deal can come to pass and cease to.
const VIEWS: [View; 8] = [
    (&[], None),
    (&["region"], None),
    (&["stage"], None),
    (&["owner", "stage"], None),
    (&[], Some("amount >= 3000")),
    (&["source"], Some("amount is null or probability > 0.4")),
    (&["stage"], Some("amount < 3000")),
    (&["team"], Some("stage in ('Offer', 'Talks')")),
];

fn pipeline_view(case: &Case, (by, filter): View, grains: &[Grain]) -> Result<usize, String> {
    let kpis = MOVEMENTS.iter().chain(&COUNTS).chain(&LEVELS);
    let request = Request {
        kpis: kpis.map(|kpi| (*kpi).to_owned()).collect(),
        by: by.iter().map(|name| (*name).to_owned()).collect(),
        grains: grains.to_vec(),
        from: Some(everything_there_is().0),
        filters: filter.iter().map(|filter| (*filter).to_owned()).collect(),
        ..Request::default()
    };
    let frame = case.engine.run(&[request]).unwrap().pop().unwrap();
    let mut all: BTreeMap<(String, Grain), Values> = BTreeMap::new();
    for row in &frame.rows {
        let (kpi, period) = (&frame.kpis[row.kpi as usize].id, &frame.periods[row.period as usize]);
        let combination = (0..by.len()).map(|place| frame.label(row, place).map(str::to_owned)).collect();
        let value = row.value.map_or(Fraction::ZERO, Fraction::of);
        all.entry((kpi.clone(), period.grain)).or_default().insert((period.label.clone(), combination), value);
    }
    let mut moved = 0;
    for grain in grains {
        let none = Values::new();
        let of = |kpi: &str| all.get(&(kpi.to_owned(), *grain)).unwrap_or(&none);
        let about = |what: &str| format!("{what} by {by:?} where {filter:?} {}", grain.name());
        let movements: Vec<(&Values, bool)> = MOVEMENTS.iter().map(|kpi| (of(kpi), true)).collect();
        let end = of("open_pipeline_value");
        moved += adds_up(end, &movements, &about("the pipeline and its movements"))?;
        adds_up(end, &[(of("pipeline_movements"), true)], &about("the pipeline and all its movements"))?;
        adds_up(end, &[(of("pipeline_net_change"), true)], &about("the pipeline and its net change"))?;
        for key in end.keys() {
            let bridge = movements
                .iter()
                .fold(at(of("pipeline_at_start"), key), |level, (values, _)| level.plus(at(values, key)));
            if bridge != at(end, key) {
                return Err(format!("{} {key:?}: start and movements make {bridge}", about("the bridge")));
            }
        }
        let count = of("open_pipeline_count");
        adds_up(count, &[(of("pipeline_movements_count"), true)], &about("open deals"))?;
        if filter.is_none() && !by.contains(&"stage") {
            // Nobody comes in or goes out by a change of value or stage.
            let counts: Vec<(&Values, bool)> = COUNTS.iter().map(|kpi| (of(kpi), true)).collect();
            adds_up(count, &counts, &about("open deals one by one"))?;
            if of("pipeline_moved").values().any(|value| !value.is_zero()) {
                return Err(about("value moved to nowhere"));
            }
        }
    }
    Ok(moved)
}

fn pipeline(world: &World, settings: Settings, grains: &[Grain]) -> Result<usize, String> {
    let case = Case::with(world, 2, settings);
    VIEWS.iter().try_fold(0, |moved, view| Ok(moved + pipeline_view(&case, *view, grains)?))
}

fn as_of(text: &str) -> Settings {
    Settings { as_of: Some(day(text)), ..Settings::default() }
}

#[test]
fn movements_of_recurring_revenue_make_its_change_in_every_period() {
    on_random_worlds(worlds(), 11, 12, |world| recurring_revenue(&Case::new(world)).map(|_| ()));
    let moved: usize = (1..=3).map(|seed| recurring_revenue(&Case::new(&rich_world(seed))).unwrap()).sum();
    assert!(moved > 100, "MRR moved {moved} times only");
}

#[test]
fn a_pipeline_and_its_movements_make_the_next_pipeline() {
    on_random_worlds(worlds(), 12, 8, |world| pipeline(world, Settings::default(), &GRAINS).map(|_| ()));
    let moved: usize = (1..=2).map(|seed| pipeline(&rich_world(seed), Settings::default(), &GRAINS).unwrap()).sum();
    assert!(moved > 1000, "the pipeline moved {moved} times only");
}

#[test]
fn the_pipeline_of_a_past_day_and_its_movements_add_up() {
    on_random_worlds(worlds(), 14, 4, |world| pipeline(world, as_of("2023-11-17"), &GRAINS).map(|_| ()));
    for (seed, today) in [(1, "2023-11-17"), (2, "2023-06-30"), (3, "2024-02-29")] {
        let moved = pipeline(&rich_world(seed), as_of(today), &GRAINS).unwrap();
        assert!(moved > 200, "the pipeline moved {moved} times until {today}");
    }
}

#[test]
fn the_pipeline_and_its_movements_add_up_in_every_calendar() {
    let weeks =
        |week_pattern| Calendar { week_pattern: Some(week_pattern), fiscal_start_month: 2, ..Calendar::default() };
    let calendars = [
        Calendar { fiscal_start_month: 7, fiscal_year_name: FiscalYearName::Start, ..Calendar::default() },
        weeks(WeekPattern::FourFourFive),
        Calendar { week_start: WeekStart::Sunday, ..weeks(WeekPattern::FiveFourFour) },
    ];
    let grains: Vec<Grain> = Grain::EVERY.into_iter().filter(|grain| *grain != Grain::All).collect();
    for (seed, calendar) in (1..).zip(calendars) {
        for settings in [Settings::default(), as_of("2023-12-12")] {
            pipeline(&rich_world(seed), Settings { calendar, ..settings }, &grains).unwrap();
        }
    }
}
