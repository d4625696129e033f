//! What can stop an ingest, and what the user does about it.
//!
//! A variant is a fact with its place: the file, the column, the value found. A record that
//! cannot be loaded is no error: it becomes a row of `rejects` (see `reject`). An error is
//! kept for what makes the whole ingest meaningless: no input, an ambiguous column that only
//! the user can settle, a mapping that says nothing sensible, or a lake that refuses.

use std::path::PathBuf;

use dealframe_lake::LakeError;

/// Why an ingest could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("{path}: no such file or directory")]
    NoSuchPath { path: PathBuf },
    #[error("no CSV, TSV, text, Excel or zip file found in {paths}")]
    NoInput { paths: String },
    #[error("{file}: cannot be read: {source}")]
    Unreadable { file: String, source: std::io::Error },
    #[error("nothing could be loaded: {details}")]
    NothingLoaded { details: String },
    #[error("{file}: changed while it was read")]
    InputChanged { file: String },
    #[error(
        "{file}: column {column:?} holds dates that can be read two ways (line {line}: {sample:?}{more}); \
         expected at least one day above 12"
    )]
    AmbiguousDates { file: String, column: String, line: u64, sample: String, more: String },
    #[error("{file}: column {column:?} mixes day-first ({day_first:?}) and month-first ({month_first:?}) dates")]
    MixedDates { file: String, column: String, day_first: String, month_first: String },
    #[error("{file}: column {column:?} mixes decimal points ({point:?}) and decimal commas ({comma:?})")]
    MixedDecimals { file: String, column: String, point: String, comma: String },
    #[error(
        "{file}: column {column:?} holds numbers that can be read two ways ({samples}), \
         and {habit}; expected at least one number that tells a decimal separator from one of thousands"
    )]
    AmbiguousDecimals { file: String, column: String, samples: String, habit: String },
    #[error("{file}: line {line}: {problem}")]
    BadMapping { file: String, line: u64, problem: String },
    #[error("no source called {name:?}")]
    UnknownSource { name: String, nearest: Option<String> },
    #[error("no time zone called {name:?}")]
    UnknownTimezone { name: String },
    #[error(
        "the counts do not add up: {read} records read, but {loaded} loaded + {rejected} rejected + {duplicate} duplicate + {furniture} furniture"
    )]
    NotConserved { read: u64, loaded: u64, rejected: u64, duplicate: u64, furniture: u64 },
    #[error("the columns of table {table} could not be built: {source}")]
    Arrow { table: &'static str, source: arrow::error::ArrowError },
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl IngestError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoSuchPath { .. } => "check the path".to_owned(),
            Self::NoInput { .. } => "give a CSV, TSV, XLSX or ZIP file, or a folder that holds some".to_owned(),
            Self::Unreadable { .. } => "check the permissions, and that the file is whole".to_owned(),
            Self::NothingLoaded { .. } => {
                "`dealframe sources` lists the exports that are recognised; --mapping FILE describes another one; \
                 --dry-run shows what would be mapped"
                    .to_owned()
            }
            Self::InputChanged { .. } => "wait until the export is complete, then ingest again".to_owned(),
            Self::AmbiguousDates { .. } => "say how dates are written: --date-order dmy or --date-order mdy".to_owned(),
            Self::MixedDates { .. } => {
                "say which order holds with --date-order dmy or mdy; the rows in the other order are then rejected"
                    .to_owned()
            }
            Self::MixedDecimals { .. } => {
                "say which holds with --decimal-comma true or false; the rows written the other way are then rejected"
                    .to_owned()
            }
            Self::AmbiguousDecimals { .. } => {
                "say how decimals are written: --decimal-comma true (1.234 is a thousand) or --decimal-comma false"
                    .to_owned()
            }
            Self::BadMapping { .. } => "`dealframe sources NAME` prints a mapping that works".to_owned(),
            Self::UnknownSource { nearest: Some(nearest), .. } => {
                format!("did you mean {nearest:?}? `dealframe sources` lists them all")
            }
            Self::UnknownSource { .. } => "`dealframe sources` lists them all".to_owned(),
            Self::UnknownTimezone { .. } => "give an IANA name such as Europe/Berlin".to_owned(),
            Self::Lake(error) => return error.hint(),
            Self::NotConserved { .. } | Self::Arrow { .. } => {
                "this is a fault of dealframe: please report it with the command".to_owned()
            }
        };
        Some(text)
    }

    /// True when the user can settle it (exit code 1), false when it is our fault (exit code 2).
    pub fn is_user_fault(&self) -> bool {
        match self {
            Self::NotConserved { .. } | Self::Arrow { .. } => false,
            Self::Lake(error) => error.is_user_fault(),
            _ => true,
        }
    }
}
