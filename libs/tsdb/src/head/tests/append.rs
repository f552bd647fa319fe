use model::{ChunkEncoding, Histogram, HistogramSample, HistogramValue, LabelBlock, SeriesHash, Span};

use super::*;

#[test]
fn verdicts_of_samples() {
    let head = head();
    let a = labels(&[("__name__", "a")]);
    let first = push(&head, &batch(&[(a.clone(), &[(T0 - 10, 1.0), (T0, 2.0)])]));
    assert_eq!((first.samples, first.created, first.rejected.len()), (2, 1, 0));
    // The same samples again, another value at their times, a late one, one too far back, one at the end of the clock's grace, and one behind it.
    let HeadLimits { creation_grace_ms: grace, out_of_order_time_window_ms: window, .. } = HeadLimits::default();
    let times = [
        (T0, 2.0),
        (T0, 3.0),
        (T0 - 10, 1.0),
        (T0 - 10, 3.0),
        (T0 - window, 9.0),
        (T0 - window - 1, 8.0),
        (T0 + grace, 4.0),
        (T0 + grace + 1, 5.0),
    ];
    let out = push(&head, &batch(&[(a.clone(), &times)]));
    assert_eq!((out.samples, out.out_of_order, out.duplicates), (2, 1, 2));
    let mut got = reasons(&out);
    got.sort_unstable();
    let want = [(0, RejectReason::DuplicateTimestamp, 2), (0, RejectReason::TooOld, 1), (0, RejectReason::TooFarInFuture, 1)];
    assert_eq!(got, want);
    let detail = |reason| out.rejected.iter().find(|r| r.reason == reason).unwrap().detail.as_str();
    assert_eq!(detail(RejectReason::DuplicateTimestamp), format!("value 3 at timestamp {} differs from the one that is there, 1", T0 - 10));
    assert!(detail(RejectReason::TooFarInFuture).contains("creation_grace_period_ms"));
    let old = T0 - window - 1;
    let want =
        format!("timestamp {old} is more than 600000 ms (out_of_order_time_window_ms) older than the newest sample of the series, {T0}");
    assert_eq!(detail(RejectReason::TooOld), want);
    assert_eq!(floats(&head), [(a.clone(), vec![(T0 - window, 9.0), (T0 - 10, 1.0), (T0, 2.0), (T0 + grace, 4.0)])]);
    // Limits are live.
    head.set_limits(&HeadLimits { out_of_order_time_window_ms: 0, creation_grace_ms: 2 * grace, ..HeadLimits::default() });
    let out = push(&head, &batch(&[(a, &[(T0 - 1, 1.0), (T0 - 10, 1.0), (T0 + grace + 1, 5.0)])]));
    assert_eq!((out.samples, out.duplicates, reasons(&out)), (1, 1, vec![(0, RejectReason::OutOfOrder, 1)]));
    assert!(out.rejected[0].detail.contains("out_of_order_time_window_ms is 0"), "{:?}", out.rejected);
}

/// Late histograms that contradict themselves are told of, as those in order are.
#[test]
fn late_histograms_are_checked() {
    let head = head();
    let a = labels(&[("__name__", "a")]);
    let mut builder = BatchBuilder::new(Bytes::new());
    builder.histogram(HistogramSample { t: T0, value: histogram(4) });
    builder.end_series_with(a.hash(), a.as_block());
    push(&head, &builder.finish());
    let mut builder = BatchBuilder::new(Bytes::new());
    let broken = Histogram { schema: 99, count: 1, ..Histogram::default() };
    builder.histogram(HistogramSample { t: T0 - 2, value: HistogramValue::Int(Box::new(broken)) });
    builder.histogram(HistogramSample { t: T0 - 1, value: histogram(3) });
    builder.end_series_with(a.hash(), a.as_block());
    let out = push(&head, &builder.finish());
    assert_eq!((out.histograms, out.out_of_order, reasons(&out)), (1, 1, vec![(0, RejectReason::InvalidHistogram, 1)]));
}

