//! Cutting a file into record-aligned chunks that threads can read independently.
//!
//! In the quick mode the end of a chunk is the last line end outside quotes, found by
//! counting quotes. That is exact as long as every quote opens, closes or doubles; whoever
//! parses a chunk notices a quote that does not, and asks for [`Mode::Careful`] from the
//! start of that chunk on, in which chunk ends are found by reading records. Either way the
//! chunks are the same records in the same order.

use super::dialect::Dialect;
use super::record::{Fields, LONGEST_FIELD, Reader};
use crate::input::content::Content;

/// How chunk ends are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Quick,
    Careful,
}

/// A piece of a file that begins at a record and ends after one.
#[derive(Debug)]
pub struct Chunk {
    pub bytes: Vec<u8>,
    /// Byte in the file at which it begins.
    pub offset: u64,
    /// Lines of the file before it.
    pub line: u64,
    /// Line ends in it, also those within quotes.
    pub lines: usize,
    /// It ends where the data of the file ends.
    pub last: bool,
}

/// Where the next chunk begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub offset: u64,
    pub line: u64,
    pub mode: Mode,
}

/// Reads the chunk at `cursor` of about `size` bytes and moves the cursor behind it. `end` is where the data ends.
///
/// # Errors
/// When the file cannot be read.
pub fn next_chunk(
    content: &Content,
    end: u64,
    dialect: &Dialect,
    cursor: &mut Cursor,
    size: usize,
    mut buffer: Vec<u8>,
) -> std::io::Result<Option<Chunk>> {
    if cursor.offset >= end {
        return Ok(None);
    }
    let left = usize::try_from(end - cursor.offset).unwrap_or(usize::MAX);
    let mut want = size.min(left);
    let mut have = 0;
    loop {
        buffer.resize(want, 0);
        content.read_exact_at(&mut buffer[have..], cursor.offset + have as u64)?;
        have = want;
        let complete = want == left;
        if let Some(cut) = find_end(&buffer, dialect, cursor.mode, complete) {
            buffer.truncate(cut);
            break;
        }
        if cursor.mode == Mode::Quick && want > 2 * LONGEST_FIELD {
            cursor.mode = Mode::Careful;
        }
        want = want.saturating_mul(2).min(left);
    }
    let lines = memchr::memchr_iter(dialect.line_end.byte(), &buffer).count();
    let chunk = Chunk {
        offset: cursor.offset,
        line: cursor.line,
        lines,
        last: cursor.offset + buffer.len() as u64 >= end,
        bytes: buffer,
    };
    cursor.offset += chunk.bytes.len() as u64;
    cursor.line += lines as u64;
    Ok(Some(chunk))
}

/// Byte after the last complete record of `bytes`, `None` when they hold none.
fn find_end(bytes: &[u8], dialect: &Dialect, mode: Mode, complete: bool) -> Option<usize> {
    if complete {
        return Some(bytes.len());
    }
    let found = match (mode, dialect.quote) {
        (Mode::Careful, _) => last_record_end(bytes, dialect),
        (Mode::Quick, None) => memchr::memrchr(dialect.line_end.byte(), bytes).map_or(0, |at| at + 1),
        (Mode::Quick, Some(quote)) => last_line_end_outside_quotes(bytes, quote, dialect.line_end.byte()),
    };
    (found > 0).then_some(found)
}

fn last_record_end(bytes: &[u8], dialect: &Dialect) -> usize {
    let mut reader = Reader::new(bytes, dialect, false);
    let mut fields = Fields::default();
    while reader.next(&mut fields).is_some() {}
    reader.position()
}

fn last_line_end_outside_quotes(bytes: &[u8], quote: u8, line_end: u8) -> usize {
    let mut open = memchr::memchr_iter(quote, bytes).count() % 2 == 1;
    let mut end = bytes.len();
    while let Some(at) = memchr::memrchr2(quote, line_end, &bytes[..end]) {
        if bytes[at] == quote {
            open = !open;
        } else if !open {
            return at + 1;
        }
        end = at;
    }
    0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn chunks(text: &[u8], size: usize, mode: Mode) -> Vec<(u64, u64, Vec<u8>)> {
        let content = Content::from_bytes(text.to_vec());
        let mut cursor = Cursor { offset: 0, line: 0, mode };
        let mut out = Vec::new();
        while let Some(chunk) =
            next_chunk(&content, text.len() as u64, &Dialect::default(), &mut cursor, size, Vec::new()).unwrap()
        {
            out.push((chunk.offset, chunk.line, chunk.bytes));
        }
        out
    }

    #[test]
    fn chunks_end_at_records_and_know_their_line() {
        let text = b"a,\"x\ny\"\nb,\"\"\"\n\"\"\"\nc,2\nd,\"p\n\n\nq\"\n";
        for mode in [Mode::Quick, Mode::Careful] {
            for size in 1..text.len() + 2 {
                let parts = chunks(text, size, mode);
                let joined: Vec<u8> = parts.iter().flat_map(|part| part.2.clone()).collect();
                assert_eq!(joined, text);
                for (offset, line, bytes) in parts {
                    let before = &text[..offset as usize];
                    assert_eq!(line, before.iter().filter(|byte| **byte == b'\n').count() as u64);
                    assert!(matches!(bytes[0], b'a' | b'b' | b'c' | b'd'), "{offset}");
                }
            }
        }
    }
}
