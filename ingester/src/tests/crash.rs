//! Crash tests: random lives of an ingester over a file system and an object store that fail, each told by its seed.
//!
//! A life is some pushes, snapshots, blocks, uploads and rounds of upkeep, faults of the disk and of the store among them, and an end: a stop in order, a kill, a power cut, each
//! perhaps at a random write of its own, or between any two calls to the store. After each end the ingester must start; every sample that was acknowledged (with
//! `sync: interval`, after a power cut: every one that was acknowledged before the last sync) must be there, or in a block that the bucket index shows, and none that
//! was never sent. Every block in the store is whole, and one that was cut.
//!
//! `CRASH_SEED=n` runs one seed, `CRASH_SEEDS=n` so many instead of the usual number. Seeds that failed once are in [`REGRESSIONS`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use limits::Limits;
use model::{BatchBuilder, Sample};
use ring::InstanceState;
use rpc::{IngesterClient, PushSlice};
use runtime::ManualClock;
use tsdb::block::Ulid;
use tsdb::fs::{FaultyFs, Fs};

use super::random::Random;
use super::rig::{Contents, NOW, Options, Rig, labels, slice};
use super::store::FaultyStore;
use crate::Config;
use crate::config::{SyncMode, WalSettings};

mod ledger;

use ledger::{Known, Ledger, value};

/// Seeds that found something once.
const REGRESSIONS: [u64; 0] = [];

/// Each takes some 20 ms; they run on two threads.
const SEEDS: u64 = 320;

