//! Leaves: measures over a period and stocks at a point in time, as CTEs over fact tables.
//!
//! The counterpart of `crate::evaluate::leaf`: which rows count, when a line exists at all,
//! which currency it has. Whether currencies would be mixed is a question to the rows, which
//! the statement cannot refuse; the engine is asked before (see `super`).

use dealframe_model::calendar::Grain;
use dealframe_model::expression::Expression;
use dealframe_model::kpi::{Aggregate, Empty as EmptyRule, Measure, Stock};

use super::Compiler;
use super::expression::Writer;
use super::series::{
    Currency, Empty, Series, Source, bare_segments, calendar_name, partition, same_segments, segments,
};
use crate::definition::check;
use crate::error::{QueryError, nearest};
use crate::evaluate::Question;
use crate::evaluate::leaf::{cut_period, was_there};
use crate::evaluate::money::is_amount;
use crate::facts::{Fact, FactKind};
use crate::parse;

/// A measure or one side of a stock.
pub(super) struct Leaf<'a> {
    pub table: &'a str,
    pub date: &'a str,
    pub aggregate: Aggregate,
    pub of: Option<&'a str>,
    pub filter: Option<&'a str>,
    pub range: (Option<i32>, Option<i32>),
    /// Targets that are amounts of money.
    pub is_money_target: bool,
}

/// Rows that count, before they are put together.
pub(super) struct Counted {
    /// The period of a row.
    pub period: &'static str,
    /// Its segments, named.
    pub named: String,
    /// `FROM` and `WHERE`.
    pub from: String,
    /// What lines are told apart by.
    pub keys: Vec<String>,
}

/// The lines of a leaf, not yet a CTE.
struct Lines {
    body: String,
    scale: u32,
    currency: Currency,
}

/// An aggregate as SQL.
struct Aggregated {
    sql: String,
    /// The condition under which a row has something to aggregate.
    present: Option<String>,
    /// How many rows went into the value.
    rows: String,
    /// Digits after the point of the result.
    scale: u32,
}

