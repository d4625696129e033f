//! Back to the pinned state: what a writer does before it works, and when it gives up.
//!
//! A table that is ahead of the newest batch gets one more commit that takes the later files out
//! and puts the earlier ones back. Readers are not disturbed: they read the pinned version.
//! Files that only the undone versions knew stay on disk until the next vacuum.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::LakeError;
use crate::lake::Lake;
use crate::parquet_file::{self, NewFile};
use crate::schema::{arrow_schema, known_table, pinned_tables};
use crate::table::{Change, TableLog};

/// Folder for rows that did not fit into memory.
pub(crate) const STAGING: &str = "_staging";

/// Restores every table that is ahead of the state of `lake`, and clears the staging folder.
pub(crate) fn restore(lake: &Lake) -> Result<(), LakeError> {
    clear_staging(lake.root())?;
    for name in pinned_tables() {
        restore_table(lake, name)?;
    }
    Ok(())
}

pub(crate) fn clear_staging(root: &Path) -> Result<(), LakeError> {
    let staging = root.join(STAGING);
    match fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LakeError::io("remove", &staging)(error)),
        _ => Ok(()),
    }
}

fn restore_table(lake: &Lake, name: &str) -> Result<(), LakeError> {
    let log = TableLog::new(lake.root(), name, lake.engine());
    let pinned = lake.table_version(name);
    let Some(newest) = log.newest_version()? else {
        return match pinned {
            None => Ok(()),
            Some(version) => Err(LakeError::damaged(log.folder(), format!("version {version} is missing"))),
        };
    };
    if pinned == Some(newest) {
        return Ok(());
    }
    if pinned.is_some_and(|version| version > newest) {
        let reason = format!("the newest version is {newest}, but a batch needs {}", pinned.unwrap_or_default());
        return Err(LakeError::damaged(log.folder(), reason));
    }
    let table = known_table(name).ok_or_else(|| LakeError::UnknownTable { name: name.to_owned() })?;
    let wanted = pinned.map_or(Ok(Vec::new()), |version| log.files(version))?;
    let found = log.files(newest)?;
    let wanted_paths: BTreeSet<&PathBuf> = wanted.iter().map(|file| &file.path).collect();
    let found_paths: BTreeSet<&PathBuf> = found.iter().map(|file| &file.path).collect();
    let remove: Vec<PathBuf> = found_paths.difference(&wanted_paths).map(|path| (*path).clone()).collect();
    let missing = wanted.iter().filter(|file| !found_paths.contains(&file.path));
    let add: Vec<NewFile> = missing
        .map(|file| parquet_file::describe(&file.path, file.bucket, table.business_date))
        .collect::<Result<_, _>>()?;
    if add.is_empty() && remove.is_empty() {
        return Ok(());
    }
    let before = pinned.map_or(Ok(None), |version| log.buckets(version).map(Some))?;
    let buckets = match before {
        Some(before) if before != log.buckets(newest)? => Some(before),
        _ => None,
    };
    let change = Change { add: &add, remove: &remove, buckets, transaction: None, purpose: "restore" };
    log.commit(newest, arrow_schema(table).fields(), &change)?;
    Ok(())
}
