//! The account of an ingest: every record read is loaded, rejected, duplicate or furniture.

use dealframe_lake::{BatchRecord, Superseded};

use super::Gathered;
use super::prepare::Prepared;
use crate::error::IngestError;
use crate::outcome::{FileOutcome, IngestOutcome, RejectSample};
use crate::reject::{self, Reject};

/// Rejects of one file shown as samples.
const SAMPLES: usize = 5;

/// The outcome when the lake knows the batch already.
pub(super) fn already_applied(record: BatchRecord) -> IngestOutcome {
    IngestOutcome {
        already_applied: true,
        rows_read: record.rows_read,
        loaded: record.rows_loaded,
        rejected: record.rows_rejected,
        duplicate: record.rows_duplicate,
        furniture: record.rows_furniture,
        batch: Some(record),
        ..IngestOutcome::default()
    }
}

/// Counts of the whole ingest, and all its rejects in file order.
pub(super) fn summary(prepared: &Prepared, mut gathered: Gathered) -> (IngestOutcome, Vec<Reject>) {
    let mut outcome = IngestOutcome::default();
    let (mut rejects, mut kept) = (Vec::new(), 0);
    for (index, base) in prepared.files.iter().enumerate() {
        let mut file: FileOutcome = base.outcome.clone();
        let totals = gathered.files.remove(&index).unwrap_or_default();
        let mut rows = base.rejects.clone();
        rows.extend(totals.rejects);
        file.furniture += totals.furniture;
        file.rejected = rows.len() as u64;
        file.rows_read += totals.read;
        outcome.reject_samples.extend(rows.iter().take(SAMPLES).map(|reject| RejectSample {
            file: reject.file.to_string(),
            line: reject.line,
            reason: reject.reason,
            message: reject.message.clone(),
        }));
        if let Some(claimed) = base.claimed
            && claimed != totals.rows + file.rejected
        {
            file.warnings
                .push(format!("the footer claims {claimed} records, {} were found", totals.rows + file.rejected));
        }
        // Files of two folders may share a name; each warning is given once.
        let mut told = Vec::new();
        gathered.superseded.retain(|superseded| {
            let here = superseded.file == file.path;
            told.extend(here.then(|| tell(superseded)));
            !here
        });
        file.warnings.extend(told);
        outcome.rows_read += file.rows_read;
        outcome.rejected += file.rejected;
        outcome.furniture += file.furniture;
        reject::bound(&mut rows, &mut kept);
        rejects.extend(rows);
        outcome.files.push(file);
    }
    outcome.loaded = gathered.tables.iter().map(|table| table.inserted + table.updated + table.unchanged).sum();
    outcome.duplicate = gathered.tables.iter().map(|table| table.duplicate).sum();
    outcome.tables = gathered.tables;
    (outcome, rejects)
}

/// What is said about records that gave way to others: how many, and where the first ones stand.
fn tell(superseded: &Superseded) -> String {
    let line = |line: Option<i64>| line.map_or("line unknown".to_owned(), |line| format!("line {line}"));
    let mut examples: Vec<String> = superseded
        .first
        .iter()
        .map(|record| {
            let winner = line(record.winner_line);
            let winner = if record.winner_file == superseded.file {
                winner
            } else {
                format!("{winner} of {}", record.winner_file)
            };
            format!("{} by {winner} (key {})", line(record.line), record.key)
        })
        .collect();
    if superseded.records > superseded.first.len() as u64 {
        examples.push("...".to_owned());
    }
    let (records, verb) = if superseded.records == 1 { ("record", "was") } else { ("records", "were") };
    format!(
        "{} {records} {verb} superseded by another of the same key with other content, and counted as duplicate: {}",
        superseded.records,
        examples.join(", ")
    )
}

/// Every record read is accounted for, and not all of them were refused.
pub(super) fn check(outcome: &IngestOutcome) -> Result<(), IngestError> {
    let IngestOutcome { rows_read, loaded, rejected, duplicate, furniture, .. } = *outcome;
    if rows_read != loaded + rejected + duplicate + furniture {
        return Err(IngestError::NotConserved { read: rows_read, loaded, rejected, duplicate, furniture });
    }
    if rejected > 0 && loaded + duplicate == 0 {
        let first: Vec<String> = outcome
            .reject_samples
            .iter()
            .take(3)
            .map(|sample| format!("{} line {}: {} ({})", sample.file, sample.line, sample.message, sample.reason))
            .collect();
        return Err(IngestError::NothingLoaded {
            details: format!("all {rejected} records were rejected: {}", first.join("; ")),
        });
    }
    Ok(())
}
