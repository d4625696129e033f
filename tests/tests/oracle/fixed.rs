//! Cases that every KPI must stand: nothing there, everything missing, a single row, nothing to divide by.

use dealframe_model::kpi::Compute;

use super::compare::{Ask, Case, cells, definitions, disagreements, suitable_segments};
use super::generate::{AS_OF, asked, rich_world};
use super::value::Value;
use super::world::World;

/// Every KPI, as a whole and by one segment.
fn everything() -> Vec<Ask> {
    let definitions = definitions();
    let mut asks = Vec::new();
    for kpi in definitions.keys() {
        asks.push(Ask::new(kpi, &[], asked()));
        asks.extend(suitable_segments(&definitions, kpi).first().map(|segment| Ask::new(kpi, &[segment], asked())));
    }
    asks
}

fn agree(world: &World) {
    let disagreements = disagreements(&Case::new(world), &definitions(), &everything());
    assert!(disagreements.is_empty(), "{}\nin {}", disagreements.join("\n"), world.describe());
}

#[test]
fn empty_tables() {
    let mut world = World::new(AS_OF);
    world.add("products", "product_id=p0 name=Disk");
    agree(&world);
    let case = Case::new(&world);
    for (kpi, definition) in &definitions() {
        let frames = case.engine.run(&[Ask::new(kpi, &[], asked()).request()]).unwrap();
        for (key, answer) in cells(&frames[0]) {
            match &definition.compute {
                Compute::Ratio { .. } | Compute::Formula { .. } | Compute::Retention { .. } => {
                    assert_eq!(answer.value, None, "{kpi} {key:?}");
                }
                Compute::Stock { .. } | Compute::Total { .. } | Compute::Recurring { .. } => {
                    assert!(answer.value.is_some_and(|value| value.is_zero()), "{kpi} {key:?}: {answer:?}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_lake_without_any_row() {
    agree(&World::new(AS_OF));
}

#[test]
fn only_keys_dates_and_what_a_row_cannot_do_without() {
    let mut world = rich_world(11);
    for (name, rows) in &mut world.tables {
        let table = dealframe_model::table::table(name).unwrap();
        for row in rows {
            row.retain(|column, value| {
                let keeps = table.column(column).is_some_and(|column| column.required || column.name == "is_deleted");
                keeps || matches!(value, Value::Date(_))
            });
        }
    }
    agree(&world);
}

#[test]
fn rows_without_dates_are_in_no_period() {
    let mut world = rich_world(12);
    for (name, rows) in &mut world.tables {
        let table = dealframe_model::table::table(name).unwrap();
        for row in rows {
            let required = |column: &str| table.column(column).is_some_and(|column| column.required);
            row.retain(|column, value| required(column) || !matches!(value, Value::Date(_) | Value::Instant(_)));
        }
    }
    agree(&world);
}

#[test]
fn a_single_row_in_every_table() {
    for place in 0..3 {
        let mut world = rich_world(13);
        for rows in world.tables.values_mut() {
            *rows = rows.get(place).cloned().into_iter().collect();
        }
        agree(&world);
    }
}

#[test]
fn nothing_is_divided_by_zero_and_nothing_else_is_lost() {
    let definitions = definitions();
    let case = Case::new(&rich_world(14));
    let ratios: Vec<_> =
        definitions.iter().filter(|(_, definition)| matches!(definition.compute, Compute::Ratio { .. })).collect();
    let mut something_over_nothing = 0;
    for (kpi, _) in &ratios {
        let segments = suitable_segments(&definitions, kpi);
        let by = &segments[..segments.len().min(1)];
        let frames = case.engine.run(&[Ask::new(kpi, by, asked()).request()]).unwrap();
        for (key, answer) in cells(&frames[0]) {
            let (above, below) = (answer.numerator.unwrap(), answer.denominator.unwrap());
            assert_eq!(answer.value.is_none(), below.is_zero(), "{kpi} {key:?}");
            something_over_nothing += usize::from(below.is_zero() && !above.is_zero());
        }
    }
    assert!(something_over_nothing > 100, "only {something_over_nothing} such cells: the case has lost its bite");
}
