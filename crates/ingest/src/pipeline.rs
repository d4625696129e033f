//! Several threads read the files of one table; rows come out in file order.
//!
//! Workers take the next chunk under a lock (reading it and finding its end is cheap), then
//! convert it freely. At most a few chunks are under way at a time, so memory is bounded
//! whatever the file size. When a chunk shows a stray quote its end, and all later chunks of
//! that file, are void: the cursor goes back to its start and the file is cut carefully.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use dealframe_lake::LakeError;

use crate::convert::{Converted, convert};
use crate::delimited::chunk::{Chunk, Cursor, Mode, next_chunk};
use crate::error::IngestError;
use crate::file::TableFile;
use crate::reject::{self, Reject};

/// Bytes of a chunk.
pub const CHUNK: usize = 8 << 20;

/// What became of the rows of one file.
#[derive(Debug, Default, Clone)]
pub struct FileTotals {
    pub read: u64,
    pub furniture: u64,
    pub rejects: Vec<Reject>,
    /// Rows handed on.
    pub rows: u64,
}

/// What became of all files of a table.
#[derive(Debug, Default)]
pub struct Totals {
    pub files: Vec<FileTotals>,
    pub stage_changes: Vec<RecordBatch>,
    pub newest: Option<i32>,
    /// A file whose columns must be decided anew.
    pub undecided: Option<usize>,
    pub error: Option<IngestError>,
}

struct Done {
    file: usize,
    cursor: Cursor,
    last: bool,
    outcome: Result<Converted, IngestError>,
}

struct State {
    file: usize,
    cursor: Cursor,
    next_ticket: u64,
    next_out: u64,
    generation: u64,
    done: BTreeMap<u64, Done>,
    spare: Vec<Vec<u8>>,
    stop: bool,
    error: Option<IngestError>,
}

struct Shared<'a> {
    files: &'a [TableFile],
    batch_id: &'a str,
    chunk: usize,
    window: u64,
    state: Mutex<State>,
    changed: Condvar,
}

/// Converts the files and hands their rows to `consume`; `consume` may stop early.
pub fn run<R>(
    files: &[TableFile],
    batch_id: &str,
    threads: usize,
    chunk: usize,
    consume: impl FnOnce(&mut dyn Iterator<Item = Result<RecordBatch, LakeError>>) -> R,
) -> (R, Totals) {
    let first = files.first().map_or(Cursor { offset: 0, line: 0, mode: Mode::Quick }, start_of);
    let shared = Shared {
        files,
        batch_id,
        chunk,
        window: threads as u64 + 2,
        state: Mutex::new(State {
            file: 0,
            cursor: first,
            next_ticket: 0,
            next_out: 0,
            generation: 0,
            done: BTreeMap::new(),
            spare: Vec::new(),
            stop: false,
            error: None,
        }),
        changed: Condvar::new(),
    };
    let mut totals = Totals { files: vec![FileTotals::default(); files.len()], ..Totals::default() };
    let result = std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| shared.work());
        }
        let stopper = Stopper(&shared);
        let mut rows = Rows { shared: &shared, totals: &mut totals, kept: 0 };
        let result = consume(&mut rows);
        drop(stopper);
        result
    });
    (result, totals)
}

/// Lets the workers end, also when the consumer unwinds.
struct Stopper<'a, 'b>(&'a Shared<'b>);

impl Drop for Stopper<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().stop = true;
        self.0.changed.notify_all();
    }
}

fn start_of(file: &TableFile) -> Cursor {
    Cursor { offset: file.start, line: file.start_line, mode: Mode::Quick }
}

