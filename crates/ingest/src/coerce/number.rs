//! Numbers: exact decimals from `1234.5`, `1,234.50`, `1.234,50`, `(12)`, `$5`, `12 %`.
//!
//! Whether a comma or a point separates the decimals is a fact of the column
//! ([`Separator`]); a cell that can only be read the other way is refused. More digits than
//! the column keeps are refused as well, unless a profile says that the source rounds.

use dealframe_model::decimal::{self, DecimalError};

/// What separates the decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Separator {
    #[default]
    Point,
    Comma,
}

/// Why a text is no number for its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFault {
    NotANumber,
    TooPrecise,
    TooLarge,
    /// A number only with the other decimal separator.
    OtherSeparator,
}

/// How the number is to be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form {
    pub scale: u32,
    pub separator: Separator,
    /// Digits that the column does not keep are rounded half away from zero.
    pub round: bool,
}

/// A number and whether it carried a percent sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    pub scaled: i64,
    pub percent: bool,
}

/// Reads a number as an integer scaled by ten to the power of `form.scale`.
#[inline]
pub fn parse(text: &[u8], form: Form) -> Result<Number, NumberFault> {
    match quick(text, form.scale) {
        Some(scaled) if form.separator == Separator::Point => Ok(Number { scaled, percent: false }),
        _ => slow(text, form),
    }
}

/// Plain digits with an optional point: the spelling of nearly every cell.
#[inline]
fn quick(text: &[u8], scale: u32) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 14 || !digits[0].is_ascii_digit() {
        return None;
    }
    let mut value: i64 = 0;
    let mut decimals: u32 = 0;
    let mut point = false;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + i64::from(digit);
            decimals += u32::from(point);
        } else if *byte == b'.' && !point {
            point = true;
        } else {
            return None;
        }
    }
    if decimals > scale || (point && decimals == 0) {
        return None;
    }
    let scaled = value.checked_mul(10i64.pow(scale - decimals))?;
    if scaled >= 1_000_000_000_000_000_000 {
        return None;
    }
    Some(if negative { -scaled } else { scaled })
}

/// The text without signs, symbols and blanks: digits, separators and an exponent remain.
struct Bare {
    text: Vec<u8>,
    negative: bool,
    percent: bool,
}

fn bare(text: &[u8]) -> Option<Bare> {
    let text = std::str::from_utf8(text).ok()?;
    let mut out = Bare { text: Vec::with_capacity(text.len()), negative: false, percent: false };
    let mut rest = text.trim();
    if let Some(inner) = rest.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        out.negative = true;
        rest = inner.trim();
    }
    rest = strip_symbol(rest);
    if let Some(after) = rest.strip_prefix(['-', '−']) {
        if out.negative {
            return None;
        }
        out.negative = true;
        rest = strip_symbol(after);
    } else if let Some(after) = rest.strip_prefix('+') {
        rest = after;
    }
    if let Some(before) = rest.strip_suffix('%') {
        out.percent = true;
        rest = before.trim_end();
    }
    rest = strip_symbol_after(rest);
    for letter in rest.chars() {
        match letter {
            '0'..='9' | '.' | ',' | 'e' | 'E' | '-' | '+' => out.text.push(letter as u8),
            // Grouping that is never a decimal separator: no-break spaces, thin spaces, apostrophes.
            '\u{a0}' | '\u{202f}' | '\u{2009}' | ' ' | '\'' | '’' => {}
            _ => return None,
        }
    }
    out.text.first().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',')).then_some(out)
}

