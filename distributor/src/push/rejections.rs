//! One report out of those of several replicas. Pure.

use std::collections::BTreeMap;

use model::{PushReport, RejectReason, RejectedSeries};

/// Collects what replicas rejected of a batch.
///
/// Replicas may differ: one saw the samples before, one missed earlier ones. A sample counts as rejected only if a quorum of its
/// replicas rejected it. A replica that finds a sample out of order or too old has answered for it like one that took it; one that is
/// at a limit has not, so that such a series waits for its other replicas, and is rejected if they cannot make up a quorum.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    quorum: usize,
    by_series: BTreeMap<u32, Vec<ReplicaRejection>>,
}

#[derive(Debug)]
struct ReplicaRejection {
    entries: Vec<RejectedSeries>,
    is_answer: bool,
}

impl ReplicaRejection {
    fn weight(&self) -> u64 {
        self.entries.iter().map(|e| u64::from(e.samples) + u64::from(e.histograms) + u64::from(e.exemplars)).sum()
    }
}

/// Whether a replica that gives this reason is as good as one that took the sample.
fn is_answer(reason: RejectReason) -> bool {
    matches!(
        reason,
        RejectReason::OutOfOrder | RejectReason::DuplicateTimestamp | RejectReason::TooOld | RejectReason::ExemplarLabelsTooLong
    )
}

impl Rejections {
    pub(crate) fn new(quorum: usize) -> Self {
        Self { quorum, by_series: BTreeMap::new() }
    }

    /// Adds the report of one replica.
    pub(crate) fn add(&mut self, report: PushReport) {
        let mut of_replica: BTreeMap<u32, ReplicaRejection> = BTreeMap::new();
        for entry in report.rejected {
            let rejection = of_replica.entry(entry.series).or_insert(ReplicaRejection { entries: Vec::new(), is_answer: true });
            rejection.is_answer &= is_answer(entry.reason);
            rejection.entries.push(entry);
        }
        for (series, rejection) in of_replica {
            self.by_series.entry(series).or_default().push(rejection);
        }
    }

    /// Whether another replica's answer could still change the report. `answered` tells how many replicas of a series have answered.
    pub(crate) fn are_settled(&self, answered: impl Fn(u32) -> usize) -> bool {
        self.by_series
            .iter()
            .all(|(series, rejections)| rejections.len() >= self.quorum || self.acknowledged(rejections, answered(*series)) >= self.quorum)
    }

    fn acknowledged(&self, rejections: &[ReplicaRejection], answered: usize) -> usize {
        answered.saturating_sub(rejections.iter().filter(|r| !r.is_answer).count())
    }

    /// The report for the sender.
    pub(crate) fn into_report(mut self, answered: impl Fn(u32) -> usize) -> PushReport {
        let mut report = PushReport::default();
        for (series, mut rejections) in std::mem::take(&mut self.by_series) {
            let enough = rejections.len().max(self.acknowledged(&rejections, answered(series))) >= self.quorum;
            let needed = if enough { self.quorum } else { 1 };
            rejections.sort_by_key(|r| std::cmp::Reverse(r.weight()));
            if let Some(rejection) = rejections.into_iter().nth(needed - 1) {
                report.rejected.extend(rejection.entries);
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use model::{PushReport, RejectReason, RejectedSeries};

    use super::Rejections;

    fn report(entries: &[(u32, RejectReason, u32)]) -> PushReport {
        let entry = |&(series, reason, samples): &(u32, RejectReason, u32)| RejectedSeries {
            series,
            reason,
            samples,
            histograms: 0,
            exemplars: 0,
            detail: String::new(),
        };
        PushReport { rejected: entries.iter().map(entry).collect(), ..PushReport::default() }
    }

    fn merged(reports: &[PushReport], answered: usize) -> (bool, Vec<(u32, u32)>) {
        let mut rejections = Rejections::new(2);
        reports.iter().cloned().for_each(|r| rejections.add(r));
        let settled = rejections.are_settled(|_| answered);
        (settled, rejections.into_report(|_| answered).rejected.iter().map(|e| (e.series, e.samples)).collect())
    }

    #[test]
    fn a_quorum_rejects() {
        use RejectReason::{OutOfOrder, SeriesLimit};
        let none = report(&[]);
        let late = report(&[(7, OutOfOrder, 3)]);
        let full = report(&[(7, SeriesLimit, 5)]);
        // One of two that answered had it already: written.
        assert_eq!(merged(&[late.clone(), none.clone()], 2), (true, vec![]));
        // Both found it late.
        assert_eq!(merged(&[late.clone(), late.clone()], 2), (true, vec![(7, 3)]));
        // The smaller number is what both rejected.
        assert_eq!(merged(&[late.clone(), full.clone()], 2), (true, vec![(7, 3)]));
        // One is at its limit: the third decides.
        assert_eq!(merged(&[full.clone(), none.clone()], 2), (false, vec![(7, 5)]));
        assert_eq!(merged(&[full.clone(), none.clone(), none], 3), (true, vec![]));
        assert_eq!(merged(&[full.clone(), full], 3), (true, vec![(7, 5)]));
    }
}
