//! Results into the cluster.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{BatchBuilder, HistogramSample, HistogramValue, Labels, RejectReason, Sample, WriteBatch, stale_nan};
use promql::PointValue;

use super::Evaluator;
use super::state::GroupState;
use crate::alert::RuleSample;
use crate::group::Written;

/// Series in one request to the write path.
const BATCH_SERIES: usize = 5_000;

impl Evaluator {
    /// Writes a rule's results at `t`, and stale markers for those of its series that are gone. An error says why not all was taken; what was
    /// taken is remembered.
    pub(super) async fn write_results(&self, samples: Vec<RuleSample>, written: &mut Written, t: i64) -> Result<(), String> {
        let mut taken = BTreeMap::new();
        let mut problem = None;
        for part in samples.chunks(BATCH_SERIES) {
            let refused = self.send(part.iter().map(|s| (&s.labels, &s.value)), t).await?;
            for (i, sample) in part.iter().enumerate() {
                match refused.get(&i) {
                    None => drop(taken.insert(sample.labels.hash(), sample.labels.clone())),
                    Some((_, detail)) => problem = problem.or_else(|| Some(format!("{}: {detail}", sample.labels))),
                }
            }
        }
        let gone = written.replace(taken);
        self.mark_stale(&gone, t).await?;
        problem.map_or(Ok(()), Err)
    }

    /// Writes stale markers. That a newer sample is there already is no error: another rule writes the series now.
    pub(super) async fn mark_stale(&self, gone: &[Labels], t: i64) -> Result<(), String> {
        let marker = PointValue::Float(stale_nan());
        for part in gone.chunks(BATCH_SERIES) {
            let refused = self.send(part.iter().map(|labels| (labels, &marker)), t).await?;
            for (reason, detail) in refused.values() {
                if !matches!(reason, RejectReason::OutOfOrder | RejectReason::DuplicateTimestamp | RejectReason::TooOld) {
                    tracing::warn!(detail, "a stale marker was refused");
                }
            }
        }
        Ok(())
    }

    /// Ends the series of rules that are no longer there.
    pub(crate) async fn mark_orphans_stale(&self, state: &mut GroupState, t: i64) {
        match self.mark_stale(&state.orphans, t).await {
            Ok(()) => state.orphans.clear(),
            // They are tried again with the next evaluation.
            Err(error) => tracing::warn!(group = state.group.name, error, "series of former rules could not be marked stale"),
        }
    }

    /// Writes one sample of each series; what was refused, by position.
    async fn send<'a>(
        &self,
        series: impl Iterator<Item = (&'a Labels, &'a PointValue)>,
        t: i64,
    ) -> Result<BTreeMap<usize, (RejectReason, String)>, String> {
        let batch = batch(series, t);
        if batch.is_empty() {
            return Ok(BTreeMap::new());
        }
        let report = self.write.write(&self.context(), batch).await.map_err(|e| e.to_string())?;
        Ok(report.rejected.into_iter().map(|r| (r.series as usize, (r.reason, r.detail))).collect())
    }
}

fn batch<'a>(series: impl Iterator<Item = (&'a Labels, &'a PointValue)>, t: i64) -> WriteBatch {
    let mut builder = BatchBuilder::new(Bytes::new());
    for (labels, value) in series {
        match value {
            PointValue::Float(v) => builder.sample(Sample { t, v: *v }),
            PointValue::Histogram(h) => {
                builder.histogram(HistogramSample { t, value: HistogramValue::Float(Box::new(h.as_ref().clone())) });
            }
        }
        builder.end_series_with(labels.hash(), labels.as_block());
    }
    builder.finish()
}
