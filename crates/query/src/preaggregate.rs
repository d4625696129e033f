//! A first aggregation of every morsel, by dense addresses, for several nodes at once.
//!
//! A general group-by hashes every row and looks its group up once per sum. Where the groups are
//! few and known in number, the packed key is an address: rows are numbered by a table, and
//! every sum is a run over two arrays. So a morsel of a hundred thousand rows becomes a few
//! thousand partial sums, and the group-by that follows in the pipeline has little to do. All
//! nodes of a pass take their share of the same decoded columns. Sums are integers, so it makes
//! no difference how rows are cut into morsels. What the keys mean is known to `cube`.

use std::sync::{Arc, Mutex, PoisonError};

use polars::prelude::*;

/// Name of the key column of the result.
pub(crate) const KEY: &str = "key";

/// One value that is summed up and counted.
#[derive(Debug, Clone)]
pub(crate) struct SumColumn {
    /// Column of 64-bit integers; only rows where it is not null count.
    pub value: Option<String>,
    /// Boolean column: rows that count.
    pub mask: Option<String>,
    /// Whether the sum could exceed 64 bits; it then comes in two halves.
    pub is_wide: bool,
}

/// Where the rows of a node go.
#[derive(Debug, Clone)]
pub(crate) struct NodeKeys {
    /// First key of the node; those of other nodes lie elsewhere.
    pub offset: i64,
    /// How many keys there are.
    pub area: usize,
    /// Column of units of time; rows without one do not belong to the node.
    pub time: Option<TimeKey>,
    /// Columns of codes, and what a code is multiplied by.
    pub codes: Vec<(String, u32)>,
    /// Positions of the sums that the node wants.
    pub sums: Vec<usize>,
}

/// The part that time has in a key.
#[derive(Debug, Clone)]
pub(crate) struct TimeKey {
    pub column: String,
    /// The unit that counts as 0.
    pub low: i32,
    /// 0 where time tells no groups apart.
    pub factor: u32,
}

/// What a pass sums up, morsel by morsel.
#[derive(Debug)]
pub(crate) struct PreAggregate {
    nodes: Vec<NodeKeys>,
    sums: Vec<SumColumn>,
    /// Room of threads that are between two morsels.
    idle: Mutex<Vec<Scratch>>,
}

/// Room that is used again.
#[derive(Debug, Default)]
struct Scratch {
    /// Slot by key, 0 for a key without one.
    slots: Vec<u32>,
    /// Key, then slot, by row.
    rows: Vec<u32>,
    weights: Vec<Vec<u8>>,
}

/// Halves of a wide sum: `high` * 2^32 + `low`.
const HALF: u32 = 32;

/// A key that no row of the node has.
const NO_KEY: u32 = u32::MAX;

impl PreAggregate {
    pub(crate) fn new(nodes: Vec<NodeKeys>, sums: Vec<SumColumn>) -> Self {
        Self { nodes, sums, idle: Mutex::default() }
    }

    /// Names of the columns of sums and counts, all of them 64-bit integers.
    pub(crate) fn columns(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (position, sum) in self.sums.iter().enumerate() {
            names.push(format!("count{position}"));
            match (&sum.value, sum.is_wide) {
                (Some(_), true) => names.extend([format!("low{position}"), format!("high{position}")]),
                (Some(_), false) => names.push(format!("sum{position}")),
                (None, _) => {}
            }
        }
        names
    }

    /// Adds the aggregation to a pipeline: partial sums by morsel, then their sums by key.
    pub(crate) fn aggregate(self: &Arc<Self>, frame: LazyFrame) -> LazyFrame {
        let names = self.columns();
        let fields = std::iter::once(KEY).chain(names.iter().map(String::as_str));
        let schema: SchemaRef =
            Arc::new(fields.map(|name| Field::new(name.into(), DataType::Int64)).collect::<Schema>());
        let shape: Arc<dyn UdfSchema> = Arc::new(move |_: &Schema| Ok(Arc::clone(&schema)));
        let this = Arc::clone(self);
        let partial =
            frame.map(move |morsel| this.morsel(morsel), OptFlags::STREAMING, Some(shape), Some("sums by morsel"));
        partial.group_by([col(KEY)]).agg(names.iter().map(|name| col(name.as_str()).sum()).collect::<Vec<_>>())
    }

    fn morsel(&self, mut morsel: DataFrame) -> PolarsResult<DataFrame> {
        morsel.rechunk_mut();
        let mut scratch = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let result = self.summed(&morsel, &mut scratch);
        // After an error the table of slots may not be clean.
        if result.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
        result
    }

