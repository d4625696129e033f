//! CRM exports to canonical rows in the lake.
//!
//! [`ingest`] takes files, folders and archives of any recognised vendor, and makes one batch
//! of them: every record is loaded, rejected with its place and a reason, counted as a
//! duplicate, or recognised as furniture. Nothing is guessed: what a column means is settled
//! for the whole column or refused. Vendor knowledge is data, see [`profile`].
//!
//! How rows are stored is the business of `dealframe-lake`, what the tables mean of
//! `dealframe-model`. This crate never looks at a clock.

pub mod coerce;
pub mod delimited;
pub mod input;
pub mod profile;

mod cell;
mod closing;
mod column;
mod convert;
mod derived;
mod error;
mod file;
mod history;
mod identity;
mod outcome;
mod pipeline;
mod reject;
mod run;
mod sense;
mod sources;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use coerce::date::DateOrder;
pub use error::IngestError;
pub use outcome::{FileOutcome, IngestOutcome, RejectSample, TableOutcome};
pub use run::ingest;
pub use sources::{Source, SourceColumn, requirements, sources, template};

/// What the user may settle.
#[derive(Debug, Clone, Default)]
pub struct IngestOptions {
    /// Only profiles of this source; `None` or `auto`: whatever fits best. Plain CSVs take this as their source system.
    pub source: Option<String>,
    /// A file with mappings of the user's own; they win over the built-in ones.
    pub mapping: Option<PathBuf>,
    /// The export is complete: what is absent was deleted.
    pub full: bool,
    /// Allows a complete export to lose many rows.
    pub allow_shrink: bool,
    /// Date of the export, in days since 1970-01-01.
    pub as_of: Option<i32>,
    /// Zone of instants that carry none; UTC by default.
    pub timezone: Option<String>,
    /// Settles columns whose dates can be read two ways.
    pub date_order: Option<DateOrder>,
    /// Settles columns that mix decimal points and commas.
    pub decimal_comma: Option<bool>,
    /// Everything but writing.
    pub dry_run: bool,
    /// Threads; by default as many as the machine has.
    pub threads: Option<usize>,
}