const SYMBOLS: [char; 7] = ['$', '€', '£', '¥', '₹', '₩', '₽'];
const CODES: [&str; 14] =
    ["USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "INR", "SEK", "NOK", "DKK", "PLN", "BRL", "CNY"];

fn strip_symbol(text: &str) -> &str {
    let text = text.strip_prefix(SYMBOLS).unwrap_or(text);
    CODES.iter().find_map(|code| text.strip_prefix(code)).unwrap_or(text).trim_start()
}

fn strip_symbol_after(text: &str) -> &str {
    let text = text.strip_suffix(SYMBOLS).unwrap_or(text);
    CODES.iter().find_map(|code| text.strip_suffix(code)).unwrap_or(text).trim_end()
}

/// What the separators of one number say about the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Can only have a decimal point.
    Point,
    /// Can only have a decimal comma.
    Comma,
    /// Nothing: no separator, or one that could be either.
    Nothing,
}

/// The evidence of one cell; `None` when it is no number in either reading.
pub fn says(text: &[u8]) -> Option<Says> {
    let bare = bare(text)?;
    let mantissa = bare.text.split(|byte| matches!(byte, b'e' | b'E')).next()?;
    let point = grouped(mantissa, b',', b'.');
    let comma = grouped(mantissa, b'.', b',');
    match (point, comma) {
        (true, true) => Some(Says::Nothing),
        (true, false) => Some(Says::Point),
        (false, true) => Some(Says::Comma),
        (false, false) => None,
    }
}

/// A number whose one separator may group thousands or come before decimals: `1.234`, `1,234`.
pub fn is_ambiguous(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b',' | b'.')) && says(text) == Some(Says::Nothing)
}

/// Whether the text is a number with this grouping and decimal separator.
fn grouped(text: &[u8], group: u8, decimal: u8) -> bool {
    let mut halves = text.splitn(2, |byte| *byte == decimal);
    let (whole, fraction) = (halves.next().unwrap_or(&[]), halves.next());
    if fraction.is_some_and(|digits| !digits.iter().all(u8::is_ascii_digit)) {
        return false;
    }
    let mut groups = whole.split(|byte| *byte == group);
    let first = groups.next().unwrap_or(&[]);
    let mut several = false;
    for digits in groups {
        several = true;
        if digits.len() != 3 || !digits.iter().all(u8::is_ascii_digit) {
            return false;
        }
    }
    first.iter().all(u8::is_ascii_digit)
        // 0,125 groups nothing: nobody writes a thousand with a leading zero.
        && (!several || ((1..=3).contains(&first.len()) && first[0] != b'0'))
        && (!first.is_empty() || fraction.is_some_and(|digits| !digits.is_empty()))
}

fn slow(text: &[u8], form: Form) -> Result<Number, NumberFault> {
    let bare = bare(text).ok_or(NumberFault::NotANumber)?;
    let (group, decimal) = match form.separator {
        Separator::Point => (b',', b'.'),
        Separator::Comma => (b'.', b','),
    };
    let mantissa_end = bare.text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(bare.text.len());
    let (mantissa, exponent) = bare.text.split_at(mantissa_end);
    if !grouped(mantissa, group, decimal) {
        let other = grouped(mantissa, decimal, group);
        return Err(if other { NumberFault::OtherSeparator } else { NumberFault::NotANumber });
    }
    let mut plain: Vec<u8> = mantissa
        .iter()
        .filter(|byte| **byte != group)
        .map(|byte| if *byte == decimal { b'.' } else { *byte })
        .collect();
    plain.extend_from_slice(exponent);
    let scaled = exact_or_rounded(&plain, form)?;
    Ok(Number { scaled: if bare.negative { -scaled } else { scaled }, percent: bare.percent })
}

fn exact_or_rounded(plain: &[u8], form: Form) -> Result<i64, NumberFault> {
    match decimal::parse(plain, form.scale) {
        Ok(scaled) => Ok(scaled),
        Err(DecimalError::TooPrecise) if form.round => {
            let cut = plain.iter().position(|byte| *byte == b'.').map(|at| (at + 1 + form.scale as usize, at));
            match cut {
                Some((keep, _)) if !plain.iter().any(|byte| matches!(byte, b'e' | b'E')) && plain.len() > keep => {
                    let down = decimal::parse(&plain[..keep], form.scale).map_err(fault)?;
                    Ok(if plain[keep] >= b'5' { down + 1 } else { down })
                }
                // Digits only beyond the scale, as in 1e-9.
                _ => Ok(0),
            }
        }
        Err(error) => Err(fault(error)),
    }
}