const TENANTS: [&str; 3] = ["a", "b", "c"];
const SERIES: usize = 6;

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
    store: FaultyStore,
    now_ms: i64,
    /// Blocks leave the disk soon, and late samples are taken nevertheless.
    archives: bool,
    /// All blocks that were ever cut.
    cut: BTreeSet<(usize, Ulid)>,
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
        let (mut config, mut limits) = (Config { wal, ..Config::default() }, Limits::default());
        if self.archives {
            config.block_retention_seconds = 2 * 3_600;
            limits.out_of_order_time_window_ms = 30 * 24 * 3_600_000;
        }
        let bucket = Some(self.store.bucket(&ManualClock::at(self.now_ms)));
        let options = Options { config, limits, fs: self.fs.clone(), bucket };
        let rig = tokio::time::timeout(Duration::from_secs(30), Rig::with(options)).await.expect("it always starts");
        assert_eq!(rig.ingester.state(), InstanceState::Active);
        rig.clock.advance(Duration::from_millis((self.now_ms - NOW) as u64));
        self.note_blocks(&rig);
        if always {
            // What earlier processes left is brought to the disk at the start.
            self.ledger.change(Known::Acknowledged, Known::Durable);
            self.ledger.change(Known::Exposed, Known::Durable);
        }
        Life { rig, always }
    }

    /// Notes the blocks on the disk.
    fn note_blocks(&mut self, rig: &Rig) {
        for (number, tenant) in TENANTS.into_iter().enumerate() {
            let names = rig.fs.list(&PathBuf::from("data/blocks").join(tenant)).unwrap();
            self.cut.extend(names.iter().filter_map(|name| Some((number, name.parse().ok()?))));
        }
    }

    /// Everything that must be there is, with the value that was sent, and nothing else.
    async fn verify(&self, life: &Life) {
        for (number, tenant) in TENANTS.into_iter().enumerate() {
            let here = life.rig.all(tenant).await;
            self.check(number, &here);
            let stored = self.store.blocks(tenant).await;
            for (block, contents) in &stored {
                assert!(self.cut.contains(&(number, *block)), "{tenant}: block {block} of the store was never cut");
                self.check(number, contents);
            }
            let local = life.rig.ingester.shared.tenants.get(&life.rig.ctx(tenant).tenant).map(|t| t.blocks.set());
            for block in local.iter().flat_map(|set| set.blocks()).filter(|block| !block.on_its_way().stage.is_waiting()) {
                assert!(stored.contains_key(&block.ulid()), "{tenant}: block {} is not in the store", block.ulid());
            }
            let shown = self.store.shown(tenant).await;
            let shown: Vec<&Contents> = stored.iter().filter(|(block, _)| shown.contains(block)).map(|(_, contents)| contents).collect();
            for series in 0..SERIES {
                let name = labels("crash", series).to_string();
                let has = |contents: &Contents, t: i64| contents.get(&name).is_some_and(|s| s.binary_search_by_key(&t, |s| s.0).is_ok());
                let known = self.ledger.0.get(&(number, series)).into_iter().flatten();
                for (t, _) in known.filter(|(_, known)| **known > Known::Sent) {
                    let there = has(&here, *t) || shown.iter().any(|block| has(block, *t));
                    assert!(there, "{tenant} {series}: the acknowledged sample at {t} is lost");
                }
            }
        }
    }

    /// Only what was sent, each time once.
    fn check(&self, tenant: usize, found: &Contents) {
        let mut total = 0;
        for series in 0..SERIES {
            let samples = found.get(&labels("crash", series).to_string()).cloned().unwrap_or_default();
            total += samples.len();
            assert!(samples.is_sorted_by(|a, b| a.0 < b.0), "{tenant} {series}: each time once, ascending");
            let known = self.ledger.0.get(&(tenant, series)).cloned().unwrap_or_default();
            for (t, v) in &samples {
                assert!(known.contains_key(t), "{tenant} {series}: a sample at {t} that was never sent");
                assert_eq!(v.to_bits(), value(series, *t).to_bits(), "{tenant} {series} at {t}");
            }
        }
        assert_eq!(total, found.values().map(Vec::len).sum::<usize>(), "{tenant}: a series that was never sent");
    }

    async fn live(&mut self, life: &Life) {
        let fs = &life.rig.fs;
        if self.random.one_in(3) {
            fs.stop_after(self.random.below(120) as u64, self.random.below(256) as u8);
        }
        for _ in 0..5 + self.random.below(40) {
            match self.random.below(36) {
                0 | 1 => life.rig.snapshot().await,
                2 => self.upkeep(life).await,
                3 => fs.set_space(Some(self.random.below(3_000))),
                4 | 5 => fs.set_space(None),
                6 => fs.fail_syncs(1 + self.random.below(3)),
                7 => fs.fail_cuts(1 + self.random.below(2)),
                8 | 9 => self.sync(life),
                10 | 11 => self.cut_blocks(life).await,
                12..=14 => life.rig.ingester.shared.ship_round().await,
                // The failure is the test's.
                15 => drop(life.rig.ingester.shared.ship_now(life.rig.ingester.shared.tenants.all()).await),
                16 => self.store.show(TENANTS[self.random.below(TENANTS.len())], self.now_ms).await,
                17 | 18 => self.advance(life),
                19 => self.store.down_after(self.random.below(12) as u64),
                20 => self.store.flaky(self.random.clone()),
                21 => self.store.heal(),
                _ => self.push(life).await,
            }
        }
    }

    fn advance(&mut self, life: &Life) {
        let minutes = 5 + self.random.below(50) as i64;
        self.now_ms += minutes * 60_000;
        life.rig.clock.advance(Duration::from_secs(minutes as u64 * 60));
    }

    async fn upkeep(&self, life: &Life) {
        let shared = Arc::clone(&life.rig.ingester.shared);
        let work = move || {
            shared.truncate();
            shared.offload();
        };
        tokio::task::spawn_blocking(work).await.unwrap();
    }

    async fn cut_blocks(&mut self, life: &Life) {
        let shared = Arc::clone(&life.rig.ingester.shared);
        tokio::task::spawn_blocking(move || {
            if shared.block_round() {
                shared.snapshot();
            }
        })
        .await
        .unwrap();
        self.note_blocks(&life.rig);
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
        self.store.heal();
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
    let mut random = Random(seed);
    let archives = random.one_in(2);
    let mut run = Run {
        random,
        ledger: Ledger::default(),
        clocks: BTreeMap::new(),
        fs: FaultyFs::new(),
        store: FaultyStore::default(),
        now_ms: NOW,
        archives,
        cut: BTreeSet::new(),
    };
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
