//! `dealframe segments`: the segments, or the values of one.

use std::process::ExitCode;

use dealframe_query::Engine;
use dealframe_query::request::Settings;
use dealframe_report::{ColumnKind, Listing};

use crate::arguments::SegmentsArguments;
use crate::output;

pub(super) fn run(arguments: &SegmentsArguments) -> anyhow::Result<ExitCode> {
    let engine = Engine::open(&arguments.lake.lake, Settings::default())?;
    let mut listing;
    if let Some(name) = &arguments.name {
        listing =
            Listing::new(&[("table", ColumnKind::Text), ("value", ColumnKind::Text), ("rows", ColumnKind::Integer)]);
        for value in engine.segment_values(name)? {
            listing.rows.push(vec![Some(value.table.to_owned()), value.value, Some(value.rows.to_string())]);
        }
    } else {
        listing = Listing::new(&["name", "about", "tables", "resolved_by"].map(|name| (name, ColumnKind::Text)));
        for segment in engine.segments(arguments.table.as_deref()) {
            let cells = [segment.name, segment.about, segment.tables.join(", "), segment.candidates.join(", else ")];
            listing.rows.push(cells.map(Some).to_vec());
        }
    }
    output::listing(&listing, &arguments.output)?;
    Ok(ExitCode::SUCCESS)
}
