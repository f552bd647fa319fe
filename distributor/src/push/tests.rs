#![allow(clippy::disallowed_methods, reason = "tests measure real time")]

mod suspended;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use limits::{Limits, LimitsProvider, Overrides};
use model::{BatchBuilder, Labels, Metadata, PushReport, RejectReason, RejectedSeries, Sample, TenantId, WriteBatch};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};
use rpc::{
    CallContext, ExemplarSeries, IngesterClient, IngesterPool, LabelNamesRequest, LabelValuesRequest, PushSlice, RpcError, RpcErrorKind,
    SelectStream, SeriesRequest, StreamSelectRequest, WriteError,
};
use runtime::{Deadline, SystemClock, Tasks};
use tokio::sync::watch;

use super::Distributor;
use super::view::View;
use crate::metrics::Metrics;

/// What a fake ingester does with a push.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    Take,
    TakeAfter(Duration),
    Hang,
    Fail(RpcErrorKind),
    /// Rejects every sample of every series.
    Reject(RejectReason),
}

/// An ingester that only counts.
#[derive(Debug)]
pub(crate) struct FakeIngester {
    behaviour: Mutex<Behaviour>,
    pub(crate) pushes: AtomicUsize,
    pub(crate) series: AtomicUsize,
    pub(crate) metadata: AtomicUsize,
}

impl FakeIngester {
    pub(crate) fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            behaviour: Mutex::new(behaviour),
            pushes: AtomicUsize::new(0),
            series: AtomicUsize::new(0),
            metadata: AtomicUsize::new(0),
        })
    }

    fn take(&self, slice: &PushSlice) {
        self.pushes.fetch_add(1, Ordering::SeqCst);
        self.series.fetch_add(slice.series.as_ref().map_or(slice.batch.series.len(), |s| s.len()), Ordering::SeqCst);
        self.metadata.fetch_add(if slice.metadata { slice.batch.metadata.len() } else { 0 }, Ordering::SeqCst);
    }
}

#[async_trait]
impl IngesterClient for FakeIngester {
    async fn push(&self, _: &CallContext, slice: PushSlice) -> Result<PushReport, RpcError> {
        let behaviour = self.behaviour.lock().clone();
        match behaviour {
            Behaviour::Take => {}
            Behaviour::TakeAfter(delay) => tokio::time::sleep(delay).await,
            Behaviour::Hang => std::future::pending().await,
            Behaviour::Fail(kind) => return Err(RpcError::new(kind, "the fake ingester fails")),
            Behaviour::Reject(reason) => {
                let all: Vec<u32> = (0..slice.batch.series.len() as u32).collect();
                let picked = slice.series.as_deref().unwrap_or(&all);
                let rejected = |&series: &u32| {
                    let samples = slice.batch.series[series as usize].samples.len() as u32;
                    RejectedSeries { series, reason, samples, histograms: 0, exemplars: 0, detail: "says the fake".to_owned() }
                };
                return Ok(PushReport { rejected: picked.iter().map(rejected).collect(), ..PushReport::default() });
            }
        }
        self.take(&slice);
        Ok(PushReport::default())
    }

    async fn select(&self, _: &CallContext, _: StreamSelectRequest) -> Result<SelectStream, RpcError> {
        Err(RpcError::internal("the fake holds nothing"))
    }

    async fn series(&self, _: &CallContext, _: SeriesRequest) -> Result<Vec<Labels>, RpcError> {
        Ok(Vec::new())
    }

    async fn label_names(&self, _: &CallContext, _: LabelNamesRequest) -> Result<Vec<String>, RpcError> {
        Ok(Vec::new())
    }

    async fn label_values(&self, _: &CallContext, _: LabelValuesRequest) -> Result<Vec<String>, RpcError> {
        Ok(Vec::new())
    }

    async fn metadata(&self, _: &CallContext, _: Option<String>) -> Result<Vec<Metadata>, RpcError> {
        Ok(Vec::new())
    }

    async fn exemplars(&self, _: &CallContext, _: SeriesRequest) -> Result<Vec<ExemplarSeries>, RpcError> {
        Ok(Vec::new())
    }

