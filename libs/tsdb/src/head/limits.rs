//! What a head may hold and accept, changeable at any time.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

/// The limits of a head. See [`super::Head::set_limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Most series at a time; a push that would create more is refused for those series. `usize::MAX`: no limit. Series above a lowered limit stay.
    pub max_series: usize,
    /// Most series with the same metric name, likewise.
    pub max_series_per_metric: usize,
    /// How far ahead of `now` a sample may be, in milliseconds. 0 refuses everything that is ahead of the clock.
    pub creation_grace_ms: i64,
    /// How much older than the newest sample of its series a new sample may be, in milliseconds, both ends included. 0 or less: not at all. What is
    /// newer than that is accepted however late it comes; see [`super::Head::set_oldest_accepted`].
    pub out_of_order_time_window_ms: i64,
    /// Most exemplars kept, those that came last; 0 keeps none. Those above a lowered limit go at once.
    pub max_exemplars: usize,
    /// Most metric families whose metadata is kept; further families are refused. Families above a lowered limit stay.
    pub max_metadata: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            max_series: usize::MAX,
            max_series_per_metric: usize::MAX,
            creation_grace_ms: 10 * 60 * 1000,
            out_of_order_time_window_ms: 10 * 60 * 1000,
            max_exemplars: 10_000,
            max_metadata: 20_000,
        }
    }
}

/// The limits as appends read them.
#[derive(Debug)]
pub(super) struct LiveLimits {
    pub(super) max_series: AtomicUsize,
    pub(super) max_series_per_metric: AtomicUsize,
    pub(super) creation_grace_ms: AtomicI64,
    pub(super) out_of_order_time_window_ms: AtomicI64,
    pub(super) max_exemplars: AtomicUsize,
    pub(super) max_metadata: AtomicUsize,
}

impl LiveLimits {
    pub(super) fn new(limits: &HeadLimits) -> Self {
        Self {
            max_series: AtomicUsize::new(limits.max_series),
            max_series_per_metric: AtomicUsize::new(limits.max_series_per_metric),
            creation_grace_ms: AtomicI64::new(limits.creation_grace_ms),
            out_of_order_time_window_ms: AtomicI64::new(limits.out_of_order_time_window_ms),
            max_exemplars: AtomicUsize::new(limits.max_exemplars),
            max_metadata: AtomicUsize::new(limits.max_metadata),
        }
    }

    /// Sets them; whether fewer exemplars may stay than before. They are set with every push and hardly ever change: read before write.
    pub(super) fn set(&self, limits: &HeadLimits) -> bool {
        let fewer = limits.max_exemplars < self.max_exemplars.load(Relaxed);
        for (live, new) in [
            (&self.max_series, limits.max_series),
            (&self.max_series_per_metric, limits.max_series_per_metric),
            (&self.max_exemplars, limits.max_exemplars),
            (&self.max_metadata, limits.max_metadata),
        ] {
            if live.load(Relaxed) != new {
                live.store(new, Relaxed);
            }
        }
        for (live, new) in
            [(&self.creation_grace_ms, limits.creation_grace_ms), (&self.out_of_order_time_window_ms, limits.out_of_order_time_window_ms)]
        {
            if live.load(Relaxed) != new {
                live.store(new, Relaxed);
            }
        }
        fewer
    }
}
