//! Column chunks of numbers, dates, instants and truth values.
//!
//! A chunk whose numbers repeat gets a dictionary: found by looking up the distance from the least
//! number where the numbers lie close together, by hashing where a sample says that it pays. Other
//! numbers are written as differences. The number of rows is that of one row group, so values are kept
//! until all have been seen.

use arrow::array::{Array, BooleanArray};
use arrow::buffer::NullBuffer;
use hashbrown::HashTable;
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;

use super::pages::{ColumnChunk, DataPage, Dictionary, Pages, Range};
use super::{delta, hybrid};

/// Numbers that lie within this distance of each other are looked up in a table.
const TABLE_SPAN: u64 = 1 << 16;
/// Most entries of a dictionary that is found by hashing.
const MOST_ENTRIES: usize = 1 << 14;
/// Numbers looked at to see whether hashing pays.
const SAMPLE: usize = 1024;

/// A number as Parquet stores it.
pub(crate) trait Number: Copy + Ord + Default {
    /// Numbers no farther apart than this have differences of their own width.
    const WIDEST: u64;
    /// The same number, wide.
    fn wide(self) -> i64;
    fn put(self, out: &mut Vec<u8>);
    fn statistics(least: Option<Self>, greatest: Option<Self>, nulls: u64) -> Statistics;
}

impl Number for i32 {
    const WIDEST: u64 = (1 << 31) - 1;
    fn wide(self) -> i64 {
        i64::from(self)
    }
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn statistics(least: Option<Self>, greatest: Option<Self>, nulls: u64) -> Statistics {
        Statistics::int32(least, greatest, None, Some(nulls), false)
    }
}

impl Number for i64 {
    /// Differences of 64 bits may wrap around.
    const WIDEST: u64 = u64::MAX;
    fn wide(self) -> i64 {
        self
    }
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn statistics(least: Option<Self>, greatest: Option<Self>, nulls: u64) -> Statistics {
        Statistics::int64(least, greatest, None, Some(nulls), false)
    }
}

struct Block {
    rows: usize,
    nulls: Option<NullBuffer>,
    /// Values that are no null.
    valid: usize,
}

/// Collects the numbers of a chunk, block by block; each block becomes a page.
pub(crate) struct Numbers<T> {
    pages: Pages,
    blocks: Vec<Block>,
    values: Vec<T>,
}

impl<T: Number> Numbers<T> {
    pub(crate) fn new(pages: Pages, rows: usize) -> Self {
        Self { pages, blocks: Vec::new(), values: Vec::with_capacity(rows) }
    }

    /// Takes a block. What stands in a null slot is not looked at.
    pub(crate) fn take(&mut self, values: &[T], nulls: Option<&NullBuffer>) {
        let before = self.values.len();
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => self.values.extend_from_slice(values),
            Some(nulls) => self.values.extend(nulls.valid_indices().map(|row| values[row])),
        }
        let valid = self.values.len() - before;
        self.blocks.push(Block { rows: values.len(), nulls: nulls.cloned(), valid });
    }

    pub(crate) fn finish(mut self) -> Result<ColumnChunk> {
        let (least, greatest) = (self.values.iter().min().copied(), self.values.iter().max().copied());
        let coded = match (least, greatest) {
            (Some(least), Some(greatest)) => dictionary(&self.values, least, greatest),
            _ => None,
        };
        let dictionary = coded.as_ref().map(|(entries, _)| {
            let mut body = Vec::with_capacity(std::mem::size_of_val(entries.as_slice()));
            entries.iter().for_each(|entry| entry.put(&mut body));
            Dictionary { entries: entries.len(), body }
        });
        let span = least.zip(greatest).map_or(0, |(least, greatest)| greatest.wide().abs_diff(least.wide()));
        let (mut start, mut nulls) = (0, 0);
        let mut body = Vec::new();
        let mut last: Option<(T, T)> = None;
        let mut ascending = true;
        for block in &self.blocks {
            let place = start..start + block.valid;
            start = place.end;
            let values = &self.values[place.clone()];
            body.clear();
            hybrid::levels(block.rows, block.nulls.as_ref(), &mut body);
            let encoding = match &coded {
                Some((entries, codes)) => {
                    let width = hybrid::width(entries.len());
                    body.push(width);
                    hybrid::codes(&codes[place], width, &mut body);
                    Encoding::RLE_DICTIONARY
                }
                None if values.is_empty() || span > T::WIDEST => {
                    values.iter().for_each(|value| value.put(&mut body));
                    Encoding::PLAIN
                }
                None => {
                    delta::numbers(values.iter().map(|value| value.wide()), &mut body);
                    Encoding::DELTA_BINARY_PACKED
                }
            };
            let range = values.iter().min().copied().zip(values.iter().max().copied());
            if let Some((least, greatest)) = range {
                ascending &= last.is_none_or(|(before, after)| before <= least && after <= greatest);
                last = Some((least, greatest));
            }
            let missing = block.rows - block.valid;
            nulls += missing as u64;
            let range = range.map(|(least, greatest)| (bytes(least), bytes(greatest)));
            self.pages.add(DataPage { encoding, rows: block.rows, nulls: missing, body: &body, range })?;
        }
        self.pages.finish(dictionary.as_ref(), T::statistics(least, greatest, nulls), ascending)
    }
}

