//! From the bytes of a remote-write request to a [`model::WriteBatch`], bounded before anything is allocated.
//!
//! In reading order: [`negotiate`] (which protocol), [`snappy`] (decompression into pooled buffers), `wire` (protobuf in place),
//! [`known`] (label blocks that were checked before), `sink` (what a decoder fills), `remote_write_v1`, `remote_write_v2` with `symbols`,
//! `histogram`, `budget` (what a decoded request may occupy).
//!
//! A request whose bytes are not the promised message is refused as a whole. A series that may not be stored is a refusal of its own and
//! the others are kept.

mod budget;
mod histogram;
pub mod known;
pub mod negotiate;
mod remote_write_v1;
mod remote_write_v2;
pub(crate) mod sink;
pub mod snappy;
mod symbols;
pub(crate) mod wire;

use bytes::Bytes;

pub use known::KnownSeries;
pub use negotiate::{Protocol, negotiate};
pub use sink::{Decoded, Rules};
pub use snappy::BufferPool;
pub use wire::{WireError, WireFault};

use crate::error::RequestError;
use crate::inflight::InflightGuard;

/// Decodes a decompressed body (shorter than 4 GiB). Pure but for what it learns about label blocks.
/// `inflight` holds nothing yet and grows with the batch.
pub fn decode(protocol: Protocol, body: &Bytes, rules: &Rules, inflight: InflightGuard) -> Result<Decoded, RequestError> {
    let mut sink = sink::Sink::new(body, rules, inflight);
    match protocol {
        Protocol::V1 => remote_write_v1::read(body, &mut sink)?,
        Protocol::V2 => remote_write_v2::read(body, &mut sink)?,
    }
    Ok(sink.finish())
}

#[cfg(test)]
mod tests;
