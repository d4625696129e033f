//! Stays of deals: in open states (`deal_states`) and in stages (`stage_entries`).
//!
//! What enters and leaves the open states is the business of `pipeline`, which goes by the same
//! stays, so that the two cannot disagree.
//!
//! A deal's history is its creation, its rows in `stage_changes` in order of time, and its
//! present row. The present row has the last word: an open deal stands now as its row says, a
//! closed one left the pipeline on its close date, whatever the history misses. Before the
//! first known change the deal stood as that change says it stood before; where that is not
//! said, as after it. What no change names, an amount, a probability, the stage of an open deal,
//! was all along as the present row has it; so an open deal that its source's history does not
//! mention has always been in its stage. A deal without a known creation date counts from its
//! first change, or from the newest business date of the lake: the first day on which it is
//! known to exist.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use dealframe_lake::Lake;
use dealframe_lake::schema::arrow_schema;
use dealframe_model::table;
use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::QueryError;
use crate::facts::Fact;
use crate::facts::build::{all_dependencies, integers, take};
use crate::facts::dictionary::{Interner, Interners, row_key, strings};
use crate::facts::dimension::{DIMENSIONS, Dimensions};
use crate::facts::encode::{self, Encoded, Encoder, column, decimals, live_rows, read_columns, read_file};
use crate::facts::store::{self, FactWriter};

/// Origins of rows that name the fields that changed and keep silent about the others; for every engine.
pub(crate) const PARTIAL: [&str; 2] = ["field_history", "snapshot_diff"];

/// One row of `stage_changes`, as much of it as history needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    deal: u128,
    at: i64,
    /// Settles the order of changes of the same instant: by identifier, byte by byte.
    tie: (u128, u64, u64),
    date: i32,
    stage: u32,
    from_stage: u32,
    status: u32,
    from_status: u32,
    amount: Option<i64>,
    from_amount: Option<i64>,
    probability: Option<i64>,
    from_probability: Option<i64>,
    /// It names the fields that changed, with what they were, and keeps silent about the others.
    is_partial: bool,
}

/// What a deal's present row says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    created: Option<i32>,
    closed: Option<i32>,
    pub is_open: bool,
    pub is_won: bool,
    stage: u32,
    amount: Option<i64>,
    probability: Option<i64>,
    /// Its source has a history, of this deal or of others.
    is_followed: bool,
}

/// A stay in one open state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stay {
    pub from: i32,
    pub until: Option<i32>,
    pub stage: u32,
    pub amount: Option<i64>,
    pub probability: Option<i64>,
    /// It begins on the first day on which anything is known of the deal, and nothing says that it was closed before.
    pub is_first: bool,
    /// Where the deal is not open after it: it was won on the last day, not lost.
    pub ends_won: bool,
}

/// A state of a deal, from a day on.
#[derive(Debug, Clone, Copy)]
struct State {
    from: i32,
    is_open: bool,
    is_won: bool,
    stage: u32,
    amount: Option<i64>,
    probability: Option<i64>,
}

/// Where a step of a deal's history leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Stage(u32),
    Won,
    Lost,
}

/// The first stay of a deal in one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    stage: u32,
    next_stage: u32,
    entered: i32,
    left: Option<i32>,
    /// Unknown for a deal that was in the stage before anything is known of it.
    days: Option<i32>,
    is_moved_on: bool,
    is_lost_here: bool,
}

pub(crate) struct History {
    changes: Vec<Change>,
    by_deal: HashMap<u128, (u32, u32)>,
    /// Source systems with a history.
    sources: HashSet<u32>,
    open: u32,
    won: u32,
    /// Names of movements, for tables that have them.
    pub movements: Arc<Interner>,
}

