//! What a lake holds, for people: segments and their values, tables, ad-hoc SQL, quality checks.

use std::collections::{BTreeMap, BTreeSet};

use dealframe_lake::Lake;
use dealframe_model::kpi::Compute;
use dealframe_model::table::{self, TABLES, Table};
use dealframe_model::{date, decimal, segment};
use polars::prelude::*;

use crate::engine::Engine;
use crate::error::{QueryError, nearest};
use crate::facts::anchor::HAPPENED;
use crate::facts::derived::DERIVED;
use crate::facts::verify::Verified;
use crate::facts::{Fact, FactKind, Layers};

/// A segment and where its values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    pub name: String,
    pub about: String,
    pub tables: Vec<&'static str>,
    /// Paths in order of preference, as `references>column`.
    pub candidates: Vec<String>,
}

/// A value of a segment and how many rows have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentValue {
    pub table: &'static str,
    pub value: Option<String>,
    pub rows: u64,
}

/// A table of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    pub name: &'static str,
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    pub version: Option<u64>,
    pub first_date: Option<i32>,
    pub last_date: Option<i32>,
}

/// The rows of an ad-hoc statement, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SqlResult {
    pub columns: Vec<String>,
    pub types: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// Something about the data that a user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub check: &'static str,
    pub table: &'static str,
    pub rows: u64,
    pub message: String,
    pub example: Option<String>,
}

impl Engine {
    /// The segments, of one table or of all.
    pub fn segments(&self, only: Option<&str>) -> Vec<SegmentInfo> {
        let tables = || TABLES.iter().filter(move |table| only.is_none_or(|only| only == table.name));
        let mut result: Vec<SegmentInfo> = segment::SEGMENTS
            .iter()
            .map(|segment| SegmentInfo {
                name: segment.name.to_owned(),
                about: segment.about.to_owned(),
                tables: tables()
                    .filter(|table| !segment::paths(table, segment.name).is_empty())
                    .map(|table| table.name)
                    .collect(),
                candidates: segment.candidates.iter().map(|candidate| (*candidate).to_owned()).collect(),
            })
            .filter(|info| !info.tables.is_empty())
            .collect();
        for table in tables() {
            for column in table
                .own
                .iter()
                .filter(|column| column.kind == table::ColumnType::Category && segment::segment(column.name).is_none())
            {
                match result.iter_mut().find(|info| info.name == column.name) {
                    Some(known) => known.tables.push(table.name),
                    None => result.push(SegmentInfo {
                        name: column.name.to_owned(),
                        about: column.about.to_owned(),
                        tables: vec![table.name],
                        candidates: vec![column.name.to_owned()],
                    }),
                }
            }
        }
        result
    }

    /// The values of a segment with their number of rows, table by table, most frequent first.
    ///
    /// # Errors
    /// When no table has the segment.
    pub fn segment_values(&self, name: &str) -> Result<Vec<SegmentValue>, QueryError> {
        let with: Vec<&'static Table> =
            TABLES.iter().filter(|table| segment::segments_of(table).contains(&name)).collect();
        if with.is_empty() {
            let available: Vec<String> = self.segments(None).into_iter().map(|info| info.name).collect();
            return Err(QueryError::UnknownSegment {
                name: name.to_owned(),
                table: "any".to_owned(),
                nearest: nearest(name, available.iter().map(String::as_str)),
                available,
            });
        }
        let mut values = Vec::new();
        for table in with {
            if self.lake().files(table.name)?.is_empty() {
                continue;
            }
            values.extend(self.values_in(table, name)?);
        }
        Ok(values)
    }

