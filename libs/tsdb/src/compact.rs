//! Compaction: many blocks become one.

mod merge;

pub use merge::{MergeOutcome, MergeSpec, merge_blocks};

#[cfg(test)]
mod tests;