/// A sender that was cut off for a day catches up, shuffled within pushes, while newer samples of other series come: all of that is in order.
#[test]
fn a_cut_off_sender_catches_up() {
    let head = head();
    let [a, b] = ["a", "b"].map(|name| labels(&[("__name__", name)]));
    push(&head, &batch(&[(b, &[(T0, 1.0)])]));
    for hour in 0..24 {
        let start = T0 - 86_400_000 + hour * 3_600_000;
        let samples: Vec<_> = (0..240).map(|i| (start + (i * 67 % 240) * 15_000, i as f64)).collect();
        let out = push(&head, &batch(&[(a.clone(), &samples)]));
        assert_eq!((out.samples, out.out_of_order), (240, 0));
    }
    assert_eq!(floats(&head)[0].1.len(), 24 * 240);
}

#[test]
fn nan_payloads_are_values() {
    let head = head();
    let a = labels(&[("__name__", "a")]);
    push(&head, &batch(&[(a.clone(), &[(T0, model::stale_nan())])]));
    assert_eq!(push(&head, &batch(&[(a.clone(), &[(T0, model::stale_nan())])])).duplicates, 1);
    assert_eq!(reasons(&push(&head, &batch(&[(a, &[(T0, f64::NAN)])]))), [(0, RejectReason::DuplicateTimestamp, 1)]);
    assert!(model::is_stale_nan(floats(&head)[0].1[0].1));
}

#[test]
fn only_the_selection_is_appended() {
    let head = head();
    let series: Vec<_> = (0..5).map(|i| (labels(&[("__name__", "a"), ("i", &i.to_string())]), [(T0, f64::from(i))])).collect();
    let all: Vec<_> = series.iter().map(|(l, s)| (l.clone(), s.as_slice())).collect();
    let batch = batch(&all);
    let mut out = AppendOutcome::new();
    head.append(&batch, Selection::Indices(&[3, 1, 99]), Generation(1), T0, &mut out);
    assert_eq!((out.samples, out.created), (2, 2));
    let names: Vec<_> = floats(&head).into_iter().map(|(l, _)| l.get("i").unwrap().to_owned()).collect();
    assert_eq!(names, ["1", "3"]);
    // Rejections name the index in the batch.
    head.append(&batch, Selection::Indices(&[3]), Generation(1), T0 - 11 * 60_000, &mut out);
    assert_eq!(reasons(&out), [(3, RejectReason::TooFarInFuture, 1)]);
}

#[test]
fn series_limit_and_refused_times_make_no_series() {
    let head = Head::new(limited(HeadLimits { max_series: 1, ..HeadLimits::default() }));
    let [a, b] = ["a", "b"].map(|name| labels(&[("__name__", name)]));
    let future: &[(i64, f64)] = &[(T0 + 3_600_000, 1.0)];
    assert_eq!(reasons(&push(&head, &batch(&[(b.clone(), future)]))), [(0, RejectReason::TooFarInFuture, 1)]);
    assert_eq!(head.series_count(), 0);
    let out = push(&head, &batch(&[(a.clone(), &[(T0, 1.0)]), (b.clone(), &[(T0, 1.0), (T0 + 1, 1.0)]), (a, &[(T0 + 1, 1.0)])]));
    assert_eq!((out.samples, reasons(&out)), (2, vec![(1, RejectReason::SeriesLimit, 2)]));
    assert!(out.rejected[0].detail.contains("1 series in memory (limit: max_series = 1 series"));
    head.set_limits(&HeadLimits { max_series: 2, ..HeadLimits::default() });
    assert_eq!(push(&head, &batch(&[(b, &[(T0, 1.0)])])).created, 1);
    assert_eq!(head.stats().label_pairs, 2);
}

#[test]
fn labels_that_are_not_what_they_claim_are_refused() {
    let head = head();
    let a = labels(&[("__name__", "a"), ("b", "c")]);
    let bytes = a.as_bytes();
    let cases: [(SeriesHash, &[u8]); 4] = [
        (SeriesHash(7), bytes),
        (SeriesHash::of(&bytes[1..]), &bytes[1..]),
        (SeriesHash::of(b""), b""),
        (SeriesHash::of(b"\xff\xff"), b"\xff\xff"),
    ];
    for (hash, block) in cases {
        let mut builder = BatchBuilder::new(Bytes::new());
        builder.sample(Sample { t: T0, v: 1.0 });
        builder.end_series_with(hash, LabelBlock::from_validated(block));
        let out = push(&head, &builder.finish());
        assert_eq!((out.samples, out.rejected.len(), out.is_empty()), (0, 1, true), "{block:?}");
    }
    assert_eq!((head.series_count(), head.stats().label_pairs), (0, 0));
}