    fn values_in(&self, table: &'static Table, name: &str) -> Result<Vec<SegmentValue>, QueryError> {
        let fact = self.facts.table(table.name)?;
        let Some(FactKind::Code { domain }) = fact.column(name).map(|column| &column.kind) else {
            return Ok(Vec::new());
        };
        let labels = fact.labels(domain)?;
        let mut by_code: BTreeMap<i64, i64> = count_codes(&fact.parts, table.name, name)?;
        if let Some(layers) = &fact.layers {
            for (layer, sign) in layers.signed() {
                for (code, rows) in count_codes(&layer.parts, table.name, name)? {
                    *by_code.entry(code).or_insert(0) += i64::from(sign) * rows;
                }
            }
        }
        let mut values: Vec<SegmentValue> = by_code
            .into_iter()
            .filter(|(_, rows)| *rows > 0)
            .map(|(code, rows)| SegmentValue {
                table: table.name,
                value: usize::try_from(code - 1).ok().and_then(|code| labels.get(code)).map(ToString::to_string),
                rows: u64::try_from(rows).unwrap_or(0),
            })
            .collect();
        values.sort_by(|left, right| right.rows.cmp(&left.rows).then_with(|| left.value.cmp(&right.value)));
        Ok(values)
    }

    /// The tables of the lake.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub fn tables(&self) -> Result<Vec<TableInfo>, QueryError> {
        let mut tables = Vec::new();
        for table in TABLES {
            let files = self.lake().files(table.name)?;
            if files.is_empty() && self.lake().table_version(table.name).is_none() {
                continue;
            }
            let (first_date, last_date) = match table.business_date {
                Some(date) if !files.is_empty() => self.date_range(table.name, date)?,
                _ => (None, None),
            };
            tables.push(TableInfo {
                name: table.name,
                rows: files.iter().map(|file| file.rows).sum(),
                files: files.len() as u64,
                bytes: files.iter().map(|file| file.bytes).sum(),
                version: self.lake().table_version(table.name),
                first_date,
                last_date,
            });
        }
        Ok(tables)
    }

    fn date_range(&self, table: &str, date: &str) -> Result<(Option<i32>, Option<i32>), QueryError> {
        let Some(frame) = scan_lake(self.lake(), table)? else { return Ok((None, None)) };
        let fail = |error: PolarsError| QueryError::engine(table, error);
        let days = || col(date).cast(DataType::Int32);
        let range = frame.select([days().min().alias("first"), days().max().alias("last")]).collect().map_err(fail)?;
        let one = |name: &str| -> Result<Option<i32>, QueryError> {
            Ok(range.column(name).and_then(|column| column.i32().cloned()).map_err(fail)?.get(0))
        };
        Ok((one("first")?, one("last")?))
    }

    /// Runs a statement of Polars SQL over the canonical tables (and `rejects`, `batches`).
    ///
    /// # Errors
    /// When the statement is wrong or names no table of the lake.
    pub fn sql(&self, statement: &str) -> Result<SqlResult, QueryError> {
        let fail = |error: PolarsError| QueryError::Sql { reason: error.to_string() };
        let mut context = polars::sql::SQLContext::new();
        for name in TABLES.iter().map(|table| table.name).chain(["rejects", "batches"]) {
            if let Some(frame) = scan_lake(self.lake(), name)? {
                context.register(name, frame);
            }
        }
        let frame = context.execute(statement).and_then(LazyFrame::collect).map_err(fail)?;
        let mut result = SqlResult::default();
        let mut columns = Vec::with_capacity(frame.width());
        for column in frame.columns() {
            result.columns.push(column.name().to_string());
            result.types.push(column.dtype().to_string());
            columns.push(texts(column).map_err(fail)?);
        }
        result.rows =
            (0..frame.height()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect();
        Ok(result)
    }

    /// Looks for what makes figures wrong or hard to explain.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub fn check(&self) -> Result<Vec<Finding>, QueryError> {
        let mut findings = Vec::new();
        for table in TABLES {
            if self.lake().files(table.name)?.is_empty() {
                continue;
            }
            for column in table.own {
                if let Some(target) = column.references {
                    findings.extend(self.orphans(table, column.name, target)?);
                }
            }
        }
        let deals: [(&'static str, &str, &str); 5] = [
            (
                "closed_without_date",
                "status <> 'open' and close_date is null",
                "closed deals have no close date; no period counts them",
            ),
            (
                "won_without_amount",
                "status = 'won' and amount is null",
                "won deals have no amount; revenue counts them as nothing",
            ),
            (
                "closed_before_created",
                "close_date < created_date and status <> 'open'",
                "deals were closed before they were created",
            ),
            ("negative_amount", "amount < 0", "deals have a negative amount"),
            (
                "overdue",
                "status = 'open' and close_date < current_as_of",
                "open deals have an expected close date in the past",
            ),
        ];
        if !self.lake().files("deals")?.is_empty() {
            for (check, condition, message) in deals {
                let as_of = self.as_of().map_or_else(|| "0001-01-01".to_owned(), date::format);
                let condition = condition.replace("current_as_of", &format!("'{as_of}'"));
                let found = self.sql(&format!(
                    "select count(*) as found, min(deal_id) as example from deals where coalesce(is_deleted, false) = false and {condition}"
                ))?;
                findings.extend(finding(check, "deals", message, &found));
            }
            findings.extend(self.mixed_currencies()?);
        }
        findings.extend(self.subscriptions()?);
        findings.extend(self.unknown_metrics()?);
        findings.extend(self.unknown_scopes()?);
        findings.extend(self.far_dates()?);
        Ok(findings)
    }

    /// Holds the fact tables at rest against ones made anew from all rows of the lake.
    ///
    /// # Errors
    /// When the lake cannot be read, or there is no room to make them.
    pub fn verify_rollups(&self) -> Result<Vec<Verified>, QueryError> {
        crate::facts::verify::all(&self.facts)
    }

    fn subscriptions(&self) -> Result<Vec<Finding>, QueryError> {
        if self.lake().files("subscriptions")?.is_empty() {
            return Ok(Vec::new());
        }
        let alive = "coalesce(is_deleted, false) = false";
        let gaps = self.sql(&format!(
            "select count(*) as found, min(a.subscription_id) as example from \
             (select subscription_id, account_id, source_system, cast(end_date as int) + 1 as next_day \
              from subscriptions where {alive} and end_date is not null) as a \
             join (select account_id as other_account, source_system as other_source, cast(start_date as int) as first_day \
              from subscriptions where {alive} and date_part('day', start_date) = 1) as b \
             on a.account_id = b.other_account and a.source_system = b.other_source and a.next_day = b.first_day"
        ))?;
        let amounts = self.sql(&format!(
            "select count(*) as found, min(subscription_id) as example from subscriptions \
             where {alive} and mrr_amount is null and not coalesce(is_trial, false)"
        ))?;
        let backwards = self.sql(&format!(
            "select count(*) as found, min(subscription_id) as example from subscriptions where {alive} and end_date < start_date"
        ))?;
        let gap = "subscriptions end on the last day of a month and another of the same account starts on the next day; \
                   end_date is the first day on which a subscription no longer runs, so they count as churn and return";
        let amount = "subscriptions have no monthly amount; recurring revenue counts them as nothing";
        let no_day = "subscriptions end before they start; neither recurring revenue nor contracts count them";
        Ok(finding("gap_of_a_day", "subscriptions", gap, &gaps)
            .into_iter()
            .chain(finding("subscription_without_amount", "subscriptions", amount, &amounts))
            .chain(finding("ends_before_it_starts", "subscriptions", no_day, &backwards))
            .collect())
    }

    /// Targets by which nothing is measured.
    fn unknown_metrics(&self) -> Result<Option<Finding>, QueryError> {
        if self.lake().files("targets")?.is_empty() {
            return Ok(None);
        }
        let mut known: Vec<&str> = (self.catalogue().all())
            .filter_map(|definition| match &definition.compute {
                Compute::Attainment { metric, .. } => Some(metric.as_str()),
                _ => None,
            })
            .collect();
        known.sort_unstable();
        known.dedup();
        let quoted: Vec<String> = known.iter().map(|metric| format!("'{}'", metric.replace('\'', "''"))).collect();
        let found = self.sql(&format!(
            "select count(*) as found, min(metric) as example from targets \
             where coalesce(is_deleted, false) = false and metric not in ({})",
            quoted.join(", ")
        ))?;
        let message = format!("targets have a metric that no definition measures; known: {}", known.join(", "));
        Ok(finding("unknown_metric", "targets", &message, &found))
    }

    /// Targets of regions, teams and owners that no other row belongs to.
    fn unknown_scopes(&self) -> Result<Vec<Finding>, QueryError> {
        let mut out = Vec::new();
        if self.lake().files("targets")?.is_empty() {
            return Ok(out);
        }
        let targets = self.facts.table("targets")?;
        for scope in ["region", "team", "owner"] {
            let named = counted_names(&targets, scope)?;
            if named.is_empty() {
                continue;
            }
            let mut known = BTreeSet::new();
            for table in TABLES.iter().filter(|table| table.name != "targets") {
                let has_scope = segment::segments_of(table).contains(&scope);
                if !has_scope || self.lake().files(table.name)?.is_empty() {
                    continue;
                }
                let fact = self.facts.table(table.name)?;
                if let Some(FactKind::Code { domain }) = fact.column(scope).map(|column| &column.kind) {
                    known.extend(fact.labels(domain)?.iter().map(ToString::to_string));
                }
            }
            if scope == "owner" && !self.lake().files("users")?.is_empty() {
                // Who has sold nothing yet is known all the same.
                let names = self.sql("select distinct name from users where coalesce(is_deleted, false) = false")?;
                known.extend(names.rows.into_iter().filter_map(|row| row.into_iter().next().flatten()));
            }
            let unknown: Vec<(&String, &u64)> = named.iter().filter(|(name, _)| !known.contains(*name)).collect();
            if unknown.is_empty() {
                continue;
            }
            let examples: Vec<String> = unknown.iter().take(3).map(|(name, _)| (*name).clone()).collect();
            let more = if unknown.len() > examples.len() { ", ..." } else { "" };
            let likely = unknown
                .first()
                .and_then(|(name, _)| nearest(name, known.iter().map(String::as_str)).into_iter().next());
            let hint = likely.map(|name| format!("; is {} meant to be {name}?", examples[0])).unwrap_or_default();
            out.push(Finding {
                check: "unknown_scope",
                table: "targets",
                rows: unknown.iter().map(|(_, rows)| **rows).sum(),
                message: format!(
                    "targets are set for a {scope} that no other row names; nothing is held against them{hint}"
                ),
                example: Some(format!("{}{more}", examples.join(", "))),
            });
        }
        Ok(out)
    }

    /// Dates on which nothing can have happened yet: they move "now", from which every open period is read.
    fn far_dates(&self) -> Result<Vec<Finding>, QueryError> {
        let mut out = Vec::new();
        let dates = HAPPENED.into_iter().chain([("deals", "close_date"), ("subscriptions", "start_date")]);
        for (table, date) in dates {
            let Some(known) = table::table(table) else { continue };
            let Some(frame) = scan_lake(self.lake(), table)? else { continue };
            let fail = |error: PolarsError| QueryError::engine(table, error);
            let mut rows = frame.filter(col("is_deleted").fill_null(lit(false)).not()).filter(col(date).is_not_null());
            if (table, date) == ("deals", "close_date") {
                rows = rows.filter(col("status").cast(DataType::String).neq(lit("open")));
            }
            let days = || col(date).cast(DataType::Int32);
            let middle = rows.clone().select([days().median().alias("middle")]).collect().map_err(fail)?;
            let middle = middle.column("middle").and_then(|column| column.f64().cloned()).map_err(fail)?.get(0);
            let Some(middle) = middle else { continue };
            let limit = far_from(middle as i32);
            let far = rows
                .filter(days().gt(lit(limit)))
                .select([len().alias("found"), col(known.key).min().alias("example")]);
            let far = far.collect().map_err(fail)?;
            let found = far.column("found").and_then(|column| column.cast(&DataType::UInt64)).map_err(fail)?;
            let found = found.u64().map_err(fail)?.get(0).unwrap_or(0);
            if found > 0 {
                let example = texts(far.column("example").map_err(fail)?).map_err(fail)?.into_iter().next().flatten();
                let message = format!(
                    "{date} lies beyond {}; the newest date is taken as today where no --as-of is given",
                    date::format(limit)
                );
                out.push(Finding { check: "far_date", table: known.name, rows: found, message, example });
            }
        }
        Ok(out)
    }

    fn orphans(
        &self,
        table: &'static Table,
        column: &str,
        target: &'static str,
    ) -> Result<Option<Finding>, QueryError> {
        let Some(known) = table::table(target) else { return Ok(None) };
        if self.lake().files(target)?.is_empty() {
            return Ok(None);
        }
        let key = known.key;
        let found = self.sql(&format!(
            "select count(*) as found, min(t.{column}) as example from {} as t \
             left join (select {key} as known_key, source_system as known_source from {target}) as k \
             on t.{column} = k.known_key and t.source_system = k.known_source \
             where t.{column} is not null and k.known_key is null and coalesce(t.is_deleted, false) = false",
            table.name
        ))?;
        Ok(finding("orphans", table.name, &format!("rows name a {column} that is not in {target}"), &found))
    }

    fn mixed_currencies(&self) -> Result<Option<Finding>, QueryError> {
        let values = self.segment_values("currency")?;
        let named: Vec<&SegmentValue> =
            values.iter().filter(|value| value.table == "deals" && value.value.is_some()).collect();
        if named.len() < 2 {
            return Ok(None);
        }
        let list: Vec<String> = named.iter().filter_map(|value| value.value.clone()).collect();
        Ok(Some(Finding {
            check: "mixed_currencies",
            table: "deals",
            rows: named.iter().map(|value| value.rows).sum(),
            message: format!("amounts are in {}; totals need --currency", list.join(", ")),
            example: None,
        }))
    }
}

