//! What can go wrong between an answer and its file, where, and what to do about it.
//!
//! Faults of the answer itself are `dealframe-query`'s and pass through unchanged, so that
//! their hints and their blame stay right.

use std::path::PathBuf;

use dealframe_query::QueryError;

/// An error of the report crate.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("unknown format `{name}`")]
    UnknownFormat { name: String },
    #[error("{}: the file name does not say which format to write", path.display())]
    NoFormat { path: PathBuf },
    #[error("cannot write the result: {0}")]
    Write(#[source] std::io::Error),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{file}:{line}:{column}: {reason}")]
    Syntax { file: String, line: u64, column: u64, reason: String, hint: Option<String> },
    /// `place` is file, line and column, `part` the section or the key that is at fault.
    #[error("{place}: {part}: {reason}")]
    Spec { place: String, part: String, reason: String, hint: String },
    #[error("{} and {} would be written to the same folder `{name}`", first.display(), second.display())]
    SameName { first: PathBuf, second: PathBuf, name: String },
    #[error("{rows} rows do not fit into an Excel sheet, which holds 1048575 below its header")]
    ExcelRows { rows: usize },
    #[error("the {what} `{value}` has more digits than a column of decimal(38,12) holds")]
    TooLarge { what: &'static str, value: String },
    #[error("cannot build the {what}: {reason}")]
    Build { what: &'static str, reason: String },
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl ReportError {
    pub(crate) fn build(what: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Build { what, reason: error.to_string() }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownFormat { .. } => Some(format!("formats: {}", crate::Format::NAMES.join(", "))),
            Self::NoFormat { .. } => Some(
                "end the name in .csv, .json, .ndjson, .md, .txt, .html, .xlsx, .parquet or .arrow, or give --format"
                    .to_owned(),
            ),
            Self::Write(_) | Self::Io { .. } => {
                Some("check the path, the permissions and the space on the disk".to_owned())
            }
            Self::Syntax { hint: Some(hint), .. } => Some(hint.clone()),
            Self::Syntax { .. } => Some(
                "a report has title, description, period, as_of, currency, calendar, headline and sections; \
                 `dealframe demo` writes one to start from"
                    .to_owned(),
            ),
            Self::Spec { hint, .. } => Some(hint.clone()),
            Self::SameName { .. } => {
                Some("rename one of the files, or run them into different --out folders".to_owned())
            }
            Self::ExcelRows { .. } => Some("write .csv or .parquet, or ask for fewer rows".to_owned()),
            Self::TooLarge { .. } => Some("write .csv or .json, which keep every digit".to_owned()),
            Self::Build { .. } => None,
            Self::Query(error) => error.hint(),
        }
    }

    /// Whether the user or the data must change something; otherwise the fault is ours.
    pub fn is_user_fault(&self) -> bool {
        match self {
            Self::Build { .. } => false,
            Self::Query(error) => error.is_user_fault(),
            _ => true,
        }
    }
}
