use super::*;
use crate::head::tests::{T0, batch, floats, labels, limited, push};
use crate::head::{Head, HeadConfig, HeadLimits};

const HOUR: i64 = 3_600_000;

fn cut(fs: &FaultyFs, head: &Head, ulid: Ulid, range: (i64, i64)) -> Option<Block> {
    let spec = BlockSpec::level_1(ulid, range.0, range.1);
    let meta = write_sealed_range(Arc::new(fs.clone()), &parent(), head, spec, &|| true).unwrap()?;
    let block = open(fs, &parent().join(meta.ulid.to_string()));
    let found = verify(&block);
    assert!(found.is_sound(), "{:?}", found.problems);
    Some(block)
}

#[test]
fn a_sealed_range_of_a_head_becomes_a_block() {
    let head = Head::new(limited(HeadLimits { creation_grace_ms: i64::MAX, ..HeadLimits::default() }));
    let mut want: Series = Vec::new();
    for n in 0..600_i64 {
        let labels = labels(&[("__name__", "m"), ("n", &format!("{n:04}")), ("reversed", &format!("{:04}", 600 - n))]);
        // Some series have nothing in the range.
        let end = if n % 5 == 4 { 0 } else { 5 * HOUR };
        let samples: Vec<_> = (-HOUR / 60_000..end / 60_000).map(|i| (T0 + i * 60_000 + n, i as f64)).collect();
        assert!(push(&head, &batch(&[(labels.clone(), samples.as_slice())])).rejected.is_empty());
        let inside = samples.into_iter().filter(|(t, _)| *t >= T0 && *t < T0 + 2 * HOUR);
        want.push((labels, inside.map(|(t, v)| float(t, v)).collect()));
    }
    want.retain(|(_, points)| !points.is_empty());
    let before = floats(&head);
    let fs = FaultyFs::new();
    assert!(cut(&fs, &head, Ulid::new(1, 1), (T0, T0 + 2 * HOUR)).is_none(), "nothing is sealed");
    assert_eq!(head.seal(T0 + 2 * HOUR), [T0 - 2 * HOUR, T0]);
    assert_eq!(head.seal(T0 + 2 * HOUR), [T0 - 2 * HOUR, T0], "sealing twice is sealing once");
    assert!(floats(&head) == before, "queries see no difference");

    let block = cut(&fs, &head, Ulid::new(1, 2), (T0, T0 + 2 * HOUR)).unwrap();
    assert!(read(&block) == want);
    // Chunks are cut at multiples of two hours already, so they were copied.
    let head_chunks = head.select(&[], T0, T0 + 2 * HOUR - 1).unwrap();
    for series in block.select(&[], i64::MIN, i64::MAX).unwrap() {
        let series = series.unwrap();
        let of_head = head_chunks.iter().find(|s| s.hash == series.hash).unwrap();
        assert!(series.chunks.iter().map(|c| &c.data).eq(of_head.chunks.iter().map(|c| &c.data)));
    }

    // A range that goes through chunks.
    let range = (T0 + HOUR / 2 + 1, T0 + HOUR);
    let block = cut(&fs, &head, Ulid::new(3, 4), range).unwrap();
    want.iter_mut().for_each(|(_, points)| points.retain(|p| p.t() >= range.0 && p.t() < range.1));
    assert!(read(&block) == want);
    assert!(cut(&fs, &head, Ulid::new(5, 6), (0, HOUR)).is_none());
}

#[test]
fn dropping_drops_what_was_sealed_and_nothing_else() {
    let head = Head::new(limited(HeadLimits { creation_grace_ms: i64::MAX, ..HeadLimits::default() }));
    let (gone, stays, lags) = (labels(&[("n", "gone")]), labels(&[("n", "stays")]), labels(&[("n", "lags")]));
    let minutes = |from: i64, to: i64| (from..to).map(|i| (T0 + i * 60_000, i as f64)).collect::<Vec<_>>();
    push(&head, &batch(&[(gone, &minutes(0, 50)), (stays.clone(), &minutes(0, 200)), (lags.clone(), &minutes(0, 30))]));
    assert_eq!(head.seal(T0 + 2 * HOUR), [T0]);
    // While the block would be written, a sender that lags goes on in the range.
    assert!(push(&head, &batch(&[(lags.clone(), &minutes(30, 40))])).rejected.is_empty());
    let all = floats(&head);
    assert_eq!(head.drop_sealed(&[T0 - 2 * HOUR]).chunks, 0, "another range");
    assert!(floats(&head) == all);
    let dropped = head.drop_sealed(&[T0]);
    assert_eq!((dropped.chunks, dropped.series), (3, 1));
    assert_eq!(floats(&head), [(lags.clone(), minutes(30, 40)), (stays, minutes(120, 200))]);
    assert_eq!(head.seal(T0 + 2 * HOUR), [T0], "the late ones are for a second block");
    head.drop_sealed(&[T0]);
    assert_eq!(head.series_count(), 1);
    assert!(!floats(&head).iter().any(|(labels, _)| *labels == lags));
}

