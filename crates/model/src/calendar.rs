//! Time buckets: grains, fiscal calendars, and the periods that a date falls into.
//!
//! A period is a grain and an index; indices of one grain are consecutive integers, so that
//! ranges, neighbours and "the same period a year ago" are arithmetic. Calendars are data:
//! fiscal start month, naming of fiscal years, first day of the week and the 4-4-5 family.
//! Texts such as `last 12 months` are read in `dealframe-query`.

use serde::{Deserialize, Serialize};

use crate::date;

/// Size of a time bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grain {
    Day,
    Week,
    Month,
    Quarter,
    Year,
    FiscalMonth,
    FiscalQuarter,
    FiscalYear,
    All,
}

impl Grain {
    pub const EVERY: [Self; 9] = [
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Quarter,
        Self::Year,
        Self::FiscalMonth,
        Self::FiscalQuarter,
        Self::FiscalYear,
        Self::All,
    ];

    /// The name in commands and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::FiscalMonth => "fiscal-month",
            Self::FiscalQuarter => "fiscal-quarter",
            Self::FiscalYear => "fiscal-year",
            Self::All => "all",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|grain| grain.name() == name)
    }
}

/// How a fiscal year that spans two calendar years gets its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FiscalYearName {
    /// By the calendar year in which it ends, as most companies do.
    #[default]
    End,
    /// By the calendar year in which it starts.
    Start,
}

/// First day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeekStart {
    #[default]
    Monday,
    Sunday,
}

/// Weeks in the three periods of a quarter of a week-based fiscal calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WeekPattern {
    #[serde(rename = "4-4-5")]
    FourFourFive,
    #[serde(rename = "4-5-4")]
    FourFiveFour,
    #[serde(rename = "5-4-4")]
    FiveFourFour,
}

impl WeekPattern {
    fn weeks(self) -> [i32; 3] {
        match self {
            Self::FourFourFive => [4, 4, 5],
            Self::FourFiveFour => [4, 5, 4],
            Self::FiveFourFour => [5, 4, 4],
        }
    }
}

/// The calendar of a company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calendar {
    /// Month (1-12) with which the fiscal year starts.
    pub fiscal_start_month: u32,
    pub fiscal_year_name: FiscalYearName,
    pub week_start: WeekStart,
    /// Week-based fiscal periods: the year starts on the week start nearest to the first of
    /// the fiscal start month, and its last period takes the 53rd week where there is one.
    pub week_pattern: Option<WeekPattern>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            fiscal_start_month: 1,
            fiscal_year_name: FiscalYearName::End,
            week_start: WeekStart::Monday,
            week_pattern: None,
        }
    }
}

/// The coarsest unit from which a set of grains can be summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TimeUnit {
    /// No time at all: grain `all` alone.
    None,
    Month,
    Week,
    Day,
}

impl Calendar {
    /// The unit whose sums give the sums of `grain`.
    pub fn unit(&self, grain: Grain) -> TimeUnit {
        match grain {
            Grain::All => TimeUnit::None,
            Grain::Month | Grain::Quarter | Grain::Year => TimeUnit::Month,
            Grain::FiscalMonth | Grain::FiscalQuarter | Grain::FiscalYear if self.week_pattern.is_none() => {
                TimeUnit::Month
            }
            Grain::Week | Grain::FiscalMonth | Grain::FiscalQuarter | Grain::FiscalYear => TimeUnit::Week,
            Grain::Day => TimeUnit::Day,
        }
    }

    /// The coarsest unit that serves every one of `grains`.
    pub fn common_unit(&self, grains: impl IntoIterator<Item = Grain>) -> TimeUnit {
        grains.into_iter().map(|grain| self.unit(grain)).fold(TimeUnit::None, |left, right| match (left, right) {
            (same, other) if same == other => same,
            (TimeUnit::None, other) | (other, TimeUnit::None) => other,
            _ => TimeUnit::Day,
        })
    }

    /// First day of a unit, by its index: months since year 0, weeks since the epoch's week, or days.
    pub fn unit_start(&self, unit: TimeUnit, index: i32) -> i32 {
        match unit {
            TimeUnit::None => 0,
            TimeUnit::Month => date::from_civil(index.div_euclid(12), index.rem_euclid(12) as u32 + 1, 1),
            TimeUnit::Week => index * 7 - self.week_offset(),
            TimeUnit::Day => index,
        }
    }

    /// Days by which the week that holds 1970-01-01 (a Thursday) starts before it.
    pub fn week_offset(&self) -> i32 {
        match self.week_start {
            WeekStart::Monday => 3,
            WeekStart::Sunday => 4,
        }
    }

