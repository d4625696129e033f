//! The record reader: bytes in, fields out, every record with its line and offset.
//!
//! RFC 4180 with what real exports add: LF, CRLF or lone CR line ends, a quote inside an
//! unquoted field is literal (`5" pipe`), and a broken quote (never closed, or followed by
//! text) costs only its own record: reading goes on at the next line end after the quote
//! that opened. Nothing is decoded, trimmed or padded here. A record may span at most
//! [`LONGEST_FIELD`] bytes of quoted text, so that one lost quote cannot swallow a file.

use super::dialect::Dialect;

/// A quoted field that is not closed within this many bytes is taken as never closed.
pub const LONGEST_FIELD: usize = 16 << 20;

/// Place of one field: in the bytes read, or in the scratch buffer where doubled quotes were undone.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    unescaped: bool,
}

/// The fields of the current record, and of those that were kept before it.
#[derive(Debug, Default)]
pub struct Fields {
    spans: Vec<Span>,
    scratch: Vec<u8>,
    /// First field of the current record, and of the one read last.
    first: usize,
    last: usize,
    /// Fields of the current record, where it is not the last one that is kept.
    width: Option<usize>,
}

impl Fields {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.width.unwrap_or(self.spans.len() - self.first)
    }

    /// True when there is no field.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The field at `index`, without its quotes. Empty when there is none.
    #[inline]
    pub fn get<'a>(&'a self, bytes: &'a [u8], index: usize) -> &'a [u8] {
        self.at(bytes, self.first + index)
    }

    /// The fields at `index` of all records kept, each of which has `width` fields.
    #[inline]
    pub fn column<'a>(&'a self, bytes: &'a [u8], index: usize, width: usize) -> impl Iterator<Item = &'a [u8]> + 'a {
        let spans = self.spans.get(index..).unwrap_or(&[]);
        spans.iter().step_by(width.max(1)).map(move |span| self.text_of(bytes, span))
    }

    /// Makes the record at `number` the current one, of records that have `width` fields each.
    pub fn go_to(&mut self, number: usize, width: usize) {
        self.first = number * width;
        self.width = Some(width);
    }

    /// Makes the record that was read last the current one again.
    pub fn go_to_last(&mut self) {
        self.first = self.last;
        self.width = None;
    }

    /// The field at a place among those of all records kept.
    #[inline]
    pub fn at<'a>(&'a self, bytes: &'a [u8], at: usize) -> &'a [u8] {
        self.spans.get(at).map_or(&[], |span| self.text_of(bytes, span))
    }

    #[inline]
    fn text_of<'a>(&'a self, bytes: &'a [u8], span: &Span) -> &'a [u8] {
        let from = if span.unescaped { &self.scratch } else { bytes };
        from.get(span.start as usize..span.end as usize).unwrap_or(&[])
    }

    /// Forgets all records.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.scratch.clear();
        self.first = 0;
        self.last = 0;
        self.width = None;
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize) {
        self.spans.push(Span { start: start as u32, end: end as u32, unescaped: false });
    }

    fn push_unescaped(&mut self, inner: &[u8], quote: u8) {
        let start = self.scratch.len();
        let mut rest = inner;
        while let Some(at) = memchr::memchr(quote, rest) {
            self.scratch.extend_from_slice(&rest[..=at]);
            rest = rest.get(at + 2..).unwrap_or(&[]);
        }
        self.scratch.extend_from_slice(rest);
        self.spans.push(Span { start: start as u32, end: self.scratch.len() as u32, unescaped: true });
    }
}

/// What is wrong with a record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    UnterminatedQuote,
    TextAfterQuote,
}

/// One step of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Record,
    /// A line without any byte.
    Blank,
    Broken(Fault),
}

/// Where the record that was just read stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// Lines before it in these bytes.
    pub line: u64,
    /// First byte.
    pub start: usize,
    /// Byte after the last one, without the line end.
    pub end: usize,
}

/// Reads the records of a byte slice that begins at a record.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    line: u64,
    delimiter: u8,
    quote: u8,
    quoting: bool,
    line_end: u8,
    skip_space: bool,
    /// Whether the bytes end where the file ends: an open quote there is an error, not a lack of data.
    complete: bool,
    stray: bool,
    starved: bool,
    place: Place,
    /// Delimiters, line ends and quotes in the 64 bytes from `block` on, a bit for each.
    hits: u64,
    block: usize,
}

impl<'a> Reader<'a> {
    /// A reader over bytes that begin at a record. `complete`: the bytes reach to the end of the file.
    pub fn new(bytes: &'a [u8], dialect: &Dialect, complete: bool) -> Self {
        Self {
            bytes,
            position: 0,
            line: 0,
            delimiter: dialect.delimiter,
            quote: dialect.quote.unwrap_or(b'"'),
            quoting: dialect.quote.is_some(),
            line_end: dialect.line_end.byte(),
            skip_space: dialect.space_after_delimiter,
            complete,
            stray: false,
            starved: false,
            place: Place::default(),
            hits: 0,
            block: usize::MAX,
        }
    }