impl History {
    pub(crate) fn read(lake: &Lake, interners: &Interners) -> Result<Self, QueryError> {
        let columns = [
            "change_id",
            "deal_id",
            "changed_at",
            "changed_date",
            "stage",
            "from_stage",
            "status",
            "from_status",
            "amount",
            "from_amount",
            "probability",
            "from_probability",
            "origin",
            "source_system",
            "is_deleted",
        ];
        let (mut changes, mut sources) = (Vec::new(), HashSet::new());
        read_columns(lake, "stage_changes", &columns, &mut |batch| {
            let batch = live_rows(batch)?;
            read_changes(&batch, interners, &mut changes, &mut sources)
        })?;
        changes.par_sort_unstable_by_key(|change| (change.deal, change.at, change.tie));
        let mut by_deal: HashMap<u128, (u32, u32)> = HashMap::new();
        for (position, change) in changes.iter().enumerate() {
            let position = u32::try_from(position).map_err(|error| QueryError::engine("deal history", error))?;
            by_deal.entry(change.deal).and_modify(|range| range.1 = position + 1).or_insert((position, position + 1));
        }
        changes.chunk_by_mut(|one, next| one.deal == next.deal).for_each(complete);
        let statuses = interners.domain("status");
        let (open, won) = (statuses.intern("open"), statuses.intern("won"));
        Ok(Self { changes, by_deal, sources, open, won, movements: interners.domain("movement") })
    }

    /// The status that a deal had before each change of a batch: as the change before left it, else as the row says.
    ///
    /// Where two sources tell of one change, the second one found the deal changed already.
    pub(crate) fn statuses_before(
        &self,
        batch: &RecordBatch,
        sources: &[u32],
        interners: &Interners,
    ) -> Result<Vec<u32>, QueryError> {
        let deals = strings(column(batch, "deal_id")?)?;
        let ids = strings(column(batch, "change_id")?)?;
        let at = column(batch, "changed_at")?.as_primitive::<TimestampMicrosecondType>();
        let from = interners.domain("status").encode(column(batch, "from_status")?)?;
        let before = |row: usize| {
            let changes = self.of(row_key(sources[row], deals.value(row)));
            let place =
                changes.binary_search_by_key(&(at.value(row), tie(ids.value(row))), |change| (change.at, change.tie));
            match place.ok().and_then(|place| place.checked_sub(1)).map(|place| changes[place].status) {
                None | Some(0) => from[row],
                Some(status) => status,
            }
        };
        Ok((0..batch.num_rows()).map(before).collect())
    }

    /// The codes of `open` and `won`.
    pub(super) fn statuses(&self) -> (u32, u32) {
        (self.open, self.won)
    }

    fn of(&self, deal: u128) -> &[Change] {
        self.by_deal.get(&deal).map_or(&[], |(start, end)| &self.changes[*start as usize..*end as usize])
    }
}

/// The first 24 bytes of an identifier as numbers that order as the text does; a hash tells longer ones apart.
fn tie(identifier: &str) -> (u128, u64, u64) {
    let mut head = [0_u8; 24];
    let bytes = identifier.as_bytes();
    let length = bytes.len().min(head.len());
    head[..length].copy_from_slice(&bytes[..length]);
    let [mut first, mut second] = [0_u128, 0_u128];
    head[..16].iter().for_each(|byte| first = first << 8 | u128::from(*byte));
    head[16..].iter().for_each(|byte| second = second << 8 | u128::from(*byte));
    (first, u64::try_from(second).unwrap_or(u64::MAX), xxh3_64(bytes))
}

fn read_changes(
    batch: &RecordBatch,
    interners: &Interners,
    changes: &mut Vec<Change>,
    followed: &mut HashSet<u32>,
) -> Result<(), QueryError> {
    let sources = interners.domain("source_system").encode(column(batch, "source_system")?)?;
    followed.extend(&sources);
    let stages = interners.domain("stage");
    let statuses = interners.domain("status");
    let deals = strings(column(batch, "deal_id")?)?;
    let ids = strings(column(batch, "change_id")?)?;
    let at = column(batch, "changed_at")?.as_primitive::<TimestampMicrosecondType>();
    let dates = column(batch, "changed_date")?.as_primitive::<Date32Type>();
    let [stage, from_stage] = [stages.encode(column(batch, "stage")?)?, stages.encode(column(batch, "from_stage")?)?];
    let [status, from_status] =
        [statuses.encode(column(batch, "status")?)?, statuses.encode(column(batch, "from_status")?)?];
    let amount = decimals(column(batch, "amount")?)?;
    let from_amount = decimals(column(batch, "from_amount")?)?;
    let probability = decimals(column(batch, "probability")?)?;
    let from_probability = decimals(column(batch, "from_probability")?)?;
    let origins = interners.domain("origin");
    let origin = origins.encode(column(batch, "origin")?)?;
    let partial = PARTIAL.map(|origin| origins.intern(origin));
    let value = |array: &Int64Array, row: usize| array.is_valid(row).then(|| array.value(row));
    for row in 0..batch.num_rows() {
        changes.push(Change {
            deal: row_key(sources[row], deals.value(row)),
            at: at.value(row),
            tie: tie(ids.value(row)),
            date: dates.value(row),
            stage: stage[row],
            from_stage: from_stage[row],
            status: status[row],
            from_status: from_status[row],
            amount: value(&amount, row),
            from_amount: value(&from_amount, row),
            probability: value(&probability, row),
            from_probability: value(&from_probability, row),
            is_partial: partial.contains(&origin[row]),
        });
    }
    Ok(())
}

