//! A past day as "now", and what is only known of the newest one.
//!
//! Dated facts are undone by their dates (`crate::compile`). What an account bought in all is a
//! sum over its whole history; under an earlier day it would hold purchases that were still to
//! come, so a KPI that asks for it is refused there. So is one that asks when open deals are
//! expected to close: the date, the amount and the probability of an earlier day are not kept.

use dealframe_model::date;
use dealframe_model::kpi::{Compute, Measure, Part, Stock};

use crate::catalogue::{Catalogue, references};
use crate::error::QueryError;
use crate::parse;

/// Columns of accounts that sum up all purchases until the newest day.
const SUMMED_UP: [&str; 4] = ["won_deals", "won_amount", "won_margin_amount", "last_won_date"];

/// Refuses a KPI that is not known for a past day.
pub(crate) fn check(catalogue: &Catalogue, id: &str, rewind_to: Option<i32>) -> Result<(), QueryError> {
    let Some(day) = rewind_to else { return Ok(()) };
    let compute = &catalogue.get(id)?.compute;
    for (table, text) in sources(compute) {
        let mut found = None;
        if let ("accounts", Ok(expression)) = (table, parse::expression(text)) {
            expression.visit_columns(&mut |name| found = SUMMED_UP.iter().find(|known| **known == name).or(found));
        }
        if let Some(column) = found {
            return Err(QueryError::Unsupported {
                kpi: id.to_owned(),
                reason: format!("`{column}` of accounts is known of the newest day only, not of {}", date::format(day)),
                hint: "ask without --as-of".to_owned(),
            });
        }
    }
    if let Some(measure) = measures(compute).find(|measure| measure.table == "deals" && measure.ahead) {
        return Err(QueryError::Unsupported {
            kpi: id.to_owned(),
            reason: format!(
                "what open deals are expected to bring by `{}` is known of the newest day only, not of {}",
                measure.date,
                date::format(day)
            ),
            hint: "ask without --as-of, or for open_pipeline_value, which history tells of any day".to_owned(),
        });
    }
    references(compute).iter().try_for_each(|id| check(catalogue, id, rewind_to))
}

/// The measures of a computation itself.
fn measures(compute: &Compute) -> impl Iterator<Item = &Measure> {
    let (flow, parts): (Option<&Measure>, Vec<&Part>) = match compute {
        Compute::Flow { measure } => (Some(measure), Vec::new()),
        Compute::Ratio { numerator, denominator, .. } => (None, vec![numerator, denominator]),
        Compute::Total { part } => (None, vec![part]),
        _ => (None, Vec::new()),
    };
    let terms = parts.into_iter().flat_map(|part| part.terms().iter().filter_map(|term| term.measure.as_ref()));
    flow.into_iter().chain(terms)
}

/// Tables and the expressions over them.
pub(super) fn sources(compute: &Compute) -> Vec<(&str, &str)> {
    fn texts<'d>(table: &'d str, texts: [Option<&'d str>; 4]) -> Vec<(&'d str, &'d str)> {
        texts.into_iter().flatten().map(|text| (table, text)).collect()
    }
    fn of_measure(measure: &Measure) -> Vec<(&str, &str)> {
        texts(&measure.table, [Some(&measure.date), measure.of.as_deref(), measure.filter.as_deref(), None])
    }
    fn of_stock(stock: &Stock) -> Vec<(&str, &str)> {
        texts(&stock.table, [Some(&stock.from), Some(&stock.until), stock.of.as_deref(), stock.filter.as_deref()])
    }
    fn of_part(part: &Part) -> Vec<(&str, &str)> {
        let terms = part.terms().iter();
        terms
            .flat_map(|term| {
                let measure = term.measure.as_ref().map(of_measure).unwrap_or_default();
                let stock = term.stock.as_ref().map(of_stock).unwrap_or_default();
                [measure, stock].concat()
            })
            .collect()
    }
    match compute {
        Compute::Flow { measure } => of_measure(measure),
        Compute::Stock { stock } => of_stock(stock),
        Compute::Ratio { numerator, denominator, within, .. } => {
            let measures = numerator.terms().iter().filter_map(|term| term.measure.as_ref());
            let ends = within
                .iter()
                .flat_map(|within| measures.clone().map(|measure| (measure.table.as_str(), within.until.as_str())));
            [of_part(numerator), of_part(denominator), ends.collect()].concat()
        }
        Compute::Total { part } => of_part(part),
        Compute::Retention { retention } => {
            texts(&retention.table, [Some(&retention.date), Some(&retention.key), retention.filter.as_deref(), None])
        }
        Compute::Survival { survival } => texts(
            &survival.table,
            [Some(&survival.date), Some(&survival.of), Some(&survival.ended), survival.filter.as_deref()],
        ),
        Compute::Derived(_) | Compute::Formula { .. } | Compute::Recurring { .. } | Compute::Attainment { .. } => {
            Vec::new()
        }
    }
}
