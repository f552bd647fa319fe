//! What fits a chunk and what does not.

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{ChunkEncoding, CounterResetHint, Histogram, HistogramValue, Span, stale_nan};

use super::super::{AppendOutcome, CutReason, HistogramAppender, MAX_HISTOGRAM_BUCKETS, decode_histograms, visit_histograms};
use crate::chunk::ChunkError;

fn base() -> Histogram {
    Histogram {
        zero_threshold: 0.001,
        zero_count: 2,
        count: 12,
        sum: 20.0,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 2, length: 2 }],
        positive_deltas: vec![1, 2, 0, 1],
        ..Histogram::default()
    }
}

fn custom(bounds: &[f64]) -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 3,
        sum: 1.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_deltas: vec![1, 1],
        custom_values: bounds.to_vec(),
        ..Histogram::default()
    }
}

fn gauge(h: Histogram) -> Histogram {
    Histogram { counter_reset_hint: CounterResetHint::Gauge, ..h }
}

fn stale() -> Histogram {
    Histogram { sum: stale_nan(), ..Histogram::default() }
}

/// What becomes of `second` after `first`, and the header of a chunk that begins with it.
fn follow(first: &Histogram, second: &Histogram) -> (AppendOutcome, u8) {
    let mut appender = HistogramAppender::new();
    assert_eq!(appender.append(1000, first), AppendOutcome::Appended);
    let mut next = appender.successor(second);
    let before = appender.bytes().to_vec();
    let outcome = appender.append(2000, second);
    if matches!(outcome, AppendOutcome::NeedsNewChunk(_) | AppendOutcome::Refused(_)) {
        assert_eq!(appender.bytes(), before, "nothing was written");
    } else {
        assert_eq!(appender.count(), 2);
    }
    if !matches!(outcome, AppendOutcome::Refused(_)) {
        assert_eq!(next.append(2000, second), AppendOutcome::Appended);
    }
    (outcome, next.bytes()[2])
}

const UNKNOWN: u8 = 0;
const NOT_RESET: u8 = 0x40;
const RESET: u8 = 0x80;
const GAUGE: u8 = 0xc0;

#[test]
fn reasons_to_cut() {
    use CutReason::*;
    let b = base;
    let cut = AppendOutcome::NeedsNewChunk;
    let cases: Vec<(&str, Histogram, Histogram, AppendOutcome, u8)> = vec![
        ("same again", b(), b(), AppendOutcome::Appended, NOT_RESET),
        ("fewer in all", b(), Histogram { count: 11, ..b() }, cut(CounterReset), RESET),
        ("fewer zeros", b(), Histogram { zero_count: 1, ..b() }, cut(CounterReset), RESET),
        ("a bucket fell", b(), Histogram { positive_deltas: vec![1, 2, -1, 2], ..b() }, cut(CounterReset), RESET),
        ("says so", b(), Histogram { counter_reset_hint: CounterResetHint::Reset, ..b() }, cut(CounterReset), RESET),
        ("schema", b(), Histogram { schema: 1, ..b() }, cut(Schema), UNKNOWN),
        ("zero threshold", b(), Histogram { zero_threshold: 0.01, ..b() }, cut(ZeroThreshold), UNKNOWN),
        ("gauge after counter", b(), gauge(b()), cut(GaugeChange), GAUGE),
        ("counter after gauge", gauge(b()), b(), cut(GaugeChange), UNKNOWN),
        ("gauge may fall", gauge(b()), Histogram { count: 1, zero_count: 0, ..gauge(b()) }, AppendOutcome::Appended, GAUGE),
        ("gauge schema", gauge(b()), Histogram { schema: 1, ..gauge(b()) }, cut(Schema), GAUGE),
        ("stale", b(), stale(), AppendOutcome::Appended, NOT_RESET),
        ("stale gauge", gauge(b()), stale(), AppendOutcome::Appended, NOT_RESET),
        ("after stale", stale(), b(), cut(AfterStale), UNKNOWN),
        ("stale after stale", stale(), stale(), AppendOutcome::Appended, NOT_RESET),
        ("same bounds", custom(&[1.0, 2.0]), custom(&[1.0, 2.0]), AppendOutcome::Appended, NOT_RESET),
        ("other bounds", custom(&[1.0, 2.0]), custom(&[1.0, 2.5]), cut(CustomBounds), RESET),
        ("bounds after schema", b(), Histogram { count: 13, ..custom(&[1.0]) }, cut(Schema), UNKNOWN),
    ];
    for (name, first, second, outcome, header) in cases {
        assert_eq!(follow(&first, &second), (outcome, header), "{name}");
    }
}