/// Fills in what the changes of one deal, in order of time, leave unsaid of the state before and after them.
fn complete(changes: &mut [Change]) {
    carry(changes, 0, false, |change| (&mut change.from_stage, &mut change.stage));
    carry(changes, 0, false, |change| (&mut change.from_status, &mut change.status));
    carry(changes, None, true, |change| (&mut change.from_amount, &mut change.amount));
    carry(changes, None, true, |change| (&mut change.from_probability, &mut change.probability));
}

/// Gives the rows that keep silent about a field what it was before them, or what the next row found.
///
/// A row that tells the state as a whole keeps silent about what no such row of the deal names: a history of stages
/// knows of no amounts. Where it does not say what was before, a `lasting` field was the same.
fn carry<T: Copy + PartialEq>(
    changes: &mut [Change],
    none: T,
    lasting: bool,
    field: impl Fn(&mut Change) -> (&mut T, &mut T),
) {
    let names = |change: &mut Change| {
        let (before, after) = field(change);
        *before != none || *after != none
    };
    let is_told_whole = changes.iter_mut().any(|change| !change.is_partial && names(change));
    let tells = |change: &mut Change| names(change) || (is_told_whole && !change.is_partial);
    if lasting {
        for change in changes.iter_mut().filter(|change| !change.is_partial) {
            let (before, after) = field(change);
            if *before == none {
                *before = *after;
            }
        }
    }
    let found = changes.iter_mut().find_map(|change| tells(change).then(|| *field(change).0));
    let mut now = found.unwrap_or(none);
    for change in changes {
        if tells(change) {
            now = *field(change).1;
        } else {
            let (before, after) = field(change);
            (*before, *after) = (now, now);
        }
    }
}

/// The day on which a closed deal left the pipeline.
fn closing_day(present: &Present, changes: &[Change]) -> Option<i32> {
    if present.is_open {
        None
    } else {
        present.closed.or_else(|| changes.last().map(|change| change.date)).or(present.created)
    }
}

/// The stage of an open deal that no change names.
fn stage_all_along(present: &Present, changes: &[Change]) -> Option<u32> {
    let is_told = || changes.iter().any(|change| change.stage != 0 || change.from_stage != 0);
    (present.is_open && !is_told()).then_some(present.stage)
}

