//! The vocabulary of Plimsoll: what a tenant, a series, a sample and a write request *are*.
//!
//! This crate has no I/O, no clock and no wire format of its own. Every other crate may depend on it; it depends on none
//! of them. In reading order:
//!
//! - [`tenant`]: the validated name of a tenant, safe as a path component and in a log line.
//! - [`labels`]: label sets in one canonical byte form, the *label block*, which is at the same time what a remote-write 1.0
//!   sender puts on the wire, what is hashed to identify a series, and what queries carry around.
//! - [`hash`]: the 128-bit identity of a series and its placement on the ring.
//! - [`sample`], [`histogram`], [`exemplar`], [`metadata`]: what is stored.
//! - [`matcher`]: the four label matchers, with RE2 semantics for the regular ones.
//! - [`batch`]: one decoded write request, label blocks in place, samples in columns.
//! - [`rejection`]: why a sample was not taken, in words for the sender.
//! - [`chunk`]: an encoded run of samples, as it travels from an ingester or a block to a querier.
//! - [`projection`]: the part of each series that a reader looks at.
//!
//! Invariants: a [`labels::LabelBlock`] is canonical (sorted, unique, no empty value, valid UTF-8); a [`tenant::TenantId`]
//! cannot leave its prefix; times are milliseconds since the Unix epoch as `i64` everywhere.

pub mod batch;
pub mod chunk;
pub mod exemplar;
pub mod hash;
pub mod histogram;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod projection;
pub mod rejection;
pub mod sample;
pub mod tenant;

pub use batch::{BatchBuilder, BatchSeries, Rewrite, WriteBatch};
pub use chunk::{Chunk, ChunkEncoding, SeriesChunks};
pub use exemplar::Exemplar;
pub use hash::SeriesHash;
pub use histogram::{CounterResetHint, FloatHistogram, Histogram, HistogramSample, HistogramValue, Span};
pub use labels::{LabelBlock, Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use metadata::{Metadata, MetricType};
pub use projection::Projection;
pub use rejection::{PushReport, RejectReason, RejectedSeries};
pub use sample::{STALE_NAN_BITS, Sample, is_stale_nan, stale_nan};
pub use tenant::TenantId;
