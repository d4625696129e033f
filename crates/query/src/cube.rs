//! Cubes: what a pass over a fact table leaves, and how it is rolled up.
//!
//! A cube holds the sums and counts of a node, group by group: unit of time, codes of its
//! dimensions, and for distinct counts and medians the value that tells rows apart. It is small.
//! Coarser grains and fewer segments are rolled up from it in memory, never by a second pass.
//! `node` and `pass` make cubes, `evaluate` reads them.

use std::sync::Arc;

use dealframe_model::calendar::{Calendar, Grain, TimeUnit};
use hashbrown::HashMap;

use crate::error::QueryError;
use crate::masks::{Share, Split};

/// The sums of one measure, group by group.
#[derive(Debug, Clone)]
pub(crate) struct MeasureData {
    pub scale: u32,
    pub sums: Vec<i128>,
    /// Rows under the condition whose value is not null.
    pub counts: Vec<i64>,
}

/// The result of a node.
#[derive(Debug, Clone)]
pub(crate) struct Cube {
    pub unit: TimeUnit,
    pub dimensions: Vec<String>,
    /// Index of the time unit per group; empty without time.
    pub times: Vec<i32>,
    /// Code per dimension and group.
    pub codes: Vec<Vec<u32>>,
    /// The value that tells rows apart, per group.
    pub apart: Vec<i64>,
    pub apart_scale: u32,
    pub groups: usize,
    pub measures: Vec<MeasureData>,
}

/// What an aggregation found, group by group, before groups that were told apart for conditions only are put together.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub count: usize,
    /// Units of time counted from `time_origin`, for a node that has time.
    pub times: Option<Vec<u32>>,
    pub time_origin: i64,
    /// Codes of the dimensions, then of the columns of the split.
    pub codes: Vec<Vec<u32>>,
    pub apart: Vec<i64>,
    pub apart_scale: u32,
    /// What was summed up, as [`Split::sums`] has it.
    pub sums: Vec<MeasureData>,
}

impl Groups {
    /// The cube of the measures.
    pub(crate) fn cube(mut self, unit: TimeUnit, dimensions: &[String], split: &Split) -> Cube {
        let told_apart = self.codes.split_off(dimensions.len());
        let mut cube = Cube {
            unit,
            dimensions: dimensions.to_vec(),
            times: Vec::new(),
            codes: self.codes,
            apart: self.apart,
            apart_scale: self.apart_scale,
            groups: self.count,
            measures: Vec::new(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "dates and their units fit 32 bits")]
        let time_of = |time: u32| (i64::from(time) + self.time_origin) as i32;
        if told_apart.is_empty() {
            cube.times = self.times.unwrap_or_default().into_iter().map(time_of).collect();
            // Every sum is then one measure's, or that of several with the same content.
            cube.measures = split.shares.iter().map(|share| self.sums[share.sum].clone()).collect();
            return cube;
        }
        let mut parts = std::mem::take(&mut cube.codes);
        parts.extend(self.times.take());
        let rows = number_rows(&parts, &cube.apart, self.count);
        let first = |values: &Vec<u32>| -> Vec<u32> { rows.first.iter().map(|row| values[*row as usize]).collect() };
        cube.groups = rows.first.len();
        cube.codes = parts.iter().take(dimensions.len()).map(first).collect();
        cube.times = parts.get(dimensions.len()).map(first).unwrap_or_default().into_iter().map(time_of).collect();
        if !cube.apart.is_empty() {
            cube.apart = rows.first.iter().map(|row| cube.apart[*row as usize]).collect();
        }
        let gather = |share: &Share| {
            self.sums[share.sum].gathered(&rows, |group| {
                (share.codes.iter().zip(&told_apart)).all(|(codes, values)| {
                    codes.as_ref().is_none_or(|codes| codes.get(values[group] as usize) == Some(&true))
                })
            })
        };
        cube.measures = split.shares.iter().map(gather).collect();
        cube
    }
}

impl MeasureData {
    /// The entries of some rows.
    pub(crate) fn at(&self, rows: impl Iterator<Item = usize>) -> Self {
        let (sums, counts) = rows.map(|row| (self.sums[row], self.counts[row])).unzip();
        Self { scale: self.scale, sums, counts }
    }

    /// Sums along numbered rows, of the groups that `belongs` names.
    fn gathered(&self, rows: &NumberedRows, belongs: impl Fn(usize) -> bool) -> Self {
        let (mut sums, mut counts) = (vec![0; rows.first.len()], vec![0; rows.first.len()]);
        for (group, cell) in rows.number.iter().enumerate() {
            if belongs(group) {
                sums[*cell as usize] += self.sums[group];
                counts[*cell as usize] += self.counts[group];
            }
        }
        Self { scale: self.scale, sums, counts }
    }
}

/// Keeps the values of some rows; a column without values stays so.
fn take_rows<T: Copy>(values: &mut Vec<T>, rows: &[usize]) {
    if !values.is_empty() {
        *values = rows.iter().map(|row| values[*row]).collect();
    }
}

