//! What the parts of a definition say about each other, and about the KPIs that they name.
//!
//! Each part may be right by itself and the whole still be none: a rate as an addend, the start of
//! what has none, a conversion whose two sides count different events, targets of a metric that
//! nobody sets. `check` looks at the tables, `unit` at the units; here `kpi` knows the other KPIs.

use dealframe_model::kpi::{At, Compute, Definition, Part, Unit};
use dealframe_model::vocabulary::vocabulary;

use super::Fault;
use super::check::terms;
use super::columns::is_same_event;
use crate::documentation::FAMILIES;
use crate::error::slip_of;

/// What targets of the metrics that everybody knows are in.
const METRICS: [(&str, Unit); 3] = [("revenue", Unit::Money), ("deals_won", Unit::Count), ("leads", Unit::Count)];

/// Refuses what contradicts itself.
pub(crate) fn together<'d>(
    definition: &'d Definition,
    kpi: &dyn Fn(&str) -> Option<&'d Definition>,
) -> Result<(), Fault> {
    family(&definition.family)?;
    match &definition.compute {
        Compute::Total { part } => addends("compute.part", part, kpi),
        Compute::Ratio { numerator, denominator, within, .. } => {
            addends("compute.numerator", numerator, kpi)?;
            addends("compute.denominator", denominator, kpi)?;
            match within {
                Some(within) => one_event(&within.until, numerator, denominator, kpi),
                None => Ok(()),
            }
        }
        Compute::Attainment { metric, actual, .. } => targets(metric, actual, kpi),
        _ => Ok(()),
    }
}

/// A family of one's own has any name, but not one that is meant to be another.
fn family(name: &str) -> Result<(), Fault> {
    let known = FAMILIES.map(|(family, _)| family);
    if known.contains(&name) {
        return Ok(());
    }
    let Some(meant) = slip_of(name, known) else { return Ok(()) };
    let hint =
        format!("the families are {}; one of your own has a name that is not so near to theirs", known.join(", "));
    Err(Fault::new("family", format!("there is no family `{name}`; did you mean `{meant}`?")).with_hint(hint))
}

/// Only what counts or adds up can be an addend, and only a stock has a start.
fn addends<'d>(path: &str, part: &Part, kpi: &dyn Fn(&str) -> Option<&'d Definition>) -> Result<(), Fault> {
    for (path, term) in terms(path, part) {
        let target = term.kpi.as_deref().and_then(kpi);
        if let (Some(id), Some(target)) = (&term.kpi, target) {
            let compute = &target.compute;
            if !matches!(
                compute,
                Compute::Flow { .. } | Compute::Stock { .. } | Compute::Total { .. } | Compute::Recurring { .. }
            ) {
                let reason = format!(
                    "`{id}` is of kind {} and cannot be added up; expected a KPI of kind flow, stock, total or recurring",
                    compute.kind()
                );
                let hint =
                    "`kind: formula` takes the values of KPIs of any kind, such as `formula: win_rate * revenue`";
                return Err(Fault::new(format!("{path}.kpi"), reason).with_hint(hint));
            }
        }
        if term.at != At::Start || term.stock.is_some() {
            continue;
        }
        let what = match (&term.kpi, target.map(|target| &target.compute)) {
            (_, Some(Compute::Stock { .. })) => continue,
            (Some(id), Some(compute)) => format!("`{id}` is of kind {}", compute.kind()),
            // A KPI that cannot be read says itself what is wrong with it.
            (Some(_), None) => continue,
            (None, _) => "a measure is of what happened in a period".to_owned(),
        };
        let reason = format!("{what} and has no start; `at: start` goes with a stock");
        let hint = "leave out `at`, or take a stock, which stands at the start of a period and at its end";
        return Err(Fault::new(format!("{path}.at"), reason).with_hint(hint));
    }
    Ok(())
}

/// Above the line and below it the days are counted from the same event, or the two sides are of different rows.
fn one_event<'d>(
    until: &str,
    numerator: &Part,
    denominator: &Part,
    kpi: &dyn Fn(&str) -> Option<&'d Definition>,
) -> Result<(), Fault> {
    let mut first: Option<(String, String)> = None;
    for (path, term) in terms("compute.numerator", numerator).chain(terms("compute.denominator", denominator)) {
        let (at, measure) = match (&term.measure, term.kpi.as_deref().and_then(kpi).map(|target| &target.compute)) {
            (Some(measure), _) => (format!("{path}.measure.date"), measure),
            (None, Some(Compute::Flow { measure })) => (format!("{path}.kpi"), measure),
            _ => continue,
        };
        if path.starts_with("compute.numerator") && measure.date == until {
            let reason =
                format!("the days are counted from `{until}` to `{until}`, which are none; expected a later date");
            return Err(Fault::new("compute.within.until", reason).with_hint(
                "`until` is the date on which it happened, such as close_date; `date` the one from which days count",
            ));
        }
        let own = (measure.table.as_str(), measure.date.as_str());
        match &first {
            Some((table, date)) if !is_same_event((table, date), own) => {
                let reason = format!(
                    "it counts by `{}` of `{}`, and above the line the days are counted from `{date}` of `{table}`; \
                     expected the same date",
                    own.1, own.0
                );
                let hint = "with `within` every term counts by the date from which the days count";
                return Err(Fault::new(at, reason).with_hint(hint));
            }
            Some(_) => {}
            None => first = Some((own.0.to_owned(), own.1.to_owned())),
        }
    }
    Ok(())
}

/// Targets are of a metric that somebody sets, and in the unit of what is held against them.
fn targets<'d>(metric: &str, actual: &str, kpi: &dyn Fn(&str) -> Option<&'d Definition>) -> Result<(), Fault> {
    let known = vocabulary("targets", "metric").map(|vocabulary| vocabulary.words).unwrap_or_default();
    if let Some((_, unit)) = METRICS.iter().find(|(name, _)| *name == metric) {
        let Some(own) = kpi(actual).map(|target| target.unit) else { return Ok(()) };
        if own == *unit || own == Unit::Number {
            return Ok(());
        }
        let reason = format!(
            "targets of `{metric}` are in {}, and `{actual}` is in {}; they cannot be compared",
            unit.name(),
            own.name()
        );
        let hint = format!("a KPI in {} has targets of another metric, under a name of your own", own.name());
        return Err(Fault::new("compute.actual", reason).with_hint(hint));
    }
    let Some(meant) = slip_of(metric, known.iter().copied()) else { return Ok(()) };
    let reason = format!("targets have no metric `{metric}`; did you mean `{meant}`?");
    let hint =
        format!("the metrics are {}; one of your own has a name that is not so near to theirs", known.join(", "));
    Err(Fault::new("compute.metric", reason).with_hint(hint))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_known_metric_has_a_unit() {
        assert_eq!(vocabulary("targets", "metric").unwrap().words, METRICS.map(|(name, _)| name));
    }
}
