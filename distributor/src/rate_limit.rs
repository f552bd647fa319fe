//! How much a tenant may write: samples per second, over all distributors together.
//!
//! Each distributor gives a tenant its share of the rate, one part in as many as there are distributors. Senders spread their requests over all of them, so the shares
//! add up to the rate; a sender that stays with one distributor gets that one's share. A request passes whole or not at all: who sends it again sends all of it.
//!
//! The decision is pure (`bucket`); here are the tenants' buckets and the number of distributors.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use limits::Limits;
use model::TenantId;
use parking_lot::Mutex;
use ring::{ClusterSnapshot, InstanceState, Role};

mod bucket;

pub use bucket::{Refusal, TokenBucket, TokenRate};

/// Buckets that are kept before full ones are looked for.
const FIRST_SWEEP: usize = 1_024;

/// Tenants whose buckets are not full at a time, at most: a hundred megabytes of them.
const MAX_BUCKETS: usize = 1 << 20;

/// The buckets of all tenants that have written lately.
#[derive(Debug)]
pub struct RateLimiter {
    buckets: Mutex<Buckets>,
    /// Distributors that share the rate; at least 1.
    sharers: AtomicU64,
}

#[derive(Debug)]
struct Buckets {
    by_tenant: HashMap<TenantId, (TokenBucket, TokenRate)>,
    sweep_at: usize,
}

impl Default for RateLimiter {
    fn default() -> Self {
        let buckets = Buckets { by_tenant: HashMap::new(), sweep_at: FIRST_SWEEP };
        Self { buckets: Mutex::new(buckets), sharers: AtomicU64::new(1) }
    }
}

impl RateLimiter {
    /// From now on the rate is shared by the distributors that are active in this snapshot. One that has not registered yet counts as the only one.
    pub fn follow(&self, snapshot: &ClusterSnapshot) {
        let active = snapshot.of_role(Role::Distributor).filter(|d| d.state == InstanceState::Active).count();
        self.sharers.store(active.max(1) as u64, Relaxed);
    }

    /// Takes `samples` from a tenant's bucket, all or none; with 0, tells whether there is anything left. `now` is monotonic.
    pub fn take(&self, tenant: &TenantId, limits: &Limits, samples: u64, now: Duration) -> Result<(), Refusal> {
        let Some(per_second) = NonZeroU64::new(limits.ingestion_rate) else { return Ok(()) };
        let sharers = NonZeroU64::new(self.sharers.load(Relaxed)).unwrap_or(NonZeroU64::MIN);
        let rate = TokenRate { per_second, sharers, burst: limits.ingestion_burst_size };
        let mut buckets = self.buckets.lock();
        if let Some((bucket, last_rate)) = buckets.by_tenant.get_mut(tenant) {
            *last_rate = rate;
            return bucket.take(samples, rate, now);
        }
        if !buckets.make_room(now) {
            return Err(Refusal::Wait(Duration::from_secs(1)));
        }
        let mut bucket = TokenBucket::full(rate, now);
        let taken = bucket.take(samples, rate, now);
        buckets.by_tenant.insert(tenant.clone(), (bucket, rate));
        taken
    }

    #[cfg(test)]
    fn tenants(&self) -> usize {
        self.buckets.lock().by_tenant.len()
    }
}

impl Buckets {
    /// Forgets full buckets, which are like new ones, when there are many; whether there is room for one more.
    fn make_room(&mut self, now: Duration) -> bool {
        if self.by_tenant.len() >= self.sweep_at {
            self.by_tenant.retain(|_, (bucket, rate)| !bucket.is_full(*rate, now));
            self.sweep_at = (self.by_tenant.len() * 2).clamp(FIRST_SWEEP, MAX_BUCKETS);
        }
        self.by_tenant.len() < MAX_BUCKETS
    }
}

#[cfg(test)]
mod tests;
