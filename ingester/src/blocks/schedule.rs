//! When a tenant's head is cut: a pure decision.

use crate::backoff::Backoff;

/// How long after its end a range is cut. Samples that come later make a second block of the range, so most should have come by then.
const DELAY_MS: i64 = 3_600_000;

/// How far this process's clock may be ahead of its senders' before a range that they still write is cut: with a clock two hours off, nothing happens too early. Those who write nothing
/// but older samples are cut so much later.
const AHEAD_MS: i64 = 3 * 3_600_000;

/// When a tenant is cut. Once per range: what comes late after that, for whichever range, waits for the next time, so that late senders make a few
/// blocks a day and not one a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Everything before it has been cut.
    cut_to: i64,
    backoff: Backoff,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { cut_to: i64::MIN, backoff: Backoff::default() }
    }
}

impl Schedule {
    /// The border up to which is to be cut now, if it is time: a multiple of `width`, the head's chunk range. `written_ms` is the newest sample of a tenant that is being written: a
    /// range ends by its samples' time, not by a clock that is ahead of it.
    pub(super) fn due(&self, now_ms: i64, written_ms: Option<i64>, width: i64) -> Option<i64> {
        let time_ms = written_ms.map_or(now_ms, |written| written.clamp(now_ms.saturating_sub(AHEAD_MS), now_ms));
        let border = border(time_ms, width);
        (border > self.cut_to && self.backoff.is_over(now_ms)).then_some(border)
    }

    /// Whether everything that is due is in blocks.
    pub(super) fn is_done(&self, now_ms: i64, width: i64) -> bool {
        border(now_ms, width) <= self.cut_to
    }

    /// Everything before `border` is in blocks.
    pub(super) fn done(&mut self, border: i64) {
        *self = Self { cut_to: self.cut_to.max(border), ..Self::default() };
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, now_ms: i64) {
        self.backoff.failed(now_ms);
    }
}

fn border(now_ms: i64, width: i64) -> i64 {
    now_ms.saturating_sub(DELAY_MS).div_euclid(width).saturating_mul(width)
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn each_range_is_cut_once_an_hour_after_its_end() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(10 * HOUR, None, 2 * HOUR), Some(8 * HOUR), "a process that has just started");
        assert!(!schedule.is_done(10 * HOUR, 2 * HOUR));
        schedule.done(8 * HOUR);
        assert_eq!(schedule.due(11 * HOUR - 1, None, 2 * HOUR), None);
        assert!(schedule.is_done(11 * HOUR - 1, 2 * HOUR) && !schedule.is_done(11 * HOUR, 2 * HOUR));
        assert_eq!(schedule.due(11 * HOUR, None, 2 * HOUR), Some(10 * HOUR));
        schedule.done(10 * HOUR);
        assert_eq!(schedule.due(12 * HOUR, None, 2 * HOUR), None);
        assert_eq!(Schedule::default().due(-HOUR, None, 2 * HOUR), Some(-2 * HOUR));
    }

    #[test]
    fn a_clock_that_is_ahead_cuts_nothing_that_is_being_written() {
        let due = |now, written| Schedule::default().due(now, written, 2 * HOUR);
        // It is 11:30 for the senders and 13:30 here.
        let (now, written) = (27 * HOUR / 2, 23 * HOUR / 2);
        assert_eq!(due(now, Some(written)), Some(10 * HOUR));
        assert_eq!(due(now, None), Some(12 * HOUR), "nobody writes");
        assert_eq!(due(now, Some(13 * HOUR)), Some(12 * HOUR), "an hour after its end");
        assert_eq!(due(now, Some(i64::MIN)), Some(8 * HOUR), "who writes history alone waits three hours more");
        assert_eq!(due(written, Some(now)), Some(10 * HOUR), "senders that are ahead change nothing");
    }

    #[test]
    fn failures_are_tried_again_and_more_and_more_seldom() {
        let mut schedule = Schedule::default();
        let mut now = 3 * HOUR;
        let mut waits = Vec::new();
        for _ in 0..7 {
            schedule.failed(now);
            let waited = (0..).map(|s| s * 1_000).find(|ms| schedule.due(now + ms, None, 2 * HOUR).is_some()).unwrap();
            waits.push(waited / 1_000);
            now += waited;
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
        schedule.done(0);
        schedule.failed(now);
        assert!(schedule.due(now + 30_000, None, 2 * HOUR).is_some(), "after a success the count begins again");
    }
}
