//! Expressions that the catalogue does not use yet, as definitions of the user's own.
//!
//! Every line below becomes a KPI in a YAML file, so that reading, compiling and three-valued
//! logic are tested beyond what the built-in definitions happen to need.

use std::fmt::Write as _;

use dealframe_query::Catalogue;
use dealframe_query::request::Settings;

use super::compare::{Ask, Case, disagreements};
use super::generate::{asked, rich_world};

/// Table, date, aggregate, `of`, `where`.
const MEASURES: &[(&str, &str, &str, &str, &str)] = &[
    ("deals", "close_date", "count", "", "not (amount > 1000 and cost_amount < 500)"),
    ("deals", "close_date", "count", "", "not (amount > 1000 or region = 'North')"),
    ("deals", "close_date", "count", "", "not (not (amount > 1000))"),
    ("deals", "close_date", "count", "", "amount not between 100 and 5000.25"),
    ("deals", "close_date", "count", "", "loss_reason not in ('Price', 'Timing') or loss_reason is null"),
    ("deals", "close_date", "count", "", "deal_type like '_e%' and deal_type not like '%w'"),
    ("deals", "close_date", "count", "", "deal_type not ilike 'CROSS%'"),
    ("deals", "close_date", "count", "", "created_date between date '2023-01-15' and date '2023-12-24'"),
    ("deals", "close_date", "count", "", "created_date > proposal_date and signed_date <> close_date"),
    ("deals", "close_date", "count", "", "days_between(created_date, close_date) * 2 + 1 > 61"),
    ("deals", "close_date", "count", "", "amount = cost_amount or amount <> list_amount"),
    ("deals", "close_date", "count", "", "team = 'Blue' and owner <> 'Ann' and industry is not null"),
    ("deals", "close_date", "count", "", "case when amount > 5000 then status = 'won' else status = 'lost' end"),
    (
        "deals",
        "close_date",
        "count",
        "",
        "coalesce(amount, cost_amount, 250) in (250, 0, 92.5) or loss_reason in ('Price')",
    ),
    ("deals", "close_date", "count", "cost_amount", "status <> 'open'"),
    ("deals", "close_date", "count_distinct", "deal_type", "amount is not null"),
    ("deals", "close_date", "sum", "amount * probability - cost_amount * 0.25", ""),
    (
        "deals",
        "close_date",
        "sum",
        "case when probability >= 0.5 then amount when probability < 0.2 then 0 - amount end",
        "",
    ),
    (
        "deals",
        "close_date",
        "sum",
        "coalesce(amount, list_amount, 0) - coalesce(discount_amount, 0)",
        "not status = 'open'",
    ),
    ("deals", "close_date", "median", "amount - cost_amount", ""),
    ("deals", "close_date", "p90", "0 - amount", "status in ('won', 'lost')"),
    ("deals", "close_date", "median", "days_between(close_date, created_date)", ""),
    ("line_items", "sold_on", "sum", "quantity * unit_price - total_amount", ""),
    ("activities", "activity_date", "p90", "duration_seconds * 2", "not is_system"),
    ("activities", "activity_date", "count", "", "not is_system or outcome = 'busy'"),
    ("leads", "created_date", "count", "", "is_qualified and not is_converted and true"),
    ("tickets", "created_date", "sum", "resolution_minutes - first_response_minutes", "priority is not null and 1 < 2"),
];

fn definition(place: usize) -> String {
    let (table, date, aggregate, of, filter) = MEASURES[place];
    let mut text = format!(
        "id: own_{place}\nname: Own {place}\nfamily: revenue\nunit: number\nbetter: neither\ncompute:\n  kind: flow\n  \
         measure:\n    table: {table}\n    date: {date}\n    aggregate: {aggregate}\n"
    );
    for (key, value) in [("of", of), ("where", filter)].iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "    {key}: \"{value}\"");
    }
    if matches!(aggregate, "median" | "p90") || place % 2 == 1 {
        text.push_str("    empty: 'null'\n");
    }
    for field in ["what", "formula", "why", "population", "caveats", "example"] {
        let _ = writeln!(text, "{field}: A test.");
    }
    text + "inventory: [R01]\nrelated: [revenue]\n"
}

#[test]
fn definitions_of_the_user_agree_with_the_oracle() {
    let folder = tempfile::tempdir().unwrap();
    for place in 0..MEASURES.len() {
        std::fs::write(folder.path().join(format!("own_{place}.yaml")), definition(place)).unwrap();
    }
    let catalogue = Catalogue::load(Some(folder.path())).unwrap();
    let definitions = catalogue.all().map(|definition| (definition.id.clone(), definition.clone())).collect();
    let mut asks = Vec::new();
    for place in 0..MEASURES.len() {
        let segment = if place < 23 { ["region", "owner", "account_type"][place % 3] } else { "account" };
        asks.push(Ask::new(&format!("own_{place}"), &[], asked()));
        asks.push(Ask::new(&format!("own_{place}"), &[segment], asked()));
    }
    for seed in [51, 52, 53] {
        let settings = Settings { kpis: Some(folder.path().to_owned()), ..Settings::default() };
        let disagreements = disagreements(&Case::with(&rich_world(seed), 1, settings), &definitions, &asks);
        assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    }
}