impl Compiler<'_> {
    /// A measure over periods.
    pub(super) fn measure(&mut self, hint: &str, measure: &Measure, question: &Question) -> Result<Series, QueryError> {
        self.measure_of(hint, measure, false, question)
    }

    /// A measure over targets, which may be amounts of money.
    pub(super) fn measure_of(
        &mut self,
        hint: &str,
        measure: &Measure,
        is_money_target: bool,
        question: &Question,
    ) -> Result<Series, QueryError> {
        let leaf = Leaf {
            table: &measure.table,
            date: &measure.date,
            aggregate: measure.aggregate,
            of: measure.of.as_deref(),
            filter: measure.filter.as_deref(),
            range: (question.from, if measure.ahead { question.to_asked } else { question.to }),
            is_money_target,
        };
        let lines = self.lines(&leaf, question)?;
        let empty = match (measure.empty, measure.aggregate) {
            (EmptyRule::Null, _) | (_, Aggregate::Median | Aggregate::P90) => Empty::NULL,
            (EmptyRule::Zero, _) => Empty::ZERO,
        };
        let name = self.builder.add(hint, lines.body);
        Ok(Series {
            name,
            also_from: Vec::new(),
            numerator: Source::Value,
            denominator: Source::Null,
            empty,
            carried: false,
            carried_to: None,
            starts: None,
            ahead: measure.ahead,
            scale: Some(lines.scale),
            currency: lines.currency,
        })
    }

    /// A stock at the ends of periods.
    pub(super) fn stock(&mut self, hint: &str, stock: &Stock, question: &Question) -> Result<Series, QueryError> {
        self.stock_until(hint, stock, question, question.to)
    }

    /// A stock at the starts of periods: as the period before left it, or the days before the range that cuts a period.
    pub(super) fn stock_at_start(
        &mut self,
        hint: &str,
        stock: &Stock,
        question: &Question,
    ) -> Result<Series, QueryError> {
        if question.grain == Grain::All {
            let mut series = self.stock_until(hint, stock, question, question.from.or(question.to))?;
            if question.from.is_none() {
                // Before all time there was nothing.
                series.name = self.builder.add(hint, format!("SELECT * FROM {} WHERE 1 = 0", series.name));
            }
            return Ok(series);
        }
        let mut series = self.stock(hint, stock, question)?;
        let width = question.by.len();
        let mut body = format!(
            "SELECT x.period + 1 AS period{}, x.value, x.row_count\n  FROM {} AS x",
            segments(width, "x"),
            series.name
        );
        if let Some((from, cut)) = cut_period(&self.builder.calendar, question) {
            let before = self.stock_until(&format!("{hint}_before"), stock, question, Some(from))?;
            body = format!(
                "{body}\n  WHERE x.period + 1 <> {cut}\n  UNION ALL\n  \
                 SELECT x.period{}, x.value, x.row_count\n  FROM {} AS x\n  WHERE x.period = {cut}",
                segments(width, "x"),
                before.name
            );
        }
        series.carried_to = series.carried_to.map(|last| last + 1);
        // The period in which the first row came starts with nothing, and is a period of the series all the same.
        series.also_from = vec![series.name];
        series.name = self.builder.add(&format!("{hint}_at_start"), body);
        Ok(series)
    }

    fn stock_until(
        &mut self,
        hint: &str,
        stock: &Stock,
        question: &Question,
        to: Option<i32>,
    ) -> Result<Series, QueryError> {
        let (from, until) = (&stock.from, &stock.until);
        let filter = was_there(stock)?;
        let side = |date| Leaf {
            table: &stock.table,
            date,
            aggregate: stock.aggregate,
            of: stock.of.as_deref(),
            filter: Some(&filter),
            range: (None, to),
            is_money_target: false,
        };
        let entered = self.lines(&side(from.as_str()), question)?;
        let left = self.lines(&side(until.as_str()), question)?;
        let entered_name = self.builder.add(&format!("{hint}_entered"), entered.body);
        let left_name = self.builder.add(&format!("{hint}_left"), left.body);
        let width = question.by.len();
        let bare = segments(width, "x");
        let changes = self.builder.add(
            &format!("{hint}_changes"),
            format!(
                "SELECT x.period{bare}, SUM(x.value) AS value, SUM(x.row_count) AS row_count\n  \
                 FROM (SELECT * FROM {entered_name}\n    UNION ALL\n    \
                 SELECT x.period{bare}, -x.value, -x.row_count FROM {left_name} AS x) AS x\n  GROUP BY x.period{bare}"
            ),
        );
        let body = if question.grain == Grain::All {
            let value = self.builder.dialect.exact("x.value", entered.scale);
            format!("SELECT x.period{bare}, {value} AS value, x.row_count\n  FROM {changes} AS x")
        } else {
            self.running(&changes, entered.scale, question)
        };
        let name = self.builder.add(hint, body);
        Ok(Series {
            name,
            also_from: Vec::new(),
            numerator: Source::Value,
            denominator: Source::Null,
            empty: Empty::ZERO,
            carried: true,
            carried_to: (question.grain != Grain::All).then(|| self.last_period(question)),
            starts: None,
            ahead: false,
            scale: Some(entered.scale),
            currency: entered.currency,
        })
    }

    /// What changes add up to, for every combination from its first change on.
    fn running(&self, changes: &str, scale: u32, question: &Question) -> String {
        let width = question.by.len();
        let window = format!("({}ORDER BY c.period ROWS UNBOUNDED PRECEDING)", partition(width, "k", &[]));
        let value = self.builder.dialect.exact(&format!("SUM(COALESCE(x.value, 0)) OVER {window}"), scale);
        let firsts = if width == 0 {
            format!("SELECT MIN(period) AS first_period FROM {changes}")
        } else {
            let names = bare_segments(width);
            format!("SELECT {names}, MIN(period) AS first_period FROM {changes} GROUP BY {names}")
        };
        format!(
            "SELECT c.period{}, {value} AS value,\n    \
             CAST(SUM(COALESCE(x.row_count, 0)) OVER {window} AS BIGINT) AS row_count\n  FROM {} AS c\n  \
             JOIN ({firsts}) AS k ON c.period >= k.first_period AND c.period <= {}\n  \
             LEFT JOIN {changes} AS x ON x.period = c.period{}",
            segments(width, "k"),
            calendar_name(question.grain),
            self.last_period(question),
            same_segments(width, "x", "k")
        )
    }

    /// The lines of a leaf: rows of the range that count, by period and segments.
    fn lines(&mut self, leaf: &Leaf<'_>, question: &Question) -> Result<Lines, QueryError> {
        let fact = self.engine.facts.table(leaf.table)?;
        self.check_segments(&fact, &question.by)?;
        let of = leaf.of.map(parse::expression).transpose()?;
        let Aggregated { sql: aggregate, present, rows, scale } = self.aggregate(leaf, &fact, of.as_ref())?;
        let Counted { period, named, from, keys } = self.counted(leaf, &fact, of.as_ref(), present, question)?;
        let group =
            if keys.is_empty() { "HAVING COUNT(*) > 0".to_owned() } else { format!("GROUP BY {}", keys.join(", ")) };
        let body =
            format!("SELECT {period} AS period{named}, {aggregate} AS value, {rows} AS row_count\n  {from}\n  {group}");
        let currency = currency(leaf, &fact, of.as_ref(), &question.by)?;
        self.needs_rows |= currency == Currency::OfRows;
        Ok(Lines { body, scale, currency })
    }

    /// The rows of the range that count, and what puts them into lines.
    pub(super) fn counted(
        &mut self,
        leaf: &Leaf<'_>,
        fact: &Fact,
        of: Option<&Expression>,
        present: Option<String>,
        question: &Question,
    ) -> Result<Counted, QueryError> {
        let dialect = self.builder.dialect;
        let filter = leaf.filter.map(parse::expression).transpose()?;
        let date = format!("t.{}", dialect.quoted(leaf.date));
        let mut conditions = Vec::new();
        conditions.extend(leaf.range.0.map(|from| format!("{date} >= {}", dialect.date(from))));
        conditions.extend(leaf.range.1.map(|to| format!("{date} < {}", dialect.date(to))));
        if conditions.is_empty() {
            conditions.push(format!("{date} IS NOT NULL"));
        }
        let writer = |text| Writer { fact, dialect, text };
        if let (Some(filter), Some(text)) = (&filter, leaf.filter) {
            conditions.push(writer(text).condition(filter)?);
        }
        if let Some(filter) = &question.filter {
            check::question(leaf.table, filter, &question.filter_text)?;
            conditions.push(writer(&question.filter_text).condition(filter)?);
        }
        conditions.extend(present);
        for expression in of.into_iter().chain(&filter).chain(&question.filter) {
            expression.visit_columns(&mut |name| self.builder.need(leaf.table, name));
        }
        self.builder.need(leaf.table, leaf.date);
        for name in &question.by {
            self.builder.need(leaf.table, name);
        }
        self.cover(fact, leaf, question);
        let columns: Vec<String> = question.by.iter().map(|name| format!("t.{}", dialect.quoted(name))).collect();
        let named: String =
            columns.iter().enumerate().map(|(position, column)| format!(", {column} AS s{}", position + 1)).collect();
        let all = question.grain == Grain::All;
        let period = if all { "0" } else { "c.period" };
        let calendar = if all {
            String::new()
        } else {
            format!("\n  JOIN {} AS c ON {date} >= c.first_day AND {date} < c.next_day", calendar_name(question.grain))
        };
        let mut keys = columns;
        if !all {
            keys.insert(0, period.to_owned());
        }
        let from = format!("FROM {} AS t{calendar}\n  WHERE {}", leaf.table, conditions.join("\n    AND "));
        Ok(Counted { period, named, from, keys })
    }

    fn aggregate(&mut self, leaf: &Leaf<'_>, fact: &Fact, of: Option<&Expression>) -> Result<Aggregated, QueryError> {
        let dialect = self.builder.dialect;
        let text = leaf.of.unwrap_or_default();
        let writer = Writer { fact, dialect, text };
        let value = of.map(|of| writer.value(of)).transpose()?;
        let rows = "COUNT(*)".to_owned();
        let present = value.as_ref().map(|value| format!("{} IS NOT NULL", value.sql));
        Ok(match (leaf.aggregate, value) {
            (Aggregate::Count, _) => Aggregated { sql: rows.clone(), present, rows, scale: 0 },
            (Aggregate::Sum, Some(value)) => {
                let scale = value.scale.ok_or_else(|| not_a_number(text))?;
                Aggregated { sql: dialect.exact(&format!("SUM({})", value.sql), scale), present, rows, scale }
            }
            (Aggregate::CountDistinct, Some(value)) => {
                let Some(FactKind::Code { domain }) = fact.column(text).map(|column| &column.kind) else {
                    return Err(QueryError::UnknownColumn {
                        name: text.to_owned(),
                        table: fact.table.clone(),
                        expression: text.to_owned(),
                        nearest: Vec::new(),
                    });
                };
                // A null key is nobody, but its row keeps the segment in sight.
                let rows = format!("COUNT({})", value.sql);
                // An identifier counts only together with its source system.
                let counted = if domain.starts_with("key-of-") {
                    self.builder.need(leaf.table, "source_system");
                    format!("t.{} || chr(31) || {}", dialect.quoted("source_system"), value.sql)
                } else {
                    value.sql
                };
                Aggregated { sql: format!("COUNT(DISTINCT {counted})"), present: None, rows, scale: 0 }
            }
            (Aggregate::Median | Aggregate::P90, Some(value)) => {
                let scale = value.scale.ok_or_else(|| not_a_number(text))? + 1;
                let place = if leaf.aggregate == Aggregate::Median { "0.5" } else { "0.9" };
                let quantile =
                    format!("percentile_cont({place}) WITHIN GROUP (ORDER BY CAST({} AS DOUBLE))", value.sql);
                Aggregated { sql: dialect.exact(&quantile, scale), present, rows, scale }
            }
            (Aggregate::SumOfSquares, Some(_)) => {
                return Err(QueryError::engine("sql", "sums of squares have no statement"));
            }
            (aggregate, None) => {
                return Err(QueryError::Unsupported {
                    kpi: leaf.table.to_owned(),
                    reason: format!("{aggregate:?} needs `of`"),
                    hint: "say what is aggregated".to_owned(),
                });
            }
        })
    }

    pub(super) fn check_segments(&self, fact: &Fact, by: &[String]) -> Result<(), QueryError> {
        for name in by {
            if !matches!(fact.column(name).map(|column| &column.kind), Some(FactKind::Code { .. })) {
                let is_segment = |kind: &FactKind| match kind {
                    FactKind::Code { domain } => !domain.starts_with("key-of-"),
                    _ => false,
                };
                let available: Vec<String> = fact
                    .columns
                    .iter()
                    .filter(|column| is_segment(&column.kind))
                    .map(|column| column.name.clone())
                    .collect();
                return Err(QueryError::UnknownSegment {
                    name: name.clone(),
                    table: fact.table.clone(),
                    nearest: nearest(name, available.iter().map(String::as_str)),
                    available,
                });
            }
        }
        Ok(())
    }

    /// Makes the calendar reach as far as the rows of a leaf.
    fn cover(&mut self, fact: &Fact, leaf: &Leaf<'_>, question: &Question) {
        let Some((low, high)) = fact.column(leaf.date).and_then(|column| column.bounds) else { return };
        let day = |day: i64| i32::try_from(day).unwrap_or_default();
        let low = leaf.range.0.map_or(day(low), |from| from.max(day(low)));
        let high = leaf.range.1.map_or(day(high), |to| to - 1);
        if low <= high {
            let calendar = self.builder.calendar;
            let grain = question.grain;
            self.builder.cover(grain, calendar.index(grain, low), calendar.index(grain, high));
        }
    }
}