/// Rows of several columns, equal ones with the same number.
struct NumberedRows {
    /// Number per row.
    number: Vec<u32>,
    /// The first row of every number.
    first: Vec<u32>,
}

/// Cells of a table of numbers that is worth its room beside so many rows.
const TABLE_CELLS_PER_ROW: u64 = 8;
const SMALL_TABLE: u64 = 1 << 20;

/// Numbers the distinct rows of some columns, in the order in which they come.
fn number_rows(columns: &[Vec<u32>], apart: &[i64], rows: usize) -> NumberedRows {
    let sizes: Vec<u64> =
        columns.iter().map(|column| u64::from(column.iter().copied().max().unwrap_or(0)) + 1).collect();
    let area = sizes.iter().try_fold(1_u64, |area, size| area.checked_mul(*size));
    let room = (rows as u64).saturating_mul(TABLE_CELLS_PER_ROW).max(SMALL_TABLE);
    let mut numbered = NumberedRows { number: Vec::with_capacity(rows), first: Vec::new() };
    #[expect(clippy::cast_possible_truncation, reason = "a cube of four billion groups does not fit into memory")]
    let next = |numbered: &mut NumberedRows, row: usize| {
        numbered.first.push(row as u32);
        (numbered.first.len() - 1) as u32
    };
    match area.and_then(|area| usize::try_from(area).ok().filter(|_| area <= room && apart.is_empty())) {
        Some(area) => {
            let mut table = vec![u32::MAX; area];
            for row in 0..rows {
                let place =
                    columns.iter().zip(&sizes).fold(0, |place, (column, size)| place * size + u64::from(column[row]));
                let slot = &mut table[place as usize];
                if *slot == u32::MAX {
                    *slot = next(&mut numbered, row);
                }
                numbered.number.push(*slot);
            }
        }
        None => {
            let mut index: HashMap<RowKey, u32> = HashMap::new();
            for row in 0..rows {
                let mut key = RowKey { apart: apart.get(row).copied().unwrap_or(0), codes: [0; MAX_PARTS] };
                for (slot, column) in key.codes.iter_mut().zip(columns) {
                    *slot = column[row];
                }
                let number = *index.entry(key).or_insert_with(|| next(&mut numbered, row));
                numbered.number.push(number);
            }
        }
    }
    numbered
}

/// Where the groups of a cube go when it is rolled up to one grain.
///
/// All measures of a cube go the same ways, so this is found once and used by each of them.
#[derive(Debug)]
pub(crate) struct Ways {
    /// Cell per group.
    cell_of: Vec<u32>,
    /// Period index per cell.
    pub periods: Vec<i32>,
    /// Codes per dimension and cell.
    pub codes: Vec<Vec<u32>>,
    /// The value that tells cells apart, if the cube has one.
    pub apart: Vec<i64>,
}

/// One measure of a cube, rolled up.
#[derive(Debug)]
pub(crate) struct Rolled {
    pub ways: Arc<Ways>,
    pub sums: Vec<i128>,
    /// Rows per cell; a cell without rows says nothing.
    pub counts: Vec<i64>,
    pub scale: u32,
}

impl Cube {
    /// Adds what another cube of the same node says, or with `sign` -1 takes it away. Groups that nothing is left of go.
    pub(crate) fn add(&mut self, other: &Self, sign: i8) {
        self.join(other, sign);
        let has_rows = |cell: &usize| self.measures.iter().any(|measure| measure.counts[*cell] != 0);
        let left: Vec<usize> = (0..self.groups).filter(has_rows).collect();
        if left.len() == self.groups {
            return;
        }
        self.measures = self.measures.iter().map(|measure| measure.at(left.iter().copied())).collect();
        self.groups = left.len();
        take_rows(&mut self.times, &left);
        self.codes.iter_mut().for_each(|codes| take_rows(codes, &left));
        take_rows(&mut self.apart, &left);
    }

    /// As [`Cube::add`], but keeps groups that nothing is left of.
    pub(crate) fn join(&mut self, other: &Self, sign: i8) {
        self.times.extend_from_slice(&other.times);
        for (own, other) in self.codes.iter_mut().zip(&other.codes) {
            own.extend_from_slice(other);
        }
        self.apart.extend_from_slice(&other.apart);
        self.groups += other.groups;
        for (own, other) in self.measures.iter_mut().zip(&other.measures) {
            own.sums.extend(other.sums.iter().map(|sum| sum * i128::from(sign)));
            own.counts.extend(other.counts.iter().map(|count| count * i64::from(sign)));
        }
        let mut parts = self.codes.clone();
        let low = self.times.iter().copied().min().unwrap_or(0);
        if !self.times.is_empty() {
            parts.push(self.times.iter().map(|time| time.abs_diff(low)).collect());
        }
        let rows = number_rows(&parts, &self.apart, self.groups);
        self.measures = self.measures.iter().map(|measure| measure.gathered(&rows, |_| true)).collect();
        self.groups = rows.first.len();
        let first: Vec<usize> = rows.first.iter().map(|row| *row as usize).collect();
        take_rows(&mut self.times, &first);
        self.codes.iter_mut().for_each(|codes| take_rows(codes, &first));
        take_rows(&mut self.apart, &first);
    }

