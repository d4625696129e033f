//! File names from titles.

/// A title as a file name: lower-case ASCII letters and digits, words joined by `-`.
/// A title without any letter or digit becomes `section`.
pub fn slug(title: &str) -> String {
    let mut text = String::with_capacity(title.len());
    for letter in title.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '0'..='9' => text.push(letter),
            'ä' | 'à' | 'á' | 'â' | 'ã' | 'å' => text.push('a'),
            'ö' | 'ò' | 'ó' | 'ô' | 'õ' | 'ø' => text.push('o'),
            'ü' | 'ù' | 'ú' | 'û' => text.push('u'),
            'è' | 'é' | 'ê' | 'ë' => text.push('e'),
            'ì' | 'í' | 'î' | 'ï' => text.push('i'),
            'ß' => text.push_str("ss"),
            'ç' => text.push('c'),
            'ñ' => text.push('n'),
            _ if text.ends_with('-') || text.is_empty() => {}
            _ => text.push('-'),
        }
        if text.len() >= 80 {
            break;
        }
    }
    let text = text.trim_end_matches('-');
    if text.is_empty() { "section".to_owned() } else { text.to_owned() }
}

/// `wanted`, or `wanted-2`, `wanted-3`, ... where it is taken.
pub(crate) fn unique(wanted: String, taken: &[String]) -> String {
    if !taken.contains(&wanted) {
        return wanted;
    }
    (2..).map(|number| format!("{wanted}-{number}")).find(|name| !taken.contains(name)).unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        assert_eq!(slug("Revenue by Region"), "revenue-by-region");
        assert_eq!(slug("  Umsatz & Größe (Q1/Q2)!"), "umsatz-grosse-q1-q2");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("売上"), "section");
        assert_eq!(slug(&"x".repeat(300)).len(), 80);
    }

    #[test]
    fn taken_names_get_a_number() {
        let taken = vec!["a".to_owned(), "a-2".to_owned()];
        assert_eq!(unique("a".to_owned(), &taken), "a-3");
        assert_eq!(unique("b".to_owned(), &taken), "b");
    }
}
