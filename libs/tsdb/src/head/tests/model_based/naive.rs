//! What a head must do, written down as simply as possible.

use std::collections::BTreeMap;

use super::*;
use crate::head::series::same;

/// All samples of all series.
#[derive(Debug)]
pub(super) struct Naive {
    /// What the head has.
    pub(super) series: BTreeMap<usize, BTreeMap<i64, Kept>>,
    /// What blocks have; of two values for one time that of the older block.
    pub(super) blocks: BTreeMap<usize, BTreeMap<i64, Point>>,
    /// What the head has no more, but the log.
    pub(super) cut: BTreeMap<usize, BTreeMap<i64, Point>>,
    /// Samples before it are refused.
    pub(super) oldest: i64,
    pub(super) window: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) point: Point,
    /// Whether the log has it.
    pub(super) logged: bool,
}

/// What becomes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Taken,
    Duplicate,
    Refused(RejectReason),
}

impl Naive {
    /// The fates of a series' samples, which are taken by time.
    pub(super) fn push(&mut self, series: usize, points: &[Point], now: i64, logged: bool) -> Vec<Fate> {
        let mut rest: Vec<Point> = points.to_vec();
        let is_histogram = |p: &Point| matches!(p, Point::Histogram(_));
        rest.sort_by_key(|p| (p.t(), !is_histogram(p)));
        rest.into_iter().map(|point| self.append(series, point, now, logged)).collect()
    }

    fn append(&mut self, series: usize, point: Point, now: i64, logged: bool) -> Fate {
        let t = point.t();
        if t < self.oldest {
            return Fate::Refused(RejectReason::TooOld);
        }
        if t > now + GRACE * GRID {
            return Fate::Refused(RejectReason::TooFarInFuture);
        }
        let samples = self.series.entry(series).or_default();
        if let Some(there) = samples.get_mut(&t) {
            if !same_point(&there.point, &point) {
                return Fate::Refused(RejectReason::DuplicateTimestamp);
            }
            there.logged |= logged;
            return Fate::Duplicate;
        }
        match samples.last_key_value() {
            Some((newest, _)) if t < *newest && self.window <= 0 => return Fate::Refused(RejectReason::OutOfOrder),
            Some((newest, _)) if t < *newest - self.window => return Fate::Refused(RejectReason::TooOld),
            _ => {}
        }
        samples.insert(t, Kept { point, logged });
        Fate::Taken
    }

    /// Forgets samples before `t`.
    pub(super) fn truncate(&mut self, t: i64) {
        for samples in self.series.values_mut() {
            *samples = samples.split_off(&t);
        }
        self.series.retain(|_, samples| !samples.is_empty());
    }

    /// What is older goes from the head into blocks.
    pub(super) fn cut(&mut self, before: i64) {
        for (series, samples) in &mut self.series {
            let stay = samples.split_off(&before);
            for (t, kept) in std::mem::replace(samples, stay) {
                if kept.logged {
                    self.cut.entry(*series).or_default().entry(t).or_insert_with(|| kept.point.clone());
                }
                self.blocks.entry(*series).or_default().entry(t).or_insert(kept.point);
            }
        }
        self.series.retain(|_, samples| !samples.is_empty());
    }

    /// The head is what the log has; of two values for one time the one that came first.
    pub(super) fn restart(&mut self) {
        self.series.values_mut().for_each(|samples| samples.retain(|_, kept| kept.logged));
        for (series, samples) in std::mem::take(&mut self.cut) {
            let logged = samples.into_iter().map(|(t, point)| (t, Kept { point, logged: true }));
            self.series.entry(series).or_default().extend(logged);
        }
        self.truncate(self.oldest);
    }

    /// The samples of each series that are not too old, in a range.
    pub(super) fn query(&self, min_t: i64, max_t: i64) -> BTreeMap<usize, Vec<Point>> {
        let wanted = |t: i64| (min_t.max(self.oldest)..=max_t).contains(&t);
        let mut all: BTreeMap<usize, BTreeMap<i64, Point>> = self.blocks.clone();
        for (series, samples) in &self.series {
            let points = all.entry(*series).or_default();
            for (t, kept) in samples {
                points.entry(*t).or_insert_with(|| kept.point.clone());
            }
        }
        let all = all.into_iter().map(|(series, points)| (series, points.into_values().filter(|p| wanted(p.t())).collect()));
        all.filter(|(_, points): &(_, Vec<_>)| !points.is_empty()).collect()
    }
}

pub(super) fn same_point(a: &Point, b: &Point) -> bool {
    match (a, b) {
        (Point::Float(a), Point::Float(b)) => a == b,
        (Point::Histogram(a), Point::Histogram(b)) => a.t == b.t && same(&a.value, &b.value),
        _ => false,
    }
}
