//! Segment values of one run: labels and their combinations, numbered.
//!
//! Every fact table has dictionaries of its own; here their codes become labels that mean the
//! same for all of them, so that parts of a ratio from two tables meet. Under `--top`, the
//! combinations that are not kept become one, `(other)`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::cube::{MAX_SEGMENTS, Ways};
use crate::error::QueryError;
use crate::facts::{Fact, FactKind};

/// Label numbers per segment, 0 for null.
pub(crate) type Combination = [u32; MAX_SEGMENTS];

/// What `--top` writes for the rest.
pub(crate) const OTHER: &str = "(other)";

#[derive(Debug, Default)]
pub(crate) struct Space {
    labels: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    combinations: Vec<Combination>,
    index: HashMap<Combination, u32>,
    /// Per table and column: label number by code.
    translations: BTreeMap<(String, String), Vec<u32>>,
    /// Combinations that keep their name under `--top`.
    kept: Option<HashSet<Combination>>,
    /// Combination per cell, for ways that were seen before; the ways are held so that their address stays theirs.
    cells: HashMap<usize, (Arc<Ways>, Arc<Vec<u32>>)>,
}

impl Space {
    pub(crate) fn label_number(&mut self, label: &str) -> u32 {
        if let Some(number) = self.numbers.get(label) {
            return *number;
        }
        self.labels.push(label.into());
        let number = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
        self.numbers.insert(label.into(), number);
        number
    }

    /// The label of a number; `None` for 0, which is null.
    pub(crate) fn label(&self, number: u32) -> Option<&str> {
        (number as usize).checked_sub(1).and_then(|position| self.labels.get(position)).map(|label| &**label)
    }

    pub(crate) fn combination(&self, number: u32) -> Combination {
        self.combinations.get(number as usize).copied().unwrap_or_default()
    }

    /// The number of a combination that occurs.
    pub(crate) fn find(&self, combination: Combination) -> Option<u32> {
        self.index.get(&combination).copied()
    }

    /// The number of a combination, after `--top` has had its way.
    pub(crate) fn number(&mut self, combination: Combination, width: usize) -> u32 {
        let combination = match &self.kept {
            Some(kept) if !kept.contains(&combination) => {
                let other = self.label_number(OTHER);
                let mut all = Combination::default();
                all[..width].fill(other);
                all
            }
            _ => combination,
        };
        let next = self.combinations.len();
        *self.index.entry(combination).or_insert_with(|| {
            self.combinations.push(combination);
            u32::try_from(next).unwrap_or(u32::MAX)
        })
    }

    /// Whether a combination stands for all that `--top` does not keep.
    pub(crate) fn is_other(&self, number: u32) -> bool {
        self.kept.is_some() && self.label(self.combination(number)[0]) == Some(OTHER)
    }

    /// The labels at a position of the combinations that `--top` keeps, in their order.
    pub(crate) fn labels_kept(&self, position: usize) -> Vec<&str> {
        let kept = self.kept.iter().flatten().filter_map(|combination| self.label(combination[position]));
        kept.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Keeps only these combinations apart.
    pub(crate) fn keep(&mut self, kept: Option<HashSet<Combination>>) {
        self.kept = kept;
        self.cells.clear();
    }

    /// The combination of every cell of a roll-up.
    pub(crate) fn combinations_of(
        &mut self,
        ways: &Arc<Ways>,
        fact: &Fact,
        by: &[String],
    ) -> Result<Arc<Vec<u32>>, QueryError> {
        let address = Arc::as_ptr(ways) as usize;
        if let Some((_, known)) = self.cells.get(&address) {
            return Ok(Arc::clone(known));
        }
        let translations =
            by.iter().map(|name| self.translation(fact, name)).collect::<Result<Vec<_>, QueryError>>()?;
        let numbers: Vec<u32> = (0..ways.periods.len())
            .map(|cell| {
                let mut combination = Combination::default();
                for (slot, (translation, codes)) in combination.iter_mut().zip(translations.iter().zip(&ways.codes)) {
                    *slot = translation.get(codes[cell] as usize).copied().unwrap_or(0);
                }
                self.number(combination, by.len())
            })
            .collect();
        let numbers = Arc::new(numbers);
        self.cells.insert(address, (Arc::clone(ways), Arc::clone(&numbers)));
        Ok(numbers)
    }

    /// Label numbers by code for a column of a fact table.
    pub(crate) fn translation(&mut self, fact: &Fact, column: &str) -> Result<Vec<u32>, QueryError> {
        let key = (fact.table.clone(), column.to_owned());
        if let Some(known) = self.translations.get(&key) {
            return Ok(known.clone());
        }
        let Some(FactKind::Code { domain }) = fact.column(column).map(|column| &column.kind) else {
            return Err(QueryError::engine("segments", format!("`{column}` of {} has no dictionary", fact.table)));
        };
        let labels = fact.labels(domain)?;
        let translation: Vec<u32> =
            std::iter::once(0).chain(labels.iter().map(|label| self.label_number(label))).collect();
        self.translations.insert(key, translation.clone());
        Ok(translation)
    }

    /// Position of every combination in the order of its labels, null last and `(other)` after it.
    pub(crate) fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..u32::try_from(self.combinations.len()).unwrap_or(u32::MAX)).collect();
        let name = |number: u32| match self.label(number) {
            Some(OTHER) => (2, ""),
            Some(label) => (0, label),
            None => (1, ""),
        };
        order.sort_by(|left, right| {
            let (left, right) = (self.combination(*left), self.combination(*right));
            left.iter().map(|number| name(*number)).cmp(right.iter().map(|number| name(*number)))
        });
        let mut ranks = vec![0; order.len()];
        for (rank, combination) in order.into_iter().enumerate() {
            ranks[combination as usize] = u32::try_from(rank).unwrap_or(u32::MAX);
        }
        ranks
    }
}
