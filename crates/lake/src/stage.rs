//! The staging area of an upsert: incoming rows, sorted into hash buckets.
//!
//! Rows stay in memory up to a budget; what comes after goes to one file per bucket in the staging
//! folder. File order is kept within a bucket, because a later row wins over an earlier one.
//! `merge.rs` takes the buckets one at a time.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::buffer::MutableBuffer;
use rayon::prelude::*;

use crate::chunk::{Chunk, Layout};
use crate::{LakeError, durable};

/// Incoming rows by bucket.
pub(crate) struct Stage<'a> {
    layout: &'a Layout,
    folder: PathBuf,
    budget: usize,
    held: usize,
    buckets: Vec<Bucket>,
    pub rows: u64,
    pub sources: BTreeSet<String>,
}

/// The rows of one bucket: what is in memory came before what is in the file.
#[derive(Default)]
pub(crate) struct Bucket {
    memory: Vec<Chunk>,
    spill: Option<Spill>,
}

struct Spill {
    path: PathBuf,
    file: File,
    lengths: Vec<usize>,
}

/// A batch after partitioning: one chunk per bucket that has rows.
struct Parts {
    chunks: Vec<(usize, Chunk)>,
    bytes: usize,
    sources: Vec<String>,
    rows: usize,
}

impl<'a> Stage<'a> {
    /// `folder` need not exist; it is created when memory does not suffice.
    pub(crate) fn new(layout: &'a Layout, buckets: u32, folder: &Path, budget: usize) -> Self {
        let buckets = (0..buckets).map(|_| Bucket::default()).collect();
        let folder = folder.to_path_buf();
        Self { layout, folder, budget, held: 0, buckets, rows: 0, sources: BTreeSet::new() }
    }

    /// Takes in all rows, a few batches at a time in parallel.
    pub(crate) fn fill(
        &mut self,
        rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
        pool: &rayon::ThreadPool,
    ) -> Result<(), LakeError> {
        loop {
            let group: Vec<RecordBatch> = rows.take(pool.current_num_threads().max(1)).collect::<Result<_, _>>()?;
            if group.is_empty() {
                return Ok(());
            }
            let (layout, count) = (self.layout, self.buckets.len());
            let parts: Vec<Parts> = pool.install(|| {
                group.into_par_iter().map(|batch| partition(layout, count, &batch)).collect::<Result<_, _>>()
            })?;
            for part in parts {
                self.keep(part, pool)?;
            }
        }
    }

    fn keep(&mut self, parts: Parts, pool: &rayon::ThreadPool) -> Result<(), LakeError> {
        self.rows += parts.rows as u64;
        self.sources.extend(parts.sources);
        // Once something was spilled everything after it is, or the order of the rows would be lost.
        let spilling = self.held + parts.bytes > self.budget;
        if !spilling {
            self.held += parts.bytes;
            for (bucket, chunk) in parts.chunks {
                self.buckets[bucket].memory.push(chunk);
            }
            return Ok(());
        }
        self.held = self.budget.saturating_add(1);
        durable::create_folder(&self.folder)?;
        let name = self.layout.table.name;
        let encoded: Vec<(usize, Vec<u8>)> = pool
            .install(|| {
                parts
                    .chunks
                    .into_par_iter()
                    .map(|(bucket, chunk)| chunk.to_bytes().map(|bytes| (bucket, bytes)))
                    .collect::<Result<_, _>>()
            })
            .map_err(LakeError::arrow("set rows aside", name))?;
        for (bucket, bytes) in encoded {
            self.spill(bucket, &bytes)?;
        }
        Ok(())
    }

    fn spill(&mut self, bucket: usize, bytes: &[u8]) -> Result<(), LakeError> {
        let slot = &mut self.buckets[bucket].spill;
        let spill = match slot {
            Some(spill) => spill,
            None => {
                let path = self.folder.join(format!("{}-{bucket}.arrows", self.layout.table.name));
                let file = File::create(&path).map_err(LakeError::io("create", &path))?;
                slot.insert(Spill { path, file, lengths: Vec::new() })
            }
        };
        spill.file.write_all(bytes).map_err(LakeError::io("write", &spill.path))?;
        spill.lengths.push(bytes.len());
        Ok(())
    }

    /// The buckets, in order.
    pub(crate) fn into_buckets(self) -> Vec<Bucket> {
        self.buckets
    }
}

impl Bucket {
    pub(crate) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.spill.is_none()
    }

    /// All chunks of the bucket in file order; its spill file is removed.
    pub(crate) fn into_chunks(self, layout: &Layout) -> Result<Vec<Chunk>, LakeError> {
        let mut chunks = self.memory;
        let Some(spill) = self.spill else { return Ok(chunks) };
        let path = spill.path;
        drop(spill.file);
        let mut file = File::open(&path).map_err(LakeError::io("open", &path))?;
        for length in spill.lengths {
            let mut bytes = MutableBuffer::from_len_zeroed(length);
            file.read_exact(bytes.as_slice_mut()).map_err(LakeError::io("read", &path))?;
            let chunk = Chunk::from_bytes(bytes, layout.schema.fields().len());
            chunks.push(chunk.map_err(LakeError::parquet("read", &path))?);
        }
        fs::remove_file(&path).map_err(LakeError::io("remove", &path))?;
        Ok(chunks)
    }
}

/// Splits a batch by bucket; the order within a bucket stays.
fn partition(layout: &Layout, buckets: usize, batch: &RecordBatch) -> Result<Parts, LakeError> {
    layout.check(batch)?;
    let rows = batch.num_rows();
    if rows == 0 {
        return Ok(Parts { chunks: Vec::new(), bytes: 0, sources: Vec::new(), rows });
    }
    let chunk = Chunk::from_batch(layout, batch)?;
    let sources = chunk.sources(layout);
    let hashes = chunk.key_hashes(layout)?;
    if buckets == 1 {
        let bytes = chunk.bytes();
        return Ok(Parts { chunks: vec![(0, chunk)], bytes, sources, rows });
    }
    // A counting sort: stable, and the rows of a bucket become one slice.
    let bucket_of: Vec<usize> = hashes.iter().map(|hash| bucket_of(*hash, buckets)).collect();
    let mut ends = vec![0usize; buckets];
    for bucket in &bucket_of {
        ends[*bucket] += 1;
    }
    let counts = ends.clone();
    let mut next = 0;
    for end in &mut ends {
        next += std::mem::replace(end, next);
    }
    let mut order = vec![0u32; rows];
    for (row, bucket) in bucket_of.iter().enumerate() {
        order[ends[*bucket]] = u32::try_from(row).map_err(LakeError::arrow("count rows", layout.table.name))?;
        ends[*bucket] += 1;
    }
    let sorted = chunk.take(&UInt32Array::from(order)).map_err(LakeError::arrow("sort rows", layout.table.name))?;
    let slice = |bucket: usize| (bucket, sorted.slice(ends[bucket] - counts[bucket], counts[bucket]));
    let chunks = (0..buckets).filter(|bucket| counts[*bucket] > 0).map(slice).collect();
    Ok(Parts { chunks, bytes: sorted.bytes(), sources, rows })
}

/// The bucket of a key, by the low half of its hash.
pub(crate) fn bucket_of(hash: u128, buckets: usize) -> usize {
    let low = u64::try_from(hash & u128::from(u64::MAX)).unwrap_or(0);
    usize::try_from(low % (buckets as u64)).unwrap_or(0)
}
