//! Dictionaries in the making: text to code, shared by the threads that build a fact table.
//!
//! Codes are given in the order in which texts arrive, so they differ from run to run; nothing
//! that a user sees depends on them. Code 0 is null. A dictionary may begin with the labels of
//! an older table ([`Interners::of`]); they are read when the first code is asked for.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use arrow::array::{Array, AsArray, DictionaryArray, StringArray};
use arrow::datatypes::{DataType, Int32Type, UInt32Type};
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

use super::encode::read_file;
use super::store::{self, read_keys};
use crate::error::QueryError;

/// Text to code for one domain.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    inner: RwLock<Inner>,
    seed: Seed,
}

/// A file with the labels that a dictionary begins with, and whether they were read.
#[derive(Debug, Default)]
struct Seed {
    file: Option<PathBuf>,
    /// Number of labels in the file; `None` where it could not be read.
    read: OnceLock<Option<usize>>,
}

impl Seed {
    fn of(file: Option<PathBuf>) -> Self {
        Self { file, read: OnceLock::new() }
    }

    /// Reads the file, if there is one and it was not read before.
    fn ready(&self, take: impl FnOnce(Vec<(Box<str>, u32)>)) {
        self.read.get_or_init(|| {
            let Some(file) = &self.file else { return Some(0) };
            let keys = read_keys(file).ok()?;
            let count = keys.len();
            take(keys);
            Some(count)
        });
    }

    /// Labels that came with the file; `None` where nobody asked for them.
    fn count(&self) -> Option<usize> {
        self.read.get().copied().flatten()
    }

    fn failed(&self) -> bool {
        self.read.get() == Some(&None)
    }
}

#[derive(Debug, Default)]
struct Inner {
    codes: HashMap<Box<str>, u32>,
    labels: Vec<Box<str>>,
}

impl Interner {
    fn ready(&self) {
        self.seed.ready(|labels| {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            inner.codes.reserve(labels.len());
            labels.into_iter().for_each(|(label, _)| {
                inner.intern(&label);
            });
        });
    }

    /// The code of a text, given now if it is new.
    pub(crate) fn intern(&self, text: &str) -> u32 {
        self.ready();
        if let Some(code) = self.inner.read().unwrap_or_else(PoisonError::into_inner).codes.get(text) {
            return *code;
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.intern(text)
    }

    /// Codes of a text array, 0 for null.
    pub(crate) fn encode(&self, array: &dyn Array) -> Result<Vec<u32>, QueryError> {
        match array.data_type() {
            DataType::Dictionary(_, _) => {
                let dictionary: &DictionaryArray<Int32Type> = array
                    .as_dictionary_opt()
                    .ok_or_else(|| QueryError::engine("facts", "dictionary keys are not 32-bit integers"))?;
                let values = strings(dictionary.values())?;
                // Only values that some row has: a dictionary may carry others.
                let mut codes: Vec<Option<u32>> = vec![None; values.len()];
                let mut code_of = |key: i32| {
                    let slot = &mut codes[key as usize];
                    *slot.get_or_insert_with(|| {
                        if values.is_null(key as usize) { 0 } else { self.intern(values.value(key as usize)) }
                    })
                };
                let keys = dictionary.keys();
                Ok(if keys.null_count() == 0 {
                    keys.values().iter().map(|key| code_of(*key)).collect()
                } else {
                    keys.iter().map(|key| key.map_or(0, &mut code_of)).collect()
                })
            }
            _ => Ok(self.encode_plain(strings(array)?)),
        }
    }

    fn encode_plain(&self, array: &StringArray) -> Vec<u32> {
        let mut codes = Vec::with_capacity(array.len());
        let mut missing = Vec::new();
        if array.null_count() < array.len() {
            self.ready();
        }
        {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            for (row, value) in array.iter().enumerate() {
                let code = value.and_then(|text| inner.codes.get(text).copied());
                if code.is_none() && value.is_some() {
                    missing.push(row);
                }
                codes.push(code.unwrap_or(0));
            }
        }
        if !missing.is_empty() {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            for row in missing {
                codes[row] = inner.intern(array.value(row));
            }
        }
        codes
    }

    /// All labels so far; code `n` is the label at `n - 1`.
    pub(crate) fn labels(&self) -> Vec<Box<str>> {
        self.ready();
        self.inner.read().unwrap_or_else(PoisonError::into_inner).labels.clone()
    }

    fn has_grown(&self) -> bool {
        let labels = self.inner.read().unwrap_or_else(PoisonError::into_inner).labels.len();
        labels > self.seed.count().unwrap_or(0)
    }

    /// For every code of this interner (and 0), the code of the same text in another one.
    pub(crate) fn translation(&self, to: &Self) -> Vec<u32> {
        let labels = self.labels();
        std::iter::once(0).chain(labels.iter().map(|label| to.intern(label))).collect()
    }
}

impl Inner {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(code) = self.codes.get(text) {
            return *code;
        }
        self.labels.push(text.into());
        #[expect(clippy::cast_possible_truncation, reason = "a lake never holds four billion distinct labels")]
        let code = self.labels.len() as u32;
        self.codes.insert(text.into(), code);
        code
    }
}