    async fn cardinality(&self, _: &CallContext, _: rpc::CardinalityRequest) -> Result<rpc::Cardinality, RpcError> {
        Ok(rpc::Cardinality::default())
    }

    async fn held_blocks(&self, _: &CallContext, _: i64, _: i64) -> Result<Vec<u128>, RpcError> {
        Ok(Vec::new())
    }
}

/// Ingesters by name.
pub(crate) struct FakePool(pub(crate) HashMap<String, Arc<FakeIngester>>);

impl IngesterPool for FakePool {
    fn client(&self, instance: &Instance) -> Arc<dyn IngesterClient> {
        Arc::clone(&self.0[instance.id.as_str()]) as Arc<dyn IngesterClient>
    }
}

/// A cluster of as many ingesters as there are behaviours, each in a zone of its own.
pub(crate) fn cluster(behaviours: &[Behaviour]) -> (Arc<FakePool>, ClusterSnapshot) {
    let name = |i| format!("ingester-{i}");
    let pool = behaviours.iter().enumerate().map(|(i, b)| (name(i), FakeIngester::new(b.clone()))).collect();
    let instance = |i| Instance {
        id: InstanceId::new(&name(i)).unwrap(),
        role: Role::Ingester,
        address: name(i),
        zone: name(i),
        state: InstanceState::Active,
        epoch: 1,
        registered_at_ms: 0,
        moved_at_ms: 0,
        emptied_at_ms: 0,
    };
    let snapshot = ClusterSnapshot { cluster_id: "c".into(), version: 1, instances: (0..behaviours.len()).map(instance).collect() };
    (Arc::new(FakePool(pool)), snapshot)
}

struct Rig {
    pool: Arc<FakePool>,
    distributor: Distributor,
    tasks: Tasks,
    metrics: Metrics,
    view: watch::Sender<Arc<View>>,
}

const TIMEOUT: Duration = Duration::from_millis(300);

fn rig(behaviours: &[Behaviour], replication_factor: usize, max_inflight: u64) -> Rig {
    let (pool, snapshot) = cluster(behaviours);
    let (tasks, metrics) = (Tasks::new(), Metrics::new(&mut Registry::default()));
    let view = View::new(&snapshot, replication_factor, &*pool, max_inflight, &metrics.suspended_ingesters);
    let (sender, view) = watch::channel(Arc::new(view));
    let distributor = Distributor::new(view, SystemClock::shared(), tasks.clone(), metrics.clone(), LimitsProvider::default(), TIMEOUT);
    Rig { pool, distributor, tasks, metrics, view: sender }
}

pub(crate) fn batch(series: usize) -> Arc<WriteBatch> {
    let mut builder = BatchBuilder::new(Bytes::new());
    for i in 0..series {
        builder.sample(Sample { t: 1, v: 1.0 });
        builder.sample(Sample { t: 2, v: 1.0 });
        let labels = Labels::from_pairs([("__name__", "up"), ("i", &i.to_string())]);
        builder.end_series_with(labels.hash(), labels.as_block());
    }
    builder.metadata(Metadata { family: "up".into(), metric_type: model::MetricType::Gauge, help: "h".into(), unit: String::new() });
    Arc::new(builder.finish())
}

impl Rig {
    async fn push(&self, series: usize) -> Result<PushReport, WriteError> {
        let ctx = CallContext { tenant: TenantId::anonymous(), deadline: Deadline::after(&SystemClock::new(), Duration::from_secs(60)) };
        self.distributor.push(&ctx, &batch(series)).await
    }

    fn series_of(&self, ingester: usize) -> usize {
        self.pool.0[&format!("ingester-{ingester}")].series.load(Ordering::SeqCst)
    }
}

const MANY: u64 = 1 << 30;

#[tokio::test]
async fn one_ingester_takes_all_of_it_without_a_task() {
    let rig = rig(&[Behaviour::Take], 1, MANY);
    assert_eq!(rig.push(100).await, Ok(PushReport::default()));
    assert_eq!(rig.series_of(0), 100);
    assert_eq!(rig.pool.0["ingester-0"].metadata.load(Ordering::SeqCst), 1);
    assert_eq!(rig.metrics.background_pushes.get(), 0);
}

