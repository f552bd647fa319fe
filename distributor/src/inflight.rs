//! How many bytes of requests may be in memory at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bounded count of bytes, shared by all requests of one kind.
#[derive(Debug)]
pub struct InflightBytes {
    used: AtomicU64,
    max: u64,
}

/// There is no room for more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// The bound that would have been passed.
    pub max: u64,
}

impl InflightBytes {
    /// Room for `max` bytes.
    #[must_use]
    pub fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), max })
    }

    /// Bytes held now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// A guard that holds nothing yet.
    #[must_use]
    pub fn guard(self: &Arc<Self>) -> InflightGuard {
        InflightGuard { owner: Arc::clone(self), held: 0 }
    }

    fn take(&self, bytes: u64) -> Result<(), Full> {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(drop).map_err(|_| Full { max: self.max })
    }
}

/// Bytes held by one request; given back when it is dropped.
#[derive(Debug)]
pub struct InflightGuard {
    owner: Arc<InflightBytes>,
    held: u64,
}

impl InflightGuard {
    /// Takes more bytes, or none at all if they do not fit.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Full> {
        self.owner.take(bytes)?;
        self.held += bytes;
        Ok(())
    }
}

impl Drop for InflightGuard {
    fn drop(&mut self) {
        self.owner.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, InflightBytes};

    #[test]
    fn bytes_are_given_back() {
        let inflight = InflightBytes::new(10);
        let mut first = inflight.guard();
        assert_eq!(first.grow(6), Ok(()));
        let mut second = inflight.guard();
        assert_eq!(second.grow(5), Err(Full { max: 10 }));
        assert_eq!(second.grow(4), Ok(()));
        assert_eq!(first.grow(u64::MAX), Err(Full { max: 10 }));
        drop(first);
        assert_eq!(inflight.used(), 4);
        assert_eq!(second.grow(6), Ok(()));
        drop(second);
        assert_eq!(inflight.used(), 0);
    }
}
