//! Deciding for a whole column what no single cell can say: the order of day and month, and
//! the decimal separator.
//!
//! Evidence is collected over cells and never guessed from one. No evidence at all about a
//! date order is an error that the user settles; both kinds of evidence in one column is one
//! too. A number column without evidence is written as the others of its file; else it has a
//! decimal point (`1,234` is then a thousand), unless the file shows habits of countries with a
//! decimal comma: then only the user can tell whether `1.234` is a thousand.

use super::date::{self, DateOrder};
use super::number::{self, Says, Separator};

/// A cell kept to show what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub line: u64,
    pub text: String,
}

impl Sample {
    fn new(cell: &[u8], line: u64) -> Self {
        Self { line, text: String::from_utf8_lossy(cell).into_owned() }
    }
}

/// What the cells of a date column said.
#[derive(Debug, Clone, Default)]
pub struct DateEvidence {
    pub day_first: Option<Sample>,
    pub month_first: Option<Sample>,
    /// The first cells that could be either.
    pub either: Vec<Sample>,
    /// A date with dots, as countries with a decimal comma write it.
    pub dotted: Option<Sample>,
}

impl DateEvidence {
    /// Takes a cell into account.
    pub fn see(&mut self, cell: &[u8], line: u64) {
        if self.dotted.is_none() && date::is_dotted(cell) {
            self.dotted = Some(Sample::new(cell, line));
        }
        match date::allowed_orders(cell) {
            Some((true, false)) if self.day_first.is_none() => self.day_first = Some(Sample::new(cell, line)),
            Some((false, true)) if self.month_first.is_none() => self.month_first = Some(Sample::new(cell, line)),
            Some((true, true)) if self.either.len() < 3 => self.either.push(Sample::new(cell, line)),
            _ => {}
        }
    }

    /// The order, if the cells agree on one.
    pub fn order(&self) -> Option<DateOrder> {
        match (&self.day_first, &self.month_first) {
            (Some(_), None) => Some(DateOrder::Dmy),
            (None, Some(_)) => Some(DateOrder::Mdy),
            _ => None,
        }
    }

    /// Cells exist that cannot be read without an order, and none settles it.
    pub fn is_ambiguous(&self) -> bool {
        !self.either.is_empty() && self.day_first.is_none() && self.month_first.is_none()
    }
}

const EURO: &[u8] = "€".as_bytes();

/// What the cells of a number column said.
#[derive(Debug, Clone, Default)]
pub struct NumberEvidence {
    pub point: Option<Sample>,
    pub comma: Option<Sample>,
    /// The first cells whose one separator could be either.
    pub either: Vec<Sample>,
    /// A number with the sign of the euro.
    pub euro: Option<Sample>,
}

impl NumberEvidence {
    /// Takes a cell into account.
    pub fn see(&mut self, cell: &[u8], line: u64) {
        if !cell.iter().any(|byte| matches!(byte, b',' | b'.')) {
            return;
        }
        if self.euro.is_none() && cell.windows(EURO.len()).any(|part| part == EURO) {
            self.euro = Some(Sample::new(cell, line));
        }
        match number::says(cell) {
            Some(Says::Nothing) if self.either.len() < 3 => self.either.push(Sample::new(cell, line)),
            Some(Says::Point) if self.point.is_none() => self.point = Some(Sample::new(cell, line)),
            Some(Says::Comma) if self.comma.is_none() => self.comma = Some(Sample::new(cell, line)),
            _ => {}
        }
    }

    /// The separator, if the cells agree on one.
    pub fn separator(&self) -> Option<Separator> {
        match (&self.point, &self.comma) {
            (Some(_), None) => Some(Separator::Point),
            (None, Some(_)) => Some(Separator::Comma),
            _ => None,
        }
    }

    /// Cells exist that can be read both ways, and none settles it.
    pub fn is_ambiguous(&self) -> bool {
        !self.either.is_empty() && self.point.is_none() && self.comma.is_none()
    }

    /// Both separators occur.
    pub fn is_mixed(&self) -> bool {
        self.comma.is_some() && self.point.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn one_telling_cell_decides() {
        let mut dates = DateEvidence::default();
        dates.see(b"01/02/2024", 2);
        assert!(dates.is_ambiguous());
        dates.see(b"25/02/2024", 3);
        assert_eq!(dates.order(), Some(DateOrder::Dmy));
        dates.see(b"02/25/2024", 4);
        assert_eq!(dates.order(), None);
        let mut numbers = NumberEvidence::default();
        numbers.see(b"1,234", 2);
        assert!(numbers.is_ambiguous());
        numbers.see(b"399,00", 3);
        assert_eq!(numbers.separator(), Some(Separator::Comma));
        numbers.see(b"1.5", 4);
        assert!(numbers.is_mixed());
    }
}