/// The open states of a deal, in order of time, without stays that end on the day they start.
pub(super) fn stays(present: &Present, changes: &[Change], (open, won): (u32, u32), anchor: i32) -> Vec<Stay> {
    let closing = closing_day(present, changes);
    if !present.is_open && closing.is_none() {
        // Closed, and nobody knows when: at no known time was it open.
        return Vec::new();
    }
    let first_change = changes.first().map(|change| change.date);
    let start = present.created.or(first_change).unwrap_or(anchor);
    // A history of stages alone says nothing of amounts: not that there was none.
    let tells_amounts = changes.iter().any(|change| change.amount.or(change.from_amount).is_some());
    let amount_then = |told: Option<i64>| if tells_amounts { told } else { present.amount };
    let tells_probabilities = changes.iter().any(|change| change.probability.or(change.from_probability).is_some());
    let probability_then = |told: Option<i64>| if tells_probabilities { told } else { present.probability };
    let stage_all_along = stage_all_along(present, changes);
    let stage_then = |told: u32| stage_all_along.unwrap_or(told);
    let mut states: Vec<State> = Vec::with_capacity(changes.len() + 1);
    states.push(match changes.first() {
        Some(first) => {
            let is_closing = first.status != 0 && first.status != open;
            State {
                from: start,
                is_open: first.from_status == 0 || first.from_status == open,
                is_won: false,
                // A change that closes the deal does not say in which stage it was before.
                stage: stage_then(match first.from_stage {
                    0 if is_closing => 0,
                    0 => first.stage,
                    from => from,
                }),
                amount: amount_then(first.from_amount),
                probability: probability_then(first.from_probability),
            }
        }
        // A closed deal without history says nothing of the stages it went through.
        None => State {
            from: start,
            is_open: true,
            is_won: false,
            stage: stage_then(0),
            amount: present.amount,
            probability: present.probability,
        },
    });
    let starts_open = states.first().is_some_and(|first| first.is_open);
    states.extend(changes.iter().map(|change| State {
        from: change.date.max(start),
        is_open: change.status == 0 || change.status == open,
        is_won: change.status == won,
        stage: stage_then(change.stage),
        amount: amount_then(change.amount),
        probability: probability_then(change.probability),
    }));
    if present.is_open
        && let Some(last) = states.last_mut()
    {
        last.is_open = true;
        (last.stage, last.amount, last.probability) = (present.stage, present.amount, present.probability);
    }
    let mut result = Vec::with_capacity(states.len());
    for (position, state) in states.iter().enumerate() {
        let next = states.get(position + 1).map(|next| next.from);
        let until = match (next, closing) {
            (Some(next), Some(closing)) => Some(next.min(closing)),
            (next, closing) => next.or(closing),
        };
        if !state.is_open || until.is_some_and(|until| until <= state.from) {
            continue;
        }
        // On its last day a deal is closed as its present row says, on others as the last change of the day does.
        let ends_won = if until == closing {
            present.is_won
        } else {
            states[position + 1..]
                .iter()
                .take_while(|later| Some(later.from) == until)
                .last()
                .is_some_and(|last| last.is_won)
        };
        result.push(Stay {
            from: state.from,
            until,
            stage: state.stage,
            amount: state.amount,
            probability: state.probability,
            // Before the day of its creation a deal was not closed, whatever happened on that day.
            is_first: (starts_open || present.created.is_some()) && state.from == start,
            ends_won,
        });
    }
    result
}

/// The first stay in every stage a deal went through while open.
///
/// A stay ends where the deal was closed, whether or not it was opened again later.
fn entries(present: &Present, changes: &[Change], open: u32, won: u32) -> Vec<Entry> {
    let begins_unseen = present.created.is_none() && stage_before(present, changes, open).is_some();
    first_stays(&stage_steps(present, changes, open, won), begins_unseen)
}

/// In what stages a deal was first, and when it was first won.
pub(super) fn progress(
    present: &Present,
    changes: &[Change],
    (open, won): (u32, u32),
) -> (Vec<(u32, i32)>, Option<i32>) {
    let steps = stage_steps(present, changes, open, won);
    let won = steps.iter().find(|(_, step)| *step == Step::Won).map(|(date, _)| *date);
    (first_stays(&steps, false).iter().map(|entry| (entry.stage, entry.entered)).collect(), won)
}

/// The open stage of a deal before its first change.
fn stage_before(present: &Present, changes: &[Change], open: u32) -> Option<u32> {
    // A history that begins with a reopening names the stage of a closed deal.
    let first = changes.first().filter(|first| first.from_status == 0 || first.from_status == open)?;
    let stage = stage_all_along(present, changes).unwrap_or(first.from_stage);
    (stage != 0).then_some(stage)
}

