//! From the encoding of a file to UTF-8.
//!
//! A byte order mark decides; else UTF-8 if the head is UTF-8; else UTF-16 if every second
//! byte is zero; else `chardetng` names a legacy encoding, mostly windows-1252. UTF-8 files
//! are read where they lie; a row of one that is not UTF-8 is rejected by itself, so a file
//! only counts as legacy when its bad bytes are spread over its head.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::content::Content;

/// Bytes looked at.
const HEAD: usize = 256 << 10;

/// A content as UTF-8 and the name of the encoding it had.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub content: Content,
    pub encoding: &'static str,
}

/// Why a content is no text.
#[derive(Debug)]
pub enum NoText {
    Binary,
    Io(std::io::Error),
}

/// Detects the encoding and decodes where needed.
///
/// # Errors
/// When the content is not text, or cannot be read.
pub fn decode(content: Content) -> Result<Decoded, NoText> {
    let head = content.part(0, HEAD).map_err(NoText::Io)?;
    if let Some((encoding, mark)) = Encoding::for_bom(&head) {
        if encoding == UTF_8 {
            return Ok(Decoded { content: content.without_first(mark as u64), encoding: "UTF-8 with byte order mark" });
        }
        return convert(&content.without_first(mark as u64), encoding);
    }
    if let Some(encoding) = unmarked_utf16(&head) {
        return convert(&content, encoding);
    }
    if looks_binary(&head) {
        return Err(NoText::Binary);
    }
    if mostly_utf8(&head) {
        return Ok(Decoded { content, encoding: "UTF-8" });
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(&head, head.len() < HEAD);
    convert(&content, detector.guess(None, chardetng::Utf8Detection::Deny))
}

/// Every second byte zero, as Latin text in UTF-16 has it.
fn unmarked_utf16(head: &[u8]) -> Option<&'static Encoding> {
    if head.len() < 8 {
        return None;
    }
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let half = head.len() / 2;
    let (even, odd) = (zeros(0), zeros(1));
    if odd * 10 > half * 7 && even * 20 < half {
        Some(UTF_16LE)
    } else if even * 10 > half * 7 && odd * 20 < half {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Control characters that no text has, more than a stray few.
fn looks_binary(head: &[u8]) -> bool {
    let controls = head.iter().filter(|byte| matches!(byte, 0..=8 | 14..=25 | 28..=31)).count();
    controls * 20 > head.len()
}

/// UTF-8 throughout, or with bad bytes on few lines while other lines have proper multi-byte letters.
fn mostly_utf8(head: &[u8]) -> bool {
    if head.is_ascii() {
        return true;
    }
    let (mut good, mut bad) = (0usize, 0usize);
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    // The last line may be cut in the middle of a letter.
    let count = if head.len() == HEAD { lines.len().saturating_sub(1) } else { lines.len() };
    for line in lines.iter().take(count.max(1)) {
        if std::str::from_utf8(line).is_err() {
            bad += 1;
        } else if !line.is_ascii() {
            good += 1;
        }
    }
    bad == 0 || (good > 0 && bad <= good) || (bad == 1 && count > 20)
}

fn convert(content: &Content, encoding: &'static Encoding) -> Result<Decoded, NoText> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::new();
    let mut offset = 0u64;
    loop {
        let part = content.part(offset, 1 << 20).map_err(NoText::Io)?;
        offset += part.len() as u64;
        let last = offset >= content.len();
        text.reserve(decoder.max_utf8_buffer_length(part.len()).unwrap_or(part.len() * 3));
        let (_, _, _) = decoder.decode_to_string(&part, &mut text, last);
        if last {
            break;
        }
    }
    Ok(Decoded { content: Content::from_bytes(text.into_bytes()), encoding: encoding.name() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn of(bytes: &[u8]) -> (String, &'static str) {
        let decoded = decode(Content::from_bytes(bytes.to_vec())).unwrap();
        let length = usize::try_from(decoded.content.len()).unwrap();
        (String::from_utf8_lossy(&decoded.content.part(0, length).unwrap()).into_owned(), decoded.encoding)
    }

    #[test]
    fn encodings() {
        assert_eq!(of(b"\xEF\xBB\xBFa,b\n"), ("a,b\n".to_owned(), "UTF-8 with byte order mark"));
        assert_eq!(of("é,b\n".as_bytes()), ("é,b\n".to_owned(), "UTF-8"));
        let utf16: Vec<u8> = "name\tgröße\n1\t2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(of(&utf16), ("name\tgröße\n1\t2\n".to_owned(), "UTF-16LE"));
        let mut marked = vec![0xFE, 0xFF];
        marked.extend("a\t1\n".encode_utf16().flat_map(u16::to_be_bytes));
        assert_eq!(of(&marked), ("a\t1\n".to_owned(), "UTF-16BE"));
        let (text, encoding) = of(b"name,city\nM\xFCller,K\xF6ln\nGro\xDF,D\xFCsseldorf\n");
        assert_eq!((text.as_str(), encoding), ("name,city\nMüller,Köln\nGroß,Düsseldorf\n", "windows-1252"));
        assert!(matches!(decode(Content::from_bytes(vec![0, 1, 2, 3, 4, 5, 6, 7, 0, 1])), Err(NoText::Binary)));
    }

    #[test]
    fn one_bad_row_does_not_make_a_file_legacy() {
        let mut text = "ä,1\n".repeat(30).into_bytes();
        text.extend(b"\xFF,2\n");
        assert_eq!(of(&text).1, "UTF-8");
    }
}
