use super::*;
use crate::head::tests::{T0, batch, labels, push};
use crate::head::{Head, HeadConfig};

const HOUR: i64 = 3_600_000;

#[test]
fn a_range_of_a_head_becomes_a_block() {
    let head = Head::new(HeadConfig { creation_grace_ms: i64::MAX, ..HeadConfig::default() });
    let mut want: Series = Vec::new();
    for n in 0..600_i64 {
        let labels = labels(&[("__name__", "m"), ("n", &format!("{n:04}"))]);
        // Some series have nothing in the range.
        let end = if n % 5 == 4 { 0 } else { 5 * HOUR };
        let samples: Vec<_> = (-HOUR / 60_000..end / 60_000).map(|i| (T0 + i * 60_000 + n, i as f64)).collect();
        assert!(push(&head, &batch(&[(labels.clone(), samples.as_slice())])).rejected.is_empty());
        let inside = samples.into_iter().filter(|(t, _)| *t >= T0 && *t < T0 + 2 * HOUR);
        want.push((labels, inside.map(|(t, v)| float(t, v)).collect()));
    }
    want.retain(|(_, points)| !points.is_empty());
    let fs = FaultyFs::new();
    let spec = BlockSpec::level_1(Ulid::new(1, 2), T0, T0 + 2 * HOUR);
    let meta = write_head_range(Arc::new(fs.clone()), &parent(), &head, spec).unwrap().unwrap();
    let block = open(&fs, &parent().join(meta.ulid.to_string()));
    assert!(read(&block) == want);
    assert!(verify(&block).is_sound(), "{:?}", verify(&block).problems);
    // Chunks are cut at multiples of two hours already, so they were copied.
    let head_chunks = head.select(&[], T0, T0 + 2 * HOUR - 1).unwrap();
    for series in block.select(&[], i64::MIN, i64::MAX).unwrap() {
        let series = series.unwrap();
        let of_head = head_chunks.iter().find(|s| s.hash == series.hash).unwrap();
        assert!(series.chunks.iter().map(|c| &c.data).eq(of_head.chunks.iter().map(|c| &c.data)));
    }

    // A range that goes through chunks.
    let spec = BlockSpec::level_1(Ulid::new(3, 4), T0 + HOUR / 2 + 1, T0 + HOUR);
    let meta = write_head_range(Arc::new(fs.clone()), &parent(), &head, spec.clone()).unwrap().unwrap();
    let block = open(&fs, &parent().join(meta.ulid.to_string()));
    want.iter_mut().for_each(|(_, points)| points.retain(|p| p.t() >= spec.min_time && p.t() < spec.max_time));
    assert!(read(&block) == want);
    assert!(verify(&block).is_sound());

    let before = BlockSpec::level_1(Ulid::new(5, 6), 0, HOUR);
    assert_eq!(write_head_range(Arc::new(fs), &parent(), &head, before).unwrap(), None);
}