    fn summed(&self, morsel: &DataFrame, scratch: &mut Scratch) -> PolarsResult<DataFrame> {
        let height = morsel.height();
        let mut keys: Vec<i64> = Vec::new();
        let mut outputs: Vec<Vec<i64>> = vec![Vec::new(); self.columns().len()];
        scratch.weights.resize_with(self.sums.len(), Vec::new);
        let mut values: Vec<Option<&[i64]>> = Vec::with_capacity(self.sums.len());
        for (sum, weights) in self.sums.iter().zip(&mut scratch.weights) {
            values.push(weigh(sum, morsel, weights)?);
        }
        for node in &self.nodes {
            node.keys(morsel, &mut scratch.rows)?;
            if scratch.slots.len() < node.area {
                scratch.slots.resize(node.area, 0);
            }
            // Rows of other nodes fall into slot 0, which is thrown away.
            let before = keys.len();
            let mut next: u32 = 1;
            for row in &mut scratch.rows {
                let Some(slot) = scratch.slots.get_mut(*row as usize) else {
                    *row = 0;
                    continue;
                };
                if *slot == 0 {
                    *slot = next;
                    next += 1;
                    keys.push(i64::from(*row));
                }
                *row = *slot;
            }
            for key in &mut keys[before..] {
                scratch.slots[usize::try_from(*key).unwrap_or(0)] = 0;
                *key += node.offset;
            }
            let width = next as usize;
            let mut all: Option<Vec<i64>> = None;
            let mut place = 0;
            for (position, sum) in self.sums.iter().enumerate() {
                let is_wanted = node.sums.contains(&position);
                let weights = Some(&scratch.weights[position]).filter(|weights| !weights.is_empty());
                let mut emit = |found: Option<Vec<i64>>| {
                    match found {
                        Some(found) => outputs[place].extend_from_slice(&found[1..]),
                        None => outputs[place].resize(keys.len(), 0),
                    }
                    place += 1;
                };
                emit(is_wanted.then(|| match weights {
                    Some(weights) => counted(&scratch.rows, weights, width),
                    None => all.get_or_insert_with(|| rows_of(&scratch.rows, width)).clone(),
                }));
                match (values[position], sum.is_wide) {
                    (None, _) => {}
                    (Some(values), false) => {
                        emit(is_wanted.then(|| match weights {
                            Some(weights) => added_where(&scratch.rows, values, weights, width),
                            None => added(&scratch.rows, values, width),
                        }));
                    }
                    (Some(values), true) => {
                        let wide = is_wanted.then(|| added_wide(&scratch.rows, values, weights, width));
                        let half =
                            |of: fn(i128) -> i64| wide.as_ref().map(|wide| wide.iter().map(|sum| of(*sum)).collect());
                        #[expect(
                            clippy::cast_possible_truncation,
                            reason = "a morsel has fewer than 2^32 rows of 64 bits"
                        )]
                        let (low, high) = (half(|sum| (sum & 0xffff_ffff) as i64), half(|sum| (sum >> HALF) as i64));
                        emit(low);
                        emit(high);
                    }
                }
            }
        }
        let height_out = keys.len();
        let mut columns = vec![Column::new(KEY.into(), keys)];
        columns.extend(self.columns().into_iter().zip(outputs).map(|(name, values)| Column::new(name.into(), values)));
        debug_assert!(height == 0 || columns.iter().all(|column| column.len() == height_out));
        DataFrame::new(height_out, columns)
    }
}

impl NodeKeys {
    /// The key of every row.
    fn keys(&self, morsel: &DataFrame, rows: &mut Vec<u32>) -> PolarsResult<()> {
        rows.clear();
        rows.resize(morsel.height(), 0);
        for (name, factor) in &self.codes {
            let codes = morsel.column(name)?.u32()?;
            for array in codes.downcast_iter() {
                rows.iter_mut().zip(array.values().iter()).for_each(|(key, code)| *key += code * factor);
            }
        }
        let Some(time) = &self.time else { return Ok(()) };
        let units = morsel.column(&time.column)?.i32()?;
        for array in units.downcast_iter() {
            let after = |unit: i32| unit.wrapping_sub(time.low).cast_unsigned();
            if time.factor > 0 {
                let add =
                    |(key, unit): (&mut u32, &i32)| *key = key.wrapping_add(after(*unit).wrapping_mul(time.factor));
                rows.iter_mut().zip(array.values().iter()).for_each(add);
            }
            if let Some(validity) = array.validity().filter(|validity| validity.unset_bits() > 0) {
                rows.iter_mut().zip(validity.iter()).filter(|(_, valid)| !valid).for_each(|(key, _)| *key = NO_KEY);
            }
        }
        Ok(())
    }
}

