//! Messages of `plimsoll.ingester.v1`.
//!
//! - [`push`]: a write batch as columns, label blocks used in place; the report of what was refused.
//! - [`histogram`]: native histograms.
//! - [`series`]: label sets, chunks, exemplars, metadata: what queries answer.
//! - [`matcher`]: what queries ask.

pub mod histogram;
pub mod matcher;
pub mod push;
pub mod series;

pub use matcher::{matchers_from_wire, matchers_to_wire, selectors_from_wire, selectors_to_wire};
pub use push::{push_by_hash_to_wire, push_from_wire, push_to_wire, report_from_wire, report_to_wire};
pub use series::{
    chunks_from_wire, chunks_to_wire, exemplar_from_wire, exemplar_to_wire, labels_from_wire, labels_to_wire, metadata_from_wire,
    metadata_to_wire,
};

#[cfg(test)]
mod tests;
