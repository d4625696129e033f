//! History from nightly exports: what changed on a deal between two states of the lake.
//!
//! Whenever an upsert changes stage, status, amount, close date, owner or probability of a
//! deal, a row of `stage_changes` with origin `snapshot_diff` says so, beside whatever history
//! the vendor exports itself. The instant is the one the source gives; else the date of the
//! export; else the close date of a deal that has just been closed; else the newest creation
//! date of the export. Never the clock of this machine.
//!
//! What the history of the same export tells of a change is not told again (`Told`): a change that
//! two rows recorded would count twice. Where that history begins with a change and does not say
//! what was before it, the last export does, in a row of its own right before the change.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, PrimitiveArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{ArrowPrimitiveType, Date32Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use dealframe_model::table::{ColumnType, STAGE_CHANGES};
use hashbrown::HashMap;

use crate::coerce::date::{DAY, Zone};
use crate::column::Builder;
use crate::derived::{Value, record_batch};

/// One changed deal, after the change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    deal: String,
    source_system: String,
    file: String,
    line: i64,
    at: Option<i64>,
    /// The instant whose day is that of the change, where it is another one.
    of_day: Option<i64>,
    /// When the state before was last touched.
    since: Option<i64>,
    from_stage: Option<String>,
    from_status: Option<String>,
    from_amount: Option<i128>,
    from_probability: Option<i128>,
    stage: Option<String>,
    status: Option<String>,
    amount: Option<i128>,
    currency: Option<String>,
    probability: Option<i128>,
    close_date: Option<i32>,
    owner: Option<String>,
    /// Close date or owner are others than before.
    has_other_terms: bool,
}

/// Typed access to the columns of a batch by name.
#[derive(Clone, Copy)]
pub struct View<'a>(pub &'a RecordBatch);

/// A column of texts, however it is stored.
#[derive(Clone, Copy)]
pub enum Texts<'a> {
    Plain(&'a StringArray),
    Coded(&'a DictionaryArray<Int32Type>, &'a StringArray),
    Absent,
}

impl<'a> Texts<'a> {
    pub fn get(self, row: usize) -> Option<&'a str> {
        match self {
            Self::Plain(strings) => strings.is_valid(row).then(|| strings.value(row)),
            Self::Coded(codes, words) => Some(words.value(codes.key(row)?)),
            Self::Absent => None,
        }
    }
}

fn value<T: ArrowPrimitiveType>(column: Option<&PrimitiveArray<T>>, row: usize) -> Option<T::Native> {
    let column = column?;
    column.is_valid(row).then(|| column.value(row))
}

impl<'a> View<'a> {
    fn column(self, name: &str) -> Option<&'a ArrayRef> {
        self.0.column_by_name(name)
    }

    pub fn texts(self, name: &str) -> Texts<'a> {
        let Some(column) = self.column(name) else { return Texts::Absent };
        if let Some(codes) = column.as_dictionary_opt::<Int32Type>() {
            return codes.values().as_string_opt::<i32>().map_or(Texts::Absent, |words| Texts::Coded(codes, words));
        }
        column.as_string_opt::<i32>().map_or(Texts::Absent, Texts::Plain)
    }

    fn decimals(self, name: &str) -> Option<&'a Decimal128Array> {
        self.column(name)?.as_primitive_opt()
    }

    fn instants(self, name: &str) -> Option<&'a TimestampMicrosecondArray> {
        self.column(name)?.as_primitive_opt()
    }

    fn text(self, name: &str, row: usize) -> Option<&'a str> {
        self.texts(name).get(row)
    }

    fn decimal(self, name: &str, row: usize) -> Option<i128> {
        value(self.decimals(name), row)
    }

    fn date(self, name: &str, row: usize) -> Option<i32> {
        value::<Date32Type>(self.column(name)?.as_primitive_opt(), row)
    }

    fn instant(self, name: &str, row: usize) -> Option<i64> {
        value(self.instants(name), row)
    }

    fn integer(self, name: &str, row: usize) -> Option<i64> {
        value::<Int64Type>(self.column(name)?.as_primitive_opt(), row)
    }
}