    /// A quote was met where none opens or closes a field, so counting quotes does not find record ends.
    pub fn saw_stray_quote(&self) -> bool {
        self.stray
    }

    /// The last record was cut off by the end of the bytes (only when they are not complete).
    pub fn starved(&self) -> bool {
        self.starved
    }

    /// Place of the record that was just read.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Byte after the record that was just read and its line end.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Lines read so far.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next record into `fields`; `None` at the end, or when the bytes end inside a record.
    pub fn next(&mut self, fields: &mut Fields) -> Option<Step> {
        fields.clear();
        self.append(fields)
    }

    /// Reads the next record like [`Reader::next`], and keeps the fields of those before it.
    pub fn append(&mut self, fields: &mut Fields) -> Option<Step> {
        fields.last = fields.spans.len();
        fields.go_to_last();
        let start = self.position;
        if start >= self.bytes.len() {
            return None;
        }
        self.place = Place { line: self.line, start, end: start };
        let mut at = start;
        let mut quoted_any = false;
        loop {
            if self.skip_space {
                while self.bytes.get(at) == Some(&b' ') {
                    at += 1;
                }
            } else {
                let line_end;
                (at, line_end) = self.plain_fields(at, fields);
                if let Some(found) = line_end {
                    let end = self.without_carriage_return(at, found);
                    fields.push(at, end);
                    return Some(self.finish(start, end, found + 1, quoted_any, fields));
                }
            }
            let outcome = if self.quoting && self.bytes.get(at) == Some(&self.quote) {
                quoted_any = true;
                self.quoted(at, fields)
            } else {
                self.plain(at, fields)
            };
            match outcome {
                Outcome::Delimiter(next) => at = next,
                Outcome::LineEnd { end, next } => {
                    return Some(self.finish(start, end, next, quoted_any, fields));
                }
                Outcome::Starved => {
                    self.starved = true;
                    return None;
                }
                Outcome::Broken(fault, quote_at) => return self.resume_after(fault, start, quote_at),
            }
        }
    }

    fn finish(&mut self, start: usize, end: usize, next: usize, quoted_any: bool, fields: &Fields) -> Step {
        self.position = next;
        self.place.end = end;
        self.line += if quoted_any {
            let lines = memchr::memchr_iter(self.line_end, &self.bytes[start..next]).count() as u64;
            lines.max(1)
        } else {
            1
        };
        if end == start && fields.len() == 1 { Step::Blank } else { Step::Record }
    }

    /// Gives up the record and goes on after the line on which the broken quote opened.
    fn resume_after(&mut self, fault: Fault, start: usize, quote_at: usize) -> Option<Step> {
        self.stray = true;
        let (end, next) = match memchr::memchr(self.line_end, &self.bytes[quote_at..]) {
            Some(offset) => (self.without_carriage_return(quote_at, quote_at + offset), quote_at + offset + 1),
            None if self.complete => (self.bytes.len(), self.bytes.len()),
            None => {
                self.starved = true;
                return None;
            }
        };
        self.line += (memchr::memchr_iter(self.line_end, &self.bytes[start..next]).count() as u64).max(1);
        self.position = next;
        self.place.end = end;
        Some(Step::Broken(fault))
    }

