//! Sums since the start of a year, and the grains for which they say something.
//!
//! Such a sum needs periods of which each lies within one year. A week across New Year, or a
//! fiscal year beside a sum since 1 January, would put days into the wrong year under a name
//! that promises the right one; such a question is refused.

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::kpi::{Compute, Derived, Operation, Reset};

use crate::catalogue::{Catalogue, references};
use crate::error::QueryError;

/// Refuses a KPI that adds up over years across whose turn the periods lie.
pub(crate) fn check(catalogue: &Catalogue, id: &str, grain: Grain, calendar: &Calendar) -> Result<(), QueryError> {
    let definition = catalogue.get(id)?;
    if let Compute::Derived(Derived { operation: Operation::Cumulative { reset }, .. }) = &definition.compute
        && !lies_within(*reset, grain, calendar)
    {
        let (year, grains) = match reset {
            Reset::FiscalYear => ("fiscal", "day, fiscal-month or fiscal-year"),
            _ => ("calendar", "day, month, quarter or year"),
        };
        return Err(QueryError::Unsupported {
            kpi: id.to_owned(),
            reason: format!(
                "it adds up since the start of the {year} year, and periods of grain {} can lie across it",
                grain.name()
            ),
            hint: format!("choose --grain {grains}"),
        });
    }
    references(&definition.compute).iter().try_for_each(|id| check(catalogue, id, grain, calendar))
}

/// Whether every period of a grain lies within one year.
fn lies_within(reset: Reset, grain: Grain, calendar: &Calendar) -> bool {
    // Months of a shifted year make the same quarters only where it starts with one of them.
    let shared_quarters = (calendar.fiscal_start_month + 11).is_multiple_of(3);
    let shared_years = calendar.fiscal_start_month == 1;
    let of_weeks = calendar.week_pattern.is_some();
    match (reset, grain) {
        (Reset::Never, _) | (_, Grain::All | Grain::Day) => true,
        (Reset::Year, Grain::Month | Grain::Quarter | Grain::Year) => true,
        (Reset::Year, Grain::Week) => false,
        (Reset::Year, Grain::FiscalMonth) => !of_weeks,
        (Reset::Year, Grain::FiscalQuarter) => !of_weeks && shared_quarters,
        (Reset::Year, Grain::FiscalYear) => !of_weeks && shared_years,
        (Reset::FiscalYear, Grain::FiscalMonth | Grain::FiscalQuarter | Grain::FiscalYear) => true,
        // Years of whole weeks are made of them.
        (Reset::FiscalYear, Grain::Week) => of_weeks,
        (Reset::FiscalYear, Grain::Month) => !of_weeks,
        (Reset::FiscalYear, Grain::Quarter) => !of_weeks && shared_quarters,
        (Reset::FiscalYear, Grain::Year) => !of_weeks && shared_years,
    }
}
