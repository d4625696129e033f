//! SQL for other engines: one statement that answers a request as the pipelines here do.
//!
//! A statement reads the lake's Parquet files, resolves segments, makes the derived tables it
//! needs, and lays out the same lines in the same order as [`Engine::run`]: `tables` and
//! `derived` write the tables, `leaf` and `kinds` the KPIs, `expression` the conditions,
//! `dialect` what engines disagree about. The calendar is constant rows, so no engine's own date
//! arithmetic decides a period. Refused: conversion of currencies, comparisons, intervals, `--top`.

mod derived;
mod dialect;
mod expression;
mod kinds;
mod leaf;
mod pacing;
mod series;
mod survival;
mod tables;

use std::fmt::Write as _;

use dealframe_model::calendar::Grain;
use dealframe_model::frame::{Frame, QUOTIENT_SCALE, Row};
use dealframe_model::kpi::{Definition, Unit};

use crate::engine::Engine;
use crate::error::QueryError;
use crate::evaluate::Question;
use crate::evaluate::table::ALL;
use crate::request::Request;

use self::dialect::Dialect;
use self::series::{Builder, Currency, Series, bare_segments, calendar_name, same_segments};
use self::tables::Tables;

/// Turns definitions into CTEs.
struct Compiler<'a> {
    engine: &'a Engine,
    builder: Builder,
    /// Set when only the rows can tell the currency of some leaf.
    needs_rows: bool,
}

/// One KPI at one grain, ready to be laid out.
struct Column<'a> {
    definition: &'a Definition,
    question: Question,
    series: Series,
}

impl Engine {
    /// One self-contained statement (`duckdb` or `spark`) with the lines of [`Engine::run`] for this request.
    ///
    /// Sums are exact, quotients are computed in floats.
    ///
    /// # Errors
    /// As [`Engine::run`], and when the request asks for something that statements do not offer.
    pub fn to_sql(&self, request: &Request, dialect: &str) -> Result<String, QueryError> {
        let dialect = Dialect::from_name(dialect)?;
        self.refuse(request)?;
        let prepared = self.prepare(request)?;
        let builder = Builder::new(dialect, *self.calendar(), request.from);
        let mut compiler = Compiler { engine: self, builder, needs_rows: false };
        let mut columns = Vec::new();
        for id in &request.kpis {
            for grain in &prepared.grains {
                let (question, asked) = self.question(&prepared, id, *grain)?;
                let series = compiler.kpi(id, &asked)?;
                columns.push(Column { definition: self.catalogue().get(id)?, question, series });
            }
        }
        // Which of several currencies the rows have, and whether they are mixed, only the rows know.
        let answer =
            if compiler.needs_rows { self.run(std::slice::from_ref(request))?.into_iter().next() } else { None };
        compiler.statement(request, &prepared.by, &columns, answer.as_ref())
    }

    fn refuse(&self, request: &Request) -> Result<(), QueryError> {
        let settings = self.settings();
        let refused = [
            (request.kpis.is_empty(), "no KPI", "name at least one KPI; `dealframe kpis` lists them"),
            (
                request.compare.is_some(),
                "--compare",
                "ask for the KPI alone, or for a growth KPI such as revenue_growth_previous",
            ),
            (request.interval, "--interval", "compute it in the other engine from numerator and denominator"),
            (request.top.is_some(), "--top", "ask for all values, and limit them in the other engine"),
            (settings.currency.is_some(), "--currency", "split with --by currency, or ask without --sql"),
        ];
        match refused.iter().find(|(asked, ..)| *asked) {
            None => Ok(()),
            Some((_, what, hint)) => Err(QueryError::Unsupported {
                kpi: request.kpis.join(", "),
                reason: format!("statements for other engines do not offer {what}"),
                hint: (*hint).to_owned(),
            }),
        }
    }
}

