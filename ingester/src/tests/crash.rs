//! Crash tests: random lives of an ingester over a file system that fails, each told by its seed.
//!
//! A life is some pushes, snapshots, blocks and rounds of upkeep, faults of the disk among them, and an end: a stop in order, a kill, a power cut, each
//! perhaps at a random write of its own. After each end the ingester must start, and have every sample that was acknowledged (with
//! `sync: interval`, after a power cut: every one that was acknowledged before the last sync), and none that was never sent.
//!
//! `CRASH_SEED=n` runs one seed, `CRASH_SEEDS=n` so many instead of the usual number. Seeds that failed once are in [`REGRESSIONS`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::{BatchBuilder, Sample};
use ring::InstanceState;
use rpc::{IngesterClient, PushSlice};
use tsdb::fs::FaultyFs;

use super::rig::{NOW, Options, Rig, labels, slice};
use crate::Config;
use crate::config::{SyncMode, WalSettings};

/// Seeds that found something once.
const REGRESSIONS: [u64; 0] = [];

/// Each takes some 20 ms; they run on two threads.
const SEEDS: u64 = 320;

const TENANTS: [&str; 3] = ["a", "b", "c"];
const SERIES: usize = 6;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What is known of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    /// Sent, but not acknowledged: it may be there.
    Sent,
    /// Acknowledged, and then a sync failed: it is there unless the power is cut.
    Exposed,
    /// Acknowledged: it is there unless the power is cut before the next sync.
    Acknowledged,
    /// Acknowledged and synced: it is there.
    Durable,
}

/// By tenant and series, and by time.
#[derive(Default)]
struct Ledger(BTreeMap<(usize, usize), BTreeMap<i64, Known>>);

impl Ledger {
    fn note(&mut self, sent: &[(usize, usize, i64)], known: Known) {
        for (tenant, series, t) in sent {
            let entry = self.0.entry((*tenant, *series)).or_default().entry(*t).or_insert(known);
            *entry = known.max(*entry);
        }
    }

    /// What an event makes of what was known.
    fn change(&mut self, from: Known, to: Known) {
        self.0.values_mut().flat_map(|samples| samples.values_mut()).filter(|known| **known == from).for_each(|known| *known = to);
    }

    /// What a power cut makes of what was not synced.
    fn power_cut(&mut self) {
        self.change(Known::Acknowledged, Known::Sent);
        self.change(Known::Exposed, Known::Sent);
    }
}

/// Every sample has its own value.
fn value(series: usize, t: i64) -> f64 {
    (t - NOW) as f64 * 16.0 + series as f64
}

struct Life {
    rig: Rig,
    always: bool,
}

struct Run {
    random: Random,
    ledger: Ledger,
    /// The newest time sent, by tenant and series.
    clocks: BTreeMap<(usize, usize), i64>,
    fs: FaultyFs,
}

impl Run {
    async fn all_lives(&mut self) {
        for _ in 0..2 + self.random.below(3) {
            let life = self.start().await;
            self.verify(&life).await;
            self.live(&life).await;
            self.end(life).await;
        }
        let last = self.start().await;
        self.verify(&last).await;
    }

    async fn start(&mut self) -> Life {
        let always = self.random.one_in(2);
        let sync = if always { SyncMode::Always } else { SyncMode::Interval };
        // Synced when the test says so, and in segments of a few records.
        let wal = WalSettings { sync, sync_interval_ms: 3_600_000, segment_bytes: 400 + self.random.below(4_000) as u64 };
        let options = Options { config: Config { wal, ..Config::default() }, fs: self.fs.clone(), ..Options::default() };
        let rig = tokio::time::timeout(Duration::from_secs(30), Rig::with(options)).await.expect("it always starts");
        assert_eq!(rig.ingester.state(), InstanceState::Active);
        if always {
            // What earlier processes left is brought to the disk at the start.
            self.ledger.change(Known::Acknowledged, Known::Durable);
            self.ledger.change(Known::Exposed, Known::Durable);
        }
        Life { rig, always }
    }

    /// Everything that must be there is, with the value that was sent, and nothing else.
    async fn verify(&self, life: &Life) {
        for (number, tenant) in TENANTS.into_iter().enumerate() {
            let found = life.rig.all(tenant).await;
            let mut total = 0;
            for series in 0..SERIES {
                let samples = found.get(&labels("crash", series).to_string()).cloned().unwrap_or_default();
                total += samples.len();
                assert!(samples.is_sorted_by(|a, b| a.0 < b.0), "{tenant} {series}: each time once, ascending");
                let known = self.ledger.0.get(&(number, series)).cloned().unwrap_or_default();
                for (t, v) in &samples {
                    assert!(known.contains_key(t), "{tenant} {series}: a sample at {t} that was never sent");
                    assert_eq!(v.to_bits(), value(series, *t).to_bits(), "{tenant} {series} at {t}");
                }
                for (t, _) in known.iter().filter(|(_, known)| **known > Known::Sent) {
                    assert!(samples.binary_search_by_key(t, |s| s.0).is_ok(), "{tenant} {series}: the acknowledged sample at {t} is lost");
                }
            }
            assert_eq!(total, found.values().map(Vec::len).sum::<usize>(), "{tenant}: a series that was never sent");
        }
    }