    /// The period of `grain` that holds `day`.
    pub fn index(&self, grain: Grain, day: i32) -> i32 {
        let (year, month, _) = date::to_civil(day);
        let months = year * 12 + month as i32 - 1;
        match grain {
            Grain::Day => day,
            Grain::Week => (day + self.week_offset()).div_euclid(7),
            Grain::Month => months,
            Grain::Quarter => months.div_euclid(3),
            Grain::Year => year,
            Grain::All => 0,
            Grain::FiscalMonth | Grain::FiscalQuarter | Grain::FiscalYear => match self.week_pattern {
                None => {
                    let shifted = months - (self.fiscal_start_month as i32 - 1);
                    match grain {
                        Grain::FiscalMonth => shifted,
                        Grain::FiscalQuarter => shifted.div_euclid(3),
                        _ => shifted.div_euclid(12),
                    }
                }
                Some(pattern) => self.week_based_index(grain, pattern, day, year),
            },
        }
    }

    /// First day of a period. Grain `all` has no first day and answers 0.
    pub fn start(&self, grain: Grain, index: i32) -> i32 {
        let month_start = |months: i32| date::from_civil(months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1);
        let fiscal = self.fiscal_start_month as i32 - 1;
        match grain {
            Grain::All => 0,
            Grain::Day => index,
            Grain::Week => index * 7 - self.week_offset(),
            Grain::Month => month_start(index),
            Grain::Quarter => month_start(index * 3),
            Grain::Year => date::from_civil(index, 1, 1),
            Grain::FiscalMonth | Grain::FiscalQuarter | Grain::FiscalYear => match self.week_pattern {
                None => match grain {
                    Grain::FiscalMonth => month_start(index + fiscal),
                    Grain::FiscalQuarter => month_start(index * 3 + fiscal),
                    _ => month_start(index * 12 + fiscal),
                },
                Some(pattern) => self.week_based_start(grain, pattern, index),
            },
        }
    }

    /// First day after a period.
    pub fn end(&self, grain: Grain, index: i32) -> i32 {
        self.start(grain, index + 1)
    }

    /// Periods of `grain` in a year, where that number is fixed.
    pub fn periods_in_year(grain: Grain) -> Option<i32> {
        match grain {
            Grain::Month | Grain::FiscalMonth => Some(12),
            Grain::Quarter | Grain::FiscalQuarter => Some(4),
            Grain::Year | Grain::FiscalYear => Some(1),
            Grain::Day | Grain::Week | Grain::All => None,
        }
    }

    /// The period a year before: by position in the year, for days by date, for weeks the one 52 weeks earlier.
    pub fn year_ago(&self, grain: Grain, index: i32) -> Option<i32> {
        match grain {
            Grain::All => None,
            Grain::Week => Some(index - 52),
            Grain::Day => Some(date::add_months(index, -12)),
            _ => Self::periods_in_year(grain).map(|periods| index - periods),
        }
    }

    /// The label of a period: `2017`, `2017-Q1`, `2017-03`, `2017-W09`, `FY2018-Q1`, `2017-03-09`, `all`.
    pub fn label(&self, grain: Grain, index: i32) -> String {
        match grain {
            Grain::All => "all".to_owned(),
            Grain::Day => date::format(index),
            Grain::Week => {
                let start = self.start(grain, index);
                // The ISO year of a week is the year of its Thursday; for Sunday weeks the fourth day serves alike.
                let (year, ..) = date::to_civil(start + 3);
                let first = self.index(Grain::Week, date::from_civil(year, 1, 4));
                format!("{year:04}-W{:02}", index - first + 1)
            }
            Grain::Month => format!("{:04}-{:02}", index.div_euclid(12), index.rem_euclid(12) + 1),
            Grain::Quarter => format!("{:04}-Q{}", index.div_euclid(4), index.rem_euclid(4) + 1),
            Grain::Year => format!("{index:04}"),
            Grain::FiscalMonth => {
                format!("FY{:04}-P{:02}", self.fiscal_number(index.div_euclid(12)), index.rem_euclid(12) + 1)
            }
            Grain::FiscalQuarter => {
                format!("FY{:04}-Q{}", self.fiscal_number(index.div_euclid(4)), index.rem_euclid(4) + 1)
            }
            Grain::FiscalYear => format!("FY{:04}", self.fiscal_number(index)),
        }
    }

