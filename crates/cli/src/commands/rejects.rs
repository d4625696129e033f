//! `dealframe rejects`: records that could not be loaded.

use std::process::ExitCode;

use dealframe_lake::Lake;
use dealframe_report::Listing;

use crate::arguments::RejectsArguments;
use crate::failure::refuse;
use crate::{output, printer};

const COLUMNS: [&str; 9] = [
    "batch_id",
    "source_file",
    "source_line",
    "target_table",
    "column_name",
    "value",
    "reason",
    "message",
    "raw_record",
];

pub(super) fn run(arguments: &RejectsArguments) -> anyhow::Result<ExitCode> {
    let lake = Lake::open(&arguments.lake.lake)?;
    let batch = arguments.batch.as_deref().map(|wanted| find(&lake, wanted)).transpose()?;
    let mut listing = Listing::from_batches(&lake.read("rejects", Some(&COLUMNS))?)?;
    if listing.columns.is_empty() {
        listing = Listing::new(&COLUMNS.map(|name| (name, dealframe_report::ColumnKind::Text)));
    }
    if let (Some(batch), Some(position)) = (batch, listing.position("batch_id")) {
        listing.rows.retain(|row| row[position].as_deref() == Some(batch.as_str()));
    }
    let (file, line) = (listing.position("source_file"), listing.position("source_line"));
    if let (Some(file), Some(line)) = (file, line) {
        let number = |row: &Vec<Option<String>>| row[line].as_deref().and_then(|text| text.parse::<u64>().ok());
        listing.rows.sort_by(|left, right| left[file].cmp(&right[file]).then(number(left).cmp(&number(right))));
    }
    printer::talk(&format!("{} rejected records", listing.rows.len()));
    output::listing(&listing, &arguments.output)?;
    Ok(ExitCode::SUCCESS)
}

/// The full id of the batch that the user means.
fn find(lake: &Lake, wanted: &str) -> anyhow::Result<String> {
    let batches = lake.batches()?;
    let found: Vec<&str> = (batches.iter())
        .filter(|batch| {
            batch.sequence.to_string() == wanted || (wanted.len() >= 4 && batch.batch_id.starts_with(wanted))
        })
        .map(|batch| batch.batch_id.as_str())
        .collect();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(refuse(format!("no batch `{wanted}`"), format!("the lake has the batches 1 to {}", lake.sequence()))),
        several => Err(refuse(
            format!("{} batches begin with `{wanted}`", several.len()),
            "give more of the id, or the number",
        )),
    }
}
