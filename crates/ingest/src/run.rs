//! One ingest from the paths to the committed batch.
//!
//! The order is fixed: find and recognise the files, decide their columns, name the batch,
//! ask the lake whether it knows it and still holds what it brought, upsert table by table,
//! store the rejects, check that every record is accounted for, commit. When a late cell contradicts a decision taken on
//! the head of its file, the batch is given up and made again with a better decision.

mod account;
mod prepare;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use dealframe_lake::{Batch, BatchRecord, Lake, LakeError, Superseded, UpsertCounts, UpsertOptions, Writer};
use dealframe_model::table::{STAGE_CHANGES, TABLES, Table};
use hashbrown::HashSet;

use crate::closing::{self, ClosingStages, Restated};
use crate::coerce::date::Zone;
use crate::error::IngestError;
use crate::file::Settled;
use crate::history::{self, Change, Told};
use crate::outcome::{IngestOutcome, TableOutcome};
use crate::pipeline::{self, FileTotals, Totals};
use crate::profile::plan::Plan;
use crate::profile::{Profile, ProfileError, builtin};
use crate::reject;
use crate::{IngestOptions, identity, input};
use account::{already_applied, check, summary};
use prepare::{Prepared, Ready};

/// Longer histories keep the columns `from_*` as the source gives them: filling them needs all rows in memory.
const FILLED_HISTORY: u64 = 4_000_000;
/// Below this, one thread is enough for a table.
const SMALL: u64 = 2 << 20;

/// The built-in profiles.
pub fn built_in() -> Result<&'static [Arc<Profile>], IngestError> {
    builtin::all().map_err(|ProfileError { line, problem }| IngestError::BadMapping {
        file: "built-in profile".to_owned(),
        line,
        problem,
    })
}

/// Ingests files, folders and archives into a lake, as one atomic batch.
///
/// `talk` gets lines for people while it runs.
///
/// # Errors
/// When the input makes no sense as a whole, or the lake refuses. Single bad records are no error.
pub fn ingest(
    paths: &[PathBuf],
    lake: &Path,
    options: &IngestOptions,
    talk: &mut dyn FnMut(&str),
) -> Result<IngestOutcome, IngestError> {
    let started = Instant::now();
    let settled = settle(options)?;
    let inputs = input::collect(paths)?;
    let mut prepared = prepare::prepare(inputs, options, &settled)?;
    for note in &prepared.notes {
        talk(note);
    }
    let batch_id = identity::batch_id(prepared.identities.clone(), &options_text(options));
    let mut outcome = loop {
        let job = Job { lake, options, batch_id: &batch_id, settled: &settled, paths, started };
        match job.attempt(&mut prepared, talk)? {
            Attempt::Done(outcome) => break *outcome,
            Attempt::WithoutFull { table, rejected } => {
                talk(&format!(
                    "{table}: {rejected} records were rejected, so no absent row is taken as deleted; \
                     correct them and ingest the complete export again"
                ));
                prepared.not_full.push(table);
            }
            Attempt::DecideAgain { table, file } => {
                if let Some(file) = prepared.tables.get_mut(table).and_then(|files| files.get_mut(file)) {
                    talk(&format!("{}: looking at the whole file to settle a column", file.file.name));
                    file.file.decide(&settled, true)?;
                    file.file.settled = true;
                }
            }
        }
    };
    outcome.seconds = started.elapsed().as_secs_f64();
    Ok(outcome)
}

fn settle(options: &IngestOptions) -> Result<Settled, IngestError> {
    let zone = match options.timezone.as_deref() {
        None => Zone::Utc,
        Some(name) => Zone::named(name).ok_or_else(|| IngestError::UnknownTimezone { name: name.to_owned() })?,
    };
    Ok(Settled { date_order: options.date_order, decimal_comma: options.decimal_comma, zone })
}

/// Everything besides the inputs that changes the result.
fn options_text(options: &IngestOptions) -> String {
    format!(
        "source={:?} full={} as_of={:?} timezone={:?} date_order={:?} decimal_comma={:?}",
        options.source, options.full, options.as_of, options.timezone, options.date_order, options.decimal_comma
    )
}

enum Attempt {
    Done(Box<IngestOutcome>),
    DecideAgain {
        table: &'static str,
        file: usize,
    },
    /// A rejected record may be one that seems absent: nothing of this table may be deleted.
    WithoutFull {
        table: &'static str,
        rejected: usize,
    },
}

