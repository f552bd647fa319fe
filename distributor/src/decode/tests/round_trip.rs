//! What a sender encodes is what is in the batch.

use model::{Metadata, MetricType};
use prost::Message;

use super::messages::{Content, content, v1, v2};
use super::*;
use crate::validate::metadata::family_of;

/// Whether floats inside are the same bits.
fn same_debug<T: std::fmt::Debug>(a: &[T], b: &[T]) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

fn check(content: &Content, decoded: &Decoded) -> Result<(), TestCaseError> {
    let batch = &decoded.batch;
    prop_assert!(decoded.refusals.is_empty(), "{:?}", decoded.refusals);
    prop_assert_eq!(batch.series.len(), content.series.len());
    for (got, want) in batch.series.iter().zip(&content.series) {
        prop_assert_eq!(batch.labels(got).to_labels(), want.labels.clone());
        prop_assert_eq!(got.hash, want.labels.hash());
        prop_assert_eq!(batch.samples_of(got), &want.samples[..]);
        prop_assert_eq!(batch.histograms_of(got), &want.histograms[..]);
        prop_assert!(same_debug(batch.exemplars_of(got), &want.exemplars));
    }
    let samples: usize = content.series.iter().map(|s| s.samples.len()).sum();
    prop_assert_eq!(decoded.received.samples, samples as u64);
    Ok(())
}

/// Moves the fields of a message about: protobuf does not care.
fn shuffled(message: &[u8], swap: usize) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut walker = super::super::wire::Walker::new(message);
    let mut start = 0;
    while let Ok(Some(head)) = walker.field() {
        walker.skip(head).unwrap();
        fields.push(message[start..walker.at()].to_vec());
        start = walker.at();
    }
    if !fields.is_empty() {
        let by = swap % fields.len();
        fields.rotate_left(by);
    }
    fields.concat()
}

proptest! {
    #[test]
    fn version_1(content in content()) {
        let body = v1(&content).encode_to_vec();
        let known = KnownSeries::new(1 << 12, 1);
        for pass in 0..2 {
            let decoded = decode_with(Protocol::V1, &body, &Limits::default(), &known).unwrap();
            check(&content, &decoded)?;
            prop_assert_eq!(&decoded.batch.metadata, &content.metadata);
            if pass == 1 {
                prop_assert_eq!((decoded.known_series, decoded.new_series), (content.series.len() as u64, 0));
            }
        }
    }

    #[test]
    fn version_2(content in content()) {
        let body = v2(&content).encode_to_vec();
        let known = KnownSeries::new(1 << 12, 1);
        for pass in 0..2 {
            let decoded = decode_with(Protocol::V2, &body, &Limits::default(), &known).unwrap();
            check(&content, &decoded)?;
            if pass == 1 {
                prop_assert_eq!((decoded.known_series, decoded.new_series), (content.series.len() as u64, 0));
            }
            let mut want: Vec<Metadata> = Vec::new();
            for (series, sent) in content.series.iter().zip(&content.metadata) {
                let family = family_of(series.labels.get("__name__").unwrap(), sent.metric_type).to_owned();
                let metadata = Metadata { family, ..sent.clone() };
                let says_nothing = sent.metric_type == MetricType::Unknown && sent.help.is_empty() && sent.unit.is_empty();
                if !says_nothing && !want.contains(&metadata) {
                    want.push(metadata);
                }
            }
            prop_assert_eq!(&decoded.batch.metadata, &want);
        }
    }

    #[test]
    fn fields_in_any_order(content in content(), swap in 0_usize..50) {
        let mut body = Vec::new();
        for s in v1(&content).timeseries {
            body.extend(field(1, &shuffled(&s.encode_to_vec(), swap)));
        }
        let decoded = decode_once(Protocol::V1, &body).unwrap();
        prop_assert_eq!(decoded.received.exemplars, content.series.iter().map(|s| s.exemplars.len() as u64).sum::<u64>());
        prop_assert!(decoded.refusals.is_empty());
        for (got, want) in decoded.batch.series.iter().zip(&content.series) {
            prop_assert_eq!(got.hash, want.labels.hash());
            prop_assert_eq!(decoded.batch.samples_of(got).len(), want.samples.len());
        }
        let request = v2(&content);
        let mut body = Vec::new();
        for s in &request.timeseries {
            body.extend(field(5, &shuffled(&s.encode_to_vec(), swap)));
        }
        // The table comes last.
        for symbol in &request.symbols {
            body.extend(field(4, symbol.as_bytes()));
        }
        let decoded = decode_once(Protocol::V2, &body).unwrap();
        prop_assert!(decoded.refusals.is_empty());
        for (got, want) in decoded.batch.series.iter().zip(&content.series) {
            prop_assert_eq!(got.hash, want.labels.hash());
        }
    }

    #[test]
    fn label_order_does_not_matter(content in content(), swap in 0_usize..7) {
        let mut request = v1(&content);
        for s in &mut request.timeseries {
            let by = swap % s.labels.len();
            s.labels.rotate_left(by);
            s.labels.push(proto::remote_write_v1::Label { name: "none".into(), value: String::new() });
        }
        check(&content, &decode_once(Protocol::V1, &request.encode_to_vec()).unwrap())?;
        let mut request = v2(&content);
        for s in &mut request.timeseries {
            let by = 2 * (swap % (s.labels_refs.len() / 2));
            s.labels_refs.rotate_left(by);
        }
        check(&content, &decode_once(Protocol::V2, &request.encode_to_vec()).unwrap())?;
    }
}

#[test]
fn more_series_than_a_run() {
    let body: Vec<u8> = (0..1_000).flat_map(|i| series(&[metric(&format!("m{i}")), sample(1)])).collect();
    let decoded = decode_once(Protocol::V1, &body).unwrap();
    assert_eq!(decoded.batch.series.len(), 1_000);
    assert_eq!(written(&decoded.batch)[999], ("{__name__=\"m999\"}".to_owned(), 1));
}

#[test]
fn labels_in_two_places_are_one_set() {
    let body = series(&[metric("up"), sample(1), label(b"a", b"1"), sample(2)]);
    let decoded = decode_once(Protocol::V1, &body).unwrap();
    assert_eq!(written(&decoded.batch), [("{__name__=\"up\", a=\"1\"}".to_owned(), 2)]);
}

#[test]
fn tighter_limits_are_seen_at_once() {
    let body = series(&[metric("up"), label(b"a", b"12345678"), sample(1)]);
    let known = KnownSeries::new(1 << 12, 1);
    let tight = Limits { max_label_value_length: 4, ..Limits::default() };
    assert!(decode_with(Protocol::V1, &body, &Limits::default(), &known).unwrap().refusals.is_empty());
    let decoded = decode_with(Protocol::V1, &body, &tight, &known).unwrap();
    assert_eq!(refused(&decoded), [(RejectReason::LabelValueTooLong, 1)]);
}
