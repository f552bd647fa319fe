//! What calls to one peer say about it, long before its lease runs out. Pure: told of calls and the time, asked whether the peer is worth a call.
//!
//! ```text
//! trusted --(3 failures in a row, or calls wait and none was answered for 2 s)--> suspended for 250 ms
//! suspended --(the pause is over: one call may try)--> suspended, twice as long, at most 8 s
//! suspended --(any call is answered)--> trusted
//! ```
//!
//! It is advice: who needs the peer for a quorum calls it all the same.

use std::time::Duration;

/// Failures in a row after which a peer is suspended: one may be a connection that was replaced, two a coincidence.
pub const FAILURES: u32 = 3;

/// So long calls may wait without any of them being answered. A push takes milliseconds, and under load tens of them; a group commit to a slow disk may take a second.
pub const STALL: Duration = Duration::from_secs(2);

/// The first pause. It doubles.
pub const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause: a peer that is well again is found out after at most this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// A peer, as calls to it went. Times are of one monotonic clock.
#[derive(Debug, Clone, Default)]
pub struct PeerHealth {
    /// Calls that are neither answered nor failed.
    waiting: u32,
    /// When the peer last gave a sign of life, or the first of the waiting calls began.
    quiet_since: Duration,
    failures: u32,
    suspended: Option<Suspended>,
}

#[derive(Debug, Clone, Copy)]
struct Suspended {
    /// When a call may try.
    until: Duration,
    /// How long the next pause is.
    pause: Duration,
}

impl PeerHealth {
    /// Whether to call the peer. While it is suspended, true once per pause, for whoever asks first.
    pub fn is_trusted(&mut self, now: Duration) -> bool {
        if self.suspended.is_none() && self.waiting > 0 && now.saturating_sub(self.quiet_since) > STALL {
            self.suspend(now);
            return false;
        }
        match self.suspended {
            None => true,
            Some(suspended) if now < suspended.until => false,
            Some(_) => {
                self.suspend(now);
                true
            }
        }
    }

    /// Whether it is suspended now.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.suspended.is_some()
    }

    /// A call that one waits for begins. It ends with one of the following.
    pub fn started(&mut self, now: Duration) {
        if self.waiting == 0 {
            self.quiet_since = now;
        }
        self.waiting = self.waiting.saturating_add(1);
    }

    /// The peer answered, be it with an error of its own.
    pub fn answered(&mut self, now: Duration) {
        self.waiting = self.waiting.saturating_sub(1);
        self.quiet_since = now;
        self.failures = 0;
        self.suspended = None;
    }

    /// The peer was not reached, or took too long.
    pub fn failed(&mut self, now: Duration) {
        self.waiting = self.waiting.saturating_sub(1);
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES && self.suspended.is_none() {
            self.suspend(now);
        }
    }

    /// The call was given up for reasons of the caller: it says nothing.
    pub fn abandoned(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    fn suspend(&mut self, now: Duration) {
        let pause = self.suspended.map_or(FIRST_PAUSE, |suspended| suspended.pause);
        self.suspended = Some(Suspended { until: now.saturating_add(pause), pause: (pause * 2).min(LONGEST_PAUSE) });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FAILURES, LONGEST_PAUSE, PeerHealth};

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn failures_in_a_row_suspend_and_an_answer_ends_it() {
        let mut peer = PeerHealth::default();
        for n in 0..FAILURES {
            assert!(peer.is_trusted(ms(1)), "{n}");
            peer.started(ms(1));
            peer.failed(ms(1));
        }
        assert!(!peer.is_trusted(ms(250)));
        assert!(peer.is_trusted(ms(251)), "one may try");
        assert!(!peer.is_trusted(ms(252)), "one only");
        peer.started(ms(251));
        peer.failed(ms(260));
        assert!(!peer.is_trusted(ms(700)), "the second pause is twice as long");
        assert!(peer.is_trusted(ms(751)));
        peer.answered(ms(760));
        assert!(peer.is_trusted(ms(761)) && !peer.is_suspended());
        peer.failed(ms(762));
        assert!(peer.is_trusted(ms(763)), "counting begins anew");
    }

    #[test]
    fn silence_suspends_while_calls_wait() {
        let mut peer = PeerHealth::default();
        assert!(peer.is_trusted(ms(100_000)), "nobody waits");
        peer.started(ms(100_000));
        peer.started(ms(101_900));
        assert!(peer.is_trusted(ms(102_000)));
        peer.answered(ms(102_000));
        assert!(peer.is_trusted(ms(103_999)), "one answered, the other has time again");
        assert!(!peer.is_trusted(ms(104_001)));
        peer.abandoned();
        assert!(!peer.is_trusted(ms(104_002)), "what was given up is no answer");
        peer.started(ms(110_000));
        peer.answered(ms(110_001));
        assert!(peer.is_trusted(ms(110_001)));
    }

    /// A peer that hangs for ever gets one call in eight seconds.
    #[test]
    fn pauses_are_bounded() {
        let (mut peer, mut calls) = (PeerHealth::default(), Vec::new());
        for now in (0..120_000).map(ms) {
            if peer.is_trusted(now) {
                calls.push(now);
                peer.started(now);
                peer.failed(now);
            }
        }
        assert!(calls.len() < 24, "{calls:?}");
        assert_eq!(calls[calls.len() - 1] - calls[calls.len() - 2], LONGEST_PAUSE);
    }
}
