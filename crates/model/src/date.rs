//! Days as integers: reading, printing and taking apart.
//!
//! A business date is a count of days since 1970-01-01, as in Arrow's Date32. This module
//! knows the proleptic Gregorian calendar and nothing else; weeks, quarters and fiscal years
//! live in `calendar`, vendors' date formats in `dealframe-ingest`.

/// Days since 1970-01-01 of a civil date. The date must exist; see [`valid`].
pub const fn from_civil(year: i32, month: u32, day: u32) -> i32 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_index = ((month + 9) % 12) as i32;
    let day_of_year = (153 * month_index + 2) / 5 + day as i32 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month (1-12) and day (1-31) of a count of days since 1970-01-01.
pub const fn to_civil(days: i32) -> (i32, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_index + 2) / 5 + 1) as u32;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 } as u32;
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Number of days in a month.
pub const fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether a civil date exists, in years 1 to 9999.
pub const fn valid(year: i32, month: u32, day: u32) -> bool {
    year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month)
}

/// Reads `YYYY-MM-DD`.
pub fn parse(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| -> Option<u32> {
        bytes[range].iter().try_fold(0u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
    };
    let (year, month, day) = (i32::try_from(number(0..4)?).ok()?, number(5..7)?, number(8..10)?);
    valid(year, month, day).then(|| from_civil(year, month, day))
}

/// Prints `YYYY-MM-DD`.
pub fn format(days: i32) -> String {
    let (year, month, day) = to_civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The same day `months` months later, or the last day of that month where it has no such day.
pub fn add_months(days: i32, months: i32) -> i32 {
    let (year, month, day) = to_civil(days);
    let index = year * 12 + month as i32 - 1 + months;
    let (year, month) = (index.div_euclid(12), index.rem_euclid(12) as u32 + 1);
    from_civil(year, month, day.min(days_in_month(year, month)))
}

/// Day of the week, Monday = 0 to Sunday = 6.
pub const fn weekday(days: i32) -> u32 {
    (days + 3).rem_euclid(7) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_and_back_for_every_day_of_eight_centuries() {
        let (first, last) = (from_civil(1600, 1, 1), from_civil(2400, 12, 31));
        let mut expected = (1600, 1, 1);
        for days in first..=last {
            assert_eq!(to_civil(days), expected);
            assert_eq!(from_civil(expected.0, expected.1, expected.2), days);
            expected = if expected.2 < days_in_month(expected.0, expected.1) {
                (expected.0, expected.1, expected.2 + 1)
            } else if expected.1 < 12 {
                (expected.0, expected.1 + 1, 1)
            } else {
                (expected.0 + 1, 1, 1)
            };
        }
        assert_eq!(from_civil(1970, 1, 1), 0);
        assert_eq!(weekday(0), 3);
    }

    #[test]
    fn reads_and_adds() {
        assert_eq!(parse("2024-02-29"), Some(from_civil(2024, 2, 29)));
        assert_eq!(parse("2023-02-29"), None);
        assert_eq!(parse("2023-2-9"), None);
        assert_eq!(format(add_months(from_civil(2024, 1, 31), 1)), "2024-02-29");
        assert_eq!(format(add_months(from_civil(2024, 1, 31), -2)), "2023-11-30");
    }
}
