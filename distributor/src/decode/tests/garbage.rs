//! Bodies that no honest sender writes.

use prost::Message;

use super::messages::{content, v1, v2};
use super::*;
use crate::decode::WireFault;

/// A bad series between two good ones: the verdict on it, and that the good ones are kept.
fn between_good(bad: &[Vec<u8>]) -> Vec<(RejectReason, u64)> {
    let good = |name| series(&[metric(name), sample(1)]);
    let body = [good("first"), series(bad), good("last")].concat();
    let decoded = decode_once(Protocol::V1, &body).unwrap();
    let names: Vec<String> = written(&decoded.batch).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.first().map(String::as_str), Some("{__name__=\"first\"}"));
    assert_eq!(names.last().map(String::as_str), Some("{__name__=\"last\"}"));
    assert_eq!(names.len() + decoded.refusals.by_reason().count(), 3);
    refused(&decoded)
}

#[test]
fn bad_labels_cost_only_their_series() {
    use RejectReason::{
        DuplicateLabelName, InvalidLabelName, InvalidUtf8, LabelNameTooLong, LabelValueTooLong, MissingMetricName, TooManyLabels,
    };
    let many: Vec<Vec<u8>> = (0..50).map(|i| label(format!("l{i:02}").as_bytes(), b"x")).chain([metric("up"), sample(1)]).collect();
    let cases: Vec<(Vec<Vec<u8>>, Option<RejectReason>)> = vec![
        (vec![label(b"b", b"1"), label(b"a", b"1"), metric("up"), sample(1)], None),
        (vec![metric("up"), label(b"a", b"1"), label(b"a", b"2"), sample(1), sample(2)], Some(DuplicateLabelName)),
        (vec![label(b"a", b"1"), metric("up"), label(b"a", b"1"), sample(1), sample(2)], Some(DuplicateLabelName)),
        (vec![metric("up"), label(b"", b"1"), sample(1), sample(2)], Some(InvalidLabelName)),
        (vec![metric("up"), label(b"", b""), sample(1), sample(2)], Some(InvalidLabelName)),
        (vec![metric("up"), label(b"a", b"\xff\xfe"), sample(1), sample(2)], Some(InvalidUtf8)),
        (vec![metric("up"), label(b"\xc3\x28", b"x"), sample(1), sample(2)], Some(InvalidUtf8)),
        (vec![label(b"a", b"1"), sample(1), sample(2)], Some(MissingMetricName)),
        (vec![metric(""), sample(1), sample(2)], Some(MissingMetricName)),
        (vec![sample(1), sample(2)], Some(MissingMetricName)),
        (vec![metric("up"), label(&[b'n'; 1025], b"1"), sample(1), sample(2)], Some(LabelNameTooLong)),
        (vec![metric("up"), label(b"a", &[b'v'; 2049]), sample(1), sample(2)], Some(LabelValueTooLong)),
        ([many, vec![sample(2)]].concat(), Some(TooManyLabels)),
    ];
    for (bad, reason) in cases {
        let want: Vec<(RejectReason, u64)> = reason.into_iter().map(|reason| (reason, 2)).collect();
        assert_eq!(between_good(&bad), want, "{bad:x?}");
    }
}

#[test]
fn utf8_names_newlines_and_spaces_are_fine() {
    let decoded =
        decode_once(Protocol::V1, &series(&[metric("a metric.with\nall"), label("ключ".as_bytes(), b"a \"b\""), sample(1)])).unwrap();
    assert_eq!(written(&decoded.batch).len(), 1);
}

#[test]
fn a_series_without_samples_is_no_fault_in_version_1() {
    let decoded = decode_once(Protocol::V1, &series(&[metric("up")])).unwrap();
    assert!(decoded.refusals.is_empty() && decoded.batch.series.is_empty());
}

#[test]
fn a_bad_histogram_or_exemplar_costs_only_itself() {
    let histogram = field(4, &[0x08, 5]);
    let exemplar = field(3, &label(b"trace", &[b'x'; 200]));
    let decoded = decode_once(Protocol::V1, &series(&[metric("up"), sample(1), histogram, exemplar])).unwrap();
    assert_eq!(written(&decoded.batch), [("{__name__=\"up\"}".to_owned(), 1)]);
    let refusals: Vec<_> = decoded.refusals.by_reason().collect();
    assert_eq!(refusals.len(), 2, "{refusals:?}");
    assert!(refusals.iter().any(|(r, c)| *r == RejectReason::InvalidHistogram && c.histograms == 1));
    assert!(refusals.iter().any(|(r, c)| *r == RejectReason::ExemplarLabelsTooLong && c.exemplars == 1));
    assert_eq!(decoded.refusals.told()[0].series, "{__name__=\"up\"}");
}

