//! Upsert of rows into one table: stage, merge bucket by bucket, write, hand over the change.
//!
//! Nothing is committed here: the result names the files that come (all of them durable) and go,
//! and `writer.rs` puts them into the table log. On any error the files written so far are removed again. Buckets are
//! worked on by a few threads at once, the columns of a bucket by a pool below them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, channel, sync_channel};

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::LakeError;
use crate::changes;
use crate::chunk::{Chunk, Layout};
use crate::gather::{Gather, Place};
use crate::lake::DataFile;
use crate::merge::{Merged, merge};
use crate::parquet_file::{self, BLOCK_ROWS, Content, NewFile, Unsynced};
use crate::stage::{Bucket, Stage};
use crate::superseded::Tally;

/// Called with the stored rows and the rows that replaced them, in the same order.
pub type ChangeListener<'a> = dyn FnMut(&RecordBatch, &RecordBatch) -> Result<(), LakeError> + 'a;

/// How rows are merged into a table.
#[derive(Default)]
pub struct UpsertOptions<'a> {
    /// The rows are all there are: stored rows of the same source systems that are absent are marked as deleted.
    pub full: bool,
    /// Allows a full export to delete more than 5 % of a source system's live rows.
    pub allow_shrink: bool,
    /// How many rows are to be expected, as a hint for the number of buckets of a new table.
    pub expected_rows: Option<u64>,
    /// Told about updated rows, bucket by bucket in no particular order.
    #[allow(clippy::type_complexity)]
    pub on_change: Option<&'a mut dyn FnMut(&RecordBatch, &RecordBatch) -> Result<(), LakeError>>,
}

/// What an upsert did with the incoming rows, and with absent ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpsertCounts {
    pub inserted: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// Superseded within the batch, or older than the stored row.
    pub duplicate: u64,
    /// Stored rows that a full export no longer has.
    pub deleted: u64,
}

impl UpsertCounts {
    fn add(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.duplicate += other.duplicate;
        self.deleted += other.deleted;
    }
}

/// Files that come to a table and files that leave it.
#[derive(Default)]
pub(crate) struct FileChange {
    pub add: Vec<NewFile>,
    pub remove: Vec<PathBuf>,
}

/// What an upsert works on.
pub(crate) struct Job<'a> {
    pub layout: &'a Layout,
    pub lake: &'a Path,
    pub folder: &'a Path,
    /// Live files by bucket.
    pub stored: BTreeMap<u32, Vec<DataFile>>,
    pub batch_id: &'a str,
    pub full: bool,
    pub allow_shrink: bool,
    pub pool: &'a rayon::ThreadPool,
}

#[derive(Default)]
struct BucketResult {
    counts: UpsertCounts,
    live: BTreeMap<String, (u64, u64)>,
    files: FileChange,
    /// The new file, before it is durable.
    written: Option<Unsynced>,
    superseded: Tally,
}

enum Event {
    Changed(RecordBatch, RecordBatch),
    Done(Result<BucketResult, LakeError>),
}

/// Merges staged rows with the stored ones and writes the buckets that changed.
pub(crate) fn run(
    job: &Job<'_>,
    stage: Stage<'_>,
    mut on_change: Option<&mut ChangeListener<'_>>,
) -> Result<(UpsertCounts, FileChange, Tally), LakeError> {
    let sources = stage.sources.clone();
    let todo: Vec<(u32, Bucket)> = (0..)
        .zip(stage.into_buckets())
        .filter(|(number, bucket)| !bucket.is_empty() || (job.full && job.stored.contains_key(number)))
        .collect();
    let listening = on_change.is_some();
    let threads = job.pool.current_num_threads().clamp(1, 4).min(todo.len().max(1));
    // Taken from the end; the largest share of the work is the same for every bucket.
    let queue = Mutex::new(todo);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = sync_channel::<Event>(2);
    let mut total = BucketResult::default();
    let mut failure: Option<LakeError> = None;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (queue, stop, sources) = (&queue, &stop, &sources);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let next = queue.lock().ok().and_then(|mut queue| queue.pop());
                    let Some((number, bucket)) = next else { return };
                    let result = work(job, number, bucket, sources, listening.then_some(&sender));
                    if sender.send(Event::Done(result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Waiting for the disk is left to a thread of its own; the others go on encoding.
        let (to_sync, written) = channel::<Unsynced>();
        let syncing = scope.spawn(move || written.into_iter().try_for_each(|written| written.sync()));
        for event in receiver {
            let result = match event {
                Event::Done(Ok(result)) => {
                    total.counts.add(result.counts);
                    if let Some(written) = result.written {
                        total.files.add.push(written.file.clone());
                        // The other end hangs up when a file could not be synced, which is told below.
                        let _ = to_sync.send(written);
                    }
                    total.files.remove.extend(result.files.remove);
                    total.superseded.add(result.superseded);
                    for (source, (live, vanishing)) in result.live {
                        let counts = total.live.entry(source).or_default();
                        counts.0 += live;
                        counts.1 += vanishing;
                    }
                    Ok(())
                }
                Event::Done(Err(error)) => Err(error),
                Event::Changed(old, new) => match on_change.as_mut() {
                    // After a failure the threads are only drained.
                    Some(listener) if failure.is_none() => listener(&old, &new),
                    _ => Ok(()),
                },
            };
            if let Err(error) = result {
                stop.store(true, Ordering::Relaxed);
                failure.get_or_insert(error);
            }
        }
        drop(to_sync);
        let synced = syncing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if let Err(error) = synced {
            failure.get_or_insert(error);
        }
    });
    let verdict = failure.map_or(Ok(()), Err).and_then(|()| check_shrink(job, &total.live));
    if let Err(error) = verdict {
        parquet_file::discard(&total.files.add);
        return Err(error);
    }
    total.files.add.sort_by_key(|file| file.bucket);
    total.files.remove.sort();
    Ok((total.counts, total.files, total.superseded))
}