/// A string array, whatever its declared type.
pub(crate) fn strings(array: &dyn Array) -> Result<&StringArray, QueryError> {
    array
        .as_string_opt::<i32>()
        .ok_or_else(|| QueryError::engine("facts", format!("expected text, found {}", array.data_type())))
}

/// Keys of one referenced table: an identifier counts only together with its source system.
///
/// Codes are shared over all sources; the label of a code is the bare identifier. Keys are found
/// by a hash of 128 bits alone ([`row_key`]): to compare the texts as well would cost a visit to a
/// far place in memory for every row.
#[derive(Debug, Default)]
pub(crate) struct KeyInterner {
    inner: RwLock<KeyInner>,
    seed: Seed,
}

#[derive(Debug, Default)]
struct KeyInner {
    codes: HashMap<u128, u32, AsHashed>,
    labels: Vec<Box<str>>,
    sources: Vec<u32>,
}

/// Identifies a row of a table by source and identifier. 128 bits: among a billion rows, two share a key once in 10^20 lakes.
pub(crate) fn row_key(source: u32, identifier: &str) -> u128 {
    xxh3_128(identifier.as_bytes()) ^ (u128::from(source) << 96)
}

/// The name of a row in the column [`super::ROW_KEY`]: half of its key, the half that the source is part of.
pub(crate) fn short_key(source: u32, identifier: &str) -> i64 {
    let half = (row_key(source, identifier) >> 64) as u64;
    half.cast_signed()
}

/// Hashes nothing: what is looked up is a hash already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AsHashed;

impl BuildHasher for AsHashed {
    type Hasher = HashedAlready;

    fn build_hasher(&self) -> HashedAlready {
        HashedAlready(0)
    }
}

pub(crate) struct HashedAlready(u64);

impl Hasher for HashedAlready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

impl KeyInterner {
    fn ready(&self) {
        self.seed.ready(|keys| {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            inner.codes.reserve(keys.len());
            keys.into_iter().for_each(|(label, source)| {
                inner.intern(row_key(source, &label), source, label);
            });
        });
    }

    /// Codes of identifiers, each with the code of its source system.
    pub(crate) fn encode(&self, identifiers: &StringArray, sources: &[u32]) -> Vec<u32> {
        let hashes: Vec<u128> = identifiers
            .iter()
            .zip(sources)
            .map(|(text, source)| text.map_or(0, |text| row_key(*source, text)))
            .collect();
        if let Some(codes) = self.seeded_codes(identifiers, &hashes) {
            return codes;
        }
        self.ready();
        let mut codes = vec![0; identifiers.len()];
        let mut missing = Vec::new();
        {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            for (row, (code, hash)) in codes.iter_mut().zip(&hashes).enumerate() {
                if identifiers.is_valid(row) {
                    match inner.codes.get(hash) {
                        Some(known) => *code = *known,
                        None => missing.push(row),
                    }
                }
            }
        }
        if !missing.is_empty() {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            for row in missing {
                codes[row] = inner.intern(hashes[row], sources[row], identifiers.value(row));
            }
        }
        codes
    }

    /// Codes of keys that are all in the file of an older table, found without taking in the rest of it.
    fn seeded_codes(&self, identifiers: &StringArray, hashes: &[u128]) -> Option<Vec<u32>> {
        let file = self.seed.file.as_ref().filter(|_| self.seed.read.get().is_none())?;
        let mut codes: HashMap<u128, u32, AsHashed> = HashMap::default();
        codes.extend((0..identifiers.len()).filter(|row| identifiers.is_valid(*row)).map(|row| (hashes[row], 0)));
        let (mut next, mut left) = (0, codes.len());
        read_file(file, &["label", "source"], &mut |batch| {
            let labels = strings(batch.column(0))?;
            let sources = batch.column(1).as_primitive::<UInt32Type>();
            for row in 0..batch.num_rows() {
                next += 1;
                if let Some(code) = codes.get_mut(&row_key(sources.value(row), labels.value(row))) {
                    left -= usize::from(*code == 0);
                    *code = next;
                }
            }
            Ok(())
        })
        .ok()?;
        let code = |row: usize| if identifiers.is_valid(row) { codes[&hashes[row]] } else { 0 };
        (left == 0).then(|| (0..identifiers.len()).map(code).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.ready();
        self.inner.read().unwrap_or_else(PoisonError::into_inner).labels.len()
    }

    pub(crate) fn labels(&self) -> Vec<Box<str>> {
        self.ready();
        self.inner.read().unwrap_or_else(PoisonError::into_inner).labels.clone()
    }

    /// Code of the source system of every key.
    pub(crate) fn sources(&self) -> Vec<u32> {
        self.ready();
        self.inner.read().unwrap_or_else(PoisonError::into_inner).sources.clone()
    }

    fn has_grown(&self) -> bool {
        let keys = self.inner.read().unwrap_or_else(PoisonError::into_inner).labels.len();
        keys > self.seed.count().unwrap_or(0)
    }

    /// Identifier and source code of every key after the first `known` ones.
    pub(crate) fn after(&self, known: usize) -> Vec<(Box<str>, u32)> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.labels.iter().cloned().zip(inner.sources.iter().copied()).skip(known).collect()
    }
}