#[test]
fn lying_lengths_and_foreign_types_are_malformed() {
    let cases: Vec<(Vec<u8>, usize, WireFault)> = vec![
        (vec![0x0a, 0x7f, 0x0a], 1, WireFault::Length(127)),
        (vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], 1, WireFault::Length(u64::MAX)),
        // The label says it is longer than its series.
        (field(1, &[0x0a, 0x40, 0x0a]), 3, WireFault::Length(64)),
        // The name says it is longer than its label; found when the labels are split.
        (series(&[field(1, &[0x0a, 0x09, b'a']), sample(1)]), 5, WireFault::Length(9)),
        (series(&[metric("up"), vec![0x12, 0x20, 0x09]]), 19, WireFault::Length(32)),
        (series(&[metric("up"), vec![0x12, 0x01, 0x09]]), 21, WireFault::Truncated),
        (series(&[metric("up"), vec![0x10, 0x01]]), 19, WireFault::Mismatch(2)),
        (vec![0x0b, 0x0c], 0, WireFault::WireType(3)),
        (vec![0x0f], 0, WireFault::WireType(7)),
        (vec![0x02, 0x00], 0, WireFault::FieldNumber(0)),
        (vec![0x80], 0, WireFault::Truncated),
        (vec![0xff; 20], 0, WireFault::Varint),
    ];
    for (body, offset, fault) in cases {
        let error = decode_once(Protocol::V1, &body).map(|d| d.received);
        let want = super::super::WireError { offset, fault };
        assert_eq!(error, Err(RequestError::Malformed(want)), "{body:x?}");
    }
}

#[test]
fn short_encodings_of_large_things_are_bounded() {
    // Two bytes each: empty histograms, samples, series, metadata, exemplars.
    for two in [[0x22, 0x00], [0x12, 0x00], [0x1a, 0x00]] {
        let body = series(&[metric("up"), two.repeat(2 << 20)]);
        let result = decode_once(Protocol::V1, &body);
        assert!(
            matches!(result, Err(RequestError::TooLarge { setting: "max_batch_bytes", .. })),
            "{two:x?} {:?}",
            result.map(|d| d.received)
        );
    }
    // Nothing but the counting of series and metadata that hold nothing.
    for two in [[0x0a, 0x00], [0x1a, 0x00]] {
        assert!(decode_once(Protocol::V1, &two.repeat(2 << 20)).unwrap().batch.is_empty());
    }
    // A packed field of deltas: eight bytes for one.
    let deltas = field(4, &field(12, &vec![0; 4 << 20]));
    let result = decode_once(Protocol::V1, &series(&[metric("up"), deltas]));
    assert!(matches!(result, Err(RequestError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn random_bytes_are_survived(body in any_bytes(300)) {
        for protocol in [Protocol::V1, Protocol::V2] {
            if let Ok(decoded) = decode_once(protocol, &body) {
                written(&decoded.batch);
            }
        }
    }

    #[test]
    fn mutated_requests_are_survived(content in content(), flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6), cut in any::<usize>()) {
        for (protocol, mut body) in [(Protocol::V1, v1(&content).encode_to_vec()), (Protocol::V2, v2(&content).encode_to_vec())] {
            if body.is_empty() { continue; }
            for (at, byte) in &flips {
                let at = at % body.len();
                body[at] = *byte;
            }
            for body in [&body[..], &body[..cut % body.len()]] {
                // The second time with what the first one learned.
                let known = KnownSeries::new(1 << 12, 1);
                for _ in 0..2 {
                    if let Ok(decoded) = decode_with(protocol, body, &Limits::default(), &known) {
                        written(&decoded.batch);
                        let kept: usize = decoded.batch.samples.len();
                        prop_assert_eq!(kept as u64 + decoded.refusals.total().samples, decoded.received.samples);
                    }
                }
            }
        }
    }
}