/// What is older than what was sealed is late; it is in no block before the next seal, and in one then.
#[test]
fn late_samples_of_a_sealed_series_wait_for_the_next_seal() {
    let head = Head::new(HeadConfig::default());
    let fs = FaultyFs::new();
    let series = labels(&[("n", "1")]);
    let push = |samples: &[(i64, f64)]| push(&head, &batch(&[(series.clone(), samples)]));
    let times = |block: &Block| -> Vec<i64> { read(block).into_iter().flat_map(|(_, p)| p).map(|p| p.t() - T0).collect() };
    push(&[(T0, 1.0), (T0 + 100, 2.0)]);
    assert_eq!(push(&[(T0 + 50, 1.0), (T0 + 60, 1.0)]).out_of_order, 2);
    assert_eq!(head.seal(T0 + HOUR), [T0]);
    let first = cut(&fs, &head, Ulid::new(1, 1), (T0, T0 + 2 * HOUR)).unwrap();
    assert_eq!(times(&first), [0, 50, 60, 100]);
    // Between the sealed late samples, and once more what is sealed.
    assert_eq!(push(&[(T0 + 55, 1.0)]).out_of_order, 1);
    assert_eq!(push(&[(T0 + 100, 2.0), (T0 + 50, 1.0)]).duplicates, 2);
    head.drop_sealed(&[T0]);
    assert_eq!(floats(&head), [(series.clone(), vec![(T0 + 55, 1.0)])]);
    let out = push(&[(T0 + 20, 1.0), (T0 + 99, 1.0), (T0 + 101, 1.0)]);
    assert_eq!((out.samples, out.out_of_order), (3, 2), "{:?}", out.rejected);
    assert_eq!(head.seal(T0 + HOUR), [T0]);
    let second = cut(&fs, &head, Ulid::new(2, 2), (T0, T0 + 2 * HOUR)).unwrap();
    assert_eq!(times(&second), [20, 55, 99, 101]);
    head.drop_sealed(&[T0]);
    assert_eq!(head.series_count(), 0);
}

#[test]
fn a_cut_that_is_stopped_or_meets_a_full_disk_leaves_nothing() {
    let head = Head::new(HeadConfig::default());
    for n in 0..1_000 {
        push(&head, &batch(&[(labels(&[("n", &n.to_string())]), &[(T0, 1.0)])]));
    }
    head.seal(i64::MAX);
    let all = floats(&head);
    let fs = FaultyFs::new();
    let spec = || BlockSpec::level_1(Ulid::new(1, 1), T0, T0 + 2 * HOUR);
    let asked = std::cell::Cell::new(0);
    let twice = || {
        asked.set(asked.get() + 1);
        asked.get() < 3
    };
    let stopped = write_sealed_range(Arc::new(fs.clone()), &parent(), &head, spec(), &twice);
    assert!(matches!(stopped, Err(BlockError::Stopped)), "{stopped:?}");
    assert!(fs.paths().is_empty(), "{:?}", fs.paths());
    for space in [0, 10, 5_000, 40_000] {
        fs.set_space(Some(space));
        let full = write_sealed_range(Arc::new(fs.clone()), &parent(), &head, spec(), &|| true);
        assert!(matches!(full, Err(BlockError::Io { .. })), "{full:?}");
        assert!(fs.paths().is_empty(), "{:?}", fs.paths());
    }
    fs.set_space(None);
    assert!(floats(&head) == all);
    assert!(cut(&fs, &head, Ulid::new(1, 1), (T0, T0 + 2 * HOUR)).is_some());
}
