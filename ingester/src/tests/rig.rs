//! An ingester over a file system in memory, and shorthands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bucket::Bucket;
use bytes::Bytes;
use futures::TryStreamExt;
use limits::{Limits, LimitsProvider};
use model::{BatchBuilder, Labels, Matcher, PushReport, Sample, WriteBatch};
use prometheus_client::registry::Registry;
use ring::InstanceState;
use rpc::{CallContext, IngesterClient, PushSlice, RpcError, SeriesRequest, StreamSelectRequest};
use runtime::{CpuPool, Deadline, ManualClock, ShutdownTrigger, Tasks};
use tokio::task::JoinHandle;
use tsdb::fs::{FaultyFs, Fs};

use crate::{Config, Deps, Ingester, Service, StartError};

/// The time at which all tests begin: 2023-11-14.
pub(super) const NOW: i64 = 1_700_000_000_000;

pub(super) struct Rig {
    pub(super) ingester: Ingester,
    pub(super) clock: ManualClock,
    pub(super) fs: FaultyFs,
    pub(super) bucket: Bucket,
    pub(super) registry: Registry,
    pub(super) trigger: ShutdownTrigger,
    pub(super) running: JoinHandle<Result<(), StartError>>,
}

/// What an ingester may be started with.
#[derive(Default)]
pub(super) struct Options {
    pub(super) config: Config,
    pub(super) limits: Limits,
    pub(super) fs: FaultyFs,
    /// None: an empty one in memory.
    pub(super) bucket: Option<Bucket>,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Starts an ingester and waits until it is ACTIVE.
    pub(super) async fn with(options: Options) -> Self {
        let clock = ManualClock::at(NOW);
        let mut registry = Registry::default();
        let bucket = options.bucket.unwrap_or_else(|| memory_bucket(&clock));
        let service = build(&options.config, options.limits, Arc::new(options.fs.clone()), bucket.clone(), &clock, &mut registry);
        let ingester = service.ingester();
        let (trigger, shutdown) = ShutdownTrigger::new();
        let running = tokio::spawn(service.run(shutdown));
        ingester.watch_state().wait_for(|state| *state != InstanceState::Joining).await.unwrap();
        Self { ingester, clock, fs: options.fs, bucket, registry, trigger, running }
    }

    /// The ingester that starts from what a kill of this one leaves. This one goes on and notices nothing.
    pub(super) async fn after_kill(&self) -> Self {
        Self::with(Options { fs: self.fs.after_kill(), bucket: Some(self.bucket.clone()), ..Options::default() }).await
    }

    pub(super) fn ctx(&self, tenant: &str) -> CallContext {
        context(&self.clock, tenant)
    }

    pub(super) async fn push(&self, tenant: &str, batch: WriteBatch) -> Result<PushReport, RpcError> {
        self.ingester.push(&self.ctx(tenant), slice(batch)).await
    }

    pub(super) async fn all(&self, tenant: &str) -> Contents {
        select_all(&self.ingester, &self.ctx(tenant)).await.unwrap()
    }
}

pub(super) fn memory_bucket(clock: &ManualClock) -> Bucket {
    bucket::open("memory://", bucket::Settings::default(), Arc::new(clock.clone()), &mut Registry::default()).unwrap()
}

pub(super) fn build(
    config: &Config,
    limits: Limits,
    fs: Arc<dyn Fs>,
    bucket: Bucket,
    clock: &ManualClock,
    registry: &mut Registry,
) -> Service {
    let tasks = Tasks::new();
    let deps = Deps {
        data_dir: "data".into(),
        fs,
        clock: Arc::new(clock.clone()),
        push_pool: CpuPool::new(2, tasks.clone()),
        query_pool: CpuPool::new(2, tasks.clone()),
        tasks,
        bucket,
        limits: LimitsProvider::new(limits),
        wal_salt: 42,
    };
    Service::build(config, deps, registry).unwrap()
}

pub(super) fn context(clock: &ManualClock, tenant: &str) -> CallContext {
    CallContext { tenant: model::TenantId::new(tenant).unwrap(), deadline: Deadline::after(clock, Duration::from_secs(20)) }
}

pub(super) fn slice(batch: WriteBatch) -> PushSlice {
    PushSlice { batch: Arc::new(batch), series: None, metadata: true }
}

pub(super) fn labels(name: &str, instance: usize) -> Labels {
    Labels::from_pairs([("__name__", name), ("instance", &format!("i{instance:05}")), ("job", "test")])
}

/// One series with samples at these offsets from [`NOW`] in seconds; the value is the offset.
pub(super) fn one(name: &str, offsets: impl IntoIterator<Item = i64>) -> WriteBatch {
    let mut builder = BatchBuilder::new(Bytes::new());
    for offset in offsets {
        builder.sample(Sample { t: NOW + offset * 1_000, v: offset as f64 });
    }
    let labels = labels(name, 0);
    builder.end_series_with(labels.hash(), labels.as_block());
    builder.finish()
}

/// Many series with one sample each.
pub(super) fn many(name: &str, series: usize, offset: i64) -> WriteBatch {
    let mut builder = BatchBuilder::new(Bytes::new());
    for i in 0..series {
        let labels = labels(name, i);
        builder.sample(Sample { t: NOW + offset * 1_000, v: i as f64 });
        builder.end_series_with(labels.hash(), labels.as_block());
    }
    builder.finish()
}

/// Samples by series, in text so that they sort and compare.
pub(super) type Contents = BTreeMap<String, Vec<(i64, f64)>>;

pub(super) async fn select_all(client: &dyn IngesterClient, ctx: &CallContext) -> Result<Contents, RpcError> {
    select(client, ctx, &[]).await
}

pub(super) async fn select(client: &dyn IngesterClient, ctx: &CallContext, matchers: &[Matcher]) -> Result<Contents, RpcError> {
    let request = StreamSelectRequest {
        matchers: matchers.into(),
        min_t: i64::MIN,
        max_t: i64::MAX,
        sorted: true,
        projection: model::Projection::WHOLE,
    };
    let batches: Vec<_> = client.select(ctx, request).await?.try_collect().await?;
    let series: Vec<_> = batches.into_iter().flatten().collect();
    assert!(series.is_sorted_by(|a, b| a.hash < b.hash), "series ascend by hash, each once");
    Ok(series.iter().map(|s| (s.labels.to_string(), s.chunks.iter().flat_map(|c| samples(&c.data)).collect())).collect())
}

/// The floats of a chunk.
pub(super) fn samples(data: &[u8]) -> Vec<(i64, f64)> {
    let mut samples = tsdb::chunk::XorIterator::new(data).unwrap();
    std::iter::from_fn(move || samples.next().unwrap()).map(|s| (s.t, s.v)).collect()
}

/// Offsets from [`NOW`] in seconds of one series.
pub(super) fn offsets(contents: &Contents, name: &str) -> Vec<i64> {
    let samples = contents.get(&labels(name, 0).to_string());
    samples.map(|s| s.iter().map(|(t, _)| (t - NOW) / 1_000).collect()).unwrap_or_default()
}

pub(super) fn everything() -> SeriesRequest {
    SeriesRequest { selectors: Vec::new(), min_t: i64::MIN, max_t: i64::MAX, limit: 0 }
}