    async fn live(&mut self, life: &Life) {
        let fs = &life.rig.fs;
        if self.random.one_in(3) {
            fs.stop_after(self.random.below(120) as u64, self.random.below(256) as u8);
        }
        for _ in 0..5 + self.random.below(40) {
            match self.random.below(26) {
                0 | 1 => life.rig.snapshot().await,
                2 => self.upkeep(life).await,
                3 => fs.set_space(Some(self.random.below(3_000))),
                4 | 5 => fs.set_space(None),
                6 => fs.fail_syncs(1 + self.random.below(3)),
                7 => fs.fail_cuts(1 + self.random.below(2)),
                8 | 9 => self.sync(life),
                10 | 11 => self.cut_blocks(life).await,
                _ => self.push(life).await,
            }
        }
    }

    async fn upkeep(&self, life: &Life) {
        let shared = Arc::clone(&life.rig.ingester.shared);
        let work = move || {
            shared.truncate();
            shared.offload();
        };
        tokio::task::spawn_blocking(work).await.unwrap();
    }

    async fn cut_blocks(&self, life: &Life) {
        let shared = Arc::clone(&life.rig.ingester.shared);
        tokio::task::spawn_blocking(move || {
            if shared.block_round() {
                shared.snapshot();
            }
        })
        .await
        .unwrap();
    }

    fn sync(&mut self, life: &Life) {
        let known = match life.rig.ingester.shared.wal.sync() {
            Ok(()) if !life.rig.fs.has_stopped() => Known::Durable,
            // What could not be synced once is not tried again: a sync that succeeds later says nothing of it.
            _ => Known::Exposed,
        };
        self.ledger.change(Known::Acknowledged, known);
    }

    /// Some pushes at once, each of other series; one that fails is sent again, as senders do.
    async fn push(&mut self, life: &Life) {
        let mut batches = Vec::new();
        for tenant in 0..TENANTS.len() {
            if self.random.one_in(2) {
                batches.push(self.batch(tenant));
            }
        }
        for attempt in 0..3 {
            let pushes =
                batches.iter().map(async |(tenant, _, batch)| life.rig.ingester.push(&life.rig.ctx(TENANTS[*tenant]), batch.clone()).await);
            let outcomes = futures::future::join_all(pushes).await;
            let mut failed = Vec::new();
            for ((tenant, sent, batch), outcome) in std::mem::take(&mut batches).into_iter().zip(outcomes) {
                match outcome {
                    Ok(report) if report.rejected.is_empty() => {
                        self.ledger.note(&sent, if life.always { Known::Durable } else { Known::Acknowledged });
                    }
                    Ok(_) => self.ledger.note(&sent, Known::Sent),
                    Err(_) => {
                        self.ledger.note(&sent, Known::Sent);
                        failed.push((tenant, sent, batch));
                    }
                }
            }
            batches = failed;
            if attempt == 0 && self.random.one_in(2) {
                life.rig.fs.set_space(None);
            }
        }
    }

    fn batch(&mut self, tenant: usize) -> (usize, Vec<(usize, usize, i64)>, PushSlice) {
        let mut builder = BatchBuilder::new(Bytes::new());
        let mut sent = Vec::new();
        for series in 0..SERIES {
            if self.random.one_in(2) {
                continue;
            }
            let clock = self.clocks.entry((tenant, series)).or_insert(NOW - 5 * 3_600_000);
            // Now and then a leap, so that chunks end.
            let leap = if self.random.0.is_multiple_of(11) { 900_000 } else { 0 };
            for _ in 0..1 + self.random.0 % 9 {
                *clock += 250 + leap;
                builder.sample(Sample { t: *clock, v: value(series, *clock) });
                sent.push((tenant, series, *clock));
            }
            let labels = labels("crash", series);
            builder.end_series_with(labels.hash(), labels.as_block());
        }
        (tenant, sent, slice(builder.finish()))
    }

    /// The end of a life, and what the next one finds.
    async fn end(&mut self, life: Life) {
        let Life { rig, .. } = life;
        let fs = rig.fs.clone();
        match self.random.below(4) {
            0 => {
                rig.trigger.fire();
                let _ = rig.running.await;
                self.fs = fs.after_kill();
            }
            1 => self.fs = fs.after_kill(),
            2 => {
                self.fs = fs.after_power_cut();
                self.ledger.power_cut();
            }
            _ => {
                let random = &mut self.random;
                self.fs = fs.after_torn_power_cut(|n| random.below(n));
                self.ledger.power_cut();
            }
        }
    }
}

fn run(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut run = Run { random: Random(seed), ledger: Ledger::default(), clocks: BTreeMap::new(), fs: FaultyFs::new() };
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(run.all_lives())));
    if let Err(panic) = failed {
        eprintln!("crash test failed: repeat it with CRASH_SEED={seed}");
        std::panic::resume_unwind(panic);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn run_seeds(of: u64, part: u64) {
    if let Some(seed) = number("CRASH_SEED") {
        return run(seed);
    }
    (0..number("CRASH_SEEDS").unwrap_or(SEEDS)).filter(|seed| seed % of == part).for_each(run);
}

#[test]
fn nothing_acknowledged_is_lost_in_any_life_with_an_even_seed() {
    run_seeds(2, 0);
}

#[test]
fn nothing_acknowledged_is_lost_in_any_life_with_an_odd_seed() {
    run_seeds(2, 1);
}

#[test]
fn seeds_that_found_something_once() {
    REGRESSIONS.into_iter().for_each(run);
}