#[tokio::test]
async fn the_slow_replica_gets_it_after_the_answer() {
    let slow = Duration::from_millis(150);
    let rig = rig(&[Behaviour::Take, Behaviour::TakeAfter(slow), Behaviour::Take], 3, MANY);
    let started = Instant::now();
    assert_eq!(rig.push(100).await, Ok(PushReport::default()));
    assert!(started.elapsed() < slow, "{:?}", started.elapsed());
    assert_eq!((rig.series_of(1), rig.metrics.background_pushes.get()), (0, 1));
    rig.tasks.drain(Duration::from_secs(5)).await.unwrap();
    assert_eq!([rig.series_of(0), rig.series_of(1), rig.series_of(2)], [100, 100, 100]);
    assert_eq!(rig.metrics.background_pushes.get(), 0);
}

#[tokio::test]
async fn every_replica_of_a_larger_cluster_gets_its_part_in_one_push() {
    let rig = rig(&vec![Behaviour::Take; 6], 3, MANY);
    assert_eq!(rig.push(1_000).await, Ok(PushReport::default()));
    rig.tasks.drain(Duration::from_secs(5)).await.unwrap();
    assert_eq!((0..6).map(|i| rig.series_of(i)).sum::<usize>(), 3_000);
    assert!(rig.pool.0.values().all(|i| i.pushes.load(Ordering::SeqCst) == 1));
    assert_eq!(rig.pool.0.values().map(|i| i.metadata.load(Ordering::SeqCst)).sum::<usize>(), 3);
}

