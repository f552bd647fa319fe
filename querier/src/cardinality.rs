//! How many series have which labels, of what ingesters hold in memory.
//!
//! Every series is in as many ingesters as it has copies, so the numbers of all ingesters together are divided by that: exact while all of them answer and
//! every copy was written, else close. Which values a label has is exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use rpc::{CallContext, CardinalityRequest, IngesterClient, RpcError};

use crate::ingesters::Ingesters;

/// Counts series over all ingesters. Cheap to clone.
#[derive(Clone)]
pub struct SeriesCounter {
    ingesters: Ingesters,
    /// Of each series.
    copies: usize,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesCounts {
    /// Series that match.
    pub series: u64,
    /// All series of the tenant.
    pub total_series: u64,
    /// Chunks of all series.
    pub chunks: u64,
    /// Times of the first and the last sample in memory.
    pub times: Option<(i64, i64)>,
    /// Series that match, by label name and value.
    pub labels: BTreeMap<String, BTreeMap<String, u64>>,
}

impl SeriesCounter {
    /// A counter for series that are written to `copies` ingesters each.
    #[must_use]
    pub fn new(ingesters: Ingesters, copies: usize) -> Self {
        Self { ingesters, copies }
    }

    /// Asks all ingesters and puts together what they say.
    pub async fn count(&self, ctx: &CallContext, request: &CardinalityRequest) -> Result<SeriesCounts, RpcError> {
        let ask = |client: Arc<dyn IngesterClient>| {
            let (ctx, request) = (ctx.clone(), request.clone());
            async move { client.cardinality(&ctx, request).await }
        };
        let answers = self.ingesters.ask_everyone(&ctx.tenant, ask).await?;
        // Fewer answers than copies: each of them has every series.
        let copies = self.copies.min(answers.len());
        Ok(unite(answers, copies))
    }
}

/// The counts of all ingesters as one, where each series was counted `copies` times.
fn unite(answers: Vec<rpc::Cardinality>, copies: usize) -> SeriesCounts {
    let mut counts = SeriesCounts::default();
    for answer in answers {
        counts.series += answer.series;
        counts.total_series += answer.total_series;
        counts.chunks += answer.chunks;
        counts.times = match (counts.times, answer.times) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        for label in answer.labels {
            let values = counts.labels.entry(label.name).or_default();
            for (value, series) in label.values {
                *values.entry(value).or_default() += series;
            }
        }
    }
    // Rounded up: what is there at all is not none.
    let of_one_copy = |count: &mut u64| *count = count.div_ceil(copies.max(1) as u64);
    let totals = [&mut counts.series, &mut counts.total_series, &mut counts.chunks].into_iter();
    totals.chain(counts.labels.values_mut().flat_map(BTreeMap::values_mut)).for_each(of_one_copy);
    counts
}

#[cfg(test)]
mod tests {
    use rpc::{Cardinality, LabelCounts};

    use super::unite;

    #[test]
    fn copies_are_counted_once_and_values_are_united() {
        let answer = |series, values: &[(&str, u64)], times| Cardinality {
            series,
            total_series: 2 * series,
            chunks: series,
            times,
            labels: vec![LabelCounts {
                name: "job".to_owned(),
                values: values.iter().map(|(value, n)| ((*value).to_owned(), *n)).collect(),
            }],
        };
        let answers = vec![
            answer(4, &[("x", 3), ("y", 1)], Some((5, 9))),
            answer(4, &[("x", 3), ("y", 1)], Some((2, 8))),
            answer(3, &[("x", 3)], None),
        ];
        let counts = unite(answers, 3);
        assert_eq!((counts.series, counts.total_series, counts.chunks, counts.times), (4, 8, 4, Some((2, 9))));
        let job: Vec<(&str, u64)> = counts.labels["job"].iter().map(|(value, n)| (value.as_str(), *n)).collect();
        assert_eq!(job, [("x", 3), ("y", 1)]);
        assert_eq!(unite(Vec::new(), 0), super::SeriesCounts::default());
    }
}