#[test]
fn buckets_that_come_and_go() {
    let with = |spans: &[(i32, u32)], deltas: &[i64]| Histogram {
        positive_spans: spans.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect(),
        positive_deltas: deltas.to_vec(),
        ..base()
    };
    let cut = AppendOutcome::NeedsNewChunk(CutReason::CounterReset);
    let cases = [
        ("a new bucket", base(), with(&[(0, 3), (1, 2)], &[1, 2, 0, 0, 1]), AppendOutcome::Recoded),
        ("a used bucket vanished", base(), with(&[(0, 2), (2, 1)], &[1, 2, 0]), cut),
        ("an unused bucket vanished", with(&[(0, 3)], &[1, 2, -3]), with(&[(0, 2)], &[1, 2]), AppendOutcome::Appended),
        ("both", with(&[(0, 3)], &[1, 2, -3]), with(&[(0, 2), (1, 1)], &[1, 2, 0]), AppendOutcome::Recoded),
        ("other spans, same buckets", base(), with(&[(0, 1), (0, 1), (2, 2)], &[1, 2, 0, 1]), AppendOutcome::Appended),
        ("gauges have both", gauge(base()), gauge(with(&[(9, 1)], &[5])), AppendOutcome::Recoded),
        ("gauges lose some", gauge(base()), gauge(with(&[(1, 1)], &[5])), AppendOutcome::Appended),
    ];
    for (name, first, second, outcome) in cases {
        assert_eq!(follow(&first, &second).0, outcome, "{name}");
    }
}

#[test]
fn an_unused_bucket_that_vanished_is_written_as_zero() {
    let mut appender = HistogramAppender::new();
    let first = Histogram { positive_spans: vec![Span { offset: 0, length: 3 }], positive_deltas: vec![1, 2, -3], ..base() };
    let second = Histogram {
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
        positive_deltas: vec![4, 1, 2],
        count: 20,
        ..base()
    };
    assert_eq!(appender.append(1, &first), AppendOutcome::Appended);
    assert_eq!(appender.append(2, &second), AppendOutcome::Recoded);
    let got = decode_histograms(ChunkEncoding::Histogram, appender.bytes()).expect("our own chunk");
    let buckets: Vec<_> = got.iter().map(|s| s.value.to_float().positive_buckets).collect();
    assert_eq!(buckets, [[1.0, 3.0, 0.0, 0.0], [4.0, 5.0, 0.0, 7.0]]);
    let HistogramValue::Int(h) = &got[1].value else { panic!("integer counts") };
    assert_eq!(h.positive_spans, [Span { offset: 0, length: 4 }]);
    assert_eq!(h.counter_reset_hint, CounterResetHint::NotReset);
}

#[test]
fn nonsense_is_refused() {
    let spans = |pairs: &[(i32, u32)]| pairs.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect();
    let cases = [
        (Histogram { positive_deltas: vec![1], ..base() }, ChunkError::Buckets { named: 4, given: 1 }),
        (Histogram { negative_deltas: vec![1], ..base() }, ChunkError::Buckets { named: 4, given: 5 }),
        (Histogram { positive_deltas: vec![1, 1, 1], negative_deltas: vec![1], ..base() }, ChunkError::Buckets { named: 4, given: 4 }),
        (Histogram { schema: 9, ..base() }, ChunkError::Schema(9)),
        (Histogram { schema: -5, ..base() }, ChunkError::Schema(-5)),
        (Histogram { positive_spans: spans(&[(0, 2), (-1, 2)]), ..base() }, ChunkError::Spans),
        (Histogram { positive_spans: spans(&[(i32::MAX, 4)]), ..base() }, ChunkError::Spans),
        (Histogram { positive_spans: spans(&[(0, u32::MAX), (0, u32::MAX)]), ..base() }, ChunkError::Spans),
        (Histogram { positive_spans: spans(&[(0, MAX_HISTOGRAM_BUCKETS + 1)]), ..base() }, ChunkError::TooManyBuckets),
        (Histogram { positive_spans: spans(&vec![(0, 0); MAX_HISTOGRAM_BUCKETS as usize + 1]), ..base() }, ChunkError::TooManyBuckets),
        (custom(&[]), ChunkError::Spans),
        (Histogram { negative_spans: spans(&[(0, 1)]), negative_deltas: vec![1], ..custom(&[1.0, 2.0]) }, ChunkError::Spans),
    ];
    for (h, error) in cases {
        assert_eq!(HistogramAppender::new().append(1, &h), AppendOutcome::Refused(error));
        assert_eq!(follow(&base(), &h).0, AppendOutcome::Refused(error));
    }
}