pub(super) fn not_a_number(text: &str) -> QueryError {
    QueryError::Expression { expression: text.to_owned(), reason: "expected a number".to_owned() }
}

/// The currency of a leaf, as far as it can be known without its rows.
fn currency(leaf: &Leaf<'_>, fact: &Fact, of: Option<&Expression>, by: &[String]) -> Result<Currency, QueryError> {
    if leaf.is_money_target {
        // What a target without a currency is in depends on what it is compared with.
        return Ok(Currency::OfRows);
    }
    let mut is_money = false;
    if let (Some(of), Aggregate::Sum | Aggregate::Median | Aggregate::P90) = (of, leaf.aggregate) {
        note_amounts(of, &mut is_money);
    }
    if !is_money {
        return Ok(Currency::None);
    }
    if let Some(position) = by.iter().position(|name| name == "currency") {
        return Ok(Currency::Segment(position));
    }
    let Some(FactKind::Code { domain }) = fact.column("currency").map(|column| &column.kind) else {
        return Ok(Currency::None);
    };
    Ok(match &fact.labels(domain)?[..] {
        [] => Currency::None,
        [one] => Currency::One(one.to_string()),
        _ => Currency::OfRows,
    })
}

fn note_amounts(expression: &Expression, found: &mut bool) {
    // A condition on an amount does not make a value an amount; what is added up does.
    match expression {
        Expression::Case { branches, otherwise } => {
            branches.iter().for_each(|(_, value)| note_amounts(value, found));
            note_amounts(otherwise, found);
        }
        _ => expression.visit_columns(&mut |name| *found |= is_amount(name)),
    }
}
