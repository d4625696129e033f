//! Values and exact arithmetic of the oracles: fractions of integers, nothing else.
//!
//! Sums, means and slopes are kept as fractions until the very end, so no oracle can round in
//! the middle and hide a difference. Only `rounded` rounds: half away from zero to twelve
//! digits, as results promise. Deliberately not the arithmetic of the product.

use std::cmp::Ordering;

use dealframe_model::frame::Number;

/// Digits that a quotient keeps.
const QUOTIENT_DIGITS: u32 = 12;

/// A fraction in lowest terms; the divisor is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction {
    top: i128,
    bottom: i128,
}

impl Fraction {
    pub const ZERO: Self = Self { top: 0, bottom: 1 };

    pub fn new(top: i128, bottom: i128) -> Self {
        assert_ne!(bottom, 0, "a fraction over 0");
        let shared = common_divisor(top.unsigned_abs(), bottom.unsigned_abs()) as i128;
        let sign = bottom.signum();
        Self { top: sign * top / shared, bottom: sign * bottom / shared }
    }

    pub fn whole(value: i128) -> Self {
        Self { top: value, bottom: 1 }
    }

    pub fn scaled(value: i128, digits: u32) -> Self {
        Self::new(value, 10i128.pow(digits))
    }

    pub fn of(number: Number) -> Self {
        Self::scaled(number.value, number.scale)
    }

    pub fn plus(self, other: Self) -> Self {
        Self::new(self.top * other.bottom + other.top * self.bottom, self.bottom * other.bottom)
    }

    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { top: -other.top, bottom: other.bottom })
    }

    pub fn times(self, other: Self) -> Self {
        let left = Self::new(self.top, other.bottom);
        let right = Self::new(other.top, self.bottom);
        Self::new(left.top * right.top, left.bottom * right.bottom)
    }

    /// Exact quotient; nothing when the divisor is 0.
    pub fn over(self, other: Self) -> Option<Self> {
        (other.top != 0).then(|| self.times(Self::new(other.bottom, other.top)))
    }

    /// Rounded half away from zero to twelve digits after the point.
    pub fn rounded(self) -> Self {
        let unit = 10i128.pow(QUOTIENT_DIGITS);
        let whole = self.top / self.bottom;
        let rest = (self.top % self.bottom).unsigned_abs();
        // Digit by digit, as on paper: no product that could leave the integers.
        let (mut digits, mut left) = (0u128, rest);
        for _ in 0..QUOTIENT_DIGITS {
            left *= 10;
            digits = digits * 10 + left / self.bottom as u128;
            left %= self.bottom as u128;
        }
        if left * 2 >= self.bottom as u128 {
            digits += 1;
        }
        let magnitude = whole.unsigned_abs() as i128 * unit + digits as i128;
        Self::new(if self.top < 0 { -magnitude } else { magnitude }, unit)
    }

    /// The greatest integer that is not above it.
    pub fn floor(self) -> i128 {
        self.top.div_euclid(self.bottom)
    }

    pub fn is_zero(self) -> bool {
        self.top == 0
    }

    /// As a decimal with four digits, as rows hold them, or the eight of a rate.
    pub fn plain(self) -> String {
        let digits = if 10_000 % self.bottom == 0 { 4 } else { 8 };
        let unit = 10_u128.pow(digits);
        let scaled = self.times(Self::whole(unit as i128));
        assert_eq!(scaled.bottom, 1, "{self} has more digits than a row holds");
        let sign = if scaled.top < 0 { "-" } else { "" };
        let magnitude = scaled.top.unsigned_abs();
        if magnitude.is_multiple_of(unit) {
            format!("{sign}{}", magnitude / unit)
        } else {
            format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = digits as usize)
        }
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.top * other.bottom).cmp(&(other.top * self.bottom))
    }
}

impl std::fmt::Display for Fraction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.bottom == 1 {
            write!(formatter, "{}", self.top)
        } else {
            write!(formatter, "{}/{} (~{})", self.top, self.bottom, self.top as f64 / self.bottom as f64)
        }
    }
}

fn common_divisor(left: u128, right: u128) -> u128 {
    if right == 0 { left.max(1) } else { common_divisor(right, left % right) }
}

/// What a cell of a row holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    Text(String),
    Number(Fraction),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01, UTC.
    Instant(i64),
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub fn whole(value: i64) -> Self {
        Self::Number(Fraction::whole(i128::from(value)))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub fn as_date(&self) -> Option<i32> {
        if let Self::Date(day) = self { Some(*day) } else { None }
    }

    pub fn as_instant(&self) -> Option<i64> {
        if let Self::Instant(instant) = self { Some(*instant) } else { None }
    }

    pub fn as_number(&self) -> Option<Fraction> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    pub fn as_boolean(&self) -> Option<bool> {
        if let Self::Boolean(boolean) = self { Some(*boolean) } else { None }
    }
}

impl From<Option<i32>> for Value {
    fn from(day: Option<i32>) -> Self {
        day.map_or(Self::Null, Self::Date)
    }
}

impl From<Option<Fraction>> for Value {
    fn from(number: Option<Fraction>) -> Self {
        number.map_or(Self::Null, Self::Number)
    }
}

#[test]
fn rounding_is_half_away_from_zero() {
    let third = Fraction::new(1, 3).rounded();
    assert_eq!(third, Fraction::scaled(333_333_333_333, 12));
    assert_eq!(Fraction::new(-2, 3).rounded(), Fraction::scaled(-666_666_666_667, 12));
    assert_eq!(Fraction::new(1, 2 * 10i128.pow(12)).rounded(), Fraction::scaled(1, 12));
    assert_eq!(Fraction::new(-1, 2 * 10i128.pow(12)).rounded(), Fraction::scaled(-1, 12));
    assert_eq!(Fraction::new(7, 2).rounded(), Fraction::new(7, 2));
}