    fn without_carriage_return(&self, start: usize, end: usize) -> usize {
        if self.line_end == b'\n' && end > start && self.bytes[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// Takes the fields from `at` on as long as nothing but delimiters ends them: what most fields are, at a few
    /// instructions each. Gives the start of the field that remains, and its end if that is the one of the record.
    #[inline]
    fn plain_fields(&mut self, mut at: usize, fields: &mut Fields) -> (usize, Option<usize>) {
        let (bytes, delimiter) = (self.bytes, self.delimiter);
        let mut left = if let Some(ahead @ 0..64) = at.checked_sub(self.block) {
            self.hits & (u64::MAX << ahead)
        } else {
            self.block = at;
            self.hits = hits(bytes, at, [delimiter, self.line_end, self.quote]);
            self.hits
        };
        loop {
            while left != 0 {
                let found = self.block + left.trailing_zeros() as usize;
                if bytes[found] != delimiter {
                    return (at, (bytes[found] == self.line_end).then_some(found));
                }
                fields.push(at, found);
                at = found + 1;
                left &= left - 1;
            }
            if self.block + 64 >= bytes.len() {
                return (at, None);
            }
            self.block += 64;
            self.hits = hits(bytes, self.block, [delimiter, self.line_end, self.quote]);
            left = self.hits;
        }
    }

    #[inline]
    fn plain(&mut self, start: usize, fields: &mut Fields) -> Outcome {
        let mut at = start;
        loop {
            let Some(found) = self.find(at) else {
                if !self.complete {
                    return Outcome::Starved;
                }
                let length = self.bytes.len();
                let end = self.without_carriage_return(start, length);
                fields.push(start, end);
                return Outcome::LineEnd { end, next: length };
            };
            let byte = self.bytes[found];
            if byte == self.delimiter {
                fields.push(start, found);
                return Outcome::Delimiter(found + 1);
            }
            if byte == self.line_end {
                let end = self.without_carriage_return(start, found);
                fields.push(start, end);
                return Outcome::LineEnd { end, next: found + 1 };
            }
            self.stray = true;
            at = found + 1;
        }
    }

    /// First position from `from` on of a delimiter, line end or quote.
    #[inline]
    fn find(&mut self, from: usize) -> Option<usize> {
        if let Some(ahead @ 0..64) = from.checked_sub(self.block) {
            let hits = self.hits & (u64::MAX << ahead);
            if hits != 0 {
                return Some(self.block + hits.trailing_zeros() as usize);
            }
            self.block += 64;
        } else {
            self.block = from;
        }
        while self.block < self.bytes.len() {
            self.hits = hits(self.bytes, self.block, [self.delimiter, self.line_end, self.quote]);
            if self.hits != 0 {
                return Some(self.block + self.hits.trailing_zeros() as usize);
            }
            self.block += 64;
        }
        self.hits = 0;
        None
    }

    fn quoted(&mut self, open: usize, fields: &mut Fields) -> Outcome {
        let inner = open + 1;
        let limit = self.bytes.len().min(inner.saturating_add(LONGEST_FIELD));
        let mut at = inner;
        let mut doubled = false;
        let close = loop {
            let Some(offset) = self.bytes.get(at..limit).and_then(|rest| memchr::memchr(self.quote, rest)) else {
                let exhausted = limit == self.bytes.len() && !self.complete;
                return if exhausted && limit < inner.saturating_add(LONGEST_FIELD) {
                    Outcome::Starved
                } else {
                    Outcome::Broken(Fault::UnterminatedQuote, open)
                };
            };
            let found = at + offset;
            match self.bytes.get(found + 1) {
                Some(byte) if *byte == self.quote => {
                    doubled = true;
                    at = found + 2;
                }
                None if !self.complete => return Outcome::Starved,
                _ => break found,
            }
        };
        if doubled {
            fields.push_unescaped(&self.bytes[inner..close], self.quote);
        } else {
            fields.push(inner, close);
        }
        self.after_quote(open, close)
    }

    fn after_quote(&self, open: usize, close: usize) -> Outcome {
        let mut after = close + 1;
        if self.skip_space {
            while self.bytes.get(after) == Some(&b' ') {
                after += 1;
            }
        }
        match self.bytes.get(after) {
            Some(byte) if *byte == self.delimiter => Outcome::Delimiter(after + 1),
            Some(byte) if *byte == self.line_end => Outcome::LineEnd { end: after, next: after + 1 },
            Some(b'\r') => match self.bytes.get(after + 1) {
                Some(b'\n') => Outcome::LineEnd { end: after, next: after + 2 },
                None if self.complete => Outcome::LineEnd { end: after, next: after + 1 },
                None => Outcome::Starved,
                Some(_) => Outcome::Broken(Fault::TextAfterQuote, open),
            },
            None if self.complete => Outcome::LineEnd { end: after, next: after },
            None => Outcome::Starved,
            Some(_) => Outcome::Broken(Fault::TextAfterQuote, open),
        }
    }
}

enum Outcome {
    Delimiter(usize),
    LineEnd { end: usize, next: usize },
    Broken(Fault, usize),
    Starved,
}

/// Which of the 64 bytes from `at` on are one of three; beyond the end none is.
#[inline]
fn hits(bytes: &[u8], at: usize, wanted: [u8; 3]) -> u64 {
    let block: Option<&[u8; 64]> = bytes.get(at..at + 64).and_then(|block| block.try_into().ok());
    match block {
        Some(block) => block_hits(block, wanted),
        None => {
            let mut last = [0; 64];
            let rest = bytes.get(at..).unwrap_or_default();
            last[..rest.len()].copy_from_slice(rest);
            block_hits(&last, wanted) & !(u64::MAX << rest.len())
        }
    }
}

/// Without a branch, and not mixed with its surroundings, so that the compiler compares many bytes at a time.
#[inline(never)]
fn block_hits(block: &[u8; 64], wanted: [u8; 3]) -> u64 {
    let [first, second, third] = wanted;
    let mut found = [0u8; 64];
    for (flag, byte) in found.iter_mut().zip(block) {
        *flag = u8::from((*byte == first) | (*byte == second) | (*byte == third));
    }
    let mut out = 0;
    for (part, flags) in found.as_chunks::<8>().0.iter().enumerate() {
        // One multiplication brings eight flags together in the highest byte.
        out |= (u64::from_le_bytes(*flags).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (part * 8);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::delimited::dialect::LineEnd;

    fn read(text: &[u8], dialect: &Dialect) -> Vec<(u64, Result<Vec<String>, Fault>)> {
        let mut reader = Reader::new(text, dialect, true);
        let mut fields = Fields::default();
        let mut out = Vec::new();
        while let Some(step) = reader.next(&mut fields) {
            let line = reader.place().line + 1;
            out.push(match step {
                Step::Record => {
                    let row =
                        (0..fields.len()).map(|i| String::from_utf8_lossy(fields.get(text, i)).into_owned()).collect();
                    (line, Ok(row))
                }
                Step::Blank => (line, Ok(vec![])),
                Step::Broken(fault) => (line, Err(fault)),
            });
        }
        out
    }

    fn rows(text: &str) -> Vec<(u64, Result<Vec<String>, Fault>)> {
        read(text.as_bytes(), &Dialect::default())
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Result<Vec<String>, Fault>) {
        (line, Ok(cells.iter().map(|cell| (*cell).to_owned()).collect()))
    }

    #[test]
    fn quotes_newlines_and_line_numbers() {
        assert_eq!(
            rows("a,b\r\n\"x\r\ny\",\"q\"\"q\"\n\nlast,\"\""),
            vec![row(1, &["a", "b"]), row(2, &["x\r\ny", "q\"q"]), row(4, &[]), row(5, &["last", ""])]
        );
    }

    #[test]
    fn a_stray_quote_is_literal() {
        assert_eq!(rows("1,5\" pipe,2\n3,x,4\n"), vec![row(1, &["1", "5\" pipe", "2"]), row(2, &["3", "x", "4"])]);
    }

    #[test]
    fn an_open_quote_costs_its_own_record_only() {
        assert_eq!(
            rows("a,b\n1,\"open\n2,x\n3,y\n"),
            vec![row(1, &["a", "b"]), (2, Err(Fault::UnterminatedQuote)), row(3, &["2", "x"]), row(4, &["3", "y"])]
        );
        assert_eq!(
            rows("1,\"open\n2,\"x\"\n3,y"),
            vec![(1, Err(Fault::TextAfterQuote)), row(2, &["2", "x"]), row(3, &["3", "y"])]
        );
    }

    #[test]
    fn lone_carriage_returns() {
        let dialect = Dialect { line_end: LineEnd::Cr, ..Dialect::default() };
        assert_eq!(
            read(b"a,b\r1,\"x\ry\"\r2,z", &dialect),
            vec![row(1, &["a", "b"]), row(2, &["1", "x\ry"]), row(4, &["2", "z"])]
        );
    }

    #[test]
    fn hits_are_where_the_bytes_are() {
        let text: Vec<u8> = (0..300u32).map(|at| b"ab,c\nd\"e\x01,,x"[(at * 7919 % 1009) as usize % 12]).collect();
        for from in 0..text.len() {
            let expected = text[from..].iter().take(64).enumerate().filter(|(_, byte)| b",\n\"".contains(byte));
            let expected = expected.fold(0u64, |bits, (at, _)| bits | 1 << at);
            assert_eq!(hits(&text, from, *b",\n\""), expected, "{from}");
        }
        assert_eq!(hits(&[0; 3], 0, [0, 1, 2]), 0b111);
    }

    #[test]
    fn agrees_with_the_csv_crate_on_generated_text() {
        let alphabet: &[&[u8]] =
            &[b"a", b"bc", b"1234567890", b",", b"\n", b"\r\n", b"\"x\"", b"\"p,q\"", b"\"a\nb\"", b"\"\"\"\"", b" "];
        let mut seed = 7u64;
        for _ in 0..3_000 {
            let mut text = Vec::new();
            let mut field_open = false;
            for _ in 0..24 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let piece = alphabet[(seed >> 33) as usize % alphabet.len()];
                let separator = matches!(piece, b"," | b"\n" | b"\r\n");
                if !separator && field_open {
                    text.push(b',');
                }
                text.extend_from_slice(piece);
                field_open = !separator;
            }
            let mut reference =
                csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_slice());
            let expected: Vec<Vec<String>> =
                reference.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
            let found: Vec<Vec<String>> = rows(std::str::from_utf8(&text).unwrap())
                .into_iter()
                .map(|(_, row)| row.unwrap())
                .filter(|row| !row.is_empty())
                .collect();
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(&text));
        }
    }
}
