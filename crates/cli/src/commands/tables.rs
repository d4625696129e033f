//! `dealframe tables`: what a lake holds.

use std::process::ExitCode;

use dealframe_lake::Lake;
use dealframe_model::date;
use dealframe_query::Engine;
use dealframe_query::request::Settings;
use dealframe_report::{ColumnKind, Listing};

use crate::arguments::LakeListing;
use crate::{output, printer};

pub(super) fn run(arguments: &LakeListing) -> anyhow::Result<ExitCode> {
    let engine = Engine::open(&arguments.lake.lake, Settings::default())?;
    let mut listing = Listing::new(&[
        ("table", ColumnKind::Text),
        ("rows", ColumnKind::Integer),
        ("files", ColumnKind::Integer),
        ("bytes", ColumnKind::Integer),
        ("version", ColumnKind::Integer),
        ("first_date", ColumnKind::Text),
        ("last_date", ColumnKind::Text),
    ]);
    for table in engine.tables()? {
        listing.rows.push(vec![
            Some(table.name.to_owned()),
            Some(table.rows.to_string()),
            Some(table.files.to_string()),
            Some(table.bytes.to_string()),
            table.version.map(|version| version.to_string()),
            table.first_date.map(date::format),
            table.last_date.map(date::format),
        ]);
    }
    output::listing(&listing, &arguments.output)?;
    let batches = Lake::open(&arguments.lake.lake)?.batches()?;
    match batches.last() {
        None => printer::talk("no batch yet"),
        Some(batch) => {
            let finished = jiff::Timestamp::from_microsecond(batch.finished_at).map_or_else(
                |_| "an unknown time".to_owned(),
                |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            );
            printer::talk(&format!(
                "last batch {} ({}), finished {finished}: {} records read, {} loaded, {} rejected, {} duplicate, {} furniture",
                batch.sequence,
                batch.batch_id.chars().take(12).collect::<String>(),
                batch.rows_read,
                batch.rows_loaded,
                batch.rows_rejected,
                batch.rows_duplicate,
                batch.rows_furniture
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