    /// The number people give to the fiscal year that starts in calendar year `start_year`.
    pub fn fiscal_number(&self, start_year: i32) -> i32 {
        match self.fiscal_year_name {
            FiscalYearName::End if self.fiscal_start_month > 1 => start_year + 1,
            _ => start_year,
        }
    }

    /// The calendar year in which the fiscal year that people number `number` starts.
    pub fn fiscal_start_year(&self, number: i32) -> i32 {
        number - (self.fiscal_number(0))
    }

    fn week_based_year_start(&self, year: i32) -> i32 {
        let first = date::from_civil(year, self.fiscal_start_month, 1);
        let week = (first + self.week_offset()).div_euclid(7) * 7 - self.week_offset();
        if first - week <= 3 { week } else { week + 7 }
    }

    fn week_based_index(&self, grain: Grain, pattern: WeekPattern, day: i32, civil_year: i32) -> i32 {
        let mut year = civil_year + 1;
        while self.week_based_year_start(year) > day {
            year -= 1;
        }
        let week = (day - self.week_based_year_start(year)).div_euclid(7);
        let quarter = (week / 13).min(3);
        match grain {
            Grain::FiscalYear => year,
            Grain::FiscalQuarter => year * 4 + quarter,
            _ => {
                let in_quarter = week - quarter * 13;
                let [first, second, _] = pattern.weeks();
                let period = if in_quarter < first {
                    0
                } else if in_quarter < first + second {
                    1
                } else {
                    2
                };
                year * 12 + quarter * 3 + period
            }
        }
    }

    fn week_based_start(&self, grain: Grain, pattern: WeekPattern, index: i32) -> i32 {
        let [first, second, _] = pattern.weeks();
        match grain {
            Grain::FiscalYear => self.week_based_year_start(index),
            Grain::FiscalQuarter => self.week_based_year_start(index.div_euclid(4)) + index.rem_euclid(4) * 13 * 7,
            _ => {
                let period = index.rem_euclid(12);
                let weeks = (period / 3) * 13 + [0, first, first + second][(period % 3) as usize];
                self.week_based_year_start(index.div_euclid(12)) + weeks * 7
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn day(text: &str) -> i32 {
        date::parse(text).unwrap()
    }

    #[test]
    fn every_day_lies_in_its_period_and_periods_follow_each_other() {
        let patterns =
            [None, Some(WeekPattern::FourFourFive), Some(WeekPattern::FourFiveFour), Some(WeekPattern::FiveFourFour)];
        for week_start in [WeekStart::Monday, WeekStart::Sunday] {
            for fiscal_start_month in [1, 2, 7, 10] {
                for week_pattern in patterns {
                    let calendar = Calendar { fiscal_start_month, week_start, week_pattern, ..Calendar::default() };
                    for grain in Grain::EVERY.into_iter().filter(|grain| *grain != Grain::All) {
                        for today in day("2014-12-20")..day("2021-01-15") {
                            let index = calendar.index(grain, today);
                            assert!(calendar.start(grain, index) <= today, "{grain:?} {today}");
                            assert!(today < calendar.end(grain, index), "{grain:?} {today}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn labels() {
        let calendar = Calendar::default();
        let label = |grain, text| calendar.label(grain, calendar.index(grain, day(text)));
        assert_eq!(label(Grain::Week, "2017-03-01"), "2017-W09");
        assert_eq!(label(Grain::Week, "2021-01-03"), "2020-W53");
        assert_eq!(label(Grain::Week, "2018-12-31"), "2019-W01");
        assert_eq!(label(Grain::Quarter, "2017-03-01"), "2017-Q1");
        assert_eq!(label(Grain::Month, "2017-03-01"), "2017-03");
        let fiscal = Calendar { fiscal_start_month: 7, ..calendar };
        assert_eq!(
            fiscal.label(Grain::FiscalQuarter, fiscal.index(Grain::FiscalQuarter, day("2017-08-01"))),
            "FY2018-Q1"
        );
        assert_eq!(fiscal.label(Grain::FiscalYear, fiscal.index(Grain::FiscalYear, day("2017-06-30"))), "FY2017");
        assert_eq!(fiscal.fiscal_start_year(2018), 2017);
    }

    #[test]
    fn units() {
        let calendar = Calendar::default();
        assert_eq!(calendar.common_unit([Grain::Month, Grain::FiscalYear, Grain::All]), TimeUnit::Month);
        assert_eq!(calendar.common_unit([Grain::Month, Grain::Week]), TimeUnit::Day);
        assert_eq!(calendar.common_unit([Grain::All]), TimeUnit::None);
        assert_eq!(calendar.common_unit([Grain::Week, Grain::All]), TimeUnit::Week);
    }
}
