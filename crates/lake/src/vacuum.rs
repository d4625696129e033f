//! Clean-up: files that no kept state needs, and what crashes left behind.
//!
//! A file is kept if one of the newest states names it; everything else in the folders of the
//! tables goes. The marker notes the oldest state that can still be opened before anything is
//! removed, so that an interrupted clean-up never leaves a state that opens but cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::lake::{BATCHES, Lake, forget_before, lock};
use crate::recover::{self, STAGING};
use crate::schema::pinned_tables;
use crate::table::{LogEngine, TableLog};
use crate::{LakeError, changes, durable};

/// Folder for data derived from states of the lake, one subfolder per sequence.
pub(crate) const DERIVED: &str = "_derived";

/// What a clean-up removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacuumed {
    /// Files, absolute and sorted.
    pub files: Vec<PathBuf>,
    pub bytes: u64,
    /// Oldest state that can still be opened.
    pub oldest_sequence: u64,
}

pub(crate) fn vacuum(root: &Path, engine: &LogEngine, keep_batches: u64, dry_run: bool) -> Result<Vacuumed, LakeError> {
    let _lock = lock(root)?;
    let lake = Lake::newest(root, engine)?;
    if !dry_run {
        recover::restore(&lake)?;
    }
    // Sequence 0, the empty lake, needs no file and stays as long as the first state does.
    let kept = keep_batches.max(1);
    let oldest = if lake.sequence() > kept { lake.sequence() - kept + 1 } else { 0 };
    let mut found = BTreeSet::new();
    let mut all_needed = BTreeMap::new();
    for name in pinned_tables().chain([BATCHES]) {
        let log = TableLog::new(root, name, engine);
        let needed = needed_files(&lake, &log, name, oldest)?;
        found.extend(data_files(log.folder())?.into_iter().filter(|path| !needed.contains(path)));
        found.extend(durable::list(&log.folder().join("_delta_log"))?.into_iter().filter(|path| is_torn_commit(path)));
        all_needed.insert(name.to_owned(), needed);
    }
    found.extend(changes::outdated(root, &all_needed)?);
    found.extend(tree(&root.join(STAGING))?);
    for folder in durable::list(&root.join(DERIVED))? {
        if derived_sequence(&folder).is_none_or(|sequence| sequence < oldest || sequence > lake.sequence()) {
            found.extend(tree(&folder)?);
        }
    }
    let mut vacuumed = Vacuumed { files: found.into_iter().collect(), bytes: 0, oldest_sequence: oldest };
    for path in &vacuumed.files {
        vacuumed.bytes += fs::symlink_metadata(path).map_err(LakeError::io("read", path))?.len();
    }
    if !dry_run {
        forget_before(root, oldest)?;
        remove(root, &vacuumed.files)?;
    }
    Ok(vacuumed)
}

fn needed_files(lake: &Lake, log: &TableLog, name: &str, oldest: u64) -> Result<BTreeSet<PathBuf>, LakeError> {
    let mut versions = BTreeSet::new();
    if name == BATCHES {
        versions.extend(log.newest_version()?);
    } else {
        let kept = lake.batches()?.into_iter().filter(|record| record.sequence >= oldest);
        versions.extend(kept.filter_map(|record| record.table_versions.get(name).copied()));
    }
    let mut needed = BTreeSet::new();
    for version in versions {
        needed.extend(log.files(version)?.into_iter().map(|file| file.path));
    }
    Ok(needed)
}

fn data_files(table: &Path) -> Result<Vec<PathBuf>, LakeError> {
    let mut files = Vec::new();
    for folder in durable::list(table)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("bucket=") {
            files.extend(durable::list(&folder)?.into_iter().filter(|path| path.is_file()));
        }
    }
    Ok(files)
}

/// A commit that was being written when the writer died has a `#` in its name.
fn is_torn_commit(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains('#'))
}

fn derived_sequence(folder: &Path) -> Option<u64> {
    folder.file_name()?.to_str()?.parse().ok()
}

/// All files below a folder.
fn tree(folder: &Path) -> Result<Vec<PathBuf>, LakeError> {
    if !folder.is_dir() {
        return Ok(if folder.exists() { vec![folder.to_path_buf()] } else { Vec::new() });
    }
    let mut files = Vec::new();
    for path in durable::list(folder)? {
        files.extend(tree(&path)?);
    }
    Ok(files)
}

fn remove(root: &Path, files: &[PathBuf]) -> Result<(), LakeError> {
    let mut folders = BTreeSet::new();
    for path in files {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LakeError::io("remove", path)(error));
            }
            _ => {}
        }
        folders.extend(path.parent().map(Path::to_path_buf));
    }
    for folder in folders {
        // Folders that became empty go too; those that did not refuse.
        if folder != root {
            let _ = fs::remove_dir(&folder);
        }
    }
    Ok(())
}
