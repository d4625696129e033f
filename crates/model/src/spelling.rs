//! Names that people write, and the ones that they meant.
//!
//! Every message about an unknown name says which known one is near. Two measures serve: `nearest`
//! is for hints and is generous, `slip_of` decides that a name is a slip and is strict.

/// The names nearest to `name`, best first, at most three.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|candidate| {
            let contains = candidate.contains(name) || name.contains(candidate);
            (strsim::jaro_winkler(name, candidate) + if contains { 0.1 } else { 0.0 }, candidate)
        })
        .filter(|(score, _)| *score > 0.82)
        .collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    scored.dedup_by(|left, right| left.1 == right.1);
    scored.into_iter().take(3).map(|(_, candidate)| candidate.to_owned()).collect()
}

/// The name that was meant by one that differs from it in case, in blanks or by a slip of the finger.
pub fn slip_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.trim().to_lowercase().replace([' ', '-'], "_");
    let wanted = plain(name);
    known.into_iter().find(|known| {
        let slips = if known.len() < 6 { 1 } else { 2 };
        name != *known && strsim::damerau_levenshtein(&wanted, &plain(known)) <= slips
    })
}

/// The words to choose from, the one that was probably meant first.
pub fn one_of(found: &str, words: &[&str]) -> String {
    let likely = nearest(found.trim_matches('`'), words.iter().copied());
    match (words, likely.first()) {
        ([one], _) => format!("`{one}`"),
        (_, Some(likely)) => format!("`{likely}`? (one of {})", words.join(", ")),
        (_, None) => format!("one of {}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_names_are_not() {
        let known = ["revenue", "deals_won", "leads"];
        for (name, expected) in [
            ("Revenue", Some("revenue")),
            ("reveneu", Some("revenue")),
            ("deals won", Some("deals_won")),
            ("lead", Some("leads")),
            ("revenue", None),
            ("revenue_net", None),
            ("pipeline", None),
            ("deals", None),
        ] {
            assert_eq!(slip_of(name, known), expected, "{name}");
        }
    }
}
