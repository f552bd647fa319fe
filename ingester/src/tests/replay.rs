//! What is served while the log is replayed.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use limits::Limits;
use model::{BatchBuilder, Exemplar, Histogram, HistogramSample, HistogramValue, Labels, Metadata, MetricType, Span, WriteBatch};
use parking_lot::{Condvar, Mutex};
use prometheus_client::registry::Registry;
use ring::InstanceState;
use rpc::{CallContext, IngesterClient, RpcErrorKind, StreamSelectRequest};
use runtime::{Deadline, ManualClock, ShutdownTrigger};
use tokio::task::JoinHandle;
use tsdb::fs::{AppendFile, FaultyFs, Fs, ReadFile};

use super::rig::{NOW, Options, Rig, build, context, everything, labels, many, memory_bucket, offsets, one, select_all, slice};
use crate::{Config, Ingester, StartError};

/// A file system whose files can be read beyond their first bytes only when the gate is open.
#[derive(Debug, Clone, Default)]
struct Gated {
    files: FaultyFs,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Gated {
    fn open_gate(&self) {
        *self.gate.0.lock() = true;
        self.gate.1.notify_all();
    }
}

#[derive(Debug)]
struct GatedFile(Box<dyn ReadFile>, Gated);

impl ReadFile for GatedFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if offset >= 36 {
            let mut open = self.1.gate.0.lock();
            while !*open {
                self.1.gate.1.wait(&mut open);
            }
        }
        self.0.read_at(offset, into)
    }
}

impl Fs for Gated {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.files.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.files.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        self.files.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(GatedFile(self.files.open(path)?, self.clone())))
    }
    fn map(&self, path: &Path) -> io::Result<Bytes> {
        self.files.map(path)
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.files.sync_file(path)
    }
    fn set_len(&self, path: &Path, len: u64) -> io::Result<()> {
        self.files.set_len(path, len)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.files.remove_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.sync_dir(dir)
    }
}

/// An ingester that is held in its replay.
struct Held {
    ingester: Ingester,
    fs: Gated,
    clock: ManualClock,
    trigger: ShutdownTrigger,
    running: JoinHandle<Result<(), StartError>>,
}

/// A test that fails must not wait for its replay for ever.
impl Drop for Held {
    fn drop(&mut self) {
        self.fs.open_gate();
    }
}

impl Held {
    fn start(files: FaultyFs) -> Self {
        let fs = Gated { files, ..Gated::default() };
        let clock = ManualClock::at(NOW);
        let bucket = memory_bucket(&clock);
        let service = build(&Config::default(), Limits::default(), Arc::new(fs.clone()), bucket, &clock, &mut Registry::default());
        let ingester = service.ingester();
        let (trigger, shutdown) = ShutdownTrigger::new();
        let running = tokio::spawn(service.run(shutdown));
        Self { ingester, fs, clock, trigger, running }
    }

    fn ctx(&self, tenant: &str) -> CallContext {
        context(&self.clock, tenant)
    }

    async fn push(&self, tenant: &str, batch: WriteBatch) {
        let report = self.ingester.push(&self.ctx(tenant), slice(batch)).await.unwrap();
        assert!(report.rejected.is_empty(), "{report:?}");
    }

    async fn finish(&self) {
        self.fs.open_gate();
        self.ingester.watch_state().wait_for(|state| *state == InstanceState::Active).await.unwrap();
    }
}

/// What a kill leaves after pushes of these offsets of `up` by the tenant `a`.
async fn left_behind(pushed: impl IntoIterator<Item = i64>) -> FaultyFs {
    let rig = Rig::start().await;
    for offset in pushed {
        rig.push("a", one("up", [offset])).await.unwrap();
    }
    rig.fs.after_kill()
}

#[tokio::test]
async fn pushes_are_taken_at_once_and_queries_wait_until_they_are_complete() {
    let held = Held::start(left_behind([0, 15, 30]).await);
    // The last one again: a sender that had no answer before the kill.
    held.push("a", one("up", [30])).await;
    held.push("b", one("up", [45])).await;
    let ctx = held.ctx("a");
    let mut query = Box::pin(select_all(&held.ingester, &ctx));
    let mut series = Box::pin(held.ingester.series(&ctx, everything()));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(futures::poll!(&mut query).is_pending());
    assert!(futures::poll!(&mut series).is_pending());
    held.push("a", one("up", [45, 60])).await;
    assert_eq!(held.ingester.state(), InstanceState::Joining);
    held.finish().await;
    assert_eq!(offsets(&query.await.unwrap(), "up"), [0, 15, 30, 45, 60]);
    assert_eq!(series.await.unwrap().len(), 1);
    held.push("a", one("up", [75])).await;
    for ingester in [&held.ingester, &Rig::with(Options { fs: held.fs.files.after_kill(), ..Options::default() }).await.ingester] {
        let all = select_all(ingester, &held.ctx("a")).await.unwrap();
        assert_eq!(offsets(&all, "up"), [0, 15, 30, 45, 60, 75]);
        assert_eq!(offsets(&select_all(ingester, &held.ctx("b")).await.unwrap(), "up"), [45]);
    }
}

