//! Matching headers: the same header comes in many spellings.
//!
//! Two headers are the same when their letters and digits are, whatever the case and the
//! accents. `StageName`, `stage_name` and `Stage Name*` are one; `Opportunity: Stage` also
//! matches `Stage`, and `Amount spent (USD)` matches `Amount spent` and tells a currency.

use hashbrown::HashMap;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Letters and digits only, lower case, without accents.
pub fn normal(header: &str) -> String {
    if header.is_ascii() {
        return header.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    }
    header
        .nfkd()
        .filter(|letter| !is_combining_mark(*letter) && letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The headers of a file, ready to be asked for.
#[derive(Debug, Clone)]
pub struct Headers {
    /// As they stand in the file, made distinct (`Amount`, `Amount (2)`).
    pub names: Vec<String>,
    positions: HashMap<String, usize>,
    /// Positions of headers that ended with a currency.
    pub currencies: Vec<(usize, String)>,
    /// Names that occur more than once.
    pub repeated: Vec<String>,
}

impl Headers {
    /// Takes the cells of the header line.
    pub fn new(cells: &[String]) -> Self {
        let mut out =
            Self { names: Vec::new(), positions: HashMap::new(), currencies: Vec::new(), repeated: Vec::new() };
        let mut counts: HashMap<String, usize> = HashMap::new();
        for (position, cell) in cells.iter().enumerate() {
            let text = cell.trim();
            let count = counts.entry(text.to_owned()).or_insert(0);
            *count += 1;
            let name = match (text.is_empty(), *count) {
                (true, _) => format!("column {}", position + 1),
                (false, 1) => text.to_owned(),
                (false, count) => {
                    out.repeated.push(text.to_owned());
                    format!("{text} ({count})")
                }
            };
            out.names.push(name);
            let key = normal(text);
            if !key.is_empty() {
                out.positions.entry(key).or_insert(position);
            }
        }
        // Weaker spellings never take the place of a header that says the same in full.
        for (position, cell) in cells.iter().enumerate() {
            for weaker in weaker_spellings(cell.trim()) {
                out.positions.entry(weaker).or_insert(position);
            }
            if let Some((_, currency)) = currency_suffix(cell.trim()) {
                out.currencies.push((position, currency.to_owned()));
            }
        }
        out
    }

    /// Position of a header, also without one of the given prefixes.
    pub fn find(&self, alias: &str, prefixes: &[String]) -> Option<usize> {
        let wanted = normal(alias);
        if let Some(position) = self.positions.get(&wanted) {
            return Some(*position);
        }
        prefixes.iter().find_map(|prefix| self.positions.get(&format!("{}{wanted}", normal(prefix))).copied())
    }

    /// Position of the first alias that the file has.
    pub fn first(&self, aliases: &[String], prefixes: &[String]) -> Option<usize> {
        aliases.iter().find_map(|alias| self.find(alias, prefixes))
    }
}

fn weaker_spellings(cell: &str) -> Vec<String> {
    let mut out = Vec::new();
    if let Some((_, after)) = cell.rsplit_once(": ") {
        out.push(normal(after));
    }
    if let Some((before, _)) = currency_suffix(cell) {
        out.push(normal(before));
    }
    out.retain(|spelling| !spelling.is_empty());
    out
}

/// `Amount spent (USD)` → `Amount spent`, `USD`.
fn currency_suffix(cell: &str) -> Option<(&str, &str)> {
    let (before, code) = cell.strip_suffix(')')?.rsplit_once('(')?;
    (code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) && code != "UTC").then_some((before, code))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn spellings() {
        for same in ["StageName", "stage_name", "Stage Name*", " stage\u{a0}name "] {
            assert_eq!(normal(same), "stagename");
        }
        assert_eq!(normal("Montant dépensé"), "montantdepense");
        assert_eq!(normal("金額"), "金額");
        let cells: Vec<String> = [
            "Opportunity: Stage",
            "Amount spent (USD)",
            "Amount",
            "Amount",
            "",
            "property_hs_createdate",
            "Created (UTC)",
        ]
        .map(str::to_owned)
        .to_vec();
        let headers = Headers::new(&cells);
        assert_eq!(headers.find("stage", &[]), Some(0));
        assert_eq!(headers.find("AMOUNT SPENT", &[]), Some(1));
        assert_eq!(headers.find("amount", &[]), Some(2));
        assert_eq!(headers.names[3], "Amount (2)");
        assert_eq!(headers.names[4], "column 5");
        assert_eq!(headers.find("Create Date", &["property_hs_".to_owned()]), Some(5));
        assert_eq!(headers.currencies, vec![(1, "USD".to_owned())]);
        assert_eq!(headers.repeated, vec!["Amount".to_owned()]);
    }
}
