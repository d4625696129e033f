//! Numbers as text: exact for data, rounded and grouped for people.
//!
//! Data formats get every digit ([`write_plain`]), appended to a buffer that is used again, as
//! printing hundreds of thousands of them one string at a time is what makes printers slow.
//! People get thousands separators, percentages and units ([`display`]).

use dealframe_model::decimal;
use dealframe_model::frame::Number;
use dealframe_model::kpi::Unit;

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Appends a whole number.
pub fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    let mut buffer = [0u8; 20];
    let mut start = buffer.len();
    while value >= 100 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        start -= 2;
        buffer[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if value >= 10 {
        let pair = value as usize * 2;
        start -= 2;
        buffer[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        start -= 1;
        buffer[start] = b'0' + value as u8;
    }
    out.extend_from_slice(&buffer[start..]);
}

/// Appends a whole number with its sign.
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_unsigned(out, value.unsigned_abs());
}

/// Appends a number with every digit it has and no trailing zeros, as [`Number::plain`] prints it.
pub fn write_plain(out: &mut Vec<u8>, number: Number) {
    let (Ok(magnitude), 0..=18) = (u64::try_from(number.value.unsigned_abs()), number.scale) else {
        out.extend_from_slice(number.plain().as_bytes());
        return;
    };
    if number.value < 0 {
        out.push(b'-');
    }
    let unit = 10u64.pow(number.scale);
    write_unsigned(out, magnitude / unit);
    let mut fraction = magnitude % unit;
    if fraction == 0 {
        return;
    }
    let mut digits = number.scale as usize;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        digits -= 1;
    }
    out.push(b'.');
    let start = out.len();
    out.resize(start + digits, b'0');
    for position in (start..start + digits).rev() {
        out[position] = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
}

