//! The kinds of KPIs as CTEs: how parts become a value.
//!
//! The counterpart of `crate::evaluate::kinds`, function by function. Quotients are floats
//! here; everything that is only added up stays an exact decimal.

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::kpi::{
    Aggregate, At, AttainmentShow, Base, Compute, Definition, Derived, Empty as EmptyRule, Measure, Operation, Pacing,
    Part, Reset, Retention, RetentionShow, Term,
};

use super::Compiler;
use super::series::{
    Currency, Empty, Series, Source, bare_segments, calendar_name, joint_scale, partition, same_segments, segments,
};
use crate::error::QueryError;
use crate::evaluate::Question;
use crate::evaluate::kinds::{recurring, target_currency, target_measure, within_days};
use crate::evaluate::money::not_mixed;
use crate::evaluate::pacing;
use crate::formula::{self, Formula};

impl Compiler<'_> {
    /// The series of a KPI.
    pub(super) fn kpi(&mut self, id: &str, question: &Question) -> Result<Series, QueryError> {
        let catalogue = self.engine.catalogue();
        self.compute(catalogue.get(id)?, question)
    }

    fn compute(&mut self, definition: &Definition, question: &Question) -> Result<Series, QueryError> {
        let hint = format!("{}_{}", definition.id, question.grain.name().replace('-', "_"));
        match &definition.compute {
            Compute::Flow { measure } => self.measure(&hint, measure, question),
            Compute::Stock { stock } => self.stock(&hint, stock, question),
            Compute::Ratio { numerator, denominator, factor, denominator_is_mean, within } => {
                let terms = if *denominator_is_mean { denominator.terms().len() } else { 1 };
                let (ripe, numerator) = within_days(numerator, within.as_ref(), question, self.engine.as_of());
                let top = self.part(&definition.id, &format!("{hint}_numerator"), &numerator, &ripe)?;
                let bottom = self.part(&definition.id, &format!("{hint}_denominator"), denominator, &ripe)?;
                common(&definition.id, &[&top, &bottom])?;
                Ok(self.ratio(&hint, (&top, &bottom), *factor, terms, question))
            }
            Compute::Total { part } => self.part(&definition.id, &hint, part, question),
            Compute::Derived(derived) => self.derived(&hint, derived, question),
            Compute::Formula { formula } => self.formula(&definition.id, &hint, formula, question),
            Compute::Retention { retention } => self.retention(&hint, retention, question),
            Compute::Survival { survival } => self.survival(&hint, definition.unit, survival, question),
            Compute::Recurring { movement } => self.measure(&hint, &recurring(*movement), question),
            Compute::Attainment { metric, actual, show, pacing } => {
                self.attainment(&definition.id, &hint, (metric, actual, *show, *pacing), question)
            }
        }
    }

    fn part(&mut self, kpi: &str, hint: &str, part: &Part, question: &Question) -> Result<Series, QueryError> {
        let mut terms = Vec::with_capacity(part.terms().len());
        for term in part.terms() {
            terms.push((self.term(hint, term, question)?, term.minus));
        }
        match terms.as_slice() {
            [] => Ok(self.nothing(hint, question)),
            [(one, false)] => Ok(one.clone()),
            [(one, true)] => Ok(self.negated(hint, one, question)),
            _ => self.sum(kpi, hint, &terms, question),
        }
    }

    fn term(&mut self, hint: &str, term: &Term, question: &Question) -> Result<Series, QueryError> {
        match (&term.measure, &term.stock, &term.kpi) {
            (Some(measure), _, _) => self.measure(hint, measure, question),
            (_, Some(stock), _) if term.at == At::Start => self.stock_at_start(hint, stock, question),
            (_, Some(stock), _) => self.stock(hint, stock, question),
            (_, _, Some(id)) => {
                let catalogue = self.engine.catalogue();
                match &catalogue.get(id)?.compute {
                    Compute::Stock { stock } if term.at == At::Start => self.stock_at_start(hint, stock, question),
                    _ => self.kpi(id, question),
                }
            }
            (None, None, None) => Ok(self.nothing(hint, question)),
        }
    }

    /// A series without lines.
    fn nothing(&mut self, hint: &str, question: &Question) -> Series {
        let columns: String =
            (1..=question.by.len()).map(|number| format!(", CAST(NULL AS STRING) AS s{number}")).collect();
        let body = format!(
            "SELECT 0 AS period{columns}, CAST(NULL AS DECIMAL(30, 0)) AS value, 0 AS row_count\n  WHERE 1 = 0"
        );
        Series {
            name: self.builder.add(&format!("{hint}_nothing"), body),
            also_from: Vec::new(),
            numerator: Source::Null,
            denominator: Source::Null,
            empty: Empty::NULL,
            carried: false,
            carried_to: None,
            starts: None,
            ahead: false,
            scale: Some(0),
            currency: Currency::None,
        }
    }

    fn negated(&mut self, hint: &str, series: &Series, question: &Question) -> Series {
        let own = match series.numerator {
            Source::Own => ", -x.numerator AS numerator",
            _ => "",
        };
        let rest = if series.denominator == Source::Own { ", x.denominator" } else { "" };
        let body = format!(
            "SELECT x.period{}, -x.value AS value, x.row_count{own}{rest}\n  FROM {} AS x",
            segments(question.by.len(), "x"),
            series.name
        );
        Series { name: self.builder.add(&format!("{hint}_negated"), body), ..series.clone() }
    }

    /// All keys of some series (`k`), and each series beside them (`x1`, `x2`...).
    fn beside(series: &[&Series], width: usize) -> String {
        let keys: Vec<String> = series
            .iter()
            .map(|one| format!("SELECT x.period{} FROM {} AS x", segments(width, "x"), one.name))
            .collect();
        let mut text = format!("({}) AS k", keys.join("\n    UNION "));
        for (position, one) in series.iter().enumerate() {
            text.push_str("\n  ");
            text.push_str(&one.joined(&format!("x{}", position + 1), "k", width));
        }
        text
    }

    /// The sum of series; null counts as nothing, unless all are null.
    fn sum(
        &mut self,
        kpi: &str,
        hint: &str,
        terms: &[(Series, bool)],
        question: &Question,
    ) -> Result<Series, QueryError> {
        let width = question.by.len();
        let all: Vec<&Series> = terms.iter().map(|(series, _)| series).collect();
        let currency = common(kpi, &all)?;
        let scale = scale_of(&all);
        let (mut values, mut rows, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for (position, (series, minus)) in terms.iter().enumerate() {
            let alias = format!("x{}", position + 1);
            let sign = if *minus {
                "-"
            } else if position > 0 {
                "+"
            } else {
                ""
            };
            values.push(format!("{sign} COALESCE({alias}.value, 0)"));
            plain.push(series.value(&alias, "k"));
            rows.push(format!("COALESCE({alias}.row_count, 0)"));
        }
        let sum = values.join(" ").trim().to_owned();
        let can_be_null = !all.iter().any(|series| series.empty.value && series.starts.is_none());
        let sum = match scale {
            Some(scale) => self.builder.dialect.exact(&sum, scale),
            None => format!("CAST({sum} AS DOUBLE)"),
        };
        let sum = if can_be_null {
            format!("CASE WHEN COALESCE({}) IS NOT NULL THEN {sum} END", plain.join(", "))
        } else {
            sum
        };
        let body = format!(
            "SELECT k.period{}, {sum} AS value, {} AS row_count\n  FROM {}",
            segments(width, "k"),
            rows.join(" + "),
            Self::beside(&all, width)
        );
        Ok(Series {
            name: self.builder.add(hint, body),
            also_from: firsts(&all),
            numerator: Source::Value,
            denominator: Source::Null,
            empty: if all.iter().any(|series| series.empty.value) { Empty::ZERO } else { Empty::NULL },
            carried: all.iter().all(|series| series.carried),
            carried_to: all
                .iter()
                .filter_map(|series| series.carried_to)
                .max()
                .filter(|_| all.iter().all(|series| series.carried)),
            starts: None,
            ahead: all.iter().any(|series| series.ahead),
            scale,
            currency,
        })
    }

    fn ratio(
        &mut self,
        hint: &str,
        (top, bottom): (&Series, &Series),
        factor: i64,
        terms: usize,
        question: &Question,
    ) -> Series {
        let width = question.by.len();
        let (numerator, denominator) = (top.value("x1", "k"), bottom.value("x2", "k"));
        let denominator = match terms {
            1 => denominator,
            _ => format!("CAST({denominator} AS DOUBLE) / {terms}"),
        };
        let body = format!(
            "SELECT k.period{}, {} AS value,\n    {numerator} AS numerator, {denominator} AS denominator,\n    \
             COALESCE(x2.row_count, 0) AS row_count\n  FROM {}",
            segments(width, "k"),
            quotient(&numerator, &denominator, factor),
            Self::beside(&[top, bottom], width)
        );
        let currency = match (&top.currency, &bottom.currency) {
            (currency, Currency::None) | (Currency::None, currency) => currency.clone(),
            // Money over money has no currency left.
            _ => Currency::None,
        };
        Series {
            name: self.builder.add(hint, body),
            also_from: firsts(&[top, bottom]),
            numerator: Source::Own,
            denominator: Source::Own,
            empty: Empty { value: false, numerator: top.empty.value, denominator: bottom.empty.value },
            carried: false,
            carried_to: None,
            starts: None,
            ahead: top.ahead || bottom.ahead,
            scale: None,
            currency,
        }
    }

    fn formula(&mut self, kpi: &str, hint: &str, text: &str, question: &Question) -> Result<Series, QueryError> {
        let fail = |reason| QueryError::Expression { expression: text.to_owned(), reason };
        let parsed = formula::parse(text).map_err(fail)?;
        let names = formula::names(text).map_err(fail)?;
        let mut parts: Vec<(String, Series)> = Vec::with_capacity(names.len());
        for name in names {
            let series = self.kpi(&name, question)?;
            parts.push((name, series));
        }
        let all: Vec<&Series> = parts.iter().map(|(_, series)| series).collect();
        let scale = if is_sum(&parsed) { joint_scale(numbers_scale(&parsed), scale_of(&all)) } else { None };
        let of = |name: &str| {
            parts.iter().position(|(known, _)| known == name).map_or_else(
                || "NULL".to_owned(),
                |position| {
                    let value = parts[position].1.value(&format!("x{}", position + 1), "k");
                    if scale.is_some() { value } else { format!("CAST({value} AS DOUBLE)") }
                },
            )
        };
        let value = arithmetic(&parsed, &of, &|value, digits| self.builder.dialect.number(value, digits));
        let value = scale.map_or_else(|| value.clone(), |scale| self.builder.dialect.exact(&value, scale));
        let rows: Vec<String> = (1..=parts.len()).map(|number| format!("COALESCE(x{number}.row_count, 0)")).collect();
        let rows = if rows.len() == 1 { rows.join("") } else { format!("GREATEST({})", rows.join(", ")) };
        let width = question.by.len();
        let body = format!(
            "SELECT k.period{}, {value} AS value, {rows} AS row_count\n  FROM {}",
            segments(width, "k"),
            Self::beside(&all, width)
        );
        let currency = common(kpi, &all)?;
        Ok(Series {
            also_from: firsts(&all),
            ahead: all.iter().any(|series| series.ahead),
            ..Series::of_values(self.builder.add(hint, body), scale, currency)
        })
    }

    fn derived(&mut self, hint: &str, derived: &Derived, question: &Question) -> Result<Series, QueryError> {
        let base = self.kpi(&derived.of, question)?;
        let has_no_year = question.grain == Grain::All;
        Ok(match &derived.operation {
            Operation::By { .. } => base,
            Operation::Share { .. } => {
                // Whether a total over currencies has several of them, only the rows know.
                self.needs_rows |= matches!(base.currency, Currency::Segment(_));
                self.share(hint, &base, question)
            }
            Operation::Growth { base: against } => self.growth(hint, &base, *against, question),
            Operation::Cumulative { .. } if has_no_year => base,
            Operation::Cumulative { reset } => self.cumulative(hint, &base, *reset, question),
            Operation::MovingAverage { periods } => self.moving_average(hint, &base, *periods, question),
            Operation::MovingSum { periods } => self.moving_sum(hint, &base, *periods, question),
            Operation::Trend { periods } => self.trend(hint, &base, *periods, question),
            Operation::SeasonalIndex => self.seasonal_index(hint, &base, question),
        })
    }

    /// Every combination of a series in every period from the first on: `period, s1..., value, row_count`.
    fn dense(&mut self, series: &Series, question: &Question) -> String {
        let width = question.by.len();
        let name = &series.name;
        let combinations = if width == 0 {
            format!("SELECT DISTINCT 1 AS one FROM {name}")
        } else {
            format!("SELECT DISTINCT {} FROM {name}", bare_segments(width))
        };
        let body = format!(
            "SELECT c.period{}, {} AS value, COALESCE(x.row_count, 0) AS row_count\n  FROM {} AS c\n  \
             CROSS JOIN ({combinations}) AS k\n  LEFT JOIN {name} AS x ON x.period = c.period{}\n  \
             WHERE c.period >= {} AND c.period <= {}",
            segments(width, "k"),
            series.value("x", "c"),
            calendar_name(question.grain),
            same_segments(width, "x", "k"),
            series.first(),
            self.dense_until(series, question)
        );
        let hint = name.strip_prefix("kpi_").unwrap_or(name).to_owned();
        self.builder.add(&format!("{hint}_dense"), body)
    }

    /// The last period of a dense series: the last one shown, or the last one with anything ahead of it.
    fn dense_until(&self, series: &Series, question: &Question) -> String {
        let last = self.last_period(question);
        if series.ahead { format!("GREATEST({last}, {})", series.last()) } else { last.to_string() }
    }

    fn growth(&mut self, hint: &str, series: &Series, against: Base, question: &Question) -> Series {
        let width = question.by.len();
        let dense = self.dense(series, question);
        let base = match (against, question.grain) {
            (_, Grain::All) => "NULL".to_owned(),
            (Base::Previous, _) => "x.period - 1".to_owned(),
            (Base::YearAgo, _) => "c.year_ago".to_owned(),
        };
        let calendar = match against {
            Base::YearAgo if question.grain != Grain::All => {
                format!("\n  JOIN {} AS c ON c.period = x.period", calendar_name(question.grain))
            }
            _ => String::new(),
        };
        let change = "(x.value - b.value)";
        let body = format!(
            "SELECT x.period{}, {} AS value, {change} AS numerator, b.value AS denominator, x.row_count\n  \
             FROM {dense} AS x{calendar}\n  LEFT JOIN {dense} AS b ON b.period = {base}{}",
            segments(width, "x"),
            quotient(change, "b.value", 1),
            same_segments(width, "b", "x")
        );
        Series { ahead: series.ahead, ..self.quotients(hint, body) }
    }

    /// A series of quotients that keeps its parts.
    fn quotients(&mut self, hint: &str, body: String) -> Series {
        Series {
            name: self.builder.add(hint, body),
            also_from: Vec::new(),
            numerator: Source::Own,
            denominator: Source::Own,
            empty: Empty::NULL,
            carried: false,
            carried_to: None,
            starts: None,
            ahead: false,
            scale: None,
            currency: Currency::None,
        }
    }

    /// Every part has a share in every period that has a total, if it is 0.
    fn share(&mut self, hint: &str, series: &Series, question: &Question) -> Series {
        let width = question.by.len();
        let name = &series.name;
        let combinations = if width == 0 {
            format!("SELECT DISTINCT 1 AS one FROM {name}")
        } else {
            format!("SELECT DISTINCT {} FROM {name}", bare_segments(width))
        };
        let value = format!("COALESCE({}, 0)", series.value("x", "c"));
        let body = format!(
            "SELECT c.period{}, {} AS value, {value} AS numerator,\n    c.total AS denominator, \
             COALESCE(x.row_count, 0) AS row_count\n  \
             FROM (SELECT period, SUM(value) AS total FROM {name} GROUP BY period) AS c\n  \
             CROSS JOIN ({combinations}) AS k\n  \
             LEFT JOIN {name} AS x ON x.period = c.period{}\n  WHERE c.total IS NOT NULL",
            segments(width, "k"),
            quotient(&value, "c.total", 1),
            same_segments(width, "x", "k")
        );
        let mut also_from = series.also_from.clone();
        also_from.push(name.clone());
        Series { also_from, ahead: series.ahead, ..self.quotients(hint, body) }
    }

    fn cumulative(&mut self, hint: &str, series: &Series, reset: Reset, question: &Question) -> Series {
        let width = question.by.len();
        let dense = self.dense(series, question);
        let year: &[&str] = match reset {
            Reset::Never => &[],
            Reset::Year => &["c.year"],
            Reset::FiscalYear => &["c.fiscal_year"],
        };
        let window = format!("({}ORDER BY x.period ROWS UNBOUNDED PRECEDING)", partition(width, "x", year));
        let sum = format!("SUM(COALESCE(x.value, 0)) OVER {window}");
        let sum = series.scale.map_or_else(|| sum.clone(), |scale| self.builder.dialect.exact(&sum, scale));
        let body = format!(
            "SELECT x.period{}, {sum} AS value, CAST(SUM(x.row_count) OVER {window} AS BIGINT) AS row_count\n  \
             FROM {dense} AS x\n  JOIN {} AS c ON c.period = x.period",
            segments(width, "x"),
            calendar_name(question.grain)
        );
        Series {
            empty: Empty::ZERO,
            ..Series::of_values(self.builder.add(hint, body), series.scale, series.currency.clone())
        }
    }

    fn moving_average(&mut self, hint: &str, series: &Series, periods: u32, question: &Question) -> Series {
        let width = question.by.len();
        let dense = self.dense(series, question);
        let window = last_periods(width, periods);
        let body = format!(
            "SELECT x.period{}, CASE WHEN COUNT(x.value) OVER {window} = {periods}\n    \
             THEN CAST(SUM(x.value) OVER {window} AS DOUBLE) / {periods} END AS value, x.row_count\n  FROM {dense} AS x",
            segments(width, "x")
        );
        self.windowed(hint, series, periods, body)
    }

    fn moving_sum(&mut self, hint: &str, series: &Series, periods: u32, question: &Question) -> Series {
        let width = question.by.len();
        let dense = self.dense(series, question);
        let window = last_periods(width, periods);
        let sum = format!("CASE WHEN COUNT(x.value) OVER {window} = {periods} THEN SUM(x.value) OVER {window} END");
        let sum = series.scale.map_or_else(|| sum.clone(), |scale| self.builder.dialect.exact(&sum, scale));
        let body = format!("SELECT x.period{}, {sum} AS value, x.row_count\n  FROM {dense} AS x", segments(width, "x"));
        Series { scale: series.scale, ..self.windowed(hint, series, periods, body) }
    }

    /// Least-squares slope: the values weighted by their distance from the middle of the window.
    fn trend(&mut self, hint: &str, series: &Series, periods: u32, question: &Question) -> Series {
        let width = question.by.len();
        let dense = self.dense(series, question);
        let window = format!("({}ORDER BY x.period)", partition(width, "x", &[]));
        let count = i64::from(periods);
        let terms: Vec<String> = (0..count)
            .map(|place| {
                let back = count - 1 - place;
                let value = match back {
                    0 => "x.value".to_owned(),
                    _ => format!("LAG(x.value, {back}) OVER {window}"),
                };
                format!("({}) * {value}", 2 * place - count + 1)
            })
            .collect();
        let body = format!(
            "SELECT x.period{}, CAST({} AS DOUBLE) * 6 / {} AS value, x.row_count\n  FROM {dense} AS x",
            segments(width, "x"),
            terms.join("\n      + "),
            count * (count * count - 1)
        );
        self.windowed(hint, series, periods, body)
    }

    fn windowed(&mut self, hint: &str, series: &Series, periods: u32, body: String) -> Series {
        let starts = series.empty.value.then(|| format!("{} + {}", series.first(), i64::from(periods) - 1));
        Series {
            // A combination without rows has what a window of empty values has, once there is a whole window.
            empty: if starts.is_some() { Empty::ZERO } else { Empty::NULL },
            starts,
            ..Series::of_values(self.builder.add(hint, body), None, series.currency.clone())
        }
    }

    fn seasonal_index(&mut self, hint: &str, series: &Series, question: &Question) -> Series {
        let Some(in_year) = Calendar::periods_in_year(question.grain).filter(|periods| *periods > 1) else {
            return self.nothing(hint, question);
        };
        let width = question.by.len();
        let dense = self.dense(series, question);
        let year = if matches!(question.grain, Grain::FiscalMonth | Grain::FiscalQuarter) {
            "c.fiscal_year"
        } else {
            "c.year"
        };
        let window = format!("({})", partition(width, "x", &[year]).trim());
        // Only whole years have a mean to compare with.
        let whole = format!("x.value IS NOT NULL AND COUNT(x.value) OVER {window} = {in_year}");
        let mean = format!("(CAST(SUM(x.value) OVER {window} AS DOUBLE) / {in_year})");
        let body = format!(
            "SELECT x.period{}, CASE WHEN {whole} THEN {} END AS value,\n    \
             CASE WHEN {whole} THEN x.value END AS numerator,\n    CASE WHEN {whole} THEN {mean} END AS denominator,\n    \
             x.row_count\n  FROM {dense} AS x\n  JOIN {} AS c ON c.period = x.period",
            segments(width, "x"),
            quotient("x.value", &mean, 1),
            calendar_name(question.grain)
        );
        self.quotients(hint, body)
    }

    fn retention(&mut self, hint: &str, retention: &Retention, question: &Question) -> Result<Series, QueryError> {
        if question.grain == Grain::All {
            // Retention compares a period with the one before; all time has none.
            return Ok(self.nothing(hint, question));
        }
        // Who is recognised again: an identifier counts only together with its source system.
        let fact = self.engine.facts.table(&retention.table)?;
        self.check_segments(&fact, std::slice::from_ref(&retention.key))?;
        let width = question.by.len();
        let mut by = question.by.clone();
        by.extend([retention.key.clone(), "source_system".to_owned()]);
        let measure = Measure {
            table: retention.table.clone(),
            date: retention.date.clone(),
            aggregate: Aggregate::Count,
            of: None,
            filter: retention.filter.clone(),
            empty: EmptyRule::Zero,
            ahead: false,
        };
        let seen = self.measure(&format!("{hint}_seen"), &measure, &Question { by, ..question.clone() })?.name;
        let (key, all) = (format!("s{}", width + 1), width + 2);
        let shown = match retention.show {
            RetentionShow::Retained => format!("COUNT(n.{key})"),
            RetentionShow::Lost => format!("(COUNT(*) - COUNT(n.{key}))"),
        };
        let body = format!(
            "SELECT x.period + 1 AS period{0}, {1} AS value,\n    {shown} AS numerator, COUNT(*) AS denominator, \
             COUNT(*) AS row_count\n  FROM {seen} AS x\n  LEFT JOIN {seen} AS n ON n.period = x.period + 1{2}\n  \
             WHERE x.{key} IS NOT NULL AND x.period < {3}\n  GROUP BY x.period{0}",
            segments(width, "x"),
            quotient(&shown, "COUNT(*)", 1),
            same_segments(all, "n", "x"),
            self.last_period(question)
        );
        Ok(self.quotients(hint, body))
    }

    /// Actual against target. A target counts in the period in which its own period starts, unless it is spread.
    fn attainment(
        &mut self,
        kpi: &str,
        hint: &str,
        (metric, actual, show, pacing): (&str, &str, AttainmentShow, Option<Pacing>),
        question: &Question,
    ) -> Result<Series, QueryError> {
        let measure = target_measure(metric, actual, question)?;
        let is_money = target_currency(&self.engine.facts, self.engine.catalogue(), actual)?.is_some();
        let target_hint = format!("{hint}_target");
        let target = match pacing {
            Some(pacing) => {
                pacing::check(self.engine.catalogue(), kpi, actual)?;
                let to_date = show != AttainmentShow::Target;
                self.spread(&target_hint, &measure, is_money, (actual, pacing, to_date), question)?
            }
            None => self.measure_of(&target_hint, &measure, is_money, question)?,
        };
        if show == AttainmentShow::Target {
            return Ok(target);
        }
        let reached = self.kpi(actual, question)?;
        let width = question.by.len();
        let (value, goal) = (reached.value("x1", "k"), target.value("x2", "k"));
        let shown = match show {
            AttainmentShow::Gap => format!("{value} - {goal}"),
            _ => quotient(&value, &goal, 1),
        };
        let body = format!(
            "SELECT k.period{}, {shown} AS value, {value} AS numerator, {goal} AS denominator,\n    \
             COALESCE(x1.row_count, 0) AS row_count\n  FROM {}",
            segments(width, "k"),
            Self::beside(&[&reached, &target], width)
        );
        let mut series = self.quotients(hint, body);
        if show == AttainmentShow::Gap {
            series.scale = joint_scale(target.scale, reached.scale);
        }
        series.ahead = target.ahead;
        series.currency = common(kpi, &[&reached, &target])?;
        Ok(series)
    }
}

