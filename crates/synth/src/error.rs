//! What can go wrong while writing synthetic exports, and what to do about it.
//!
//! Every variant names the fact and the place; `hint` tells the user the next step. Whether a
//! fault is the user's or ours decides the exit code, which belongs to the command line.

use std::path::PathBuf;

/// Why no synthetic export could be written.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    #[error("--{option} {found} is out of range: expected {expected}")]
    Option { option: &'static str, found: String, expected: &'static str },
    #[error("{path} already holds {count} files this run would not replace, the first one {first}")]
    ForeignFiles { path: PathBuf, count: usize, first: String },
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
}

impl SynthError {
    /// What the user can do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Option { option, expected, .. } => Some(format!("give --{option} a value of {expected}")),
            Self::ForeignFiles { path, .. } => Some(format!(
                "write into an empty folder, or remove the other CSV files from {}: an ingest of the folder would mix both",
                path.display()
            )),
            Self::Io { path, .. } => Some(format!(
                "check that the disk has room and that you may write to {}",
                path.parent().unwrap_or(path).display()
            )),
        }
    }

    /// Whether the user or the data must change something.
    pub fn is_user_fault(&self) -> bool {
        true
    }
}