/// The day beyond which a date is taken for a slip: twenty years after the middle one of its column, 2100 at the latest.
fn far_from(middle: i32) -> i32 {
    date::add_months(middle, 240).min(date::from_civil(2100, 1, 1))
}

fn finding(check: &'static str, table: &'static str, message: &str, found: &SqlResult) -> Option<Finding> {
    let row = found.rows.first()?;
    let rows: u64 = row.first()?.as_deref()?.parse().ok()?;
    (rows > 0).then(|| Finding {
        check,
        table,
        rows,
        message: message.to_owned(),
        example: row.get(1).cloned().flatten(),
    })
}

/// All files of a lake table as one frame, `None` when it has none.
fn scan_lake(lake: &Lake, table: &str) -> Result<Option<LazyFrame>, QueryError> {
    let files = lake.files(table)?;
    scan(files.iter().map(|file| &file.path))
}

fn scan<'p>(paths: impl Iterator<Item = &'p std::path::PathBuf>) -> Result<Option<LazyFrame>, QueryError> {
    let paths: Vec<PlRefPath> = paths.filter_map(|path| path.to_str().map(PlRefPath::new)).collect();
    if paths.is_empty() {
        return Ok(None);
    }
    let arguments =
        ScanArgsParquet { glob: false, cache: false, allow_missing_columns: true, ..ScanArgsParquet::default() };
    LazyFrame::scan_parquet_files(paths.into_iter().collect(), arguments)
        .map(Some)
        .map_err(|error| QueryError::engine("scan", error))
}