#[tokio::test]
async fn a_query_whose_deadline_passes_first_is_an_error_and_not_a_part() {
    let held = Held::start(left_behind([0]).await);
    held.push("a", one("up", [15])).await;
    let deadline = Deadline::after(&held.clock, Duration::from_millis(30));
    let ctx = CallContext { deadline, ..held.ctx("a") };
    let request =
        StreamSelectRequest { matchers: [].into(), min_t: NOW, max_t: NOW + 60_000, sorted: true, projection: model::Projection::WHOLE };
    let error = held.ingester.select(&ctx, request).await.err().unwrap();
    assert_eq!(error.kind, RpcErrorKind::Unavailable);
    assert!(error.message.contains("replaying"), "{error}");
    assert_eq!(held.ingester.label_names(&ctx, everything()).await.unwrap_err().kind, RpcErrorKind::Unavailable);
    held.finish().await;
}

#[tokio::test]
async fn a_kill_during_the_replay_loses_nothing_that_was_acknowledged() {
    let held = Held::start(left_behind([0, 15]).await);
    for round in 2..6 {
        held.push("a", many("up", 500, round * 15)).await;
    }
    let again = Held::start(held.fs.files.after_kill());
    again.push("a", one("up", [90])).await;
    again.finish().await;
    let all = select_all(&again.ingester, &again.ctx("a")).await.unwrap();
    assert_eq!(all.len(), 500);
    assert_eq!(offsets(&all, "up"), [0, 15, 30, 45, 60, 75, 90]);
    held.fs.open_gate();
}

#[tokio::test]
async fn a_stop_during_the_replay_keeps_what_was_taken_and_tells_those_who_wait() {
    let mut held = Held::start(left_behind([0]).await);
    held.push("a", one("up", [15])).await;
    let ctx = held.ctx("a");
    let mut query = Box::pin(select_all(&held.ingester, &ctx));
    assert!(futures::poll!(&mut query).is_pending());
    held.trigger.fire();
    assert_eq!(query.await.unwrap_err().kind, RpcErrorKind::Unavailable);
    (&mut held.running).await.unwrap().unwrap();
    assert!(held.ingester.push(&ctx, slice(one("up", [30]))).await.is_err());
    held.fs.open_gate();
    let after = Rig::with(Options { fs: held.fs.files.after_kill(), ..Options::default() }).await;
    assert_eq!(offsets(&after.all("a").await, "up"), [0, 15]);
}

/// A push of everything that there is besides floats.
fn rich(offset: i64) -> WriteBatch {
    let mut builder = BatchBuilder::new(Bytes::new());
    let t = NOW + offset * 1_000;
    let value = Histogram {
        count: 3 + offset as u64,
        sum: 1.5,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_deltas: vec![1, 1 + offset],
        ..Histogram::default()
    };
    builder.histogram(HistogramSample { t, value: HistogramValue::Int(Box::new(value)) });
    builder.exemplar(Exemplar { labels: Labels::from_pairs([("trace_id", format!("{offset}"))]), value: 1.5, t });
    let help = format!("after {offset}");
    builder.metadata(Metadata { family: "latency".to_owned(), metric_type: MetricType::Histogram, help, unit: String::new() });
    let labels = labels("latency", 0);
    builder.end_series_with(labels.hash(), labels.as_block());
    builder.finish()
}

#[tokio::test]
async fn histograms_exemplars_and_metadata_of_the_meantime_are_kept() {
    let rig = Rig::start().await;
    rig.push("a", rich(0)).await.unwrap();
    rig.push("a", rich(15)).await.unwrap();
    let held = Held::start(rig.fs.after_kill());
    held.push("a", rich(15)).await;
    held.push("a", rich(30)).await;
    held.finish().await;
    let ctx = held.ctx("a");
    let head = held.ingester.shared.tenants.get(&ctx.tenant).unwrap().head();
    let series = head.select(&[], i64::MIN, i64::MAX).unwrap();
    let times: Vec<i64> = series[0].chunks.iter().flat_map(|c| tsdb::block::recode::decode(c).unwrap()).map(|point| point.t()).collect();
    assert_eq!(times, [NOW, NOW + 15_000, NOW + 30_000]);
    let exemplars = held.ingester.exemplars(&ctx, everything()).await.unwrap();
    assert_eq!(exemplars[0].exemplars.iter().map(|e| e.t).collect::<Vec<_>>(), times);
    assert_eq!(held.ingester.metadata(&ctx, None).await.unwrap()[0].help, "after 30");
}
