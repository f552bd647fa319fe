//! What can go wrong.

use std::path::{Path, PathBuf};

use bucket::BucketError;
use runtime::failpoint::Injected;
use tsdb::block::{BlockError, Ulid};

/// An error of the compactor. Each ends one tenant's round at most; the next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A local file or folder.
    #[error("could not {action} {path}: {source}")]
    Local {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A source cannot be read: it is damaged.
    #[error("block {block} cannot be read: {source}")]
    Source {
        /// The block.
        block: Ulid,
        /// Why.
        source: BlockError,
    },
    /// The merge failed for another reason than a damaged source.
    #[error("blocks could not be merged: {0}")]
    Merge(BlockError),
    /// What was written does not read back.
    #[error("merged block {block} does not read back: {what}")]
    Unsound {
        /// The new block.
        block: Ulid,
        /// The first problem.
        what: String,
    },
    /// A blocking task panicked; the hook has logged it.
    #[error("a merge panicked")]
    Panicked,
    /// A failpoint was armed.
    #[error(transparent)]
    Injected(#[from] Injected),
    /// The process is stopping.
    #[error("the compactor is stopping")]
    Stopping,
}

impl Error {
    pub(crate) fn local(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Local { action, path: path.to_owned(), source }
    }
}
