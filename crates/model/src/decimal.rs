//! Decimal numbers as scaled integers: parsing, printing and exact arithmetic.
//!
//! Money is an integer count of 1/10,000 units, so sums are exact and independent of order.
//! Nothing here rounds silently: a number with more digits than the scale is an error when
//! read, and a division rounds half away from zero at a scale the caller names.

use std::fmt::Write as _;

/// Scale of money and fractions: four digits after the point.
pub const MONEY_SCALE: u32 = 4;
/// Scale of exchange rates.
pub const RATE_SCALE: u32 = 8;

/// Why a text is no decimal of the wanted scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error("not a number")]
    NotANumber,
    #[error("more digits after the point than the column keeps")]
    TooPrecise,
    #[error("larger than decimal(18) can hold")]
    TooLarge,
}

/// Ten to the power of `exponent`.
pub const fn power_of_ten(exponent: u32) -> i128 {
    10i128.pow(exponent)
}

/// Reads a plain decimal (`-12.5`, `+3`, `1.25E3`) into an integer scaled by 10^`scale`.
///
/// # Errors
/// When the text is no number, keeps more digits than the scale, or exceeds 18 digits.
pub fn parse(text: &[u8], scale: u32) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let mut value: i128 = 0;
    let mut seen = false;
    let mut fraction: Option<i32> = None;
    let mut exponent: i32 = 0;
    let mut index = 0;
    while index < digits.len() {
        match digits[index] {
            digit @ b'0'..=b'9' => {
                seen = true;
                value = value * 10 + i128::from(digit - b'0');
                if value > 10i128.pow(30) {
                    return Err(DecimalError::TooLarge);
                }
                if let Some(count) = fraction.as_mut() {
                    *count += 1;
                }
            }
            b'.' if fraction.is_none() => fraction = Some(0),
            b'e' | b'E' if seen => {
                let text = std::str::from_utf8(&digits[index + 1..]).map_err(|_| DecimalError::NotANumber)?;
                exponent = text.parse().map_err(|_| DecimalError::NotANumber)?;
                break;
            }
            _ => return Err(DecimalError::NotANumber),
        }
        index += 1;
    }
    if !seen {
        return Err(DecimalError::NotANumber);
    }
    let scale = i32::try_from(scale).map_err(|_| DecimalError::TooLarge)?;
    let shift = scale - fraction.unwrap_or(0) + exponent;
    if value != 0 && shift > 30 {
        return Err(DecimalError::TooLarge);
    }
    let mut shift = if value == 0 { 0 } else { shift };
    while shift < 0 {
        if value % 10 != 0 {
            return Err(DecimalError::TooPrecise);
        }
        value /= 10;
        shift += 1;
    }
    for _ in 0..shift {
        value = value.checked_mul(10).ok_or(DecimalError::TooLarge)?;
    }
    if value >= power_of_ten(18) {
        return Err(DecimalError::TooLarge);
    }
    let value = i64::try_from(value).map_err(|_| DecimalError::TooLarge)?;
    Ok(if negative { -value } else { value })
}

/// Prints an integer scaled by 10^`scale` without trailing zeros, keeping at least `least` digits after the point.
pub fn format(value: i128, scale: u32, least: u32) -> String {
    let mut text = String::new();
    if value < 0 {
        text.push('-');
    }
    let magnitude = value.unsigned_abs();
    let unit = power_of_ten(scale).unsigned_abs();
    let _ = write!(text, "{}", magnitude / unit);
    let mut fraction = magnitude % unit;
    let mut digits = scale;
    while digits > least && fraction.is_multiple_of(10) {
        fraction /= 10;
        digits -= 1;
    }
    if digits > 0 {
        let _ = write!(text, ".{fraction:0width$}", width = digits as usize);
    }
    text
}

/// Divides two integers, rounding half away from zero. `None` when the divisor is 0.
pub fn divide_rounded(numerator: i128, denominator: i128) -> Option<i128> {
    let is_negative = (numerator < 0) != (denominator < 0);
    let (top, bottom) = (numerator.unsigned_abs(), denominator.unsigned_abs());
    // Most quotients are of numbers that fit 64 bits, whose division takes a fraction of the time.
    let (quotient, remainder) = match (u64::try_from(top), u64::try_from(bottom)) {
        (_, Ok(0)) => return None,
        (Ok(top), Ok(bottom)) => (u128::from(top / bottom), u128::from(top % bottom)),
        _ => {
            let quotient = top / bottom;
            (quotient, top - quotient * bottom)
        }
    };
    let magnitude = if remainder >= bottom - remainder { quotient + 1 } else { quotient };
    let value = magnitude.cast_signed();
    Some(if is_negative { value.wrapping_neg() } else { value })
}

/// Changes the scale of a number, rounding half away from zero when digits are dropped.
pub fn rescale(value: i128, from: u32, to: u32) -> i128 {
    if to >= from {
        value * power_of_ten(to - from)
    } else {
        divide_rounded(value, power_of_ten(from - to)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        assert_eq!(parse(b"12.5", 4), Ok(125_000));
        assert_eq!(parse(b"-0.0001", 4), Ok(-1));
        assert_eq!(parse(b"1.25E3", 4), Ok(12_500_000));
        assert_eq!(parse(b"1.00000", 4), Ok(10_000));
        assert_eq!(parse(b"1.00001", 4), Err(DecimalError::TooPrecise));
        assert_eq!(parse(b"", 4), Err(DecimalError::NotANumber));
        assert_eq!(parse(b".", 4), Err(DecimalError::NotANumber));
        assert_eq!(parse(b"1e99", 4), Err(DecimalError::TooLarge));
        assert_eq!(format(125_000, 4, 0), "12.5");
        assert_eq!(format(-1, 4, 0), "-0.0001");
        assert_eq!(format(10_000, 4, 2), "1.00");
        assert_eq!(format(0, 4, 0), "0");
    }

    #[test]
    fn rounds_half_away_from_zero() {
        assert_eq!(divide_rounded(5, 2), Some(3));
        assert_eq!(divide_rounded(-5, 2), Some(-3));
        assert_eq!(divide_rounded(7, 3), Some(2));
        assert_eq!(divide_rounded(-7, 3), Some(-2));
        assert_eq!(divide_rounded(-8, 3), Some(-3));
        assert_eq!(divide_rounded(1, 0), None);
    }
}
