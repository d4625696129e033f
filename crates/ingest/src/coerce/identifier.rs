//! Identifiers: one spelling per record, whatever export it came from.
//!
//! Salesforce writes the same id with 15 characters in reports and 18 in the API, Zoho with
//! and without `zcrm_`, Dynamics with and without braces. Identifiers stay text: leading
//! zeros are part of them.

use serde::Deserialize;

/// How an identifier or address is brought to one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// 15 characters become the 18 of the API.
    SalesforceId,
    /// Lower case: e-mail addresses, domains.
    Lower,
    /// Without the `zcrm_` before it.
    ZohoId,
    /// Lower case, without braces.
    Guid,
    /// Host name of a web address, without `www.`, in lower case.
    Domain,
    /// The first of several identifiers separated by semicolons.
    FirstOfList,
    /// The code of a currency in capitals; names of currencies stay. What currency columns do by themselves.
    #[serde(skip)]
    Currency,
}

impl Normalise {
    /// Whether the text is spelled as it should be, as far as one sees at once.
    #[inline]
    pub fn leaves(self, text: &[u8]) -> bool {
        matches!(self, Self::SalesforceId) && text.len() != 15
    }

    /// Appends the normalised text to `out`.
    pub fn append(self, text: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::SalesforceId => salesforce(text, out),
            Self::Lower => lower(text, out),
            Self::ZohoId => out.extend_from_slice(text.strip_prefix(b"zcrm_").unwrap_or(text)),
            Self::Guid => {
                let inner = text.strip_prefix(b"{").unwrap_or(text);
                lower(inner.strip_suffix(b"}").unwrap_or(inner), out);
            }
            Self::Domain => lower(domain(text), out),
            Self::FirstOfList => {
                let end = memchr::memchr(b';', text).unwrap_or(text.len());
                out.extend_from_slice(text[..end].trim_ascii());
            }
            Self::Currency if text.len() == 3 => out.extend(text.iter().map(u8::to_ascii_uppercase)),
            Self::Currency => out.extend_from_slice(text),
        }
    }
}

fn lower(text: &[u8], out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend(text.iter().map(u8::to_ascii_lowercase));
    } else {
        out.extend_from_slice(String::from_utf8_lossy(text).to_lowercase().as_bytes());
    }
}

fn domain(text: &[u8]) -> &[u8] {
    let rest = memchr::memmem::find(text, b"://").map_or(text, |at| &text[at + 3..]);
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b':')).unwrap_or(rest.len());
    let host = &rest[..end];
    if host.len() > 4 && host[..4].eq_ignore_ascii_case(b"www.") { &host[4..] } else { host }
}

/// The checksum of three characters says which of the fifteen are capitals, five at a time.
fn salesforce(text: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    out.extend_from_slice(text);
    if text.len() != 15 || !text.iter().all(u8::is_ascii_alphanumeric) {
        return;
    }
    for group in text.chunks_exact(5) {
        let bits = group
            .iter()
            .enumerate()
            .fold(0usize, |bits, (place, byte)| if byte.is_ascii_uppercase() { bits | (1 << place) } else { bits });
        out.push(ALPHABET[bits]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn of(how: Normalise, text: &str) -> String {
        let mut out = Vec::new();
        how.append(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_spelling() {
        assert_eq!(of(Normalise::SalesforceId, "0061G00000Ja7B6"), "0061G00000Ja7B6QAJ");
        assert_eq!(of(Normalise::SalesforceId, "0061G00000Ja7B6QAJ"), "0061G00000Ja7B6QAJ");
        assert_eq!(of(Normalise::SalesforceId, "not an id"), "not an id");
        assert_eq!(of(Normalise::ZohoId, "zcrm_123"), "123");
        assert_eq!(of(Normalise::Guid, "{AB-CD}"), "ab-cd");
        assert_eq!(of(Normalise::Domain, "https://www.Example.com/x?y"), "example.com");
        assert_eq!(of(Normalise::Lower, "A@É.com"), "a@é.com");
        assert_eq!(of(Normalise::FirstOfList, "12; 13"), "12");
    }
}
