//! Writing a batch to a quorum of its replicas.

pub(crate) mod rejections;
pub(crate) mod view;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use limits::LimitsProvider;
use model::{PushReport, WriteBatch};
use ring::{Ring, Verdict, write_quorum};
use rpc::{CallContext, PushSlice, RpcError, RpcErrorKind, WriteError, WritePath};
use runtime::clock::SharedClock;
use runtime::failpoint::{self, Failpoint};
use runtime::{Deadline, Tasks};
use tokio::sync::watch;

use crate::metrics::{GaugeGuard, Metrics};
use crate::shard::{ShardedBatch, shard};
use rejections::Rejections;
use view::{Lane, View};

/// A distributor that has just started sees the cluster within moments. Who is served by it before, in a rollout, waits so long rather than being
/// refused; how many may wait is bounded by `distributor.max_inflight_request_bytes`.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Writes batches to the ingesters. Cheap to clone.
#[derive(Clone)]
pub struct Distributor {
    view: watch::Receiver<Arc<View>>,
    clock: SharedClock,
    tasks: Tasks,
    metrics: Metrics,
    limits: LimitsProvider,
    timeout: Duration,
}

/// A push to one ingester: its place among the slices, and its outcome.
type Push = BoxFuture<'static, (usize, Result<PushReport, RpcError>)>;

#[async_trait]
impl WritePath for Distributor {
    async fn write(&self, ctx: &CallContext, batch: WriteBatch) -> Result<PushReport, WriteError> {
        self.push(ctx, &Arc::new(batch)).await
    }
}

impl Distributor {
    pub(crate) fn new(
        view: watch::Receiver<Arc<View>>,
        clock: SharedClock,
        tasks: Tasks,
        metrics: Metrics,
        limits: LimitsProvider,
        timeout: Duration,
    ) -> Self {
        Self { view, clock, tasks, metrics, limits, timeout }
    }

    /// Writes a batch of which the caller keeps a reference. Returns as soon as every series is in the WAL of a quorum of its replicas;
    /// slower replicas get it in the background, until the deadline.
    ///
    /// The deadline is that of the context, or the push timeout if that is earlier.
    pub async fn push(&self, ctx: &CallContext, batch: &Arc<WriteBatch>) -> Result<PushReport, WriteError> {
        if batch.is_empty() {
            return Ok(PushReport::default());
        }
        let deadline = ctx.deadline.min(Deadline::after(&*self.clock, self.timeout));
        let ctx = CallContext { tenant: ctx.tenant.clone(), deadline };
        let view = self.view_of_ingesters(deadline).await;
        if let Some(lane) = view.only_lane() {
            return self.push_whole(lane, &ctx, batch).await;
        }
        if view.ring.instances().is_empty() {
            return Err(WriteError::Unavailable("no ingester is registered with the coordinator yet".to_owned()));
        }
        self.push_replicated(&view, ctx, batch).await
    }

    /// The cluster as it is now, or, if no ingester is in it yet, as it is soon.
    async fn view_of_ingesters(&self, deadline: Deadline) -> Arc<View> {
        let view = Arc::clone(&self.view.borrow());
        if !view.ring.instances().is_empty() {
            return view;
        }
        let mut changes = self.view.clone();
        let wait = deadline.remaining(&*self.clock).min(FIRST_LOOK);
        match tokio::time::timeout(wait, changes.wait_for(|view| !view.ring.instances().is_empty())).await {
            Ok(Ok(view)) => Arc::clone(&view),
            // None came, or the process ends.
            Ok(Err(_)) | Err(_) => view,
        }
    }

    /// One ingester takes everything: no splitting, no task.
    async fn push_whole(&self, lane: &Arc<Lane>, ctx: &CallContext, batch: &Arc<WriteBatch>) -> Result<PushReport, WriteError> {
        failpoint::hit(Failpoint::RwSend).await.map_err(|injected| WriteError::Unavailable(injected.to_string()))?;
        let slice = PushSlice { batch: Arc::clone(batch), series: None, metadata: true };
        let result = lane.push(ctx, slice, held_bytes(batch), &*self.clock).await;
        result.map_err(|e| {
            self.metrics.ingester_push_failures.inc();
            self.write_error(&[e])
        })
    }

