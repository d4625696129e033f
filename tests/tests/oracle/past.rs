//! A past day as "now": the engine looks back, the oracle is given the company as it stood.
//!
//! What the oracle gets: no deal closed after the day is closed, no lead is qualified or
//! converted and no ticket resolved before it was; the wins of accounts are those until the day. Histories of deals keep
//! their later steps, which lie beyond the day for every question, but for what they say of how a
//! stay or a deal ended.

use std::collections::BTreeMap;

use dealframe_model::calendar::Grain;
use dealframe_model::kpi::Definition;
use dealframe_query::request::Settings;

use super::compare::{Ask, Case, definitions, disagreements, suitable_segments};
use super::derived::facts;
use super::generate::{asked, rich_world, worlds};
use super::random::{all_well, on_random_worlds};
use super::value::Value;
use super::world::{Row, World, cell, day};

/// The company as it stood at the end of a day.
fn rewound(world: &World, today: i32) -> World {
    let later = |row: &Row, column: &str| cell(row, column).as_date().is_some_and(|day| day > today);
    let mut past = World { as_of: today, ..world.clone() };
    for deal in past.tables.get_mut("deals").into_iter().flatten() {
        if later(deal, "close_date") {
            deal.insert("status", Value::text("open"));
        }
    }
    for lead in past.tables.get_mut("leads").into_iter().flatten() {
        for (flag, dated) in [("is_converted", "converted_date"), ("is_qualified", "qualified_date")] {
            if later(lead, dated) {
                lead.insert(flag, Value::Boolean(false));
            }
        }
    }
    for ticket in past.tables.get_mut("tickets").into_iter().flatten() {
        if later(ticket, "resolved_date") {
            ticket.insert("is_closed", Value::Boolean(false));
            ticket.insert("resolution_minutes", Value::Null);
        }
    }
    past
}

fn compared(world: &World, today: i32, definitions: &BTreeMap<String, Definition>, asks: &[Ask]) -> Vec<String> {
    let mut case = Case::with(world, 1, Settings { as_of: Some(today), ..Settings::default() });
    let whole = facts(world);
    let mut past = facts(&rewound(world, today));
    for table in ["deal_states", "pipeline_changes", "stage_entries", "stages_reached"] {
        past.tables.insert(table, whole.tables[table].clone());
    }
    // Nobody had left or passed a stage, or won or lost, before it came to it.
    let ended = [("is_won", "close_date"), ("is_closed", "close_date")];
    for (table, own) in [
        ("stage_entries", &[("is_moved_on", "left_date"), ("is_lost_here", "left_date")][..]),
        ("stages_reached", &[("is_passed", "passed_date")]),
    ] {
        for row in past.tables.get_mut(table).into_iter().flatten() {
            for (flag, dated) in own.iter().chain(&ended) {
                if cell(row, dated).as_date().is_some_and(|day| day > today) {
                    row.insert(flag, Value::Boolean(false));
                }
            }
        }
    }
    past.as_of = today;
    case.facts = past;
    let (answered, refused): (Vec<Ask>, Vec<Ask>) =
        asks.iter().cloned().partition(|ask| case.engine.run(&[ask.request()]).is_ok());
    // What accounts bought in all is known of the newest day only, and what open deals are expected to bring.
    for ask in refused {
        let error = case.engine.run(&[ask.request()]).unwrap_err();
        assert!(error.to_string().contains("is known of the newest day only"), "{}: {error}", ask.kpi);
    }
    assert!(answered.len() > asks.len() - 16, "{} of {} are answered", answered.len(), asks.len());
    disagreements(&case, definitions, &answered)
}

#[test]
fn a_past_day_agrees_with_the_company_as_it_stood() {
    let definitions = definitions();
    let mut asks = Vec::new();
    for (place, kpi) in definitions.keys().enumerate() {
        let segments = suitable_segments(&definitions, kpi);
        let by = if segments.is_empty() || place % 2 == 0 { vec![] } else { vec![segments[place % segments.len()]] };
        asks.push(Ask { grains: vec![Grain::Month, Grain::All], ..Ask::new(kpi, &by, asked()) });
    }
    let until = |today: &str| -> Vec<Ask> {
        let range = Some((asked().0, day(today) + 1));
        asks.iter().map(|ask| Ask { range, ..ask.clone() }).collect()
    };
    let first = until("2023-11-17");
    on_random_worlds(worlds(), 13, 3, |world| all_well(compared(world, day("2023-11-17"), &definitions, &first)));
    for (seed, today) in [(1, "2023-11-17"), (2, "2023-06-30"), (3, "2024-02-29")] {
        let found = compared(&rich_world(seed), day(today), &definitions, &until(today));
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
