use std::num::NonZeroU64;
use std::time::Duration;

use limits::Limits;
use model::TenantId;
use proptest::prelude::*;
use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};

use super::{FIRST_SWEEP, RateLimiter, Refusal, TokenBucket, TokenRate};

fn rate(per_second: u64, sharers: u64, burst: u64) -> TokenRate {
    TokenRate { per_second: NonZeroU64::new(per_second).unwrap(), sharers: NonZeroU64::new(sharers).unwrap(), burst }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_full_bucket_gives_its_burst_and_then_the_rate() {
    let rate = rate(100, 1, 500);
    let mut bucket = TokenBucket::full(rate, ms(0));
    assert_eq!(bucket.take(500, rate, ms(0)), Ok(()));
    assert_eq!(bucket.take(1, rate, ms(0)), Err(Refusal::Wait(ms(10))));
    assert_eq!(bucket.take(0, rate, ms(0)), Err(Refusal::Wait(ms(10))), "an empty one lets nobody in");
    assert_eq!(bucket.take(100, rate, ms(400)), Err(Refusal::Wait(ms(600))));
    assert_eq!(bucket.take(100, rate, ms(1_000)), Ok(()));
    assert_eq!(bucket.take(501, rate, ms(60_000)), Err(Refusal::Never));
    assert_eq!(bucket.take(500, rate, ms(60_000)), Ok(()));
    assert!(bucket.is_full(rate, ms(65_000)) && !bucket.is_full(rate, ms(64_999)));
    // Time that goes back brings nothing.
    let mut bucket = TokenBucket::full(rate, ms(1_000));
    assert_eq!(bucket.take(500, rate, ms(0)), Ok(()));
    assert_eq!(bucket.take(1, rate, ms(1_000)), Err(Refusal::Wait(ms(10))));
}

#[test]
fn a_changed_rate_counts_from_its_first_use() {
    let (slow, fast) = (rate(10, 1, 100), rate(1_000, 1, 100));
    let mut bucket = TokenBucket::full(slow, ms(0));
    assert_eq!(bucket.take(100, slow, ms(0)), Ok(()));
    assert_eq!(bucket.take(1, slow, ms(50)), Err(Refusal::Wait(ms(50))));
    assert_eq!(bucket.take(50, fast, ms(100)), Ok(()));
    assert_eq!(bucket.take(3, rate(1_000, 1, 2), ms(60_000)), Err(Refusal::Never), "a lower burst is live at once");
}

fn distributors(states: &[InstanceState]) -> ClusterSnapshot {
    let instance = |(i, state): (usize, &InstanceState)| Instance {
        id: InstanceId::new(&format!("d{i}")).unwrap(),
        role: Role::Distributor,
        address: "127.0.0.1:1".to_owned(),
        zone: "z".to_owned(),
        state: *state,
        epoch: i as u64,
        registered_at_ms: 0,
        moved_at_ms: 0,
        emptied_at_ms: 0,
    };
    ClusterSnapshot { version: 1, instances: states.iter().enumerate().map(instance).collect(), ..ClusterSnapshot::default() }
}

#[test]
fn active_distributors_share_the_rate_and_not_the_burst() {
    use InstanceState::{Active, Leaving, Unhealthy};
    let limits = Limits { ingestion_rate: 100, ingestion_burst_size: 10, ..Limits::default() };
    let tenant = TenantId::anonymous();
    for (states, per_second) in [(&[][..], 100), (&[Active], 100), (&[Active, Active, Leaving, Unhealthy], 50), (&[Active; 4], 25)] {
        let limiter = RateLimiter::default();
        limiter.follow(&distributors(states));
        assert_eq!(limiter.take(&tenant, &limits, 10, ms(0)), Ok(()));
        assert_eq!(limiter.take(&tenant, &limits, 1, ms(0)), Err(Refusal::Wait(ms(1_000 / per_second))), "{states:?}");
    }
}

#[test]
fn tenants_have_buckets_of_their_own_and_full_ones_are_forgotten() {
    let limits = Limits { ingestion_rate: 10, ingestion_burst_size: 10, ..Limits::default() };
    let limiter = RateLimiter::default();
    let tenant = |i: usize| TenantId::new(&format!("t{i}")).unwrap();
    for i in 0..FIRST_SWEEP {
        assert_eq!(limiter.take(&tenant(i), &limits, 10, ms(0)), Ok(()));
    }
    assert!(limiter.take(&tenant(0), &limits, 1, ms(0)).is_err());
    assert_eq!(limiter.take(&tenant(FIRST_SWEEP), &limits, 1, ms(999)), Ok(()));
    assert_eq!(limiter.tenants(), FIRST_SWEEP + 1, "none is full");
    for i in 0..FIRST_SWEEP {
        limiter.take(&tenant(FIRST_SWEEP + 1 + i), &limits, 1, ms(1_000)).unwrap();
    }
    assert!(limiter.tenants() <= FIRST_SWEEP + 1, "{} tenants", limiter.tenants());
    let unlimited = Limits { ingestion_rate: 0, ..limits };
    assert_eq!(limiter.take(&tenant(0), &unlimited, u64::MAX, ms(0)), Ok(()));
}

proptest! {
    /// Whatever is asked for and when: in no stretch of time does it give more than burst + rate × time; and it gives what it has.
    #[test]
    fn never_more_than_burst_and_rate(
        per_second in 1_u64..5_000, sharers in 1_u64..5, burst in 1_u64..10_000,
        asks in proptest::collection::vec((0_u64..3_000_000_000, 0_u64..12_000), 1..80),
    ) {
        let rate = rate(per_second, sharers, burst);
        let mut bucket = TokenBucket::full(rate, Duration::ZERO);
        let mut now = 0_u64;
        // When, and how much had been given before and after.
        let mut given: Vec<(u64, u128, u128)> = Vec::new();
        let mut total = 0_u128;
        for (pause, n) in asks {
            now += pause;
            match bucket.take(n, rate, Duration::from_nanos(now)) {
                Ok(()) => {
                    given.push((now, total, total + u128::from(n)));
                    total += u128::from(n);
                }
                Err(Refusal::Never) => prop_assert!(n > burst),
                Err(Refusal::Wait(wait)) => {
                    prop_assert!(n <= burst && !wait.is_zero());
                    // Who waits for as long as it says gets it, and not a nanosecond earlier.
                    let ready = Duration::from_nanos(now) + wait;
                    let (mut early, mut punctual) = (bucket, bucket);
                    prop_assert!(punctual.take(n, rate, ready).is_ok());
                    prop_assert!(early.take(n, rate, ready - Duration::from_nanos(1)).is_err());
                }
            }
        }
        for (i, (from, before, _)) in given.iter().enumerate() {
            for (to, _, after) in &given[i..] {
                let nanos = u128::from(to - from);
                let most = u128::from(burst) * 1_000_000_000 * u128::from(sharers) + nanos * u128::from(per_second);
                prop_assert!((after - before) * 1_000_000_000 * u128::from(sharers) <= most);
            }
        }
    }
}
