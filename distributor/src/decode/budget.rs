//! What one decoded request may occupy.

use crate::error::RequestError;
use crate::inflight::InflightGuard;

/// Bytes are taken from the bytes in flight in steps of this size: one atomic operation for an ordinary request.
const STEP: u64 = 256 << 10;

/// Bytes that a decoded request may still take: columns, label blocks, histograms, exemplars, metadata. Short encodings of large things
/// (a two-byte histogram, a symbol that every series names twenty times) make this a bound of its own beside that on the body.
#[derive(Debug)]
pub(super) struct Budget {
    /// Taken from the bytes in flight and not yet used.
    in_hand: u64,
    /// May still be taken.
    left: u64,
    limit: u64,
    inflight: InflightGuard,
}

impl Budget {
    pub(super) fn new(limit: u64, inflight: InflightGuard) -> Self {
        Self { in_hand: 0, left: limit, limit, inflight }
    }

    /// Takes bytes before they are allocated.
    #[inline]
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), RequestError> {
        match self.in_hand.checked_sub(bytes as u64) {
            Some(rest) => {
                self.in_hand = rest;
                Ok(())
            }
            None => self.take_step(bytes as u64),
        }
    }

    #[cold]
    fn take_step(&mut self, bytes: u64) -> Result<(), RequestError> {
        let missing = bytes.saturating_sub(self.in_hand);
        let step = missing.max(STEP).min(self.left);
        if step < missing {
            return Err(RequestError::TooLarge { what: "decoded request", bytes: None, limit: self.limit, setting: "max_batch_bytes" });
        }
        self.inflight.grow(step).map_err(RequestError::overloaded)?;
        self.left -= step;
        self.in_hand = self.in_hand + step - bytes;
        Ok(())
    }

    pub(super) fn into_guard(self) -> InflightGuard {
        self.inflight
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use crate::error::RequestError;
    use crate::inflight::InflightBytes;

    #[test]
    fn ends_at_the_limit_to_the_byte() {
        let inflight = InflightBytes::new(1 << 30);
        let mut budget = Budget::new(1_000_000, inflight.guard());
        for _ in 0..1_000 {
            budget.charge(1_000).unwrap();
        }
        assert!(matches!(budget.charge(1), Err(RequestError::TooLarge { limit: 1_000_000, setting: "max_batch_bytes", .. })));
        assert_eq!(inflight.used(), 1_000_000);
        drop(budget.into_guard());
        assert_eq!(inflight.used(), 0);
    }

    #[test]
    fn other_requests_take_part() {
        let inflight = InflightBytes::new(500_000);
        let mut first = Budget::new(400_000, inflight.guard());
        first.charge(300_000).unwrap();
        let mut second = Budget::new(400_000, inflight.guard());
        assert_eq!(second.charge(1), Err(RequestError::Overloaded { max: 500_000 }));
    }
}
