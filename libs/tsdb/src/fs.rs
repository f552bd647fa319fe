//! The file system as this crate needs it: a trait, the real one, and one in memory that fails on demand.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

mod faulty;
mod map;

pub use faulty::FaultyFs;

/// Files in folders. Calls block.
pub trait Fs: Debug + Send + Sync {
    /// Makes a folder and those above it; it may be there.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// The names of the files and folders in a folder that are UTF-8, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a file, which must not be there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>>;
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;
    /// The contents of a file, as long as it is now, without reading them: the kernel brings them when they are touched, and may take them from memory again. Only
    /// for files that are never cut or overwritten; they may grow and be deleted. A disk that cannot read a page ends the process
    /// (`docs/adr/0004-mapped-files.md`).
    fn map(&self, path: &Path) -> io::Result<Bytes>;
    /// A file that is too far away to be mapped, to be read part by part. `None`: it is near; [`Fs::map`] it.
    fn paged(&self, path: &Path) -> io::Result<Option<Arc<dyn PagedFile>>> {
        let _ = path;
        Ok(None)
    }
    /// Makes the contents of a file durable that somebody else wrote.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// Cuts a file.
    fn set_len(&self, path: &Path, len: u64) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Gives a file or a folder another name on the same file system. A file that has that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a folder and all in it; it may be missing.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file that is written at its end.
pub trait AppendFile: Debug + Send + Sync {
    /// Writes all of `bytes` at the end. After an error any part of them may be there.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file; the next append goes there.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the contents durable. After an error nothing is known of what was not durable before.
    fn sync(&self) -> io::Result<()>;
}

/// A file that is read.
pub trait ReadFile: Debug + Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
    /// Reads at an offset; how many bytes. 0 at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
}

/// A file that never changes and whose parts are fetched from elsewhere, a block's in an object store. Calls block until the bytes are there.
pub trait PagedFile: Debug + Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> u64;
    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The bytes of a range, which lies within the file.
    fn read(&self, range: Range<u64>) -> io::Result<Bytes>;
    /// The same of a range that is kept for as long as the file is open, so that it is best mapped.
    fn read_kept(&self, range: Range<u64>) -> io::Result<Bytes>;
    /// Fetches ranges that will be read one by one, together. What lies beyond the end is left out.
    fn prefetch(&self, ranges: &[Range<u64>]) -> io::Result<()>;
}

/// The real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFs;

impl Fs for RealFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(RealFile(File::open(path)?)))
    }

    fn map(&self, path: &Path) -> io::Result<Bytes> {
        map::map(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_data()
    }

    fn set_len(&self, path: &Path, len: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.set_len(len)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl AppendFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl ReadFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|m| m.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }
}
