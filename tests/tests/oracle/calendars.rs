//! Calendars by walking: ISO and Sunday weeks, fiscal months and quarters, 4-4-5 and its sisters.
//!
//! Every day is put into its period by counting from a known day on, never by the formulas of the
//! product; then every KPI is asked under such calendars and compared with the oracle.

use dealframe_model::calendar::{Calendar, FiscalYearName, Grain, WeekPattern, WeekStart};
use dealframe_model::date;
use dealframe_query::request::{Request, Settings};
use jiff::civil::{Date, Weekday};

use super::compare::{Ask, Case, definitions, disagreements, suitable_segments};
use super::generate::{asked, rich_world};
use super::world::day;

fn days() -> impl Iterator<Item = (i32, Date)> {
    let first = Date::constant(2012, 1, 1);
    (0..365 * 16).map(move |count| (day("2012-01-01") + count, first.saturating_add(jiff::Span::new().days(count))))
}

fn label(calendar: &Calendar, grain: Grain, day: i32) -> String {
    calendar.label(grain, calendar.index(grain, day))
}

#[test]
fn iso_weeks_are_those_of_another_library() {
    let calendar = Calendar::default();
    for (day, civil) in days() {
        let iso = civil.iso_week_date();
        assert_eq!(label(&calendar, Grain::Week, day), format!("{:04}-W{:02}", iso.year(), iso.week()), "{civil}");
        let start = calendar.start(Grain::Week, calendar.index(Grain::Week, day));
        assert_eq!((start + 3).rem_euclid(7), 0, "{civil}: a week starts on a Monday, as 1969-12-29 did");
    }
}

#[test]
fn sunday_weeks_start_on_sundays_and_belong_to_the_year_of_their_middle() {
    let calendar = Calendar { week_start: WeekStart::Sunday, ..Calendar::default() };
    for (day, civil) in days() {
        let back = i32::from(civil.weekday().to_sunday_zero_offset());
        let start = calendar.start(Grain::Week, calendar.index(Grain::Week, day));
        assert_eq!(start, day - back, "{civil}");
        let middle = civil.saturating_add(jiff::Span::new().days(3 - back));
        assert_eq!(middle.weekday(), Weekday::Wednesday);
        let number = (middle.day_of_year() - 1) / 7 + 1;
        assert_eq!(label(&calendar, Grain::Week, day), format!("{:04}-W{number:02}", middle.year()), "{civil}");
    }
}

#[test]
fn fiscal_periods_are_months_counted_from_the_first_one() {
    for first_month in 1..=12_u32 {
        for (name, ends) in [(FiscalYearName::End, true), (FiscalYearName::Start, false)] {
            let calendar = Calendar { fiscal_start_month: first_month, fiscal_year_name: name, ..Calendar::default() };
            for (day, civil) in days() {
                let month = civil.month() as u32;
                let place = (month + 12 - first_month) % 12;
                let started = i32::from(civil.year()) - i32::from(month < first_month);
                let year = started + i32::from(ends && first_month > 1);
                assert_eq!(label(&calendar, Grain::FiscalYear, day), format!("FY{year}"), "{civil} from {first_month}");
                assert_eq!(label(&calendar, Grain::FiscalQuarter, day), format!("FY{year}-Q{}", place / 3 + 1));
                assert_eq!(label(&calendar, Grain::FiscalMonth, day), format!("FY{year}-P{:02}", place + 1));
            }
        }
    }
}

/// Weeks of the twelve periods of a year; the last one takes what is left.
fn weeks(pattern: WeekPattern) -> [i32; 12] {
    let quarter = match pattern {
        WeekPattern::FourFourFive => [4, 4, 5],
        WeekPattern::FourFiveFour => [4, 5, 4],
        WeekPattern::FiveFourFour => [5, 4, 4],
    };
    std::array::from_fn(|place| quarter[place % 3])
}

