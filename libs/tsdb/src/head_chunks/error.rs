//! What goes wrong with head chunk files.

use std::io;
use std::path::{Path, PathBuf};

/// Why head chunks could not be written, found or read.
#[derive(Debug, thiserror::Error)]
pub enum HeadChunkError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Bytes are not what was written.
    #[error("{} is damaged at byte {at}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset of the record.
        at: u32,
        /// What is wrong.
        what: &'static str,
    },
}

impl HeadChunkError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Whether a file itself is damaged, as against an error of the file system.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}
