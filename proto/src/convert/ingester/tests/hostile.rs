use bytes::Bytes;
use model::{BatchBuilder, Labels, Sample, WriteBatch};
use prost::Message;

use crate::convert::ingester::matcher::MAX_MATCHERS;
use crate::convert::ingester::*;
use crate::ingester as wire;

/// Two series of one sample each.
fn honest() -> wire::PushRequest {
    push_to_wire(&batch(), None, true)
}

fn batch() -> WriteBatch {
    let mut builder = BatchBuilder::new(Bytes::new());
    for name in ["a", "b"] {
        let labels = Labels::from_pairs([("__name__", name), ("job", "x")]);
        builder.sample(Sample { t: 1_000, v: 1.0 });
        builder.end_series_with(labels.hash(), labels.as_block());
    }
    builder.finish()
}

fn refusal(change: impl FnOnce(&mut wire::PushRequest)) -> String {
    let mut message = honest();
    change(&mut message);
    push_from_wire(message).unwrap_err().to_string()
}

#[track_caller]
fn refused(because: &str, change: impl FnOnce(&mut wire::PushRequest)) {
    let why = refusal(change);
    assert!(why.contains(because), "refused because {why:?}, not {because:?}");
}

fn histogram(series: u32, change: impl FnOnce(&mut wire::Histogram)) -> Bytes {
    let mut histogram = wire::Histogram { timestamp: 1_700_000_000_000, schema: 3, sum: 1.0, ..wire::Histogram::default() };
    change(&mut histogram);
    Bytes::from(wire::SeriesHistogram { series, histogram: Some(histogram) }.encode_to_vec())
}

#[test]
fn the_honest_message_is_taken() {
    assert_eq!(push_from_wire(honest()).unwrap().series.len(), 2);
}

#[test]
fn lengths_and_counts_must_add_up() {
    refused("add up to", |m| m.label_block_lengths[0] -= 1);
    refused("add up to", |m| m.label_block_lengths[0] = u32::MAX);
    refused("add up to", |m| m.label_block_lengths = vec![u32::MAX; 100_000]);
    refused("add up to", |m| m.label_blocks = Bytes::new());
    refused("add up to", |m| m.label_block_lengths.clear());
    refused("2 timestamps for 1 values", |m| m.values.truncate(1));
    refused("1 timestamps for 2 values", |m| m.timestamp_deltas.truncate(1));
    refused("1 sample counts for 2 series", |m| m.sample_counts = vec![2]);
    refused("have 3 samples together", |m| m.sample_counts = vec![1, 2]);
    refused("have 8589934590 samples together", |m| m.sample_counts = vec![u32::MAX, u32::MAX]);
    refused("have 2 samples together", |m| {
        m.values.push(1.0);
        m.timestamp_deltas.push(0);
    });
}

#[test]
fn every_series_has_labels() {
    refused("series 1 has no labels", |m| {
        m.label_block_lengths.insert(1, 0);
        m.sample_counts = vec![1, 0, 1];
    });
}

#[test]
fn identity_is_computed_here() {
    let got = push_from_wire(honest()).unwrap();
    let hashes = |batch: &WriteBatch| batch.series.iter().map(|s| s.hash).collect::<Vec<_>>();
    assert_eq!(hashes(&got), hashes(&batch()));
    let mut other = honest();
    other.label_blocks = other.label_blocks.iter().map(|b| if *b == b'x' { b'y' } else { *b }).collect();
    assert_ne!(hashes(&push_from_wire(other).unwrap()), hashes(&batch()));
}

#[test]
fn histograms_and_exemplars_must_belong_somewhere() {
    refused("out of order or of a series that is not", |m| m.histograms = vec![histogram(2, |_| {})]);
    refused("out of order or of a series that is not", |m| m.histograms = vec![histogram(u32::MAX, |_| {})]);
    refused("out of order or of a series that is not", |m| m.histograms = vec![histogram(1, |_| {}), histogram(0, |_| {})]);
    let exemplar = |series| wire::SeriesExemplar { series, exemplar: Some(wire::Exemplar::default()) };
    refused("out of order or of a series that is not", |m| m.exemplars = vec![exemplar(9)]);
    refused("out of order or of a series that is not", |m| m.exemplars = vec![exemplar(1), exemplar(0)]);
    refused("series 0: empty exemplar entry", |m| m.exemplars = vec![wire::SeriesExemplar::default()]);
    refused("series 0: empty histogram entry", |m| m.histograms = vec![Bytes::new()]);
    refused("a histogram of series 0", |m| m.histograms = vec![Bytes::from_static(&[0x12, 0x7f, 1])]);
    refused("label block is not canonical", |m| {
        let bad = wire::Exemplar { labels: Bytes::from_static(b"\x0a\x7f"), ..wire::Exemplar::default() };
        m.exemplars = vec![wire::SeriesExemplar { series: 0, exemplar: Some(bad) }];
    });
}

