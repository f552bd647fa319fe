//! When what failed is tried again: a pure decision.

/// How long after a failure the next attempt is made, at first; each failure doubles it.
const FIRST_MS: i64 = 30_000;
const LONGEST_MS: i64 = 15 * 60_000;

/// Attempts at one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    not_before: i64,
    failures: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { not_before: i64::MIN, failures: 0 }
    }
}

impl Backoff {
    /// Whether it is time for an attempt.
    pub(crate) fn is_over(&self, now_ms: i64) -> bool {
        now_ms >= self.not_before
    }

    /// An attempt failed. One that succeeds ends the matter: begin with a new one.
    pub(crate) fn failed(&mut self, now_ms: i64) {
        let wait = FIRST_MS.saturating_mul(1 << self.failures.min(16)).min(LONGEST_MS);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now_ms.saturating_add(wait);
    }
}
