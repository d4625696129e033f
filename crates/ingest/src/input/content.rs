//! Bytes that can be read at any place by several threads: a file on disk, or memory.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Readable bytes of known length.
#[derive(Debug, Clone)]
pub struct Content {
    held: Held,
    length: u64,
    /// Length and time of the file when it was opened, to notice that it changes.
    stamp: Option<(u64, Option<SystemTime>)>,
    skip: u64,
}

#[derive(Debug, Clone)]
enum Held {
    Disk(Arc<File>),
    Memory(Arc<Vec<u8>>),
}

impl Content {
    /// A file on disk.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let data = file.metadata()?;
        let length = data.len();
        Ok(Self { held: Held::Disk(Arc::new(file)), length, stamp: Some((length, data.modified().ok())), skip: 0 })
    }

    /// Bytes in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len() as u64, held: Held::Memory(Arc::new(bytes)), stamp: None, skip: 0 }
    }

    /// The same bytes without the first `count`: a byte order mark.
    #[must_use]
    pub fn without_first(mut self, count: u64) -> Self {
        let count = count.min(self.length);
        self.skip += count;
        self.length -= count;
        self
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// True when there is not a single byte.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes skipped before the first one.
    pub fn skipped(&self) -> u64 {
        self.skip
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// When the bytes are not there, or cannot be read.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        let offset = offset + self.skip;
        match &self.held {
            Held::Memory(bytes) => {
                let start = usize::try_from(offset).map_err(std::io::Error::other)?;
                let part = bytes
                    .get(start..start + buffer.len())
                    .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
                buffer.copy_from_slice(part);
                Ok(())
            }
            Held::Disk(file) => read_file_at(file, buffer, offset),
        }
    }

    /// A copy of up to `count` bytes from `offset` on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn part(&self, offset: u64, count: usize) -> std::io::Result<Vec<u8>> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut out = vec![0; count.min(left)];
        self.read_exact_at(&mut out, offset)?;
        Ok(out)
    }

    /// Whether the file on disk is still the one that was opened.
    pub fn is_unchanged(&self) -> bool {
        match (&self.held, &self.stamp) {
            (Held::Disk(file), Some(stamp)) => {
                file.metadata().is_ok_and(|data| (data.len(), data.modified().ok()) == *stamp)
            }
            _ => true,
        }
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_file_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !buffer.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[count..];
        offset += count as u64;
    }
    Ok(())
}
