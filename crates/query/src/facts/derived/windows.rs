//! Times in which an account was an active customer.
//!
//! By purchase: from a won deal or an order until 365 days later, unbroken while the next
//! purchase comes within those days. By contract: the union of its paid subscriptions and of
//! the contract dates of the account itself. A window starts on `active_from` and has ended on
//! `active_until`; null means that no end is known.

use arrow::array::{Array, AsArray, Date32Array, RecordBatch};
use arrow::datatypes::Date32Type;
use dealframe_lake::Lake;
use dealframe_lake::schema::arrow_schema;
use dealframe_model::table;
use hashbrown::HashMap;

use crate::error::QueryError;
use crate::facts::Fact;
use crate::facts::build::{ACCOUNTS, all_dependencies, is_won, read_live, take, undescribed_accounts};
use crate::facts::dictionary::{Interners, strings};
use crate::facts::dimension::{DIMENSIONS, Dimensions};
use crate::facts::encode::{self, Encoded, Encoder, column, live_rows, read_columns};
use crate::facts::store::{self, FactWriter};

/// Days after a purchase during which an account counts as active.
const ACTIVE_DAYS: i32 = 365;

/// From, until; by account code.
type Windows = HashMap<u32, Vec<(i32, Option<i32>)>>;

pub(crate) fn purchase_windows(lake: &Lake) -> Result<Fact, QueryError> {
    build(lake, "purchase_windows", &["deals", "orders"], &|interners| {
        let mut windows = Windows::default();
        read_live(lake, "deals", &["account_id", "status", "close_date"], interners, &mut |batch, sources| {
            let won = is_won(batch, interners)?;
            purchases(batch, sources, interners, "close_date", &|row| won[row], &mut windows)
        })?;
        let order = interners.domain("kind").intern("order");
        let invoice = interners.domain("kind").intern("invoice");
        read_live(lake, "orders", &["account_id", "kind", "order_date"], interners, &mut |batch, sources| {
            let kinds = interners.domain("kind").encode(column(batch, "kind")?)?;
            let counts = |row: usize| kinds[row] == order || kinds[row] == invoice;
            purchases(batch, sources, interners, "order_date", &counts, &mut windows)
        })?;
        Ok(windows)
    })
}

fn purchases(
    batch: &RecordBatch,
    sources: &[u32],
    interners: &Interners,
    date: &str,
    counts: &dyn Fn(usize) -> bool,
    windows: &mut Windows,
) -> Result<(), QueryError> {
    let accounts = interners.keys(ACCOUNTS).encode(strings(column(batch, "account_id")?)?, sources);
    let dates = column(batch, date)?.as_primitive::<Date32Type>();
    for row in (0..batch.num_rows()).filter(|row| counts(*row)) {
        if accounts[row] != 0 && dates.is_valid(row) {
            let day = dates.value(row);
            windows.entry(accounts[row]).or_default().push((day, Some(day + ACTIVE_DAYS)));
        }
    }
    Ok(())
}

pub(crate) fn contract_windows(lake: &Lake) -> Result<Fact, QueryError> {
    build(lake, "contract_windows", &["subscriptions", "accounts"], &|interners| {
        let mut windows = Windows::default();
        let columns = ["account_id", "is_trial", "start_date", "end_date"];
        read_live(lake, "subscriptions", &columns, interners, &mut |batch, sources| {
            let trial = column(batch, "is_trial")?.as_boolean().clone();
            let paid = |row: usize| !(trial.is_valid(row) && trial.value(row));
            spans(batch, sources, interners, ["start_date", "end_date"], &paid, &mut windows)
        })?;
        let columns = ["account_id", "contract_start_date", "contract_end_date", "cancelled_date"];
        read_live(lake, "accounts", &columns, interners, &mut |batch, sources| {
            // A contract ends when it was cancelled; its planned end may be renewed.
            spans(batch, sources, interners, ["contract_start_date", "cancelled_date"], &|_| true, &mut windows)
        })?;
        Ok(windows)
    })
}

