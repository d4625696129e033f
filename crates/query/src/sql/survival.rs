//! Survival as CTEs: ends and censored rows by time, the Kaplan-Meier curve, what is read off it.
//!
//! The counterpart of `crate::evaluate::survival`, whose words decide which time a row adds and
//! whether it ended. Not every engine has a product over a window, so the shares are the
//! exponential of a sum of logarithms; the tolerance of the thresholds is far above what that
//! loses and far below what a row is worth.

use dealframe_model::kpi::{Aggregate, Survival, SurvivalShow, Unit};

use super::Compiler;
use super::expression::Writer;
use super::leaf::{Counted, Leaf, not_a_number};
use super::series::{Currency, Series, partition, segments};
use crate::error::QueryError;
use crate::evaluate::Question;
use crate::evaluate::survival::{TOLERANCE_DIGITS, Watched};
use crate::parse;

impl Compiler<'_> {
    /// A survival over the rows that entered in each period.
    pub(super) fn survival(
        &mut self,
        hint: &str,
        unit: Unit,
        survival: &Survival,
        question: &Question,
    ) -> Result<Series, QueryError> {
        let fact = self.engine.facts.table(&survival.table)?;
        self.check_segments(&fact, &question.by)?;
        let dialect = self.builder.dialect;
        let watched = Watched::of(survival, unit, self.engine.as_of());
        let counted = format!("({}) or ({})", watched.ended, watched.running);
        let (time, ended) = (parse::expression(&watched.time)?, parse::expression(&watched.ended)?);
        let writer = |text| Writer { fact: &fact, dialect, text };
        let value = writer(&watched.time).value(&time)?;
        let scale = value.scale.ok_or_else(|| not_a_number(&survival.of))?;
        let has_ended = writer(&watched.ended).condition(&ended)?;
        let leaf = Leaf {
            table: &survival.table,
            date: &survival.date,
            aggregate: Aggregate::Count,
            of: Some(&watched.time),
            filter: Some(&counted),
            range: (question.from, question.to),
            is_money_target: false,
        };
        let Counted { period, named, from, mut keys } = self.counted(&leaf, &fact, Some(&time), None, question)?;
        keys.push(value.sql.clone());
        let width = question.by.len();
        let bare = segments(width, "x");
        let by_time = self.builder.add(
            &format!("{hint}_times"),
            format!(
                "SELECT {period} AS period{named}, {} AS elapsed,\n    \
                 SUM(CASE WHEN {has_ended} THEN 1 ELSE 0 END) AS ended, COUNT(*) AS leaving\n  {from}\n  GROUP BY {}",
                value.sql,
                keys.join(", ")
            ),
        );
        let apart = partition(width, "x", &["x.period"]);
        // Who leaves at a time was at risk until then.
        let at_risk = self.builder.add(
            &format!("{hint}_at_risk"),
            format!(
                "SELECT x.period{bare}, x.elapsed, x.ended, x.leaving,\n    \
                 SUM(x.leaving) OVER ({apart}ORDER BY x.elapsed DESC ROWS UNBOUNDED PRECEDING) AS at_risk\n  \
                 FROM {by_time} AS x"
            ),
        );
        let window = format!("({apart}ORDER BY x.elapsed ROWS UNBOUNDED PRECEDING)");
        let left = "CAST(x.at_risk - x.ended AS DOUBLE) / NULLIF(CAST(x.at_risk AS DOUBLE), 0)";
        let curve = self.builder.add(
            &format!("{hint}_curve"),
            format!(
                "SELECT x.period{bare}, x.elapsed, x.ended, x.leaving,\n    \
                 CASE WHEN MIN(x.at_risk - x.ended) OVER {window} = 0 THEN CAST(0 AS DOUBLE)\n      \
                 ELSE EXP(SUM(CASE WHEN x.at_risk > x.ended THEN LN({left}) ELSE CAST(0 AS DOUBLE) END) OVER {window}) END\n    \
                 AS still_running,\n    LEAD(x.elapsed) OVER ({apart}ORDER BY x.elapsed) AS next_elapsed\n  FROM {at_risk} AS x"
            ),
        );
        let first_at_most = |tenths: i128| {
            let limit = dialect.number(tenths * 10_i128.pow(TOLERANCE_DIGITS - 1) + 1, TOLERANCE_DIGITS);
            dialect.exact(&format!("MIN(CASE WHEN x.still_running <= {limit} THEN x.elapsed END)"), scale)
        };
        let (shown, scale) = match survival.show {
            SurvivalShow::Median => (first_at_most(5), Some(scale)),
            SurvivalShow::P90 => (first_at_most(1), Some(scale)),
            SurvivalShow::Mean => {
                let area = "SUM(x.still_running * CAST(x.next_elapsed - x.elapsed AS DOUBLE))";
                let mean = format!("CAST(MIN(x.elapsed) AS DOUBLE) + COALESCE({area}, 0)");
                (format!("CASE WHEN SUM(x.ended) > 0 THEN {mean} END"), None)
            }
        };
        let body = format!(
            "SELECT x.period{bare}, {shown} AS value, CAST(SUM(x.leaving) AS BIGINT) AS row_count\n  \
             FROM {curve} AS x\n  GROUP BY x.period{bare}"
        );
        Ok(Series::of_values(self.builder.add(hint, body), scale, Currency::None))
    }
}
