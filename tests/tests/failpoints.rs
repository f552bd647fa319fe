//! The process is killed at each failpoint of the way of samples to the object store, while samples are written: what was acknowledged is there, once.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::checker::Checker;
use cluster::checker::values::value;
use cluster::client::{Client, PushSample};
use cluster::deployment::Node;
use cluster::fleet::post;
use cluster::ledger::now_ms;
use cluster::process::eventually;
use loadtest::ledger::labels;
use tempfile::TempDir;

const SERIES: usize = 20;
const PUSH_EVERY: Duration = Duration::from_millis(20);
const RANGE_MS: i64 = 2 * 3_600_000;
/// How long it may take until the failpoint is reached: blocks are deleted ten seconds after they are marked.
const REACHED_WITHIN: Duration = Duration::from_secs(40);
/// SIGKILL.
const KILLED: i32 = 9;

/// What brings the process to a failpoint.
#[derive(Clone, Copy, PartialEq)]
enum Drive {
    /// Pushes alone.
    Pushes,
    /// Cutting and shipping blocks as well.
    Flush,
    /// Merging them as well.
    Compact,
}

/// In the order of a sample's way.
const KILLS: [(&str, &str, Drive); 17] = [
    ("rw.send", "30*off->abort", Drive::Pushes),
    ("wal.append", "30*off->abort", Drive::Pushes),
    ("wal.fsync", "1*off->abort", Drive::Pushes),
    ("wal.rotate", "1*off->abort", Drive::Pushes),
    ("rw.ack", "30*off->abort", Drive::Pushes),
    ("head.cut", "1*off->abort", Drive::Flush),
    ("block.write.chunks", "1*off->abort", Drive::Flush),
    ("block.write.index", "1*off->abort", Drive::Flush),
    ("block.write.meta", "1*off->abort", Drive::Flush),
    ("ship.upload", "1*off->abort", Drive::Flush),
    ("ship.meta", "1*off->abort", Drive::Flush),
    ("compact.plan", "abort", Drive::Compact),
    ("compact.download", "1*off->abort", Drive::Compact),
    ("compact.merge", "abort", Drive::Compact),
    ("compact.upload", "abort", Drive::Compact),
    ("compact.mark", "1*off->abort", Drive::Compact),
    ("compact.delete", "1*off->abort", Drive::Compact),
];

/// Passed as well, and no matter of durability.
const ALSO: [&str; 2] = ["rw.decode", "ring.heartbeat"];

/// Everything in one process, and a bucket beside it.
struct Place {
    node: Node,
    /// The next old sample; see [`Writer`].
    old_t: Arc<AtomicI64>,
    _dir: TempDir,
}

impl Place {
    fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let store = format!("file://{}", dir.path().join("bucket").display());
        let env = [
            // Six hours: a range that is over gets samples, and so there is something to merge.
            ("PLIMSOLL_LIMITS_OUT_OF_ORDER_TIME_WINDOW_MS", "21600000"),
            ("PLIMSOLL_COMPACTOR_SETTLE_SECONDS", "0"),
            ("PLIMSOLL_COMPACTOR_INTERVAL_SECONDS", "1"),
            ("PLIMSOLL_COMPACTOR_DELETION_DELAY_SECONDS", "10"),
            ("PLIMSOLL_QUERIER_BUCKET_INDEX_REFRESH_SECONDS", "1"),
            ("PLIMSOLL_INGESTER_WAL_SYNC_INTERVAL_MS", "200"),
            // With each the log goes on in another segment.
            ("PLIMSOLL_INGESTER_SNAPSHOT_INTERVAL_SECONDS", "10"),
        ];
        let node = Node::new("plimsoll", dir.path(), &["--object-store", &store])?;
        let node = env.iter().fold(node, |node, (name, value)| node.with_env(name, value));
        let range = now_ms().div_euclid(RANGE_MS) * RANGE_MS;
        Ok(Self { node, old_t: Arc::new(AtomicI64::new(range - RANGE_MS + 60_000)), _dir: dir })
    }

    async fn start(&mut self, failpoints: Option<&str>) -> anyhow::Result<()> {
        self.node.set_env("PLIMSOLL_FAILPOINTS", failpoints);
        self.node.start().await
    }

    /// Waits for the process's end, which must be by SIGKILL, and brings it about.
    async fn drive_to_death(&mut self, point: &str, drive: Drive) -> anyhow::Result<()> {
        let client = self.node.client();
        let started = Instant::now();
        loop {
            if let Some(status) = self.node.process().status()? {
                ensure!(status.signal() == Some(KILLED), "{point}: ended with {status}");
                return Ok(());
            }
            ensure!(started.elapsed() < REACHED_WITHIN, "{point} was not reached");
            tokio::time::sleep(Duration::from_millis(50)).await;
            // They fail when the process dies, and while another flush or round is under way.
            if drive != Drive::Pushes {
                let _ = post(&client, "/ingester/flush?wait=true").await;
            }
            if drive == Drive::Compact {
                let _ = post(&client, "/compactor/run").await;
            }
        }
    }
}