#[derive(Clone, Copy)]
struct Job<'a> {
    lake: &'a Path,
    options: &'a IngestOptions,
    batch_id: &'a str,
    settled: &'a Settled,
    paths: &'a [PathBuf],
    started: Instant,
}

/// What was gathered over the tables.
#[derive(Default)]
struct Gathered {
    tables: Vec<TableOutcome>,
    files: BTreeMap<usize, FileTotals>,
    stage_changes: Vec<RecordBatch>,
    changes: Vec<Change>,
    told: Told,
    closing: ClosingStages,
    restated: Restated,
    newest: Option<i32>,
    superseded: Vec<Superseded>,
}

impl Job<'_> {
    fn attempt(&self, prepared: &mut Prepared, talk: &mut dyn FnMut(&str)) -> Result<Attempt, IngestError> {
        if self.options.dry_run {
            return self.dry_run(prepared);
        }
        if prepared.tables.values().all(Vec::is_empty) && !prepared.has_documentation {
            return Err(IngestError::NothingLoaded { details: prepared.why_nothing() });
        }
        let lake = Lake::create_or_open(self.lake)?;
        let writer = lake.writer()?;
        let (batch_id, known) = self.known(&writer)?;
        match known {
            Some(record) if is_current(&record, prepared, writer.lake()) => {
                Ok(Attempt::Done(Box::new(already_applied(record))))
            }
            known => {
                let lake = writer.lake().clone();
                let batch = writer.begin(&batch_id)?;
                Job { batch_id: &batch_id, ..*self }.carry_out(&lake, batch, known, prepared, talk)
            }
        }
    }

    /// An identifier that no batch has yet, and the last batch that took effect with the same contents.
    fn known(&self, writer: &Writer) -> Result<(String, Option<BatchRecord>), IngestError> {
        let (mut batch_id, mut known) = (self.batch_id.to_owned(), None);
        while let Some(record) = writer.applied(&batch_id)? {
            batch_id = identity::again(&batch_id);
            known = Some(record);
        }
        Ok((batch_id, known))
    }

    /// Fills a batch and commits it; `lake` is the state before it.
    fn carry_out(
        &self,
        lake: &Lake,
        mut batch: Batch,
        known: Option<BatchRecord>,
        prepared: &Prepared,
        talk: &mut dyn FnMut(&str),
    ) -> Result<Attempt, IngestError> {
        match self.fill(lake, &mut batch, prepared, talk) {
            Ok(Filled::Complete(gathered)) => match known {
                // Contents that an older export brings back, and that change nothing: no state of their own.
                Some(record) if gathered.tables.iter().all(TableOutcome::changes_nothing) => {
                    batch.abort()?;
                    Ok(Attempt::Done(Box::new(already_applied(record))))
                }
                _ => self.commit(batch, prepared, *gathered, talk),
            },
            Ok(Filled::Again(attempt)) => {
                batch.abort()?;
                Ok(attempt)
            }
            Err(error) => {
                // The first error is the one to tell.
                let _ = batch.abort();
                Err(error)
            }
        }
    }

    fn fill(
        &self,
        lake: &Lake,
        batch: &mut Batch,
        prepared: &Prepared,
        talk: &mut dyn FnMut(&str),
    ) -> Result<Filled, IngestError> {
        let closing = if brings_history(prepared) || !lake.files(STAGE_CHANGES.name)?.is_empty() {
            ClosingStages::of(settling(prepared))
        } else {
            ClosingStages::default()
        };
        let mut gathered = Gathered { closing, ..Gathered::default() };
        for table in TABLES {
            let files = prepared.tables.get(table.name).map_or(&[][..], Vec::as_slice);
            if table.name == STAGE_CHANGES.name && gathered.closing.is_asked() {
                look_back(lake, &mut gathered)?;
            }
            let mut outcome = TableOutcome { table: table.name, ..TableOutcome::default() };
            if !files.is_empty() {
                // History is never complete, so nothing in it is ever absent.
                let full =
                    self.options.full && table.name != STAGE_CHANGES.name && !prepared.not_full.contains(&table.name);
                if table.name == STAGE_CHANGES.name && !is_filled(files) {
                    talk(
                        "stage_changes: too many rows to look back in: from_stage, from_status and from_amount stay \
                         as the source gives them, and figures that need the state before leave out the rest",
                    );
                }
                match self.upsert(batch, table, files, full, &mut gathered)? {
                    Upserted::Counts(counts) => {
                        outcome.inserted = counts.inserted;
                        outcome.updated = counts.updated;
                        outcome.unchanged = counts.unchanged;
                        outcome.duplicate = counts.duplicate;
                        outcome.deleted = counts.deleted;
                    }
                    Upserted::Again(attempt) => return Ok(Filled::Again(attempt)),
                }
            }
            if table.name == STAGE_CHANGES.name {
                outcome.derived = self.derive(batch, &mut gathered)?;
            }
            if !files.is_empty() || outcome.derived > 0 {
                talk(&format!(
                    "{}: {} inserted, {} updated, {} unchanged, {} duplicate{}",
                    table.name,
                    outcome.inserted,
                    outcome.updated,
                    outcome.unchanged,
                    outcome.duplicate,
                    if outcome.derived > 0 { format!(", {} derived", outcome.derived) } else { String::new() }
                ));
                gathered.tables.push(outcome);
            }
        }
        Ok(Filled::Complete(Box::new(gathered)))
    }

    fn threads(&self, files: &[Ready]) -> usize {
        let bytes: u64 = files.iter().map(|ready| ready.file.end - ready.file.start.min(ready.file.end)).sum();
        if bytes < SMALL {
            return 1;
        }
        let machine = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        self.options.threads.unwrap_or(machine).max(1)
    }

    fn upsert(
        &self,
        batch: &mut Batch,
        table: &'static Table,
        files: &[Ready],
        full: bool,
        gathered: &mut Gathered,
    ) -> Result<Upserted, IngestError> {
        let sources: Vec<crate::file::TableFile> = files.iter().map(|ready| ready.file.clone()).collect();
        let mut changes: Vec<Change> = Vec::new();
        let as_of = self.options.as_of;
        let mut note = |old: &RecordBatch, new: &RecordBatch| -> Result<(), LakeError> {
            changes.extend(history::changes(old, new, as_of));
            Ok(())
        };
        let watched = table.name == "deals";
        let fill_history = is_filled(files);
        let options = UpsertOptions {
            full,
            allow_shrink: self.options.allow_shrink,
            expected_rows: Some(expected_rows(sources.iter())),
            on_change: if watched { Some(&mut note) } else { None },
        };
        let is_history = table.name == STAGE_CHANGES.name;
        let Gathered { told, closing, restated: known, .. } = &mut *gathered;
        let (result, totals) = pipeline::run(&sources, self.batch_id, self.threads(files), pipeline::CHUNK, |rows| {
            if watched && closing.is_asked() {
                return batch.upsert(
                    table,
                    &mut rows.inspect(|part| part.iter().for_each(|part| closing.note(part))),
                    options,
                );
            }
            if !is_history {
                return batch.upsert(table, rows, options);
            }
            let restated = rows.map(|part| part.and_then(|part| closing.restate(part).map_err(LakeError::caller)));
            let mut noted = restated.inspect(|part| {
                if let Ok(part) = part {
                    told.note(part);
                    known.without(part);
                }
            });
            if !fill_history {
                return batch.upsert(table, &mut noted, options);
            }
            let mut all = noted.collect::<Result<Vec<RecordBatch>, LakeError>>()?;
            history::fill_before(&mut all).map_err(LakeError::caller)?;
            batch.upsert(table, &mut all.into_iter().map(Ok), options)
        });
        if let Some(file) = totals.undecided {
            return Ok(Upserted::Again(Attempt::DecideAgain { table: table.name, file }));
        }
        let rejected: usize = totals.files.iter().map(|file| file.rejects.len()).sum();
        if full && rejected > 0 {
            return Ok(Upserted::Again(Attempt::WithoutFull { table: table.name, rejected }));
        }
        let newest = totals.newest;
        self.take_totals(files, totals, gathered)?;
        if watched {
            gathered.newest = newest;
            gathered.told = Told::of(&changes);
            gathered.changes = changes;
        }
        let counts = result?;
        gathered.superseded.extend(batch.take_superseded());
        Ok(Upserted::Counts(counts))
    }

    fn take_totals(&self, files: &[Ready], mut totals: Totals, gathered: &mut Gathered) -> Result<(), IngestError> {
        if let Some(error) = totals.error.take() {
            return Err(error);
        }
        for (ready, file_totals) in files.iter().zip(totals.files) {
            if !ready.file.content.is_unchanged() {
                return Err(IngestError::InputChanged { file: ready.file.name.to_string() });
            }
            gathered.files.insert(ready.input, file_totals);
        }
        gathered.stage_changes.extend(totals.stage_changes);
        Ok(())
    }

    /// Stage changes that no file told directly.
    fn derive(&self, batch: &mut Batch, gathered: &mut Gathered) -> Result<u64, IngestError> {
        let fault = |source| IngestError::Arrow { table: STAGE_CHANGES.name, source };
        let mut rows = Vec::new();
        for part in std::mem::take(&mut gathered.stage_changes) {
            let part = gathered.closing.restate(part).map_err(fault)?;
            gathered.told.note(&part);
            gathered.restated.without(&part);
            rows.push(part);
        }
        gathered.changes = gathered.told.untold(std::mem::take(&mut gathered.changes));
        for part in gathered.changes.chunks(65_536) {
            let made = history::to_batch(part, gathered.newest, &self.settled.zone, self.batch_id);
            rows.push(made.map_err(fault)?);
        }
        rows.extend(std::mem::take(&mut gathered.restated).into_rows().map_err(fault)?);
        if rows.is_empty() {
            return Ok(0);
        }
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        let options =
            UpsertOptions { full: false, allow_shrink: false, expected_rows: Some(count as u64), on_change: None };
        let counts: UpsertCounts = batch.upsert(canonical(&STAGE_CHANGES), &mut rows.into_iter().map(Ok), options)?;
        // These rows are of our making; the records they come from were told of above.
        drop(batch.take_superseded());
        Ok(counts.inserted + counts.updated)
    }

    fn commit(
        &self,
        mut batch: Batch,
        prepared: &Prepared,
        gathered: Gathered,
        talk: &mut dyn FnMut(&str),
    ) -> Result<Attempt, IngestError> {
        let (mut outcome, rejects) = summary(prepared, gathered);
        let checked = check(&outcome).and_then(|()| {
            for part in rejects.chunks(65_536) {
                let rows = reject::to_batch(part, self.batch_id)
                    .map_err(|source| IngestError::Arrow { table: "rejects", source })?;
                batch.append_rejects(rows)?;
            }
            Ok(())
        });
        if let Err(error) = checked {
            let _ = batch.abort();
            return Err(error);
        }
        let record = self.record(prepared, &outcome);
        let record = batch.commit(record)?;
        talk(&format!(
            "batch {} ({}): {} records read = {} loaded + {} rejected + {} duplicate + {} furniture",
            record.sequence,
            self.batch_id,
            outcome.rows_read,
            outcome.loaded,
            outcome.rejected,
            outcome.duplicate,
            outcome.furniture
        ));
        outcome.batch = Some(record);
        Ok(Attempt::Done(Box::new(outcome)))
    }

    fn record(&self, prepared: &Prepared, outcome: &IngestOutcome) -> BatchRecord {
        let sum = |count: fn(&TableOutcome) -> u64| outcome.tables.iter().map(count).sum();
        let paths: Vec<String> = self.paths.iter().map(|path| path.display().to_string()).collect();
        BatchRecord {
            batch_id: self.batch_id.to_owned(),
            as_of: self.options.as_of,
            source_path: paths.join(", "),
            rows_read: outcome.rows_read,
            rows_loaded: outcome.loaded,
            rows_inserted: sum(|table| table.inserted),
            rows_updated: sum(|table| table.updated),
            rows_unchanged: sum(|table| table.unchanged),
            rows_rejected: outcome.rejected,
            rows_duplicate: outcome.duplicate,
            rows_furniture: outcome.furniture,
            manifest: self.manifest(prepared, outcome),
            ..BatchRecord::default()
        }
    }

    fn manifest(&self, prepared: &Prepared, outcome: &IngestOutcome) -> serde_json::Value {
        let files: Vec<serde_json::Value> = outcome
            .files
            .iter()
            .zip(&prepared.digests)
            .map(|(file, digest)| {
                serde_json::json!({
                    "file": file.path, "digest": digest, "table": file.table, "profile": file.profile,
                    "dialect": file.dialect, "encoding": file.encoding, "mapped": file.mapped,
                    "unmapped": file.unmapped, "rows_read": file.rows_read, "rejected": file.rejected,
                    "furniture": file.furniture, "warnings": file.warnings,
                })
            })
            .collect();
        serde_json::json!({
            "files": files,
            "options": options_text(self.options),
            "seconds": self.started.elapsed().as_secs_f64(),
        })
    }

    fn dry_run(&self, prepared: &Prepared) -> Result<Attempt, IngestError> {
        let mut gathered = Gathered::default();
        for table in TABLES {
            let files = prepared.tables.get(table.name).map_or(&[][..], Vec::as_slice);
            if files.is_empty() {
                continue;
            }
            let sources: Vec<crate::file::TableFile> = files.iter().map(|ready| ready.file.clone()).collect();
            let (rows, totals) = pipeline::run(&sources, self.batch_id, self.threads(files), pipeline::CHUNK, |rows| {
                rows.map_while(Result::ok).map(|rows| rows.num_rows() as u64).sum::<u64>()
            });
            if let Some(file) = totals.undecided {
                return Ok(Attempt::DecideAgain { table: table.name, file });
            }
            self.take_totals(files, totals, &mut gathered)?;
            gathered.tables.push(TableOutcome { table: table.name, inserted: rows, ..TableOutcome::default() });
        }
        let (outcome, _) = summary(prepared, gathered);
        check(&outcome)?;
        Ok(Attempt::Done(Box::new(outcome)))
    }
}

