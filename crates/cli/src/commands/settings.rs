//! The settings of a question from its options; `--lake-version` is resolved against the lake.

use std::path::Path;

use dealframe_lake::{At, Lake};
use dealframe_model::calendar::Calendar;
use dealframe_model::date;
use dealframe_query::request::Settings;

use crate::arguments::SettingsArguments;
use crate::failure::refuse;

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

pub(super) fn settings(arguments: &SettingsArguments, lake: &Path) -> anyhow::Result<Settings> {
    let mut calendar = Calendar::default();
    if let Some(month) = arguments.fiscal_start {
        calendar.fiscal_start_month = month;
    }
    calendar.fiscal_year_name = arguments.fiscal_name.unwrap_or_default();
    calendar.week_pattern = arguments.fiscal_weeks;
    if let Some(start) = arguments.week_start {
        calendar.week_start = start;
    }
    let lake_sequence = match &arguments.lake_version {
        None => None,
        Some(text) => Some(match at(text)? {
            At::Sequence(number) => number,
            other => Lake::open_at(lake, other)?.sequence(),
        }),
    };
    Ok(Settings {
        as_of: arguments.as_of,
        currency: arguments.currency.as_ref().map(|currency| currency.to_ascii_uppercase()),
        rate_kind: arguments.rate_kind.unwrap_or_default(),
        calendar,
        kpis: arguments.kpis.clone(),
        lake_sequence,
        memory_limit: arguments.memory_limit,
        keeps_from: arguments.anew.then_some(u64::MAX),
    })
}

/// A state number, a day (its end) or a UTC time.
fn at(text: &str) -> anyhow::Result<At> {
    if let Ok(number) = text.parse::<u64>() {
        return Ok(At::Sequence(number));
    }
    if let Some(day) = date::parse(text) {
        return Ok(At::Time((i64::from(day) + 1) * MICROSECONDS_PER_DAY - 1));
    }
    text.parse::<jiff::Timestamp>().map(|time| At::Time(time.as_microsecond())).map_err(|_| {
        refuse(
            format!("cannot read --lake-version {text}"),
            "give a state number (`dealframe tables` shows it), a date, or a time such as 2025-03-01T06:00:00Z",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_by_number_day_and_time() {
        assert!(matches!(at("3"), Ok(At::Sequence(3))));
        assert!(matches!(at("1970-01-01"), Ok(At::Time(time)) if time == MICROSECONDS_PER_DAY - 1));
        assert!(matches!(at("1970-01-01T00:00:01Z"), Ok(At::Time(1_000_000))));
        assert!(at("yesterday").is_err());
    }
}