/// Writes samples of now and of a range that is over, in one push, until it is stopped.
struct Writer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Writer {
    fn start(checker: &Checker, client: Client, round: &str, old_t: &Arc<AtomicI64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, old_t, checker, round) = (Arc::clone(&stop), Arc::clone(old_t), checker.clone(), round.replace('.', "_"));
        let task = tokio::spawn(async move {
            let mut last = 0;
            while !stopped.load(Ordering::Relaxed) {
                last = now_ms().max(last + 1);
                let old = old_t.fetch_add(500, Ordering::Relaxed);
                let of = |age: &str, t: i64| {
                    let run = format!("{round}_{age}");
                    (0..SERIES).map(move |n| PushSample { labels: labels(&run, n), t, v: value("", n, t) })
                };
                let batch: Vec<_> = of("now", last).chain(of("old", old)).collect();
                // A failure is in the ledger.
                drop(checker.push(&client, &batch).await);
                tokio::time::sleep(PUSH_EVERY).await;
            }
        });
        Self { stop, task }
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the writer ended badly")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_failpoint_loses_and_doubles_nothing() -> anyhow::Result<()> {
    let mut place = Place::new()?;
    let client = place.node.client();
    let checker = Checker::new();
    for (point, action, drive) in KILLS {
        let started = Instant::now();
        place.start(Some(&format!("{point}={action}"))).await?;
        let before = checker.acked();
        let writer = Writer::start(&checker, client.clone(), point, &place.old_t);
        place.drive_to_death(point, drive).await?;
        writer.stop().await?;
        place.start(None).await?;
        let found = checker.verify(&client).await.with_context(|| format!("after a kill at {point}"))?;
        ensure!(found > before, "nothing was acknowledged before the kill at {point}");
        println!("{point}: {found} acknowledged samples, each there once, {:.1} s", started.elapsed().as_secs_f64());
        place.node.kill()?;
    }
    // Whatever was left half done is taken up and ended, and then the bucket alone has everything.
    place.start(None).await?;
    // It takes none while it replays its log.
    let flushed = || async { post(&client, "/ingester/flush?wait=true").await.is_ok() };
    eventually("everything is in the bucket", REACHED_WITHIN, flushed).await?;
    post(&client, "/compactor/run").await?;
    place.node.kill()?;
    std::fs::remove_dir_all(place.node.data_dir())?;
    place.start(None).await?;
    let found = checker.verify(&client).await.context("from the bucket alone")?;
    println!("{found} acknowledged samples of {} kills are in the bucket, each once", KILLS.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_at_failpoints_are_told_and_got_over() -> anyhow::Result<()> {
    let mut place = Place::new()?;
    let client = place.node.client();
    let points: Vec<&str> = KILLS.iter().map(|(point, ..)| *point).chain(ALSO).collect();
    let armed: Vec<String> = points.iter().map(|point| format!("{point}=1*off->2*error->off")).collect();
    place.start(Some(&armed.join(";"))).await?;
    let checker = Checker::new();
    let writer = Writer::start(&checker, client.clone(), "errors", &place.old_t);
    let started = Instant::now();
    let mut failed = 0;
    let log = loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        for path in ["/ingester/flush?wait=true", "/compactor/run"] {
            failed += usize::from(post(&client, path).await.is_err());
        }
        let process = place.node.process();
        let waiting: Vec<&str> = points.iter().copied().filter(|point| process.acted(point) < 2).collect();
        if waiting.is_empty() {
            break process.log();
        }
        ensure!(started.elapsed() < REACHED_WITHIN, "not twice reached: {waiting:?}");
    };
    writer.stop().await?;
    ensure!(failed > 0 && checker.nothing_failed().is_err(), "no error was told");
    let found = checker.verify(&client).await?;
    ensure!(log.contains("failpoints are armed"), "the log does not warn");
    println!(
        "{found} acknowledged samples are there after errors everywhere, {failed} requests failed, {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The group of one is formed by the first start, or by the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_killed_while_it_writes_starts_again() -> anyhow::Result<()> {
    for point in ["raft.vote=abort", "raft.append=abort", "raft.append=1*off->abort", "raft.append=2*off->abort"] {
        let mut place = Place::new()?;
        place.node.set_env("PLIMSOLL_FAILPOINTS", Some(point));
        place.node.launch()?;
        place.drive_to_death(point, Drive::Pushes).await?;
        place.start(None).await?;
        let (client, t) = (place.node.client(), now_ms());
        let pushed = || async {
            let sample = PushSample { labels: labels("raft", 0), t, v: 1.0 };
            matches!(client.push(&[sample]).await, Ok((200..=299, _)))
        };
        eventually("a push is taken", Duration::from_secs(20), pushed).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_not_one_ends_the_start() -> anyhow::Result<()> {
    let mut place = Place::new()?;
    place.node.set_env("PLIMSOLL_FAILPOINTS", Some("wal.apend=error"));
    place.node.launch()?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = place.node.process().status()? {
            break status;
        }
        ensure!(started.elapsed() < REACHED_WITHIN, "it runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    ensure!(!status.success());
    let log = place.node.process().log();
    ensure!(log.contains("PLIMSOLL_FAILPOINTS") && log.contains("wal.apend"), "{log}");
    Ok(())
}
