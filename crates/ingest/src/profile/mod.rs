//! Vendor profiles: which headers an export has, and what becomes of its columns. Data, not code.
//!
//! A profile is one YAML file per vendor and entity; the built-in ones are in `profiles/`,
//! users pass their own, in the same format, with `--mapping FILE`. A file holds one profile,
//! or several under `profiles:`. [`plan`] turns a profile and the header of a file into work.
//!
//! ```yaml
//! source: acme                        # source_system of the rows
//! entity: Opportunities               # name of the export, for people
//! table: deals                        # canonical table
//! fingerprints: [[Opp No, Phase]]     # the file must have all headers of one of these lists
//! absent: [[Campaign, Clicks]]        # a file with all headers of one of these lists is something else
//! inputs: {done: [Is Done], phase: [Phase], unit: [Per]} # headers that only rules and factors look at
//! columns:
//!   deal_id: [Opp No, Opp Number]     # the first header that the file has
//!   owner_id: {from: [Owner Mail], normalise: lower}   # salesforce_id, zoho_id, guid, lower, domain, first_of_list
//!   name: {from: [Title], join: [[First], [Last]]}     # join: where no `from` header is there
//!   product_id: {from: [Product], map: {GTXPro: GTX Pro}, unmapped: keep}  # or null, or reject
//!   probability: {from: [Chance], percent: true}       # 40 means 0.40
//!   resolution_minutes: {from: [Hours], multiply: 60}  # or divide; round: true keeps what fits
//!   list_amount: {from: [Price], factors: [{when: {unit: [year]}, divide: 12}]}  # empty where none holds, or one without number
//!   status:                           # the first rule whose conditions all hold
//!     rules: [{when: {done: [true], phase: ["*won*"]}, then: won}]
//!     default: open                   # value where the cell is empty or no rule holds
//!   loss_reason: {from: [Reason], only_when: {phase: [lost]}}  # empty where the conditions do not hold
//!   currency: {constant: EUR}
//!   spend_id: {key_of: [spend_date, channel, extra]}   # a key made of other columns, where the file has none
//! nulls: [TBD]                        # more words for "no value"
//! sentinels: ["9999-12-31"]           # dates that mean "no date"
//! furniture: [Report total]           # footers begin with this
//! second_header: false                # a second header line follows the first
//! stage_settles_status: true          # a stage in which most deals are won or lost closes a deal, whatever its name
//! stage_dates: ['Date entered "{stage} ({pipeline})"'] # wide columns that become stage_changes
//! skip: documentation                 # recognised, and not loaded
//! ```
//!
//! Headers match whatever their case, accents, punctuation and blanks, with a trailing `*`,
//! with a relation before them (`Opportunity: Stage`) and with a currency behind (`Cost (USD)`).
//! Words that definitions compare with are taken in any case, and codes of currencies become
//! capitals, without a word in the profile: see `dealframe_model::vocabulary`.

pub mod builtin;
pub mod detect;
pub mod header;
pub mod mapping;
pub mod plan;

use std::collections::BTreeMap;

use dealframe_model::table::{self, Table};
use dealframe_model::yaml::{self, Complaint};
use serde::Deserialize;

pub use mapping::ColumnMapping;

/// One profile, as its file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub source: String,
    pub entity: String,
    #[serde(default)]
    pub table: Option<String>,
    #[serde(default)]
    pub about: String,
    pub fingerprints: Vec<Vec<String>>,
    /// A file with all headers of one of these lists is something else.
    #[serde(default)]
    pub absent: Vec<Vec<String>>,
    #[serde(default)]
    pub strip_prefixes: Vec<String>,
    #[serde(default)]
    pub inputs: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnMapping>,
    #[serde(default)]
    pub nulls: Vec<String>,
    #[serde(default)]
    pub sentinels: Vec<String>,
    #[serde(default)]
    pub furniture: Vec<String>,
    #[serde(default)]
    pub second_header: bool,
    /// In the history, a stage in which most deals are won or lost closes a deal, whatever its name.
    #[serde(default)]
    pub stage_settles_status: bool,
    #[serde(default)]
    pub stage_dates: Vec<String>,
    #[serde(default)]
    pub skip: Option<String>,
    /// The text it was read from: part of the identity of a batch.
    #[serde(skip)]
    pub text: String,
    /// Plain CSV with the canonical column names.
    #[serde(skip)]
    pub canonical: bool,
}