#[test]
fn what_the_model_cannot_express_is_refused() {
    refused("unknown counter reset hint 4", |m| m.histograms = vec![histogram(0, |h| h.counter_reset_hint = 4)]);
    refused("span without a length", |m| m.histograms = vec![histogram(0, |h| h.positive_spans = vec![1, 2, 3])]);
    refused("out of range", |m| m.histograms = vec![histogram(0, |h| h.negative_spans = vec![1 << 40, 2])]);
    refused("out of range", |m| m.histograms = vec![histogram(0, |h| h.negative_spans = vec![1, -2])]);
}

#[test]
fn histograms_may_not_grow_out_of_proportion() {
    let empty = Bytes::from_static(&[0x12, 0]);
    refused("out of proportion", |m| m.histograms = vec![empty; 100_000]);
    let big = |_| histogram(0, |h| h.positive_deltas = vec![1; 160]);
    let mut message = honest();
    message.histograms = (0..10_000).map(big).collect();
    assert_eq!(push_from_wire(message).unwrap().histograms.len(), 10_000);
}

#[test]
fn answers_are_checked_too() {
    let chunk = |encoding, min_t, length_ms| wire::Series {
        labels: Bytes::new(),
        chunks: vec![wire::Chunk { encoding, min_t, length_ms, data: Bytes::new() }],
        hash: Bytes::new(),
        newest: None,
    };
    for encoding in [0, 4, 257, u32::MAX] {
        assert!(chunks_from_wire(chunk(encoding, 0, 0)).unwrap_err().0.contains("unknown chunk encoding"));
    }
    assert!(chunks_from_wire(chunk(1, 1, i64::MAX as u64)).unwrap_err().0.contains("end of time"));
    assert!(chunks_from_wire(chunk(1, i64::MIN, u64::MAX)).is_ok());
    let short = wire::Series { hash: Bytes::from_static(&[1; 15]), ..chunk(1, 0, 0) };
    assert!(chunks_from_wire(short).unwrap_err().0.contains("16 bytes"));
    let report = |series, reason: &str| wire::PushResponse {
        rejected: vec![wire::RejectedSeries { series, reason: reason.to_owned(), ..wire::RejectedSeries::default() }],
        ..wire::PushResponse::default()
    };
    assert!(report_from_wire(report(2, "out_of_order"), None, 2).is_err());
    assert!(report_from_wire(report(1, "out_of_order"), Some(&[7]), 9).is_err());
    assert!(report_from_wire(report(0, "bad_mood"), None, 1).is_err());
}

#[test]
fn matchers_are_bounded_and_checked() {
    let matcher = |op, value: &str| wire::Matcher { op, name: "a".to_owned(), value: value.to_owned() };
    assert!(matchers_from_wire(&[matcher(4, "")]).unwrap_err().0.contains("unknown matcher operation 4"));
    assert!(matchers_from_wire(&[matcher(2, "(")]).unwrap_err().0.contains("error parsing regexp"));
    assert!(matchers_from_wire(&[matcher(2, "((a{1,500}){1,500}){1,500}")]).unwrap_err().0.contains("error parsing regexp"));
    let large = matcher(2, "[a-z]{1,1000}x");
    assert!(matchers_from_wire(std::slice::from_ref(&large)).is_ok());
    assert!(matchers_from_wire(&vec![large; MAX_MATCHERS]).unwrap_err().0.contains("too large together"));
    assert!(matchers_from_wire(&vec![matcher(0, "x"); MAX_MATCHERS + 1]).is_err());
    assert!(selectors_from_wire(&vec![wire::Matchers::default(); MAX_MATCHERS + 1]).is_err());
}
