//! Full disks, failing syncs, kills and power cuts.

use super::*;
use crate::wal::WalRecord;

#[test]
fn a_full_disk_refuses_and_service_resumes() {
    for cuts_fail in [0, 1] {
        let fs = FaultyFs::new();
        let (node, _) = Node::start(&fs, always());
        node.push(&["a", "b"], T0).unwrap();
        fs.set_space(Some(25));
        fs.fail_cuts(cuts_fail);
        for _ in 0..3 {
            let error = node.push(&["a", "b"], T0 + 1).unwrap_err();
            assert!(matches!(error, WalError::Full { .. }), "{error}");
            assert_eq!(error.to_string(), "no space left for the write-ahead log in wal");
        }
        fs.set_space(None);
        // The client repeats the push: the head has the samples, the log gets them now.
        node.push(&["a", "b"], T0 + 1).unwrap();
        node.push(&["a", "c"], T0 + 2).unwrap();
        for fs in [fs.after_power_cut(), fs.after_kill()] {
            let (next, report) = Node::start(&fs, always());
            assert_eq!(next.floats(), node.floats());
            assert_eq!((report.torn_bytes, report.heads.orphans), (0, 0));
        }
        // What could not be cut stays in the middle.
        let (_, report) = Node::start(&fs.after_kill(), always());
        assert_eq!((report.quarantined, report.quarantined_bytes), if cuts_fail == 0 { (0, 0) } else { (1, 25) });
        assert!(node.wal.stats().write_errors >= 3);
    }
}

#[test]
fn a_full_disk_at_the_start() {
    let fs = FaultyFs::new();
    fs.set_space(Some(10));
    let (node, _) = Node::start(&fs, always());
    assert!(matches!(node.push(&["a"], T0), Err(WalError::Full { .. })));
    fs.set_space(None);
    node.push(&["a"], T0).unwrap();
    let (next, report) = Node::start(&fs.after_power_cut(), always());
    assert_eq!((next.floats(), report.quarantined), (node.floats(), 0));
}

#[test]
fn a_failed_sync_fails_the_push_and_is_never_trusted() {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, always());
    node.push(&["a"], T0).unwrap();
    fs.fail_syncs(1);
    let error = node.push(&["a", "b"], T0 + 1).unwrap_err();
    assert!(matches!(error, WalError::Io { action: "sync", .. }), "{error}");
    assert_eq!(node.wal.stats().generation, 2);
    // A record that was encoded before the failure may rely on definitions in that segment.
    let stale = WalRecord { generation: super::super::Generation(1), max_t: T0, body: vec![1] };
    assert!(matches!(node.wal.append(&tenant(), stale), Err(WalError::GenerationLost)));
    node.push(&["a", "b"], T0 + 1).unwrap();
    node.push(&["b"], T0 + 2).unwrap();
    let cut = fs.after_power_cut();
    assert_eq!(cut.paths(), [segment(1), segment(2)]);
    let (next, report) = Node::start(&cut, always());
    assert_eq!((next.floats(), report.heads.orphans), (node.floats(), 0));
}

#[test]
fn a_failed_sync_in_the_background_begins_a_new_generation() {
    let fs = FaultyFs::new();
    let config = || WalConfig { sync: SyncPolicy::Interval(std::time::Duration::from_secs(3600)), ..always() };
    let (node, _) = Node::start(&fs, config());
    node.push(&["a"], T0).unwrap();
    node.wal.sync().unwrap();
    node.push(&["b"], T0).unwrap();
    fs.fail_syncs(1);
    assert!(node.wal.sync().is_err());
    node.push(&["a", "b"], T0 + 1).unwrap();
    node.wal.sync().unwrap();
    let (next, report) = Node::start(&fs.after_power_cut(), config());
    // What was not synced of the first segment is lost, and only that.
    let [a, b] = ["a", "b"].map(|name| labels(&[("__name__", name), ("job", "test")]));
    let at = |t: i64| (t, t as f64);
    assert_eq!(next.floats(), [(a, vec![at(T0), at(T0 + 1)]), (b, vec![at(T0 + 1)])]);
    assert_eq!(report.heads.orphans, 0);
}

/// A disk that takes nothing has nothing acknowledged, and one that is well again is trusted again.
#[test]
fn after_a_failed_sync_in_the_background_only_what_is_on_the_disk_is_answered() {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, WalConfig { sync: SyncPolicy::Interval(std::time::Duration::from_secs(3600)), ..always() });
    node.push(&["a"], T0).unwrap();
    fs.fail_syncs(3);
    assert!(node.wal.sync().is_err());
    for n in 1..=2 {
        let error = node.push(&["a"], T0 + n).unwrap_err();
        assert!(matches!(error, WalError::Io { action: "sync", .. }), "{error}");
    }
    node.push(&["a"], T0 + 3).unwrap();
    let (next, _) = Node::start(&fs.after_power_cut(), always());
    assert_eq!(next.floats(), [(labels(&[("__name__", "a"), ("job", "test")]), vec![(T0 + 3, (T0 + 3) as f64)])]);
    let syncs = fs.syncs();
    node.push(&["a"], T0 + 4).unwrap();
    assert_eq!(fs.syncs(), syncs, "the disk is well, and pushes do not wait for it");
    assert_eq!(node.wal.stats().sync_errors, 3);
}