impl Profile {
    /// The canonical table; `None` for documentation that is recognised and skipped.
    pub fn table(&self) -> Option<&'static Table> {
        self.table.as_deref().and_then(table::table)
    }

    /// `salesforce/Opportunity`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.source, self.entity)
    }

    /// What is wrong with the profile, with the word in the text to which it belongs.
    fn problem(&self) -> Option<(String, String)> {
        if self.fingerprints.is_empty() || self.fingerprints.iter().any(Vec::is_empty) {
            return Some(("fingerprints".to_owned(), "fingerprints must name at least one header each".to_owned()));
        }
        if self.skip.is_some() {
            return None;
        }
        let Some(name) = &self.table else {
            return Some(("source".to_owned(), "a table is missing".to_owned()));
        };
        let Some(table) = table::table(name) else {
            let known: Vec<&str> = table::TABLES.iter().map(|table| table.name).collect();
            return Some(("table".to_owned(), format!("no table {name:?}; expected one of {}", known.join(", "))));
        };
        for (column, mapping) in &self.columns {
            let Some(target) = table.column(column) else {
                let nearest = nearest(column, table.columns().map(|column| column.name));
                let hint = nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
                return Some((column.clone(), format!("table {name} has no column {column:?}{hint}")));
            };
            if let Some(problem) = mapping.problem(self, target.kind, table) {
                return Some((column.clone(), format!("column {column:?}: {problem}")));
            }
        }
        table
            .own
            .iter()
            .find(|column| column.required && !self.columns.contains_key(column.name))
            .map(|column| ("columns".to_owned(), format!("required column {:?} is not mapped", column.name)))
    }

    /// Headers claimed by two columns of the same kind, which is always a slip.
    pub fn claimed_twice(&self) -> Vec<String> {
        let Some(table) = self.table() else { return Vec::new() };
        let mut seen: BTreeMap<(String, &str), &str> = BTreeMap::new();
        let mut out = Vec::new();
        // The time of the last change may well be that of creation.
        for (name, mapping) in self.columns.iter().filter(|(name, _)| *name != "modified_at") {
            let Some(column) = table.column(name) else { continue };
            for alias in &mapping.from {
                let key = (header::normal(alias), column.kind.name());
                if let Some(other) = seen.insert(key, name)
                    && other != name
                    // Names as keys are names as well, and teams are often called after their manager.
                    && ![other, name.as_str()].iter().any(|column| *column == table.key || *column == "team")
                {
                    out.push(format!("{}: {alias:?} feeds {other} and {name}", self.name()));
                }
            }
        }
        out
    }
}

/// The closest of some names, if one is close.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A mapping that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileError {
    pub line: u64,
    pub problem: String,
}

/// Reads one profile, or several under `profiles:`.
///
/// # Errors
/// With the line in the text, when the YAML is broken or says something that has no meaning.
pub fn read(text: &str) -> Result<Vec<Profile>, ProfileError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Several {
        profiles: Vec<Profile>,
    }
    let several = text.lines().any(|line| line.starts_with("profiles:"));
    let parsed = if several {
        serde_saphyr::from_str::<Several>(text).map(|several| several.profiles)
    } else {
        serde_saphyr::from_str::<Profile>(text).map(|profile| vec![profile])
    };
    let mut profiles = parsed.map_err(|error| {
        let Complaint { line, reason, hint, .. } = yaml::complaint(&error, text);
        let problem = hint.map_or_else(|| reason.clone(), |hint| format!("{reason}; {hint}"));
        ProfileError { line, problem }
    })?;
    for profile in &mut profiles {
        text.clone_into(&mut profile.text);
        if let Some((word, problem)) = profile.problem() {
            return Err(ProfileError { line: line_of(text, &profile.entity, &word), problem });
        }
    }
    Ok(profiles)
}