/// Rows by code in a column of fact files.
fn count_codes(parts: &[std::path::PathBuf], table: &str, column: &str) -> Result<BTreeMap<i64, i64>, QueryError> {
    match scan(parts.iter())? {
        Some(frame) => rows_by_code(frame, table, column),
        None => Ok(BTreeMap::new()),
    }
}

fn rows_by_code(frame: LazyFrame, table: &str, column: &str) -> Result<BTreeMap<i64, i64>, QueryError> {
    let count = || -> PolarsResult<BTreeMap<i64, i64>> {
        let counted = frame.group_by([col(column)]).agg([len().alias("rows")]).collect()?;
        let codes = counted.column(column)?.cast(&DataType::Int64)?;
        let rows = counted.column("rows")?.cast(&DataType::Int64)?;
        let pairs = codes.i64()?.iter().zip(rows.i64()?.iter());
        Ok(pairs.map(|(code, rows)| (code.unwrap_or(0), rows.unwrap_or(0))).collect())
    };
    count().map_err(|error| QueryError::engine(table, error))
}

/// The names in a segment of the targets of that scope, with their rows.
fn counted_names(targets: &Fact, scope: &str) -> Result<BTreeMap<String, u64>, QueryError> {
    let domain_of = |column: &str| match targets.column(column).map(|column| &column.kind) {
        Some(FactKind::Code { domain }) => Ok(domain),
        _ => Err(QueryError::engine("targets", format!("there is no segment `{column}`"))),
    };
    let scopes = targets.labels(domain_of("scope")?)?;
    let Some(code) = scopes.iter().position(|label| **label == *scope) else { return Ok(BTreeMap::new()) };
    let labels = targets.labels(domain_of(scope)?)?;
    let mut by_code: BTreeMap<i64, i64> = BTreeMap::new();
    let layers = targets.layers.iter().flat_map(Layers::signed);
    for (fact, sign) in std::iter::once((targets, 1)).chain(layers) {
        let Some(frame) = scan(fact.parts.iter())? else { continue };
        let of_scope = frame.filter(col("scope").cast(DataType::Int64).eq(lit(code as i64 + 1)));
        for (code, rows) in rows_by_code(of_scope, "targets", scope)? {
            *by_code.entry(code).or_insert(0) += i64::from(sign) * rows;
        }
    }
    let name = |code: i64| usize::try_from(code - 1).ok().and_then(|code| labels.get(code)).map(ToString::to_string);
    let positive = by_code.into_iter().filter(|(_, rows)| *rows > 0);
    Ok(positive.filter_map(|(code, rows)| Some((name(code)?, u64::try_from(rows).unwrap_or(0)))).collect())
}

