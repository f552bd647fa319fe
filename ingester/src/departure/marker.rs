//! The file that says that the ingester is to leave.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tsdb::fs::Fs;

const FILE: &str = "prepare-shutdown";

/// The file, there or not.
#[derive(Debug)]
pub(crate) struct Marker {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
}

impl Marker {
    /// In the data directory.
    pub(crate) fn new(fs: Arc<dyn Fs>, dir: PathBuf) -> Self {
        Self { fs, dir }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.fs.open(&self.dir.join(FILE)).is_ok()
    }

    /// Makes or removes it; on the disk when this returns.
    pub(super) fn set(&self, there: bool) -> io::Result<()> {
        let path = self.dir.join(FILE);
        if self.is_set() == there {
            return Ok(());
        }
        match there {
            true => self.fs.create(&path)?.sync()?,
            false => self.fs.remove(&path)?,
        }
        self.fs.sync_dir(&self.dir)
    }
}
