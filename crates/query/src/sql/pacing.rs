//! Pacing as CTEs: targets, the months of their periods, the weights of these, and the days of each.
//!
//! The counterpart of `crate::evaluate::pacing`, rule by rule: everything is in whole numbers of
//! the fourth digit, so that rounding is that of integers and the same in every engine.

use dealframe_model::calendar::Grain;
use dealframe_model::decimal::MONEY_SCALE;
use dealframe_model::kpi::{Measure, Pacing};

use super::Compiler;
use super::leaf::{Counted, Leaf};
use super::series::{Currency, Series, calendar_name, partition, same_segments, segments};
use crate::error::QueryError;
use crate::evaluate::Question;
use crate::evaluate::pacing::{MONTHS_DAYS, history, last_known};

impl Compiler<'_> {
    /// Targets by the days of their periods; with `to_date` by those until the as-of day only.
    pub(super) fn spread(
        &mut self,
        hint: &str,
        measure: &Measure,
        is_money: bool,
        (actual, pacing, to_date): (&str, Pacing, bool),
        question: &Question,
    ) -> Result<Series, QueryError> {
        let (dialect, calendar, as_of) = (self.builder.dialect, self.builder.calendar, self.engine.as_of());
        let months = self.kpi(actual, &history(&calendar, as_of, question))?;
        let (width, bare) = (question.by.len(), segments(question.by.len(), "x"));
        let targets = self.targets(hint, measure, question)?;
        let days = |start: &str, end: &str| dialect.days_between(start, end);
        let whose = partition(width, "x", &["x.starts", "x.ends"]);
        let month = calendar_name(Grain::Month);
        let (piece_start, piece_end) = ("GREATEST(c.first_day, x.starts)", "LEAST(c.next_day, x.after)");
        let pieces = self.builder.add(
            &format!("{hint}_months"),
            format!(
                "SELECT x.starts, x.ends{bare}, x.value, x.row_count, c.period AS month,\n    \
                 {piece_start} AS piece_start, {piece_end} AS piece_end, {} AS days, {} AS month_days,\n    \
                 MIN(c.period) OVER ({whose}) AS first_month, MAX(c.period) OVER ({whose}) AS last_month\n  \
                 FROM {targets} AS x\n  JOIN {month} AS c ON c.first_day < x.after AND c.next_day > x.starts",
                days(piece_start, piece_end),
                days("c.first_day", "c.next_day"),
            ),
        );
        let (mut sum, mut joins) = (vec!["0".to_owned()], String::new());
        for year in 1..=pacing.years {
            let (alias, back) = (format!("h{year}"), i64::from(year) * 12);
            // Years of which every month is known.
            sum.push(format!(
                "CASE WHEN x.first_month - {back} >= {} AND x.last_month - {back} <= {} THEN COALESCE({alias}.value, 0) ELSE 0 END",
                months.first(),
                last_known(&calendar, as_of)
            ));
            joins.push_str(&format!(
                "\n  LEFT JOIN {} AS {alias} ON {alias}.period = x.month - {back}{}",
                months.name,
                same_segments(width, &alias, "x")
            ));
        }
        let lengths: Vec<String> =
            (28..=31).map(|length| format!("WHEN {length} THEN {}", MONTHS_DAYS / length)).collect();
        let weight = dialect.whole(&format!("GREATEST({}, 0) * 10000", sum.join("\n      + ")));
        let weighed = self.builder.add(
            &format!("{hint}_weights"),
            format!(
                "SELECT x.*, {weight}\n    * x.days * CASE x.month_days {} END AS weight\n  FROM {pieces} AS x{joins}",
                lengths.join(" ")
            ),
        );
        let evenly = self.builder.add(
            &format!("{hint}_shares"),
            format!(
                "SELECT x.*, CASE WHEN SUM(x.weight) OVER ({whose}) = 0 THEN {} ELSE x.weight END AS share\n  \
                 FROM {weighed} AS x",
                dialect.whole("x.days")
            ),
        );
        let running = self.builder.add(
            &format!("{hint}_running"),
            format!(
                "SELECT x.*, {} AS units, SUM(x.share) OVER ({whose}) AS total,\n    \
                 SUM(x.share) OVER ({whose}ORDER BY x.month ROWS UNBOUNDED PRECEDING) AS passed\n  FROM {evenly} AS x",
                dialect.whole("x.value * 10000")
            ),
        );
        let rounded = dialect.rounded_quotient("(x.units * x.passed)", "(x.total * 100)");
        let until = self.builder.add(
            &format!("{hint}_until"),
            format!("SELECT x.*, CASE WHEN x.passed = x.total THEN x.units ELSE 100 * ({rounded}) END AS until_end\n  FROM {running} AS x"),
        );
        let parts = self.builder.add(
            &format!("{hint}_parts"),
            format!(
                "SELECT x.*, x.until_end - COALESCE(LAG(x.until_end) OVER ({whose}ORDER BY x.month), 0) AS part\n  \
                 FROM {until} AS x"
            ),
        );
        let to = if to_date { question.to } else { question.to_asked };
        let edges = |start: &str| -> Vec<String> {
            let period = (question.grain != Grain::All).then(|| "c.first_day".to_owned());
            [Some(start.to_owned()), period, question.from.map(|from| dialect.date(from))]
                .into_iter()
                .flatten()
                .collect()
        };
        let greatest = |edges: &[String]| match edges {
            [one] => one.clone(),
            many => format!("GREATEST({})", many.join(", ")),
        };
        let (first, own_first) = (greatest(&edges("x.piece_start")), greatest(&edges("x.starts")));
        let ends: Vec<String> = [
            Some("x.piece_end".to_owned()),
            (question.grain != Grain::All).then(|| "c.next_day".to_owned()),
            to.map(|to| dialect.date(to)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let last = match ends.as_slice() {
            [one] => one.clone(),
            many => format!("LEAST({})", many.join(", ")),
        };
        let (period, join) = match question.grain {
            Grain::All => ("0", String::new()),
            grain => {
                let name = calendar_name(grain);
                let on = "c.first_day < x.piece_end AND c.next_day > x.piece_start";
                ("c.period", format!("\n  JOIN {name} AS c ON {on}"))
            }
        };
        let cuts = self.builder.add(
            &format!("{hint}_cuts"),
            format!(
                "SELECT {period} AS period{bare}, x.part, x.days, x.piece_end, {last} AS cut_end,\n    \
                 {} AS days_before, {} AS days_until,\n    \
                 CASE WHEN {first} = {own_first} THEN x.row_count ELSE 0 END AS row_count\n  \
                 FROM {parts} AS x{join}\n  WHERE {first} < {last}",
                days("x.piece_start", &first),
                days("x.piece_start", &last),
            ),
        );
        let at = |days: &str| {
            let rounded = dialect.rounded_quotient(&format!("(x.part * {days})"), "(x.days * 100)");
            format!("100 * ({rounded})")
        };
        let units = dialect.exact(
            &format!(
                "CAST(SUM(CASE WHEN x.cut_end = x.piece_end THEN x.part ELSE {} END - {}) AS DECIMAL(30, 0)) * 0.0001",
                at("x.days_until"),
                at("x.days_before")
            ),
            MONEY_SCALE,
        );
        let body = format!(
            "SELECT x.period{bare}, {units} AS value, CAST(SUM(x.row_count) AS BIGINT) AS row_count\n  \
             FROM {cuts} AS x\n  GROUP BY x.period{bare}"
        );
        // What a target without a currency is in depends on what it is compared with.
        self.needs_rows |= is_money;
        let currency = if is_money { Currency::OfRows } else { Currency::None };
        let series = Series::of_values(self.builder.add(hint, body), Some(MONEY_SCALE), currency);
        Ok(Series { ahead: !to_date, ..series })
    }

    /// Targets by their periods: first day, last day, first day after it.
    fn targets(&mut self, hint: &str, measure: &Measure, question: &Question) -> Result<String, QueryError> {
        let fact = self.engine.facts.table(&measure.table)?;
        self.check_segments(&fact, &question.by)?;
        let dialect = self.builder.dialect;
        let whole = Question { grain: Grain::All, ..question.clone() };
        let leaf = Leaf {
            table: &measure.table,
            date: &measure.date,
            aggregate: measure.aggregate,
            of: measure.of.as_deref(),
            filter: measure.filter.as_deref(),
            range: (None, question.to_asked),
            is_money_target: false,
        };
        let present = "t.target_value IS NOT NULL AND t.period_end IS NOT NULL".to_owned();
        let Counted { named, from, mut keys, .. } = self.counted(&leaf, &fact, None, Some(present), &whole)?;
        for column in ["period_start", "period_end", "target_value"] {
            self.builder.need(&measure.table, column);
        }
        let bounds = |name: &str| fact.column(name).and_then(|column| column.bounds);
        if let (Some((low, high)), Some((_, end))) = (bounds("period_start"), bounds("period_end")) {
            let calendar = self.builder.calendar;
            let day = |day: i64| i32::try_from(day).unwrap_or_default();
            let (low, high) = (day(low), day(high.max(end)));
            self.builder.cover(Grain::Month, calendar.index(Grain::Month, low), calendar.index(Grain::Month, high));
            let first = question.from.map_or(low, |from| from.max(low));
            let last = question.to_asked.map_or(high, |to| high.min(to - 1));
            if question.grain != Grain::All && first <= last {
                let grain = question.grain;
                self.builder.cover(grain, calendar.index(grain, first), calendar.index(grain, last));
            }
        } else {
            // Without targets any month will do.
            let month = self.builder.calendar.index(Grain::Month, self.engine.as_of().unwrap_or_default());
            self.builder.cover(Grain::Month, month, month);
        }
        // A period that ends before it begins is its first day.
        let ends = "GREATEST(t.period_end, t.period_start)";
        keys.extend(["t.period_start".to_owned(), ends.to_owned()]);
        let body = format!(
            "SELECT t.period_start AS starts, {ends} AS ends, {} AS after{named},\n    \
             {} AS value, COUNT(*) AS row_count\n  {from}\n  GROUP BY {}",
            dialect.add_days(ends, 1),
            dialect.exact("SUM(t.target_value)", MONEY_SCALE),
            keys.join(", ")
        );
        Ok(self.builder.add(&format!("{hint}_periods"), body))
    }
}
