use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use limits::{Limits, LimitsProvider};
use model::{BatchBuilder, Labels, Metadata, MetricType, Sample, TenantId, WriteBatch};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use rpc::{KeyEntry, KeyStore, KeysStream, RpcError, Swap, Swapped};
use runtime::ManualClock;

use super::Ha;
use crate::refusals::{Counts, Refusals};

/// The values of a coordinator group, without one.
#[derive(Default)]
pub(crate) struct Store {
    values: Mutex<BTreeMap<String, KeyEntry>>,
    last: AtomicU64,
    away: AtomicBool,
    swaps: AtomicU64,
}

#[async_trait]
impl KeyStore for Store {
    async fn swap(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, RpcError> {
        self.swaps.fetch_add(1, SeqCst);
        if self.away.load(SeqCst) {
            return Err(RpcError::unavailable("away"));
        }
        let mut values = self.values.lock();
        let swapped = swaps.into_iter().map(|swap| {
            let current = values.get(&swap.key).cloned().unwrap_or_default();
            if current.version != swap.expected {
                return Swapped::Conflict { current };
            }
            let version = self.last.fetch_add(1, SeqCst) + 1;
            values.insert(swap.key, KeyEntry { version, value: swap.value });
            Swapped::Done { version }
        });
        Ok(swapped.collect())
    }

    async fn watch_keys(&self, _: &str) -> Result<KeysStream, RpcError> {
        Ok(futures::stream::pending().boxed())
    }
}

struct Rig {
    ha: Ha,
    clock: ManualClock,
    limits: Limits,
}

fn rig(store: &Arc<Store>) -> Rig {
    let clock = ManualClock::at(1_000_000);
    let limits = Limits { accept_ha_samples: true, ha_max_clusters: 2, ..Limits::default() };
    let provider = LimitsProvider::new(limits.clone());
    let ha = Ha::new(Arc::clone(store) as Arc<dyn KeyStore>, provider, Arc::new(clock.clone()), 7, &mut Registry::default());
    Rig { ha, clock, limits }
}

fn batch(series: &[&[(&str, &str)]]) -> WriteBatch {
    let mut builder = BatchBuilder::new(Bytes::new());
    for (i, labels) in series.iter().enumerate() {
        builder.sample(Sample { t: i as i64, v: i as f64 });
        let labels = Labels::from_pairs(labels.iter().copied());
        builder.end_series_with(labels.hash(), labels.as_block());
    }
    builder.metadata(Metadata { family: "up".into(), metric_type: MetricType::Gauge, help: String::new(), unit: String::new() });
    builder.finish()
}

fn from(cluster: &str, replica: &str) -> WriteBatch {
    batch(&[&[("__name__", "up"), ("__replica__", replica), ("cluster", cluster)]])
}

impl Rig {
    async fn send(&self, batch: WriteBatch) -> (Vec<String>, Counts, Refusals) {
        let mut refusals = Refusals::default();
        let (batch, dropped) = self.ha.dedupe(&TenantId::anonymous(), &self.limits, batch, &mut refusals).await;
        let series = batch.series.iter().map(|s| {
            assert_eq!(s.hash, batch.labels(s).hash(), "the hash is that of the labels");
            format!("{:?} {:?}", batch.labels(s), batch.samples_of(s).first().map(|sample| sample.v))
        });
        (series.collect(), dropped, refusals)
    }

    async fn takes(&self, cluster: &str, replica: &str) -> bool {
        !self.send(from(cluster, replica)).await.0.is_empty()
    }
}

#[tokio::test]
async fn one_replica_is_written_without_its_label_and_the_other_dropped() {
    let rig = rig(&Arc::default());
    let mixed = batch(&[
        &[("__name__", "up"), ("__replica__", "a"), ("cluster", "c"), ("job", "x")],
        &[("__name__", "up"), ("__replica__", "b"), ("cluster", "c"), ("job", "x")],
        &[("__name__", "up"), ("cluster", "c"), ("job", "plain")],
        &[("__name__", "up"), ("__replica__", "b"), ("cluster", "d"), ("job", "y")],
        &[("__name__", "up"), ("__replica__", "a"), ("cluster", "e"), ("job", "z")],
    ]);
    let (series, dropped, refusals) = rig.send(mixed).await;
    assert_eq!(
        series,
        [
            r#"{__name__="up", cluster="c", job="x"} Some(0.0)"#,
            r#"{__name__="up", cluster="c", job="plain"} Some(2.0)"#,
            r#"{__name__="up", cluster="d", job="y"} Some(3.0)"#,
        ]
    );
    assert_eq!(dropped.samples, 1);
    assert_eq!(refusals.total().samples, 1, "a third group is one too many");
    assert!(refusals.told()[0].detail.contains("ha_max_clusters"), "{refusals:?}");
    let plain = rig.send(batch(&[&[("__name__", "up")]])).await;
    assert_eq!((plain.0.len(), plain.1), (1, Counts::default()));
}

#[tokio::test]
async fn two_distributors_elect_the_same_and_fail_over_together() {
    let store: Arc<Store> = Arc::default();
    let (one, two) = (rig(&store), rig(&store));
    assert!(one.takes("c", "a").await);
    assert!(!two.takes("c", "b").await, "who proposes another one hears of the election");
    assert!(two.takes("c", "a").await);
    for rig in [&one, &two] {
        rig.clock.advance(std::time::Duration::from_secs(31));
    }
    assert!(two.takes("c", "b").await, "a was silent");
    assert!(!one.takes("c", "a").await || store.last.load(SeqCst) == 2, "the first one may take it until it hears of the election");
    assert_eq!(store.last.load(SeqCst), 2, "one election each time");
}

#[tokio::test]
async fn while_the_coordinator_is_away_nothing_is_refused_and_the_last_election_holds() {
    let store: Arc<Store> = Arc::default();
    let rig = rig(&store);
    assert!(rig.takes("c", "a").await);
    store.away.store(true, SeqCst);
    rig.clock.advance(std::time::Duration::from_secs(100));
    assert!(!rig.takes("c", "b").await, "the last election holds");
    assert!(rig.takes("c", "a").await);
    assert!(rig.takes("d", "b").await, "where there was none the first one is taken");
    assert!(!rig.takes("d", "a").await);
    let asked = store.swaps.load(SeqCst);
    rig.clock.advance(std::time::Duration::from_millis(500));
    assert!(!rig.takes("d", "a").await);
    assert_eq!(store.swaps.load(SeqCst), asked, "nobody waits for what just failed");
}

#[tokio::test]
async fn many_senders_wait_for_one_election() {
    let store: Arc<Store> = Arc::default();
    let rig = rig(&store);
    let all = futures::future::join_all((0..50).map(|i| rig.takes("c", if i % 2 == 0 { "a" } else { "b" }))).await;
    assert_eq!(all.iter().filter(|taken| **taken).count(), 25);
    assert_eq!(store.last.load(SeqCst), 1);
}
