//! Booleans as exports write them: `true/false`, `1/0`, `Yes/No`, in any case.

/// Reads a boolean; `None` when the text is none.
#[inline]
pub fn parse(text: &[u8]) -> Option<bool> {
    // Patterns of bytes, not of strings: those would be compared by a call each.
    match text {
        [b'1'] | [b't' | b'T', b'r' | b'R', b'u' | b'U', b'e' | b'E'] => Some(true),
        [b'0'] | [b'f' | b'F', b'a' | b'A', b'l' | b'L', b's' | b'S', b'e' | b'E'] => Some(false),
        _ => slow(text),
    }
}

fn slow(text: &[u8]) -> Option<bool> {
    const YES: [&[u8]; 6] = [b"yes", b"y", b"t", b"ja", b"oui", b"1.0"];
    const NO: [&[u8]; 6] = [b"no", b"n", b"f", b"nein", b"non", b"0.0"];
    if YES.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Some(true)
    } else if NO.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (text, value) in [
            ("1", Some(true)),
            ("TRUE", Some(true)),
            ("yEs", Some(true)),
            ("0", Some(false)),
            ("No", Some(false)),
            ("2", None),
            ("", None),
            ("maybe", None),
        ] {
            assert_eq!(parse(text.as_bytes()), value, "{text}");
        }
    }
}