#[test]
fn chunks_are_cut_by_count_and_range() {
    let head = head();
    let a = labels(&[("__name__", "a")]);
    let range = HeadConfig::default().chunk_range_ms;
    let start = T0.div_euclid(range) * range;
    // 15 seconds apart, 480 in a range, beginning 100 before its end.
    let samples: Vec<_> = (0..700).map(|i| (start - 100 * 15_000 + i * 15_000, i as f64)).collect();
    let mut out = AppendOutcome::new();
    head.append(&batch(&[(a, &samples)]), Selection::All, Generation(1), T0 + 10 * range, &mut out);
    let series = head.select(&everything(), i64::MIN, i64::MAX).unwrap();
    let counts: Vec<_> = series[0].chunks.iter().map(|c| decode(c).len()).collect();
    assert_eq!(counts, [100, 120, 120, 120, 120, 120]);
    assert_eq!(series[0].chunks[1].min_t, start);
    let some = head.select(&everything(), start, start).unwrap();
    assert_eq!(some[0].chunks.len(), 1);
    assert!(head.select(&everything(), 0, 1000).unwrap().is_empty());
    assert_eq!(head.stats().chunks, 6);
}

fn histogram(count: u64) -> HistogramValue {
    HistogramValue::Int(Box::new(Histogram {
        schema: 1,
        count,
        sum: count as f64,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_deltas: vec![count as i64],
        ..Histogram::default()
    }))
}

#[test]
fn floats_and_histograms_of_one_series() {
    let head = head();
    let a = labels(&[("__name__", "a")]);
    let mut builder = BatchBuilder::new(Bytes::new());
    for t in [0, 20] {
        builder.sample(Sample { t: T0 + t, v: 1.0 });
    }
    for (t, value) in [(10, histogram(3)), (30, histogram(5)), (40, histogram(2))] {
        builder.histogram(HistogramSample { t: T0 + t, value });
    }
    builder.end_series_with(a.hash(), a.as_block());
    let out = push(&head, &builder.finish());
    assert_eq!((out.samples, out.histograms, out.rejected.len()), (2, 3, 0));
    let series = head.select(&everything(), i64::MIN, i64::MAX).unwrap();
    let times: Vec<_> = points(&series[0]).iter().map(Point::t).collect();
    assert_eq!(times, [0, 10, 20, 30, 40].map(|t| T0 + t));
    // A counter reset ends a chunk.
    let kinds: Vec<_> = series[0].chunks.iter().map(|c| c.encoding).collect();
    assert_eq!(
        kinds,
        [ChunkEncoding::Xor, ChunkEncoding::Histogram, ChunkEncoding::Xor, ChunkEncoding::Histogram, ChunkEncoding::Histogram]
    );
    let again = |value| {
        let mut builder = BatchBuilder::new(Bytes::new());
        builder.histogram(HistogramSample { t: T0 + 40, value });
        builder.end_series_with(a.hash(), a.as_block());
        push(&head, &builder.finish())
    };
    assert_eq!(again(histogram(2)).duplicates, 1);
    assert_eq!(reasons(&again(histogram(9))), [(0, RejectReason::DuplicateTimestamp, 1)]);
    assert_eq!(reasons(&push(&head, &batch(&[(a.clone(), &[(T0 + 40, 1.0)])]))), [(0, RejectReason::DuplicateTimestamp, 1)]);
}

#[test]
fn contradictory_histograms_are_refused() {
    let head = head();
    let a = labels(&[("__name__", "a")]);
    let mut builder = BatchBuilder::new(Bytes::new());
    let broken = Histogram { schema: 99, count: 1, ..Histogram::default() };
    builder.histogram(HistogramSample { t: T0, value: HistogramValue::Int(Box::new(broken)) });
    builder.histogram(HistogramSample { t: T0 + 1, value: histogram(4) });
    builder.end_series_with(a.hash(), a.as_block());
    let out = push(&head, &builder.finish());
    assert_eq!((out.histograms, reasons(&out)), (1, vec![(0, RejectReason::InvalidHistogram, 1)]));
}

