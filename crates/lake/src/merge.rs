//! What becomes of the rows of one bucket: new, changed, the same, superseded or gone.
//!
//! Works on hashes and addresses only; no row is copied here. Within the incoming rows the newest
//! `modified_at` wins, then the last in file order; against the stored row see [`Merged`].
//! `gather.rs` compares and later builds the columns, `upsert.rs` writes the result.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;

use crate::chunk::{Chunk, Layout};
use crate::gather::{Gather, Place};
use crate::{LakeError, UpsertCounts};

/// Which rows a bucket has after the merge.
pub(crate) struct Merged {
    pub counts: UpsertCounts,
    /// All rows, sorted by business date and key.
    pub rows: Vec<Place>,
    /// Stored row and the incoming row that replaced it.
    pub updated: Vec<(Place, Place)>,
    /// Rows that are new or no longer as they were, and whether there was a live row of their key before.
    pub changed: Vec<(Place, bool)>,
    /// Incoming row that differs from another one of its key, and that other one, which won.
    pub superseded: Vec<(Place, Place)>,
    /// Per source system: live rows stored, and those absent from a full export.
    pub live: BTreeMap<String, (u64, u64)>,
}

impl Merged {
    pub(crate) fn is_changed(&self) -> bool {
        self.counts.inserted + self.counts.updated + self.counts.deleted > 0
    }
}

/// Stands for an unknown time; a plain integer keeps entries small, which sorting repays.
const NEVER: i64 = i64::MIN;

/// A row's key and age. The order of the fields makes the winner of a key its last entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    hash: u128,
    /// [`NEVER`] sorts first: a row without a time is older than any with one.
    modified: i64,
    place: Place,
}

/// Source systems of a full export; rows of theirs that did not come are gone.
pub(crate) type FullSources<'a> = Option<&'a std::collections::BTreeSet<String>>;

