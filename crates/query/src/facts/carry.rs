//! Carrying a fact table over to a newer state of the lake.
//!
//! Where few rows changed since a fact table was made, it is not made again. Its parts stay, and
//! two layers are put beside them: the fact rows that do not count any more, taken from the parts
//! as they are there, and the rows that count instead. The lake keeps the changed rows beside its
//! data files; other rows change too, if what they say of their account's first deal is no longer
//! so. Whatever is not known for certain (a dimension changed, changes are missing, a row that
//! should be there is not) ends with `None`, and `build` reads everything.
//!
//! `node` and `pass` put the parts and the layers together, `store` keeps the files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{Date32Type, Int64Type, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use dealframe_lake::{Lake, WAS_LIVE};
use dealframe_model::table::Table;
use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use super::build::{ACCOUNTS, first_won_columns, is_won, lead_created};
use super::dictionary::{AsHashed, Interners, row_key, short_key, strings};
use super::encode::{self, Encoded, Encoder, Test, column, live_rows, read_file, read_rows};
use super::store::{self, ADDED, FactWriter, PartSummary, REMOVED, Stored};
use super::{Fact, FactKind, ROW_KEY};
use crate::error::QueryError;

/// Part of the rows that the layers may have; beyond it, reading everything pays again.
const MOST_CHANGED: u64 = 5;

/// Names of rows.
type Keys = HashSet<i64, AsHashed>;

/// Whether the rows of a table depend on no other row than what dimensions, first won deals and leads say.
pub(crate) fn is_possible(table: &Table) -> bool {
    !matches!(table.name, ACCOUNTS | "leads" | "line_items")
}

/// The fact table of `table`, made out of one of an older state; `None` where it must be made from all rows.
pub(crate) fn carried(
    lake: &Lake,
    table: &'static Table,
    depends_on: &[&'static str],
) -> Result<Option<Fact>, QueryError> {
    if !is_possible(table) {
        return Ok(None);
    }
    let files = store::files(lake, depends_on)?;
    for before in store::older(lake, table.name, "") {
        let known = &before.manifest.files;
        let is_same = |name: &String| known.get(name) == files.get(name);
        let Some(names) = known.get(table.name) else { continue };
        if !files.keys().filter(|name| *name != table.name).all(is_same) {
            continue;
        }
        let Some(changes) = lake.changes_since(table.name, names)? else { continue };
        // A table that is damaged or half removed is no reason to fail: everything can be read anew.
        if let Ok(Some(fact)) = carry(lake, table, depends_on, &before, &changes) {
            return Ok(Some(fact));
        }
    }
    Ok(None)
}

/// An older table, opened to be searched.
struct Older<'a> {
    before: &'a Stored,
    interners: Interners,
    schema: SchemaRef,
    parts: Vec<PathBuf>,
    removed: RecordBatch,
    added: RecordBatch,
    gone: Arc<Keys>,
}

/// Rows that were found, by where they lie.
struct Found {
    base: RecordBatch,
    added: RecordBatch,
}

/// The newest form of the rows that changed.
struct Changed {
    rows: RecordBatch,
    keys: Vec<i64>,
    was_live: Vec<bool>,
}

