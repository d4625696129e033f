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

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{Date32Type, Int64Type, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use dealframe_lake::{Lake, WAS_LIVE};
use dealframe_model::table::Table;
use hashbrown::{HashMap, HashSet};
use polars::prelude::{DataFrame, DataType, NamedFrom, PolarsResult, Series, col, lit};
use rayon::prelude::*;

use super::build::{ACCOUNTS, first_won_columns, is_won, lead_created};
use super::dictionary::{AsHashed, Interners, row_key, short_key, strings};
use super::encode::{self, Encoded, Encoder, Test, Wanted, column, live_rows, read_file};
use super::store::{self, ADDED, FactWriter, PartSummary, REMOVED, Stored};
use super::{Fact, FactKind, ROW_KEY};
use crate::error::QueryError;
use crate::node::{collect, scan};

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
    gone: Keys,
}

/// What is known of the rows of a table after one look at all of them.
struct Survey {
    parts: Vec<Rows>,
    added: Rows,
}

/// The rows of one part.
#[derive(Default)]
struct Rows {
    /// Code of the account, of deals only.
    accounts: Vec<u32>,
    marks: Vec<u8>,
}

/// The row was replaced on an earlier night.
const GONE: u8 = 1;
/// The row changed.
const TOUCHED: u8 = 2;
const WON: u8 = 4;
/// The first won deal of its account.
const FIRST: u8 = 8;

/// A condition on the account and the marks of a row.
type RowTest<'t> = &'t (dyn Fn(u32, u8) -> bool + Sync);

impl Rows {
    fn is(&self, row: usize, wanted: RowTest<'_>) -> bool {
        self.marks[row] & GONE == 0 && wanted(self.accounts.get(row).copied().unwrap_or(0), self.marks[row])
    }

    /// The wanted rows of the batch that was looked at.
    fn filtered(&self, batch: &RecordBatch, wanted: RowTest<'_>) -> Result<RecordBatch, QueryError> {
        filtered(batch, (0..self.marks.len()).map(|row| self.is(row, wanted)).collect())
    }

    /// Where the wanted rows lie.
    fn ranges(&self, wanted: RowTest<'_>) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for row in (0..self.marks.len()).filter(|row| self.is(*row, wanted)) {
            match ranges.last_mut() {
                Some(last) if last.end == row => last.end += 1,
                _ => ranges.push(row..row + 1),
            }
        }
        ranges
    }
}

