//! Canonical tables to fact tables.
//!
//! Files of the lake are worked on in parallel, one part each. Some tables get columns that no
//! export has, because KPIs need them and they take a look at the whole table: a deal knows
//! whether it was its account's first, an account knows when it became a customer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Int64Type, Schema, TimestampMicrosecondType};
use dealframe_lake::Lake;
use dealframe_lake::schema::arrow_schema;
use dealframe_model::table::{self, Table};
use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use super::derived::deal_history::History;
use super::dictionary::{AsHashed, Interners, row_key, strings};
use super::dimension::{DIMENSIONS, Dimensions};
use super::encode::{self, Encoded, Encoder, column, decimals, live_rows, read_file};
use super::store::{self, FactWriter};
use super::{Fact, carry};
use crate::error::QueryError;

/// Tables whose versions decide whether the fact table of `table` is still valid.
pub(crate) fn dependencies(table: &Table) -> Vec<&'static str> {
    let mut tables = vec![table.name];
    tables.extend(DIMENSIONS);
    match table.name {
        "deals" => tables.push("leads"),
        "accounts" => tables.push("deals"),
        "leads" => tables.push("activities"),
        "line_items" => tables.extend(["deals", "orders"]),
        _ => {}
    }
    tables.sort_unstable();
    tables.dedup();
    // The constant's copy, so that the names live as long as the program.
    tables.into_iter().filter_map(|name| table::table(name).map(|table| table.name)).collect()
}

/// The fact table of a canonical table, made now if there is no valid one.
pub(crate) fn canonical(lake: &Lake, table: &'static Table) -> Result<Fact, QueryError> {
    let depends_on = dependencies(table);
    if let Some(fact) = store::find(lake, table.name, &depends_on, "") {
        return Ok(fact);
    }
    if let Some(fact) = carry::carried(lake, table, &depends_on)? {
        return Ok(fact);
    }
    let interners = Interners::default();
    let read_dimensions = || -> Result<_, QueryError> {
        let dimensions = Dimensions::read(lake, &interners, &DIMENSIONS)?;
        Ok((dimensions, interners.keys(ACCOUNTS).len()))
    };
    let read_extra = || Extra::read(lake, table, &interners);
    let (dimensions, extra) = if table.name == ACCOUNTS {
        // One after the other: which accounts have no row of their own is seen from what comes after the dimension.
        (read_dimensions(), read_extra())
    } else {
        rayon::join(read_dimensions, read_extra)
    };
    let ((dimensions, known_accounts), extra) = (dimensions?, extra?);
    let writer = FactWriter::create(lake, table.name, &depends_on, "")?;
    let keeps = carry::is_possible(table);
    let encoder = Encoder::with(table, &interners, &|name, target, path, domain| {
        let codes = dimensions.resolve(target, path, domain);
        if keeps {
            writer.write_lookup(name, &codes)?;
        }
        Ok(codes)
    })?;
    let mut projection = encoder.projection();
    projection.extend(extra.projection());
    let sources = interners.domain("source_system");
    let encode = |batch: &RecordBatch| -> Result<Vec<Encoded>, QueryError> {
        let batch = live_rows(batch)?;
        let mut encoded = encoder.encode(&batch)?;
        if keeps {
            encoded.push(encode::row_keys(&batch, table, &sources)?);
        }
        extra.extend(&batch, &interners, &mut encoded)?;
        Ok(encoded)
    };
    let mut empty = writer.part(0);
    empty.write(encode(&RecordBatch::new_empty(arrow_schema(table)))?)?;
    let mut parts = vec![empty.close()?];
    let files = lake.files(table.name)?;
    let written: Vec<_> = files
        .par_iter()
        .enumerate()
        .map(|(number, file)| {
            let mut part = writer.part(number + 1);
            read_file(&file.path, &projection, &mut |batch| part.write(encode(batch)?))?;
            part.close()
        })
        .collect::<Result<_, QueryError>>()?;
    parts.extend(written);
    if table.name == ACCOUNTS {
        // Customers that no account row describes are customers all the same.
        let mut part = writer.part(files.len() + 1);
        part.write(encode(&undescribed_accounts(&interners, known_accounts)?)?)?;
        parts.push(part.close()?);
    }
    writer.publish(parts, &interners)
}