/// The stages of a deal in order of time, and where it was closed.
fn stage_steps(present: &Present, changes: &[Change], open: u32, won: u32) -> Vec<(i32, Step)> {
    let stage_all_along = stage_all_along(present, changes);
    let Some(first) = changes.first() else {
        let unmoved = stage_all_along.filter(|stage| *stage != 0 && present.is_followed).zip(present.created);
        return unmoved.map(|(stage, created)| (created, Step::Stage(stage))).into_iter().collect();
    };
    let closing = closing_day(present, changes);
    let mut steps: Vec<(i32, Step)> = Vec::with_capacity(changes.len() + 2);
    if let Some(stage) = stage_before(present, changes, open) {
        steps.push((present.created.unwrap_or(first.date).min(first.date), Step::Stage(stage)));
    }
    for (position, change) in changes.iter().enumerate() {
        let is_open = change.status == 0 || change.status == open;
        // A closing that was undone within the day is none, as in the pipeline; on its last day a deal is closed as
        // its present row says.
        let is_days_last = changes[position + 1..].iter().all(|later| later.date != change.date);
        let closes = is_days_last && closing.is_none_or(|closing| change.date < closing);
        let (step, counts) = match change.status {
            _ if is_open => (
                Step::Stage(stage_all_along.unwrap_or(change.stage)),
                closing.is_none_or(|closing| change.date <= closing),
            ),
            status if status == won => (Step::Won, closes),
            _ => (Step::Lost, closes),
        };
        if counts && step != Step::Stage(0) && steps.last().is_none_or(|(_, last)| *last != step) {
            steps.push((change.date, step));
        }
    }
    steps.extend(closing.map(|closing| (closing, if present.is_won { Step::Won } else { Step::Lost })));
    steps
}

/// First stays from steps; with whether nobody knows since when the deal was in the first of its stages.
fn first_stays(steps: &[(i32, Step)], begins_unseen: bool) -> Vec<Entry> {
    let mut result: Vec<Entry> = Vec::with_capacity(steps.len());
    for (position, (entered, step)) in steps.iter().enumerate() {
        let Step::Stage(stage) = *step else { continue };
        if result.iter().any(|known| known.stage == stage) {
            continue;
        }
        let next = steps.get(position + 1);
        result.push(Entry {
            stage,
            next_stage: match next {
                Some((_, Step::Stage(next))) => *next,
                _ => 0,
            },
            entered: *entered,
            left: next.map(|(date, _)| *date),
            days: next.map(|(date, _)| date - entered).filter(|_| position > 0 || !begins_unseen),
            is_moved_on: matches!(next, Some((_, Step::Stage(_) | Step::Won))),
            is_lost_here: matches!(next, Some((_, Step::Lost))),
        });
    }
    result
}

/// The stays of all deals in open states.
pub(crate) fn deal_states(lake: &Lake, anchor: Option<i32>) -> Result<Fact, QueryError> {
    let salt = format!("anchor={anchor:?}");
    build(lake, "deal_states", &salt, &|rows, history, encoded| {
        let mut picked = Vec::new();
        let (mut from, mut until, mut stage, mut amount, mut probability) = (vec![], vec![], vec![], vec![], vec![]);
        for (row, present, changes) in rows {
            for stay in stays(present, changes, history.statuses(), anchor.unwrap_or(0)) {
                picked.push(*row);
                from.push(Some(stay.from));
                until.push(stay.until);
                stage.push(stay.stage);
                amount.push(stay.amount);
                probability.push(stay.probability);
            }
        }
        let own = ["stage", "amount", "probability", "close_date", "close_date__month", "status"];
        let mut columns = take(encoded, &picked, &|name| !own.contains(&name) && !is_dropped(name))?;
        columns.push(encode::codes("stage", "stage", stage));
        columns.push(encode::number("amount", 4, Int64Array::from(amount)));
        columns.push(encode::number("probability", 4, Int64Array::from(probability)));
        columns.extend(encode::dates("expected_close_date", &picked_dates(encoded, "close_date", &picked)?));
        columns.extend(encode::dates("valid_from", &Date32Array::from(from)));
        columns.extend(encode::dates("valid_until", &Date32Array::from(until)));
        Ok(columns)
    })
}

