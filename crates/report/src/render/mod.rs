//! One frame or listing in one format.
//!
//! Data formats carry the columns of `Frame::columns` with exact values; `table`, `markdown`
//! and `html` are for people and round. Whole reports are put together in `document`.

mod arrow;
pub mod cells;
mod columnar;
mod csv;
pub mod html;
pub(crate) mod json;
pub(crate) mod markdown;
mod ndjson;
mod parquet;
mod table;
mod xlsx;

use std::io::Write;

use dealframe_model::frame::Frame;

use crate::{Format, Listing, ReportError};

/// Writes a frame.
///
/// # Errors
/// When the output refuses, or the format cannot hold the frame.
pub fn render(frame: &Frame, format: Format, out: &mut dyn Write) -> Result<(), ReportError> {
    match format {
        Format::Table => table::frame(frame, out),
        Format::Csv => csv::frame(frame, out),
        Format::Json => json::frame(frame, out),
        Format::Ndjson => ndjson::frame(frame, out),
        Format::Markdown => markdown::frame(frame, out),
        Format::Html => html::frame(frame, out),
        Format::Xlsx => xlsx::frame(frame, out),
        Format::Parquet => parquet::write(&columnar::frame(frame)?, out),
        Format::Arrow => arrow::write(&columnar::frame(frame)?, out),
    }
}

/// Writes a listing.
///
/// # Errors
/// When the output refuses, or the format cannot hold the listing.
pub fn render_listing(listing: &Listing, format: Format, out: &mut dyn Write) -> Result<(), ReportError> {
    match format {
        Format::Table => table::listing(listing, out),
        Format::Csv => csv::listing(listing, out),
        Format::Json => json::listing(listing, out),
        Format::Ndjson => ndjson::listing(listing, out),
        Format::Markdown => markdown::listing(listing, out),
        Format::Html => html::listing(listing, out),
        Format::Xlsx => xlsx::listing(listing, out),
        Format::Parquet => parquet::write(&columnar::listing(listing)?, out),
        Format::Arrow => arrow::write(&columnar::listing(listing)?, out),
    }
}

#[cfg(test)]
pub(crate) mod tests;
