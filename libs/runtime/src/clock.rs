//! Wall time and monotonic time, passed in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of time.
///
/// Wall time stamps samples and is compared with them; it may jump. Monotonic time measures leases, deadlines and latencies.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// Time since an arbitrary fixed point of this process; never goes back.
    fn monotonic(&self) -> Duration;
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is where time enters the process")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// A shared one.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is where time enters the process")]
    fn now_ms(&self) -> i64 {
        // A clock before 1970 is read as 1970.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands until it is told otherwise, for tests and simulation. Clones share the time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    wall_ms: Arc<AtomicI64>,
    monotonic_ms: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock at this wall time; monotonic time starts at zero.
    #[must_use]
    pub fn at(wall_ms: i64) -> Self {
        let clock = Self::default();
        clock.wall_ms.store(wall_ms, Ordering::SeqCst);
        clock
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.monotonic_ms.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

/// The moment by which an answer is of no more use, in monotonic time of this process. On the wire it travels as the time left.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// The deadline `timeout` from now.
    #[must_use]
    pub fn after(clock: &dyn Clock, timeout: Duration) -> Self {
        Self(clock.monotonic().saturating_add(timeout))
    }

    /// Time left; zero when it has passed.
    #[must_use]
    pub fn remaining(self, clock: &dyn Clock) -> Duration {
        self.0.saturating_sub(clock.monotonic())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(self, clock: &dyn Clock) -> bool {
        self.remaining(clock).is_zero()
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deadline(+{:?})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Deadline, ManualClock};
    use std::time::Duration;

    #[test]
    fn deadlines_pass() {
        let clock = ManualClock::at(1_000);
        let deadline = Deadline::after(&clock, Duration::from_secs(2));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(deadline.remaining(&clock), Duration::from_millis(500));
        assert!(!deadline.has_passed(&clock));
        clock.advance(Duration::from_secs(5));
        assert!(deadline.has_passed(&clock));
        assert_eq!(clock.now_ms(), 7_500);
    }
}
