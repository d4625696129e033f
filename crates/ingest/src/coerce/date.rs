//! Dates and instants in the spellings of CRM exports.
//!
//! ISO dates need no decision. Dates with the year last are read in the order that the whole
//! column was found to have ([`DateOrder`]); without an order they are refused. Two-digit
//! years are refused always. Instants without an offset are in the zone of the ingest.

use dealframe_model::date;
use jiff::civil;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Order of day, month and year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DateOrder {
    Dmy,
    Mdy,
    Ymd,
}

impl std::str::FromStr for DateOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "dmy" => Ok(Self::Dmy),
            "mdy" => Ok(Self::Mdy),
            "ymd" => Ok(Self::Ymd),
            _ => Err(format!("{text:?} is no date order; expected dmy, mdy or ymd")),
        }
    }
}

/// Why a text is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateFault {
    /// No date at all, or one that does not exist.
    NotADate,
    /// A date with the year last, and no order known for the column.
    NeedsOrder,
    /// A date only in the other order.
    OtherOrder,
}

/// The zone of instants that carry none.
#[derive(Debug, Clone)]
pub enum Zone {
    Utc,
    Named(TimeZone),
}

impl Zone {
    /// The zone of an IANA name.
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("z") {
            return Some(Self::Utc);
        }
        TimeZone::get(name).ok().map(Self::Named)
    }

    /// Microseconds UTC of a local time, given as days and microseconds of the day.
    fn to_utc(&self, days: i32, micros: i64) -> Option<i64> {
        let naive = i64::from(days) * DAY + micros;
        match self {
            Self::Utc => Some(naive),
            Self::Named(zone) => {
                let (year, month, day) = date::to_civil(days);
                let midnight = civil::DateTime::new(
                    i16::try_from(year).ok()?,
                    i8::try_from(month).ok()?,
                    i8::try_from(day).ok()?,
                    i8::try_from(micros / 3_600_000_000).ok()?,
                    i8::try_from(micros / 60_000_000 % 60).ok()?,
                    i8::try_from(micros / 1_000_000 % 60).ok()?,
                    i32::try_from(micros % 1_000_000 * 1_000).ok()?,
                )
                .ok()?;
                Some(zone.to_ambiguous_timestamp(midnight).compatible().ok()?.as_microsecond())
            }
        }
    }

    /// Local date of an instant.
    pub fn date_of(&self, micros: i64) -> Option<i32> {
        match self {
            Self::Utc => i32::try_from(micros.div_euclid(DAY)).ok(),
            Self::Named(zone) => {
                let timestamp = jiff::Timestamp::from_microsecond(micros).ok()?;
                let local = zone.to_datetime(timestamp);
                let (year, month, day) =
                    (i32::from(local.year()), u32::try_from(local.month()).ok()?, u32::try_from(local.day()).ok()?);
                Some(date::from_civil(year, month, day))
            }
        }
    }
}

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// A date with what stood after it.
struct Parts<'a> {
    days: i32,
    rest: &'a [u8],
}

/// Reads a date; a time of day after it is converted to the local date when it carries an offset.
#[inline]
pub fn parse_date(text: &[u8], order: Option<DateOrder>, zone: &Zone) -> Result<i32, DateFault> {
    if text.len() == 10
        && let Some(days) = iso(text)
    {
        return Ok(days);
    }
    let (days, micros, offset) = moment(text, order)?;
    match offset {
        None => Ok(days),
        Some(_) if micros == 0 && offset == Some(0) && matches!(zone, Zone::Utc) => Ok(days),
        Some(offset) => zone.date_of(i64::from(days) * DAY + micros - offset).ok_or(DateFault::NotADate),
    }
}

/// Reads an instant as microseconds UTC; a date alone is its midnight in the zone.
#[inline]
pub fn parse_timestamp(text: &[u8], order: Option<DateOrder>, zone: &Zone) -> Result<i64, DateFault> {
    let (days, micros, offset) = moment(text, order)?;
    match offset {
        Some(offset) => Ok(i64::from(days) * DAY + micros - offset),
        None => zone.to_utc(days, micros).ok_or(DateFault::NotADate),
    }
}

/// What a text says about the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// A date, or nothing at all.
    Absent,
    /// 00:00, which is also how a date is written where times are asked for.
    Midnight,
    Time,
}

