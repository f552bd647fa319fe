use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{ChunkEncoding, CounterResetHint, FloatHistogram, Histogram, HistogramSample, HistogramValue, Span, stale_nan};
use proptest::prelude::*;

use super::super::{AppendOutcome, FloatHistogramAppender, HistogramAppender, decode_histograms};
use super::golden::used;

/// One step of a series: how the next histogram comes from the one before.
#[derive(Debug, Clone)]
enum Step {
    /// Counts grow by these.
    Grow(Vec<u8>),
    /// Counts become these.
    Set(Vec<u16>),
    /// The buckets become these.
    Spans(Vec<(u8, u8)>),
    Stale,
    Schema(i8),
    Threshold(f64),
    Hint(u8),
    Bounds(Vec<u16>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let spans = || proptest::collection::vec((0_u8..5, 0_u8..4), 0..4);
    let step = prop_oneof![
        8 => proptest::collection::vec(0_u8..20, 1..8).prop_map(Step::Grow),
        1 => proptest::collection::vec(any::<u16>(), 1..8).prop_map(Step::Set),
        3 => spans().prop_map(Step::Spans),
        1 => Just(Step::Stale),
        1 => (-4_i8..9).prop_map(Step::Schema),
        1 => proptest::sample::select(vec![0.0, 0.001, 0.5, 1e-300]).prop_map(Step::Threshold),
        1 => (0_u8..4).prop_map(Step::Hint),
        1 => proptest::collection::vec(1_u16..1000, 30..40).prop_map(Step::Bounds),
    ];
    proptest::collection::vec(step, 0..40)
}

/// Makes histograms of steps. Buckets keep their counts by index, so that most histograms are a counter's next.
fn histograms(steps: &[Step]) -> Vec<Histogram> {
    let mut h = Histogram { positive_spans: vec![Span { offset: 1, length: 3 }], ..Histogram::default() };
    let mut counts = vec![0_u64; 64];
    let mut out = Vec::new();
    for step in steps {
        h.counter_reset_hint =
            if h.counter_reset_hint == CounterResetHint::Gauge { h.counter_reset_hint } else { CounterResetHint::Unknown };
        let mut sum = h.sum + 0.1;
        match step {
            Step::Grow(by) => counts.iter_mut().zip(by.iter().cycle()).for_each(|(count, by)| *count += u64::from(*by)),
            Step::Set(to) => counts.iter_mut().zip(to.iter().cycle()).for_each(|(count, to)| *count = u64::from(*to)),
            Step::Spans(spans) => {
                h.positive_spans =
                    spans.iter().map(|(offset, length)| Span { offset: (*offset).into(), length: (*length).into() }).collect();
                h.negative_spans =
                    if h.schema == CUSTOM_BUCKETS_SCHEMA { Vec::new() } else { h.positive_spans.iter().rev().copied().collect() };
            }
            Step::Stale => sum = stale_nan(),
            Step::Schema(schema) => {
                h.schema = (*schema).into();
                h.custom_values.clear();
            }
            Step::Threshold(threshold) => h.zero_threshold = *threshold,
            Step::Hint(hint) => {
                h.counter_reset_hint =
                    [CounterResetHint::Unknown, CounterResetHint::Reset, CounterResetHint::NotReset, CounterResetHint::Gauge]
                        [usize::from(*hint)];
            }
            Step::Bounds(gaps) => {
                h.schema = CUSTOM_BUCKETS_SCHEMA;
                h.negative_spans.clear();
                h.custom_values = gaps
                    .iter()
                    .scan(0, |at, gap| {
                        *at += u32::from(*gap);
                        Some(f64::from(*at) / 300.0)
                    })
                    .collect();
            }
        }
        h.positive_deltas = deltas(&h.positive_spans, &counts);
        h.negative_deltas = deltas(&h.negative_spans, &counts);
        h.zero_count = counts[63];
        h.count = counts.iter().sum();
        out.push(Histogram { sum, ..h.clone() });
        if !sum.is_nan() {
            h.sum = sum;
        }
    }
    out
}

fn deltas(spans: &[Span], counts: &[u64]) -> Vec<i64> {
    let mut at = 0;
    let mut last = 0;
    let mut out = Vec::new();
    for span in spans {
        at += span.offset as usize;
        for _ in 0..span.length {
            let count = counts[at % 63] as i64;
            out.push(count - last);
            last = count;
            at += 1;
        }
    }
    out
}

/// The parts of an appender that both kinds have.
trait Appends: Sized {
    type H;
    const ENCODING: ChunkEncoding;
    fn new() -> Self;
    fn successor(&self, h: &Self::H) -> Self;
    fn append(&mut self, t: i64, h: &Self::H) -> AppendOutcome;
    fn bytes(&self) -> &[u8];
    fn resumed(bytes: &[u8]) -> Self;
    fn value(h: &Self::H) -> HistogramValue;
}

macro_rules! appends {
    ($appender:ident, $histogram:ident, $encoding:ident, $value:ident) => {
        impl Appends for $appender {
            type H = $histogram;
            const ENCODING: ChunkEncoding = ChunkEncoding::$encoding;
            fn new() -> Self {
                $appender::new()
            }
            fn successor(&self, h: &Self::H) -> Self {
                self.successor(h)
            }
            fn append(&mut self, t: i64, h: &Self::H) -> AppendOutcome {
                self.append(t, h)
            }
            fn bytes(&self) -> &[u8] {
                self.bytes()
            }
            fn resumed(bytes: &[u8]) -> Self {
                $appender::resume(bytes).expect("our own chunk")
            }
            fn value(h: &Self::H) -> HistogramValue {
                HistogramValue::$value(Box::new(h.clone()))
            }
        }
    };
}

appends!(HistogramAppender, Histogram, Histogram, Int);
appends!(FloatHistogramAppender, FloatHistogram, FloatHistogram, Float);

/// Writes a series into chunks; with `resume`, through a new appender at every sample.
fn encode<A: Appends>(samples: &[(i64, A::H)], resume: bool) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut appender = A::new();
    for (t, h) in samples {
        if resume {
            appender = A::resumed(appender.bytes());
        }
        match appender.append(*t, h) {
            AppendOutcome::Appended | AppendOutcome::Recoded => {}
            AppendOutcome::NeedsNewChunk(_) => {
                chunks.push(appender.bytes().to_vec());
                appender = appender.successor(h);
                assert_eq!(appender.append(*t, h), AppendOutcome::Appended);
            }
            AppendOutcome::Refused(e) => panic!("{e}"),
        }
    }
    chunks.push(appender.bytes().to_vec());
    chunks
}