impl Survey {
    fn all(&self) -> impl Iterator<Item = &Rows> {
        self.parts.iter().chain([&self.added])
    }
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
    let lookups = RefCell::new(store::read_lookups(&before.base())?);
    let encoder = Encoder::with(table, &older.interners, &|name, _, _, _| {
        let codes = lookups.borrow_mut().remove(name);
        codes.ok_or_else(|| QueryError::engine("facts", format!("the look-up `{name}` is missing")))
    })?;
    let Some(changed) = older.changed(table, &encoder, changes)? else { return Ok(None) };
    let touched: Keys = changed.keys.iter().copied().collect();
    // Encoding needs the keys of all accounts, which takes as long to read as the rows take to find.
    let of_deals = table.name == "deals";
    let (survey, encoded) = rayon::join(
        || older.survey(&touched, of_deals),
        || {
            let live = live_rows(&changed.rows)?;
            encoder.encode(&live).map(|encoded| (live, encoded))
        },
    );
    let (survey, (live, mut new)) = (survey?, encoded?);
    if older.interners.failed() {
        return Ok(None);
    }
    new.push(encode::row_keys(&live, table, &older.interners.domain("source_system"))?);
    let first = if of_deals { Some(FirstWon::find(lake, &older, &live, &new, &survey, &touched)?) } else { None };
    let has_changed = |account: u32| first.as_ref().is_some_and(|first| first.has_changed(account));
    let is_replaced = |account: u32, marks: u8| marks & TOUCHED > 0 || has_changed(account);
    let mut replaced = touched.clone();
    if first.is_some() {
        let others = older.take(&survey, &|account, marks| marks & TOUCHED == 0 && has_changed(account), &[ROW_KEY])?;
        replaced.extend(keys_of(&others.base)?);
    }
    let found = Found { base: older.whole(&replaced)?, added: survey.added.filtered(&older.added, &is_replaced)? };
    if !changed.is_confirmed(&found)? {
        return Ok(None);
    }
    let mut added = vec![survey.added.filtered(&older.added, &|account, marks| !is_replaced(account, marks))?];
    if let Some(first) = &first {
        let keys = column_of(&new, ROW_KEY)?;
        new.extend(first.columns(&column_of(&new, "account_id")?, &is_won(&live, &older.interners)?, &keys));
        new.extend(lead_dates(lake, &older, &live, &keys, &found)?);
        for batch in [&found.base, &found.added] {
            let is_other = keys_of(batch)?.iter().map(|key| !touched.contains(key)).collect();
            added.push(first.patched(&filtered(batch, is_other)?)?);
        }
    }
    added.push(older.batch(&new)?);
    let removed = vec![older.removed.clone(), found.base];
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
                batches = encode::read_rows(&path, Wanted::All, None)?;
            }
            concatenated(&schema, &batches)
        };
        let (removed, added) = (layer(REMOVED)?, layer(ADDED)?);
        let gone = keys_of(&removed)?.iter().copied().collect();
        Ok(Some(Self { before, interners: Interners::of(before.places()), schema, parts, removed, added, gone }))
    }

    /// Goes over all rows once: which of them do not count any more, changed, and for deals what else matters.
    fn survey(&self, touched: &Keys, of_deals: bool) -> Result<Survey, QueryError> {
        let columns: &[&str] = if of_deals { &[ROW_KEY, "account_id", "status", "is_first_won"] } else { &[ROW_KEY] };
        let won = if of_deals { self.interners.domain("status").intern("won") } else { 0 };
        let none = Keys::default();
        let mark = |batch: &RecordBatch, gone: &Keys, rows: &mut Rows| -> Result<(), QueryError> {
            let start = rows.marks.len();
            let mark = |key: &i64| if gone.contains(key) { GONE } else { u8::from(touched.contains(key)) * TOUCHED };
            rows.marks.extend(keys_of(batch)?.iter().map(mark));
            if of_deals {
                rows.accounts.extend_from_slice(codes(batch, "account_id")?);
                let first = column(batch, "is_first_won")?.as_boolean();
                for (row, (marks, status)) in rows.marks[start..].iter_mut().zip(codes(batch, "status")?).enumerate() {
                    *marks |= (u8::from(*status == won) * WON) | (u8::from(first.value(row)) * FIRST);
                }
            }
            Ok(())
        };
        let of_part = |part: &PathBuf| -> Result<Rows, QueryError> {
            let count = encode::row_count(part);
            let accounts = Vec::with_capacity(if of_deals { count } else { 0 });
            let mut rows = Rows { accounts, marks: Vec::with_capacity(count) };
            read_file(part, columns, &mut |batch| mark(batch, &self.gone, &mut rows))?;
            Ok(rows)
        };
        let parts = self.parts.par_iter().map(of_part).collect::<Result<_, QueryError>>()?;
        let mut added = Rows::default();
        mark(&self.added, &none, &mut added)?;
        Ok(Survey { parts, added })
    }

    /// The rows that count and are wanted, by their account and marks.
    fn take(&self, survey: &Survey, wanted: RowTest<'_>, columns: &[&str]) -> Result<Found, QueryError> {
        let positions = positions(&self.schema, columns)?;
        let schema = Arc::new(self.schema.project(&positions).map_err(failed)?);
        let of_part =
            |(part, rows): (&PathBuf, &Rows)| encode::read_rows(part, Wanted::At(rows.ranges(wanted)), Some(columns));
        let batches: Vec<Vec<RecordBatch>> =
            self.parts.par_iter().zip(&survey.parts).map(of_part).collect::<Result<_, QueryError>>()?;
        let added = survey.added.filtered(&self.added, wanted)?.project(&positions).map_err(failed)?;
        Ok(Found { base: concatenated(&schema, &batches.concat())?, added })
    }

    /// All columns of the rows of the parts that have these keys and count.
    fn whole(&self, keys: &Keys) -> Result<RecordBatch, QueryError> {
        let mut wanted: Vec<i64> = keys.iter().filter(|key| !self.gone.contains(*key)).copied().collect();
        wanted.sort_unstable();
        let wanted = lit(Series::new(ROW_KEY.into(), wanted)).implode(false);
        let frame = scan(&self.parts, "facts")?.filter(col(ROW_KEY).is_in(wanted, false));
        let (frame, _) = collect(frame, "facts", false)?;
        let columns = self.schema.fields().iter().map(|field| arrow_column(&frame, field.name(), field.data_type()));
        let columns = columns.collect::<PolarsResult<_>>().map_err(|error| QueryError::engine("facts", error))?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(failed)
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
        for (row, source) in sources.iter().enumerate() {
            let key = short_key(*source, identifiers.value(row));
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
    /// Whether every row was found that must be there, once, and no other one.
    fn is_confirmed(&self, found: &Found) -> Result<bool, QueryError> {
        let mut times: HashMap<i64, u32, AsHashed> = HashMap::default();
        for batch in [&found.base, &found.added] {
            keys_of(batch)?.iter().for_each(|key| *times.entry(*key).or_insert(0) += 1);
        }
        let times = |key: &i64| times.get(key).copied().unwrap_or(0);
        Ok(self.keys.iter().zip(&self.was_live).all(|(key, was_live)| times(key) == u32::from(*was_live)))
    }
}

/// The first won deals of the accounts whose deals changed.
struct FirstWon {
    /// Date and key, by account, of those that have one.
    now: HashMap<u32, (i32, i64)>,
    /// By code of the account, whether it has another one than before.
    has_changed: Vec<bool>,
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
        survey: &Survey,
        touched: &Keys,
    ) -> Result<Self, QueryError> {
        let won = older.interners.domain("status").intern("won");
        let new_accounts = column_of(new, "account_id")?;
        let new_accounts = new_accounts.as_primitive::<UInt32Type>().values();
        let known = survey.all().flat_map(|rows| &rows.accounts).chain(new_accounts).copied().max().unwrap_or(0);
        let mut concerned = vec![false; known as usize + 1];
        for rows in survey.all() {
            for (account, marks) in rows.accounts.iter().zip(&rows.marks) {
                concerned[*account as usize] |= marks & (GONE | TOUCHED) == TOUCHED;
            }
        }
        new_accounts.iter().for_each(|account| concerned[*account as usize] = true);
        concerned[0] = false;
        let is_wanted = |account: u32, marks: u8| match marks & TOUCHED > 0 {
            true => marks & FIRST > 0,
            false => marks & WON > 0 && concerned[account as usize],
        };
        let columns = [ROW_KEY, "account_id", "close_date", "is_first_won"];
        let found = older.take(survey, &is_wanted, &columns)?;
        let mut before: HashMap<u32, (i32, i64)> = HashMap::new();
        let mut candidates: HashMap<u32, Vec<Candidate>> = HashMap::new();
        for batch in [&found.base, &found.added] {
            let accounts = codes(batch, "account_id")?;
            let dates = column(batch, "close_date")?.as_primitive::<Date32Type>();
            let first = column(batch, "is_first_won")?.as_boolean();
            for (row, key) in keys_of(batch)?.iter().enumerate().filter(|(row, _)| dates.is_valid(*row)) {
                let (date, was_first) = (dates.value(row), first.value(row));
                if was_first {
                    before.insert(accounts[row], (date, *key));
                }
                if !touched.contains(key) {
                    let candidate = Candidate { date, key: *key, was_first, id: None };
                    candidates.entry(accounts[row]).or_default().push(candidate);
                }
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
        let has_changed = (0_u32..).zip(&concerned);
        let has_changed = has_changed.map(|(account, is_it)| *is_it && now.get(&account) != before.get(&account));
        Ok(Self { has_changed: has_changed.collect(), now, won })
    }

    /// The columns of deals that speak of the first won deal.
    fn columns(&self, accounts: &ArrayRef, won: &[bool], keys: &ArrayRef) -> Vec<Encoded> {
        let accounts = accounts.as_primitive::<UInt32Type>().values();
        let keys = keys.as_primitive::<Int64Type>().values();
        first_won_columns(won, |row| self.now.get(&accounts[row]).map(|(date, key)| (*date, *key == keys[row])))
    }

    /// Whether an account has another first won deal than before.
    fn has_changed(&self, account: u32) -> bool {
        self.has_changed.get(account as usize) == Some(&true)
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
        let wanted = Wanted::Where(&["close_date"], test);
        for batch in encode::read_rows(path, wanted, Some(&["deal_id", "source_system"]))? {
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
    found: &Found,
) -> Result<[Encoded; 2], QueryError> {
    let mut known: HashMap<i64, Option<i32>, AsHashed> = HashMap::default();
    for batch in [&found.base, &found.added] {
        let dates = column(batch, "lead_created_date")?.as_primitive::<Date32Type>();
        known.extend(keys_of(batch)?.iter().copied().zip(dates.iter()));
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

fn codes<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b [u32], QueryError> {
    let array = column(batch, name)?.as_primitive_opt::<UInt32Type>();
    let array = array.ok_or_else(|| QueryError::engine("facts", format!("column `{name}` has no codes")))?;
    Ok(array.values().as_ref())
}

fn keys_of(batch: &RecordBatch) -> Result<&[i64], QueryError> {
    let array = column(batch, ROW_KEY)?.as_primitive_opt::<Int64Type>();
    let array = array.ok_or_else(|| QueryError::engine("facts", format!("column `{ROW_KEY}` has no numbers")))?;
    Ok(array.values().as_ref())
}

fn filtered(batch: &RecordBatch, kept: Vec<bool>) -> Result<RecordBatch, QueryError> {
    filter_record_batch(batch, &BooleanArray::from(kept)).map_err(failed)
}

/// A column of a frame in the form that fact files have.
fn arrow_column(frame: &DataFrame, name: &str, kind: &arrow::datatypes::DataType) -> PolarsResult<ArrayRef> {
    use arrow::datatypes::DataType as Arrow;
    let column = frame.column(name)?;
    Ok(match kind {
        Arrow::UInt32 => Arc::new(UInt32Array::from_iter_values(column.u32()?.iter().map(Option::unwrap_or_default))),
        Arrow::Int32 => Arc::new(column.i32()?.iter().collect::<arrow::array::Int32Array>()),
        Arrow::Date32 => Arc::new(column.cast(&DataType::Int32)?.i32()?.iter().collect::<Date32Array>()),
        Arrow::Boolean => Arc::new(column.bool()?.iter().collect::<BooleanArray>()),
        _ => Arc::new(column.i64()?.iter().collect::<arrow::array::Int64Array>()),
    })
}

fn concatenated(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, QueryError> {
    let columns = |batch: &RecordBatch| RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec());
    let batches = batches.iter().map(columns).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    concat_batches(schema, &batches).map_err(failed)
}

/// Where columns stand. They come in the order of the file, whatever the order in which they are asked for.
fn positions(schema: &SchemaRef, names: &[&str]) -> Result<Vec<usize>, QueryError> {
    let mut positions: Vec<usize> =
        names.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>().map_err(failed)?;
    positions.sort_unstable();
    Ok(positions)
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
