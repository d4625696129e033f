//! What is at rest, held against the lake.
//!
//! Fact tables are carried over from night to night, layer upon layer. Here they are made once
//! more from all rows, in a folder of their own, and compared: not row by row, for rows have no
//! order, but by sums of hashes, which are the same exactly if the rows are. Codes mean different
//! things in two tables, so labels are hashed and not codes. Nothing is mended here: a table that
//! differs would be a fault of this program, and its folder can be removed at any time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, UInt32Type};
use dealframe_lake::Lake;
use dealframe_model::table::TABLES;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::encode::read_file;
use super::{Fact, FactKind, derived, store};
use crate::error::QueryError;
use crate::plan::Facts;

/// A fact table at rest, compared with one made from all rows.
#[derive(Debug, Clone)]
pub struct Verified {
    pub table: String,
    pub rows: u64,
    pub rows_anew: u64,
    /// Rows in the layers of a table that was carried over.
    pub layered: u64,
    /// Aggregates that are kept beside the table, made anew as well.
    pub aggregates: usize,
    /// Columns whose values differ; all of them together if only their combinations do. Then aggregates that differ.
    pub differing: Vec<String>,
}

impl Verified {
    pub fn is_equal(&self) -> bool {
        self.rows == self.rows_anew && self.differing.is_empty()
    }
}

/// What is left of the rows of a table when their order is forgotten.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Digest {
    rows: i128,
    whole: u64,
    columns: BTreeMap<String, u64>,
}

impl Digest {
    fn add(&mut self, other: &Self, sign: i8) {
        let signed = |hash: u64| if sign < 0 { hash.wrapping_neg() } else { hash };
        self.rows += other.rows * i128::from(sign);
        self.whole = self.whole.wrapping_add(signed(other.whole));
        for (name, hash) in &other.columns {
            let known = self.columns.entry(name.clone()).or_default();
            *known = known.wrapping_add(signed(*hash));
        }
    }
}

/// Compares the fact tables at rest for the state of `facts` with those made anew.
pub(crate) fn all(facts: &Facts) -> Result<Vec<Verified>, QueryError> {
    let folder = store::scratch(&facts.lake, ".anew-")?;
    let anew = Facts::new(facts.lake.deriving_into(folder.path()), facts.anchor, u64::MAX);
    let mut found = Vec::new();
    for name in at_rest(&facts.lake) {
        let (kept, made) = (facts.table(&name)?, anew.table(&name)?);
        let (known, expected) = (digest(&kept)?, digest(&made)?);
        let mut differing: Vec<String> = (expected.columns.iter())
            .filter(|(name, hash)| known.columns.get(*name) != Some(hash))
            .map(|(name, _)| name.clone())
            .collect();
        if differing.is_empty() && known.whole != expected.whole {
            differing = expected.columns.keys().cloned().collect();
        }
        let (aggregates, differing_aggregates) = crate::aggregates::verify(&kept)?;
        differing.extend(differing_aggregates);
        let layered = kept.layers.as_ref().map_or(0, |layers| layers.removed.rows + layers.added.rows);
        found.push(Verified { table: name, rows: kept.rows, rows_anew: made.rows, layered, aggregates, differing });
    }
    Ok(found)
}

/// Names of the tables that have something at rest, in whatever state.
fn at_rest(lake: &Lake) -> Vec<String> {
    let tables = TABLES.iter().map(|table| table.name).chain(derived::DERIVED);
    tables.filter(|name| store::has(lake, name)).map(str::to_owned).collect()
}

/// The digest of a table: of its parts, less those that were removed, plus those that were added.
fn digest(fact: &Fact) -> Result<Digest, QueryError> {
    let mut all = digest_of(fact, &fact.parts)?;
    if let Some(layers) = &fact.layers {
        for (layer, sign) in layers.signed() {
            all.add(&digest_of(fact, &layer.parts)?, sign);
        }
    }
    Ok(all)
}

fn digest_of(fact: &Fact, parts: &[PathBuf]) -> Result<Digest, QueryError> {
    let names: Vec<&str> = fact.columns.iter().map(|column| column.name.as_str()).collect();
    // The hash of every label, so that a code costs a look-up.
    let mut labels: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for column in &fact.columns {
        if let FactKind::Code { domain } = &column.kind {
            let hashes = fact.labels(domain)?.iter().map(|label| xxh3_64(label.as_bytes()) | 1).collect();
            labels.insert(column.name.as_str(), hashes);
        }
    }
    let of_part = |path: &PathBuf| -> Result<Digest, QueryError> {
        let mut digest = Digest::default();
        read_file(path, &names, &mut |batch| take(&mut digest, batch, &names, &labels))?;
        Ok(digest)
    };
    let digests: Vec<Digest> = parts.par_iter().map(of_part).collect::<Result<_, _>>()?;
    let mut all = Digest { columns: names.iter().map(|name| ((*name).to_owned(), 0)).collect(), ..Digest::default() };
    digests.iter().for_each(|digest| all.add(digest, 1));
    Ok(all)
}

fn take(
    digest: &mut Digest,
    batch: &RecordBatch,
    names: &[&str],
    labels: &BTreeMap<&str, Vec<u64>>,
) -> Result<(), QueryError> {
    let mut rows = vec![0_u64; batch.num_rows()];
    for name in names {
        let values = hashes(super::encode::column(batch, name)?, labels.get(name).map(Vec::as_slice))?;
        let seed = xxh3_64(name.as_bytes());
        let mut sum = 0_u64;
        for (row, value) in rows.iter_mut().zip(values) {
            let value = mixed(value ^ seed);
            sum = sum.wrapping_add(value);
            *row = mixed(row.wrapping_add(value));
        }
        let known = digest.columns.entry((*name).to_owned()).or_default();
        *known = known.wrapping_add(sum);
    }
    digest.rows += rows.len() as i128;
    digest.whole = rows.iter().fold(digest.whole, |sum, row| sum.wrapping_add(*row));
    Ok(())
}

/// A number for every value; 0 is null.
fn hashes(array: &dyn Array, labels: Option<&[u64]>) -> Result<Vec<u64>, QueryError> {
    let number = |value: Option<i64>| value.map_or(0, |value| mixed(value.cast_unsigned()) | 1);
    Ok(match (array.data_type(), labels) {
        (DataType::UInt32, Some(labels)) => array
            .as_primitive::<UInt32Type>()
            .values()
            .iter()
            .map(|code| (*code as usize).checked_sub(1).and_then(|code| labels.get(code)).copied().unwrap_or(0))
            .collect(),
        (DataType::Int64, _) => array.as_primitive::<Int64Type>().iter().map(number).collect(),
        (DataType::Int32, _) => {
            array.as_primitive::<Int32Type>().iter().map(|value| number(value.map(i64::from))).collect()
        }
        (DataType::Date32, _) => {
            array.as_primitive::<Date32Type>().iter().map(|value| number(value.map(i64::from))).collect()
        }
        (DataType::Boolean, _) => array.as_boolean().iter().map(|value| number(value.map(i64::from))).collect(),
        (other, _) => return Err(QueryError::engine("facts", format!("{other} in a fact table"))),
    })
}

/// Spreads the bits of a number (the finaliser of SplitMix64).
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