fn check_shrink(job: &Job<'_>, live: &BTreeMap<String, (u64, u64)>) -> Result<(), LakeError> {
    let refused = live.iter().find(|(_, (live, vanishing))| vanishing * 20 > *live);
    match refused {
        Some((source, (live, vanishing))) if !job.allow_shrink => Err(LakeError::ShrinkRefused {
            table: job.layout.table.name.to_owned(),
            source_system: source.clone(),
            live: *live,
            vanishing: *vanishing,
        }),
        _ => Ok(()),
    }
}

/// One bucket from its chunks to its new file.
fn work(
    job: &Job<'_>,
    number: u32,
    bucket: Bucket,
    sources: &BTreeSet<String>,
    listener: Option<&SyncSender<Event>>,
) -> Result<BucketResult, LakeError> {
    let stored = job.stored.get(&number).map(Vec::as_slice).unwrap_or_default();
    let mut chunks = read_chunks(job.layout, stored)?;
    let stored_chunks = chunks.len();
    chunks.extend(bucket.into_chunks(job.layout)?);
    let gather = Gather::new(job.layout, &chunks, job.batch_id)?;
    let merged = merge(job.layout, &chunks, stored_chunks, &gather, job.full.then_some(sources))?;
    let mut result = BucketResult { counts: merged.counts, ..BucketResult::default() };
    if merged.is_changed() {
        let order = gather.order(&merged.rows);
        let content = Content {
            schema: &job.layout.schema,
            rows: merged.rows.len(),
            key: job.layout.table.key,
            business_date: job.layout.table.business_date,
            column: &|column| gather.prepare(column, &order),
        };
        let written = parquet_file::write(job.folder, number, &content, job.pool)?;
        if let Err(error) = listener.map_or(Ok(()), |listener| report(job, &gather, &merged, listener)) {
            parquet_file::discard(&[written.file]);
            return Err(error);
        }
        if let [replaced] = stored
            && changes::are_few(merged.changed.len(), merged.rows.len())
        {
            // Only a help to readers: where it cannot be written, they read everything.
            let files = (replaced.path.as_path(), written.file.path.as_path());
            let _ = changes::write(job.lake, job.layout, &gather, &merged.changed, files);
        }
        result.written = Some(written);
        result.files.remove.extend(stored.iter().map(|file| file.path.clone()));
    }
    result.superseded.note(job.layout, &gather, &merged.superseded);
    result.live = merged.live;
    Ok(result)
}

/// Stored rows in compact form.
pub(crate) fn read_chunks(layout: &Layout, files: &[DataFile]) -> Result<Vec<Chunk>, LakeError> {
    let mut chunks = Vec::new();
    for file in files {
        for batch in parquet_file::open(&file.path, &layout.schema, None)? {
            chunks.push(Chunk::from_batch(layout, &batch?)?);
        }
    }
    Ok(chunks)
}

/// Sends the updated rows to the listener's thread, a block at a time.
fn report(job: &Job<'_>, gather: &Gather<'_>, merged: &Merged, changes: &SyncSender<Event>) -> Result<(), LakeError> {
    for block in merged.updated.chunks(BLOCK_ROWS) {
        let (old, new): (Vec<Place>, Vec<Place>) = block.iter().copied().unzip();
        let event = Event::Changed(rows(job.layout, gather, &old)?, rows(job.layout, gather, &new)?);
        if changes.send(event).is_err() {
            // The receiver is gone only when the upsert is being given up.
            return Ok(());
        }
    }
    Ok(())
}

fn rows(layout: &Layout, gather: &Gather<'_>, places: &[Place]) -> Result<RecordBatch, LakeError> {
    let arrays = (0..layout.schema.fields().len()).map(|column| gather.column(column, places));
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(layout.schema.clone(), arrays).map_err(LakeError::arrow("gather rows", layout.table.name))
}
