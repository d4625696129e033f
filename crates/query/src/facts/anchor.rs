//! The newest business date of a lake: "now" for every question that names no other day.
//!
//! The wall clock is never asked: the same lake gives the same answer on any day. The export
//! date of the newest batch (`ingest --as-of`) decides where there is one; else the newest date
//! on which something has happened. Dates that lie ahead by nature (expected closing, due
//! tasks, targets) do not count.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Int32Type};
use dealframe_lake::Lake;
use dealframe_model::table;

use super::encode::{column, live_rows, read_columns};
use super::store;
use crate::error::QueryError;

/// Dates on which something has happened, whatever the state of the row.
const HAPPENED: [(&str, &str); 9] = [
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

/// As [`newest_date`], found once for every state of a lake.
pub(crate) fn cached(lake: &Lake) -> Result<Option<i32>, QueryError> {
    if let Some(known) = store::read_note(lake, "anchor") {
        return Ok(known.parse().ok());
    }
    let newest = newest_date(lake)?;
    store::write_note(lake, "anchor", &newest.map_or_else(|| "none".to_owned(), |day| day.to_string()));
    Ok(newest)
}

/// The newest business date, `None` for a lake without any date.
fn newest_date(lake: &Lake) -> Result<Option<i32>, QueryError> {
    if let Some(day) = lake.batches()?.last().and_then(|batch| batch.as_of) {
        return Ok(Some(day));
    }
    let mut newest = closed_deals(lake)?;
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
    let mut newest = None;
    read_columns(lake, table, &[date, "is_deleted"], &mut |batch| {
        let batch = live_rows(batch)?;
        newest = newest.max(arrow::compute::max(column(&batch, date)?.as_primitive::<Date32Type>()));
        Ok(())
    })?;
    Ok(newest)
}

fn closed_deals(lake: &Lake) -> Result<Option<i32>, QueryError> {
    let mut newest = None;
    read_columns(lake, "deals", &["status", "close_date", "is_deleted"], &mut |batch| {
        let batch = live_rows(batch)?;
        let dates = column(&batch, "close_date")?.as_primitive::<Date32Type>();
        let status = column(&batch, "status")?.as_dictionary::<Int32Type>();
        let names = status.values().as_string::<i32>();
        let open: Vec<bool> = (0..names.len()).map(|code| names.value(code) == "open").collect();
        for (date, code) in dates.iter().zip(status.keys().iter()) {
            if code.is_some_and(|code| !open[code as usize]) {
                newest = newest.max(date);
            }
        }
        Ok(())
    })?;
    Ok(newest)
}