fn bytes<T: Number>(value: T) -> Vec<u8> {
    let mut out = Vec::with_capacity(8);
    value.put(&mut out);
    out
}

/// The distinct numbers and each number's code, where that is shorter than the numbers.
fn dictionary<T: Number>(values: &[T], least: T, greatest: T) -> Option<(Vec<T>, Vec<u32>)> {
    let span = greatest.wide().abs_diff(least.wide());
    if span < TABLE_SPAN { by_table(values, least, span as usize) } else { by_hash(values) }
}

/// Numbers close together; the entries ascend.
fn by_table<T: Number>(values: &[T], least: T, span: usize) -> Option<(Vec<T>, Vec<u32>)> {
    let place = |value: T| value.wide().abs_diff(least.wide()) as usize;
    let mut table: Vec<(u32, T)> = vec![(0, T::default()); span + 1];
    for value in values {
        table[place(*value)] = (1, *value);
    }
    let mut entries = Vec::new();
    for (code, value) in &mut table {
        if *code > 0 {
            *code = entries.len() as u32;
            entries.push(*value);
        }
    }
    if entries.len() > values.len().div_ceil(4) && entries.len() > 16 {
        return None;
    }
    let codes = values.iter().map(|value| table[place(*value)].0).collect();
    Some((entries, codes))
}

/// Numbers far apart that a sample shows to repeat; the entries stand in the order of their first use.
fn by_hash<T: Number>(values: &[T]) -> Option<(Vec<T>, Vec<u32>)> {
    let mut sample: Vec<T> = values.iter().step_by((values.len() / SAMPLE).max(1)).copied().collect();
    let seen = sample.len();
    sample.sort_unstable();
    sample.dedup();
    if sample.len() * 4 > seen && sample.len() > 16 {
        return None;
    }
    let mut entries: Vec<T> = Vec::new();
    let mut known: HashTable<u32> = HashTable::new();
    let mut codes = Vec::with_capacity(values.len());
    let hash = |value: T| (value.wide() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    for value in values {
        let found = known.find(hash(*value), |code| entries[*code as usize] == *value).copied();
        let code = match found {
            Some(code) => code,
            None if entries.len() == MOST_ENTRIES => return None,
            None => {
                let code = entries.len() as u32;
                entries.push(*value);
                known.insert_unique(hash(*value), code, |code| hash(entries[*code as usize]));
                code
            }
        };
        codes.push(code);
    }
    Some((entries, codes))
}

/// Collects truth values.
pub(crate) struct Truths {
    pages: Pages,
    nulls: u64,
    seen: [bool; 2],
    body: Vec<u8>,
}

impl Truths {
    pub(crate) fn new(pages: Pages) -> Self {
        Self { pages, nulls: 0, seen: [false; 2], body: Vec::new() }
    }

    pub(crate) fn take(&mut self, array: &BooleanArray) -> Result<()> {
        self.body.clear();
        hybrid::levels(array.len(), array.nulls(), &mut self.body);
        let (mut held, mut bits, mut seen) = (0u8, 0, [false; 2]);
        for value in array.iter().flatten() {
            seen[usize::from(value)] = true;
            held |= u8::from(value) << bits;
            bits += 1;
            if bits == 8 {
                self.body.push(held);
                (held, bits) = (0, 0);
            }
        }
        if bits > 0 {
            self.body.push(held);
        }
        self.nulls += array.null_count() as u64;
        self.seen = [self.seen[0] | seen[0], self.seen[1] | seen[1]];
        let range = ends(seen).map(|(least, greatest)| -> Range { (vec![least.into()], vec![greatest.into()]) });
        self.pages.add(DataPage {
            encoding: Encoding::PLAIN,
            rows: array.len(),
            nulls: array.null_count(),
            body: &self.body,
            range,
        })
    }

    pub(crate) fn finish(self) -> Result<ColumnChunk> {
        let (least, greatest) = ends(self.seen).unzip();
        self.pages.finish(None, Statistics::boolean(least, greatest, None, Some(self.nulls), false), false)
    }
}

fn ends(seen: [bool; 2]) -> Option<(bool, bool)> {
    match seen {
        [false, false] => None,
        [false, true] => Some((true, true)),
        [true, after] => Some((false, after)),
    }
}
