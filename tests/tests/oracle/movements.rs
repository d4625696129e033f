//! What stands, and what moves it: a start and all movements after it make the end, to the cent.

use std::collections::BTreeMap;
use std::fs;

use dealframe_model::calendar::Grain;
use dealframe_query::request::{Request, Settings};

use super::compare::{Case, cells};
use super::evaluate::Combination;
use super::generate::{everything_there_is, rich_world, worlds};
use super::random::on_random_worlds;
use super::value::Fraction;
use super::world::World;

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

const BREAKDOWNS: [&[&str]; 3] = [&[], &["region"], &["owner", "source"]];
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

/// What enters and leaves the pipeline, as definitions of the user.
fn gates(folder: &std::path::Path) {
    let definition = |id: &str, date: &str, aggregate: &str| {
        format!(
            "id: {id}\nname: {id}\nfamily: own\nunit: number\nbetter: neither\ncompute:\n  kind: flow\n  measure:\n    \
             table: deal_states\n    date: {date}\n    {aggregate}\n    \
             where: valid_from is not null and (valid_until is null or valid_until >= valid_from)\n\
             what: w\nformula: f\nwhy: y\npopulation: p\ncaveats: c\nexample: e\ninventory: []\nrelated: []\n"
        )
    };
    for (name, date) in [("entered", "valid_from"), ("left", "valid_until")] {
        for (what, aggregate) in [("value", "aggregate: sum\n    of: amount"), ("count", "aggregate: count")] {
            let id = format!("{name}_{what}");
            fs::write(folder.join(format!("{id}.yaml")), definition(&id, date, aggregate)).unwrap();
        }
    }
}

fn pipeline(world: &World) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    gates(folder.path());
    let case = Case::with(world, 2, Settings { kpis: Some(folder.path().to_owned()), ..Settings::default() });
    let mut moved = 0;
    for by in BREAKDOWNS {
        for grain in GRAINS {
            let of = |kpi: &str| values(&case, kpi, by, grain);
            let (value, count) = (of("open_pipeline_value"), of("open_pipeline_count"));
            let gates = [of("entered_value"), of("left_value")];
            moved += adds_up(&value, &[(&gates[0], true), (&gates[1], false)], "pipeline value")?;
            let gates = [of("entered_count"), of("left_count")];
            adds_up(&count, &[(&gates[0], true), (&gates[1], false)], "pipeline count")?;
            adds_up(&value, &[(&of("pipeline_net_change"), true)], "pipeline and its net change")?;
        }
    }
    Ok(moved)
}

#[test]
fn movements_of_recurring_revenue_make_its_change_in_every_period() {
    on_random_worlds(worlds(), 11, 12, |world| recurring_revenue(&Case::new(world)).map(|_| ()));
    let moved: usize = (1..=3).map(|seed| recurring_revenue(&Case::new(&rich_world(seed))).unwrap()).sum();
    assert!(moved > 100, "MRR moved {moved} times only");
}

#[test]
fn a_pipeline_and_its_movements_make_the_next_pipeline() {
    on_random_worlds(worlds(), 12, 8, |world| pipeline(world).map(|_| ()));
    let moved: usize = (1..=2).map(|seed| pipeline(&rich_world(seed)).unwrap()).sum();
    assert!(moved > 300, "the pipeline moved {moved} times only");
}
