//! Detecting the dialect of delimited text from its head.
//!
//! Detection only proposes: the result is shown to the user, stored in the batch manifest,
//! and the file is then read strictly with it. A file whose head gives no evidence of any
//! delimiter has one column. Encodings are settled before, in `input::encoding`.

use serde::Serialize;

use super::record::{Fields, Reader, Step};

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineEnd {
    /// LF, with or without a CR before it.
    Lf,
    /// A lone CR.
    Cr,
}

impl LineEnd {
    /// The byte that ends a line.
    pub fn byte(self) -> u8 {
        match self {
            Self::Lf => b'\n',
            Self::Cr => b'\r',
        }
    }
}

/// How a file separates its fields and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub line_end: LineEnd,
    /// Blanks after a delimiter are no part of the field (`a, "b"`).
    pub space_after_delimiter: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), line_end: LineEnd::Lf, space_after_delimiter: false }
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let delimiter = match self.delimiter {
            b',' => "comma",
            b';' => "semicolon",
            b'\t' => "tab",
            b'|' => "pipe",
            _ => "other",
        };
        let end = match self.line_end {
            LineEnd::Lf => "LF or CRLF",
            LineEnd::Cr => "CR",
        };
        write!(out, "{delimiter}, {end}")?;
        if self.space_after_delimiter {
            write!(out, ", blanks after delimiters")?;
        }
        Ok(())
    }
}

/// Records looked at for each candidate.
const SAMPLE: usize = 300;
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Proposes a dialect. `complete`: the head is the whole file.
pub fn detect(head: &[u8], complete: bool) -> Dialect {
    let line_end = line_end(head);
    if let Some(delimiter) = declared(head) {
        return Dialect { delimiter, line_end, ..Dialect::default() };
    }
    let mut best = (0.0, b',');
    for delimiter in CANDIDATES {
        let dialect = Dialect { delimiter, line_end, ..Dialect::default() };
        let score = score(head, &dialect, complete);
        if score > best.0 {
            best = (score, delimiter);
        }
    }
    let mut dialect = Dialect { delimiter: best.1, line_end, ..Dialect::default() };
    dialect.space_after_delimiter = spaces_before_quotes(head, &dialect);
    dialect
}

/// Excel's first line `sep=;`.
fn declared(head: &[u8]) -> Option<u8> {
    let rest = head.strip_prefix(b"sep=").or_else(|| head.strip_prefix(b"SEP="))?;
    match rest {
        [delimiter, b'\r' | b'\n', ..] => Some(*delimiter),
        _ => None,
    }
}

fn line_end(head: &[u8]) -> LineEnd {
    let mut quoted = false;
    for (index, byte) in head.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => return LineEnd::Lf,
            b'\r' if !quoted => {
                return if head.get(index + 1) == Some(&b'\n') { LineEnd::Lf } else { LineEnd::Cr };
            }
            _ => {}
        }
    }
    if memchr::memchr(b'\n', head).is_none() && memchr::memchr(b'\r', head).is_some() {
        LineEnd::Cr
    } else {
        LineEnd::Lf
    }
}

/// Share of records that have the most common number of fields, weighted towards more fields.
fn score(head: &[u8], dialect: &Dialect, complete: bool) -> f64 {
    let mut reader = Reader::new(head, dialect, complete);
    let mut fields = Fields::default();
    let mut widths: Vec<usize> = Vec::new();
    let mut broken = 0usize;
    while widths.len() + broken < SAMPLE {
        match reader.next(&mut fields) {
            Some(Step::Record) => widths.push(fields.len()),
            Some(Step::Broken(_)) => broken += 1,
            Some(Step::Blank) => {}
            None => break,
        }
    }
    let mut best = (0usize, 0usize);
    for width in widths.iter().copied().filter(|width| *width > 1) {
        let count = widths.iter().filter(|other| **other == width).count();
        if count > best.0 || (count == best.0 && width > best.1) {
            best = (count, width);
        }
    }
    let (count, width) = best;
    if count == 0 {
        return 0.0;
    }
    let consistency = count as f64 / (widths.len() + broken) as f64;
    consistency * consistency * (1.0 + (width as f64).ln())
}

/// Whether quotes in this file open after a delimiter and a blank.
fn spaces_before_quotes(head: &[u8], dialect: &Dialect) -> bool {
    let spaced = [dialect.delimiter, b' ', b'"'];
    let tight = [dialect.delimiter, b'"'];
    let spaced_count = memchr::memmem::find_iter(head, &spaced).count();
    spaced_count > 0 && spaced_count > memchr::memmem::find_iter(head, &tight).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn delimiters_and_line_ends() {
        assert_eq!(detect(b"a,b,c\n1,2,3\n", true).delimiter, b',');
        assert_eq!(detect(b"a;b;c\n1,5;2,5;3\n", true).delimiter, b';');
        assert_eq!(detect(b"a\tb\n1,2\t3\n", true).delimiter, b'\t');
        assert_eq!(detect(b"a|b\n1|3\n", true).delimiter, b'|');
        assert_eq!(detect(b"a\n1\n", true).delimiter, b',');
        assert_eq!(detect(b"sep=;\r\na;b\r\n", true).delimiter, b';');
        assert_eq!(detect(b"a,b\r1,2\r", true).line_end, LineEnd::Cr);
        assert_eq!(detect(b"a,b\r\n1,2\r\n", true).line_end, LineEnd::Lf);
        assert_eq!(detect(b"\"a\r\",b\n1,2\n", true).line_end, LineEnd::Lf);
        assert!(detect(b"a, \"b,c\"\n1, \"x\"\n", true).space_after_delimiter);
    }

    #[test]
    fn a_preamble_does_not_decide() {
        let text = b"Campaign report\n\"September 1, 2026 - September 3, 2026\"\nDay\tCampaign\tCost\n2026-09-01\tA, B\t1,5\n2026-09-02\tC, D\t2,5\n";
        assert_eq!(detect(text, true).delimiter, b'\t');
    }
}