impl Shared<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, guard: MutexGuard<'g, State>) -> MutexGuard<'g, State> {
        self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if state.stop || state.error.is_some() {
                return;
            }
            let taken = if state.next_ticket < state.next_out + self.window { self.take(&mut state) } else { None };
            let Some((ticket, file, cursor, chunk)) = taken else {
                state = self.wait(state);
                continue;
            };
            let generation = state.generation;
            drop(state);
            let table_file = &self.files[file];
            let outcome = convert(table_file, &chunk, self.batch_id)
                .map_err(|source| IngestError::Arrow { table: table_file.table().name, source });
            let Chunk { bytes, last, .. } = chunk;
            state = self.lock();
            state.spare.push(bytes);
            if state.generation == generation {
                state.done.insert(ticket, Done { file, cursor, last, outcome });
            }
            self.changed.notify_all();
        }
    }

    /// The next chunk with its ticket; `None` when there is none now.
    fn take(&self, state: &mut State) -> Option<(u64, usize, Cursor, Chunk)> {
        while let Some(file) = self.files.get(state.file) {
            let buffer = state.spare.pop().unwrap_or_default();
            let before = state.cursor;
            match next_chunk(&file.content, file.end, &file.dialect, &mut state.cursor, self.chunk, buffer) {
                Ok(Some(chunk)) => {
                    let ticket = state.next_ticket;
                    state.next_ticket += 1;
                    return Some((ticket, state.file, before, chunk));
                }
                Ok(None) => {
                    state.file += 1;
                    match self.files.get(state.file) {
                        Some(next) => state.cursor = start_of(next),
                        // Told once: workers that woke each other up over and over would cost a core.
                        None => self.changed.notify_all(),
                    }
                }
                Err(source) => {
                    state.error = Some(IngestError::Unreadable { file: file.name.to_string(), source });
                    self.changed.notify_all();
                    return None;
                }
            }
        }
        None
    }
}

struct Rows<'a, 'b> {
    shared: &'a Shared<'b>,
    totals: &'a mut Totals,
    /// Bytes of rejected records kept so far.
    kept: usize,
}

impl Rows<'_, '_> {
    /// The next chunk in file order.
    fn next_done(&mut self) -> Option<Done> {
        let shared = self.shared;
        let mut state = shared.lock();
        loop {
            if let Some(error) = state.error.take() {
                self.totals.error = Some(error);
                state.stop = true;
                return None;
            }
            let ticket = state.next_out;
            if let Some(done) = state.done.remove(&ticket) {
                let redo = done.cursor.mode == Mode::Quick
                    && !done.last
                    && done.outcome.as_ref().is_ok_and(|converted| converted.stray_quote);
                if redo {
                    state.generation += 1;
                    state.done.clear();
                    state.next_ticket = ticket;
                    state.file = done.file;
                    state.cursor = Cursor { mode: Mode::Careful, ..done.cursor };
                    shared.changed.notify_all();
                    continue;
                }
                state.next_out += 1;
                shared.changed.notify_all();
                return Some(done);
            }
            if state.stop || (state.file >= shared.files.len() && state.next_ticket == ticket) {
                return None;
            }
            state = shared.wait(state);
        }
    }
}

impl Iterator for Rows<'_, '_> {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(done) = self.next_done() else {
                return self.totals.error.as_ref().map(|error| Err(LakeError::caller(error.to_string())));
            };
            let mut converted = match done.outcome {
                Ok(converted) => converted,
                Err(error) => {
                    let text = error.to_string();
                    self.totals.error = Some(error);
                    return Some(Err(LakeError::caller(text)));
                }
            };
            if converted.undecided {
                self.totals.undecided = Some(done.file);
                return Some(Err(LakeError::caller("a column has to be decided again")));
            }
            let totals = &mut self.totals.files[done.file];
            totals.read += converted.read;
            totals.furniture += converted.furniture;
            reject::bound(&mut converted.rejects, &mut self.kept);
            totals.rejects.extend(converted.rejects);
            self.totals.stage_changes.extend(converted.stage_changes);
            self.totals.newest = self.totals.newest.max(converted.newest);
            if let Some(rows) = converted.rows {
                totals.rows += rows.num_rows() as u64;
                return Some(Ok(rows));
            }
        }
    }
}