fn carry(
    lake: &Lake,
    table: &'static Table,
    depends_on: &[&'static str],
    before: &Stored,
    changes: &[PathBuf],
) -> Result<Option<Fact>, QueryError> {
    let Some(older) = Older::open(before)? else { return Ok(None) };
    let writer = FactWriter::create(lake, table.name, depends_on, "")?;
    if !writer.is_beside(before) {
        return Ok(None);
    }
    let base = before.base();
    let encoder = Encoder::with(table, &older.interners, &|name, _, _, _| store::read_lookup(&base, name))?;
    let Some(changed) = older.changed(table, &encoder, changes)? else { return Ok(None) };
    let touched: Arc<Keys> = Arc::new(changed.keys.iter().copied().collect());
    let test: RowTest = {
        let touched = Arc::clone(&touched);
        Arc::new(move |_, keys| Ok(keys.iter().map(|key| touched.contains(key)).collect()))
    };
    // Encoding needs the keys of all accounts, which takes as long to read as the rows take to find.
    let (old, encoded) = rayon::join(
        || older.rows(&[], test, None),
        || {
            let live = live_rows(&changed.rows)?;
            encoder.encode(&live).map(|encoded| (live, encoded))
        },
    );
    let (old, (live, mut new)) = (old?, encoded?);
    if older.interners.failed() || !changed.is_confirmed(&old)? {
        return Ok(None);
    }
    new.push(encode::row_keys(&live, table, &older.interners.domain("source_system"))?);
    let mut removed = vec![older.removed.clone(), old.base.clone()];
    let mut replaced = Arc::clone(&touched);
    let mut patched = Vec::new();
    if table.name == "deals" {
        let first = FirstWon::find(lake, &older, &live, &new, &old, &touched)?;
        new.extend(first.columns(
            &column_of(&new, "account_id")?,
            &is_won(&live, &older.interners)?,
            &column_of(&new, ROW_KEY)?,
        ));
        new.extend(lead_dates(lake, &older, &live, &column_of(&new, ROW_KEY)?, &old)?);
        let others = first.others(&older, &touched)?;
        patched = vec![first.patched(&others.base)?, first.patched(&others.added)?];
        replaced = Arc::new(touched.iter().copied().chain(keys(&others.added)?.iter().copied()).collect());
        removed.push(others.base);
    }
    let kept = filtered(&older.added, &|_, keys| Ok(keys.iter().map(|key| !replaced.contains(key)).collect()))?;
    let mut added = vec![kept, older.batch(&new)?];
    added.extend(patched);
    let removed = concatenated(&older.schema, &removed)?;
    let added = concatenated(&older.schema, &added)?;
    let rows = before.manifest.rows;
    if (removed.num_rows() + added.num_rows()) as u64 > rows / MOST_CHANGED || older.interners.failed() {
        return Ok(None);
    }
    let parts = [older.write(&writer, REMOVED, &removed)?, older.write(&writer, ADDED, &added)?];
    writer.publish_carried(before, parts, &older.interners).map(Some)
}

impl<'a> Older<'a> {
    fn open(before: &'a Stored) -> Result<Option<Self>, QueryError> {
        let parts = before.parts();
        let Some(first) = parts.first() else { return Ok(None) };
        let schema = encode::schema_of(first)?;
        let layer = |file: &str| -> Result<RecordBatch, QueryError> {
            let mut batches = Vec::new();
            if let Some(path) = before.layer(file) {
                batches = read_rows(&path, None)?;
            }
            concatenated(&schema, &batches)
        };
        let (removed, added) = (layer(REMOVED)?, layer(ADDED)?);
        let gone = Arc::new(keys(&removed)?.iter().copied().collect());
        Ok(Some(Self { before, interners: Interners::of(before.places()), schema, parts, removed, added, gone }))
    }

    /// The rows that count and satisfy a condition on their key and some `tested` columns.
    fn rows(&self, tested: &[&str], test: RowTest, columns: Option<&[&str]>) -> Result<Found, QueryError> {
        let mut read = tested.to_vec();
        read.push(ROW_KEY);
        let schema = match columns {
            Some(names) => Arc::new(project(&self.schema, names)?),
            None => Arc::clone(&self.schema),
        };
        let batches: Vec<RecordBatch> = self
            .parts
            .par_iter()
            .map(|part| {
                let (gone, test) = (Arc::clone(&self.gone), Arc::clone(&test));
                let test: Test = Box::new(move |batch: &RecordBatch| {
                    let keys = batch_keys(batch)?;
                    let mut wanted = test(batch, keys)?;
                    for (wanted, key) in wanted.iter_mut().zip(keys) {
                        *wanted = *wanted && !gone.contains(key);
                    }
                    Ok(BooleanArray::from(wanted))
                });
                encode::read_rows_where(part, &read, test, columns)
            })
            .collect::<Result<Vec<_>, QueryError>>()?
            .into_iter()
            .flatten()
            .collect();
        let added = filtered(&self.added, &*test)?;
        let added = match columns {
            Some(names) => select(&added, names)?,
            None => added,
        };
        Ok(Found { base: concatenated(&schema, &batches)?, added })
    }

    /// Reads the changed rows; of several changes to a row the last one counts.
    fn changed(
        &self,
        table: &'static Table,
        encoder: &Encoder<'_>,
        files: &[PathBuf],
    ) -> Result<Option<Changed>, QueryError> {
        let mut columns = encoder.projection();
        columns.push(WAS_LIVE);
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut rows = 0;
        for file in files {
            read_file(file, &columns, &mut |batch| {
                rows += batch.num_rows() as u64;
                batches.push(batch.clone());
                Ok(())
            })?;
            if rows > self.before.manifest.rows / MOST_CHANGED {
                return Ok(None);
            }
        }
        let schema = match batches.first() {
            Some(first) => first.schema(),
            None => {
                let empty = RecordBatch::new_empty(dealframe_lake::schema::arrow_schema(table));
                return Ok(Some(Changed { rows: empty, keys: Vec::new(), was_live: Vec::new() }));
            }
        };
        let all = concatenated(&schema, &batches)?;
        let sources = self.interners.domain("source_system").encode(column(&all, "source_system")?)?;
        let identifiers = strings(column(&all, table.key)?)?;
        let was_live = column(&all, WAS_LIVE)?.as_boolean();
        // The state before the first change, and the row after the last one.
        let mut newest: HashMap<i64, (bool, usize), AsHashed> = HashMap::default();
        for row in 0..all.num_rows() {
            let key = short_key(sources[row], identifiers.value(row));
            newest.entry(key).and_modify(|(_, last)| *last = row).or_insert((was_live.value(row), row));
        }
        let mut order: Vec<(usize, i64, bool)> =
            newest.into_iter().map(|(key, (was_live, row))| (row, key, was_live)).collect();
        order.sort_unstable();
        let taken = order.iter().map(|(row, ..)| u32::try_from(*row).unwrap_or(u32::MAX)).collect::<Vec<_>>();
        let rows = take_record_batch(&all, &UInt32Array::from(taken)).map_err(failed)?;
        let (keys, was_live) = order.into_iter().map(|(_, key, was_live)| (key, was_live)).unzip();
        Ok(Some(Changed { rows, keys, was_live }))
    }

    /// Encoded columns in the order of the table.
    fn batch(&self, encoded: &[Encoded]) -> Result<RecordBatch, QueryError> {
        let columns =
            self.schema.fields().iter().map(|field| column_of(encoded, field.name())).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(failed)
    }

    fn write(&self, writer: &FactWriter, file: &str, rows: &RecordBatch) -> Result<PartSummary, QueryError> {
        let known = &self.before.manifest.columns;
        let schema = rows.schema();
        let encoded = schema.fields().iter().zip(rows.columns()).map(|(field, array)| Encoded {
            name: field.name().clone(),
            kind: (known.iter().find(|column| column.name == *field.name()))
                .map_or(FactKind::Number { scale: 0 }, |column| column.kind.clone()),
            array: Arc::clone(array),
        });
        let mut part = writer.named(file);
        part.write(encoded.collect())?;
        part.close()
    }
}

impl Changed {
    /// Whether every row was found that must be there, and no other one.
    fn is_confirmed(&self, old: &Found) -> Result<bool, QueryError> {
        let mut found: HashMap<i64, u32, AsHashed> = HashMap::default();
        for batch in [&old.base, &old.added] {
            keys(batch)?.iter().for_each(|key| *found.entry(*key).or_insert(0) += 1);
        }
        Ok(self
            .keys
            .iter()
            .zip(&self.was_live)
            .all(|(key, was_live)| found.get(key).copied().unwrap_or(0) == u32::from(*was_live)))
    }
}

/// The first won deals of the accounts whose deals changed.
struct FirstWon {
    /// Date and key, by account, of those that have one.
    now: HashMap<u32, (i32, i64)>,
    /// By code of the account, whether it has another one than before.
    has_changed: Arc<Vec<bool>>,
    won: u32,
}

/// A won deal of an account.
struct Candidate {
    date: i32,
    key: i64,
    /// Was the first one of those that did not change.
    was_first: bool,
    /// The identifier, where it is known.
    id: Option<Box<str>>,
}

impl FirstWon {
    fn find(
        lake: &Lake,
        older: &Older<'_>,
        live: &RecordBatch,
        new: &[Encoded],
        old: &Found,
        touched: &Arc<Keys>,
    ) -> Result<Self, QueryError> {
        let won = older.interners.domain("status").intern("won");
        let new_accounts = column_of(new, "account_id")?;
        let new_accounts = new_accounts.as_primitive::<UInt32Type>().values();
        let mut concerned = vec![false; older.interners.keys(ACCOUNTS).len() + 1];
        let mut mark = |account: u32| match concerned.get_mut(account as usize) {
            Some(mark) if account != 0 => *mark = true,
            _ => {}
        };
        let mut before: HashMap<u32, (i32, i64)> = HashMap::new();
        for batch in [&old.base, &old.added] {
            let accounts = column(batch, "account_id")?.as_primitive::<UInt32Type>().values();
            accounts.iter().for_each(|account| mark(*account));
            note_first(batch, &mut before)?;
        }
        new_accounts.iter().for_each(|account| mark(*account));
        let concerned = Arc::new(concerned);
        let unchanged = {
            let (concerned, touched) = (Arc::clone(&concerned), Arc::clone(touched));
            let test: RowTest = Arc::new(move |batch, keys| {
                let (status, accounts) = (codes(batch, "status")?, codes(batch, "account_id")?);
                let is_wanted = |((status, account), key): ((&u32, &u32), &i64)| {
                    *status == won && concerned.get(*account as usize) == Some(&true) && !touched.contains(key)
                };
                Ok(status.iter().zip(accounts).zip(keys).map(is_wanted).collect())
            });
            let columns = [ROW_KEY, "account_id", "close_date", "is_first_won"];
            older.rows(&["status", "account_id"], test, Some(&columns))?
        };
        let mut candidates: HashMap<u32, Vec<Candidate>> = HashMap::new();
        for batch in [&unchanged.base, &unchanged.added] {
            note_first(batch, &mut before)?;
            let accounts = column(batch, "account_id")?.as_primitive::<UInt32Type>().values();
            let dates = column(batch, "close_date")?.as_primitive::<Date32Type>();
            let first = column(batch, "is_first_won")?.as_boolean();
            for (row, key) in keys(batch)?.iter().enumerate().filter(|(row, _)| dates.is_valid(*row)) {
                let candidate = Candidate { date: dates.value(row), key: *key, was_first: first.value(row), id: None };
                candidates.entry(accounts[row]).or_default().push(candidate);
            }
        }
        let dates = column(live, "close_date")?.as_primitive::<Date32Type>();
        let ids = strings(column(live, "deal_id")?)?;
        let new_keys = column_of(new, ROW_KEY)?;
        let new_keys = new_keys.as_primitive::<Int64Type>().values();
        for (row, is_won) in is_won(live, &older.interners)?.into_iter().enumerate() {
            if is_won && new_accounts[row] != 0 && dates.is_valid(row) {
                let id = Some(ids.value(row).into());
                let candidate = Candidate { date: dates.value(row), key: new_keys[row], was_first: false, id };
                candidates.entry(new_accounts[row]).or_default().push(candidate);
            }
        }
        candidates.values_mut().for_each(keep_earliest);
        name_rivals(lake, older, &mut candidates)?;
        let mut now = HashMap::new();
        for (account, mut rivals) in candidates {
            rivals.sort_by(|left, right| left.id.cmp(&right.id));
            now.extend(rivals.first().map(|first| (account, (first.date, first.key))));
        }
        let has_changed = (0_u32..).zip(concerned.iter());
        let has_changed = has_changed.map(|(account, is_it)| *is_it && now.get(&account) != before.get(&account));
        Ok(Self { has_changed: Arc::new(has_changed.collect()), now, won })
    }

    /// The columns of deals that speak of the first won deal.
    fn columns(&self, accounts: &ArrayRef, won: &[bool], keys: &ArrayRef) -> Vec<Encoded> {
        let accounts = accounts.as_primitive::<UInt32Type>().values();
        let keys = keys.as_primitive::<Int64Type>().values();
        first_won_columns(won, |row| self.now.get(&accounts[row]).map(|(date, key)| (*date, *key == keys[row])))
    }

    /// Deals that did not change, but whose account has another first won deal.
    fn others(&self, older: &Older<'_>, touched: &Arc<Keys>) -> Result<Found, QueryError> {
        let (has_changed, touched) = (Arc::clone(&self.has_changed), Arc::clone(touched));
        let test: RowTest = Arc::new(move |batch, keys| {
            let is_wanted = |(account, key): (&u32, &i64)| {
                has_changed.get(*account as usize) == Some(&true) && !touched.contains(key)
            };
            Ok(codes(batch, "account_id")?.iter().zip(keys).map(is_wanted).collect())
        });
        older.rows(&["account_id"], test, None)
    }

    /// The same deals with what is so now.
    fn patched(&self, rows: &RecordBatch) -> Result<RecordBatch, QueryError> {
        let status = column(rows, "status")?.as_primitive::<UInt32Type>().values();
        let won: Vec<bool> = status.iter().map(|code| *code == self.won).collect();
        let columns = self.columns(column(rows, "account_id")?, &won, column(rows, ROW_KEY)?);
        let schema = rows.schema();
        let arrays = schema.fields().iter().zip(rows.columns()).map(|(field, array)| {
            let new = columns.iter().find(|column| column.name == *field.name());
            Arc::clone(new.map_or(array, |column| &column.array))
        });
        RecordBatch::try_new(Arc::clone(&schema), arrays.collect()).map_err(failed)
    }
}

/// Notes the first won deals among some rows, by account.
fn note_first(rows: &RecordBatch, first: &mut HashMap<u32, (i32, i64)>) -> Result<(), QueryError> {
    let accounts = column(rows, "account_id")?.as_primitive::<UInt32Type>().values();
    let dates = column(rows, "close_date")?.as_primitive::<Date32Type>();
    let is_first = column(rows, "is_first_won")?.as_boolean();
    for (row, key) in keys(rows)?.iter().enumerate() {
        if is_first.value(row) {
            first.insert(accounts[row], (dates.value(row), *key));
        }
    }
    Ok(())
}

/// Keeps the deals of the earliest day; of those that did not change only the one that was first before, if it is there.
fn keep_earliest(candidates: &mut Vec<Candidate>) {
    let Some(date) = candidates.iter().map(|candidate| candidate.date).min() else { return };
    candidates.retain(|candidate| candidate.date == date);
    if candidates.iter().any(|candidate| candidate.was_first) {
        candidates.retain(|candidate| candidate.was_first || candidate.id.is_some());
    }
}

/// Reads the identifiers of deals that share the earliest day with others of their account: the smallest is the first.
fn name_rivals(
    lake: &Lake,
    older: &Older<'_>,
    candidates: &mut HashMap<u32, Vec<Candidate>>,
) -> Result<(), QueryError> {
    let rivals = || candidates.values().filter(|rivals| rivals.len() > 1).flatten();
    let nameless: Keys = rivals().filter(|candidate| candidate.id.is_none()).map(|candidate| candidate.key).collect();
    if nameless.is_empty() {
        return Ok(());
    }
    let days: Arc<HashSet<i32>> = Arc::new(rivals().map(|candidate| candidate.date).collect());
    let sources = older.interners.domain("source_system");
    let read = |path: &Path| -> Result<Vec<(i64, Box<str>)>, QueryError> {
        let days = Arc::clone(&days);
        let test: Test = Box::new(move |batch: &RecordBatch| {
            let dates = batch.column(0).as_primitive::<Date32Type>();
            Ok(dates.iter().map(|day| Some(day.is_some_and(|day| days.contains(&day)))).collect())
        });
        let mut named = Vec::new();
        for batch in encode::read_rows_where(path, &["close_date"], test, Some(&["deal_id", "source_system"]))? {
            let sources = sources.encode(column(&batch, "source_system")?)?;
            let ids = strings(column(&batch, "deal_id")?)?;
            for (row, source) in sources.iter().enumerate() {
                let key = short_key(*source, ids.value(row));
                if nameless.contains(&key) {
                    named.push((key, ids.value(row).into()));
                }
            }
        }
        Ok(named)
    };
    let files = lake.files("deals")?;
    let named: Vec<Vec<(i64, Box<str>)>> =
        files.par_iter().map(|file| read(&file.path)).collect::<Result<_, QueryError>>()?;
    let names: HashMap<i64, Box<str>, AsHashed> = named.into_iter().flatten().collect();
    for candidate in candidates.values_mut().filter(|rivals| rivals.len() > 1).flatten() {
        if candidate.id.is_none() {
            let Some(id) = names.get(&candidate.key) else {
                return Err(QueryError::engine("facts", "a deal of the fact table is not in the lake"));
            };
            candidate.id = Some(id.clone());
        }
    }
    Ok(())
}

/// When the leads of deals arrived: as it was known before, or for deals that were not there from the leads.
fn lead_dates(
    lake: &Lake,
    older: &Older<'_>,
    live: &RecordBatch,
    new_keys: &ArrayRef,
    old: &Found,
) -> Result<[Encoded; 2], QueryError> {
    let mut known: HashMap<i64, Option<i32>, AsHashed> = HashMap::default();
    for batch in [&old.base, &old.added] {
        let dates = column(batch, "lead_created_date")?.as_primitive::<Date32Type>();
        known.extend(keys(batch)?.iter().copied().zip(dates.iter()));
    }
    let new_keys = new_keys.as_primitive::<Int64Type>().values();
    let is_known = new_keys.iter().all(|key| known.contains_key(key));
    let leads = if is_known { HashMap::default() } else { lead_created(lake, &older.interners)? };
    let sources = older.interners.domain("source_system").encode(column(live, "source_system")?)?;
    let ids = strings(column(live, "deal_id")?)?;
    let date = |(row, key): (usize, &i64)| match known.get(key) {
        Some(date) => *date,
        None => leads.get(&row_key(sources[row], ids.value(row))).copied(),
    };
    let dates: Date32Array = new_keys.iter().enumerate().map(date).collect();
    Ok(encode::dates("lead_created_date", &dates))
}

/// A condition on rows and their keys.
type RowTest = Arc<dyn Fn(&RecordBatch, &[i64]) -> Result<Vec<bool>, ArrowError> + Send + Sync>;

fn codes<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b [u32], ArrowError> {
    batch
        .column_by_name(name)
        .and_then(|array| array.as_primitive_opt::<UInt32Type>())
        .map(|array| array.values().as_ref())
        .ok_or_else(|| ArrowError::SchemaError(format!("column `{name}` has no codes")))
}

fn batch_keys(batch: &RecordBatch) -> Result<&[i64], ArrowError> {
    batch
        .column_by_name(ROW_KEY)
        .and_then(|array| array.as_primitive_opt::<Int64Type>())
        .map(|array| array.values().as_ref())
        .ok_or_else(|| ArrowError::SchemaError(format!("column `{ROW_KEY}` is missing")))
}

fn keys(batch: &RecordBatch) -> Result<&[i64], QueryError> {
    batch_keys(batch).map_err(failed)
}

fn filtered(
    batch: &RecordBatch,
    test: &dyn Fn(&RecordBatch, &[i64]) -> Result<Vec<bool>, ArrowError>,
) -> Result<RecordBatch, QueryError> {
    let kept = test(batch, keys(batch)?).map_err(failed)?;
    filter_record_batch(batch, &BooleanArray::from(kept)).map_err(failed)
}

fn concatenated(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, QueryError> {
    let columns = |batch: &RecordBatch| RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec());
    let batches = batches.iter().map(columns).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    concat_batches(schema, &batches).map_err(failed)
}

fn project(schema: &SchemaRef, names: &[&str]) -> Result<arrow::datatypes::Schema, QueryError> {
    let mut positions: Vec<usize> =
        names.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>().map_err(failed)?;
    // Columns come in the order of the file, whatever the order in which they are asked for.
    positions.sort_unstable();
    schema.project(&positions).map_err(failed)
}

fn select(batch: &RecordBatch, names: &[&str]) -> Result<RecordBatch, QueryError> {
    let schema = batch.schema();
    let mut positions: Vec<usize> =
        names.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>().map_err(failed)?;
    positions.sort_unstable();
    batch.project(&positions).map_err(failed)
}

fn column_of(encoded: &[Encoded], name: &str) -> Result<ArrayRef, QueryError> {
    encoded
        .iter()
        .find(|column| column.name == name)
        .map(|column| Arc::clone(&column.array))
        .ok_or_else(|| QueryError::engine("facts", format!("column `{name}` is missing")))
}

fn failed(error: ArrowError) -> QueryError {
    QueryError::engine("facts", error)
}
