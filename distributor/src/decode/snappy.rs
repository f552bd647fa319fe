//! Snappy (block format), into buffers that are used again.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::error::RequestError;
use crate::inflight::InflightGuard;

/// Buffers kept for the next requests: enough for as many requests as decode at once on a large machine.
const KEPT_BUFFERS: usize = 16;

/// A larger buffer is given back to the allocator: an honest request of 10,000 samples decompresses to less than this.
const KEPT_BYTES: usize = 4 << 20;

/// The densest element is a copy of 64 bytes in three, so no body holds more than this many times its size.
const MAX_EXPANSION: usize = 22;

/// Decompression buffers, initialised once and used again: no request pays for zeroing or page faults of its own.
#[derive(Debug, Default)]
pub struct BufferPool {
    free: Mutex<Vec<Vec<u8>>>,
}

impl BufferPool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn take(&self, len: usize) -> Vec<u8> {
        let mut buffer = self.free.lock().pop().unwrap_or_default();
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        buffer
    }

    fn give_back(&self, buffer: Vec<u8>) {
        if buffer.len() <= KEPT_BYTES {
            let mut free = self.free.lock();
            if free.len() < KEPT_BUFFERS {
                free.push(buffer);
            }
        }
    }
}

/// A decompressed body; returns its buffer and its share of the in-flight bytes when the last reference to it is gone, which may be
/// after the answer: a slow replica's push still reads from it.
struct PooledBody {
    buffer: Vec<u8>,
    len: usize,
    pool: Arc<BufferPool>,
    _inflight: InflightGuard,
}

impl AsRef<[u8]> for PooledBody {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

impl Drop for PooledBody {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

/// The length that a compressed body claims to have, checked against `max_request_bytes` and against what snappy can do at all.
/// Nothing is allocated before this.
pub fn claimed_len(compressed: &[u8], max: usize) -> Result<usize, RequestError> {
    let claimed = snap::raw::decompress_len(compressed).map_err(|e| RequestError::Snappy(e.to_string()))?;
    if claimed > max {
        return Err(RequestError::TooLarge {
            what: "decompressed body",
            bytes: Some(claimed as u64),
            limit: max as u64,
            setting: "max_request_bytes",
        });
    }
    if claimed > compressed.len().saturating_mul(MAX_EXPANSION) {
        return Err(RequestError::Snappy(format!("{} bytes cannot hold the {claimed} bytes that their header claims", compressed.len())));
    }
    Ok(claimed)
}

/// Decompresses a body. `inflight` already holds the compressed bytes and grows by the decompressed ones.
pub fn decompress(compressed: &[u8], max: usize, pool: &Arc<BufferPool>, mut inflight: InflightGuard) -> Result<Bytes, RequestError> {
    let len = claimed_len(compressed, max)?;
    inflight.grow(len as u64).map_err(RequestError::overloaded)?;
    let mut body = PooledBody { buffer: pool.take(len), len, pool: Arc::clone(pool), _inflight: inflight };
    let target = body.buffer.get_mut(..len).unwrap_or_default();
    let written = snap::raw::Decoder::new().decompress(compressed, target).map_err(|e| RequestError::Snappy(e.to_string()))?;
    body.len = written;
    Ok(Bytes::from_owner(body))
}

#[cfg(test)]
mod tests {
    use super::{BufferPool, claimed_len, decompress};
    use crate::error::RequestError;
    use crate::inflight::InflightBytes;

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        let refused = claimed_len(&bomb, 64 << 20);
        assert!(
            matches!(refused, Err(RequestError::TooLarge { bytes: Some(0xffff_ffff), setting: "max_request_bytes", .. })),
            "{refused:?}"
        );
        // 32 MiB claimed by six bytes: below the limit, but more than snappy can do.
        assert!(matches!(claimed_len(&[0x80, 0x80, 0x80, 0x10, 0, 0], 64 << 20), Err(RequestError::Snappy(_))));
    }

    #[test]
    fn the_densest_body_is_accepted() {
        let zeros = vec![0_u8; 1 << 20];
        let compressed = snap::raw::Encoder::new().compress_vec(&zeros).unwrap();
        assert!(matches!(claimed_len(&compressed, 1 << 20), Ok(n) if n == 1 << 20));
    }

    #[test]
    fn buffers_come_back_clean_and_bytes_are_returned() {
        let pool = BufferPool::new();
        let inflight = InflightBytes::new(1 << 20);
        for text in [&b"a long first body, all of it"[..], b"short"] {
            let compressed = snap::raw::Encoder::new().compress_vec(text).unwrap();
            let body = decompress(&compressed, 1 << 10, &pool, inflight.guard()).unwrap();
            assert_eq!(&body[..], text);
            assert_eq!(inflight.used(), text.len() as u64);
            let part = body.slice(1..3);
            drop(body);
            assert_eq!(inflight.used(), text.len() as u64);
            drop(part);
        }
        assert_eq!(inflight.used(), 0);
        assert_eq!(pool.free.lock().len(), 1);
    }

    #[test]
    fn truncated_and_corrupt_bodies_are_errors() {
        let text: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        let compressed = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        let (pool, inflight) = (BufferPool::new(), InflightBytes::new(1 << 20));
        for cut in [0, 1, 2, 3, 100, compressed.len() - 1] {
            let result = decompress(&compressed[..cut], 1 << 20, &pool, inflight.guard());
            assert!(matches!(result, Err(RequestError::Snappy(_))), "{cut}: {result:?}");
        }
        assert_eq!(inflight.used(), 0);
    }
}
