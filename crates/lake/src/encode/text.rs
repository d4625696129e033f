//! Column chunks of texts and categories.
//!
//! Categories come with their codes, so a text is looked at once per dictionary, not once per row.
//! Codes are given anew in the order in which the rows first use them: the bytes of a file depend
//! on its rows only, not on the dictionaries they came with. Plain texts get a dictionary where a
//! sample says that they repeat. A dictionary that grows too large is given up for the later pages.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;
use hashbrown::HashTable;
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use xxhash_rust::xxh3::xxh3_64;

use super::hybrid;
use super::pages::{ColumnChunk, DataPage, Dictionary, Pages, Range};

/// Largest dictionary, in bytes and in entries.
const MOST_BYTES: usize = 1 << 20;
const MOST_ENTRIES: usize = 1 << 16;
/// Texts looked at to see whether they repeat. Enough to see it of some thousand owners.
const SAMPLE: usize = 2048;
/// Longer texts are no use as a range.
const LONGEST_END: usize = 64;

/// Texts by number, in the order of their first use.
#[derive(Default)]
struct Known {
    /// In the plain encoding: lengths and texts.
    body: Vec<u8>,
    places: Vec<(u32, u32)>,
    table: HashTable<(u64, u32)>,
}

impl Known {
    fn text(&self, code: u32) -> &[u8] {
        let (start, end) = self.places[code as usize];
        &self.body[start as usize..end as usize]
    }

    fn code(&mut self, text: &[u8]) -> u32 {
        let hash = xxh3_64(text);
        let found = self.table.find(hash, |(other, code)| *other == hash && self.text(*code) == text);
        if let Some((_, code)) = found {
            return *code;
        }
        let code = self.places.len() as u32;
        self.body.extend_from_slice(&(text.len() as u32).to_le_bytes());
        let start = self.body.len() as u32;
        self.body.extend_from_slice(text);
        self.places.push((start, self.body.len() as u32));
        self.table.insert_unique(hash, (hash, code), |(hash, _)| *hash);
        code
    }

    fn is_full(&self) -> bool {
        self.body.len() > MOST_BYTES || self.places.len() > MOST_ENTRIES
    }
}

