//! Deterministic CRM exports of any size, with a known truth.
//!
//! `synthesise` writes the exports of an invented company as Salesforce or HubSpot would write
//! them, and beside them `truth.json` with the KPIs the rows add up to. The same options give
//! the same bytes on every machine and with any number of threads; memory does not grow with the
//! number of rows (one bit for each account excepted). Damaged files are not made here: the
//! quirks of real exports are fixtures of `dealframe-ingest`.
//!
//! Inside: `vocabulary` (the words), `world` (the company), `deal` and `entity` (rows by their
//! index), `salesforce`, `hubspot` and `plain` (how rows are spelt), `truth` (what they add up
//! to), `output` (files from many threads), `folder` and `generate` (which files, in which order).

mod deal;
mod entity;
mod error;
mod folder;
mod generate;
mod hubspot;
mod identity;
mod options;
mod output;
mod plain;
mod random;
mod salesforce;
mod text;
mod truth;
mod vocabulary;
mod world;

pub use error::SynthError;
pub use folder::TRUTH_FILE;
pub use generate::synthesise;
pub use options::{SynthFile, SynthOptions, SynthOutcome, Vendor};

#[cfg(test)]
mod tests;
