//! `--explain`: what a node reads and what is rolled up from it.

use std::collections::BTreeSet;
use std::fs;

use dealframe_model::expression::Expression;

use crate::error::QueryError;
use crate::facts::month_column;
use crate::node::Apart;
use crate::plan::{Facts, PlannedNode};

/// One paragraph on a node.
pub(crate) fn describe(node: &PlannedNode, facts: &Facts) -> Result<String, QueryError> {
    let spec = &node.spec;
    let fact = facts.table(&spec.table)?;
    let mut columns: BTreeSet<String> = spec.dimensions.iter().cloned().collect();
    let mut note = |expression: &Expression| {
        expression.visit_columns(&mut |name| {
            columns.insert(name.to_owned());
        })
    };
    spec.filter.iter().for_each(&mut note);
    for measure in &spec.measures {
        measure.of.iter().for_each(&mut note);
        measure.filter.iter().for_each(&mut note);
    }
    if let Some(date) = &spec.date {
        columns.insert(date.clone());
        columns.insert(month_column(date));
    }
    let bytes: u64 = fact.parts.iter().filter_map(|part| fs::metadata(part).ok()).map(|part| part.len()).sum();
    let apart = match &spec.apart {
        Apart::No => String::new(),
        Apart::Code(name) | Apart::Number(name) => format!(", told apart by {name}"),
    };
    let sets: Vec<String> =
        node.wanted.iter().map(|set| if set.is_empty() { "(total)".to_owned() } else { set.join(" × ") }).collect();
    let measures: Vec<String> = spec
        .measures
        .iter()
        .map(|measure| if measure.text.is_empty() { "count".to_owned() } else { measure.text.clone() })
        .collect();
    let layers = fact.layers.as_ref().map_or_else(String::new, |layers| {
        format!("   carried over: less {} rows, plus {} rows", layers.removed.rows, layers.added.rows)
    });
    Ok(format!(
        "{} by {:?} of {}, {}{apart}\n  rows: {}   files: {} ({:.1} MiB){layers}   estimated groups: {:.0}\n  columns: {}\n  \
         measures: {}\n  rolled up to: {}",
        spec.table,
        spec.unit,
        spec.date.as_deref().unwrap_or("no date"),
        if spec.dimensions.is_empty() { "no segment".to_owned() } else { spec.dimensions.join(" × ") },
        fact.rows,
        fact.parts.len(),
        bytes as f64 / 1_048_576.0,
        spec.groups,
        columns.into_iter().collect::<Vec<_>>().join(", "),
        measures.join(" | "),
        sets.join(", ")
    ))
}
