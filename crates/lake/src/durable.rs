//! Files and folders that survive a power cut once a function here has returned.
//!
//! A name is durable only after its folder was synced too, so every function syncs both.
//! Commits of the table log have their own durability, see `table.rs`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::LakeError;

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), LakeError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(LakeError::io("sync folder", path))
}

/// Creates a folder and its missing parents, all of them durable.
pub(crate) fn create_folder(path: &Path) -> Result<(), LakeError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folder(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(LakeError::io("create folder", path)(error)),
    }
    match parent {
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

/// Puts a small file in place as a whole: readers see the old content or the new one.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> Result<(), LakeError> {
    let temporary = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(LakeError::io("write", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Names in a folder; none when the folder does not exist.
pub(crate) fn list(path: &Path) -> Result<Vec<PathBuf>, LakeError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LakeError::io("list", path)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(LakeError::io("list", path))?.path());
    }
    paths.sort();
    Ok(paths)
}