fn check<A: Appends>(samples: &[(i64, A::H)]) {
    let chunks = encode::<A>(samples, false);
    assert_eq!(chunks, encode::<A>(samples, true));
    let got: Vec<HistogramSample> = chunks.iter().flat_map(|chunk| decode_histograms(A::ENCODING, chunk).expect("our own chunk")).collect();
    assert_eq!(got.len(), samples.len());
    let mut last = None;
    for (got, (t, h)) in got.iter().zip(samples) {
        assert_eq!(got.t, *t);
        let sent = A::value(h);
        assert_eq!(got.value.sum().to_bits(), sent.sum().to_bits());
        if sent.is_stale() {
            assert!(got.value.to_float().positive_spans.is_empty());
        } else {
            same(&sent.to_float(), &got.value.to_float(), last.as_ref());
        }
        last = Some(got.value.to_float());
    }
    for chunk in &chunks {
        for end in 0..chunk.len() {
            assert!(decode_histograms(A::ENCODING, &chunk[..end]).is_err() || chunk[..2] == [0, 0]);
        }
    }
}

fn same(sent: &FloatHistogram, got: &FloatHistogram, last: Option<&FloatHistogram>) {
    assert_eq!((sent.count, sent.zero_count), (got.count, got.zero_count));
    assert_eq!((sent.schema, sent.zero_threshold, &sent.custom_values), (got.schema, got.zero_threshold, &got.custom_values));
    assert_eq!(used(&sent.positive_spans, &sent.positive_buckets), used(&got.positive_spans, &got.positive_buckets));
    assert_eq!(used(&sent.negative_spans, &sent.negative_buckets), used(&got.negative_spans, &got.negative_buckets));
    let gauge = sent.counter_reset_hint == CounterResetHint::Gauge;
    assert_eq!(gauge, got.counter_reset_hint == CounterResetHint::Gauge);
    // "No reset" is a promise that queries rely on.
    if let (CounterResetHint::NotReset, Some(last)) = (got.counter_reset_hint, last) {
        assert!(got.count >= last.count && got.zero_count >= last.zero_count);
        assert!(got.positive_buckets.iter().zip(&last.positive_buckets).all(|(now, then)| now >= then));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn round_trip(steps in steps(), gaps in proptest::collection::vec(prop_oneof![Just(15_000_i64), 1_i64..1_000_000, any::<i64>()], 40)) {
        let mut t = 1_700_000_000_000_i64;
        let samples: Vec<_> = histograms(&steps)
            .into_iter()
            .zip(gaps)
            .map(|(h, gap)| {
                t = t.wrapping_add(gap);
                (t, h)
            })
            .collect();
        check::<HistogramAppender>(&samples);
        let floats: Vec<_> = samples.iter().map(|(t, h)| (*t, h.to_float())).collect();
        check::<FloatHistogramAppender>(&floats);
    }

    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), float in any::<bool>()) {
        survive(&data, float);
    }

    #[test]
    fn layouts_of_any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..100), float in any::<bool>(), count in 0_u8..9) {
        // A sound beginning, so that more than the first bits are read: no zero threshold, schema 1, and some spans.
        let mut chunk = vec![0, count, 0, 0, 0b10_001_10_0];
        chunk.extend(data);
        survive(&chunk, float);
    }

    #[test]
    fn mutated_chunks_are_survived(
        steps in steps(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..6),
        float in any::<bool>(),
    ) {
        let samples: Vec<_> = (0..).step_by(15_000).zip(histograms(&steps)).collect();
        let chunks = if float {
            let floats: Vec<_> = samples.iter().map(|(t, h)| (*t, h.to_float())).collect();
            encode::<FloatHistogramAppender>(&floats, false)
        } else {
            encode::<HistogramAppender>(&samples, false)
        };
        for mut chunk in chunks {
            for (at, bit) in &flips {
                let at = at.index(chunk.len());
                chunk[at] ^= 1 << bit;
            }
            survive(&chunk, float);
        }
    }
}

/// Reads bytes and goes on with them if they are a chunk.
fn survive(data: &[u8], float: bool) {
    let h = histograms(&[Step::Grow(vec![3])]).remove(0);
    if float {
        let _ = decode_histograms(ChunkEncoding::FloatHistogram, data);
        if let Ok(mut appender) = FloatHistogramAppender::resume(data) {
            let count = appender.count();
            let outcome = appender.append(0, &h.to_float());
            assert_eq!(appender.count() > count, matches!(outcome, AppendOutcome::Appended | AppendOutcome::Recoded));
            assert!(decode_histograms(ChunkEncoding::FloatHistogram, appender.bytes()).is_ok());
        }
    } else {
        let _ = decode_histograms(ChunkEncoding::Histogram, data);
        if let Ok(mut appender) = HistogramAppender::resume(data) {
            let count = appender.count();
            let outcome = appender.append(0, &h);
            assert_eq!(appender.count() > count, matches!(outcome, AppendOutcome::Appended | AppendOutcome::Recoded));
            assert!(decode_histograms(ChunkEncoding::Histogram, appender.bytes()).is_ok());
        }
    }
}
