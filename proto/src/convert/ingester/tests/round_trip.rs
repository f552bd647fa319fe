use std::sync::Arc;

use bytes::Bytes;
use model::{BatchSeries, Chunk, ChunkEncoding, Matcher, PushReport, RejectReason, RejectedSeries, SeriesChunks, WriteBatch};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::arbitrary;
use crate::convert::ingester::*;
use crate::ingester as wire;

/// Through bytes, as between two processes.
fn over_the_wire<M: Message + Default>(message: &M) -> M {
    M::decode(Bytes::from(message.encode_to_vec())).unwrap()
}

/// A text in which floats are bits, so that NaNs compare.
fn describe(batch: &WriteBatch, series: &BatchSeries) -> String {
    let samples: Vec<_> = batch.samples_of(series).iter().map(|s| (s.t, s.v.to_bits())).collect();
    let histograms: Vec<_> = batch.histograms_of(series).iter().map(histogram_to_bytes).collect();
    let exemplars: Vec<_> = batch.exemplars_of(series).iter().map(|e| (e.labels.clone(), e.value.to_bits(), e.t)).collect();
    format!("{:?} {:?} {samples:?} {histograms:?} {exemplars:?}", series.hash, batch.labels(series))
}

/// The encoding, in which every float is its bits.
fn histogram_to_bytes(sample: &model::HistogramSample) -> Vec<u8> {
    histogram::histogram_to_wire(sample).encode_to_vec()
}

proptest! {
    #[test]
    fn whole_batches(batch in arbitrary::batch()) {
        let message = over_the_wire(&push_to_wire(&batch, None, true));
        let got = push_from_wire(message).unwrap();
        prop_assert_eq!(got.series.len(), batch.series.len());
        for (ours, theirs) in batch.series.iter().zip(&got.series) {
            prop_assert_eq!(describe(&batch, ours), describe(&got, theirs));
        }
        prop_assert_eq!(&got.metadata, &batch.metadata);
    }

    #[test]
    fn parts_of_batches(batch in arbitrary::batch(), mask in any::<u8>()) {
        let indices: Vec<u32> = (0..batch.series.len() as u32).filter(|i| mask & (1 << i) != 0).collect();
        let message = over_the_wire(&push_to_wire(&batch, Some(&indices), false));
        let got = push_from_wire(message).unwrap();
        prop_assert_eq!(got.series.len(), indices.len());
        for (index, theirs) in indices.iter().zip(&got.series) {
            prop_assert_eq!(describe(&batch, &batch.series[*index as usize]), describe(&got, theirs));
        }
        prop_assert!(got.metadata.is_empty());
    }

    #[test]
    fn batches_by_hash(batch in arbitrary::batch(), mask in any::<u8>()) {
        let indices: Vec<u32> = (0..batch.series.len() as u32).filter(|i| mask & (1 << i) != 0).collect();
        let message = over_the_wire(&push_by_hash_to_wire(&batch, Some(&indices), true));
        prop_assert!(message.label_blocks.is_empty());
        let got = push_from_wire(message).unwrap();
        prop_assert_eq!(got.series.len(), indices.len());
        prop_assert!(got.is_by_hash() || indices.is_empty());
        for (index, theirs) in indices.iter().zip(&got.series) {
            let ours = &batch.series[*index as usize];
            prop_assert_eq!(ours.hash, theirs.hash);
            prop_assert!(got.labels(theirs).as_bytes().is_empty());
            let bits = |batch: &WriteBatch, series: &BatchSeries| batch.samples_of(series).iter().map(|s| (s.t, s.v.to_bits())).collect::<Vec<_>>();
            prop_assert_eq!(bits(&batch, ours), bits(&got, theirs));
            let bytes = |batch: &WriteBatch, series: &BatchSeries| batch.histograms_of(series).iter().map(histogram_to_bytes).collect::<Vec<_>>();
            prop_assert_eq!(bytes(&batch, ours), bytes(&got, theirs));
        }
        prop_assert_eq!(&got.metadata, &batch.metadata);
    }

    #[test]
    fn chunks(
        labels in arbitrary::labels(),
        chunks in vec((1..4_u8, any::<i64>(), any::<i64>(), vec(any::<u8>(), 0..9)), 0..4),
    ) {
        let chunks: Vec<Chunk> = chunks.into_iter().map(|(encoding, a, b, data)| Chunk {
            encoding: ChunkEncoding::from_wire(encoding).unwrap(),
            min_t: a.min(b),
            max_t: a.max(b),
            data: data.into(),
        }).collect();
        let sent = SeriesChunks { hash: labels.hash(), labels, chunks, newest: None };
        let got = chunks_from_wire(over_the_wire(&chunks_to_wire(sent.clone(), false))).unwrap();
        prop_assert_eq!(format!("{got:?}"), format!("{sent:?}"));
        let newest = Some(model::Sample { t: i64::MAX, v: -0.0 });
        let part = SeriesChunks { labels: sent.labels.without(|name| name.len() % 2 == 0), newest, ..sent };
        let got = chunks_from_wire(over_the_wire(&chunks_to_wire(part.clone(), true))).unwrap();
        prop_assert_eq!(format!("{got:?}"), format!("{part:?}"));
    }

    #[test]
    fn any_bytes_are_refused_or_taken_but_never_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(message) = wire::PushRequest::decode(Bytes::from(bytes)) {
            // Neither result is wrong.
            let _ = push_from_wire(message);
        }
    }

    #[test]
    fn damaged_pushes_are_refused_or_taken_but_never_a_panic(batch in arbitrary::batch(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = push_to_wire(&batch, None, true).encode_to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        if let Ok(message) = wire::PushRequest::decode(Bytes::from(bytes)) {
            let _ = push_from_wire(message);
        }
    }
}

#[test]
fn reports_find_their_way_back() {
    let rejected = |series, reason| RejectedSeries { series, reason, samples: 1, histograms: 2, exemplars: 3, detail: "why".to_owned() };
    let all = PushReport {
        rejected: RejectReason::ALL.into_iter().enumerate().map(|(i, reason)| rejected(i as u32, reason)).collect(),
        unknown: vec![0, 1],
    };
    assert_eq!(report_from_wire(over_the_wire(&report_to_wire(all.clone())), None, all.rejected.len()), Ok(all));

    let one = PushReport { rejected: vec![rejected(1, RejectReason::OutOfOrder)], unknown: Vec::new() };
    let back = report_from_wire(report_to_wire(one), Some(&[3, 8]), 9).unwrap();
    assert_eq!(back.rejected[0].series, 8);
}

#[test]
fn matchers_find_their_way_back() {
    let sent: Vec<Arc<[Matcher]>> = vec![
        Arc::from([
            Matcher::equal("a", "b"),
            Matcher::new(model::MatchOp::NotEqual, "ü", "").unwrap(),
            Matcher::new(model::MatchOp::Regex, "c", "x|y.*").unwrap(),
            Matcher::new(model::MatchOp::NotRegex, "d", "[0-9]+").unwrap(),
        ]),
        Arc::from([]),
    ];
    let got = selectors_from_wire(&selectors_to_wire(&sent)).unwrap();
    assert_eq!(got, sent);
    assert!(got[0][2].matches("yes"));
}
