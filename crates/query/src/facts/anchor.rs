//! The newest business date of a lake: "now" for every question that names no other day.
//!
//! The wall clock is never asked: the same lake gives the same answer on any day. The export
//! date of the newest batch (`ingest --as-of`) decides where there is one; else the newest date
//! on which something has happened. Dates that lie ahead by nature (expected closing, due
//! tasks, targets, the agreed end of a subscription) do not count.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type};
use dealframe_lake::{DataFile, Lake};
use dealframe_model::table;
use rayon::prelude::*;

use super::encode::{column, live_rows, read_file};
use super::store;
use crate::error::QueryError;

/// Dates on which something has happened, whatever the state of the row.
pub(crate) const HAPPENED: [(&str, &str); 9] = [
    ("deals", "created_date"),
    ("stage_changes", "changed_date"),
    ("leads", "created_date"),
    ("accounts", "created_date"),
    ("orders", "order_date"),
    ("tickets", "created_date"),
    ("surveys", "response_date"),
    ("referrals", "referral_date"),
    ("events", "event_date"),
];

/// Name under which the date is kept; another one whenever other dates count.
const NOTE: &str = "anchor-2";

/// Words of a subscription that has not begun, whatever its start date says.
const AHEAD: [&str; 6] = ["future", "scheduled", "pending", "draft", "not started", "not_started"];
/// Words of a subscription that has ended.
const ENDED: [&str; 7] = ["cancelled", "canceled", "ended", "expired", "churned", "terminated", "inactive"];

/// As [`newest_date`], found once for every state of a lake.
pub(crate) fn cached(lake: &Lake) -> Result<Option<i32>, QueryError> {
    if let Some(known) = store::read_note(lake, NOTE) {
        return Ok(known.parse().ok());
    }
    let newest = newest_date(lake)?;
    store::write_note(lake, NOTE, &newest.map_or_else(|| "none".to_owned(), |day| day.to_string()));
    Ok(newest)
}

/// The newest business date, `None` for a lake without any date.
fn newest_date(lake: &Lake) -> Result<Option<i32>, QueryError> {
    if let Some(day) = lake.batches()?.last().and_then(|batch| batch.as_of) {
        return Ok(Some(day));
    }
    let mut newest = closed_deals(lake)?.max(subscriptions(lake)?);
    for (table, date) in HAPPENED {
        newest = newest.max(newest_of(lake, table, date)?);
    }
    if newest.is_none() {
        for table in table::TABLES {
            if let Some(date) = table.business_date {
                newest = newest.max(newest_of(lake, table.name, date)?);
            }
        }
    }
    Ok(newest)
}

fn newest_of(lake: &Lake, table: &str, date: &str) -> Result<Option<i32>, QueryError> {
    newest_in(lake, table, &[date], &|batch| Ok(arrow::compute::max(column(batch, date)?.as_primitive::<Date32Type>())))
}

/// The newest of the days that `of` finds in the live rows of a table; its files are read side by side.
fn newest_in(lake: &Lake, table: &str, columns: &[&str], of: OfBatch<'_>) -> Result<Option<i32>, QueryError> {
    let columns = [columns, &["is_deleted"]].concat();
    let of_file = |file: &DataFile| -> Result<Option<i32>, QueryError> {
        let mut newest = None;
        read_file(&file.path, &columns, &mut |batch| {
            newest = newest.max(of(&live_rows(batch)?)?);
            Ok(())
        })?;
        Ok(newest)
    };
    let newest = lake.files(table)?.par_iter().map(of_file).collect::<Result<Vec<_>, _>>()?;
    Ok(newest.into_iter().flatten().max())
}

/// The newest day of a batch that counts.
type OfBatch<'o> = &'o (dyn Fn(&RecordBatch) -> Result<Option<i32>, QueryError> + Sync);

fn closed_deals(lake: &Lake) -> Result<Option<i32>, QueryError> {
    newest_in(lake, "deals", &["status", "close_date"], &|batch| {
        let mut newest = None;
        let dates = column(batch, "close_date")?.as_primitive::<Date32Type>();
        let status = column(batch, "status")?.as_dictionary::<Int32Type>();
        let names = status.values().as_string::<i32>();
        let open: Vec<bool> = (0..names.len()).map(|code| names.value(code) == "open").collect();
        for (date, code) in dates.iter().zip(status.keys().iter()) {
            if code.is_some_and(|code| !open[code as usize]) {
                newest = newest.max(date);
            }
        }
        Ok(newest)
    })
}

/// Starts of subscriptions that have begun, and ends of those that have ended.
fn subscriptions(lake: &Lake) -> Result<Option<i32>, QueryError> {
    newest_in(lake, "subscriptions", &["start_date", "cancelled_date", "end_date", "status"], &|batch| {
        let mut newest = None;
        let status = column(batch, "status")?.as_dictionary::<Int32Type>();
        let names = status.values().as_string::<i32>();
        let is_one_of = |list: &[&str]| -> Vec<bool> {
            (0..names.len()).map(|code| list.iter().any(|word| word.eq_ignore_ascii_case(names.value(code)))).collect()
        };
        let (ahead, ended) = (is_one_of(&AHEAD), is_one_of(&ENDED));
        // Without a status the date of a cancellation is believed, the end of a contract is not.
        let counts: [(&str, &[bool], bool, bool); 3] = [
            ("start_date", &ahead, false, true),
            ("cancelled_date", &ended, true, true),
            ("end_date", &ended, true, false),
        ];
        for (name, words, wanted, unknown) in counts {
            let dates = column(batch, name)?.as_primitive::<Date32Type>();
            for (date, code) in dates.iter().zip(status.keys().iter()) {
                if code.map_or(unknown, |code| words[code as usize] == wanted) {
                    newest = newest.max(date);
                }
            }
        }
        Ok(newest)
    })
}