/// Rows for the accounts that are referred to but not described, beyond the first `known` keys.
pub(crate) fn undescribed_accounts(interners: &Interners, known: usize) -> Result<RecordBatch, QueryError> {
    let orphans = interners.keys(ACCOUNTS).after(known);
    let sources = interners.domain("source_system").labels();
    let schema = arrow_schema(&table::ACCOUNTS);
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> Result<ArrayRef, QueryError> {
            let text: ArrayRef = match field.name().as_str() {
                "account_id" => Arc::new(orphans.iter().map(|(id, _)| Some(&**id)).collect::<StringArray>()),
                "source_system" => Arc::new(
                    orphans
                        .iter()
                        .map(|(_, code)| sources.get((*code as usize).wrapping_sub(1)).map(|label| &**label))
                        .collect::<StringArray>(),
                ),
                _ => return Ok(arrow::array::new_null_array(field.data_type(), orphans.len())),
            };
            arrow::compute::cast(&text, field.data_type()).map_err(|error| QueryError::engine("facts", error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let schema =
        Schema::new(schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns).map_err(|error| QueryError::engine("facts", error))
}

/// Columns that take a look at more than the row itself.
enum Extra {
    None,
    Deals { first_won: FirstWonDeals, lead_created: LeadDates },
    Accounts { won: HashMap<u32, WonSummary> },
    Leads { first_activity: HashMap<u128, i64> },
    LineItems { sales: Sales },
    StageChanges { history: History },
}

/// What lines of products are part of.
struct Sales {
    deals: DealDates,
    orders: HashMap<u128, Order>,
    /// Deals that have lines of their own.
    with_lines: HashSet<u128>,
}

/// Status code and close date, by source and identifier of the deal.
type DealDates = HashMap<u128, (u32, Option<i32>)>;

/// As much of an order as its lines need.
#[derive(Debug, Clone, Copy)]
struct Order {
    /// Not an invoice, a payment or a credit.
    is_order: bool,
    deal: Option<u128>,
    date: Option<i32>,
}

/// What a line says of its sale.
struct Sale {
    is_sale: bool,
    status: u32,
    closed: Option<i32>,
    ordered: Option<i32>,
}

impl Sales {
    fn read(lake: &Lake, interners: &Interners) -> Result<Self, QueryError> {
        let (deals, orders) = (deal_dates(lake, interners)?, orders(lake, interners)?);
        let mut with_lines = HashSet::new();
        read_live(lake, "line_items", &["deal_id", "order_id"], interners, &mut |batch, sources| {
            for (deal, order) in line_keys(batch, sources)? {
                let is_order = order.and_then(|order| orders.get(&order)).is_none_or(|order| order.is_order);
                with_lines.extend(deal.filter(|_| is_order));
            }
            Ok(())
        })?;
        Ok(Self { deals, orders, with_lines })
    }

    /// A line belongs to the deal that it names, else to its order and through it to the deal of the order.
    ///
    /// Sold is what a deal or an order sold; the lines of an invoice or a credit are those of the order again,
    /// and those of an order are those of its deal again where the deal has lines.
    fn of(&self, (named, order): LineKeys) -> Sale {
        let order = order.and_then(|order| self.orders.get(&order));
        let through = order.and_then(|order| order.deal).filter(|_| named.is_none());
        let key = named.or(through);
        let deal = key.and_then(|key| self.deals.get(&key));
        let is_again = through.is_some_and(|deal| self.with_lines.contains(&deal));
        Sale {
            is_sale: order.is_none_or(|order| order.is_order) && !is_again && (key.is_none() || deal.is_some()),
            status: deal.map_or(0, |(status, _)| *status),
            closed: deal.and_then(|(_, closed)| *closed),
            ordered: order.and_then(|order| order.date),
        }
    }
}

/// Names of the deal and of the order of a line.
type LineKeys = (Option<u128>, Option<u128>);

fn line_keys(batch: &RecordBatch, sources: &[u32]) -> Result<Vec<LineKeys>, QueryError> {
    let (deals, orders) = (strings(column(batch, "deal_id")?)?, strings(column(batch, "order_id")?)?);
    let key = |ids: &StringArray, row: usize| ids.is_valid(row).then(|| row_key(sources[row], ids.value(row)));
    Ok((0..batch.num_rows()).map(|row| (key(deals, row), key(orders, row))).collect())
}

fn orders(lake: &Lake, interners: &Interners) -> Result<HashMap<u128, Order>, QueryError> {
    let mut orders = HashMap::new();
    // The kinds of orders are none of the labels of lines.
    let kinds = Interners::default().domain("kind");
    let order = kinds.intern("order");
    read_live(lake, "orders", &["order_id", "kind", "deal_id", "order_date"], interners, &mut |batch, sources| {
        let (ids, deals) = (strings(column(batch, "order_id")?)?, strings(column(batch, "deal_id")?)?);
        let codes = kinds.encode(column(batch, "kind")?)?;
        let dates = column(batch, "order_date")?.as_primitive::<Date32Type>();
        for (row, source) in sources.iter().enumerate() {
            let known = Order {
                is_order: codes[row] == order,
                deal: deals.is_valid(row).then(|| row_key(*source, deals.value(row))),
                date: dates.is_valid(row).then(|| dates.value(row)),
            };
            orders.insert(row_key(*source, ids.value(row)), known);
        }
        Ok(())
    })?;
    Ok(orders)
}

#[derive(Debug, Clone)]
struct FirstWon {
    date: i32,
    deal_id: Box<str>,
}

#[derive(Debug, Clone, Default)]
struct WonSummary {
    first: Option<i32>,
    last: Option<i32>,
    deals: i64,
    amount: i64,
    margin: i64,
}

pub(crate) const ACCOUNTS: &str = "accounts";

impl Extra {
    fn read(lake: &Lake, table: &Table, interners: &Interners) -> Result<Self, QueryError> {
        match table.name {
            "deals" => {
                let (first_won, lead_created) =
                    rayon::join(|| first_won(lake, interners), || lead_created(lake, interners));
                Ok(Self::Deals { first_won: first_won?, lead_created: lead_created? })
            }
            "accounts" => Ok(Self::Accounts { won: won_by_account(lake, interners)? }),
            "leads" => Ok(Self::Leads { first_activity: first_activity(lake, interners)? }),
            "line_items" => Ok(Self::LineItems { sales: Sales::read(lake, interners)? }),
            "stage_changes" => Ok(Self::StageChanges { history: History::read(lake, interners)? }),
            _ => Ok(Self::None),
        }
    }

    /// Columns of the lake that [`Extra::extend`] reads beside the encoder's.
    fn projection(&self) -> &'static [&'static str] {
        match self {
            Self::Leads { .. } => &["created_at", "first_contact_at"],
            Self::StageChanges { .. } => &["change_id", "deal_id", "changed_at", "from_status"],
            _ => &[],
        }
    }

    fn extend(&self, batch: &RecordBatch, interners: &Interners, encoded: &mut Vec<Encoded>) -> Result<(), QueryError> {
        let sources = || -> Result<Vec<u32>, QueryError> {
            interners.domain("source_system").encode(column(batch, "source_system")?)
        };
        match self {
            Self::None => {}
            Self::Deals { first_won, lead_created } => {
                let sources = sources()?;
                let accounts = interners.keys(ACCOUNTS).encode(strings(column(batch, "account_id")?)?, &sources);
                let deals = strings(column(batch, "deal_id")?)?;
                let won = is_won(batch, interners)?;
                let first = |row: usize| {
                    let first = first_won.get(&accounts[row]).filter(|_| accounts[row] != 0)?;
                    Some((first.date, &*first.deal_id == deals.value(row)))
                };
                let lead: Date32Array = (0..batch.num_rows())
                    .map(|row| {
                        if lead_created.is_empty() {
                            None
                        } else {
                            lead_created.get(&row_key(sources[row], deals.value(row))).copied()
                        }
                    })
                    .collect();
                encoded.extend(first_won_columns(&won, first));
                encoded.extend(encode::dates("lead_created_date", &lead));
            }
            Self::Accounts { won } => {
                let codes = interners.keys(ACCOUNTS).encode(strings(column(batch, "account_id")?)?, &sources()?);
                let none = WonSummary::default();
                let of = |row: usize| won.get(&codes[row]).unwrap_or(&none);
                let rows = || 0..batch.num_rows();
                let cancelled = column(batch, "cancelled_date")?.as_primitive::<Date32Type>();
                encoded.extend(encode::dates("first_won_date", &rows().map(|row| of(row).first).collect()));
                encoded.extend(encode::dates("last_won_date", &rows().map(|row| of(row).last).collect()));
                encoded.extend(encode::dates("customer_until", cancelled));
                encoded.push(encode::number("won_deals", 0, rows().map(|row| Some(of(row).deals)).collect()));
                encoded.push(encode::number("won_amount", 4, rows().map(|row| Some(of(row).amount)).collect()));
                encoded.push(encode::number("won_margin_amount", 4, rows().map(|row| Some(of(row).margin)).collect()));
                encoded.push(encode::boolean("is_customer", rows().map(|row| Some(of(row).first.is_some())).collect()));
                encoded.push(encode::codes("account_id", "key-of-accounts", codes));
            }
            Self::Leads { first_activity } => {
                let sources = sources()?;
                let ids = strings(column(batch, "lead_id")?)?;
                let created = column(batch, "created_at")?.as_primitive::<TimestampMicrosecondType>();
                let contacted = column(batch, "first_contact_at")?.as_primitive::<TimestampMicrosecondType>();
                let value = |array: &arrow::array::TimestampMicrosecondArray, row: usize| {
                    array.is_valid(row).then(|| array.value(row))
                };
                let contact = |row: usize| {
                    value(contacted, row).or_else(|| {
                        if first_activity.is_empty() {
                            None
                        } else {
                            first_activity.get(&row_key(sources[row], ids.value(row))).copied()
                        }
                    })
                };
                let minutes: Int64Array = (0..batch.num_rows())
                    .map(|row| {
                        contact(row)
                            .zip(value(created, row))
                            .map(|(contact, created)| (contact - created).div_euclid(60_000_000))
                    })
                    .map(|minutes| minutes.filter(|minutes| *minutes >= 0))
                    .collect();
                let reached: BooleanArray = (0..batch.num_rows()).map(|row| Some(contact(row).is_some())).collect();
                encoded.push(encode::number("minutes_to_first_contact", 0, minutes));
                encoded.push(encode::boolean("is_contacted", reached));
            }
            Self::LineItems { sales } => {
                let sold = column(batch, "sold_date")?.as_primitive::<Date32Type>();
                let of: Vec<Sale> = line_keys(batch, &sources()?)?.into_iter().map(|keys| sales.of(keys)).collect();
                let closed: Date32Array = of.iter().map(|sale| sale.closed).collect();
                let own = |row: usize| sold.is_valid(row).then(|| sold.value(row));
                let on: Date32Array =
                    of.iter().enumerate().map(|(row, sale)| own(row).or(sale.closed).or(sale.ordered)).collect();
                encoded.push(encode::boolean("is_sale", of.iter().map(|sale| Some(sale.is_sale)).collect()));
                encoded.push(encode::codes("deal_status", "status", of.iter().map(|sale| sale.status).collect()));
                encoded.extend(encode::dates("deal_close_date", &closed));
                encoded.extend(encode::dates("sold_on", &on));
            }
            Self::StageChanges { history } => {
                let before = history.statuses_before(batch, &sources()?, interners)?;
                encoded.push(encode::codes("status_before", "status", before));
            }
        }
        Ok(())
    }
}

/// What deals know of the first won deal of their account: its date and whether they are it, row by row.
pub(crate) fn first_won_columns(won: &[bool], first: impl Fn(usize) -> Option<(i32, bool)>) -> Vec<Encoded> {
    let first: Vec<Option<(i32, bool)>> = (0..won.len()).map(first).collect();
    let is_first = |row: usize| won[row] && first[row].is_some_and(|(_, is_it)| is_it);
    let is_repeat = |row: usize| won[row] && first[row].is_some() && !is_first(row);
    let since: Date32Array = first.iter().map(|first| first.map(|(date, _)| date)).collect();
    let mut encoded = vec![
        encode::boolean("is_first_won", (0..won.len()).map(|row| Some(is_first(row))).collect()),
        encode::boolean("is_repeat_won", (0..won.len()).map(|row| Some(is_repeat(row))).collect()),
    ];
    encoded.extend(encode::dates("first_won_date", &since));
    encoded
}

/// Row by row, whether a deal is won.
pub(crate) fn is_won(batch: &RecordBatch, interners: &Interners) -> Result<Vec<bool>, QueryError> {
    let status = interners.domain("status");
    let won = status.intern("won");
    Ok(status.encode(column(batch, "status")?)?.into_iter().map(|code| code == won).collect())
}

pub(crate) type Visit<'v> = &'v mut dyn FnMut(&RecordBatch, &[u32]) -> Result<(), QueryError>;

/// Live rows of a table together with the codes of their source system.
pub(crate) fn read_live(
    lake: &Lake,
    table: &str,
    columns: &[&str],
    interners: &Interners,
    visit: Visit<'_>,
) -> Result<(), QueryError> {
    lake.files(table)?.iter().try_for_each(|file| read_live_file(&file.path, columns, interners, visit))
}

/// Live rows of one file of a table.
fn read_live_file(path: &Path, columns: &[&str], interners: &Interners, visit: Visit<'_>) -> Result<(), QueryError> {
    let mut projection = columns.to_vec();
    projection.extend(["source_system", "is_deleted"]);
    let domain = interners.domain("source_system");
    read_file(path, &projection, &mut |batch| {
        let batch = live_rows(batch)?;
        let sources = domain.encode(column(&batch, "source_system")?)?;
        visit(&batch, &sources)
    })
}

/// Takes a batch and the codes of its source systems in.
type Fold<'f, T> = &'f (dyn Fn(&mut T, &RecordBatch, &[u32]) -> Result<(), QueryError> + Sync);

/// Folds the live rows of a table into one value per file, and those into one; files are read in parallel.
fn fold_live<T: Default + Send>(
    lake: &Lake,
    table: &str,
    columns: &[&str],
    interners: &Interners,
    fold: Fold<'_, T>,
    merge: &(dyn Fn(T, T) -> T + Sync),
) -> Result<T, QueryError> {
    let files = lake.files(table)?;
    let of_file = |path: &Path| -> Result<T, QueryError> {
        let mut value = T::default();
        read_live_file(path, columns, interners, &mut |batch, sources| fold(&mut value, batch, sources))?;
        Ok(value)
    };
    files
        .par_iter()
        .map(|file| of_file(&file.path))
        .try_reduce_with(|left, right| Ok(merge(left, right)))
        .unwrap_or_else(|| Ok(T::default()))
}

/// First won deals by account code.
type FirstWonDeals = HashMap<u32, FirstWon>;

/// Per account its first won deal: the earliest close date, among several the smallest identifier.
fn first_won(lake: &Lake, interners: &Interners) -> Result<FirstWonDeals, QueryError> {
    let columns = ["deal_id", "account_id", "status", "close_date"];
    let fold = |first: &mut FirstWonDeals, batch: &RecordBatch, sources: &[u32]| {
        let accounts = interners.keys(ACCOUNTS).encode(strings(column(batch, "account_id")?)?, sources);
        let deals = strings(column(batch, "deal_id")?)?;
        let dates = column(batch, "close_date")?.as_primitive::<Date32Type>();
        for (row, won) in is_won(batch, interners)?.into_iter().enumerate() {
            if !won || accounts[row] == 0 || dates.is_null(row) {
                continue;
            }
            let (date, deal) = (dates.value(row), deals.value(row));
            match first.get_mut(&accounts[row]) {
                Some(known) if (known.date, &*known.deal_id) <= (date, deal) => {}
                Some(known) => *known = FirstWon { date, deal_id: deal.into() },
                None => {
                    first.insert(accounts[row], FirstWon { date, deal_id: deal.into() });
                }
            }
        }
        Ok(())
    };
    let merge = |left: FirstWonDeals, right: FirstWonDeals| {
        let (mut all, fewer) = if left.len() >= right.len() { (left, right) } else { (right, left) };
        for (account, other) in fewer {
            match all.get_mut(&account) {
                Some(known) if (known.date, &*known.deal_id) <= (other.date, &*other.deal_id) => {}
                _ => {
                    all.insert(account, other);
                }
            }
        }
        all
    };
    fold_live(lake, "deals", &columns, interners, &fold, &merge)
}

/// Arrival of the lead, by source and identifier of the deal that came of it.
pub(crate) type LeadDates = HashMap<u128, i32, AsHashed>;

/// Per deal the arrival date of its lead, the earliest if several leads became one deal.
pub(crate) fn lead_created(lake: &Lake, interners: &Interners) -> Result<LeadDates, QueryError> {
    let earlier = |created: &mut LeadDates, deal: u128, date: i32| {
        created.entry(deal).and_modify(|known| *known = date.min(*known)).or_insert(date);
    };
    let fold = |created: &mut LeadDates, batch: &RecordBatch, sources: &[u32]| {
        let deals = strings(column(batch, "converted_deal_id")?)?;
        let dates = column(batch, "created_date")?.as_primitive::<Date32Type>();
        for (row, source) in sources.iter().enumerate() {
            if deals.is_valid(row) && dates.is_valid(row) {
                earlier(created, row_key(*source, deals.value(row)), dates.value(row));
            }
        }
        Ok(())
    };
    let merge = |left: LeadDates, right: LeadDates| {
        let (mut all, fewer) = if left.len() >= right.len() { (left, right) } else { (right, left) };
        fewer.into_iter().for_each(|(deal, date)| earlier(&mut all, deal, date));
        all
    };
    fold_live(lake, "leads", &["converted_deal_id", "created_date"], interners, &fold, &merge)
}

fn won_by_account(lake: &Lake, interners: &Interners) -> Result<HashMap<u32, WonSummary>, QueryError> {
    let mut won: HashMap<u32, WonSummary> = HashMap::new();
    let columns = ["account_id", "status", "close_date", "amount", "cost_amount"];
    let mut overflow = false;
    read_live(lake, "deals", &columns, interners, &mut |batch, sources| {
        let accounts = interners.keys(ACCOUNTS).encode(strings(column(batch, "account_id")?)?, sources);
        let dates = column(batch, "close_date")?.as_primitive::<Date32Type>();
        let amounts = decimals(column(batch, "amount")?)?;
        let costs = decimals(column(batch, "cost_amount")?)?;
        for (row, is_won) in is_won(batch, interners)?.into_iter().enumerate() {
            if !is_won || accounts[row] == 0 || dates.is_null(row) {
                continue;
            }
            let summary = won.entry(accounts[row]).or_default();
            let date = dates.value(row);
            summary.first = Some(summary.first.map_or(date, |known| known.min(date)));
            summary.last = Some(summary.last.map_or(date, |known| known.max(date)));
            summary.deals += 1;
            if amounts.is_valid(row) {
                let amount = amounts.value(row);
                let margin = if costs.is_valid(row) { amount.checked_sub(costs.value(row)) } else { Some(0) };
                match (summary.amount.checked_add(amount), margin.and_then(|margin| summary.margin.checked_add(margin)))
                {
                    (Some(amount), Some(margin)) => (summary.amount, summary.margin) = (amount, margin),
                    _ => overflow = true,
                }
            }
        }
        Ok(())
    })?;
    if overflow { Err(QueryError::TooLarge { column: "won_amount".to_owned() }) } else { Ok(won) }
}

fn first_activity(lake: &Lake, interners: &Interners) -> Result<HashMap<u128, i64>, QueryError> {
    let mut first: HashMap<u128, i64> = HashMap::new();
    read_live(lake, "activities", &["lead_id", "started_at", "created_at"], interners, &mut |batch, sources| {
        let leads = strings(column(batch, "lead_id")?)?;
        let started = column(batch, "started_at")?.as_primitive::<TimestampMicrosecondType>();
        let created = column(batch, "created_at")?.as_primitive::<TimestampMicrosecondType>();
        for (row, source) in sources.iter().enumerate() {
            let at = if started.is_valid(row) {
                Some(started.value(row))
            } else {
                created.is_valid(row).then(|| created.value(row))
            };
            let (true, Some(at)) = (leads.is_valid(row), at) else { continue };
            first.entry(row_key(*source, leads.value(row))).and_modify(|known| *known = at.min(*known)).or_insert(at);
        }
        Ok(())
    })?;
    Ok(first)
}

fn deal_dates(lake: &Lake, interners: &Interners) -> Result<DealDates, QueryError> {
    let mut deals = HashMap::new();
    let status = interners.domain("status");
    read_live(lake, "deals", &["deal_id", "status", "close_date"], interners, &mut |batch, sources| {
        let ids = strings(column(batch, "deal_id")?)?;
        let codes = status.encode(column(batch, "status")?)?;
        let dates = column(batch, "close_date")?.as_primitive::<Date32Type>();
        for row in 0..batch.num_rows() {
            let date = dates.is_valid(row).then(|| dates.value(row));
            deals.insert(row_key(sources[row], ids.value(row)), (codes[row], date));
        }
        Ok(())
    })?;
    Ok(deals)
}

/// The columns of some rows of an encoded batch.
pub(crate) fn take(encoded: &[Encoded], rows: &[u32], keep: &dyn Fn(&str) -> bool) -> Result<Vec<Encoded>, QueryError> {
    let indices = arrow::array::UInt32Array::from(rows.to_vec());
    encoded
        .iter()
        .filter(|column| keep(&column.name))
        .map(|column| {
            let array = arrow::compute::take(&column.array, &indices, None)
                .map_err(|error| QueryError::engine("facts", error))?;
            Ok(Encoded { name: column.name.clone(), kind: column.kind.clone(), array })
        })
        .collect()
}

/// Integers of a named column of an encoded batch.
pub(crate) fn integers(encoded: &[Encoded], name: &str) -> Result<Int64Array, QueryError> {
    encoded
        .iter()
        .find(|column| column.name == name)
        .and_then(|column| column.array.as_primitive_opt::<Int64Type>().cloned())
        .ok_or_else(|| QueryError::engine("facts", format!("column `{name}` is missing")))
}

/// The dependencies of several tables together.
pub(crate) fn all_dependencies(tables: &[&'static Table]) -> Vec<&'static str> {
    let mut names: BTreeMap<&'static str, ()> = BTreeMap::new();
    for table in tables {
        names.extend(dependencies(table).into_iter().map(|name| (name, ())));
    }
    names.into_keys().collect()
}
