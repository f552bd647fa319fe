//! Heads through snapshots.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use model::{BatchBuilder, Exemplar, Histogram, HistogramSample, HistogramValue, Labels, Metadata, MetricType, Sample, Span, TenantId};

use super::{LoadReport, SnapshotError, Snapshots};
use crate::fs::FaultyFs;
use crate::head::tests::{T0, batch, labels, points};
use crate::head_chunks::HeadChunks;
use crate::wal::{SyncPolicy, Wal, WalConfig};
use crate::{AppendOutcome, Generation, Head, HeadConfig, Selection};

mod damage;

type Contents = BTreeMap<Labels, Vec<crate::head::tests::Point>>;

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn store(fs: &FaultyFs) -> Snapshots {
    Snapshots::open(Arc::new(fs.clone()), "snapshots").unwrap()
}

fn files(fs: &FaultyFs) -> Arc<HeadChunks> {
    Arc::new(HeadChunks::open(Arc::new(fs.clone()), "chunks_head".into()).unwrap())
}

fn head() -> Arc<Head> {
    Arc::new(Head::new(HeadConfig::default()))
}

fn push(head: &Head, batch: &model::WriteBatch) {
    let mut out = AppendOutcome::new();
    head.append(batch, Selection::All, Generation(1), T0 + 86_400_000, &mut out);
    assert!(out.rejected.is_empty(), "{:?}", out.rejected);
}

fn contents(head: &Head) -> Contents {
    head.select(&[], i64::MIN, i64::MAX).unwrap().iter().map(|series| (series.labels.clone(), points(series))).collect()
}

fn take(fs: &FaultyFs, generation: u32, heads: &[(&str, &Head)]) -> Result<super::SnapshotReport, SnapshotError> {
    let mut writer = store(fs).begin(Generation(generation), 77)?;
    for (name, head) in heads {
        writer.tenant(&tenant(name), head)?;
    }
    writer.finish()
}

fn load(fs: &FaultyFs, generation: u32) -> Result<(LoadReport, BTreeMap<String, Arc<Head>>), SnapshotError> {
    let heads = parking_lot::Mutex::new(BTreeMap::new());
    let sink = |tenant: &TenantId| {
        let made = head();
        heads.lock().insert(tenant.as_str().to_owned(), Arc::clone(&made));
        made
    };
    let report = store(fs).load(Generation(generation), &sink, &files(fs), 3)?;
    Ok((report, heads.into_inner()))
}

/// Series of every kind, with finished and open chunks.
fn rich(seed: u64) -> Arc<Head> {
    let head = head();
    for round in 0..300_i64 {
        let mut builder = BatchBuilder::new(Bytes::new());
        let t = T0 + round * 15_000;
        for n in 0..40_u64 {
            if n % 7 == 3 {
                let count = round as u64 + n;
                let value = Histogram {
                    count: count * 2,
                    sum: 0.5,
                    positive_spans: vec![Span { offset: (n % 3) as i32, length: 2 }],
                    positive_deltas: vec![count as i64, 0],
                    ..Histogram::default()
                };
                builder.histogram(HistogramSample { t, value: HistogramValue::Int(Box::new(value)) });
            } else if !(n % 5 == 0 && round > 100) {
                builder.sample(Sample { t, v: (seed + n) as f64 * 0.25 + round as f64 });
            }
            if round % 50 == 0 {
                builder.exemplar(Exemplar { labels: labels(&[("trace_id", &format!("{n}-{round}"))]), value: 1.0, t });
            }
            let series = labels(&[("__name__", "m"), ("instance", &format!("i{n}")), ("job", &format!("j{}", n % 3))]);
            builder.end_series_with(series.hash(), series.as_block());
        }
        let help = format!("round {}", round / 100);
        builder.metadata(Metadata { family: "m".to_owned(), metric_type: MetricType::Gauge, help, unit: String::new() });
        push(&head, &builder.finish());
    }
    head
}