    /// The same sums by some of the dimensions only, in the order given.
    pub(crate) fn by(&self, keep: &[String]) -> Result<Self, QueryError> {
        let columns: Vec<&Vec<u32>> = keep
            .iter()
            .map(|name| {
                let position = self.dimensions.iter().position(|dimension| dimension == name);
                position
                    .and_then(|position| self.codes.get(position))
                    .ok_or_else(|| QueryError::engine("roll-up", format!("no dimension `{name}`")))
            })
            .collect::<Result<_, _>>()?;
        let low = self.times.iter().copied().min().unwrap_or(0);
        let mut parts: Vec<Vec<u32>> = columns.into_iter().cloned().collect();
        if !self.times.is_empty() {
            parts.push(self.times.iter().map(|time| (i64::from(*time) - i64::from(low)) as u32).collect());
        }
        let rows = number_rows(&parts, &self.apart, self.groups);
        let kept = |row: &u32| *row as usize;
        Ok(Self {
            unit: self.unit,
            dimensions: keep.to_vec(),
            times: if self.times.is_empty() {
                Vec::new()
            } else {
                rows.first.iter().map(|row| self.times[kept(row)]).collect()
            },
            codes: (parts.iter().take(keep.len()))
                .map(|codes| rows.first.iter().map(|row| codes[kept(row)]).collect())
                .collect(),
            apart: if self.apart.is_empty() {
                Vec::new()
            } else {
                rows.first.iter().map(|row| self.apart[kept(row)]).collect()
            },
            apart_scale: self.apart_scale,
            groups: rows.first.len(),
            measures: (self.measures.iter()).map(|measure| measure.gathered(&rows, |_| true)).collect(),
        })
    }

    /// The ways to a coarser grain.
    pub(crate) fn ways(&self, grain: Grain, calendar: &Calendar) -> Ways {
        let (low, high) =
            self.times.iter().fold((i32::MAX, i32::MIN), |(low, high), time| (low.min(*time), high.max(*time)));
        let period_of: Vec<i32> = if self.times.is_empty() {
            Vec::new()
        } else {
            (low..=high).map(|unit| calendar.index(grain, calendar.unit_start(self.unit, unit))).collect()
        };
        let first = period_of.iter().copied().min().unwrap_or(0);
        let mut parts = self.codes.clone();
        if !self.times.is_empty() {
            let after_first: Vec<u32> = period_of.iter().map(|period| period.abs_diff(first)).collect();
            parts.push(self.times.iter().map(|time| after_first[(time - low) as usize]).collect());
        }
        let rows = number_rows(&parts, &self.apart, self.groups);
        let period = |row: &u32| self.times.get(*row as usize).map_or(0, |time| period_of[(time - low) as usize]);
        Ways {
            periods: rows.first.iter().map(period).collect(),
            codes: (self.codes.iter())
                .map(|codes| rows.first.iter().map(|row| codes[*row as usize]).collect())
                .collect(),
            apart: if self.apart.is_empty() {
                Vec::new()
            } else {
                rows.first.iter().map(|row| self.apart[*row as usize]).collect()
            },
            cell_of: rows.number,
        }
    }

    /// Sums of one measure along known ways.
    pub(crate) fn roll_up(&self, measure: usize, ways: Arc<Ways>) -> Rolled {
        let data = &self.measures[measure];
        let mut rolled = Rolled {
            sums: vec![0; ways.periods.len()],
            counts: vec![0; ways.periods.len()],
            scale: data.scale,
            ways: Arc::clone(&ways),
        };
        for ((cell, sum), count) in ways.cell_of.iter().zip(&data.sums).zip(&data.counts) {
            rolled.sums[*cell as usize] += sum;
            rolled.counts[*cell as usize] += count;
        }
        rolled
    }
}

/// Segments that one question can name.
pub(crate) const MAX_SEGMENTS: usize = 8;
/// Segments and time.
const MAX_PARTS: usize = MAX_SEGMENTS + 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RowKey {
    apart: i64,
    codes: [u32; MAX_PARTS],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbered_alike_with_and_without_a_table() {
        // Codes far apart, so that the second form has no table.
        let near: Vec<Vec<u32>> = vec![vec![0, 1, 0, 2, 1, 0], vec![5, 5, 5, 1, 5, 4]];
        let far: Vec<Vec<u32>> =
            near.iter().map(|codes| codes.iter().map(|code| code * 600_000_000).collect()).collect();
        for columns in [near, far] {
            let rows = number_rows(&columns, &[], 6);
            assert_eq!((rows.number, rows.first), (vec![0, 1, 0, 2, 1, 3], vec![0, 1, 3, 5]));
        }
        let rows = number_rows(&[], &[7, 7, 8], 3);
        assert_eq!((rows.number, rows.first), (vec![0, 0, 1], vec![0, 2]));
        assert_eq!(number_rows(&[], &[], 2).number, vec![0, 0]);
    }
}