/// The first stay of every deal in every stage.
pub(crate) fn stage_entries(lake: &Lake) -> Result<Fact, QueryError> {
    build(lake, "stage_entries", "", &|rows, history, encoded| {
        let mut picked = Vec::new();
        let (mut stage, mut next, mut entered, mut left, mut days) = (vec![], vec![], vec![], vec![], vec![]);
        let (mut moved, mut lost, mut won, mut closed) = (vec![], vec![], vec![], vec![]);
        for (row, present, changes) in rows {
            for entry in entries(present, changes, history.open, history.won) {
                picked.push(*row);
                stage.push(entry.stage);
                next.push(entry.next_stage);
                entered.push(Some(entry.entered));
                left.push(entry.left);
                days.push(entry.days.map(i64::from));
                moved.push(entry.is_moved_on);
                lost.push(entry.is_lost_here);
                won.push(present.is_won);
                closed.push(!present.is_open);
            }
        }
        let mut columns = take(encoded, &picked, &|name| name != "stage" && !is_dropped(name))?;
        columns.push(encode::codes("stage", "stage", stage));
        columns.push(encode::codes("next_stage", "stage", next));
        columns.extend(encode::dates("entered_date", &Date32Array::from(entered)));
        columns.extend(encode::dates("left_date", &Date32Array::from(left)));
        columns.push(encode::number("days_in_stage", 0, Int64Array::from(days)));
        columns.push(encode::boolean("is_moved_on", BooleanArray::from(moved)));
        columns.push(encode::boolean("is_lost_here", BooleanArray::from(lost)));
        columns.push(encode::boolean("is_won", BooleanArray::from(won)));
        columns.push(encode::boolean("is_closed", BooleanArray::from(closed)));
        Ok(columns)
    })
}

/// Columns of the deal that its stays do not carry.
pub(super) fn is_dropped(name: &str) -> bool {
    matches!(name, "list_amount" | "discount_amount" | "forecast_category")
        || ["first_contact_date", "proposal_date", "signed_date"].iter().any(|date| name.starts_with(date))
}

pub(super) fn picked_dates(encoded: &[Encoded], name: &str, rows: &[u32]) -> Result<Date32Array, QueryError> {
    let taken = take(encoded, rows, &|column| column == name)?;
    taken
        .first()
        .and_then(|column| column.array.as_primitive_opt::<Date32Type>().cloned())
        .ok_or_else(|| QueryError::engine("deal history", format!("column `{name}` is missing")))
}