/// Whether no later batch changed the tables to which the inputs belong.
fn is_current(record: &BatchRecord, prepared: &Prepared, lake: &Lake) -> bool {
    (prepared.tables.iter().filter(|(_, files)| !files.is_empty()))
        .all(|(table, _)| record.table_versions.get(*table).copied() == lake.table_version(table))
}

fn plans(prepared: &Prepared) -> impl Iterator<Item = &Plan> {
    prepared.tables.values().flatten().map(|ready| &ready.file.plan)
}

fn brings_history(prepared: &Prepared) -> bool {
    plans(prepared).any(|plan| plan.table.name == STAGE_CHANGES.name || !plan.stage_dates.is_empty())
}

/// The sources whose stages settle the status of a deal.
fn settling(prepared: &Prepared) -> HashSet<String> {
    let settling = plans(prepared).filter(|plan| plan.profile.stage_settles_status);
    settling.map(|plan| plan.source_system.clone()).collect()
}

/// Adds the stages of deals that the export does not bring, and the history that they tell otherwise than before.
fn look_back(lake: &Lake, gathered: &mut Gathered) -> Result<(), LakeError> {
    let mut earlier = ClosingStages::of(gathered.closing.sources().clone());
    lake.visit("deals", Some(&closing::COLUMNS), &mut |deals| {
        earlier.note(&deals);
        Ok(())
    })?;
    let new = gathered.closing.new_since(&earlier);
    gathered.closing.or(earlier);
    if new.closes_any() {
        let restated = &mut gathered.restated;
        lake.visit(STAGE_CHANGES.name, None, &mut |part| restated.note(part, &new).map_err(LakeError::caller))?;
    }
    Ok(())
}

enum Filled {
    Complete(Box<Gathered>),
    Again(Attempt),
}

enum Upserted {
    Counts(UpsertCounts),
    Again(Attempt),
}

/// The entry of `TABLES` that is this table.
fn canonical(table: &'static Table) -> &'static Table {
    TABLES.iter().find(|known| known.name == table.name).unwrap_or(table)
}

/// Whether a history of this size is looked back in.
fn is_filled(files: &[Ready]) -> bool {
    expected_rows(files.iter().map(|ready| &ready.file)) <= FILLED_HISTORY
}

/// Rows to expect, from the length of the lines at the head of the files.
fn expected_rows<'f>(files: impl Iterator<Item = &'f crate::file::TableFile>) -> u64 {
    files
        .map(|file| {
            let bytes = file.end.saturating_sub(file.start);
            let Ok(head) = file.content.part(file.start, 64 << 10) else { return 0 };
            let lines = memchr::memchr_iter(file.dialect.line_end.byte(), &head).count().max(1) as u64;
            bytes * lines / (head.len() as u64).max(1)
        })
        .sum()
}