fn assert_same(a: &Head, b: &Head) {
    assert_eq!(contents(a), contents(b));
    assert_eq!(a.exemplars(&[vec![]], i64::MIN, i64::MAX), b.exemplars(&[vec![]], i64::MIN, i64::MAX));
    assert_eq!(a.metadata(None, 10), b.metadata(None, 10));
    let job = [model::Matcher::equal("job", "j1")];
    // Chunk by chunk, bit by bit.
    let chunks = |head: &Head| -> Vec<_> {
        let selected = head.select(&job, i64::MIN, i64::MAX).unwrap();
        selected.into_iter().map(|s| (s.labels, s.chunks.into_iter().map(|c| (c.min_t, c.max_t, c.data)).collect::<Vec<_>>())).collect()
    };
    assert_eq!(chunks(a), chunks(b));
    assert_eq!(a.label_values("instance", &job, i64::MIN, i64::MAX, 99), b.label_values("instance", &job, i64::MIN, i64::MAX, 99));
    let (a, b) = (a.stats(), b.stats());
    assert_eq!((a.series, a.chunks, a.open_samples, a.max_t), (b.series, b.chunks, b.open_samples, b.max_t));
}

#[test]
fn heads_come_back_and_go_on_alike() {
    let fs = FaultyFs::new();
    let (one, two) = (rich(1), rich(2));
    let report = take(&fs, 5, &[("one", &one), ("two", &two), ("empty", &head())]).unwrap();
    assert_eq!((report.tenants, report.series), (3, 80));
    let (loaded, heads) = load(&fs.after_power_cut(), 5).unwrap();
    assert_eq!((loaded.tenants, loaded.series, loaded.bytes, loaded.taken_ms), (3, 80, report.bytes, 77));
    assert_eq!(heads["empty"].series_count(), 0);
    for (before, name) in [(&one, "one"), (&two, "two")] {
        let after = &heads[name];
        assert_same(before, after);
        // What follows goes into the same chunks, bit by bit.
        for round in 300..500_i64 {
            let next = batch(&[(labels(&[("__name__", "m"), ("instance", "i1"), ("job", "j1")]), &[(T0 + round * 15_000, round as f64)])]);
            push(before, &next);
            push(after, &next);
        }
        assert_same(before, after);
    }
}

#[test]
fn late_samples_come_back_as_they_waited() {
    let fs = FaultyFs::new();
    let before = rich(4);
    let series = |n: i64| labels(&[("__name__", "m"), ("instance", &format!("i{n}")), ("job", &format!("j{}", n % 3))]);
    let late = |head: &Head, n: i64, rounds: std::ops::Range<i64>| {
        for round in rounds.rev() {
            push(head, &batch(&[(series(n), &[(T0 + round * 15_000 + 7_000, round as f64)])]));
        }
    };
    late(&before, 1, 265..298);
    late(&before, 2, 290..298);
    let stats = before.stats();
    assert!(stats.late_chunks > 0 && stats.late_open_samples > 0, "{stats:?}");
    take(&fs, 1, &[("a", &before)]).unwrap();
    let after = Arc::clone(&load(&fs, 1).unwrap().1["a"]);
    assert_same(&before, &after);
    assert_eq!(after.stats().late_open_samples, stats.late_open_samples);
    for head in [&before, &after] {
        // Those that are there are duplicates, the others are taken.
        late(head, 2, 280..298);
    }
    assert_same(&before, &after);
}

#[test]
fn stored_chunks_are_named_and_their_files_kept() {
    let fs = FaultyFs::new();
    let before = rich(3);
    let chunks = files(&fs);
    before.offload(&chunks).unwrap();
    let unsynced = take(&fs, 1, &[("a", &before)]).unwrap();
    assert!(unsynced.files.is_empty(), "what is not on the disk for good is in the snapshot");
    assert_same(&before, &load(&fs.after_power_cut(), 1).unwrap().1["a"]);
    chunks.sync().unwrap();
    let synced = take(&fs, 2, &[("a", &before)]).unwrap();
    assert_eq!(synced.files.len(), 1);
    assert!(synced.bytes < unsynced.bytes);
    let disk = fs.after_power_cut();
    assert_same(&before, &load(&disk, 2).unwrap().1["a"]);
    let later = files(&disk);
    let kept = store(&disk).files(Generation(2), &later).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(later.remove_unused().files, 0);
    drop(kept);
    assert_eq!(later.remove_unused().files, 1);
    assert!(matches!(load(&disk, 2), Err(SnapshotError::Damaged { .. })), "its file is gone");
}