fn fault(error: DecimalError) -> NumberFault {
    match error {
        DecimalError::NotANumber => NumberFault::NotANumber,
        DecimalError::TooPrecise => NumberFault::TooPrecise,
        DecimalError::TooLarge => NumberFault::TooLarge,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(text: &str, separator: Separator) -> Result<i64, NumberFault> {
        parse(text.as_bytes(), Form { scale: 4, separator, round: false }).map(|number| number.scaled)
    }

    #[test]
    fn table() {
        use NumberFault::{NotANumber, OtherSeparator, TooLarge, TooPrecise};
        use Separator::{Comma, Point};
        let table = [
            ("12.5", Point, Ok(125_000)),
            ("-0.0001", Point, Ok(-1)),
            ("1,234.50", Point, Ok(12_345_000)),
            ("1,234", Point, Ok(12_340_000)),
            ("(1,234.00)", Point, Ok(-12_340_000)),
            ("$12,000", Point, Ok(120_000_000)),
            ("€ 5", Point, Ok(50_000)),
            ("5 EUR", Point, Ok(50_000)),
            ("1\u{a0}234", Point, Ok(12_340_000)),
            ("1.25E3", Point, Ok(12_500_000)),
            ("399,00", Point, Err(OtherSeparator)),
            ("399,00", Comma, Ok(3_990_000)),
            ("1.234,50", Comma, Ok(12_345_000)),
            ("1.234", Comma, Ok(12_340_000)),
            ("1.5", Comma, Err(OtherSeparator)),
            ("1,234,50", Point, Err(NotANumber)),
            ("12k", Point, Err(NotANumber)),
            ("", Point, Err(NotANumber)),
            ("abc", Point, Err(NotANumber)),
            ("1.00001", Point, Err(TooPrecise)),
            ("1.00000", Point, Ok(10_000)),
            ("99999999999999", Point, Ok(999_999_999_999_990_000)),
            ("100000000000000", Point, Err(TooLarge)),
            ("--", Point, Err(NotANumber)),
            (".5", Point, Ok(5_000)),
            ("5.", Point, Ok(50_000)),
            ("0,125", Comma, Ok(1_250)),
            ("0,125", Point, Err(OtherSeparator)),
            ("0.125", Comma, Err(OtherSeparator)),
        ];
        for (text, separator, expected) in table {
            assert_eq!(read(text, separator), expected, "{text} {separator:?}");
        }
    }

    #[test]
    fn percent_and_rounding() {
        let form = Form { scale: 4, separator: Separator::Point, round: true };
        assert_eq!(parse(b"12.5 %", form), Ok(Number { scaled: 125_000, percent: true }));
        assert_eq!(parse(b"0.14285714285714285", form).map(|n| n.scaled), Ok(1_429));
        assert_eq!(parse(b"-0.00005", form).map(|n| n.scaled), Ok(-1));
        assert_eq!(parse(b"1e-9", form).map(|n| n.scaled), Ok(0));
    }

    #[test]
    fn what_a_cell_says() {
        for (text, expected) in [
            ("12", Some(Says::Nothing)),
            ("1,234", Some(Says::Nothing)),
            ("399,00", Some(Says::Comma)),
            ("1.50", Some(Says::Point)),
            ("1,234.5", Some(Says::Point)),
            ("1.234,5", Some(Says::Comma)),
            ("1.234.567", Some(Says::Comma)),
            ("1,234,567", Some(Says::Point)),
            ("1.234", Some(Says::Nothing)),
            ("0.125", Some(Says::Point)),
            ("0,125", Some(Says::Comma)),
            ("x", None),
        ] {
            assert_eq!(says(text.as_bytes()), expected, "{text}");
        }
    }
}