/// The time of day that a date or instant is written with.
pub fn clock(text: &[u8]) -> Clock {
    if (text.len() == 13 || text.len() == 10) && text.iter().all(u8::is_ascii_digit) {
        return match epoch(text) {
            Ok((_, 0, _)) => Clock::Midnight,
            Ok(_) => Clock::Time,
            Err(_) => Clock::Absent,
        };
    }
    let Some(colon) = memchr::memchr(b':', text) else { return Clock::Absent };
    let hour = &text[text[..colon].iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1)..colon];
    let rest = &text[colon..];
    let zeros = rest.iter().take_while(|byte| matches!(byte, b'0' | b':' | b'.' | b',')).count();
    let rest = rest[zeros..].trim_ascii_start();
    let is_morning = matches!(rest, [b'A' | b'a', b'M' | b'm', ..]);
    let is_midnight = if is_morning { hour == b"12" } else { matches!(hour, b"0" | b"00") };
    let is_whole_hour = !rest.first().is_some_and(u8::is_ascii_digit);
    if is_midnight && is_whole_hour { Clock::Midnight } else { Clock::Time }
}

/// Days, microseconds of the day, and the offset from UTC in microseconds if there is one.
fn moment(text: &[u8], order: Option<DateOrder>) -> Result<(i32, i64, Option<i64>), DateFault> {
    if let Some((days, micros)) = zulu(text) {
        return Ok((days, micros, Some(0)));
    }
    if (text.len() == 13 || text.len() == 10) && text.iter().all(u8::is_ascii_digit) {
        return epoch(text);
    }
    let parts = day(text, order)?;
    if parts.rest.is_empty() {
        return Ok((parts.days, 0, None));
    }
    let (micros, offset) = time(parts.rest).ok_or(DateFault::NotADate)?;
    Ok((parts.days, micros, offset))
}

fn epoch(text: &[u8]) -> Result<(i32, i64, Option<i64>), DateFault> {
    let number = text.iter().fold(0i64, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let micros = if text.len() == 13 { number * 1_000 } else { number * 1_000_000 };
    let days = i32::try_from(micros.div_euclid(DAY)).map_err(|_| DateFault::NotADate)?;
    Ok((days, micros.rem_euclid(DAY), Some(0)))
}

/// `YYYY-MM-DD` at the start of the text.
#[inline]
fn iso(text: &[u8]) -> Option<i32> {
    let head: &[u8; 10] = text.get(..10)?.try_into().ok()?;
    if head[4] != b'-' || head[7] != b'-' {
        return None;
    }
    let digit = |index: usize| -> u32 { u32::from(head[index].wrapping_sub(b'0')) };
    let digits = [digit(0), digit(1), digit(2), digit(3), digit(5), digit(6), digit(8), digit(9)];
    if digits.iter().any(|value| *value > 9) {
        return None;
    }
    let year = (digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3]) as i32;
    let (month, day) = (digits[4] * 10 + digits[5], digits[6] * 10 + digits[7]);
    // Days 1 to 28 of the months that business has are looked up.
    if (1..=28).contains(&day) && (1..=12).contains(&month) {
        let years = year.cast_unsigned().wrapping_sub(FIRST_YEAR) as usize;
        if let Some(start) = MONTH_STARTS.get(years * 12 + month as usize - 1) {
            return Some(start + day as i32 - 1);
        }
    }
    date::valid(year, month, day).then(|| date::from_civil(year, month, day))
}

const FIRST_YEAR: u32 = 1980;

/// Days on which the months from January of [`FIRST_YEAR`] on begin.
static MONTH_STARTS: [i32; 100 * 12] = {
    let mut starts = [0; 100 * 12];
    let mut month = 0;
    while month < starts.len() {
        starts[month] = date::from_civil(FIRST_YEAR as i32 + month as i32 / 12, month as u32 % 12 + 1, 1);
        month += 1;
    }
    starts
};

