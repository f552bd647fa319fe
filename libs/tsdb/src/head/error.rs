//! What goes wrong when a head is read.

use crate::block::BlockError;
use crate::head_chunks::HeadChunkError;

/// Why a head could not answer.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// A chunk that has left memory cannot be read. The answer would lack its samples.
    #[error("a chunk of the head cannot be read: {0}")]
    Stored(#[from] HeadChunkError),
    /// Late samples cannot be merged with the rest of their series: a chunk does not decode.
    #[error("late samples of a series cannot be merged: {0}")]
    Late(Box<BlockError>),
}
