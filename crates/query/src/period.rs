//! The grammar of periods: `2024`, `2024-Q3`, `2024-07`, `FY2025-Q1`, `2023..2024-06`,
//! `last 12 months`, `this quarter`, `ytd`.
//!
//! A text becomes a half-open range of days. Words such as `last` are relative to the anchor,
//! which is the as-of date and never the clock. `last N months` means whole months: the N that
//! ended with or before the anchor, so that a running month is never compared with full ones;
//! `this month` is the running one.

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::date;

use crate::error::QueryError;

/// A half-open range of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    pub from: Option<i32>,
    /// First day after the range.
    pub to: Option<i32>,
}

/// Reads a period.
///
/// # Errors
/// When the text is no period, or is relative and there is no anchor.
pub fn parse(text: &str, anchor: Option<i32>, calendar: &Calendar) -> Result<Range, QueryError> {
    let text = text.trim();
    if let Some((start, end)) = text.split_once("..") {
        let open = |part: &str| part.trim().is_empty();
        let from = if open(start) { None } else { one(start.trim(), anchor, calendar)?.from };
        let to = if open(end) { None } else { one(end.trim(), anchor, calendar)?.to };
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(fail(text, "it ends before it starts"));
        }
        return Ok(Range { from, to });
    }
    one(text, anchor, calendar)
}

fn fail(text: &str, reason: &str) -> QueryError {
    QueryError::Period {
        reason: format!("cannot read the period `{text}`: {reason}"),
        hint:
            "write 2024, 2024-Q3, 2024-07, 2024-07-15, 2024-W05, FY2025, FY2025-Q1, 2023..2024-06, `last 12 months`, \
               `this quarter`, `previous year`, ytd, qtd or mtd"
                .to_owned(),
    }
}

fn one(text: &str, anchor: Option<i32>, calendar: &Calendar) -> Result<Range, QueryError> {
    let lower = text.to_ascii_lowercase();
    if let Some(range) = absolute(&lower, calendar) {
        return Ok(range);
    }
    let anchored = || anchor.ok_or_else(|| fail(text, "the lake holds no date that it could be relative to"));
    let words: Vec<&str> = lower.split([' ', '_', ':']).filter(|word| !word.is_empty()).collect();
    let range = match words.as_slice() {
        ["all"] => Range::default(),
        ["today"] => whole(Grain::Day, anchored()?, 0, 1, calendar),
        ["ytd"] => to_date(Grain::Year, anchored()?, calendar),
        ["qtd"] => to_date(Grain::Quarter, anchored()?, calendar),
        ["mtd"] => to_date(Grain::Month, anchored()?, calendar),
        ["wtd"] => to_date(Grain::Week, anchored()?, calendar),
        ["fytd"] => to_date(Grain::FiscalYear, anchored()?, calendar),
        ["fqtd"] => to_date(Grain::FiscalQuarter, anchored()?, calendar),
        ["this" | "current", unit @ ..] => {
            whole(grain(unit).ok_or_else(|| fail(text, "unknown unit"))?, anchored()?, 0, 1, calendar)
        }
        ["previous" | "prior" | "last", unit @ ..]
            if grain(unit).is_some() && unit.last().is_some_and(|word| !word.ends_with('s')) =>
        {
            whole(grain(unit).ok_or_else(|| fail(text, "unknown unit"))?, anchored()?, -1, 1, calendar)
        }
        ["last" | "past" | "previous", count, unit @ ..] => {
            let count: i32 = count.parse().map_err(|_| fail(text, "expected a number after `last`"))?;
            if !(1..=10_000).contains(&count) {
                return Err(fail(text, "expected a number from 1 to 10000"));
            }
            let grain = grain(unit).ok_or_else(|| fail(text, "unknown unit"))?;
            last(grain, anchored()?, count, calendar)
        }
        ["next", count, unit @ ..] => {
            let count: i32 = count.parse().map_err(|_| fail(text, "expected a number after `next`"))?;
            let grain = grain(unit).ok_or_else(|| fail(text, "unknown unit"))?;
            whole(grain, anchored()?, 1, count, calendar)
        }
        _ => return Err(fail(text, "unknown form")),
    };
    Ok(range)
}

fn grain(words: &[&str]) -> Option<Grain> {
    let singular = |word: &str| word.strip_suffix('s').unwrap_or(word).to_owned();
    match words {
        [unit] => Grain::from_name(&singular(unit)).filter(|grain| *grain != Grain::All),
        ["fiscal", unit] => Grain::from_name(&format!("fiscal-{}", singular(unit))),
        _ => None,
    }
}

fn whole(grain: Grain, anchor: i32, offset: i32, count: i32, calendar: &Calendar) -> Range {
    let first = calendar.index(grain, anchor) + offset;
    Range { from: Some(calendar.start(grain, first)), to: Some(calendar.start(grain, first + count)) }
}

fn to_date(grain: Grain, anchor: i32, calendar: &Calendar) -> Range {
    Range { from: Some(calendar.start(grain, calendar.index(grain, anchor))), to: Some(anchor + 1) }
}

