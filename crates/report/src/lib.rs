//! Turns answers into something people and programs read: files, terminal tables, HTML reports.
//!
//! `render` prints one frame or listing in one of nine formats, one file per format. `chart`
//! draws a frame as inline SVG or as terminal bars. `spec` reads report specifications, `run`
//! answers and writes many of them in parallel, `document` holds what a finished report looks
//! like. No figure is computed here apart from rounding for the screen: values come exact from
//! `dealframe-query` and leave exact in every data format.

pub mod chart;
pub mod document;
mod error;
mod format;
mod listing;
pub mod number;
pub mod output;
pub mod render;
pub mod run;
mod slug;
pub mod spec;

pub use error::ReportError;
pub use format::Format;
pub use listing::{ColumnKind, Listing, ListingColumn};
pub use render::{render, render_listing};
pub use run::{RunOptions, RunOutcome, run};
pub use slug::slug;