#[tokio::test]
async fn one_dead_or_hanging_replica_costs_nothing() {
    for bad in [Behaviour::Fail(RpcErrorKind::Unavailable), Behaviour::Hang] {
        let rig = rig(&[Behaviour::Take, bad, Behaviour::Take], 3, MANY);
        let started = Instant::now();
        assert_eq!(rig.push(100).await, Ok(PushReport::default()));
        assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn without_a_quorum_nothing_is_acknowledged() {
    use Behaviour::{Fail, Hang, Take};
    let cases = [
        (vec![Fail(RpcErrorKind::Unavailable), Fail(RpcErrorKind::Unavailable), Take], "unavailable"),
        (vec![Hang, Hang, Take], "timeout"),
        (vec![Fail(RpcErrorKind::LimitExceeded), Fail(RpcErrorKind::LimitExceeded), Take], "limit"),
        (vec![Fail(RpcErrorKind::LimitExceeded), Fail(RpcErrorKind::Unavailable), Hang], "unavailable"),
        (vec![Fail(RpcErrorKind::Internal), Fail(RpcErrorKind::Internal), Take], "internal"),
        // Two cannot be a quorum of three when one of them fails, and one never is.
        (vec![Take, Fail(RpcErrorKind::Unavailable)], "unavailable"),
        (vec![Take], "unavailable"),
        (vec![], "unavailable"),
    ];
    for (behaviours, want) in cases {
        let rig = rig(&behaviours, 3, MANY);
        let got = match rig.push(100).await {
            Err(WriteError::Unavailable(_)) => "unavailable",
            Err(WriteError::Timeout(_)) => "timeout",
            Err(WriteError::LimitExceeded(_)) => "limit",
            Err(WriteError::Internal(_)) => "internal",
            Ok(_) => "ok",
        };
        assert_eq!(got, want, "{behaviours:?}");
    }
}

#[tokio::test]
async fn a_sample_is_rejected_by_a_quorum_only() {
    let reject = || Behaviour::Reject(RejectReason::OutOfOrder);
    let all = |report: PushReport| report.rejected.iter().map(|r| r.samples).sum::<u32>();
    let one = rig(&[Behaviour::Take, reject(), Behaviour::TakeAfter(Duration::from_millis(50))], 3, MANY);
    assert_eq!(one.push(100).await.map(all), Ok(0));
    let two = rig(&[Behaviour::TakeAfter(Duration::from_millis(50)), reject(), reject()], 3, MANY);
    assert_eq!(two.push(100).await.map(all), Ok(200));
    let only = rig(&[reject()], 1, MANY);
    assert_eq!(only.push(100).await.map(all), Ok(200));
}

#[tokio::test]
async fn a_replica_at_its_limit_waits_for_the_third() {
    let full = || Behaviour::Reject(RejectReason::SeriesLimit);
    let slow = || Behaviour::TakeAfter(Duration::from_millis(50));
    let third_takes = rig(&[Behaviour::Take, full(), slow()], 3, MANY);
    assert_eq!(third_takes.push(10).await, Ok(PushReport::default()));
    assert_eq!(third_takes.series_of(2), 10);
    let third_dead = rig(&[Behaviour::Take, full(), Behaviour::Fail(RpcErrorKind::Unavailable)], 3, MANY);
    assert_eq!(third_dead.push(10).await.unwrap().rejected.len(), 10);
}

#[tokio::test]
async fn a_hanging_ingester_holds_a_bounded_share_of_memory() {
    // Room for two batches of 100 series.
    let rig = rig(&[Behaviour::Take, Behaviour::Take, Behaviour::Hang], 3, 100_000);
    for _ in 0..20 {
        assert_eq!(rig.push(100).await, Ok(PushReport::default()));
        tokio::task::yield_now().await;
    }
    assert!(rig.metrics.background_pushes.get() <= 2, "{}", rig.metrics.background_pushes.get());
    assert!(rig.metrics.ingester_push_failures.get() >= 18);
    rig.tasks.drain(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_no_ingester_appears_a_write_is_refused() {
    let (pool, _) = cluster(&[]);
    let (tasks, metrics) = (Tasks::new(), Metrics::new(&mut Registry::default()));
    let (sender, view) = watch::channel(Arc::new(View::new(&ClusterSnapshot::default(), 3, &*pool, MANY, &metrics.suspended_ingesters)));
    let timeout = Duration::from_secs(60);
    let distributor = Distributor::new(view, SystemClock::shared(), tasks.clone(), metrics.clone(), LimitsProvider::default(), timeout);
    let rig = Rig { pool, distributor, tasks, metrics, view: sender };
    let Err(WriteError::Unavailable(text)) = rig.push(1).await else { panic!("it was taken") };
    assert!(text.contains("no ingester is registered"), "{text}");
}

/// Nine ingesters in three zones, one in each of which is the tenant's.
#[tokio::test]
async fn a_tenant_with_a_shard_writes_to_its_ingesters_only() {
    let (pool, mut snapshot) = cluster(&vec![Behaviour::Take; 9]);
    for (i, instance) in snapshot.instances.iter_mut().enumerate() {
        instance.zone = format!("zone-{}", i % 3);
    }
    let (tasks, metrics) = (Tasks::new(), Metrics::new(&mut Registry::default()));
    let (sender, view) = watch::channel(Arc::new(View::new(&snapshot, 3, &*pool, MANY, &metrics.suspended_ingesters)));
    let limits = LimitsProvider::new(Limits { ingestion_shard_size: 3, ..Limits::default() });
    // Nothing hangs here: a busy machine is no reason to give up.
    let timeout = Duration::from_secs(60);
    let distributor = Distributor::new(view, SystemClock::shared(), tasks.clone(), metrics.clone(), limits.clone(), timeout);
    let rig = Rig { pool, distributor, tasks, metrics, view: sender };
    let holders = async || {
        assert_eq!(rig.push(300).await, Ok(PushReport::default()));
        while rig.metrics.background_pushes.get() > 0 {
            tokio::task::yield_now().await;
        }
        let taken: Vec<usize> = (0..9).map(|i| rig.pool.0[&format!("ingester-{i}")].series.swap(0, Ordering::SeqCst)).collect();
        assert_eq!(taken.iter().sum::<usize>(), 900);
        (0..9).filter(|i| taken[*i] > 0).collect::<Vec<usize>>()
    };
    let three = holders().await;
    assert_eq!(three.len(), 3);
    assert!((0..3).all(|zone| three.iter().any(|i| i % 3 == zone)));
    assert_eq!(holders().await, three, "from the cache");
    limits.set_overrides(Overrides::parse("overrides: {anonymous: {ingestion_shard_size: 6}}", limits.defaults()).unwrap(), 0);
    let six = holders().await;
    assert!(six.len() == 6 && three.iter().all(|i| six.contains(i)), "{three:?} {six:?}");
}