/// `YYYY-MM-DDTHH:MM:SSZ`, also with milliseconds: what most exports write. Anything else is left to [`moment`].
#[inline]
fn zulu(text: &[u8]) -> Option<(i32, i64)> {
    let two = |at: usize| -> Option<i64> {
        let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then_some(i64::from(tens) * 10 + i64::from(ones))
    };
    let millis = match text {
        [.., b'Z'] if text.len() == 20 => 0,
        [.., b'.', hundreds @ b'0'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'Z'] if text.len() == 24 => {
            i64::from(hundreds - b'0') * 100 + i64::from(tens - b'0') * 10 + i64::from(ones - b'0')
        }
        _ => return None,
    };
    if text[10] != b'T' || text[13] != b':' || text[16] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((iso(text)?, ((hour * 3_600 + minute * 60 + second) * 1_000 + millis) * 1_000))
}

fn day(text: &[u8], order: Option<DateOrder>) -> Result<Parts<'_>, DateFault> {
    if let Some(days) = iso(text) {
        return Ok(Parts { days, rest: &text[10..] });
    }
    if text.first().is_some_and(u8::is_ascii_alphabetic) {
        return named_month_first(text).ok_or(DateFault::NotADate);
    }
    let (first, first_width, rest) = number(text).ok_or(DateFault::NotADate)?;
    let separator = *rest.first().ok_or(DateFault::NotADate)?;
    if !matches!(separator, b'/' | b'-' | b'.' | b' ') {
        return Err(DateFault::NotADate);
    }
    if rest.get(1).is_some_and(u8::is_ascii_alphabetic) {
        return named_month_second(first, separator, &rest[1..]).ok_or(DateFault::NotADate);
    }
    let (second, _, rest) = number(&rest[1..]).ok_or(DateFault::NotADate)?;
    let rest = rest.strip_prefix(&[separator]).ok_or(DateFault::NotADate)?;
    let (third, third_width, rest) = number(rest).ok_or(DateFault::NotADate)?;
    let civil = |year: u32, month: u32, day: u32| -> Option<i32> {
        let year = i32::try_from(year).ok()?;
        date::valid(year, month, day).then(|| date::from_civil(year, month, day))
    };
    if first_width == 4 {
        return civil(first, second, third).map(|days| Parts { days, rest }).ok_or(DateFault::NotADate);
    }
    if third_width != 4 {
        return Err(DateFault::NotADate);
    }
    let day_first = civil(third, second, first);
    let month_first = civil(third, first, second);
    // Nobody writes the month first with dots.
    let order = if separator == b'.' { Some(DateOrder::Dmy) } else { order };
    let (wanted, other) = match order {
        Some(DateOrder::Dmy) => (day_first, month_first),
        Some(DateOrder::Mdy) => (month_first, day_first),
        Some(DateOrder::Ymd) => return Err(DateFault::OtherOrder),
        None if day_first.is_none() && month_first.is_none() => return Err(DateFault::NotADate),
        None => return Err(DateFault::NeedsOrder),
    };
    match (wanted, other) {
        (Some(days), _) => Ok(Parts { days, rest }),
        (None, Some(_)) => Err(DateFault::OtherOrder),
        (None, None) => Err(DateFault::NotADate),
    }
}

/// A date with dots, as `31.01.2024`.
pub fn is_dotted(text: &[u8]) -> bool {
    text.iter().find(|byte| !byte.is_ascii_digit()) == Some(&b'.') && day(text, None).is_ok()
}

/// For the evidence of a column: which orders a date with the year last allows. `None`: no such date.
pub fn allowed_orders(text: &[u8]) -> Option<(bool, bool)> {
    if !matches!(day(text, None), Err(DateFault::NeedsOrder)) {
        return None;
    }
    let day_first = day(text, Some(DateOrder::Dmy)).is_ok();
    let month_first = day(text, Some(DateOrder::Mdy)).is_ok();
    Some((day_first, month_first))
}

const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

fn month_name(text: &[u8]) -> Option<(u32, &[u8])> {
    let head = text.get(..3)?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|name| name.as_slice() == head)?;
    let length = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    Some((month as u32 + 1, &text[length..]))
}

/// `Sep 1, 2026`
fn named_month_first(text: &[u8]) -> Option<Parts<'_>> {
    let (month, rest) = month_name(text)?;
    let (day, _, rest) = number(rest.trim_ascii_start())?;
    let rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
    let (year, width, rest) = number(rest)?;
    finish_named(year, width, month, day, rest)
}

