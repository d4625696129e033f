//! Conditions that become part of the group key.
//!
//! Most measures of a table differ only in a condition on some category: won or lost, this deal
//! type or that. A mask and a sum for each of them costs a pass over the rows apiece. Told apart
//! by the category once, the rows need one sum per value, and what every measure wants is added
//! up from a few groups afterwards. Only conditions on one code column each are taken out of a
//! filter; what is left of it stays a mask. `node` and `pass` run the
//! result, `cube` puts the groups together.

use dealframe_model::expression::{Comparison, Expression, Literal};

use crate::compile::like;
use crate::error::QueryError;
use crate::facts::{Fact, FactKind};
use crate::node::MeasureSpec;

/// Distinct values up to which a category may become part of the key, and their product over all of them.
const MOST_VALUES: u32 = 16;
const MOST_COMBINATIONS: u64 = 64;
/// Measures that must have a condition on a category before telling rows apart by it pays.
const LEAST_MEASURES: usize = 2;

/// The measures of a node as fewer sums over rows that are told apart more finely.
#[derive(Debug, Default)]
pub(crate) struct Split {
    /// Code columns that are part of the key for the sake of conditions only.
    pub columns: Vec<String>,
    /// What is summed up.
    pub sums: Vec<MeasureSpec>,
    /// For every measure of the node, where its groups are.
    pub shares: Vec<Share>,
}

/// The groups that belong to a measure.
#[derive(Debug)]
pub(crate) struct Share {
    /// Position in [`Split::sums`].
    pub sum: usize,
    /// Per column of the split: whether a code belongs to the measure; `None` where all do.
    pub codes: Vec<Option<Vec<bool>>>,
}

impl Split {
    /// Decides which conditions of `measures` become part of the key of a node with about `groups` groups.
    ///
    /// `rewound` says that a status may be undone to `open`, whether or not that label occurs.
    pub(crate) fn new(measures: &[MeasureSpec], fact: &Fact, groups: f64, rewound: bool) -> Result<Self, QueryError> {
        let mut candidates: Vec<(String, Vec<usize>)> = Vec::new();
        for (position, measure) in measures.iter().enumerate() {
            for condition in measure.filter.iter().flat_map(conjuncts) {
                if let Some(column) = category(condition, fact) {
                    match candidates.iter_mut().find(|(known, _)| known == column) {
                        Some((_, users)) if users.last() == Some(&position) => {}
                        Some((_, users)) => users.push(position),
                        None => candidates.push((column.to_owned(), vec![position])),
                    }
                }
            }
        }
        candidates.retain(|(_, users)| users.len() >= LEAST_MEASURES);
        candidates.sort_by_key(|(name, users)| (std::cmp::Reverse(users.len()), name.clone()));
        let mut split = Self::default();
        let mut combinations: u64 = 1;
        for (name, _) in candidates {
            let values = u64::from(fact.column(&name).map_or(0, |column| column.distinct)) + 1;
            // More groups than a quarter of the rows would save nothing.
            let room = (fact.rows as f64 / 4.0).max(65_536.0);
            if combinations * values <= MOST_COMBINATIONS && groups * (combinations * values) as f64 <= room {
                combinations *= values;
                split.columns.push(name);
            }
        }
        for measure in measures {
            split.take(measure, fact, rewound)?;
        }
        Ok(split)
    }

    /// Every measure as it stands.
    pub(crate) fn none(measures: &[MeasureSpec]) -> Self {
        let shares = (0..measures.len()).map(|sum| Share { sum, codes: Vec::new() }).collect();
        Self { columns: Vec::new(), sums: measures.to_vec(), shares }
    }

    fn take(&mut self, measure: &MeasureSpec, fact: &Fact, rewound: bool) -> Result<(), QueryError> {
        let mut codes: Vec<Option<Vec<bool>>> = vec![None; self.columns.len()];
        let mut rest: Option<Expression> = None;
        for condition in measure.filter.iter().flat_map(conjuncts) {
            let place =
                category(condition, fact).and_then(|column| self.columns.iter().position(|known| known == column));
            match place {
                Some(place) => {
                    let own = holds_for(condition, &self.columns[place], fact, rewound)?;
                    match &mut codes[place] {
                        Some(known) => known.iter_mut().zip(own).for_each(|(known, own)| *known &= own),
                        none => *none = Some(own),
                    }
                }
                None => rest = Expression::and(rest, Some(condition.clone())),
            }
        }
        let same = |known: &MeasureSpec| known.of == measure.of && known.filter == rest;
        let sum = match self.sums.iter().position(same) {
            Some(position) => position,
            None => {
                self.sums.push(MeasureSpec { of: measure.of.clone(), filter: rest, text: measure.text.clone() });
                self.sums.len() - 1
            }
        };
        self.shares.push(Share { sum, codes });
        Ok(())
    }
}

