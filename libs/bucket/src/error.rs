//! What can go wrong.

use std::path::PathBuf;
use std::sync::Arc;

use runtime::failpoint::Injected;

use crate::layout::Key;

/// An error of object storage.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BucketError {
    /// There is no object of this name.
    #[error("object {key} is not there")]
    NotFound {
        /// Its name.
        key: Key,
    },
    /// [`crate::Bucket::create`] found one.
    #[error("object {key} is there already")]
    AlreadyExists {
        /// Its name.
        key: Key,
    },
    /// [`crate::Bucket::replace`] found another version than the one it was to replace.
    #[error("object {key} was changed by somebody else meanwhile")]
    Changed {
        /// Its name.
        key: Key,
    },
    /// An operation took longer than `object_store.timeout_seconds`.
    #[error("object store did not {operation} {key} within {seconds} s (object_store.timeout_seconds)")]
    Timeout {
        /// What was tried.
        operation: &'static str,
        /// On which object or prefix.
        key: Key,
        /// The limit.
        seconds: u64,
    },
    /// An object is larger than what is read of its kind.
    #[error("object {key} has {len} bytes, more than the {max} that are read of its kind")]
    TooLarge {
        /// Its name.
        key: Key,
        /// Its length.
        len: u64,
        /// The bound.
        max: u64,
    },
    /// A prefix holds more than is listed at a time.
    #[error("more than {max} objects under {prefix}")]
    TooMany {
        /// The prefix.
        prefix: Key,
        /// The bound.
        max: usize,
    },
    /// What was read is not what belongs there.
    #[error("object {key} is damaged: {what}")]
    Damaged {
        /// Its name.
        key: Key,
        /// What is wrong.
        what: String,
    },
    /// The store said no, or could not be reached.
    #[error("object store could not {operation} {key}: {source}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// On which object or prefix.
        key: Key,
        /// What the store said.
        source: Arc<object_store::Error>,
    },
    /// A local file could not be read or written.
    #[error("could not {action} {path}: {source}")]
    Local {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The URL or one of its options is wrong.
    #[error("--object-store {url}: {what}")]
    Url {
        /// The URL, without secrets.
        url: String,
        /// What is wrong.
        what: String,
    },
}

impl BucketError {
    /// Whether an object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether trying again later may help: not for what is missing, damaged or too large.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Store { .. } | Self::Changed { .. })
    }

    pub(crate) fn of_store(operation: &'static str, key: &Key, source: object_store::Error) -> Self {
        let key = key.clone();
        match source {
            object_store::Error::NotFound { .. } => Self::NotFound { key },
            object_store::Error::AlreadyExists { .. } => Self::AlreadyExists { key },
            object_store::Error::Precondition { .. } => Self::Changed { key },
            source => Self::Store { operation, key, source: Arc::new(source) },
        }
    }

    pub(crate) fn injected(operation: &'static str, key: &Key, injected: Injected) -> Self {
        let source = object_store::Error::Generic { store: "failpoint", source: Box::new(injected) };
        Self::Store { operation, key: key.clone(), source: Arc::new(source) }
    }

    pub(crate) fn local(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Local { action, path: path.to_owned(), source: Arc::new(source) }
    }
}