/// A column as text: decimals exact, dates and timestamps in ISO form, null as nothing.
fn texts(column: &Column) -> PolarsResult<Vec<Option<String>>> {
    let values = column.as_materialized_series();
    Ok(match values.dtype() {
        DataType::Date => values.cast(&DataType::Int32)?.i32()?.iter().map(|day| day.map(date::format)).collect(),
        DataType::Datetime(_, _) => {
            let micros = values.cast(&DataType::Datetime(TimeUnit::Microseconds, None))?.cast(&DataType::Int64)?;
            micros.i64()?.iter().map(|at| at.map(timestamp)).collect()
        }
        DataType::String | DataType::Categorical(_, _) => {
            let strings = values.cast(&DataType::String)?;
            strings.str()?.iter().map(|text| text.map(str::to_owned)).collect()
        }
        _ => values
            .iter()
            .map(|value| match value {
                AnyValue::Null => None,
                AnyValue::Decimal(value, _, scale) => {
                    u32::try_from(scale).ok().map(|scale| decimal::format(value, scale, 0))
                }
                AnyValue::Boolean(value) => Some(value.to_string()),
                AnyValue::Float64(value) => Some(value.to_string()),
                AnyValue::Float32(value) => Some(value.to_string()),
                other => Some(other.str_value().into_owned()),
            })
            .collect(),
    })
}

fn timestamp(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let fraction = micros.rem_euclid(1_000_000);
    let day = i32::try_from(days).map_or_else(|_| days.to_string(), date::format);
    let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    if fraction == 0 { format!("{day}T{time}Z") } else { format!("{day}T{time}.{fraction:06}Z") }
}

/// Names of all tables that KPIs can refer to, derived ones included.
pub fn table_names() -> Vec<&'static str> {
    TABLES.iter().map(|table| table.name).chain(DERIVED).collect()
}
