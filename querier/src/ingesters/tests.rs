use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use limits::{Limits, LimitsProvider, Overrides};
use model::{Chunk, ChunkEncoding, Labels, Matcher, Metadata, PushReport, SeriesChunks, TenantId};
use prometheus_client::registry::Registry;
use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role, UNZONED};
use rpc::{
    CallContext, ExemplarSeries, IngesterClient, IngesterPool, LabelNamesRequest, LabelValuesRequest, PushSlice, RpcError, RpcErrorKind,
    SelectStream, SeriesRequest, StreamSelectRequest,
};
use runtime::{Deadline, ManualClock};
use tokio::sync::{mpsc, watch};

use super::{Home, Ingesters, Shards};
use crate::metrics::Metrics;

/// How a fake ingester behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    Fine,
    Refuses,
    Hangs,
    /// Gives its first series, then fails.
    FailsLate,
    /// Gives its first series, then nothing more for ever.
    StallsLate,
    OverLimit,
}

/// Its behaviour, what it has, and how many requests it got.
struct Fake(Behaviour, Vec<SeriesChunks>, AtomicUsize);

impl Fake {
    async fn answer(&self) -> Result<(), RpcError> {
        self.2.fetch_add(1, Ordering::Relaxed);
        match self.0 {
            Behaviour::Refuses => Err(RpcError::unavailable("connection refused")),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::OverLimit => Err(RpcError::new(RpcErrorKind::LimitExceeded, "max_query_series")),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl IngesterClient for Fake {
    async fn push(&self, _: &CallContext, _: PushSlice) -> Result<PushReport, RpcError> {
        unreachable!("a querier writes nothing")
    }

    async fn select(&self, _: &CallContext, request: StreamSelectRequest) -> Result<SelectStream, RpcError> {
        self.answer().await?;
        assert!(request.sorted, "several ingesters are merged by hash");
        let items = futures::stream::iter(self.1.clone().into_iter().map(|s| Ok(vec![s])));
        let error = RpcError::internal("disk on fire");
        Ok(match self.0 {
            Behaviour::FailsLate => Box::pin(items.take(1).chain(futures::stream::iter([Err(error)]))),
            Behaviour::StallsLate => Box::pin(items.take(1).chain(futures::stream::pending())),
            _ => Box::pin(items),
        })
    }

    async fn series(&self, _: &CallContext, _: SeriesRequest) -> Result<Vec<Labels>, RpcError> {
        self.answer().await?;
        Ok(self.1.iter().map(|s| s.labels.clone()).collect())
    }

    async fn label_names(&self, _: &CallContext, _: LabelNamesRequest) -> Result<Vec<String>, RpcError> {
        unreachable!("not asked here")
    }

    async fn label_values(&self, _: &CallContext, _: LabelValuesRequest) -> Result<Vec<String>, RpcError> {
        unreachable!("not asked here")
    }

    async fn metadata(&self, _: &CallContext, _: Option<String>) -> Result<Vec<Metadata>, RpcError> {
        unreachable!("not asked here")
    }

    async fn exemplars(&self, _: &CallContext, _: SeriesRequest) -> Result<Vec<ExemplarSeries>, RpcError> {
        unreachable!("not asked here")
    }

    async fn cardinality(&self, _: &CallContext, _: rpc::CardinalityRequest) -> Result<rpc::Cardinality, RpcError> {
        unreachable!("not asked here")
    }

    async fn held_blocks(&self, _: &CallContext, _: i64, _: i64) -> Result<Vec<u128>, RpcError> {
        unreachable!("not asked here")
    }
}

#[derive(Clone)]
struct Pool(HashMap<String, Arc<Fake>>);

impl Pool {
    /// Who was asked since the last time.
    fn asked(&self) -> Vec<usize> {
        let asked = (0..self.0.len()).filter(|i| self.0[&format!("ingester-{i}")].2.swap(0, Ordering::Relaxed) > 0);
        asked.collect()
    }
}

impl IngesterPool for Pool {
    fn client(&self, instance: &Instance) -> Arc<dyn IngesterClient> {
        Arc::clone(&self.0[instance.id.as_str()]) as Arc<dyn IngesterClient>
    }
}

fn series(n: usize) -> SeriesChunks {
    let labels = Labels::from_pairs([("__name__", format!("m{n}"))]);
    let chunk = Chunk { encoding: ChunkEncoding::Xor, min_t: 0, max_t: 1, data: bytes::Bytes::from_static(b"x") };
    SeriesChunks { hash: labels.hash(), labels, chunks: vec![chunk], newest: None }
}

/// `holdings[i]` are the numbers of the series that ingester i holds.
fn cluster(replication_factor: usize, members: &[(Behaviour, std::ops::Range<usize>)]) -> Ingesters {
    cluster_in_zones(replication_factor, members, &[UNZONED])
}

/// Ingester i is in the zone `zones[i % zones.len()]`.
fn cluster_in_zones(replication_factor: usize, members: &[(Behaviour, std::ops::Range<usize>)], zones: &[&str]) -> Ingesters {
    cluster_with(replication_factor, members, zones, None).0
}

/// One of them may be JOINING.
fn cluster_with(
    replication_factor: usize,
    members: &[(Behaviour, std::ops::Range<usize>)],
    zones: &[&str],
    joining: Option<usize>,
) -> (Ingesters, Pool) {
    let mut pool = HashMap::new();
    let mut instances = Vec::new();
    for (i, (behaviour, holds)) in members.iter().enumerate() {
        let mut held: Vec<_> = holds.clone().map(series).collect();
        held.sort_by_key(|s| s.hash);
        let id = format!("ingester-{i}");
        pool.insert(id.clone(), Arc::new(Fake(*behaviour, held, AtomicUsize::new(0))));
        instances.push(Instance {
            id: InstanceId::new(&id).unwrap(),
            role: Role::Ingester,
            address: "127.0.0.1:1".to_owned(),
            zone: zones[i % zones.len()].to_owned(),
            state: if joining == Some(i) { InstanceState::Joining } else { InstanceState::Active },
            epoch: 1,
            registered_at_ms: 0,
            moved_at_ms: 0,
            emptied_at_ms: 0,
        });
    }
    let (tx, snapshot) = watch::channel(Arc::new(ClusterSnapshot { cluster_id: "c".to_owned(), version: 1, instances }));
    // The sender may go: the last value stays.
    drop(tx);
    let metrics = Metrics::register(&mut Registry::default());
    let shards = Shards { limits: LimitsProvider::default(), clock: Arc::new(ManualClock::at(0)), lookback_ms: 0 };
    let home = Home { zone: UNZONED.to_owned(), id: "querier".to_owned() };
    let pool = Pool(pool);
    let wait = Duration::from_millis(50);
    (Ingesters::new(snapshot, Arc::new(pool.clone()), replication_factor, shards, home, wait, metrics), pool)
}

fn ctx() -> CallContext {
    CallContext { tenant: TenantId::anonymous(), deadline: Deadline::after(&ManualClock::at(0), Duration::from_secs(60)) }
}

/// Number of distinct series that a select yields, or its error.
async fn select(ingesters: &Ingesters) -> Result<usize, RpcError> {
    let (tx, mut rx) = mpsc::channel(1);
    let request = StreamSelectRequest {
        matchers: Arc::from([Matcher::equal("a", "b")]),
        min_t: 0,
        max_t: 1,
        sorted: true,
        projection: model::Projection::WHOLE,
    };
    let ctx = ctx();
    let (_, result) = tokio::join!(ingesters.select_into(&ctx, request, tx), async {
        let mut seen = Vec::new();
        while let Some(batch) = rx.recv().await {
            for s in batch? {
                assert_eq!(s.chunks.len(), 1, "equal chunks of replicas are one");
                seen.push(s.hash);
            }
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "each series once, by hash");
        Ok(seen.len())
    });
    result
}

async fn count_series(ingesters: &Ingesters) -> Result<usize, RpcError> {
    let request = SeriesRequest { selectors: Vec::new(), min_t: 0, max_t: 1, limit: 0 };
    let ctx = ctx();
    let answers = ingesters
        .ask(&ctx.tenant, |client| {
            let (ctx, request) = (ctx.clone(), request.clone());
            async move { client.series(&ctx, request).await }
        })
        .await?;
    Ok(answers.into_iter().flatten().collect::<std::collections::HashSet<_>>().len())
}

#[tokio::test(start_paused = true)]
async fn one_of_three_replicas_may_be_missing_in_any_way() {
    for bad in [Behaviour::Fine, Behaviour::Refuses, Behaviour::Hangs, Behaviour::FailsLate, Behaviour::StallsLate] {
        let ingesters = cluster(3, &[(Behaviour::Fine, 0..100), (bad, 0..100), (Behaviour::Fine, 0..100)]);
        assert_eq!(select(&ingesters).await, Ok(100));
        if !matches!(bad, Behaviour::FailsLate | Behaviour::StallsLate) {
            assert_eq!(count_series(&ingesters).await, Ok(100));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_missing_replicas_are_an_error_not_a_hole() {
    for bad in [Behaviour::Refuses, Behaviour::FailsLate] {
        let ingesters = cluster(3, &[(Behaviour::Fine, 0..100), (bad, 0..100), (bad, 0..100)]);
        assert!(select(&ingesters).await.is_err());
    }
    let ingesters = cluster(3, &[(Behaviour::Fine, 0..100), (Behaviour::Refuses, 0..100), (Behaviour::FailsLate, 0..100)]);
    assert!(select(&ingesters).await.is_err(), "one at the start and one later are two");
}

/// Every series is in two of the three zones, as a quorum leaves it; which two changes from series to series.
fn holdings(i: usize) -> Vec<SeriesChunks> {
    (0..90).filter(|n| n % 3 != i % 3).map(series).collect()
}

/// Six ingesters in three zones, of which some are bad, and a querier in zone `a`. Each has what its zone has.
fn zoned(bad: Behaviour, who: &[usize]) -> (Ingesters, Pool) {
    let members: Vec<_> = (0..6).map(|i| (if who.contains(&i) { bad } else { Behaviour::Fine }, 0..0)).collect();
    let (mut ingesters, mut pool) = cluster_with(3, &members, &["a", "b", "c"], None);
    for (i, (behaviour, _)) in members.iter().enumerate() {
        let mut held = holdings(i);
        held.sort_by_key(|s| s.hash);
        pool.0.insert(format!("ingester-{i}"), Arc::new(Fake(*behaviour, held, AtomicUsize::new(0))));
    }
    ingesters.pool = Arc::new(pool.clone());
    ingesters.home = Home { zone: "a".to_owned(), id: "querier".to_owned() };
    (ingesters, pool)
}

#[tokio::test(start_paused = true)]
async fn the_own_zone_and_one_other_are_asked_and_the_others_take_turns() {
    let (ingesters, pool) = zoned(Behaviour::Fine, &[]);
    let mut seen = Vec::new();
    for _ in 0..2 {
        assert_eq!(select(&ingesters).await, Ok(90));
        seen.push(pool.asked());
    }
    seen.sort();
    assert_eq!(seen, [[0, 1, 3, 4], [0, 2, 3, 5]]);
    assert_eq!(count_series(&ingesters).await, Ok(90));
    assert_eq!(pool.asked().len(), 4);
    let tenant = TenantId::anonymous();
    let everyone = ingesters.ask_everyone(&tenant, |client| async move {
        client.series(&ctx(), SeriesRequest { selectors: Vec::new(), min_t: 0, max_t: 1, limit: 0 }).await
    });
    assert_eq!(everyone.await.unwrap().len(), 6);
    assert_eq!(pool.asked().len(), 6);
    let count = |zone| ingesters.metrics.ingesters_asked.get_or_create(&crate::metrics::AskedLabels { zone }).get();
    assert_eq!((count("own"), count("other"), ingesters.metrics.ingesters_asked_late.get()), (8, 10, 0));
}

/// Whatever goes wrong with one of those that are asked, and when, the zone that was left out stands in for it.
#[tokio::test(start_paused = true)]
async fn a_zone_that_was_left_out_stands_in() {
    for bad in [Behaviour::Refuses, Behaviour::Hangs, Behaviour::FailsLate, Behaviour::StallsLate] {
        for who in [vec![0], vec![1], vec![2], vec![0, 3]] {
            let (ingesters, pool) = zoned(bad, &who);
            for _ in 0..4 {
                assert_eq!(select(&ingesters).await, Ok(90), "{bad:?} {who:?}");
                if matches!(bad, Behaviour::Refuses | Behaviour::Hangs) {
                    assert_eq!(count_series(&ingesters).await, Ok(90), "{bad:?} {who:?}");
                }
            }
            let asked = pool.asked();
            assert_eq!(asked, [0, 1, 2, 3, 4, 5], "{bad:?} {who:?}");
            assert!(ingesters.metrics.ingesters_asked_late.get() > 0);
        }
        for who in [[0, 1], [1, 2], [3, 5]] {
            let (ingesters, _) = zoned(bad, &who);
            let done = tokio::time::timeout(Duration::from_secs(600), select(&ingesters)).await;
            assert!(!matches!(done, Ok(Ok(_))), "{bad:?} {who:?}: two zones of three are not whole");
        }
    }
}

/// With a replica per zone, all ingesters of one zone may be gone: six ingesters, two of them in the lost zone.
#[tokio::test(start_paused = true)]
async fn a_whole_zone_may_be_missing() {
    let members = |bad: [Behaviour; 6]| bad.map(|b| (b, 0..60));
    let (fine, gone) = (Behaviour::Fine, Behaviour::Refuses);
    let one_zone = cluster_in_zones(3, &members([fine, gone, fine, fine, gone, fine]), &["a", "b", "c"]);
    assert_eq!(select(&one_zone).await, Ok(60));
    assert_eq!(count_series(&one_zone).await, Ok(60));
    let two_zones = cluster_in_zones(3, &members([gone, gone, fine, fine, fine, fine]), &["a", "b", "c"]);
    assert!(select(&two_zones).await.is_err());
    assert!(count_series(&two_zones).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn without_replication_everyone_must_answer() {
    let ingesters = cluster(1, &[(Behaviour::Fine, 0..50), (Behaviour::Fine, 50..100)]);
    assert_eq!(select(&ingesters).await, Ok(100));
    let ingesters = cluster(1, &[(Behaviour::Fine, 0..50), (Behaviour::Refuses, 50..100)]);
    assert_eq!(select(&ingesters).await.unwrap_err().kind, RpcErrorKind::Unavailable);
}

/// An ingester that replays its log answers only when it is done: it is waited for if nobody else can make the answer complete.
#[tokio::test(start_paused = true)]
async fn one_that_is_joining_is_asked_when_it_is_needed() {
    let (fine, hangs, gone) = (Behaviour::Fine, Behaviour::Hangs, Behaviour::Refuses);
    let started = tokio::time::Instant::now();
    let not_needed = cluster_with(3, &[(fine, 0..20), (hangs, 0..20), (fine, 0..20)], &[UNZONED], Some(1)).0;
    assert_eq!(select(&not_needed).await, Ok(20));
    assert_eq!(count_series(&not_needed).await, Ok(20));
    assert_eq!(started.elapsed(), Duration::ZERO, "nobody waits for it as for a straggler");
    let needed = cluster_with(3, &[(fine, 0..20), (fine, 0..20), (gone, 0..20)], &[UNZONED], Some(1)).0;
    assert_eq!(select(&needed).await, Ok(20));
    assert_eq!(count_series(&needed).await, Ok(20));
    let too_few = cluster_with(3, &[(fine, 0..20), (gone, 0..20), (gone, 0..20)], &[UNZONED], Some(1)).0;
    assert!(select(&too_few).await.is_err());
    let alone = cluster_with(1, &[(fine, 0..20), (fine, 20..40)], &[UNZONED], Some(1)).0;
    assert_eq!(select(&alone).await, Ok(40));
}

#[tokio::test(start_paused = true)]
async fn a_limit_ends_the_query_even_where_a_failure_would_be_tolerated() {
    let ingesters = cluster(3, &[(Behaviour::Fine, 0..10), (Behaviour::OverLimit, 0..10), (Behaviour::Fine, 0..10)]);
    assert_eq!(select(&ingesters).await.unwrap_err().kind, RpcErrorKind::LimitExceeded);
}

#[tokio::test]
async fn nobody_registered_is_an_error() {
    assert_eq!(select(&cluster(3, &[])).await.unwrap_err().kind, RpcErrorKind::Unavailable);
}

/// Nine ingesters in three zones; those that are not in the tenant's shard of three would fail.
#[tokio::test(start_paused = true)]
async fn only_those_that_may_have_the_tenants_series_are_asked() {
    const HOUR: i64 = 3_600_000;
    let instances = cluster_in_zones(3, &vec![(Behaviour::Fine, 0..1); 9], &["a", "b", "c"]).ring().unwrap();
    let tenant = TenantId::anonymous();
    let own = instances.shard_of(tenant.as_str(), 3).members().to_vec();
    let behaviour = |i: u32| if own.contains(&i) { Behaviour::Fine } else { Behaviour::Refuses };
    let members: Vec<_> = (0..9).map(|i| (behaviour(i), 0..70)).collect();
    let mut ingesters = cluster_in_zones(3, &members, &["a", "b", "c"]);
    let (limits, clock) =
        (LimitsProvider::new(Limits { ingestion_shard_size: 3, ..Limits::default() }), Arc::new(ManualClock::at(10 * HOUR)));
    ingesters.shards = Shards { limits: limits.clone(), clock: Arc::clone(&clock) as _, lookback_ms: 6 * HOUR };
    assert!(select(&ingesters).await.is_err(), "what the size was is not known: everyone is needed");
    limits.follows_changes_from(0, 0);
    assert_eq!(select(&ingesters).await, Ok(70));
    assert_eq!(count_series(&ingesters).await, Ok(70));
    // It was larger in between: then others may have something.
    let set = |size: usize, at: i64| {
        let text = format!("overrides: {{anonymous: {{ingestion_shard_size: {size}}}}}");
        limits.set_overrides(Overrides::parse(&text, limits.defaults()).unwrap(), at);
    };
    set(9, 10 * HOUR);
    assert!(select(&ingesters).await.is_err());
    set(3, 11 * HOUR);
    clock.advance(Duration::from_secs(7 * 3_600 - 1));
    assert!(select(&ingesters).await.is_err());
    clock.advance(Duration::from_secs(2));
    assert_eq!(select(&ingesters).await, Ok(70));
}

/// Who hangs costs three queries some waiting; then only a try once in a while, until it answers.
#[tokio::test(start_paused = true)]
async fn a_hanging_ingester_is_not_asked_for_long() {
    let clock = Arc::new(ManualClock::at(0));
    let mut ingesters =
        cluster_in_zones(3, &[(Behaviour::Fine, 0..9), (Behaviour::Hangs, 0..9), (Behaviour::Fine, 0..9)], &["a", "b", "c"]);
    ingesters.shards.clock = Arc::clone(&clock) as _;
    let mut waited = 0;
    for _ in 0..1_000 {
        let started = tokio::time::Instant::now();
        assert_eq!(count_series(&ingesters).await, Ok(9));
        assert_eq!(select(&ingesters).await, Ok(9));
        waited += usize::from(started.elapsed() > Duration::ZERO);
        clock.advance(Duration::from_millis(20));
    }
    // Three, and those after 0.25, 0.5, 1, 2, 4 and 8 seconds.
    assert!((2..10).contains(&waited), "{waited}");
}
