//! The account of an ingest: every record read is loaded, rejected, duplicate or furniture.

use dealframe_lake::BatchRecord;

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
