//! The exports that are recognised, for `dealframe sources`.

use dealframe_model::table::{COMMON, Column, ColumnType};

use crate::error::IngestError;
use crate::profile::{Profile, builtin};

/// One recognised export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub source: String,
    pub entity: String,
    pub table: Option<&'static str>,
    pub about: String,
    /// Lists of headers, one of which the file must have in full.
    pub fingerprints: Vec<Vec<String>>,
    pub columns: Vec<SourceColumn>,
    /// The profile as a mapping file; empty for plain CSV.
    pub mapping: String,
}

/// One canonical column and the headers that feed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    pub column: &'static str,
    pub headers: Vec<String>,
    /// Constant, rule, key or scale, where the value is no plain copy of a cell.
    pub made_from: Option<String>,
}

/// Every built-in profile.
///
/// # Errors
/// When a built-in profile is broken, which a test excludes.
pub fn sources() -> Result<Vec<Source>, IngestError> {
    Ok(crate::run::built_in()?.iter().map(|profile| describe(profile)).collect())
}

/// The header line of a plain CSV for a table; empty for an unknown table.
pub fn template(table: &str) -> String {
    builtin::template(table).unwrap_or_default()
}

/// What a plain CSV for a table must have, and the words that its columns take; nothing for an unknown table.
pub fn requirements(table: &str) -> Vec<String> {
    builtin::requirements(table)
}

fn is_fraction(column: &Column) -> bool {
    column.kind == ColumnType::Fraction
}

fn describe(profile: &Profile) -> Source {
    let table = profile.table();
    let columns = table.map_or_else(Vec::new, |table| {
        table
            .columns()
            .filter(|column| {
                !COMMON.iter().any(|common| common.name == column.name) || profile.columns.contains_key(column.name)
            })
            .filter_map(|column| {
                let mapping = profile.columns.get(column.name)?;
                let made_from = match (&mapping.constant, mapping.rules.is_empty(), mapping.key_of.is_empty()) {
                    (Some(text), _, _) => Some(format!("always {text}")),
                    (None, false, _) => Some("rules".to_owned()),
                    (None, true, false) => Some(format!("made of {}", mapping.key_of.join(", "))),
                    (None, true, true) => mapping.default.as_ref().map(|text| format!("{text} where empty")),
                };
                let per_cent = mapping.percent.then(|| "per cent: 40 means 0.4".to_owned());
                let made_from =
                    made_from.or(per_cent).or_else(|| is_fraction(column).then(|| "a fraction from 0 to 1".to_owned()));
                let joined = mapping.join.iter().flatten().cloned();
                let headers = mapping.from.iter().cloned().chain(joined).collect();
                Some(SourceColumn { column: column.name, headers, made_from })
            })
            .collect()
    });
    Source {
        source: profile.source.clone(),
        entity: profile.entity.clone(),
        table: table.map(|table| table.name),
        about: profile.about.clone(),
        fingerprints: profile.fingerprints.clone(),
        columns,
        mapping: if profile.canonical { String::new() } else { profile.text.clone() },
    }
}