/// Rows of all batches in the order of their deals and instants: deal, instant, batch and row.
type Order = Vec<(u64, i64, u32, u32)>;

/// No row before.
const NONE: u64 = u64::MAX;

/// Fills what a change started from where the source gives only what came after: stage, status, amount and
/// probability of the last row before of the same deal that tells them.
///
/// The batches must hold the whole history of the export. A deal's first row keeps nulls, and so does an
/// amount that stood in another currency before.
///
/// # Errors
/// When the columns cannot be rebuilt, which would be a fault of ours.
pub fn fill_before(batches: &mut [RecordBatch]) -> Result<(), ArrowError> {
    let mut order = Order::new();
    for (part, batch) in batches.iter().enumerate() {
        let view = View(batch);
        let (deals, instants) = (view.texts("deal_id"), view.instants("changed_at"));
        for row in 0..batch.num_rows() {
            if let (Some(deal), Some(at)) = (deals.get(row), value(instants, row)) {
                order.push((xxhash_rust::xxh3::xxh3_64(deal.as_bytes()), at, part as u32, row as u32));
            }
        }
    }
    order.sort_unstable();
    for (after, before) in [("stage", "from_stage"), ("status", "from_status")] {
        let columns = words_before(batches, &order, after, before)?;
        put(batches, before, columns)?;
    }
    for (after, before) in [("amount", "from_amount"), ("probability", "from_probability")] {
        let columns = numbers_before(batches, &order, after, before)?;
        put(batches, before, columns)?;
    }
    Ok(())
}

/// For every row that has a value the place of the row before of its deal that has one, else `NONE`.
fn places_before(batches: &[RecordBatch], order: &Order, has: impl Fn(usize, usize) -> bool) -> Vec<Vec<u64>> {
    let mut before: Vec<Vec<u64>> = batches.iter().map(|batch| vec![NONE; batch.num_rows()]).collect();
    let mut last = (0, NONE);
    for (deal, _, part, row) in order {
        if !has(*part as usize, *row as usize) {
            continue;
        }
        if last.0 == *deal {
            before[*part as usize][*row as usize] = last.1;
        }
        last = (*deal, u64::from(*part) << 32 | u64::from(*row));
    }
    before
}

fn place(packed: u64) -> Option<(usize, usize)> {
    (packed != NONE).then_some(((packed >> 32) as usize, (packed & u64::from(u32::MAX)) as usize))
}

fn words_before(
    batches: &[RecordBatch],
    order: &Order,
    after: &str,
    before: &str,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let words: Vec<Texts<'_>> = batches.iter().map(|batch| View(batch).texts(after)).collect();
    let places = places_before(batches, order, |part, row| words[part].get(row).is_some());
    (batches.iter().zip(places))
        .map(|(batch, places)| {
            let mut builder = Builder::new(ColumnType::Category);
            let given = View(batch).texts(before);
            for (row, packed) in places.into_iter().enumerate() {
                builder
                    .push_text(given.get(row).or_else(|| place(packed).and_then(|(part, row)| words[part].get(row))));
            }
            builder.finish()
        })
        .collect()
}

fn numbers_before(
    batches: &[RecordBatch],
    order: &Order,
    after: &str,
    before: &str,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let numbers: Vec<Option<&Decimal128Array>> = batches.iter().map(|batch| View(batch).decimals(after)).collect();
    let currencies: Vec<Texts<'_>> = batches.iter().map(|batch| View(batch).texts("currency")).collect();
    let places = places_before(batches, order, |part, row| value(numbers[part], row).is_some());
    (batches.iter().zip(places).enumerate())
        .map(|(part, (batch, places))| {
            let given = View(batch).decimals(before);
            let filled = places.into_iter().enumerate().map(|(row, packed)| {
                value(given, row).or_else(|| {
                    let (earlier, at) = place(packed)?;
                    let is_same = after != "amount" || currencies[earlier].get(at) == currencies[part].get(row);
                    value(numbers[earlier], at).filter(|_| is_same)
                })
            });
            let filled: Decimal128Array = filled.collect();
            Ok(Arc::new(filled.with_precision_and_scale(18, 4)?) as ArrayRef)
        })
        .collect()
}