#[test]
fn definitions_until_confirmed_and_anew_in_each_generation() {
    let head = head();
    let a = labels(&[("__name__", "a")]);
    let mut out = AppendOutcome::new();
    let mut defined = |t: i64, generation: u32, confirm: bool| {
        head.append(&batch(&[(a.clone(), &[(T0 + t, 1.0)])]), Selection::All, Generation(generation), T0, &mut out);
        if confirm {
            head.confirm(&out);
        }
        out.defined
    };
    assert_eq!([defined(1, 1, false), defined(2, 1, false), defined(3, 1, true), defined(4, 1, true)], [1, 1, 1, 0]);
    assert_eq!([defined(5, 2, true), defined(6, 2, true)], [1, 0]);
}

/// Series named by hash are added to where the log knows them, and are unknown else: before they are made, before their definition is in the log, and in a new generation of it.
#[test]
fn hashes_stand_for_series_that_the_log_knows() {
    let head = head();
    let [a, b] = ["a", "b"].map(|name| labels(&[("__name__", name)]));
    let by_hash = |t: i64| {
        let mut builder = BatchBuilder::new(Bytes::new());
        for (i, labels) in [&a, &b].into_iter().enumerate() {
            builder.sample(Sample { t: T0 + t, v: i as f64 });
            builder.end_series_by_hash(labels.hash());
        }
        builder.finish()
    };
    let mut out = AppendOutcome::new();
    let mut unknown = |batch: &WriteBatch, generation: u32, confirm: bool| {
        head.append(batch, Selection::All, Generation(generation), T0, &mut out);
        if confirm {
            head.confirm(&out);
        }
        (out.unknown.clone(), out.samples, out.created, out.defined, out.rejected.len())
    };
    assert_eq!(unknown(&by_hash(1), 1, true), (vec![0, 1], 0, 0, 0, 0));
    let with_labels = batch(&[(b.clone(), &[(T0 + 1, 1.0)])]);
    assert_eq!(unknown(&with_labels, 1, false), (vec![], 1, 1, 1, 0));
    assert_eq!(unknown(&by_hash(2), 1, true), (vec![0, 1], 0, 0, 0, 0));
    assert_eq!(unknown(&with_labels, 1, true).3, 1);
    assert_eq!(unknown(&by_hash(2), 1, true), (vec![0], 1, 0, 0, 0));
    assert_eq!(unknown(&by_hash(3), 2, true), (vec![0, 1], 0, 0, 0, 0), "the next log starts without definitions");
    assert_eq!(floats(&head).len(), 1);
    head.append(&by_hash(4), Selection::Indices(&[1]), Generation(1), T0, &mut out);
    assert_eq!((out.unknown.len(), out.samples), (0, 1));
    head.append(&by_hash(5), Selection::Indices(&[0]), Generation(1), T0, &mut out);
    assert_eq!(out.unknown, [0], "the index in the batch");
}

/// A label with too many values fills its metric and no other; within one push, over pushes, and again when there is room.
#[test]
fn a_metric_has_so_many_series_and_no_more() {
    let head = Head::new(limited(HeadLimits { max_series_per_metric: 300, ..HeadLimits::default() }));
    let of = |name: &str, i: u32| labels(&[("A", "before the name"), ("__name__", name), ("n", &i.to_string())]);
    let push_many = |name: &str, range: std::ops::Range<u32>| {
        let series: Vec<_> = range.map(|i| (of(name, i), [(T0 + i64::from(i), 1.0)])).collect();
        push(&head, &batch(&series.iter().map(|(l, s)| (l.clone(), s.as_slice())).collect::<Vec<_>>()))
    };
    assert_eq!(push_many("a", 0..200).created, 200);
    let out = push_many("a", 150..350);
    assert_eq!((out.created, out.rejected.len()), (100, 50), "what is there takes samples as before");
    assert!(out.rejected.iter().all(|r| r.reason == RejectReason::MetricSeriesLimit && r.detail.contains("max_series_per_metric = 300")));
    let pairs = head.stats().label_pairs;
    assert_eq!(push_many("a", 1_000..2_000).created, 0);
    assert_eq!(head.stats().label_pairs, pairs, "a flood of values leaves none behind");
    assert_eq!(push_many("b", 0..301).rejected.len(), 1);
    // The samples of the first hundred are the oldest: when they go, there is room again.
    head.truncate(T0 + 100);
    assert_eq!(push_many("a", 1_000..2_000).created, 100);
    head.set_limits(&HeadLimits::default());
    assert_eq!(push_many("a", 3_000..4_000).created, 1_000);
}
