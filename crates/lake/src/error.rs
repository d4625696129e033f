//! Everything that can go wrong in a lake, and what to do about it.
//!
//! A variant names the fact and the place. Errors of the libraries below are kept as sources;
//! an operating system error is looked for among them, so that a full disk is reported as a
//! full disk whichever layer met it.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// An error of another library, kept as the cause.
pub(crate) type Cause = Box<dyn Error + Send + Sync + 'static>;

/// Why the lake could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    #[error("{} is not a lake: it has no readable dealframe.json", root.display())]
    NotALake { root: PathBuf },
    #[error("{} holds other files and is not a lake", root.display())]
    NotEmpty { root: PathBuf },
    #[error("{} has lake format {found}; this version reads format 1", root.display())]
    UnknownFormat { root: PathBuf, found: u64 },
    #[error("another process is writing to the lake {}", root.display())]
    Locked { root: PathBuf },
    #[error("the lake has no state {wanted}: its states are 0 to {newest}")]
    NoSuchState { wanted: String, newest: u64 },
    #[error("state {sequence} of the lake was cleaned up; the oldest one kept is {oldest}")]
    StateCleaned { sequence: u64, oldest: u64 },
    #[error("the lake knows no table {name:?}")]
    UnknownTable { name: String },
    #[error("table {table} has no column {column:?}")]
    UnknownColumn { table: String, column: String },
    #[error("table {table}: column {position} is {found}, expected {expected}")]
    WrongColumn { table: String, position: usize, found: String, expected: String },
    #[error("table {table}: row {row} of the batch (line {line} of {file}) has no {column}")]
    MissingKey { table: String, column: String, row: usize, line: String, file: String },
    #[error("table {table}, column {column}: {value} does not fit decimal(18)")]
    DecimalTooLarge { table: String, column: String, value: i128 },
    #[error(
        "table {table}: {vanishing} of {live} live rows of {source_system} are missing from the full export, more than 5 %"
    )]
    ShrinkRefused { table: String, source_system: String, live: u64, vanishing: u64 },
    #[error(
        "rows are not conserved: {read} read, but {loaded} loaded + {rejected} rejected + {duplicate} duplicate + {furniture} furniture = {sum}"
    )]
    NotConserved { read: u64, loaded: u64, rejected: u64, duplicate: u64, furniture: u64, sum: u64 },
    #[error("{loaded} rows loaded, but {inserted} inserted + {updated} updated + {unchanged} unchanged")]
    LoadedNotConserved { loaded: u64, inserted: u64, updated: u64, unchanged: u64 },
    #[error("the record is of batch {found:?}, the running batch is {expected:?}")]
    WrongBatch { found: String, expected: String },
    #[error("batch {batch_id:?} is part of the lake already, as state {sequence}")]
    AlreadyApplied { batch_id: String, sequence: u64 },
    #[error("table {table} moved on to version {found} while version {expected} was being written")]
    Conflict { table: String, found: u64, expected: u64 },
    #[error("{}: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("table {table}: cannot {action}: {source}")]
    Log { table: String, action: &'static str, source: Cause },
    #[error("cannot {action} {}: {source}", path.display())]
    Parquet { action: &'static str, path: PathBuf, source: Cause },
    #[error("table {table}: cannot {action}: {source}")]
    Arrow { table: String, action: &'static str, source: Cause },
    /// An error of the caller that travelled through the row iterator or the change listener.
    #[error("{0}")]
    Caller(Cause),
}

impl LakeError {
    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotALake { root } => Some(format!(
                "name the folder that was given as --lake to `dealframe ingest`, or ingest into {} to make it a lake",
                root.display()
            )),
            Self::NotEmpty { .. } => Some("choose an empty or a new folder for the lake".into()),
            Self::UnknownFormat { .. } => Some("use the dealframe version that wrote it, or a newer one".into()),
            Self::Locked { .. } => Some("wait until the other ingest has finished; readers are not affected".into()),
            Self::NoSuchState { newest, .. } => Some(format!("the newest state is {newest}")),
            Self::StateCleaned { oldest, .. } => Some(format!("ask for state {oldest} or a newer one")),
            Self::ShrinkRefused { .. } => Some(
                "check that the export is complete; if the rows are really gone, repeat with --allow-shrink".into(),
            ),
            Self::MissingKey { .. } => Some("map a column to the key, or reject the row before it is loaded".into()),
            Self::Conflict { .. } => Some("another program wrote to the table; run the ingest again".into()),
            Self::Damaged { .. } => Some(RESTORE.into()),
            _ if self.is_unreadable() => Some(RESTORE.into()),
            _ => self.io_kind().and_then(storage_hint).map(Into::into),
        }
    }

    /// Whether the user or the data must change something (exit code 1), rather than this program.
    pub fn is_user_fault(&self) -> bool {
        match self {
            Self::NotALake { .. }
            | Self::NotEmpty { .. }
            | Self::UnknownFormat { .. }
            | Self::Locked { .. }
            | Self::NoSuchState { .. }
            | Self::StateCleaned { .. }
            | Self::UnknownTable { .. }
            | Self::UnknownColumn { .. }
            | Self::ShrinkRefused { .. }
            | Self::MissingKey { .. }
            | Self::DecimalTooLarge { .. }
            | Self::AlreadyApplied { .. }
            | Self::Damaged { .. } => true,
            _ if self.is_unreadable() => true,
            _ => self.io_kind().and_then(storage_hint).is_some(),
        }
    }

    /// A log or a data file that says what it cannot say: somebody else wrote there, or the disk lost something.
    fn is_unreadable(&self) -> bool {
        let (action, source) = match self {
            Self::Log { action, source, .. } | Self::Parquet { action, source, .. } => (action, source),
            _ => return false,
        };
        let reads = ["open", "read", "list"].iter().any(|verb| action.starts_with(verb));
        reads && self.io_kind().is_none_or(|kind| kind == io::ErrorKind::NotFound) && !source.to_string().is_empty()
    }

    /// Wraps an error of the caller, for row iterators and change listeners.
    pub fn caller(error: impl Into<Cause>) -> Self {
        Self::Caller(error.into())
    }

    pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { action, path: path.to_path_buf(), source }
    }

    pub(crate) fn parquet<'a, E: Into<Cause>>(action: &'static str, path: &'a Path) -> impl FnOnce(E) -> Self + 'a {
        move |source| Self::Parquet { action, path: path.to_path_buf(), source: source.into() }
    }

    pub(crate) fn arrow<'a, E: Into<Cause>>(action: &'static str, table: &'a str) -> impl FnOnce(E) -> Self + 'a {
        move |source| Self::Arrow { table: table.to_owned(), action, source: source.into() }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), reason: reason.into() }
    }

    /// The operating system's verdict, wherever in the chain of causes it stands.
    fn io_kind(&self) -> Option<io::ErrorKind> {
        let mut current: Option<&(dyn Error + 'static)> = match self {
            Self::Io { source, .. } => return Some(source.kind()),
            Self::Log { source, .. } | Self::Parquet { source, .. } | Self::Arrow { source, .. } => {
                Some(source.as_ref())
            }
            Self::Caller(source) => Some(source.as_ref()),
            _ => None,
        };
        let mut deepest = None;
        while let Some(error) = current {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Some(error.kind());
            }
            deepest = Some(error);
            current = error.source();
        }
        // Some layers keep only the text of the error below.
        deepest.and_then(|error| kind_from_text(&error.to_string()))
    }
}