impl Compiler<'_> {
    /// The last period that a question shows, as SQL.
    fn last_period(&self, question: &Question) -> i32 {
        match question.to {
            _ if question.grain == Grain::All => 0,
            Some(to) => self.builder.calendar.index(question.grain, to - 1),
            // Without any date there are no periods.
            None => i32::MIN + 1,
        }
    }

    /// The last period that a column shows, as SQL.
    fn last_shown(&self, column: &Column<'_>) -> String {
        let Column { question, series, .. } = column;
        let last = self.last_period(question);
        match question.to_asked {
            _ if question.grain == Grain::All || !series.ahead => last.to_string(),
            // What lies ahead goes as far as was asked, or as far as there is anything.
            Some(to) => self.builder.calendar.index(question.grain, to - 1).to_string(),
            None => format!("GREATEST({last}, {})", series.last()),
        }
    }

    fn statement(
        mut self,
        request: &Request,
        by: &[String],
        columns: &[Column<'_>],
        answer: Option<&Frame>,
    ) -> Result<String, QueryError> {
        let dialect = self.builder.dialect;
        // One type for all lines of a column: as many digits as the most exact KPI needs.
        let scale = columns.iter().map(|column| column.series.scale.unwrap_or(QUOTIENT_SCALE)).max().unwrap_or(0);
        let mut parts = Vec::with_capacity(columns.len());
        for (position, column) in columns.iter().enumerate() {
            self.cover_shown(column);
            let unit = self.unit(column, answer);
            let segments = shown_segments(by, &column.question.by, dialect);
            parts.push(self.layout(position + 1, column, &segments, &unit, scale, request.sparse));
        }
        let mut ctes = self.table_ctes()?;
        for (grain, periods) in &self.builder.periods {
            ctes.push((calendar_name(*grain), "AS", self.builder.calendar_rows(*grain, periods)?));
        }
        let kept = dialect.kept();
        ctes.extend(self.builder.series().into_iter().map(|(name, body)| (name, kept, body)));
        let mut text = String::from("WITH ");
        for (position, (name, how, body)) in ctes.iter().enumerate() {
            let comma = if position == 0 { "" } else { ",\n" };
            let _ = write!(text, "{comma}{name} {how} (\n  {body}\n)");
        }
        let named = |name: &str| format!("answer.{}", dialect.quoted(name));
        let mut shown: Vec<String> = ["kpi", "grain", "period_start", "period"].map(named).to_vec();
        for (position, name) in by.iter().enumerate() {
            shown.push(format!("answer.s{} AS {}", position + 1, dialect.quoted(name)));
        }
        shown.extend(["value", "unit", "numerator", "denominator", "rows"].map(named));
        let mut order = vec!["answer.part".to_owned(), "answer.place".to_owned()];
        order.extend((1..=by.len()).map(|number| format!("answer.s{number} NULLS LAST")));
        let _ = write!(
            text,
            "\nSELECT {}\nFROM (\n  {}\n) AS answer\nORDER BY {}\n",
            shown.join(", "),
            parts.join("\n  UNION ALL\n  "),
            order.join(", ")
        );
        Ok(text)
    }

    fn table_ctes(&self) -> Result<Vec<(String, &'static str, String)>, QueryError> {
        let engine = self.engine;
        let mut tables = Tables::new(engine.lake(), self.builder.dialect, engine.facts.anchor, engine.rewind_to);
        for (table, columns) in &self.builder.needed {
            tables.add_fact(table, columns)?;
        }
        Ok(tables.finish()?.into_iter().map(|(name, body)| (name, "AS", body)).collect())
    }

    /// Makes the calendar hold every period that is shown.
    fn cover_shown(&mut self, column: &Column<'_>) {
        let (question, calendar) = (&column.question, self.builder.calendar);
        let grain = question.grain;
        if grain == Grain::All {
            self.builder.cover(grain, 0, 0);
            return;
        }
        let to = if column.series.ahead { question.to_asked.or(question.to) } else { question.to };
        let last = to.map(|to| calendar.index(grain, to - 1));
        let first = question.from.map(|from| calendar.index(grain, from));
        if let Some((first, last)) = first.or(last).zip(last).filter(|(first, last)| first <= last) {
            self.builder.cover(grain, first, last);
        } else if !self.builder.periods.contains_key(&grain) {
            // A calendar without periods.
            self.builder.cover(grain, 1, 0);
        }
    }

    /// The unit of a column's lines.
    fn unit(&self, column: &Column<'_>, answer: Option<&Frame>) -> String {
        let dialect = self.builder.dialect;
        let unit = column.definition.unit;
        match (&column.series.currency, unit) {
            (Currency::One(currency), Unit::Money) => dialect.text(currency),
            (Currency::Segment(position), Unit::Money) => {
                format!("COALESCE(k.s{}, {})", position + 1, dialect.text(unit.name()))
            }
            (Currency::OfRows, Unit::Money) => {
                let found = answer.and_then(|frame| {
                    let kpi = frame.kpis.iter().position(|kpi| kpi.id == column.definition.id)?;
                    let grain = |period: u32| frame.periods.get(period as usize).map(|period| period.grain);
                    let is_own =
                        |row: &&Row| row.kpi as usize == kpi && grain(row.period) == Some(column.question.grain);
                    let row = frame.rows.iter().find(is_own)?;
                    frame.units.get(row.unit as usize)
                });
                dialect.text(found.map_or(unit.name(), String::as_str))
            }
            _ => dialect.text(unit.name()),
        }
    }

    /// The lines of one KPI at one grain: every period of the range for every combination that occurs in it.
    fn layout(&self, part: usize, column: &Column<'_>, shown: &str, unit: &str, scale: u32, sparse: bool) -> String {
        let Column { definition, question, series } = column;
        let dialect = self.builder.dialect;
        let width = question.by.len();
        let name = &series.name;
        let last = self.last_shown(column);
        let first = match (question.grain, question.from) {
            (Grain::All, _) => "0".to_owned(),
            (grain, Some(from)) => self.builder.calendar.index(grain, from).to_string(),
            (_, None) => series.first(),
        };
        let combinations = if width == 0 {
            "SELECT 1 AS one".to_owned()
        } else if series.carried {
            format!("SELECT DISTINCT {} FROM {name}", bare_segments(width))
        } else {
            format!("SELECT DISTINCT {} FROM {name} WHERE period BETWEEN {first} AND {last}", bare_segments(width))
        };
        let number =
            |sql: String, name: &str| format!("CAST({sql} AS DECIMAL(38, {scale})) AS {}", dialect.quoted(name));
        let constant = |text: &str, name: &str| format!("{} AS {}", dialect.text(text), dialect.quoted(name));
        let not_sparse = if sparse { "\n    AND (x.row_count <> 0 OR x.period IS NOT NULL)" } else { "" };
        format!(
            "SELECT {part} AS part, c.period AS place, {}, {}, c.first_day AS {}, c.label AS {}{shown},\n    \
             {}, {unit} AS {},\n    {},\n    {},\n    COALESCE(x.row_count, 0) AS {}\n  FROM {} AS c\n  \
             CROSS JOIN ({combinations}) AS k\n  LEFT JOIN {name} AS x ON x.period = c.period{}\n  \
             WHERE c.period BETWEEN {first} AND {last}{not_sparse}",
            constant(&definition.id, "kpi"),
            constant(question.grain.name(), "grain"),
            dialect.quoted("period_start"),
            dialect.quoted("period"),
            number(series.value("x", "c"), "value"),
            dialect.quoted("unit"),
            number(series.numerator("x", "c"), "numerator"),
            number(series.denominator("x", "c"), "denominator"),
            dialect.quoted("rows"),
            calendar_name(question.grain),
            same_segments(width, "x", "k"),
        )
    }
}

/// The segment columns of a result, for a KPI that is broken down by some of them.
fn shown_segments(all: &[String], own: &[String], dialect: Dialect) -> String {
    all.iter()
        .enumerate()
        .map(|(position, name)| {
            let value = own
                .iter()
                .position(|own| own == name)
                .map_or_else(|| dialect.text(ALL), |place| format!("k.s{}", place + 1));
            format!(", {value} AS s{}", position + 1)
        })
        .collect()
}
