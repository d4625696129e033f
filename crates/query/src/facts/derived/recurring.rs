//! Movements of recurring revenue, account by account and day by day.
//!
//! The recurring revenue of an account is the sum of its paid subscriptions that run on a day:
//! from their start date until the day before their end date. Where the sum changes, the change
//! is one movement: `new` from nothing for the first time, `reactivation` from nothing later,
//! `churn` to nothing, else `expansion` or `contraction`. So the movements of any span add up to
//! the change of recurring revenue over it, for every segment of accounts. An account that pays in
//! several currencies is one customer: every currency has its own change, and whether the account
//! came, stayed or left is seen over all of them.

use arrow::array::{Array, AsArray, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::Date32Type;
use dealframe_lake::Lake;
use dealframe_lake::schema::arrow_schema;
use dealframe_model::table;
use hashbrown::HashMap;

use crate::error::QueryError;
use crate::facts::Fact;
use crate::facts::build::{ACCOUNTS, all_dependencies, read_live, take, undescribed_accounts};
use crate::facts::dictionary::{Interners, strings};
use crate::facts::dimension::{DIMENSIONS, Dimensions};
use crate::facts::encode::{self, Encoded, Encoder, column, decimals, live_rows, read_columns};
use crate::facts::store::{self, FactWriter};

/// Day, currency code and signed amount; by account.
type Deltas = HashMap<u32, Vec<(i32, u32, i64)>>;

/// The words for what a change of an account's recurring revenue is.
pub(crate) const MOVEMENTS: [&str; 5] = ["new", "expansion", "contraction", "churn", "reactivation"];

#[derive(Debug, PartialEq, Eq)]
struct Step {
    currency: u32,
    date: i32,
    movement: &'static str,
    amount: i64,
}

pub(crate) fn mrr_changes(lake: &Lake) -> Result<Fact, QueryError> {
    let name = "mrr_changes";
    let mut depends_on = all_dependencies(&[&table::ACCOUNTS]);
    depends_on.push("subscriptions");
    if let Some(fact) = store::find(lake, name, &depends_on, "") {
        return Ok(fact);
    }
    let interners = Interners::default();
    let dimensions = Dimensions::read(lake, &interners, &DIMENSIONS)?;
    let known = interners.keys(ACCOUNTS).len();
    let encoder = Encoder::new(&table::ACCOUNTS, &interners, &dimensions)?;
    let deltas = read_deltas(lake, &interners)?;
    let movements = interners.domain("movement");
    let writer = FactWriter::create(lake, name, &depends_on, "")?;
    let encode = |batch: &RecordBatch| -> Result<Vec<Encoded>, QueryError> {
        let batch = live_rows(batch)?;
        let encoded = encoder.encode(&batch)?;
        let sources = interners.domain("source_system").encode(column(&batch, "source_system")?)?;
        let accounts = interners.keys(ACCOUNTS).encode(strings(column(&batch, "account_id")?)?, &sources);
        let (mut picked, mut codes, mut currency) = (vec![], vec![], vec![]);
        let (mut dates, mut kinds, mut amounts) = (vec![], vec![], vec![]);
        for (row, account) in accounts.iter().enumerate() {
            for step in deltas.get(account).map(|deltas| steps(deltas)).into_iter().flatten() {
                picked.push(u32::try_from(row).map_err(|error| QueryError::engine("recurring revenue", error))?);
                codes.push(*account);
                currency.push(step.currency);
                dates.push(Some(step.date));
                kinds.push(movements.intern(step.movement));
                amounts.push(Some(step.amount));
            }
        }
        let mut columns = take(&encoded, &picked, &|name| name != "currency")?;
        columns.push(encode::codes("account_id", "key-of-accounts", codes));
        columns.push(encode::codes("currency", "currency", currency));
        columns.push(encode::codes("movement", "movement", kinds));
        columns.extend(encode::dates("change_date", &Date32Array::from(dates)));
        columns.push(encode::number("amount", 4, Int64Array::from(amounts)));
        Ok(columns)
    };
    let mut part = writer.part(0);
    part.write(encode(&RecordBatch::new_empty(arrow_schema(&table::ACCOUNTS)))?)?;
    read_columns(lake, ACCOUNTS, &encoder.projection(), &mut |batch| part.write(encode(batch)?))?;
    part.write(encode(&undescribed_accounts(&interners, known)?)?)?;
    writer.publish(vec![part.close()?], &interners)
}

fn read_deltas(lake: &Lake, interners: &Interners) -> Result<Deltas, QueryError> {
    let mut deltas = Deltas::default();
    let columns = ["account_id", "is_trial", "start_date", "end_date", "mrr_amount", "currency"];
    read_live(lake, "subscriptions", &columns, interners, &mut |batch, sources| {
        let accounts = interners.keys(ACCOUNTS).encode(strings(column(batch, "account_id")?)?, sources);
        let currencies = interners.domain("currency").encode(column(batch, "currency")?)?;
        let trial = column(batch, "is_trial")?.as_boolean();
        let starts = column(batch, "start_date")?.as_primitive::<Date32Type>();
        let ends = column(batch, "end_date")?.as_primitive::<Date32Type>();
        let amounts = decimals(column(batch, "mrr_amount")?)?;
        for row in 0..batch.num_rows() {
            let is_trial = trial.is_valid(row) && trial.value(row);
            if is_trial || accounts[row] == 0 || starts.is_null(row) || amounts.is_null(row) {
                continue;
            }
            let (start, amount) = (starts.value(row), amounts.value(row));
            let target = deltas.entry(accounts[row]).or_default();
            if ends.is_valid(row) {
                if ends.value(row) <= start {
                    continue;
                }
                target.push((ends.value(row), currencies[row], -amount));
            }
            target.push((start, currencies[row], amount));
        }
        Ok(())
    })?;
    for target in deltas.values_mut() {
        target.sort_unstable();
    }
    Ok(deltas)
}

/// The movements of one account, from its deltas in the order of days and currencies.
fn steps(deltas: &[(i32, u32, i64)]) -> Vec<Step> {
    let mut result = Vec::new();
    // What the account pays in every currency; it is a customer while it pays in any.
    let mut levels: HashMap<u32, i64> = HashMap::new();
    let mut was_customer = false;
    for today in deltas.chunk_by(|left, right| left.0 == right.0) {
        let paid_before = levels.values().any(|level| *level != 0);
        let mut amounts: Vec<(u32, i64)> = Vec::new();
        for changes in today.chunk_by(|left, right| left.1 == right.1) {
            let (currency, amount) = (changes[0].1, changes.iter().map(|(.., amount)| amount).sum());
            *levels.entry(currency).or_insert(0) += amount;
            amounts.extend((amount != 0).then_some((currency, amount)));
        }
        let pays_now = levels.values().any(|level| *level != 0);
        for (currency, amount) in amounts {
            let movement = match (paid_before, pays_now) {
                (false, _) if !was_customer => "new",
                (false, _) => "reactivation",
                (true, false) => "churn",
                (true, true) if amount > 0 => "expansion",
                (true, true) => "contraction",
            };
            result.push(Step { currency, date: today[0].0, movement, amount });
        }
        was_customer |= pays_now;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn movements_add_up_to_the_level() {
        let deltas = [(10, 1, 100), (20, 1, 50), (30, 1, -120), (40, 1, -30), (60, 1, 80), (70, 1, 0)];
        let steps = steps(&deltas);
        let kinds: Vec<_> = steps.iter().map(|step| step.movement).collect();
        assert_eq!(kinds, MOVEMENTS);
        assert_eq!(steps.iter().map(|step| step.amount).sum::<i64>(), 80);
    }

    #[test]
    fn an_account_is_one_customer_in_all_its_currencies() {
        let deltas = [(10, 1, 100), (20, 2, 50), (30, 2, -50), (40, 1, -100), (40, 2, 110), (50, 2, -110), (60, 1, 9)];
        let kinds: Vec<_> = steps(&deltas).iter().map(|step| (step.currency, step.movement)).collect();
        let expected = [
            (1, "new"),
            (2, "expansion"),
            (2, "contraction"),
            // Another currency from one day to the next is no loss and no new customer.
            (1, "contraction"),
            (2, "expansion"),
            (2, "churn"),
            (1, "reactivation"),
        ];
        assert_eq!(kinds, expected);
    }
}
