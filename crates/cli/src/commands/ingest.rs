//! `dealframe ingest`: exports into the lake; with `--dry-run`, what would become of them.

use std::process::ExitCode;

use dealframe_ingest::{IngestOptions, IngestOutcome, ingest};
use dealframe_report::{ColumnKind, Listing};

use crate::arguments::IngestArguments;
use crate::{output, printer};

pub(super) fn run(arguments: &IngestArguments) -> anyhow::Result<ExitCode> {
    let options = IngestOptions {
        source: arguments.source.clone().filter(|source| source != "auto"),
        mapping: arguments.mapping.clone(),
        full: arguments.full,
        allow_shrink: arguments.allow_shrink,
        as_of: arguments.as_of,
        timezone: arguments.timezone.clone(),
        date_order: arguments.date_order,
        decimal_comma: arguments.decimal_comma,
        dry_run: arguments.dry_run,
        threads: arguments.threads,
    };
    let outcome = ingest(&arguments.paths, &arguments.lake.lake, &options, &mut printer::talk)?;
    let listing = if arguments.dry_run { mappings(&outcome) } else { tables(&outcome) };
    output::listing(&listing, &arguments.output)?;
    for line in summary(&outcome, arguments.dry_run) {
        printer::talk(&line);
    }
    Ok(ExitCode::SUCCESS)
}

fn tables(outcome: &IngestOutcome) -> Listing {
    let counts = ["inserted", "updated", "unchanged", "duplicate", "deleted", "derived"];
    let mut columns = vec![("table", ColumnKind::Text)];
    columns.extend(counts.map(|name| (name, ColumnKind::Integer)));
    let mut listing = Listing::new(&columns);
    for table in &outcome.tables {
        let mut row = vec![Some(table.table.to_owned())];
        let counts = [table.inserted, table.updated, table.unchanged, table.duplicate, table.deleted, table.derived];
        row.extend(counts.map(|count| Some(count.to_string())));
        listing.rows.push(row);
    }
    listing
}

/// Every header of every file and the column it feeds; null where it is kept in `extra`.
fn mappings(outcome: &IngestOutcome) -> Listing {
    let names = ["file", "profile", "table", "header", "column"];
    let mut listing = Listing::new(&names.map(|name| (name, ColumnKind::Text)));
    for file in &outcome.files {
        let mapped = file.mapped.iter().map(|(header, column)| (header, Some(column)));
        for (header, column) in mapped.chain(file.unmapped.iter().map(|header| (header, None))) {
            listing.rows.push(vec![
                Some(file.path.clone()),
                file.profile.clone(),
                file.table.map(str::to_owned),
                Some(header.clone()),
                column.cloned(),
            ]);
        }
    }
    listing
}

fn summary(outcome: &IngestOutcome, dry_run: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for file in &outcome.files {
        lines.push(format!(
            "{}: {} ({}, {}), {} records, {} rejected, {} furniture, {} columns kept in extra",
            file.path,
            file.profile.as_deref().unwrap_or("not recognised"),
            file.encoding,
            file.dialect,
            file.rows_read,
            file.rejected,
            file.furniture,
            file.unmapped.len()
        ));
        lines.extend(file.warnings.iter().map(|warning| format!("warning: {}: {warning}", file.path)));
    }
    lines.extend(
        outcome
            .reject_samples
            .iter()
            .map(|reject| format!("rejected: {}:{}: {}: {}", reject.file, reject.line, reject.reason, reject.message)),
    );
    if outcome.already_applied {
        lines.push("these contents were ingested before: nothing changed".to_owned());
    }
    lines.push(format!(
        "{} records read = {} loaded + {} rejected + {} duplicate + {} furniture, in {:.1} s{}",
        outcome.rows_read,
        outcome.loaded,
        outcome.rejected,
        outcome.duplicate,
        outcome.furniture,
        outcome.seconds,
        if dry_run { " (dry run: nothing was written)" } else { "" }
    ));
    if outcome.rejected > 0 && !dry_run {
        lines.push("`dealframe rejects` shows every rejected record and why".to_owned());
    }
    lines
}
