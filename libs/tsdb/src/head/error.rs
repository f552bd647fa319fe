//! What goes wrong when a head is read.

use crate::head_chunks::HeadChunkError;

/// Why a head could not answer.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// A chunk that has left memory cannot be read. The answer would lack its samples.
    #[error("a chunk of the head cannot be read: {0}")]
    Stored(#[from] HeadChunkError),
}