/// A segment of which a sync failed is never called durable, however often it is asked.
#[test]
fn a_failed_sync_is_not_made_good_by_another() {
    let fs = FaultyFs::new();
    let header = crate::wal::frame::Header { generation: super::super::Generation(1), number: 1, salt: 0 };
    let segment = crate::wal::segment::Segment::create(&fs, Path::new(""), header).unwrap();
    segment.append(b"record").unwrap();
    fs.fail_syncs(1);
    assert!(segment.sync().is_err());
    segment.append(b"record").unwrap();
    assert!(segment.sync().is_err() && segment.sync().is_err());
    assert_eq!(fs.syncs(), 1);
}

#[test]
fn an_interval_syncs_by_itself_and_closing_syncs_the_rest() {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, WalConfig { sync: SyncPolicy::Interval(std::time::Duration::from_millis(5)), ..always() });
    node.push(&["a"], T0).unwrap();
    while node.wal.stats().syncs == 0 {
        std::thread::yield_now();
    }
    let (next, _) = Node::start(&fs.after_power_cut(), always());
    assert_eq!(next.floats(), node.floats());
    let slow = WalConfig { sync: SyncPolicy::Interval(std::time::Duration::from_secs(3600)), ..always() };
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, slow);
    node.push(&["a"], T0).unwrap();
    let (lost, _) = Node::start(&fs.after_power_cut(), always());
    assert!(lost.floats().is_empty());
    let (kept, _) = Node::start(&fs.after_kill(), always());
    assert_eq!(kept.floats(), node.floats());
    let Node { wal, head, .. } = node;
    drop(wal);
    let (next, _) = Node::start(&fs.after_power_cut(), always());
    assert_eq!(next.floats(), floats(&head));
}

/// The record of a push that uses another's series may be the only one that reaches the log.
#[test]
fn records_need_no_order() {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, always());
    let a = labels(&[("__name__", "a")]);
    let mut outs = [AppendOutcome::new(), AppendOutcome::new()];
    for (i, out) in outs.iter_mut().enumerate() {
        let samples = [(T0 + i as i64, 1.0)];
        node.head.append(&batch(&[(a.clone(), &samples)]), Selection::All, node.wal.generation(), T0, out);
    }
    let [_, second] = &mut outs;
    let record = second.take_record();
    node.wal.append(&tenant(), record).unwrap();
    let (next, report) = Node::start(&fs.after_kill(), always());
    assert_eq!((next.floats(), report.heads.orphans), (vec![(a, vec![(T0 + 1, 1.0)])], 0));
}

#[test]
fn concurrent_pushes_of_many_tenants_share_writes_and_survive() {
    let fs = FaultyFs::new();
    let config = WalConfig { segment_bytes: 20_000, ..always() };
    let (wal, _) = open(&fs, config.clone());
    let heads: Vec<Arc<Head>> = (0..5).map(|_| Arc::new(Head::new(HeadConfig::default()))).collect();
    let name = |n: usize| TenantId::new(&format!("tenant-{n}")).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (wal, heads) = (&wal, &heads);
            scope.spawn(move || {
                let mut out = AppendOutcome::new();
                for round in 0..100 {
                    let tenant = round % heads.len();
                    // All threads use one series of the tenant, and each one of its own.
                    let own = labels(&[("__name__", "own"), ("thread", &thread.to_string())]);
                    let shared = labels(&[("__name__", "shared")]);
                    let samples = [(T0 + round as i64, 1.0)];
                    let batch = batch(&[(own, &samples), (shared, &samples)]);
                    heads[tenant].append(&batch, Selection::All, wal.generation(), T0, &mut out);
                    let record = out.take_record();
                    wal.append(&name(tenant), record).unwrap();
                    heads[tenant].confirm(&out);
                }
            });
        }
    });
    let stats = wal.stats();
    assert_eq!(stats.records, 400);
    assert!(stats.segments > 1 && stats.groups <= 400 && stats.queued_bytes == 0, "{stats:?}");
    let (_wal, replay) = open(&fs.after_power_cut(), config);
    let restored: Vec<Arc<Head>> = (0..5).map(|_| Arc::new(Head::new(HeadConfig::default()))).collect();
    let sink = |tenant: &TenantId| (0..5).find(|n| name(*n) == *tenant).map(|n| Arc::clone(&restored[n]));
    let report = replay.run(&sink, 3).unwrap();
    assert_eq!((report.records, report.quarantined, report.heads.orphans), (400, 0, 0));
    for (before, after) in heads.iter().zip(&restored) {
        let own = |head: &Head| floats(head).into_iter().filter(|(l, _)| l.get("__name__") == Some("own")).collect::<Floats>();
        assert_eq!(own(before), own(after));
        assert_eq!(before.series_count(), after.series_count());
    }
}