/// Rounded to `digits` after the point, thousands separated by commas.
pub fn grouped(number: Number, digits: u32) -> String {
    let text = number.rounded(digits);
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let zero = whole.bytes().chain(fraction.unwrap_or("").bytes()).all(|digit| digit == b'0');
    let mut out = String::with_capacity(text.len() + whole.len() / 3 + 1);
    if !zero {
        out.push_str(sign);
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A fraction as a percentage: 0.6315 with two digits is `63.15%`.
pub fn percent(number: Number, digits: u32) -> String {
    let hundredfold = if number.scale >= 2 {
        Number { value: number.value, scale: number.scale - 2 }
    } else {
        Number { value: number.value * decimal::power_of_ten(2 - number.scale), scale: 0 }
    };
    format!("{}%", grouped(hundredfold, digits))
}

/// Three or four digits and a letter for the size: `12.3M`, `987`, `1.05K`.
pub fn compact(number: Number) -> String {
    let magnitude = number.value.unsigned_abs() / decimal::power_of_ten(number.scale).unsigned_abs();
    let (exponent, letter) = match magnitude {
        0..=9_999 => (0, ""),
        10_000..=999_499 => (3, "K"),
        999_500..=999_499_999 => (6, "M"),
        _ => (9, "B"),
    };
    let scaled = Number { value: number.value, scale: number.scale + exponent };
    let leading = magnitude / decimal::power_of_ten(exponent).unsigned_abs();
    let digits = match (exponent, leading) {
        (0, 1_000..) => 0,
        (0, 100..) if number.value % decimal::power_of_ten(number.scale) == 0 => 0,
        (0, _) if number.value % decimal::power_of_ten(number.scale) == 0 => 0,
        (_, 100..) => 0,
        (_, 10..) => 1,
        _ => 2,
    };
    format!("{}{letter}", grouped(scaled, digits))
}

/// A value as people read it in a table.
pub fn display(number: Number, unit: Unit) -> String {
    let whole = number.value % decimal::power_of_ten(number.scale) == 0;
    match unit {
        Unit::Money => grouped(number, 2),
        Unit::Ratio => percent(number, 2),
        Unit::Count | Unit::Number if whole => grouped(number, 0),
        Unit::Count | Unit::Number => grouped(number, 2),
        Unit::Days | Unit::Hours | Unit::Minutes | Unit::Seconds | Unit::Months if whole => grouped(number, 0),
        Unit::Days | Unit::Hours | Unit::Minutes | Unit::Seconds | Unit::Months => grouped(number, 1),
    }
}

/// A value as a headline: short, with its unit. `unit_name` is the currency of money.
pub fn headline(number: Number, unit: Unit, unit_name: &str) -> String {
    match unit {
        Unit::Money => money(number, unit_name),
        Unit::Ratio => percent(number, 1),
        Unit::Count | Unit::Number => compact(number),
        _ => format!("{} {}", display(number, unit), unit.name()),
    }
}

fn money(number: Number, currency: &str) -> String {
    let text = compact(number);
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    match currency {
        "USD" => format!("{sign}${digits}"),
        "EUR" => format!("{sign}€{digits}"),
        "GBP" => format!("{sign}£{digits}"),
        "money" | "" => text,
        other => format!("{other} {text}"),
    }
}

/// The difference of two values. That of two percentages is said in points: from 40% to 50% is 10 points, not 10%.
pub fn difference(change: Number, unit: Unit) -> String {
    if unit == Unit::Ratio {
        let percentage = percent(change, 2);
        return format!("{} pts", signed(percentage.trim_end_matches('%').to_owned(), change));
    }
    signed(display(change, unit), change)
}

/// With a plus where it is positive.
pub fn signed(text: String, number: Number) -> String {
    if number.value > 0 { format!("+{text}") } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn number(value: i128, scale: u32) -> Number {
        Number { value, scale }
    }

    #[test]
    fn plain_printing_equals_the_model() {
        let mut state = 1u64;
        for round in 0..20_000u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value =
                i128::from(state as i64 >> (round % 60)) * if round % 97 == 0 { i128::from(u32::MAX) } else { 1 };
            let number = number(value, round % 21);
            let mut out = Vec::new();
            write_plain(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.plain(), "{number:?}");
        }
        for value in [0, 1, -1, 9, 10, 99, 100, i128::from(u64::MAX), i128::from(i64::MIN)] {
            let mut out = Vec::new();
            write_plain(&mut out, number(value, 4));
            assert_eq!(String::from_utf8(out).unwrap(), number(value, 4).plain());
        }
    }

    #[test]
    fn grouping() {
        assert_eq!(grouped(number(12_345_678_905, 4), 2), "1,234,567.89");
        assert_eq!(grouped(number(1_000, 0), 0), "1,000");
        assert_eq!(grouped(number(-999, 0), 0), "-999");
        assert_eq!(grouped(number(-1_234_567, 0), 1), "-1,234,567.0");
        assert_eq!(grouped(number(-4, 3), 2), "0.00");
    }

    #[test]
    fn percentages() {
        assert_eq!(percent(number(631_500_521_532, 12), 2), "63.15%");
        assert_eq!(percent(number(1, 0), 1), "100.0%");
        assert_eq!(percent(number(-5, 1), 0), "-50%");
        assert_eq!(percent(number(125, 3), 1), "12.5%");
        assert_eq!(difference(number(1, 1), Unit::Ratio), "+10.00 pts");
        assert_eq!(difference(number(-15, 3), Unit::Ratio), "-1.50 pts");
        assert_eq!(difference(number(1_500, 0), Unit::Count), "+1,500");
    }

    #[test]
    fn short_numbers() {
        assert_eq!(compact(number(987, 0)), "987");
        assert_eq!(compact(number(12_345, 0)), "12.3K");
        assert_eq!(compact(number(9_876, 0)), "9,876");
        assert_eq!(compact(number(999_499, 0)), "999K");
        assert_eq!(compact(number(999_500, 0)), "1.00M");
        assert_eq!(compact(number(1_234_567_890_000, 4)), "123M");
        assert_eq!(compact(number(-1_234_567, 0)), "-1.23M");
        assert_eq!(compact(number(1_234_567_890, 0)), "1.23B");
        assert_eq!(compact(number(35, 1)), "3.50");
        assert_eq!(headline(number(-1_234_567, 0), Unit::Money, "USD"), "-$1.23M");
        assert_eq!(headline(number(-1_234_567, 0), Unit::Money, "CHF"), "CHF -1.23M");
        assert_eq!(headline(number(455, 1), Unit::Days, "days"), "45.5 days");
    }
}
