//! Small values that the coordinator group keeps: read by following them, changed by who knows their last version.

use std::pin::Pin;

use async_trait::async_trait;
use futures::Stream;
use serde::{Deserialize, Serialize};

use crate::error::RpcError;

/// The longest name, in bytes.
pub const MAX_KEY_BYTES: usize = 512;
/// The longest value, in bytes; also what the changes of one command may have together.
pub const MAX_VALUE_BYTES: usize = 64 << 10;
/// A change that is made if the key's version is the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// 1 to [`MAX_KEY_BYTES`] bytes.
    pub key: String,
    /// The version that the key must have; 0 if it must not be there.
    pub expected: u64,
    /// The new value; `None` removes the key.
    pub value: Option<String>,
}

/// What became of a [`Swap`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Swapped {
    /// Done; the key has this version now.
    Done {
        /// The version.
        version: u64,
    },
    /// Another version is there, and nothing was changed.
    Conflict {
        /// What is there; version 0 if nothing is.
        current: KeyEntry,
    },
    /// There is no room for it.
    Full,
}

/// A key's value at one version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// When it was changed last, on the counter of all keys.
    pub version: u64,
    /// The value; `None` if the key was removed.
    pub value: Option<String>,
}

/// What a follower is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysUpdate {
    /// The follower forgets everything first.
    pub reset: bool,
    /// With this it knows everything up to here.
    pub version: u64,
    /// Changed keys, in order of their versions.
    pub entries: Vec<(String, KeyEntry)>,
}

/// Updates of the keys with a prefix: first everything, then each change. Ends when the connection does.
pub type KeysStream = Pin<Box<dyn Stream<Item = Result<KeysUpdate, RpcError>> + Send>>;

/// The coordinator group's small values.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// Makes changes, each on its own; what became of them, in their order. Asked again after a lost answer, what was done is a conflict with one's own value.
    async fn swap(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, RpcError>;

    /// Follows the keys with this prefix.
    async fn watch_keys(&self, prefix: &str) -> Result<KeysStream, RpcError>;
}
