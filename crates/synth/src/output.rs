//! Files that are written by many threads and come out in one order.
//!
//! Rows are generated in chunks, several chunks at once; while one group of chunks is being
//! generated the group before is written. So memory holds two groups whatever the number of
//! rows, and the bytes do not depend on the number of threads. A file appears under its name
//! only when it is complete.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::SynthError;
use crate::options::SynthFile;
use crate::truth::{Tally, Truth};

/// Rows of one chunk.
const CHUNK_ROWS: u64 = 4096;
/// Chunks of a group for each thread.
const CHUNKS_PER_THREAD: u64 = 4;

/// The bytes of one file that one chunk contributes.
#[derive(Debug, Default)]
pub struct Sheet {
    pub bytes: Vec<u8>,
    pub rows: u64,
    /// False when the file is not written: its rows need not be formatted.
    pub wanted: bool,
}

/// A file that is being written, or that is left out.
pub struct OutputFile {
    name: &'static str,
    path: PathBuf,
    partial: PathBuf,
    writer: Option<BufWriter<File>>,
    rows: u64,
    bytes: u64,
}

impl OutputFile {
    /// Starts a file with its header line.
    pub fn create(folder: &Path, name: &'static str, header: &str) -> Result<Self, SynthError> {
        let partial = folder.join(format!(".{name}.partial"));
        let file = File::create(&partial).map_err(|source| failure("create", &partial, source))?;
        let mut output = Self {
            name,
            path: folder.join(name),
            partial,
            writer: Some(BufWriter::with_capacity(1 << 20, file)),
            rows: 0,
            bytes: 0,
        };
        output.append(header.as_bytes(), 0)?;
        output.append(b"\n", 0)?;
        Ok(output)
    }

    /// A file whose rows are generated for the truth only.
    pub fn left_out(name: &'static str) -> Self {
        Self { name, path: PathBuf::new(), partial: PathBuf::new(), writer: None, rows: 0, bytes: 0 }
    }

    fn append(&mut self, bytes: &[u8], rows: u64) -> Result<(), SynthError> {
        if let Some(writer) = self.writer.as_mut() {
            writer.write_all(bytes).map_err(|source| failure("write", &self.partial, source))?;
            self.rows += rows;
            self.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// Completes the file and gives it its name; `None` for a file that is left out.
    pub fn finish(mut self) -> Result<Option<SynthFile>, SynthError> {
        let Some(mut writer) = self.writer.take() else { return Ok(None) };
        writer.flush().map_err(|source| failure("write", &self.partial, source))?;
        drop(writer);
        fs::rename(&self.partial, &self.path).map_err(|source| failure("rename", &self.partial, source))?;
        Ok(Some(SynthFile { name: self.name, rows: self.rows, bytes: self.bytes }))
    }
}

/// Writes a small text file completely or not at all.
pub fn write_whole(path: &Path, partial: &Path, text: &str) -> Result<(), SynthError> {
    fs::write(partial, text).map_err(|source| failure("write", partial, source))?;
    fs::rename(partial, path).map_err(|source| failure("rename", partial, source))
}

pub fn failure(action: &'static str, path: &Path, source: std::io::Error) -> SynthError {
    SynthError::Io { action, path: path.to_path_buf(), source }
}

struct Chunk {
    sheets: Vec<Sheet>,
    tally: Tally,
}

/// Generates the rows 0 to `total` - 1 and appends them to the files, in order.
///
/// `make` fills the sheets, one for each file, with the rows of a range of indexes.
pub fn pass<Make>(files: &mut [OutputFile], total: u64, truth: &mut Truth, make: Make) -> Result<(), SynthError>
where
    Make: Fn(Range<u64>, &mut [Sheet], &mut Tally) + Sync,
{
    let wanted: Vec<bool> = files.iter().map(|file| file.writer.is_some()).collect();
    let group = rayon::current_num_threads() as u64 * CHUNKS_PER_THREAD;
    let chunks = total.div_ceil(CHUNK_ROWS);
    let generate = |first: u64| -> Vec<Chunk> {
        (first..(first + group).min(chunks))
            .into_par_iter()
            .map(|number| {
                let sheet = |wanted: &bool| Sheet { wanted: *wanted, ..Sheet::default() };
                let mut chunk = Chunk { sheets: wanted.iter().map(sheet).collect(), tally: Tally::default() };
                let range = number * CHUNK_ROWS..((number + 1) * CHUNK_ROWS).min(total);
                make(range, &mut chunk.sheets, &mut chunk.tally);
                chunk
            })
            .collect()
    };
    let mut ready = generate(0);
    let mut next = group;
    while !ready.is_empty() {
        let (written, generated) = rayon::join(|| write_group(files, truth, ready), || generate(next));
        written?;
        ready = generated;
        next += group;
    }
    Ok(())
}

fn write_group(files: &mut [OutputFile], truth: &mut Truth, group: Vec<Chunk>) -> Result<(), SynthError> {
    for chunk in group {
        for (file, sheet) in files.iter_mut().zip(&chunk.sheets) {
            file.append(&sheet.bytes, sheet.rows)?;
        }
        truth.absorb(chunk.tally);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// Whoever generates a chunk finds all but the two newest groups on disk: nothing piles up.
    #[test]
    fn memory_holds_two_groups_of_chunks() {
        const CHUNK_BYTES: usize = 1 << 20;
        let folder = std::env::temp_dir().join(format!("dealframe-synth-output-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut files = vec![OutputFile::create(&folder, "a.csv", "n").unwrap()];
        let partial = files[0].partial.clone();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let in_memory_at_most = 2 * 2 * CHUNKS_PER_THREAD;
        let (chunks, total) = (40, 40 * CHUNK_ROWS - 1);
        pool.install(|| {
            pass(&mut files, total, &mut Truth::default(), |range, sheets, _| {
                let written = fs::metadata(&partial).unwrap().len() / CHUNK_BYTES as u64;
                assert!(range.start / CHUNK_ROWS < written + in_memory_at_most, "{range:?} with {written} written");
                sheets[0].bytes.resize(CHUNK_BYTES, b'.');
                sheets[0].rows = range.end - range.start;
            })
            .unwrap();
        });
        assert!(!folder.join("a.csv").exists(), "a file appears when it is complete");
        let done = files.remove(0).finish().unwrap().unwrap();
        assert_eq!((done.rows, done.bytes), (total, chunks * CHUNK_BYTES as u64 + 2));
        assert_eq!(fs::metadata(folder.join("a.csv")).unwrap().len(), done.bytes);
        fs::remove_dir_all(&folder).unwrap();
    }
}