fn spans(
    batch: &RecordBatch,
    sources: &[u32],
    interners: &Interners,
    [start, end]: [&str; 2],
    counts: &dyn Fn(usize) -> bool,
    windows: &mut Windows,
) -> Result<(), QueryError> {
    let accounts = interners.keys(ACCOUNTS).encode(strings(column(batch, "account_id")?)?, sources);
    let starts = column(batch, start)?.as_primitive::<Date32Type>();
    let ends = column(batch, end)?.as_primitive::<Date32Type>();
    for row in (0..batch.num_rows()).filter(|row| counts(*row)) {
        if accounts[row] != 0 && starts.is_valid(row) {
            let until = ends.is_valid(row).then(|| ends.value(row));
            windows.entry(accounts[row]).or_default().push((starts.value(row), until));
        }
    }
    Ok(())
}

/// Overlapping and touching windows become one; empty ones vanish.
fn merged(mut windows: Vec<(i32, Option<i32>)>) -> Vec<(i32, Option<i32>)> {
    windows.retain(|(from, until)| until.is_none_or(|until| until > *from));
    windows.sort_unstable_by_key(|(from, until)| (*from, until.unwrap_or(i32::MAX)));
    let mut result: Vec<(i32, Option<i32>)> = Vec::with_capacity(windows.len());
    for (from, until) in windows {
        match result.last_mut() {
            Some((_, end)) if end.is_none_or(|end| from <= end) => {
                *end = match (*end, until) {
                    (Some(end), Some(until)) => Some(end.max(until)),
                    _ => None,
                };
            }
            _ => result.push((from, until)),
        }
    }
    result
}

type Collect<'c> = &'c dyn Fn(&Interners) -> Result<Windows, QueryError>;

fn build(lake: &Lake, name: &'static str, tables: &[&'static str], collect: Collect<'_>) -> Result<Fact, QueryError> {
    let mut depends_on = all_dependencies(&[&table::ACCOUNTS]);
    depends_on.extend(tables);
    depends_on.sort_unstable();
    depends_on.dedup();
    if let Some(fact) = store::find(lake, name, &depends_on, "") {
        return Ok(fact);
    }
    let interners = Interners::default();
    let dimensions = Dimensions::read(lake, &interners, &DIMENSIONS)?;
    let known = interners.keys(ACCOUNTS).len();
    let encoder = Encoder::new(&table::ACCOUNTS, &interners, &dimensions)?;
    let windows: Windows = collect(&interners)?.into_iter().map(|(account, spans)| (account, merged(spans))).collect();
    let writer = FactWriter::create(lake, name, &depends_on, "")?;
    let encode = |batch: &RecordBatch| -> Result<Vec<Encoded>, QueryError> {
        let batch = live_rows(batch)?;
        let encoded = encoder.encode(&batch)?;
        let sources = interners.domain("source_system").encode(column(&batch, "source_system")?)?;
        let accounts = interners.keys(ACCOUNTS).encode(strings(column(&batch, "account_id")?)?, &sources);
        let (mut picked, mut codes, mut from, mut until) = (vec![], vec![], vec![], vec![]);
        for (row, account) in accounts.iter().enumerate() {
            for (start, end) in windows.get(account).into_iter().flatten() {
                picked.push(u32::try_from(row).map_err(|error| QueryError::engine("windows", error))?);
                codes.push(*account);
                from.push(Some(*start));
                until.push(*end);
            }
        }
        let mut columns = take(&encoded, &picked, &|_| true)?;
        columns.push(encode::codes("account_id", "key-of-accounts", codes));
        columns.extend(encode::dates("active_from", &Date32Array::from(from)));
        columns.extend(encode::dates("active_until", &Date32Array::from(until)));
        Ok(columns)
    };
    let mut part = writer.part(0);
    part.write(encode(&RecordBatch::new_empty(arrow_schema(&table::ACCOUNTS)))?)?;
    read_columns(lake, ACCOUNTS, &encoder.projection(), &mut |batch| part.write(encode(batch)?))?;
    part.write(encode(&undescribed_accounts(&interners, known)?)?)?;
    writer.publish(vec![part.close()?], &interners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_windows_become_one() {
        assert_eq!(
            merged(vec![(20, Some(30)), (10, Some(20)), (40, None), (5, Some(5)), (50, Some(60))]),
            vec![(10, Some(30)), (40, None)]
        );
    }
}
