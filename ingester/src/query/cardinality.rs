//! Numbers of series by label, of what is in memory.

use std::collections::BTreeMap;

use rpc::{CallContext, Cardinality, CardinalityRequest, LabelCounts};

use super::sources::Sources;
use crate::error::Error;
use crate::service::Ingester;

/// What the labels of an answer may take in memory. On the wire it is less, and so within what a message may have.
const MAX_BYTES: usize = 64 << 20;

impl Ingester {
    /// See [`rpc::IngesterClient::cardinality`].
    pub(crate) async fn count_series(&self, ctx: &CallContext, request: CardinalityRequest) -> Result<Cardinality, Error> {
        self.read(ctx, move |sources| count(sources, &request)).await
    }
}

fn count(sources: &Sources, request: &CardinalityRequest) -> Result<Cardinality, Error> {
    let CardinalityRequest { names, matchers, min_t, max_t } = request;
    let counted = sources.head.cardinality(names, matchers, *min_t, *max_t, MAX_BYTES).ok_or(Error::TooManyLabels { max: MAX_BYTES })?;
    let mut labels: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    for label in counted.labels {
        labels.entry(label.name).or_default().push((label.value, label.series));
    }
    let stats = sources.head.stats();
    Ok(Cardinality {
        series: counted.series,
        total_series: stats.series,
        chunks: stats.chunks,
        times: stats.min_t.zip(stats.max_t),
        labels: labels.into_iter().map(|(name, values)| LabelCounts { name, values }).collect(),
    })
}