#[test]
fn a_full_queue_refuses_those_who_do_not_wait() {
    let fs = FaultyFs::new();
    let (wal, _) = open(&fs, WalConfig { queue_bytes: 1, ..always() });
    let record = |n: u8| WalRecord { generation: wal.generation(), max_t: T0, body: vec![n; 100] };
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (done, finished) = std::sync::mpsc::channel();
    // The writer stands still in the completion of the first record, whose room is free by then; the second takes it.
    let (standing, stands) = std::sync::mpsc::channel();
    let stop = Box::new(move |_| {
        standing.send(()).unwrap();
        wait.recv().unwrap();
    });
    wal.submit(&tenant(), record(1), stop).unwrap();
    stands.recv().unwrap();
    wal.submit(&tenant(), record(2), Box::new(|_| {})).unwrap();
    let refused = wal.submit(&tenant(), record(2), Box::new(|_| panic!("never called")));
    assert!(matches!(refused, Err(WalError::Overloaded { limit: 1 })));
    assert_eq!(wal.stats().refused, 1);
    std::thread::scope(|scope| {
        scope.spawn(|| done.send(wal.append(&tenant(), record(3)).is_ok()).unwrap());
        assert!(finished.try_recv().is_err());
        go.send(()).unwrap();
        assert!(finished.recv().unwrap());
    });
    let huge = WalRecord { body: vec![0; 65 << 20], ..record(0) };
    assert!(matches!(wal.append(&tenant(), huge), Err(WalError::TooLarge { .. })));
}

#[test]
fn a_panic_in_a_completion_closes_the_log() {
    let fs = FaultyFs::new();
    let (wal, _) = open(&fs, always());
    let record = || WalRecord { generation: wal.generation(), max_t: T0, body: vec![0] };
    wal.submit(&tenant(), record(), Box::new(|_| panic!("a completion that breaks the rules"))).unwrap();
    while wal.append(&tenant(), record()).is_ok() {}
    assert!(matches!(wal.append(&tenant(), record()), Err(WalError::Closed)));
}

#[test]
fn everything_comes_back() {
    use model::{Exemplar, HistogramSample, HistogramValue, Metadata, MetricType, Sample, batch::BatchBuilder};
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, always());
    let a = labels(&[("__name__", "a")]);
    let b = labels(&[("__name__", "b")]);
    let mut builder = BatchBuilder::new(bytes::Bytes::new());
    builder.sample(Sample { t: T0, v: model::stale_nan() });
    builder.exemplar(Exemplar { labels: labels(&[("trace_id", "1")]), value: 2.0, t: T0 });
    builder.end_series_with(a.hash(), a.as_block());
    let h = model::Histogram { count: 3, zero_count: 3, zero_threshold: 0.5, sum: 0.25, ..model::Histogram::default() };
    builder.histogram(HistogramSample { t: T0 + 1, value: HistogramValue::Float(Box::new(h.to_float())) });
    builder.histogram(HistogramSample { t: T0 + 2, value: HistogramValue::Int(Box::new(h)) });
    builder.end_series_with(b.hash(), b.as_block());
    builder.exemplar(Exemplar { labels: Labels::empty(), value: 3.0, t: T0 });
    let c = labels(&[("__name__", "c")]);
    builder.end_series_with(c.hash(), c.as_block());
    let metadata = Metadata { family: "a".into(), metric_type: MetricType::Gauge, help: "height".into(), unit: "metres".into() };
    builder.metadata(metadata.clone());
    let mut out = AppendOutcome::new();
    node.head.append(&builder.finish(), Selection::All, node.wal.generation(), T0, &mut out);
    assert_eq!((out.samples, out.histograms, out.exemplars, out.rejected.len()), (1, 2, 2, 0));
    let record = out.take_record();
    node.wal.append(&tenant(), record).unwrap();
    let (next, report) = Node::start(&fs.after_power_cut(), always());
    let heads = report.heads;
    assert_eq!((heads.series, heads.samples, heads.histograms, heads.exemplars, heads.metadata), (2, 1, 2, 2, 1));
    let points = |node: &Node| -> Vec<_> {
        node.head
            .select(&[], i64::MIN, i64::MAX)
            .unwrap()
            .iter()
            .map(|s| format!("{:?} {:?}", s.labels, crate::head::tests::points(s)))
            .collect()
    };
    assert_eq!(points(&next), points(&node));
    let any = [vec![]];
    assert_eq!(next.head.exemplars(&any, i64::MIN, i64::MAX), node.head.exemplars(&any, i64::MIN, i64::MAX));
    assert_eq!(next.head.metadata(None, 9), [metadata]);
}