/// Appends go on while snapshots are taken: any of them and the rest of the log make the same head.
#[test]
fn a_snapshot_and_the_rest_of_the_log_are_the_head() {
    let fs = FaultyFs::new();
    let config = WalConfig { sync: SyncPolicy::Always, salt: 7, ..WalConfig::default() };
    let (wal, replay) = Wal::open("wal", config.clone(), Arc::new(fs.clone())).unwrap();
    drop(replay);
    let before = head();
    let turn = parking_lot::Mutex::new(());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..3_usize {
            let (wal, before, turn, stop) = (&wal, &before, &turn, &stop);
            scope.spawn(move || {
                let mut out = AppendOutcome::new();
                for round in 0..4_000_i64 {
                    let series: Vec<_> = (0..20)
                        .map(|n| labels(&[("__name__", "m"), ("n", &format!("{}", (n + round / 50) % 400)), ("w", &format!("{writer}"))]))
                        .collect();
                    let sample = [(T0 + round * 1_000, round as f64)];
                    let series: Vec<_> = series.into_iter().map(|series| (series, sample.as_slice())).collect();
                    let pushed = batch(&series);
                    let (sender, receiver) = std::sync::mpsc::channel();
                    {
                        let _turn = turn.lock();
                        before.append(&pushed, Selection::All, wal.generation(), T0 + 4_000_000, &mut out);
                        wal.submit(&tenant("a"), out.take_record(), Box::new(move |done| sender.send(done).unwrap())).unwrap();
                    }
                    receiver.recv().unwrap().unwrap();
                    before.confirm(&out);
                    if stop.load(Relaxed) {
                        return;
                    }
                }
            });
        }
        let mut kept = Vec::new();
        for _ in 0..8 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            let generation = wal.begin_generation();
            drop(turn.lock());
            take(&fs, generation.0, &[("a", &before)]).unwrap();
            kept.push(generation);
        }
        stop.store(true, Relaxed);
        drop(kept);
    });
    drop(wal);
    let disk = fs.after_power_cut();
    let snapshots = store(&disk).list().unwrap();
    assert_eq!(snapshots.len(), 8);
    for generation in snapshots {
        let (_, heads) = load(&disk, generation.0).unwrap();
        let (_, replay) = Wal::open("wal", config.clone(), Arc::new(disk.after_kill())).unwrap();
        let report = replay.from(generation).run(&|_: &TenantId| Some(Arc::clone(&heads["a"])), 2).unwrap();
        assert_eq!(report.heads.orphans, 0);
        assert_eq!(contents(&heads["a"]), contents(&before), "from {generation:?}");
    }
}

#[test]
fn the_log_before_two_snapshots_is_given_back() {
    let fs = FaultyFs::new();
    let config = WalConfig { sync: SyncPolicy::Always, first_generation: Generation(40), ..WalConfig::default() };
    let (wal, _) = Wal::open("wal", config, Arc::new(fs.clone())).unwrap();
    assert_eq!(wal.generation(), Generation(40));
    let head = head();
    let write = |n: i64| {
        let mut out = AppendOutcome::new();
        let series = batch(&[(labels(&[("__name__", "m")]), &[(T0 + n, n as f64)])]);
        head.append(&series, Selection::All, wal.generation(), T0, &mut out);
        wal.append(&tenant("a"), out.take_record()).unwrap();
        head.confirm(&out);
    };
    for n in 0..4 {
        write(n * 10);
        let generation = wal.begin_generation();
        take(&fs, generation.0, &[("a", &head)]).unwrap();
        let oldest = store(&fs).retain(2).unwrap();
        assert_eq!(oldest, (n > 0).then(|| Generation(generation.0 - 1)));
        let released = oldest.map_or(0, |oldest| wal.release(oldest).unwrap().segments);
        assert_eq!(released, u64::from(n > 0), "round {n}");
    }
    assert_eq!(store(&fs).list().unwrap(), [Generation(44), Generation(43)]);
    assert_eq!(wal.stats().segments, 1);
    assert_eq!(wal.release(Generation(99)).unwrap().segments, 1, "never beyond the generation that is written");
    write(50);
    assert_eq!(wal.stats().segments, 1);
}

fn path(generation: u32) -> std::path::PathBuf {
    super::path(Path::new("snapshots"), Generation(generation))
}
