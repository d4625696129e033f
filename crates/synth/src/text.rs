//! Bytes of a CSV record: integers, money, dates and instants without allocation.
//!
//! Lines end with LF, a field is quoted only where RFC 4180 demands it. Identifiers come from
//! `identity`; what stands in which column is decided by `salesforce`, `hubspot` and `plain`.

use dealframe_model::date;

use crate::identity::{Entity, push_id};
use crate::options::Vendor;

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// One CSV record that is being written at the end of a buffer.
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    started: bool,
}

impl<'a> Line<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, started: false }
    }

    /// Starts the next field and gives the buffer its bytes go to.
    fn cell(&mut self) -> &mut Vec<u8> {
        if self.started {
            self.out.push(b',');
        }
        self.started = true;
        self.out
    }

    /// Text that is known to need no quotes.
    pub fn plain(&mut self, text: &str) -> &mut Self {
        self.cell().extend_from_slice(text.as_bytes());
        self
    }

    /// Any text: quoted when it holds a comma, a quote or a line end.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let cell = self.cell();
        if text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
            cell.push(b'"');
            for byte in text.bytes() {
                if byte == b'"' {
                    cell.push(b'"');
                }
                cell.push(byte);
            }
            cell.push(b'"');
        } else {
            cell.extend_from_slice(text.as_bytes());
        }
        self
    }

    /// A short text in front of a number: `ORD-17`.
    pub fn tagged(&mut self, tag: &str, number: u64) -> &mut Self {
        let cell = self.cell();
        cell.extend_from_slice(tag.as_bytes());
        push_integer(cell, number);
        self
    }

    pub fn empty(&mut self) -> &mut Self {
        self.cell();
        self
    }

    pub fn integer(&mut self, value: u64) -> &mut Self {
        push_integer(self.cell(), value);
        self
    }

    /// Hundredths with two digits after the point.
    pub fn money(&mut self, cents: i64) -> &mut Self {
        push_scaled(self.cell(), cents, 100, 2);
        self
    }

    pub fn optional_money(&mut self, cents: Option<i64>) -> &mut Self {
        match cents {
            Some(cents) => self.money(cents),
            None => self.empty(),
        }
    }

    /// Ten-thousandths with four digits after the point.
    pub fn exact(&mut self, value: i64) -> &mut Self {
        push_scaled(self.cell(), value, 10_000, 4);
        self
    }

    /// `YYYY-MM-DD`
    pub fn date(&mut self, day: i32) -> &mut Self {
        push_date(self.cell(), day);
        self
    }

    pub fn optional_date(&mut self, day: Option<i32>) -> &mut Self {
        match day {
            Some(day) => self.date(day),
            None => self.empty(),
        }
    }

    /// `YYYY-MM-DDTHH:MM:SS.000Z`
    pub fn instant(&mut self, seconds: i64) -> &mut Self {
        let cell = self.cell();
        push_date(cell, day_of(seconds));
        cell.push(b'T');
        push_clock(cell, seconds, true);
        cell.extend_from_slice(b".000Z");
        self
    }

    /// `YYYY-MM-DD HH:MM`
    pub fn minute(&mut self, seconds: i64) -> &mut Self {
        let cell = self.cell();
        push_date(cell, day_of(seconds));
        cell.push(b' ');
        push_clock(cell, seconds, false);
        self
    }

    pub fn flag(&mut self, value: bool) -> &mut Self {
        self.plain(if value { "true" } else { "false" })
    }

    pub fn id(&mut self, vendor: Vendor, entity: Entity, index: u64) -> &mut Self {
        push_id(self.cell(), vendor, entity, index);
        self
    }

    pub fn optional_id(&mut self, vendor: Vendor, entity: Entity, index: Option<u64>) -> &mut Self {
        match index {
            Some(index) => self.id(vendor, entity, index),
            None => self.empty(),
        }
    }

    pub fn end(&mut self) {
        self.out.push(b'\n');
    }
}

/// Day an instant falls on, in UTC.
pub fn day_of(seconds: i64) -> i32 {
    seconds.div_euclid(DAY) as i32
}

pub fn push_integer(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

fn push_scaled(out: &mut Vec<u8>, value: i64, unit: u64, width: u32) {
    if value < 0 {
        out.push(b'-');
    }
    let magnitude = value.unsigned_abs();
    push_integer(out, magnitude / unit);
    out.push(b'.');
    let fraction = magnitude % unit;
    for position in (0..width).rev() {
        out.push(b'0' + (fraction / 10u64.pow(position) % 10) as u8);
    }
}

fn push_two(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
}

fn push_date(out: &mut Vec<u8>, day: i32) {
    let (year, month, day) = date::to_civil(day);
    let year = year.unsigned_abs();
    push_two(out, year / 100);
    push_two(out, year % 100);
    out.push(b'-');
    push_two(out, month);
    out.push(b'-');
    push_two(out, day);
}

fn push_clock(out: &mut Vec<u8>, seconds: i64, with_seconds: bool) {
    let second = seconds.rem_euclid(DAY) as u32;
    push_two(out, second / 3600);
    out.push(b':');
    push_two(out, second / 60 % 60);
    if with_seconds {
        out.push(b':');
        push_two(out, second % 60);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn fields_are_written_as_exports_write_them() {
        let mut out = Vec::new();
        let mut line = Line::new(&mut out);
        line.plain("a").text("b, \"c\"\nd").empty().integer(0).money(-5).money(123_450).exact(12_345).flag(true);
        line.instant(1_709_288_430).minute(1_709_288_430).date(0).optional_money(None).tagged("ORD-", 17).end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a,\"b, \"\"c\"\"\nd\",,0,-0.05,1234.50,1.2345,true,2024-03-01T10:20:30.000Z,2024-03-01 10:20,1970-01-01,,ORD-17\n"
        );
    }
}