/// Merges the chunks of a bucket; the first `stored` chunks are the stored rows.
pub(crate) fn merge(
    layout: &Layout,
    chunks: &[Chunk],
    stored: usize,
    gather: &Gather<'_>,
    full: FullSources<'_>,
) -> Result<Merged, LakeError> {
    let old = entries(layout, chunks, 0..stored)?;
    if let Some(pair) = old.windows(2).find(|pair| pair[0].hash == pair[1].hash) {
        let key = gather.text(layout.key, pair[0].place).unwrap_or_default();
        let reason = format!("two stored rows have the key {key:?}");
        return Err(LakeError::damaged(std::path::Path::new(layout.table.name), reason));
    }
    let mut new = entries(layout, chunks, stored..chunks.len())?;
    let before = new.len();
    let superseded = keep_winners(layout, gather, &mut new);
    let mut merged = Merged {
        counts: UpsertCounts { duplicate: (before - new.len()) as u64, ..UpsertCounts::default() },
        rows: Vec::with_capacity(old.len() + new.len()),
        updated: Vec::new(),
        changed: Vec::new(),
        superseded,
        live: BTreeMap::new(),
    };
    let mut pairs = Vec::new();
    let (mut left, mut right) = (0, 0);
    while left < old.len() || right < new.len() {
        let order = match (old.get(left), new.get(right)) {
            (Some(old), Some(new)) => old.hash.cmp(&new.hash),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        match order {
            std::cmp::Ordering::Less => {
                merged.keep_absent(layout, gather, full, old[left].place);
                left += 1;
            }
            std::cmp::Ordering::Greater => {
                merged.counts.inserted += 1;
                merged.rows.push(new[right].place);
                merged.changed.push((new[right].place, false));
                right += 1;
            }
            std::cmp::Ordering::Equal => {
                merged.count_live(layout, gather, full, old[left].place, false);
                pairs.push((old[left], new[right]));
                left += 1;
                right += 1;
            }
        }
    }
    merged.settle_pairs(layout, gather, &pairs);
    if merged.is_changed() {
        sort(layout, chunks, gather, &mut merged.rows);
    }
    Ok(merged)
}

impl Merged {
    /// A stored row that did not come: it stays, marked as deleted if the export was full.
    fn keep_absent(&mut self, layout: &Layout, gather: &Gather<'_>, full: FullSources<'_>, place: Place) {
        let vanishes = self.count_live(layout, gather, full, place, true);
        self.counts.deleted += u64::from(vanishes);
        if vanishes {
            self.changed.push((place.gone(), true));
        }
        self.rows.push(if vanishes { place.gone() } else { place });
    }

    /// Counts a stored row of a full export; says whether it is live and belongs to it.
    fn count_live(
        &mut self,
        layout: &Layout,
        gather: &Gather<'_>,
        full: FullSources<'_>,
        place: Place,
        absent: bool,
    ) -> bool {
        let Some(sources) = full else { return false };
        if gather.truth(layout.deleted, place) {
            return false;
        }
        let Some(source) = gather.text(layout.source, place).filter(|source| sources.contains(*source)) else {
            return false;
        };
        let counts = match self.live.get_mut(source) {
            Some(counts) => counts,
            None => self.live.entry(source.to_owned()).or_default(),
        };
        counts.0 += 1;
        counts.1 += u64::from(absent);
        true
    }

    /// Decides between the stored row and the incoming one of the same key.
    fn settle_pairs(&mut self, layout: &Layout, gather: &Gather<'_>, pairs: &[(Entry, Entry)]) {
        let mut same = vec![true; pairs.len()];
        // Column by column, so that the parts of a column stay in the processor's cache.
        for column in &layout.compared {
            for (same, (old, new)) in same.iter_mut().zip(pairs) {
                *same = *same && gather.same(*column, old.place, new.place);
            }
        }
        for (same, (old, new)) in same.into_iter().zip(pairs) {
            let is_stale = new.modified != NEVER && old.modified > new.modified;
            if same {
                self.counts.unchanged += 1;
                self.rows.push(old.place);
            } else if is_stale {
                self.counts.duplicate += 1;
                self.rows.push(old.place);
            } else {
                self.counts.updated += 1;
                self.rows.push(new.place);
                self.updated.push((old.place, new.place));
                self.changed.push((new.place, !gather.truth(layout.deleted, old.place)));
            }
        }
    }
}

fn entries(layout: &Layout, chunks: &[Chunk], range: std::ops::Range<usize>) -> Result<Vec<Entry>, LakeError> {
    let mut entries = Vec::with_capacity(chunks[range.clone()].iter().map(|chunk| chunk.rows).sum());
    for index in range {
        let chunk = &chunks[index];
        let hashes = chunk.key_hashes(layout)?;
        let modified =
            chunk.columns[layout.modified].as_ref().and_then(|column| column.as_primitive_opt::<Int64Type>());
        for (row, hash) in hashes.into_iter().enumerate() {
            let modified = modified.filter(|times| times.is_valid(row)).map_or(NEVER, |times| times.value(row));
            entries.push(Entry { hash, modified, place: Place::new(index, row) });
        }
    }
    // The hash is as good as random, so its highest bits split the entries evenly.
    let top = |entry: &Entry| (entry.hash >> (u128::BITS - PART_BITS)) as usize;
    Ok(sort_in_parts(entries, 1 << PART_BITS, top, Ord::cmp))
}

/// Bits of a hash by which entries are split before they are sorted.
const PART_BITS: u32 = 10;
/// Fewer rows than this are sorted as a whole.
const FEW: usize = 1 << 13;

/// Sorts by part first, then within the parts, which fit into the processor's cache.
/// `part` must rise with the order.
fn sort_in_parts<T: Copy>(
    rows: Vec<T>,
    parts: usize,
    part: impl Fn(&T) -> usize,
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> Vec<T> {
    let Some(first) = rows.first().copied().filter(|_| rows.len() >= FEW) else {
        let mut rows = rows;
        rows.sort_unstable_by(&order);
        return rows;
    };
    let mut ends = vec![0usize; parts];
    for row in &rows {
        ends[part(row)] += 1;
    }
    let mut next = 0;
    for end in &mut ends {
        next += std::mem::replace(end, next);
    }
    let mut sorted = vec![first; rows.len()];
    for row in &rows {
        let place = &mut ends[part(row)];
        sorted[*place] = *row;
        *place += 1;
    }
    let mut start = 0;
    for end in ends {
        sorted[start..end].sort_unstable_by(&order);
        start = end;
    }
    sorted
}

/// Keeps the last entry of every key: the newest one, and the last in file order of those.
/// Returns the others with the one that won, unless they say the same.
fn keep_winners(layout: &Layout, gather: &Gather<'_>, entries: &mut Vec<Entry>) -> Vec<(Place, Place)> {
    let mut superseded = Vec::new();
    let (mut kept, mut first) = (0, 0);
    for index in 0..entries.len() {
        let winner = entries[index];
        if entries.get(index + 1).is_some_and(|next| next.hash == winner.hash) {
            continue;
        }
        for loser in &entries[first..index] {
            if !layout.compared.iter().all(|column| gather.same(*column, loser.place, winner.place)) {
                superseded.push((loser.place, winner.place));
            }
        }
        first = index + 1;
        entries[kept] = winner;
        kept += 1;
    }
    entries.truncate(kept);
    superseded
}

/// Sorts by (business date, nulls last; key; source system).
fn sort(layout: &Layout, chunks: &[Chunk], gather: &Gather<'_>, rows: &mut Vec<Place>) {
    in_storage_order(chunks, rows);
    let skip = common_prefix(layout, gather, rows);
    let keyed: Vec<(u128, Place)> = rows.iter().map(|place| (sort_key(layout, gather, *place, skip), *place)).collect();
    let order = |(left, left_place): &(u128, Place), (right, right_place): &(u128, Place)| {
        left.cmp(right).then_with(|| {
            // The short key holds twelve bytes; the whole texts decide what it leaves open.
            let texts = |column: usize| (gather.text(column, *left_place), gather.text(column, *right_place));
            let (left_key, right_key) = texts(layout.key);
            left_key.cmp(&right_key).then_with(|| {
                let (left_source, right_source) = texts(layout.source);
                left_source.cmp(&right_source)
            })
        })
    };
    // One part per day, and the last one for what has no date or lies too far out.
    let day = |(key, _): &(u128, Place)| (key >> 96) as u32;
    let least = keyed.iter().map(day).min().unwrap_or(0);
    let greatest = keyed.iter().map(day).filter(|day| *day < u32::MAX).max().unwrap_or(least);
    let parts = ((greatest - least.min(greatest)) as usize + 2).min(MOST_PARTS);
    let part = |row: &(u128, Place)| ((day(row) - least) as usize).min(parts - 1);
    let sorted = sort_in_parts(keyed, parts, part, order);
    rows.clear();
    rows.extend(sorted.into_iter().map(|(_, place)| place));
}

/// Most days that are told apart before sorting.
const MOST_PARTS: usize = 1 << 16;

/// Rows arrive in the order of their hashes; brought back to the order of the chunks, their keys
/// and dates are read in sequence.
fn in_storage_order(chunks: &[Chunk], rows: &mut Vec<Place>) {
    let mut kept: Vec<Vec<Option<Place>>> = chunks.iter().map(|chunk| vec![None; chunk.rows]).collect();
    for place in rows.iter() {
        kept[place.chunk()][place.row()] = Some(*place);
    }
    rows.clear();
    rows.extend(kept.into_iter().flatten().flatten());
}

/// Business date in the high 32 bits, then the first twelve bytes of the key after the common prefix.
fn sort_key(layout: &Layout, gather: &Gather<'_>, place: Place, skip: usize) -> u128 {
    let date = layout.date.and_then(|column| gather.small(column, place));
    // Flipping the sign bit makes signed days sort as unsigned ones; the largest value is left to null.
    let date = date.map_or(u32::MAX, |days| (days.cast_unsigned() ^ 0x8000_0000).min(u32::MAX - 1));
    let key = gather.text(layout.key, place).unwrap_or_default().as_bytes();
    let tail = key.get(skip..).unwrap_or_default();
    let mut bytes = [0u8; 16];
    bytes[..4].copy_from_slice(&date.to_be_bytes());
    let count = tail.len().min(12);
    bytes[4..4 + count].copy_from_slice(&tail[..count]);
    u128::from_be_bytes(bytes)
}

/// Bytes that all keys begin with: identifiers of one system often differ at the end only.
fn common_prefix(layout: &Layout, gather: &Gather<'_>, rows: &[Place]) -> usize {
    let Some(first) = rows.first().and_then(|place| gather.text(layout.key, *place)) else { return 0 };
    let mut shared = first.as_bytes();
    for place in rows {
        let key = gather.text(layout.key, *place).unwrap_or_default().as_bytes();
        let same = shared.iter().zip(key).take_while(|(left, right)| left == right).count();
        shared = &shared[..same];
        if shared.is_empty() {
            break;
        }
    }
    shared.len()
}