/// The last `count` whole periods that have ended by the end of the anchor day.
fn last(grain: Grain, anchor: i32, count: i32, calendar: &Calendar) -> Range {
    let end = calendar.index(grain, anchor + 1);
    Range { from: Some(calendar.start(grain, end - count)), to: Some(calendar.start(grain, end)) }
}

fn absolute(text: &str, calendar: &Calendar) -> Option<Range> {
    let of =
        |grain, index| Range { from: Some(calendar.start(grain, index)), to: Some(calendar.start(grain, index + 1)) };
    if let Some(fiscal) = text.strip_prefix("fy") {
        let (year, rest) = fiscal.split_once('-').unwrap_or((fiscal, ""));
        let number = number(year, 4).or_else(|| number(year, 2).map(|short| short + 2000))?;
        let start = calendar.fiscal_start_year(number);
        return match rest.strip_prefix('q').or_else(|| rest.strip_prefix('p')) {
            None if rest.is_empty() => Some(of(Grain::FiscalYear, start)),
            Some(quarter) if rest.starts_with('q') => {
                number_in(quarter, 1..=4).map(|quarter| of(Grain::FiscalQuarter, start * 4 + quarter - 1))
            }
            Some(month) => number_in(month, 1..=12).map(|month| of(Grain::FiscalMonth, start * 12 + month - 1)),
            None => None,
        };
    }
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4).filter(|year| *year >= 1)?;
    let range = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => of(Grain::Year, year),
        (Some(part), None, _) if part.starts_with('q') => {
            of(Grain::Quarter, year * 4 + number_in(&part[1..], 1..=4)? - 1)
        }
        (Some(part), None, _) if part.starts_with('w') => {
            let first = calendar.index(Grain::Week, date::from_civil(year, 1, 4));
            let last = calendar.index(Grain::Week, date::from_civil(year, 12, 28));
            let week = first + number_in(&part[1..], 1..=53)? - 1;
            if week > last {
                return None;
            }
            of(Grain::Week, week)
        }
        (Some(month), None, _) => of(Grain::Month, year * 12 + number_in(month, 1..=12)? - 1),
        (Some(_), Some(_), None) => of(Grain::Day, date::parse(text)?),
        _ => return None,
    };
    Some(range)
}

fn number(text: &str, digits: usize) -> Option<i32> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn number_in(text: &str, range: std::ops::RangeInclusive<i32>) -> Option<i32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
        .filter(|value| range.contains(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn range(text: &str) -> String {
        let calendar = Calendar { fiscal_start_month: 7, ..Calendar::default() };
        let range = parse(text, date::parse("2017-08-15"), &calendar).unwrap();
        let show = |day: Option<i32>| day.map_or_else(|| "-".to_owned(), date::format);
        format!("{} {}", show(range.from), show(range.to))
    }

    #[test]
    fn absolute_and_relative() {
        assert_eq!(range("2024"), "2024-01-01 2025-01-01");
        assert_eq!(range("2024-Q3"), "2024-07-01 2024-10-01");
        assert_eq!(range("2024-07"), "2024-07-01 2024-08-01");
        assert_eq!(range("2024-07-15"), "2024-07-15 2024-07-16");
        assert_eq!(range("2017-W09"), "2017-02-27 2017-03-06");
        assert_eq!(range("FY2018-Q1"), "2017-07-01 2017-10-01");
        assert_eq!(range("FY18"), "2017-07-01 2018-07-01");
        assert_eq!(range("2023..2024-06"), "2023-01-01 2024-07-01");
        assert_eq!(range("2023.."), "2023-01-01 -");
        assert_eq!(range("last 12 months"), "2016-08-01 2017-08-01");
        assert_eq!(range("last month"), "2017-07-01 2017-08-01");
        assert_eq!(range("last 90 days"), "2017-05-18 2017-08-16");
        assert_eq!(range("this quarter"), "2017-07-01 2017-10-01");
        assert_eq!(range("this fiscal year"), "2017-07-01 2018-07-01");
        assert_eq!(range("ytd"), "2017-01-01 2017-08-16");
        assert_eq!(
            range("LAST_N_MONTHS:3".replace("_N", "").replace(':', " ").replace("MONTHS 3", "3 MONTHS").as_str()),
            "2017-05-01 2017-08-01"
        );
    }

    #[test]
    fn a_month_that_ends_on_the_anchor_counts_as_whole() {
        let range = parse("last 1 months", date::parse("2017-08-31"), &Calendar::default()).unwrap();
        assert_eq!(range.from, date::parse("2017-08-01"));
    }

    #[test]
    fn refuses_nonsense() {
        for text in ["2024-13", "2024-Q5", "last few months", "2024..2023", "", "20240", "2024-02-30", "last 0 months"]
        {
            assert!(parse(text, Some(0), &Calendar::default()).is_err(), "{text}");
        }
        assert!(parse("last 3 months", None, &Calendar::default()).is_err());
    }
}