#[test]
fn week_based_years_are_walked_week_by_week() {
    for pattern in [WeekPattern::FourFourFive, WeekPattern::FourFiveFour, WeekPattern::FiveFourFour] {
        for (week_start, weekday) in [(WeekStart::Monday, Weekday::Monday), (WeekStart::Sunday, Weekday::Sunday)] {
            for month in [1_u32, 2, 10] {
                let calendar = Calendar {
                    fiscal_start_month: month,
                    week_start,
                    week_pattern: Some(pattern),
                    ..Calendar::default()
                };
                // The first day of every year: the week start nearest to the first of the month.
                let first_day = |year: i16| -> Date {
                    let first = Date::constant(year, month as i8, 1);
                    let near = (-3..=3).map(|days| first.saturating_add(jiff::Span::new().days(days)));
                    near.into_iter().find(|day| day.weekday() == weekday).unwrap()
                };
                for year in 2013..2027_i16 {
                    let (mut today, next) = (first_day(year), first_day(year + 1));
                    let named = i32::from(year) + i32::from(month > 1);
                    for (place, weeks) in weeks(pattern).into_iter().enumerate() {
                        let end = if place == 11 { next } else { today.saturating_add(jiff::Span::new().weeks(weeks)) };
                        while today < end {
                            let day = date::from_civil(today.year().into(), today.month() as u32, today.day() as u32);
                            assert_eq!(
                                label(&calendar, Grain::FiscalMonth, day),
                                format!("FY{named}-P{:02}", place + 1),
                                "{today} {pattern:?} from {month}"
                            );
                            assert_eq!(
                                label(&calendar, Grain::FiscalQuarter, day),
                                format!("FY{named}-Q{}", place / 3 + 1)
                            );
                            assert_eq!(label(&calendar, Grain::FiscalYear, day), format!("FY{named}"));
                            today = today.tomorrow().unwrap();
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_kpi_agrees_with_the_oracle_under_such_calendars() {
    let definitions = definitions();
    let calendars = [
        (Calendar { week_start: WeekStart::Sunday, ..Calendar::default() }, vec![Grain::Week]),
        (
            Calendar { fiscal_start_month: 2, week_pattern: Some(WeekPattern::FourFourFive), ..Calendar::default() },
            vec![Grain::FiscalMonth, Grain::FiscalQuarter],
        ),
        (
            Calendar {
                week_start: WeekStart::Sunday,
                week_pattern: Some(WeekPattern::FourFiveFour),
                ..Calendar::default()
            },
            vec![Grain::FiscalMonth, Grain::Month],
        ),
    ];
    for (seed, (calendar, grains)) in calendars.into_iter().enumerate() {
        let mut asks = Vec::new();
        for (place, kpi) in definitions.keys().enumerate() {
            // Such weeks and periods lie across the turn of the year.
            if matches!(kpi.as_str(), "revenue_year_to_date" | "revenue_fiscal_year_to_date") {
                continue;
            }
            let segments = suitable_segments(&definitions, kpi);
            let by =
                if segments.is_empty() || place % 2 == 0 { vec![] } else { vec![segments[place % segments.len()]] };
            asks.push(Ask { grains: grains.clone(), ..Ask::new(kpi, &by, asked()) });
        }
        let settings = Settings { calendar, ..Settings::default() };
        let case = Case::with(&rich_world(u8::try_from(seed).unwrap() + 31), 1, settings);
        let found = disagreements(&case, &definitions, &asks);
        assert!(found.is_empty(), "{calendar:?}\n{}", found.join("\n"));
    }
}

#[test]
fn a_sum_since_new_year_is_refused_for_years_that_begin_in_april() {
    let world = rich_world(35);
    let asked = |fiscal_start_month: u32, kpi: &str, grain: Grain| {
        let calendar = Calendar { fiscal_start_month, ..Calendar::default() };
        let case = Case::with(&world, 1, Settings { calendar, ..Settings::default() });
        let request = Request { kpis: vec![kpi.to_owned()], grains: vec![grain], ..Request::default() };
        let answer = case.engine.run(std::slice::from_ref(&request)).map(|frames| frames[0].rows.len());
        let statement = case.engine.to_sql(&request, "duckdb").map(|_| ());
        assert_eq!(answer.is_ok(), statement.is_ok());
        answer
    };
    for (kpi, grain, better) in [
        ("revenue_year_to_date", Grain::FiscalYear, "or year"),
        ("revenue_fiscal_year_to_date", Grain::Year, "or fiscal-year"),
    ] {
        assert!(asked(1, kpi, grain).unwrap() > 0, "with one and the same year there is nothing to refuse");
        let error = asked(4, kpi, grain).unwrap_err();
        assert!(error.to_string().contains(kpi) && error.hint().unwrap().contains(better), "{error}");
    }
    for (start, kpi, grain, is_answered) in [
        (4, "revenue_year_to_date", Grain::Year, true),
        (4, "revenue_year_to_date", Grain::FiscalQuarter, true),
        (4, "revenue_fiscal_year_to_date", Grain::FiscalYear, true),
        (4, "revenue_fiscal_year_to_date", Grain::Quarter, true),
        (2, "revenue_fiscal_year_to_date", Grain::Quarter, false),
        (2, "revenue_fiscal_year_to_date", Grain::Month, true),
        (2, "revenue_year_to_date", Grain::FiscalQuarter, false),
        (1, "revenue_year_to_date", Grain::Week, false),
        (1, "revenue_year_to_date", Grain::Day, true),
    ] {
        assert_eq!(asked(start, kpi, grain).is_ok(), is_answered, "{kpi} by {} from month {start}", grain.name());
    }
}
