//! A bucket of samples that fills at a rate.

use std::num::NonZeroU64;
use std::time::Duration;

/// Contents are counted in billionths of samples: what a rate of one per second brings in a nanosecond.
const UNIT: u128 = 1_000_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRate {
    /// Samples per second, of all buckets that share the rate.
    pub per_second: NonZeroU64,
    /// Buckets that share it.
    pub sharers: NonZeroU64,
    /// Samples that this bucket holds when it is full.
    pub burst: u64,
}

/// Why samples do not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not now: after this time there will be enough, if nobody else takes them.
    Wait(Duration),
    /// Never: more than the bucket holds.
    Never,
}

/// The bucket. In any time `t` it gives at most its burst and its share of `rate × t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    /// In [`UNIT`]s.
    content: u128,
    /// When it was right; monotonic.
    at: Duration,
}

impl TokenBucket {
    /// A full one.
    #[must_use]
    pub fn full(rate: TokenRate, now: Duration) -> Self {
        Self { content: capacity(rate), at: now }
    }

    /// Takes `n` samples, or none. A rate other than before counts from the time of the last call on, a lower burst at once.
    pub fn take(&mut self, n: u64, rate: TokenRate, now: Duration) -> Result<(), Refusal> {
        self.fill(rate, now);
        let wanted = u128::from(n) * UNIT;
        if wanted > capacity(rate) {
            return Err(Refusal::Never);
        }
        // Nothing can be taken from an empty bucket, not even nothing.
        let needed = wanted.max(UNIT);
        if needed > self.content {
            return Err(Refusal::Wait(time_for(needed - self.content, rate)));
        }
        self.content -= wanted;
        Ok(())
    }

    /// Whether it is like a new one.
    #[must_use]
    pub fn is_full(mut self, rate: TokenRate, now: Duration) -> bool {
        self.fill(rate, now);
        self.content == capacity(rate)
    }

    fn fill(&mut self, rate: TokenRate, now: Duration) {
        let passed = now.saturating_sub(self.at);
        // Rounded down: it never gives more than it should.
        let more = passed.as_nanos().saturating_mul(u128::from(rate.per_second.get())) / u128::from(rate.sharers.get());
        self.content = self.content.saturating_add(more).min(capacity(rate));
        self.at = self.at.max(now);
    }
}

fn capacity(rate: TokenRate) -> u128 {
    u128::from(rate.burst) * UNIT
}

/// How long it takes until this much has come, rounded up.
fn time_for(missing: u128, rate: TokenRate) -> Duration {
    let nanos = missing.saturating_mul(u128::from(rate.sharers.get())).div_ceil(u128::from(rate.per_second.get()));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
