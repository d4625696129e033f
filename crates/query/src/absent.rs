//! Words of a question's filter that no row has.
//!
//! A segment without rows is a legal answer, and nearly always a slip: `emea` for `EMEA`. The
//! tables that a question reads have their dictionaries at hand, so a word that is in none of
//! them is told at no pass over the data, with the value that was probably meant.

use std::collections::BTreeMap;
use std::sync::Arc;

use dealframe_model::expression::{Comparison, Expression, Literal};

use crate::definition::columns::words;
use crate::error::{QueryError, nearest};
use crate::facts::{Fact, FactKind};

/// Distinct values up to which a column is looked at: beyond that its dictionary takes time to read.
const MOST_VALUES: u32 = 100_000;
/// Distinct values up to which the nearest one is looked for.
const MOST_COMPARED: usize = 10_000;
/// Values up to which they are all named.
const MOST_NAMED: usize = 8;

/// A note for every word that is compared with a column and that no row of these tables has.
pub(crate) fn notes(filter: &Expression, tables: &[Arc<Fact>]) -> Result<Vec<String>, QueryError> {
    let mut compared: Vec<(&str, &str, &str)> = Vec::new();
    filter.visit(&mut |node| match node {
        Expression::Compare { operator, left, right } => {
            let operator = match operator {
                Comparison::Equal => "=",
                Comparison::NotEqual => "<>",
                _ => return,
            };
            match (&**left, &**right) {
                (Expression::Column(name), Expression::Literal(Literal::Text(word)))
                | (Expression::Literal(Literal::Text(word)), Expression::Column(name)) => {
                    compared.push((name, operator, word));
                }
                _ => {}
            }
        }
        Expression::In { operand, list } => {
            let Expression::Column(name) = &**operand else { return };
            let texts = list.iter().filter_map(|literal| match literal {
                Literal::Text(word) => Some(word.as_str()),
                _ => None,
            });
            compared.extend(texts.map(|word| (name.as_str(), "=", word)));
        }
        _ => {}
    });
    let mut notes = Vec::new();
    for (name, operator, word) in compared {
        if let Some(note) = note(name, operator, word, tables)? {
            notes.push(note);
        }
    }
    notes.dedup();
    Ok(notes)
}

fn note(name: &str, operator: &str, word: &str, tables: &[Arc<Fact>]) -> Result<Option<String>, QueryError> {
    let (mut names, mut known): (Vec<&str>, BTreeMap<String, Box<str>>) = (Vec::new(), BTreeMap::new());
    let mut is_key = false;
    for fact in tables.iter().filter(|fact| fact.rows > 0) {
        let Some(column) = fact.column(name) else { continue };
        let FactKind::Code { domain } = &column.kind else { return Ok(None) };
        // A word of a closed vocabulary means something, also where nothing is so yet.
        let is_closed = words(&fact.table, name).is_some_and(|vocabulary| vocabulary.is_closed);
        if is_closed || column.distinct > MOST_VALUES {
            return Ok(None);
        }
        let labels = fact.labels(domain)?;
        if labels.iter().any(|label| **label == *word) {
            return Ok(None);
        }
        is_key |= domain.starts_with("key-of-");
        names.push(&fact.table);
        if labels.len() <= MOST_COMPARED {
            known.extend(labels.iter().map(|label| (label.to_lowercase(), label.clone())));
        }
    }
    if names.is_empty() {
        return Ok(None);
    }
    names.sort_unstable();
    // Compared in small letters, told as they are.
    let wanted = word.trim().to_lowercase();
    let likely: Vec<String> = match known.get(&wanted) {
        Some(label) => vec![format!("'{label}'")],
        // An identifier that looks like another one is another one.
        None if is_key => Vec::new(),
        None => {
            let near = nearest(&wanted, known.keys().map(String::as_str));
            near.iter().filter_map(|key| known.get(key)).map(|label| format!("'{label}'")).collect()
        }
    };
    let hint = match (likely.as_slice(), known.len()) {
        ([], 1..=MOST_NAMED) if !is_key => {
            let all: Vec<String> = known.values().map(|label| format!("'{label}'")).collect();
            format!("; there {} {}", if all.len() == 1 { "is only" } else { "are" }, all.join(", "))
        }
        ([], _) => String::new(),
        (likely, _) => format!("; did you mean {}?", likely.join(" or ")),
    };
    let tables = names.join(" or ");
    Ok(Some(match operator {
        "=" => format!("no row of {tables} has {name} = '{word}'{hint}"),
        _ => format!("every row of {tables} has {name} {operator} '{word}'{hint}"),
    }))
}
