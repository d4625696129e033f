//! Currencies: never add up two, convert with dated rates, or say no.
//!
//! Cells of a money measure carry their currency. Without `--currency` a sum over more than one
//! currency is refused, unless the currency is one of the segments. With it every cell is
//! converted at the rate of its business date, exactly: amount times rate, no rounding before
//! the sum is complete. A rate that is missing directly is taken from its inverse or over a
//! third currency, rounded to the eight digits that rates have. Stocks are converted in `converted`.
//! An amount without a currency is in the only one that its table names; where there are several
//! it is in none of them, and nothing converts it.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type};
use dealframe_model::kpi::Compute;
use dealframe_model::{date, decimal};

use super::{kinds, past};
use crate::catalogue::{Catalogue, references};
use crate::error::QueryError;
use crate::facts::FactKind;
use crate::facts::encode::{column, live_rows, read_columns};
use crate::plan::Facts;
use crate::request::RateKind;

/// What is known of the currency of a series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Currency {
    /// No money, or no currency said anywhere.
    #[default]
    None,
    One(String),
    /// One per segment value, at this position of the segments.
    Segment(usize),
}

/// The currency of what is made of several series; refused where they have different ones.
pub(crate) fn common(kpi: &str, all: &[&Currency]) -> Result<Currency, QueryError> {
    not_mixed(
        kpi,
        all.iter().filter_map(|currency| match currency {
            Currency::One(name) => Some(name.as_str()),
            _ => None,
        }),
    )?;
    Ok(all.iter().find(|currency| ***currency != Currency::None).map_or(Currency::None, |known| (*known).clone()))
}

/// Refuses a KPI whose parts are in different currencies.
pub(crate) fn not_mixed<'c>(kpi: &str, names: impl Iterator<Item = &'c str>) -> Result<(), QueryError> {
    let names: BTreeSet<&str> = names.collect();
    if names.len() < 2 {
        return Ok(());
    }
    let currencies = names.into_iter().collect::<Vec<_>>().join(", ");
    Err(QueryError::MixedCurrencies { kpi: kpi.to_owned(), currencies })
}

/// The currency that the tables behind a KPI name, if they all name the same one.
pub(crate) fn only_currency(facts: &Facts, catalogue: &Catalogue, id: &str) -> Result<Option<String>, QueryError> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for table in tables(catalogue, id)? {
        let fact = facts.table(&table)?;
        if let Some(FactKind::Code { domain }) = fact.column("currency").map(|column| &column.kind) {
            names.extend(fact.labels(domain)?.iter().map(ToString::to_string));
        }
    }
    Ok(if names.len() == 1 { names.pop_first() } else { None })
}

/// The tables that a KPI reads.
fn tables(catalogue: &Catalogue, id: &str) -> Result<BTreeSet<String>, QueryError> {
    let compute = &catalogue.get(id)?.compute;
    let mut tables: BTreeSet<String> = past::sources(compute).into_iter().map(|(table, _)| table.to_owned()).collect();
    if let Compute::Recurring { movement } = compute {
        tables.insert(kinds::recurring(*movement).table);
    }
    for id in references(compute) {
        tables.extend(self::tables(catalogue, &id)?);
    }
    Ok(tables)
}

/// Exchange rates of the lake, read when first needed.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    loaded: Option<Table>,
}

type Table = BTreeMap<(String, String), BTreeMap<i32, i64>>;

const ONE: i128 = decimal::power_of_ten(decimal::RATE_SCALE);

impl Rates {
    fn table(&mut self, facts: &Facts, kind: RateKind) -> Result<&Table, QueryError> {
        match &mut self.loaded {
            Some(_) => {}
            slot => *slot = Some(read(facts, kind)?),
        }
        self.loaded.as_ref().ok_or_else(|| QueryError::engine("fx_rates", "no rates"))
    }

    /// The rate from one currency to another on a day, scaled by 10^8.
    pub(crate) fn rate(
        &mut self,
        facts: &Facts,
        kind: RateKind,
        from: &str,
        to: &str,
        day: i32,
    ) -> Result<i128, QueryError> {
        if from == to {
            return Ok(ONE);
        }
        let table = self.table(facts, kind)?;
        let direct = |from: &str, to: &str| -> Option<i128> {
            let known = |from: &str, to: &str| {
                table
                    .get(&(from.to_owned(), to.to_owned()))?
                    .range(..=day)
                    .next_back()
                    .map(|(_, rate)| i128::from(*rate))
            };
            known(from, to).or_else(|| known(to, from).and_then(|rate| decimal::divide_rounded(ONE * ONE, rate)))
        };
        if let Some(rate) = direct(from, to) {
            return Ok(rate);
        }
        let between: BTreeSet<&str> = table
            .keys()
            .flat_map(|(from, to)| [from.as_str(), to.as_str()])
            .filter(|name| *name != from && *name != to)
            .collect();
        between
            .into_iter()
            .find_map(|middle| decimal::divide_rounded(direct(from, middle)? * direct(middle, to)?, ONE))
            .ok_or_else(|| QueryError::MissingRate {
                from: from.to_owned(),
                to: to.to_owned(),
                date: date::format(day),
            })
    }
}

fn read(facts: &Facts, kind: RateKind) -> Result<Table, QueryError> {
    let mut table = Table::new();
    let columns = ["from_currency", "to_currency", "rate_date", "rate", "kind", "is_deleted"];
    read_columns(&facts.lake, "fx_rates", &columns, &mut |batch| {
        let batch = live_rows(batch)?;
        let text = |name: &str| -> Result<arrow::array::StringArray, QueryError> {
            let cast = arrow::compute::cast(column(&batch, name)?, &DataType::Utf8)
                .map_err(|error| QueryError::engine("fx_rates", error))?;
            Ok(cast.as_string::<i32>().clone())
        };
        let (from, to, kinds) = (text("from_currency")?, text("to_currency")?, text("kind")?);
        let dates = column(&batch, "rate_date")?.as_primitive::<Date32Type>();
        let rates = column(&batch, "rate")?.as_primitive::<Decimal128Type>();
        for row in 0..batch.num_rows() {
            let own = if kinds.is_valid(row) { kinds.value(row) } else { "spot" };
            if own != kind.name() || rates.is_null(row) || dates.is_null(row) {
                continue;
            }
            let rate = i64::try_from(rates.value(row)).map_err(|error| QueryError::engine("fx_rates", error))?;
            table
                .entry((from.value(row).to_owned(), to.value(row).to_owned()))
                .or_default()
                .insert(dates.value(row), rate);
        }
        Ok(())
    })?;
    Ok(table)
}

/// Columns whose values are amounts of money in the row's currency.
pub(crate) fn is_amount(column: &str) -> bool {
    column.ends_with("amount") || column.ends_with("price") || column == "annual_revenue"
}