/// The currency of what is made of several series, as in the pipelines.
fn common(kpi: &str, all: &[&Series]) -> Result<Currency, QueryError> {
    not_mixed(
        kpi,
        all.iter().filter_map(|series| match &series.currency {
            Currency::One(name) => Some(name.as_str()),
            _ => None,
        }),
    )?;
    let known = all.iter().find(|series| series.currency != Currency::None);
    Ok(known.map_or(Currency::None, |series| series.currency.clone()))
}

/// The window of the last periods of every combination.
fn last_periods(width: usize, periods: u32) -> String {
    let before = periods.saturating_sub(1);
    format!("({}ORDER BY x.period ROWS BETWEEN {before} PRECEDING AND CURRENT ROW)", partition(width, "x", &[]))
}

/// The greatest number of digits after the point.
fn scale_of(series: &[&Series]) -> Option<u32> {
    series.iter().try_fold(0, |scale, one| one.scale.map(|own| own.max(scale)))
}

/// What else than their own lines some series start with.
fn firsts(series: &[&Series]) -> Vec<String> {
    let mut all: Vec<String> = series.iter().flat_map(|one| one.also_from.iter().cloned()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A quotient that is null where the divisor is 0.
fn quotient(numerator: &str, denominator: &str, factor: i64) -> String {
    let factor = if factor == 1 { String::new() } else { format!(" * {factor}") };
    format!("CAST({numerator} AS DOUBLE){factor} / NULLIF(CAST({denominator} AS DOUBLE), 0)")
}

/// Whether a formula only adds and subtracts, so that it stays exact.
fn is_sum(formula: &Formula) -> bool {
    match formula {
        Formula::Name(_) | Formula::Number(_) => true,
        Formula::Add(left, right) | Formula::Subtract(left, right) => is_sum(left) && is_sum(right),
        Formula::Multiply(..) | Formula::Divide(..) => false,
    }
}

/// The digits of the constants of a formula.
fn numbers_scale(formula: &Formula) -> Option<u32> {
    match formula {
        Formula::Name(_) => Some(0),
        Formula::Number(number) => Some(number.scale),
        Formula::Add(left, right)
        | Formula::Subtract(left, right)
        | Formula::Multiply(left, right)
        | Formula::Divide(left, right) => joint_scale(numbers_scale(left), numbers_scale(right)),
    }
}

fn arithmetic(formula: &Formula, of: &dyn Fn(&str) -> String, number: &dyn Fn(i128, u32) -> String) -> String {
    let sides = |left: &Formula, right: &Formula| (arithmetic(left, of, number), arithmetic(right, of, number));
    match formula {
        Formula::Name(name) => of(name),
        Formula::Number(constant) => number(constant.value, constant.scale),
        Formula::Add(left, right) => {
            let (left, right) = sides(left, right);
            format!("({left} + {right})")
        }
        Formula::Subtract(left, right) => {
            let (left, right) = sides(left, right);
            format!("({left} - {right})")
        }
        Formula::Multiply(left, right) => {
            let (left, right) = sides(left, right);
            format!("({left} * {right})")
        }
        Formula::Divide(left, right) => {
            let (left, right) = sides(left, right);
            format!("({left} / NULLIF({right}, 0))")
        }
    }
}