/// Collects the texts of a chunk, block by block; each block becomes a page.
pub(crate) struct Texts {
    pages: Pages,
    is_category: bool,
    known: Known,
    /// `None` until the first texts were seen.
    coding: Option<bool>,
    /// Whether readers are to learn the least and the greatest text of every page.
    ranged: bool,
    /// Codes for the dictionary that the last block came with.
    last: Option<(ArrayRef, Vec<u32>)>,
    least: Option<Vec<u8>>,
    greatest: Option<Vec<u8>>,
    nulls: u64,
    /// Some texts stand in plain pages.
    has_plain: bool,
    body: Vec<u8>,
    codes: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;

impl Texts {
    /// `is_key`: the texts are all different, and their ranges are worth knowing.
    pub(crate) fn new(pages: Pages, is_category: bool, is_key: bool) -> Self {
        Self {
            pages,
            is_category,
            known: Known::default(),
            coding: is_key.then_some(false),
            ranged: is_key,
            last: None,
            least: None,
            greatest: None,
            nulls: 0,
            has_plain: false,
            body: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// Takes a block of texts.
    pub(crate) fn take(&mut self, rows: &[Option<&str>]) -> Result<()> {
        let missing = rows.iter().filter(|text| text.is_none()).count();
        if missing == rows.len() {
            return self.add_nulls(missing);
        }
        if self.coding.is_none() {
            self.coding = Some(repeats(rows));
        }
        let nulls = (missing > 0).then(|| NullBuffer::from_iter(rows.iter().map(Option::is_some)));
        self.body.clear();
        hybrid::levels(rows.len(), nulls.as_ref(), &mut self.body);
        if self.coding == Some(true) && !self.known.is_full() {
            let mut codes = std::mem::take(&mut self.codes);
            codes.clear();
            codes.extend(rows.iter().flatten().map(|text| self.known.code(text.as_bytes())));
            self.codes = codes;
            return self.add_codes(rows.len(), missing);
        }
        self.has_plain = true;
        self.body.reserve(rows.iter().flatten().map(|text| text.len() + 4).sum());
        rows.iter().flatten().for_each(|text| put(text, &mut self.body));
        let range = if self.ranged { self.range(rows) } else { None };
        self.add(Encoding::PLAIN, rows.len(), missing, range)
    }

    /// Takes a block of categories.
    pub(crate) fn take_codes(&mut self, array: &DictionaryArray<Int32Type>) -> Result<()> {
        let Some(values) = array.values().as_string_opt::<i32>() else { return Ok(()) };
        let keys = array.keys();
        if keys.null_count() == keys.len() {
            return self.add_nulls(keys.len());
        }
        let texts = || -> Vec<Option<&str>> {
            let key = |key: Option<i32>| key.and_then(|key| usize::try_from(key).ok());
            // A key may also point at a null.
            let text = |key: usize| values.is_valid(key).then(|| values.value(key));
            keys.iter().map(|each| key(each).and_then(text)).collect()
        };
        // The same rows are to give the same bytes, whether they come as texts or as codes.
        if self.coding.is_none() {
            self.coding = Some(self.is_category || repeats(&texts()));
        }
        if self.coding == Some(false) || self.known.is_full() || values.null_count() > 0 {
            return self.take(&texts());
        }
        let mut map = match self.last.take() {
            Some((seen, map)) if std::sync::Arc::ptr_eq(&seen, array.values()) => map,
            _ => vec![UNKNOWN; values.len()],
        };
        self.body.clear();
        self.codes.clear();
        hybrid::levels(array.len(), keys.nulls(), &mut self.body);
        let known = &mut self.known;
        let mut code = |key: i32| {
            let slot = &mut map[key as usize];
            if *slot == UNKNOWN {
                *slot = known.code(values.value(key as usize).as_bytes());
            }
            *slot
        };
        match keys.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => self.codes.extend(keys.values().iter().map(|key| code(*key))),
            Some(nulls) => self.codes.extend(nulls.valid_indices().map(|row| code(keys.values()[row]))),
        }
        self.last = Some((array.values().clone(), map));
        self.add_codes(array.len(), keys.null_count())
    }

    /// A page without a value: plain, because the chunk may have no dictionary.
    fn add_nulls(&mut self, rows: usize) -> Result<()> {
        self.body.clear();
        hybrid::levels(rows, Some(&NullBuffer::new_null(rows)), &mut self.body);
        self.add(Encoding::PLAIN, rows, rows, None)
    }

    /// Writes the collected codes after the levels.
    fn add_codes(&mut self, rows: usize, nulls: usize) -> Result<()> {
        let width = hybrid::width(self.known.places.len());
        self.body.push(width);
        hybrid::codes(&self.codes, width, &mut self.body);
        self.add(Encoding::RLE_DICTIONARY, rows, nulls, None)
    }

    fn add(&mut self, encoding: Encoding, rows: usize, nulls: usize, range: Option<Range>) -> Result<()> {
        self.nulls += nulls as u64;
        self.pages.add(DataPage { encoding, rows, nulls, body: &self.body, range })
    }

    /// Least and greatest text of a block, unless they are long.
    fn range(&mut self, rows: &[Option<&str>]) -> Option<Range> {
        let (mut least, mut greatest): (Option<&str>, Option<&str>) = (None, None);
        for text in rows.iter().copied().flatten() {
            if least.is_none_or(|least| text < least) {
                least = Some(text);
            }
            if greatest.is_none_or(|greatest| text > greatest) {
                greatest = Some(text);
            }
        }
        let (least, greatest) = (least?.as_bytes().to_vec(), greatest?.as_bytes().to_vec());
        if self.least.as_ref().is_none_or(|known| least < *known) {
            self.least = Some(least.clone());
        }
        if self.greatest.as_ref().is_none_or(|known| greatest > *known) {
            self.greatest = Some(greatest.clone());
        }
        (least.len() <= LONGEST_END && greatest.len() <= LONGEST_END).then_some((least, greatest))
    }

    pub(crate) fn finish(mut self) -> Result<ColumnChunk> {
        let coded = !self.known.places.is_empty();
        if coded && !self.has_plain {
            // Every text of the chunk is in the dictionary.
            let texts = || (0..self.known.places.len() as u32).map(|code| self.known.text(code));
            self.least = texts().min().map(<[u8]>::to_vec);
            self.greatest = texts().max().map(<[u8]>::to_vec);
        }
        let ends = self.least.zip(self.greatest);
        let ends = ends.filter(|(least, greatest)| least.len() <= LONGEST_END && greatest.len() <= LONGEST_END);
        let (least, greatest) =
            ends.map(|(least, greatest)| (ByteArray::from(least), ByteArray::from(greatest))).unzip();
        let statistics = Statistics::byte_array(least, greatest, None, Some(self.nulls), false);
        let dictionary = coded.then_some(Dictionary { entries: self.known.places.len(), body: self.known.body });
        self.pages.finish(dictionary.as_ref(), statistics, false)
    }
}

#[inline]
fn put(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Whether texts come often enough to be numbered.
fn repeats(rows: &[Option<&str>]) -> bool {
    let step = (rows.len() / SAMPLE).max(1);
    let seen: Vec<&str> = rows.iter().step_by(step).copied().flatten().collect();
    let distinct: HashSet<&str> = seen.iter().copied().collect();
    distinct.len() * 8 <= seen.len() * 7 || distinct.len() <= 16
}