fn kind_from_text(text: &str) -> Option<io::ErrorKind> {
    [
        ("No space left", io::ErrorKind::StorageFull),
        ("Disk quota exceeded", io::ErrorKind::QuotaExceeded),
        ("Read-only file system", io::ErrorKind::ReadOnlyFilesystem),
        ("Permission denied", io::ErrorKind::PermissionDenied),
    ]
    .into_iter()
    .find_map(|(part, kind)| text.contains(part).then_some(kind))
}

/// What helps when a file of the lake is not what it was.
const RESTORE: &str = "restore the lake from a backup, or ingest the exports again into a new folder";

/// What the user can do about the operating system's verdict; `None` where it points to a fault of ours.
fn storage_hint(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    Some(match kind {
        Kind::StorageFull => "free some disk space and run again; the lake is as it was before",
        Kind::QuotaExceeded => "free some space of your disk quota and run again; the lake is as it was before",
        Kind::ReadOnlyFilesystem | Kind::PermissionDenied => {
            "give this user the right to write in the lake's folder, or choose another folder"
        }
        Kind::NotADirectory | Kind::AlreadyExists => {
            "a file stands where a folder is needed; name a folder, or a path that is still free"
        }
        Kind::NotFound => "check the path; no folder can be made or found there",
        Kind::IsADirectory => "a folder stands where a file is needed; move it away",
        Kind::InvalidFilename => "choose a shorter path, of characters that the file system knows",
        Kind::FileTooLarge => "choose a file system that holds larger files",
        Kind::ResourceBusy | Kind::ExecutableFileBusy | Kind::Deadlock => {
            "another program uses the file; wait until it has finished, and run again"
        }
        Kind::NotSeekable
        | Kind::Unsupported
        | Kind::StaleNetworkFileHandle
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::TimedOut => {
            "choose a folder on a disk of this machine: the file system there does not do what a lake needs"
        }
        Kind::OutOfMemory => "free some memory and run again; the lake is as it was before",
        // Wrong arguments and short reads are ours. A kind that the standard library does not name, such as
        // a failing disk or too many links, is the machine's.
        Kind::InvalidInput
        | Kind::InvalidData
        | Kind::UnexpectedEof
        | Kind::WriteZero
        | Kind::Interrupted
        | Kind::Other => return None,
        _ => "check the path, the permissions and the disk",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_says_is_the_users_to_settle() {
        for kind in [
            io::ErrorKind::NotFound,
            io::ErrorKind::NotADirectory,
            io::ErrorKind::AlreadyExists,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::StorageFull,
            io::ErrorKind::InvalidFilename,
        ] {
            let error = LakeError::io("write", Path::new("lake"))(kind.into());
            assert!(error.is_user_fault() && error.hint().is_some(), "{kind}");
        }
        // Too many links, too many open files, an input or output error: no kind of their own.
        for code in [40, 24, 5] {
            let error = LakeError::io("write", Path::new("lake"))(io::Error::from_raw_os_error(code));
            assert!(error.is_user_fault() && error.hint().is_some(), "{error}");
        }
        let ours = LakeError::io("write", Path::new("lake"))(io::ErrorKind::InvalidInput.into());
        assert!(!ours.is_user_fault() && ours.hint().is_none());
    }
}