/// The line on which a key stands, looking from the entity on.
fn line_of(text: &str, entity: &str, key: &str) -> u64 {
    let from = text.lines().position(|line| line.contains("entity:") && line.contains(entity)).unwrap_or(0);
    let wanted = format!("{key}:");
    let found = |(_, line): &(usize, &str)| line.trim_start().trim_start_matches("- ").starts_with(&wanted);
    text.lines()
        .enumerate()
        .skip(from)
        .find(found)
        .or_else(|| text.lines().enumerate().find(found))
        .map_or(1, |(index, _)| index as u64 + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const GOOD: &str = "source: acme\nentity: Deals\ntable: deals\nfingerprints: [[No]]\ncolumns:\n  deal_id: [No]\n  status: {constant: open}\n  source_system: {constant: acme}\n";

    #[test]
    fn good_and_bad_mappings() {
        assert_eq!(read(GOOD).unwrap()[0].columns.len(), 3);
        let bad = GOOD.replace("  deal_id: [No]\n", "  deal_id: [No]\n  amonut: [Value]\n");
        let error = read(&bad).unwrap_err();
        assert_eq!(error.line, 7);
        assert!(error.problem.contains("did you mean \"amount\""), "{}", error.problem);
        let bad = GOOD.replace("  status: {constant: open}\n", "");
        assert!(read(&bad).unwrap_err().problem.contains("required column \"status\""));
        let bad = GOOD.replace("constant: open", "constant: open, colour: red");
        let error = read(&bad).unwrap_err();
        assert_eq!(error.line, 7, "{}", error.problem);
        assert!(read("source: [").is_err());
        let mut wrong = Vec::new();
        for (from, to, line, said) in [
            (
                "table: deals",
                "table: deals\ntable: leads",
                4,
                "`table` stands here for the second time; keep one `table`",
            ),
            ("fingerprints: [[No]]", "fingerprints: No", 4, "`fingerprints` is `No`, expected a list; write [No]"),
            ("source: acme", "source:", 1, "`source` is nothing, expected a text; give `source` a value"),
            ("deal_id: [No]", "deal_id: {from: No}", 6, "`from` is `No`, expected a list"),
            ("deal_id: [No]", "deal_id: 7", 6, "`deal_id` is `7`, expected a list of headers, or a table of keys"),
            (
                "constant: open",
                "from: [S], unmapped: drop",
                7,
                "`unmapped` is `drop`, expected one of keep, null, reject",
            ),
            ("columns:", "colums:", 5, "unknown field `colums`, expected `columns`?"),
        ] {
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            if !error.problem.starts_with(said) || error.line != line {
                wrong.push(format!("{to}: {}: {}, expected {line}: {said}", error.line, error.problem));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let bad = GOOD.replace("table: deals", "table: deel");
        assert_eq!(read(&bad).unwrap_err().line, 3);
    }

    #[test]
    fn the_documented_format_is_read() {
        let text = include_str!("mod.rs");
        let yaml: String = text
            .lines()
            .skip_while(|line| !line.contains("```yaml"))
            .skip(1)
            .take_while(|line| !line.contains("```"))
            .filter(|line| !line.contains("skip: documentation"))
            .map(|line| format!("{}\n", line.trim_start_matches("//!").strip_prefix(' ').unwrap_or_default()))
            .collect();
        // The example shows every key, and one of them belongs to another table.
        let error = read(&yaml).unwrap_err();
        assert!(error.problem.contains("no column"), "{}", error.problem);
    }
}