#[test]
fn layouts_together_are_limited_too() {
    let half = MAX_HISTOGRAM_BUCKETS / 2 + 1;
    let at = |offset| {
        gauge(Histogram { positive_spans: vec![Span { offset, length: half }], positive_deltas: vec![0; half as usize], ..base() })
    };
    assert_eq!(follow(&at(0), &at(100_000)).0, AppendOutcome::NeedsNewChunk(CutReason::TooManyBuckets));
    assert_eq!(follow(&at(0), &at(5)).0, AppendOutcome::Recoded);
}

#[test]
fn a_full_chunk_is_full() {
    let mut appender = HistogramAppender::new();
    let h = Histogram { positive_spans: vec![], positive_deltas: vec![], ..base() };
    for t in 0..i64::from(u16::MAX) {
        assert_eq!(appender.append(t, &h), AppendOutcome::Appended);
    }
    assert_eq!(appender.append(70_000, &h), AppendOutcome::NeedsNewChunk(CutReason::Full));
    assert_eq!(appender.append(70_000, &stale()), AppendOutcome::NeedsNewChunk(CutReason::Full));
    assert_eq!(appender.last_t(), Some(65_534));
    let mut count = 0;
    visit_histograms(ChunkEncoding::Histogram, appender.bytes(), |_| count += 1).expect("our own chunk");
    assert_eq!(count, 65_535);
}

#[test]
fn a_small_chunk_cannot_claim_much_memory() {
    // Spans of no buckets take six bits in the chunk, and eight bytes in each sample.
    let spans = vec![Span { offset: 0, length: 0 }; MAX_HISTOGRAM_BUCKETS as usize];
    let h = Histogram { positive_spans: spans, positive_deltas: vec![], ..base() };
    let mut appender = HistogramAppender::new();
    for t in 0..5000 {
        assert_eq!(appender.append(t, &h), AppendOutcome::Appended);
    }
    assert!(appender.bytes().len() < 20_000);
    assert_eq!(decode_histograms(ChunkEncoding::Histogram, appender.bytes()), Err(ChunkError::TooLarge));
    // And a span may say what it likes.
    let claim = [0, 1, 0, 0, 0b0_10_001_0_1, 0b1111_1110, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
    assert!(decode_histograms(ChunkEncoding::Histogram, &claim).is_err());
    assert_eq!(decode_histograms(ChunkEncoding::Xor, &claim), Err(ChunkError::NotHistograms));
}

#[test]
fn empty_chunks() {
    let appender = HistogramAppender::new();
    assert_eq!((appender.bytes(), appender.count(), appender.last_t()), (&[0, 0, 0][..], 0, None));
    assert_eq!(decode_histograms(ChunkEncoding::Histogram, &[0, 0, 0]), Ok(vec![]));
    assert_eq!(decode_histograms(ChunkEncoding::FloatHistogram, &[0, 0]), Err(ChunkError::Truncated));
    assert_eq!(HistogramAppender::resume(&[]).map(|a| a.finish()), Ok(vec![0, 0, 0]));
    assert_eq!(HistogramAppender::resume(&[0, 0, 0x80]).map(|a| a.finish()), Ok(vec![0, 0, 0x80]));
}