/// The parts of a condition that must all hold.
fn conjuncts(expression: &Expression) -> Vec<&Expression> {
    match expression {
        Expression::And(left, right) => {
            let mut all = conjuncts(left);
            all.extend(conjuncts(right));
            all
        }
        other => vec![other],
    }
}

/// The one category of few values that a condition is about.
fn category<'e>(condition: &'e Expression, fact: &Fact) -> Option<&'e str> {
    let mut name: Option<&str> = None;
    let mut several = false;
    condition.visit_columns(&mut |column| {
        several |= name.is_some_and(|known| known != column);
        name = Some(column);
    });
    let column = fact.column(name.filter(|_| !several)?)?;
    let is_small = matches!(&column.kind, FactKind::Code { .. }) && column.distinct <= MOST_VALUES;
    (is_small && truth(condition, Some("")).is_some()).then_some(name?)
}

/// By code, whether the condition is true. After the labels comes the code of labels that do not occur.
fn holds_for(condition: &Expression, column: &str, fact: &Fact, rewound: bool) -> Result<Vec<bool>, QueryError> {
    let Some(FactKind::Code { domain }) = fact.column(column).map(|column| &column.kind) else {
        return Err(QueryError::engine(&fact.table, format!("`{column}` is no category")));
    };
    let labels = fact.labels(domain)?;
    let undone = rewound.then_some("open");
    let values = std::iter::once(None).chain(labels.iter().map(|label| Some(&**label))).chain([undone]);
    Ok(values.map(|label| truth(condition, label) == Some(Some(true))).collect())
}

/// The truth of a condition on one text column whose value is `label`, in SQL's three values; `None` for what is
/// not decided here.
fn truth(condition: &Expression, label: Option<&str>) -> Option<Option<bool>> {
    Some(match condition {
        Expression::Literal(Literal::Boolean(value)) => Some(*value),
        Expression::Literal(Literal::Null) => None,
        Expression::Not(inner) => truth(inner, label)?.map(|value| !value),
        Expression::And(left, right) => match (truth(left, label)?, truth(right, label)?) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Expression::Or(left, right) => match (truth(left, label)?, truth(right, label)?) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Expression::IsNull(inner) if matches!(**inner, Expression::Column(_)) => Some(label.is_none()),
        Expression::Compare { operator, left, right } => match (&**left, &**right) {
            (Expression::Column(_), Expression::Literal(Literal::Text(text))) => {
                label.map(|label| compared(*operator, label, text))
            }
            (Expression::Literal(Literal::Text(text)), Expression::Column(_)) => {
                label.map(|label| compared(*operator, text, label))
            }
            _ => return None,
        },
        Expression::In { operand, list } if matches!(**operand, Expression::Column(_)) => {
            let mut found = false;
            for literal in list {
                match literal {
                    Literal::Text(text) => found |= label == Some(text),
                    Literal::Null => {}
                    _ => return None,
                }
            }
            match label {
                Some(_) if found => Some(true),
                Some(_) if !list.contains(&Literal::Null) => Some(false),
                _ => None,
            }
        }
        Expression::Like { operand, pattern, any_case } if matches!(**operand, Expression::Column(_)) => {
            label.map(|label| like(label, pattern, *any_case))
        }
        _ => return None,
    })
}

fn compared(operator: Comparison, left: &str, right: &str) -> bool {
    match operator {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::parse;

    #[test]
    fn conditions_have_three_truths() {
        let of = |text: &str, label: Option<&str>| truth(&parse::expression(text).unwrap(), label);
        for (text, label, expected) in [
            ("status = 'won'", Some("won"), Some(Some(true))),
            ("status = 'won'", Some("lost"), Some(Some(false))),
            ("status = 'won'", None, Some(None)),
            ("not (status = 'won')", None, Some(None)),
            ("status in ('won', 'lost')", Some("lost"), Some(Some(true))),
            ("status not in ('won', null)", Some("lost"), Some(None)),
            ("status is null or status like 'W%'", Some("Won"), Some(Some(true))),
            ("status is not null", None, Some(Some(false))),
            ("status = 'won' or status is null", None, Some(Some(true))),
            ("amount > 5", Some(""), None),
            ("'m' < status", Some("won"), Some(Some(true))),
        ] {
            assert_eq!(of(text, label), expected, "{text} for {label:?}");
        }
    }
}
