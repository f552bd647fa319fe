//! Compaction: many blocks become one. [`plan`] says which, [`merge_blocks`] does it.

mod merge;
pub mod plan;

pub use merge::{MergeOutcome, MergeSpec, merge_blocks};

#[cfg(test)]
mod tests;