    async fn push_replicated(&self, view: &View, ctx: CallContext, batch: &Arc<WriteBatch>) -> Result<PushReport, WriteError> {
        failpoint::hit(Failpoint::RwShard).await.map_err(|injected| WriteError::Unavailable(injected.to_string()))?;
        let size = self.limits.shard_size_for_writes(&ctx.tenant, self.clock.now_ms());
        let ring = view.ring_of(&ctx.tenant, size);
        let ShardedBatch { slices, mut quorum } = shard(&ring, &ctx.tenant, batch, view.spare(self.clock.monotonic()));
        let needed = write_quorum(view.ring.replication_factor());
        if quorum.verdict() == Verdict::Impossible {
            return Err(WriteError::Unavailable(too_few(&view.ring, needed)));
        }
        let mut pushes = FuturesUnordered::new();
        for (place, (instance, slice)) in slices.iter().enumerate() {
            let Some(lane) = view.lane(*instance) else { continue };
            pushes.push(self.start(place, Arc::clone(lane), ctx.clone(), slice.clone(), held_bytes(batch)));
        }
        let mut rejections = Rejections::new(needed);
        let mut answered: Vec<usize> = Vec::with_capacity(slices.len());
        let mut failures = Vec::new();
        let answers_of = |answered: &[usize], series: u32| answered.iter().filter(|place| holds(&slices, **place, series)).count();
        while let Some((place, outcome)) = pushes.next().await {
            let verdict = match outcome {
                Ok(report) => {
                    answered.push(place);
                    rejections.add(report);
                    quorum.succeeded(place)
                }
                Err(e) => {
                    failures.push(e);
                    quorum.failed(place)
                }
            };
            let settled = || rejections.are_settled(|series| answers_of(&answered, series));
            if verdict == Verdict::Impossible || (verdict == Verdict::Reached && settled()) {
                break;
            }
        }
        self.leave_to_background(pushes);
        match quorum.verdict() {
            Verdict::Reached => Ok(rejections.into_report(|series| answers_of(&answered, series))),
            Verdict::Pending | Verdict::Impossible => Err(self.write_error(&failures)),
        }
    }

    fn start(&self, place: usize, lane: Arc<Lane>, ctx: CallContext, slice: PushSlice, bytes: u64) -> Push {
        let (clock, failed) = (Arc::clone(&self.clock), self.metrics.ingester_push_failures.clone());
        Box::pin(async move {
            let outcome = match failpoint::hit(Failpoint::RwSend).await {
                Ok(()) => lane.push(&ctx, slice, bytes, &*clock).await,
                Err(injected) => Err(RpcError::unavailable(injected.to_string())),
            };
            if let Err(e) = &outcome {
                failed.inc();
                tracing::debug!(tenant = %ctx.tenant, error = %e, "push to an ingester failed");
            }
            (place, outcome)
        })
    }

    /// Lets the slower replicas have the batch, too. Bounded by what each lane may hold and by the deadline of the push.
    fn leave_to_background(&self, mut pushes: FuturesUnordered<Push>) {
        if pushes.is_empty() {
            return;
        }
        let running = GaugeGuard::new(&self.metrics.background_pushes);
        // Nobody waits for it: failures were counted, and the quorum has the batch.
        drop(self.tasks.spawn("push_to_slower_replicas", async move {
            while pushes.next().await.is_some() {}
            drop(running);
        }));
    }

    /// What the sender is told when a quorum failed: of several kinds of failures, the one that is cured by trying again.
    fn write_error(&self, failures: &[RpcError]) -> WriteError {
        let all = |kind| failures.iter().all(|e| e.kind == kind);
        let text = failures.first().map_or("no ingester answered", |e| e.message.as_str()).to_owned();
        if all(RpcErrorKind::DeadlineExceeded) {
            WriteError::Timeout(format!("{} ms", self.timeout.as_millis()))
        } else if all(RpcErrorKind::LimitExceeded) {
            WriteError::LimitExceeded(text)
        } else if all(RpcErrorKind::Internal) || all(RpcErrorKind::InvalidRequest) {
            WriteError::Internal(text)
        } else {
            WriteError::Unavailable(format!("too few ingesters took the write: {text}"))
        }
    }
}

/// Why nothing can be acknowledged. `needed` is at least 1.
fn too_few(ring: &Ring, needed: usize) -> String {
    let domains: Vec<String> = ring.domains().iter().map(ToString::to_string).collect();
    let have = if domains.is_empty() { "none".to_owned() } else { domains.join(" and ") };
    format!(
        "a write needs ingesters in {needed} zones, or that many whose `zone` is not set, and registered with the coordinator is only {have}"
    )
}

fn holds(slices: &[(ring::InstanceIndex, PushSlice)], place: usize, series: u32) -> bool {
    slices.get(place).is_some_and(|(_, slice)| slice.series.as_ref().is_none_or(|picked| picked.binary_search(&series).is_ok()))
}

/// About how many bytes a batch keeps in memory, whichever part of it a push is about.
fn held_bytes(batch: &WriteBatch) -> u64 {
    // Label sets are some 300 bytes, histograms some 500.
    let bytes = batch.series.len() * 400 + batch.samples.len() * 16 + batch.histograms.len() * 500;
    (bytes + batch.exemplars.len() * 150 + batch.metadata.len() * 200) as u64
}

#[cfg(test)]
pub(crate) mod tests;