/// Replaces a column of all batches.
pub fn put(batches: &mut [RecordBatch], name: &str, columns: Vec<ArrayRef>) -> Result<(), ArrowError> {
    for (batch, column) in batches.iter_mut().zip(columns) {
        let position = batch.schema().index_of(name)?;
        let mut arrays = batch.columns().to_vec();
        arrays[position] = column;
        *batch = RecordBatch::try_new(batch.schema(), arrays)?;
    }
    Ok(())
}

/// The changes between two versions of the same deals, row by row.
pub fn changes(old: &RecordBatch, new: &RecordBatch, as_of: Option<i32>) -> Vec<Change> {
    let (old, new) = (View(old), View(new));
    let mut out = Vec::new();
    for row in 0..new.0.num_rows().min(old.0.num_rows()) {
        let same = ["stage", "status", "owner_id"].iter().all(|name| old.text(name, row) == new.text(name, row))
            && ["amount", "probability"].iter().all(|name| old.decimal(name, row) == new.decimal(name, row))
            && old.date("close_date", row) == new.date("close_date", row);
        if same {
            continue;
        }
        let owned = |name: &str| new.text(name, row).map(str::to_owned);
        let closed_now = old.text("status", row) == Some("open") && new.text("status", row) != Some("open");
        let same_currency = old.text("currency", row) == new.text("currency", row);
        let at = new
            .instant("modified_at", row)
            .or_else(|| as_of.map(midnight))
            .or_else(|| new.date("close_date", row).filter(|_| closed_now).map(midnight));
        out.push(Change {
            deal: owned("deal_id").unwrap_or_default(),
            source_system: owned("source_system").unwrap_or_default(),
            file: owned("source_file").unwrap_or_default(),
            line: new.integer("source_line", row).unwrap_or(0),
            at,
            of_day: None,
            since: old.instant("modified_at", row),
            from_stage: old.text("stage", row).map(str::to_owned),
            from_status: old.text("status", row).map(str::to_owned),
            // What it was in another currency cannot stand beside what it is in this one.
            from_amount: if same_currency { old.decimal("amount", row) } else { new.decimal("amount", row) },
            from_probability: old.decimal("probability", row),
            stage: owned("stage"),
            status: owned("status"),
            amount: new.decimal("amount", row),
            currency: owned("currency"),
            probability: new.decimal("probability", row),
            close_date: new.date("close_date", row),
            owner: owned("owner_id"),
            has_other_terms: old.text("owner_id", row) != new.text("owner_id", row)
                || old.date("close_date", row) != new.date("close_date", row),
        });
    }
    out
}

/// A value that a field was given, and when.
#[derive(Debug)]
struct Given<T> {
    at: i64,
    value: T,
    says_before: bool,
}

/// What the history that an export brings tells of a field of a deal.
#[derive(Debug)]
struct Field<T> {
    last: Option<Given<T>>,
    /// The first change of the field since the last export.
    first: Option<Given<Option<T>>>,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self { last: None, first: None }
    }
}

impl<T: Clone> Field<T> {
    fn note(&mut self, at: i64, since: Option<i64>, value: Option<T>, says_before: bool) {
        let is_new = since.is_some_and(|since| at > since) && (value.is_some() || says_before);
        if is_new && self.first.as_ref().is_none_or(|first| at < first.at) {
            self.first = Some(Given { at, value: value.clone(), says_before });
        }
        if let Some(value) = value.filter(|_| self.last.as_ref().is_none_or(|last| at >= last.at)) {
            self.last = Some(Given { at, value, says_before });
        }
    }

    /// Until when it is told that the field became this.
    fn tells(&self, is_it: impl Fn(&T) -> bool) -> Option<i64> {
        self.last.as_ref().filter(|last| is_it(&last.value)).map(|last| last.at)
    }

    /// The first new change, if it does not say what was before.
    fn unsaid(&self) -> Option<(i64, Option<T>)> {
        self.first.as_ref().filter(|first| !first.says_before).map(|first| (first.at, first.value.clone()))
    }
}

