//! From the bytes of a cell to a typed value: dates, instants, numbers, booleans, identifiers.
//!
//! Every function answers yes or no; none guesses, rounds silently or turns nonsense into
//! zero. What only a whole column can decide (which of 01/02/2024 is the month, whether a
//! comma is a decimal point) is a parameter here and is decided in `evidence`.

pub mod boolean;
pub mod date;
pub mod evidence;
pub mod identifier;
pub mod number;

/// A cell without the blanks around it (ASCII blanks and the no-break space).
#[inline]
pub fn trim(cell: &[u8]) -> &[u8] {
    match (cell.first(), cell.last()) {
        (Some(first), Some(last)) if *first > b' ' && *last > b' ' && *first < 0x80 && *last < 0x80 => cell,
        (None, _) => cell,
        _ => trim_slowly(cell),
    }
}

fn trim_slowly(mut cell: &[u8]) -> &[u8] {
    loop {
        let before = cell.len();
        cell = cell.trim_ascii();
        cell = cell.strip_prefix(b"\xC2\xA0").unwrap_or(cell);
        cell = cell.strip_suffix(b"\xC2\xA0").unwrap_or(cell);
        if cell.len() == before {
            return cell;
        }
    }
}