/// A row of the batch, its present state and its history.
pub(super) type DealRow<'a> = (u32, Present, &'a [Change]);
pub(super) type Rows<'a> = [DealRow<'a>];
pub(super) type Shape<'a> = &'a (dyn Fn(&Rows<'_>, &History, &[Encoded]) -> Result<Vec<Encoded>, QueryError> + Sync);

pub(super) fn build(lake: &Lake, name: &'static str, salt: &str, shape: Shape<'_>) -> Result<Fact, QueryError> {
    build_after(lake, name, salt, None, shape)
}

/// Looks at all deals before a table is made of them.
pub(super) type Look<'a> = &'a mut dyn FnMut(&Rows<'_>, &History, &[Encoded]) -> Result<(), QueryError>;

/// Makes a table of deals; where a row depends on all deals, `look` has seen them before.
pub(super) fn build_after(
    lake: &Lake,
    name: &'static str,
    salt: &str,
    look: Option<Look<'_>>,
    shape: Shape<'_>,
) -> Result<Fact, QueryError> {
    let mut depends_on = all_dependencies(&[&table::DEALS]);
    depends_on.push("stage_changes");
    if let Some(fact) = store::find(lake, name, &depends_on, salt) {
        return Ok(fact);
    }
    let interners = Interners::default();
    let dimensions = Dimensions::read(lake, &interners, &DIMENSIONS)?;
    let encoder = Encoder::new(&table::DEALS, &interners, &dimensions)?;
    let history = History::read(lake, &interners)?;
    let writer = FactWriter::create(lake, name, &depends_on, salt)?;
    let encode = |batch: &RecordBatch| -> Result<Vec<Encoded>, QueryError> {
        let batch = live_rows(batch)?;
        let encoded = encoder.encode(&batch)?;
        let rows = present_rows(&batch, &encoded, &interners, &history)?;
        shape(&rows, &history, &encoded)
    };
    let mut empty = writer.part(0);
    empty.write(encode(&RecordBatch::new_empty(arrow_schema(&table::DEALS)))?)?;
    let mut parts = vec![empty.close()?];
    let files = lake.files("deals")?;
    if let Some(look) = look {
        for file in &files {
            read_file(&file.path, &encoder.projection(), &mut |batch| {
                let batch = live_rows(batch)?;
                let encoded = encoder.encode(&batch)?;
                look(&present_rows(&batch, &encoded, &interners, &history)?, &history, &encoded)
            })?;
        }
    }
    let written: Vec<_> = files
        .par_iter()
        .enumerate()
        .map(|(number, file)| {
            let mut part = writer.part(number + 1);
            read_file(&file.path, &encoder.projection(), &mut |batch| part.write(encode(batch)?))?;
            part.close()
        })
        .collect::<Result<_, QueryError>>()?;
    parts.extend(written);
    writer.publish(parts, &interners)
}

fn present_rows<'h>(
    batch: &RecordBatch,
    encoded: &[Encoded],
    interners: &Interners,
    history: &'h History,
) -> Result<Vec<DealRow<'h>>, QueryError> {
    let sources = interners.domain("source_system").encode(column(batch, "source_system")?)?;
    let deals = strings(column(batch, "deal_id")?)?;
    let dates = |name: &str| -> Result<Date32Array, QueryError> {
        Ok(column(batch, name)?.as_primitive::<Date32Type>().clone())
    };
    let [created, closed] = [dates("created_date")?, dates("close_date")?];
    let statuses = interners.domain("status");
    let status = statuses.encode(column(batch, "status")?)?;
    let won = statuses.intern("won");
    let stages = encoded
        .iter()
        .find(|column| column.name == "stage")
        .map(|column| Arc::clone(&column.array) as ArrayRef)
        .ok_or_else(|| QueryError::engine("deal history", "column `stage` is missing"))?;
    let stages = stages.as_primitive::<arrow::datatypes::UInt32Type>();
    let [amount, probability] = [integers(encoded, "amount")?, integers(encoded, "probability")?];
    let day = |array: &Date32Array, row: usize| array.is_valid(row).then(|| array.value(row));
    let value = |array: &Int64Array, row: usize| array.is_valid(row).then(|| array.value(row));
    (0..batch.num_rows())
        .map(|row| {
            let present = Present {
                created: day(&created, row),
                closed: day(&closed, row),
                is_open: status[row] == history.open,
                is_won: status[row] == won,
                stage: stages.value(row),
                amount: value(&amount, row),
                probability: value(&probability, row),
                is_followed: history.sources.contains(&sources[row]),
            };
            let position = u32::try_from(row).map_err(|error| QueryError::engine("deal history", error))?;
            Ok((position, present, history.of(row_key(sources[row], deals.value(row)))))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: u32 = 1;
    const WON: u32 = 2;
    const LOST: u32 = 3;

    fn change(date: i32, from_stage: u32, stage: u32, status: u32, amount: i64) -> Change {
        Change {
            deal: 0,
            at: i64::from(date),
            tie: (0, 0, 0),
            date,
            stage,
            from_stage,
            status,
            from_status: 0,
            amount: Some(amount),
            from_amount: Some(amount),
            probability: None,
            from_probability: None,
            is_partial: false,
        }
    }

    fn present(is_open: bool, closed: Option<i32>) -> Present {
        Present {
            created: Some(10),
            closed,
            is_open,
            is_won: !is_open,
            stage: 9,
            amount: Some(900),
            probability: None,
            is_followed: true,
        }
    }

    #[test]
    fn without_history_a_deal_stays_from_creation_to_closing() {
        let stays = stays(&present(false, Some(30)), &[], (OPEN, WON), 99);
        let (amount, probability) = (Some(900), None);
        let stay = Stay { from: 10, until: Some(30), stage: 0, amount, probability, is_first: true, ends_won: true };
        assert_eq!(stays, vec![stay]);
    }

    #[test]
    fn the_present_row_has_the_last_word_and_closed_states_do_not_count() {
        let changes = [change(12, 5, 6, OPEN, 100), change(12, 6, 7, OPEN, 200), change(20, 7, 8, WON, 300)];
        let spans: Vec<_> = stays(&present(false, Some(18)), &changes, (OPEN, WON), 99)
            .iter()
            .map(|stay| (stay.from, stay.until, stay.stage))
            .collect();
        assert_eq!(spans, vec![(10, Some(12), 5), (12, Some(18), 7)]);
        let open: Vec<_> = stays(&present(true, Some(99)), &changes[..2], (OPEN, WON), 99)
            .iter()
            .map(|stay| (stay.from, stay.until, stay.stage, stay.amount))
            .collect();
        assert_eq!(open, vec![(10, Some(12), 5, Some(100)), (12, None, 9, Some(900))]);
    }

    #[test]
    fn a_row_about_one_field_leaves_the_others_as_they_were() {
        let nothing = Change { amount: None, from_amount: None, ..change(0, 0, 0, 0, 0) };
        let mut changes = [
            Change { date: 12, is_partial: true, amount: Some(200), ..nothing },
            Change { date: 14, is_partial: true, from_stage: 5, stage: 6, status: OPEN, ..nothing },
            Change { date: 16, is_partial: true, from_amount: Some(200), ..nothing },
            Change { date: 18, is_partial: true, from_stage: 6, stage: 7, status: OPEN, ..nothing },
        ];
        complete(&mut changes);
        let spans: Vec<_> = stays(&present(false, Some(30)), &changes, (OPEN, WON), 99)
            .iter()
            .map(|stay| (stay.from, stay.until, stay.stage, stay.amount))
            .collect();
        assert_eq!(
            spans,
            vec![
                (10, Some(12), 5, None),
                (12, Some(14), 5, Some(200)),
                (14, Some(16), 6, Some(200)),
                (16, Some(18), 6, None),
                (18, Some(30), 7, None)
            ]
        );
        let entered = |entry: &Entry| (entry.stage, entry.entered);
        let entries = entries(&present(false, Some(30)), &changes, OPEN, WON);
        assert_eq!(entries.iter().map(entered).collect::<Vec<_>>(), vec![(5, 10), (6, 14), (7, 18)]);
    }

    #[test]
    fn entries_count_first_stays_only() {
        let changes = [change(12, 5, 6, OPEN, 1), change(15, 6, 5, OPEN, 1), change(17, 5, 7, OPEN, 1)];
        let entries = entries(&present(false, Some(30)), &changes, OPEN, WON);
        let spans: Vec<_> =
            entries.iter().map(|entry| (entry.stage, entry.entered, entry.left, entry.is_moved_on)).collect();
        assert_eq!(spans, vec![(5, 10, Some(12), true), (6, 12, Some(15), true), (7, 17, Some(30), true)]);
    }

    #[test]
    fn a_stay_ends_where_the_deal_was_closed_even_if_it_was_opened_again() {
        let changes = [
            change(10, 0, 5, OPEN, 1),
            change(20, 5, 6, OPEN, 1),
            change(30, 6, 8, LOST, 1),
            Change { from_status: LOST, ..change(40, 8, 6, OPEN, 1) },
            change(45, 6, 7, OPEN, 1),
            change(50, 7, 9, WON, 1),
            change(60, 9, 4, OPEN, 1),
        ];
        let spans = |changes: &[Change]| -> Vec<_> {
            let entries = entries(&present(true, None), changes, OPEN, WON);
            let outcome = |entry: &Entry| (entry.is_moved_on, entry.is_lost_here);
            entries.iter().map(|entry| (entry.stage, entry.entered, entry.left, outcome(entry))).collect()
        };
        let (moved_on, lost, stays) = ((true, false), (false, true), (false, false));
        assert_eq!(
            spans(&changes),
            vec![
                (5, 10, Some(20), moved_on),
                (6, 20, Some(30), lost),
                (7, 45, Some(50), moved_on),
                (4, 60, None, stays)
            ]
        );
        // The stage that a closed deal was in is none of the pipeline.
        assert_eq!(spans(&changes[3..4]), vec![(6, 40, None, stays)]);
    }
}