/// `1-Mar-2024`, `01 March 2024`
fn named_month_second(day: u32, separator: u8, text: &[u8]) -> Option<Parts<'_>> {
    let (month, rest) = month_name(text)?;
    let rest = rest.strip_prefix(b".").unwrap_or(rest);
    let (year, width, rest) = number(rest.strip_prefix(&[separator])?)?;
    finish_named(year, width, month, day, rest)
}

fn finish_named(year: u32, width: usize, month: u32, day: u32, rest: &[u8]) -> Option<Parts<'_>> {
    let year = i32::try_from(year).ok()?;
    (width == 4 && date::valid(year, month, day)).then(|| Parts { days: date::from_civil(year, month, day), rest })
}

/// Digits at the start: their value, how many they are, and what follows.
#[inline]
fn number(text: &[u8]) -> Option<(u32, usize, &[u8])> {
    let width = text.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    if width == 0 || width > 8 {
        return None;
    }
    let value = text[..width].iter().fold(0u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    Some((value, width, &text[width..]))
}

/// A time of day after a date: `T10:20:30.123Z`, ` 3:15 PM`, ` 10:20:30 UTC`, `...+0200`.
fn time(text: &[u8]) -> Option<(i64, Option<i64>)> {
    let text = match text {
        [b'T' | b't' | b' ', rest @ ..] => rest.trim_ascii_start(),
        [b',', b' ', rest @ ..] => rest,
        _ => return None,
    };
    let (hour, width, rest) = number(text)?;
    let (minute, minute_width, mut rest) = number(rest.strip_prefix(b":")?)?;
    if width > 2 || minute_width != 2 {
        return None;
    }
    let mut second = 0;
    let mut micros = 0;
    if let Some(after) = rest.strip_prefix(b":") {
        let (value, second_width, after) = number(after)?;
        if second_width != 2 {
            return None;
        }
        second = value;
        rest = after;
        if let [b'.' | b',', after @ ..] = rest {
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            micros = after[..digits.min(6)].iter().fold(0i64, |sum, byte| sum * 10 + i64::from(byte - b'0'))
                * 10i64.pow(6 - u32::try_from(digits.min(6)).ok()?);
            rest = &after[digits..];
        }
    }
    let (hour, rest) = half_day(hour, rest.trim_ascii_start())?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = (i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second)) * 1_000_000 + micros;
    Some((micros, offset(rest)?))
}

fn half_day(hour: u32, rest: &[u8]) -> Option<(u32, &[u8])> {
    let (afternoon, after) = match rest {
        [b'A' | b'a', b'M' | b'm', after @ ..] => (false, after),
        [b'P' | b'p', b'M' | b'm', after @ ..] => (true, after),
        _ => return Some((hour, rest)),
    };
    if hour == 0 || hour > 12 {
        return None;
    }
    Some((hour % 12 + if afternoon { 12 } else { 0 }, after.trim_ascii_start()))
}

