//! Calls to ingesters.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::Stream;
use model::{Exemplar, Labels, Matcher, Metadata, Projection, PushReport, SeriesChunks, WriteBatch};
use ring::Instance;

use crate::context::CallContext;
use crate::error::RpcError;

/// The part of a write batch that one ingester gets. Sharing the batch costs a reference count, whatever the number of replicas.
#[derive(Debug, Clone)]
pub struct PushSlice {
    /// The whole batch.
    pub batch: Arc<WriteBatch>,
    /// Indices into `batch.series`, ascending; `None` is all of them.
    pub series: Option<Arc<[u32]>>,
    /// Whether the batch's metadata is for this ingester.
    pub metadata: bool,
}

/// What a querier wants from an ingester.
#[derive(Debug, Clone)]
pub struct StreamSelectRequest {
    /// All must match.
    pub matchers: Arc<[Matcher]>,
    /// First millisecond, inclusive.
    pub min_t: i64,
    /// Last millisecond, inclusive.
    pub max_t: i64,
    /// Series ascend by [`model::SeriesHash`] (needed to merge several ingesters); otherwise any order.
    pub sorted: bool,
    /// What of each series is looked at.
    pub projection: Projection,
}

/// A few series with their chunks. Batches are bounded by bytes, not by series (a batch holds at least one series).
pub type SelectBatch = Vec<SeriesChunks>;

/// Series from an ingester; dropping it cancels the query there. Back-pressure reaches the ingester.
pub type SelectStream = Pin<Box<dyn Stream<Item = Result<SelectBatch, RpcError>> + Send>>;

/// Which series: those that match any of the sets, with a sample in the range.
#[derive(Debug, Clone)]
pub struct SeriesRequest {
    /// Alternatives, each a conjunction; none at all means every series.
    pub selectors: Vec<Arc<[Matcher]>>,
    /// First millisecond, inclusive.
    pub min_t: i64,
    /// Last millisecond, inclusive.
    pub max_t: i64,
    /// The most results wanted; 0 is all.
    pub limit: usize,
}

/// Which label names.
pub type LabelNamesRequest = SeriesRequest;

/// Which values of a label.
#[derive(Debug, Clone)]
pub struct LabelValuesRequest {
    /// The label.
    pub name: String,
    /// Of which series.
    pub series: SeriesRequest,
}

/// The exemplars of one series, ascending in time.
#[derive(Debug, Clone, PartialEq)]
pub struct ExemplarSeries {
    /// The series.
    pub labels: Labels,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// How many series in memory have which labels.
#[derive(Debug, Clone)]
pub struct CardinalityRequest {
    /// Names of labels; none at all means all of them.
    pub names: Vec<String>,
    /// Of series that match all of these.
    pub matchers: Arc<[Matcher]>,
    /// First millisecond, inclusive.
    pub min_t: i64,
    /// Last millisecond, inclusive.
    pub max_t: i64,
}

/// What an ingester holds of a tenant in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series that match.
    pub series: u64,
    /// All series, whether they match or not.
    pub total_series: u64,
    /// Chunks of all series.
    pub chunks: u64,
    /// Times of the first and of the last of all samples; `None` if there are none.
    pub times: Option<(i64, i64)>,
    /// Each name once.
    pub labels: Vec<LabelCounts>,
}

/// A label's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCounts {
    /// The label.
    pub name: String,
    /// Its values, each once, in any order, and how many series have it.
    pub values: Vec<(String, u64)>,
}

/// How long a block that [`IngesterClient::held_blocks`] has named stays part of every answer. Longer than a query may take, from the question to its last call.
pub const HELD_FOR: Duration = Duration::from_secs(600);

/// One ingester. Every call honours the context's deadline and its tenant; none waits longer.
#[async_trait]
pub trait IngesterClient: Send + Sync + 'static {
    /// Appends. `Ok` means that everything but what the report lists is in the ingester's WAL. Pushing the same slice again is harmless.
    async fn push(&self, ctx: &CallContext, slice: PushSlice) -> Result<PushReport, RpcError>;

    /// Streams the series that match, each once.
    async fn select(&self, ctx: &CallContext, request: StreamSelectRequest) -> Result<SelectStream, RpcError>;

    /// Label sets of the series that match, each once, in any order.
    async fn series(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<Labels>, RpcError>;

    /// Names of labels, ascending.
    async fn label_names(&self, ctx: &CallContext, request: LabelNamesRequest) -> Result<Vec<String>, RpcError>;

    /// Values of a label, ascending.
    async fn label_values(&self, ctx: &CallContext, request: LabelValuesRequest) -> Result<Vec<String>, RpcError>;

    /// Metadata of one family, or of all.
    async fn metadata(&self, ctx: &CallContext, family: Option<String>) -> Result<Vec<Metadata>, RpcError>;

    /// Exemplars of the series that match.
    async fn exemplars(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<ExemplarSeries>, RpcError>;

    /// Counts series by label. Labels of more than 64 MiB are [`crate::RpcErrorKind::LimitExceeded`].
    async fn cardinality(&self, ctx: &CallContext, request: CardinalityRequest) -> Result<Cardinality, RpcError>;

    /// The blocks of level 1 with a time range that meets `[min_t, max_t]` (inclusive) which lie on the ingester's disk, and whose samples are part of each of its answers that
    /// begin within the next [`HELD_FOR`] at least. Each is named by the 128 bits of its ULID, ascending. A block that is left out may be part of its answers nevertheless.
    async fn held_blocks(&self, ctx: &CallContext, min_t: i64, max_t: i64) -> Result<Vec<u128>, RpcError>;
}

/// Hands out the client of an instance: the gRPC one keeps a connection per address, the in-process one knows the only ingester.
pub trait IngesterPool: Send + Sync + 'static {
    /// The client for this instance. Does not connect; a call on an unreachable instance fails with [`crate::RpcErrorKind::Unavailable`].
    fn client(&self, instance: &Instance) -> Arc<dyn IngesterClient>;
}