/// The values of a sum, and in `weights` which rows count: 1 or 0 by row, empty where all do.
fn weigh<'m>(sum: &SumColumn, morsel: &'m DataFrame, weights: &mut Vec<u8>) -> PolarsResult<Option<&'m [i64]>> {
    weights.clear();
    if let Some(mask) = &sum.mask {
        let mask = morsel.column(mask)?.bool()?;
        for array in mask.downcast_iter() {
            weights.extend(array.values().iter().map(u8::from));
            if let Some(validity) = array.validity() {
                weights.iter_mut().zip(validity.iter()).for_each(|(weight, valid)| *weight &= u8::from(valid));
            }
        }
    }
    let Some(value) = &sum.value else { return Ok(None) };
    let Some(array) = morsel.column(value)?.i64()?.downcast_iter().next() else { return Ok(Some(&[])) };
    if let Some(validity) = array.validity().filter(|validity| validity.unset_bits() > 0) {
        if weights.is_empty() {
            weights.extend(validity.iter().map(u8::from));
        } else {
            weights.iter_mut().zip(validity.iter()).for_each(|(weight, valid)| *weight &= u8::from(valid));
        }
    }
    Ok(Some(array.values().as_slice()))
}

fn rows_of(slots: &[u32], width: usize) -> Vec<i64> {
    let mut counts = vec![0; width];
    slots.iter().for_each(|slot| counts[*slot as usize] += 1);
    counts
}

fn counted(slots: &[u32], weights: &[u8], width: usize) -> Vec<i64> {
    let mut counts = vec![0; width];
    slots.iter().zip(weights).for_each(|(slot, weight)| counts[*slot as usize] += i64::from(*weight));
    counts
}

fn added(slots: &[u32], values: &[i64], width: usize) -> Vec<i64> {
    let mut sums = vec![0_i64; width];
    slots.iter().zip(values).for_each(|(slot, value)| sums[*slot as usize] += value);
    sums
}

fn added_where(slots: &[u32], values: &[i64], weights: &[u8], width: usize) -> Vec<i64> {
    let mut sums = vec![0_i64; width];
    for ((slot, value), weight) in slots.iter().zip(values).zip(weights) {
        // All ones or all zeros: a branch would be guessed wrongly half the time.
        sums[*slot as usize] += value & -i64::from(*weight);
    }
    sums
}

fn added_wide(slots: &[u32], values: &[i64], weights: Option<&Vec<u8>>, width: usize) -> Vec<i128> {
    let mut sums = vec![0_i128; width];
    for (row, (slot, value)) in slots.iter().zip(values).enumerate() {
        let counts = weights.is_none_or(|weights| weights[row] != 0);
        sums[*slot as usize] += if counts { i128::from(*value) } else { 0 };
    }
    sums
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn several_nodes_share_a_morsel() {
        let frame = df!(
            "month" => [Some(24_000_i32), Some(24_001), None, Some(24_001)],
            "region" => [1_u32, 0, 1, 0],
            "amount" => [Some(10_i64), None, Some(7), Some(i64::MAX)],
            "is_won" => [true, true, true, false],
        )
        .unwrap();
        let sum = |value: bool, mask: bool, is_wide| SumColumn {
            value: value.then(|| "amount".to_owned()),
            mask: mask.then(|| "is_won".to_owned()),
            is_wide,
        };
        let time = |factor| Some(TimeKey { column: "month".to_owned(), low: 24_000, factor });
        let region = |factor| vec![("region".to_owned(), factor)];
        let pass = Arc::new(PreAggregate::new(
            vec![
                NodeKeys { offset: 0, area: 4, time: time(1), codes: region(2), sums: vec![0, 1, 2] },
                NodeKeys { offset: 4, area: 2, time: None, codes: region(1), sums: vec![2] },
                NodeKeys { offset: 6, area: 1, time: time(0), codes: vec![], sums: vec![0] },
            ],
            vec![sum(true, true, false), sum(true, false, true), sum(false, false, false)],
        ));
        for engine in [Engine::Streaming, Engine::InMemory] {
            let result = pass.aggregate(frame.clone().lazy()).collect_with_engine(engine).unwrap().unwrap_single();
            let sorted = result.sort([KEY], SortMultipleOptions::default()).unwrap();
            let column = |name: &str| -> Vec<i64> {
                sorted.column(name).unwrap().i64().unwrap().iter().map(Option::unwrap).collect()
            };
            // Keys: month 0 region 1 is 2, month 1 region 0 is 1; then regions; then everything with a month.
            assert_eq!(column(KEY), [1, 2, 4, 5, 6]);
            assert_eq!(column("count0"), [0, 1, 0, 0, 1]);
            assert_eq!(column("sum0"), [0, 10, 0, 0, 10]);
            assert_eq!(column("count1"), [1, 1, 0, 0, 0]);
            let wide: Vec<i128> = (column("low1").iter().zip(column("high1")))
                .map(|(low, high)| (i128::from(high) << HALF) + i128::from(*low))
                .collect();
            assert_eq!(wide, [i128::from(i64::MAX), 10, 0, 0, 0]);
            assert_eq!(column("count2"), [2, 1, 2, 2, 0]);
        }
    }
}
