//! What goes wrong with blocks.

use std::io;
use std::path::{Path, PathBuf};

use crate::chunk::ChunkError;
use crate::head::HeadError;

/// Why a block could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Bytes of a file are not what they should be.
    #[error("{file} is damaged at byte {at}: {what}")]
    Corrupt {
        /// Name of the file within the block.
        file: String,
        /// Offset of the damaged record.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// `meta.json` cannot be read.
    #[error("meta.json: {0}")]
    Meta(String),
    /// A chunk that is whole by its checksum cannot be decoded.
    #[error("chunk {reference:#x}: {source}")]
    Chunk {
        /// The chunk's reference; 0 for one that is not from a block.
        reference: u64,
        /// Why.
        source: ChunkError,
    },
    /// The head that a block is cut from cannot be read.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Series must be written in label order, each once.
    #[error("series {0} does not follow the series before it in label order")]
    SeriesOrder(String),
    /// Chunks of a series must ascend, not overlap, and lie within the block's range.
    #[error("chunks of series {0} overlap or leave the block's time range")]
    ChunkRange(String),
    /// The caller wants no more of it.
    #[error("stopped before the block was whole")]
    Stopped,
    /// A part of the format is full.
    #[error("block is too large: {what} exceed {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The most that the format or the reader allows.
        limit: u64,
    },
}

impl BlockError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn corrupt(file: &str, at: u64, what: &'static str) -> Self {
        Self::Corrupt { file: file.to_owned(), at, what }
    }

    /// Whether the block itself is damaged, as against an error of the file system or of the caller.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Meta(_) | Self::Chunk { .. })
    }
}