/// What the history of the export tells of a deal.
#[derive(Debug, Default)]
struct Standing {
    since: Option<i64>,
    stage: Field<String>,
    status: Field<String>,
    amount: Field<(i128, Option<String>)>,
    probability: Field<i128>,
}

/// What the history of an export tells of the deals that changed since the last one.
#[derive(Debug, Default)]
pub struct Told(HashMap<u64, Standing>);

/// What tells the rows of a table apart: an identifier is one only within its source.
pub fn row_key(source_system: Option<&str>, identifier: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(
        identifier.as_bytes(),
        source_system.map_or(0, |name| xxhash_rust::xxh3::xxh3_64(name.as_bytes())),
    )
}

impl Told {
    /// Nothing yet, of these changes.
    pub fn of(changes: &[Change]) -> Self {
        let key = |change: &Change| row_key(Some(&change.source_system), &change.deal);
        let standing = |change: &Change| Standing { since: change.since, ..Standing::default() };
        Self(changes.iter().map(|change| (key(change), standing(change))).collect())
    }

    /// Reads rows of `stage_changes`.
    pub fn note(&mut self, batch: &RecordBatch) {
        if self.0.is_empty() {
            return;
        }
        let view = View(batch);
        let (deals, sources, instants) =
            (view.texts("deal_id"), view.texts("source_system"), view.instants("changed_at"));
        for row in 0..batch.num_rows() {
            let (Some(deal), Some(at)) = (deals.get(row), value(instants, row)) else { continue };
            let Some(standing) = self.0.get_mut(&row_key(sources.get(row), deal)) else { continue };
            let owned = |name: &str| view.text(name, row).map(str::to_owned);
            let says = |name: &str| view.text(name, row).is_some();
            let counts = |name: &str| view.decimal(name, row).is_some();
            let amount = view.decimal("amount", row).map(|amount| (amount, owned("currency")));
            let since = standing.since;
            standing.stage.note(at, since, owned("stage"), says("from_stage"));
            standing.status.note(at, since, owned("status"), says("from_status"));
            standing.amount.note(at, since, amount, counts("from_amount"));
            standing.probability.note(at, since, view.decimal("probability", row), counts("from_probability"));
        }
    }

    /// What is left of a change once what the history tells of it is taken out; nothing where it tells all.
    ///
    /// The rest keeps silent about it, and stands at the end of what is told, so that it does not come before it.
    fn rest(&self, mut change: Change) -> Option<Change> {
        let Some(standing) = self.0.get(&row_key(Some(&change.source_system), &change.deal)) else {
            return Some(change);
        };
        let stage = standing.stage.tells(|stage| change.stage.as_ref() == Some(stage));
        if stage.is_some() {
            (change.from_stage, change.stage) = (None, None);
        }
        let status = standing.status.tells(|status| change.status.as_ref() == Some(status));
        if status.is_some() {
            (change.from_status, change.status) = (None, None);
        }
        let amount = standing.amount.tells(|(amount, currency)| {
            change.amount == Some(*amount) && (currency.is_none() || *currency == change.currency)
        });
        if amount.is_some() {
            (change.from_amount, change.amount) = (None, None);
        }
        let probability = standing.probability.tells(|probability| change.probability == Some(*probability));
        if probability.is_some() {
            (change.from_probability, change.probability) = (None, None);
        }
        let until = stage.max(status).max(amount).max(probability);
        if let Some(until) = until {
            let is_told = change.from_stage == change.stage
                && change.from_status == change.status
                && change.from_amount == change.amount
                && change.from_probability == change.probability
                && !change.has_other_terms;
            if is_told {
                return None;
            }
            change.at = Some(change.at.map_or(until, |at| at.max(until)));
        }
        Some(change)
    }