impl KeyInner {
    fn intern(&mut self, hash: u128, source: u32, label: impl Into<Box<str>>) -> u32 {
        if let Some(code) = self.codes.get(&hash) {
            return *code;
        }
        self.labels.push(label.into());
        self.sources.push(source);
        #[expect(clippy::cast_possible_truncation, reason = "a lake never holds four billion distinct keys")]
        let code = self.labels.len() as u32;
        self.codes.insert(hash, code);
        code
    }
}

/// All interners of one build, by domain.
#[derive(Debug, Default)]
pub(crate) struct Interners {
    labels: Mutex<BTreeMap<String, Arc<Interner>>>,
    keys: Mutex<BTreeMap<String, Arc<KeyInterner>>>,
    /// Where the dictionaries of an older table may lie.
    places: Vec<PathBuf>,
}

impl Interners {
    /// Dictionaries that begin with the labels found in `places`.
    pub(crate) fn of(places: Vec<PathBuf>) -> Self {
        Self { places, ..Self::default() }
    }

    fn seed(&self, domain: &str) -> Seed {
        // Where it is missing, the place where it should be fails to be read.
        let should_be = || self.places.first().map(|place| place.join(store::dictionary_file(domain)));
        Seed::of(store::dictionary(&self.places, domain).ok().or_else(should_be))
    }

    /// Whether a dictionary has labels that the older table's has not.
    pub(crate) fn has_grown(&self, domain: &str) -> bool {
        match domain.strip_prefix(KEY_PREFIX) {
            Some(table) => self.keys(table).has_grown(),
            None => self.domain(domain).has_grown(),
        }
    }

    /// Whether the labels of an older table could not be read, so that codes given since mean nothing.
    pub(crate) fn failed(&self) -> bool {
        let labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        labels.values().any(|interner| interner.seed.failed()) || keys.values().any(|interner| interner.seed.failed())
    }

    pub(crate) fn domain(&self, domain: &str) -> Arc<Interner> {
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Interner { seed: self.seed(domain), ..Interner::default() });
        Arc::clone(labels.entry(domain.to_owned()).or_insert_with(new))
    }

    /// The keys of a referenced table.
    pub(crate) fn keys(&self, table: &str) -> Arc<KeyInterner> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = || self.seed(&format!("{KEY_PREFIX}{table}"));
        let new = || Arc::new(KeyInterner { seed: seed(), ..KeyInterner::default() });
        Arc::clone(keys.entry(table.to_owned()).or_insert_with(new))
    }

    /// Labels of a domain as they stand, key domains included.
    pub(crate) fn labels(&self, domain: &str) -> Vec<Box<str>> {
        match domain.strip_prefix(KEY_PREFIX) {
            Some(table) => self.keys(table).labels(),
            None => self.domain(domain).labels(),
        }
    }
}

/// Domains of references are named after the table they point to.
pub(crate) const KEY_PREFIX: &str = "key-of-";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_same_identifier_of_two_sources_is_two_keys() {
        let keys = KeyInterner::default();
        let identifiers = StringArray::from(vec![Some("1"), Some("1"), None, Some("1")]);
        assert_eq!(keys.encode(&identifiers, &[1, 2, 1, 1]), vec![1, 2, 0, 1]);
        assert_eq!(keys.labels().len(), 2);
    }

    #[test]
    fn dictionaries_and_plain_text_share_codes() {
        let interner = Interner::default();
        let plain = StringArray::from(vec![Some("b"), None, Some("a")]);
        assert_eq!(interner.encode(&plain).unwrap(), vec![1, 0, 2]);
        let dictionary: DictionaryArray<Int32Type> = vec![Some("a"), Some("c"), None, Some("b")].into_iter().collect();
        assert_eq!(interner.encode(&dictionary).unwrap(), vec![2, 3, 0, 1]);
    }
}