/// The offset in microseconds: outer `None` when the text is no offset, inner when there is none.
#[allow(clippy::option_option)]
fn offset(text: &[u8]) -> Option<Option<i64>> {
    match text {
        [] => Some(None),
        b"Z" | b"z" | b"UTC" | b"GMT" | b"(UTC)" => Some(Some(0)),
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let (hours, minutes) = match rest {
                [a, b] => (number(&[*a, *b])?.0, 0),
                [a, b, c, d] | [a, b, b':', c, d] => (number(&[*a, *b])?.0, number(&[*c, *d])?.0),
                _ => return None,
            };
            if hours > 18 || minutes > 59 {
                return None;
            }
            let micros = i64::from(hours * 60 + minutes) * 60_000_000;
            Some(Some(if *sign == b'-' { -micros } else { micros }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn day_of(text: &str, order: Option<DateOrder>) -> Result<String, DateFault> {
        parse_date(text.as_bytes(), order, &Zone::Utc).map(date::format)
    }

    #[test]
    fn times_of_day() {
        for (text, expected) in [
            ("", Clock::Absent),
            ("2024-01-02", Clock::Absent),
            ("31.01.2024", Clock::Absent),
            ("2024-01-02T00:00:00Z", Clock::Midnight),
            ("2024-01-02 00:00", Clock::Midnight),
            ("2024-01-02T00:00:00.000+02:00", Clock::Midnight),
            ("1/2/2024 12:00 AM", Clock::Midnight),
            ("1/2/2024 12:00 PM", Clock::Time),
            ("2024-01-02T00:00:01Z", Clock::Time),
            ("2024-01-02 00:30", Clock::Time),
            ("2024-01-02T10:00:00Z", Clock::Time),
            ("1704153600000", Clock::Midnight),
            ("1704153600001", Clock::Time),
        ] {
            assert_eq!(clock(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn dates() {
        use DateFault::{NeedsOrder, NotADate, OtherOrder};
        let table: &[(&str, Option<DateOrder>, Result<&str, DateFault>)] = &[
            ("2024-02-29", None, Ok("2024-02-29")),
            ("2023-02-29", None, Err(NotADate)),
            ("2024-03-01T23:30:00.000Z", None, Ok("2024-03-01")),
            ("2024-03-01T23:30:00-05:00", None, Ok("2024-03-02")),
            ("2018-12-19 00:00:00", None, Ok("2018-12-19")),
            ("2024/3/1", None, Ok("2024-03-01")),
            ("10/20/2016", None, Err(NeedsOrder)),
            ("10/20/2016", Some(DateOrder::Mdy), Ok("2016-10-20")),
            ("10/20/2016", Some(DateOrder::Dmy), Err(OtherOrder)),
            ("3/1/2017", Some(DateOrder::Dmy), Ok("2017-01-03")),
            ("28-07-2023 03:00", Some(DateOrder::Dmy), Ok("2023-07-28")),
            ("01.02.2024", None, Ok("2024-02-01")),
            ("3/1/17", Some(DateOrder::Mdy), Err(NotADate)),
            ("Sep 1, 2026", None, Ok("2026-09-01")),
            ("1-Mar-2024", None, Ok("2024-03-01")),
            ("1470145673504", None, Ok("2016-08-02")),
            ("TBD", None, Err(NotADate)),
            ("0000-00-00", None, Err(NotADate)),
            ("2024-03-01x", None, Err(NotADate)),
            ("32/13/2024", None, Err(NotADate)),
        ];
        for (text, order, expected) in table {
            assert_eq!(day_of(text, *order).as_deref().map_err(|e| *e), expected.map_err(|e| e), "{text}");
        }
    }

    #[test]
    fn instants() {
        let at = |text: &str| parse_timestamp(text.as_bytes(), None, &Zone::Utc);
        let base = i64::from(date::parse("2020-12-30").unwrap()) * DAY;
        assert_eq!(at("2020-12-30 3:15:52"), Ok(base + (3 * 3600 + 15 * 60 + 52) * 1_000_000));
        assert_eq!(at("2020-12-30T03:15:52.123456Z"), Ok(base + (3 * 3600 + 15 * 60 + 52) * 1_000_000 + 123_456));
        assert_eq!(at("2020-12-30 03:15:52.5 UTC"), Ok(base + (3 * 3600 + 15 * 60 + 52) * 1_000_000 + 500_000));
        assert_eq!(at("2020-12-30T02:00:00.000+0200"), Ok(base));
        assert_eq!(at("2020-12-30 12:00 AM"), Ok(base));
        assert_eq!(at("2020-12-30 1:30 PM"), Ok(base + 13 * 3_600_000_000 + 30 * 60_000_000));
        assert_eq!(at("2020-12-30 25:00"), Err(DateFault::NotADate));
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(parse_timestamp(b"2020-12-30 01:00", None, &berlin), Ok(base));
        assert_eq!(parse_date(b"2020-12-29T23:30:00Z", None, &berlin).map(date::format), Ok("2020-12-30".to_owned()));
        assert!(Zone::named("Nowhere/Town").is_none());
    }

    #[test]
    fn orders_that_a_value_allows() {
        assert_eq!(allowed_orders(b"01/02/2024"), Some((true, true)));
        assert_eq!(allowed_orders(b"13/02/2024"), Some((true, false)));
        assert_eq!(allowed_orders(b"02/13/2024"), Some((false, true)));
        assert_eq!(allowed_orders(b"2024-01-02"), None);
        assert_eq!(allowed_orders(b"01.02.2024"), None);
    }
}