    /// What was before the first changes that the history tells, where it does not say so itself: as the last export had it.
    fn befores(&self, change: &Change) -> Vec<Change> {
        let Some(standing) = self.0.get(&row_key(Some(&change.source_system), &change.deal)) else {
            return Vec::new();
        };
        let silent = |first: i64| Change {
            // Right before the change, on its day.
            at: Some(first - 1),
            of_day: Some(first),
            from_stage: None,
            from_status: None,
            from_amount: None,
            from_probability: None,
            stage: None,
            status: None,
            amount: None,
            probability: None,
            close_date: None,
            owner: None,
            ..change.clone()
        };
        let mut befores: BTreeMap<i64, Change> = BTreeMap::new();
        if let Some((at, stage)) = standing.stage.unsaid() {
            let before = befores.entry(at).or_insert_with(|| silent(at));
            (before.from_stage, before.stage) = (change.from_stage.clone(), stage);
        }
        if let Some((at, status)) = standing.status.unsaid() {
            let before = befores.entry(at).or_insert_with(|| silent(at));
            (before.from_status, before.status) = (change.from_status.clone(), status);
        }
        if let Some((at, amount)) = standing.amount.unsaid() {
            let before = befores.entry(at).or_insert_with(|| silent(at));
            (before.from_amount, before.amount) = (change.from_amount, amount.map(|(amount, _)| amount));
        }
        if let Some((at, probability)) = standing.probability.unsaid() {
            let before = befores.entry(at).or_insert_with(|| silent(at));
            (before.from_probability, before.probability) = (change.from_probability, probability);
        }
        befores.into_values().collect()
    }

    /// The changes that the history does not tell, each without what it does, and what it leaves unsaid.
    pub fn untold(&self, changes: Vec<Change>) -> Vec<Change> {
        let mut untold = Vec::with_capacity(changes.len());
        for change in changes {
            untold.extend(self.befores(&change));
            untold.extend(self.rest(change));
        }
        untold
    }
}

fn midnight(day: i32) -> i64 {
    i64::from(day) * DAY
}

/// Changes as rows of `stage_changes`; `newest` is the newest creation date of the export.
///
/// # Errors
/// When the rows cannot be built, which would be a fault of ours.
pub fn to_batch(
    changes: &[Change],
    newest: Option<i32>,
    zone: &Zone,
    batch_id: &str,
) -> Result<RecordBatch, ArrowError> {
    let fallback = midnight(newest.unwrap_or(0));
    let at = |row: usize| changes[row].at.unwrap_or(fallback);
    let ids: Vec<String> = (0..changes.len())
        .map(|row| {
            let change = &changes[row];
            let state = format!(
                "{:?}|{:?}|{:?}|{:?}|{:?}|{:?}",
                change.stage, change.status, change.amount, change.probability, change.close_date, change.owner
            );
            format!("{}|{}|{:016x}", change.deal, at(row), xxhash_rust::xxh3::xxh3_64(state.as_bytes()))
        })
        .collect();
    record_batch(&STAGE_CHANGES, changes.len(), |column, row| {
        let change = &changes[row];
        match column.name {
            "change_id" => Value::Text(&ids[row]),
            "deal_id" => Value::Text(&change.deal),
            "changed_at" | "modified_at" => Value::Timestamp(at(row)),
            "changed_date" => {
                let at = change.of_day.unwrap_or(at(row));
                Value::Date(zone.date_of(at).unwrap_or((at.div_euclid(DAY)) as i32))
            }
            "from_stage" => optional(&change.from_stage),
            "from_status" => optional(&change.from_status),
            "from_amount" => change.from_amount.map_or(Value::Null, Value::Decimal),
            "from_probability" => change.from_probability.map_or(Value::Null, Value::Decimal),
            "stage" => optional(&change.stage),
            "status" => optional(&change.status),
            "amount" => change.amount.map_or(Value::Null, Value::Decimal),
            "currency" => optional(&change.currency),
            "probability" => change.probability.map_or(Value::Null, Value::Decimal),
            "close_date" => change.close_date.map_or(Value::Null, Value::Date),
            "owner_id" => optional(&change.owner),
            "origin" => Value::Text("snapshot_diff"),
            "source_system" => Value::Text(&change.source_system),
            "is_deleted" => Value::Boolean(false),
            "batch_id" => Value::Text(batch_id),
            "source_file" => Value::Text(&change.file),
            "source_line" => Value::Integer(change.line),
            _ => Value::Null,
        }
    })
}

fn optional(value: &Option<String>) -> Value<'_> {
    value.as_deref().map_or(Value::Null, Value::Text)
}
