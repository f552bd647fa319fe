#![allow(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use model::batch::BatchBuilder;
use model::{Chunk, ChunkEncoding, HistogramSample, Labels, Matcher, RejectReason, Sample, SeriesChunks, WriteBatch};

use super::{AppendOutcome, Head, HeadConfig, HeadLimits, Selection};
use crate::chunk::{XorIterator, decode_histograms};
use crate::wal::Generation;

mod append;
mod collect;
mod exemplars;
mod isolation;
mod model_based;
mod offload;
mod select;

/// A time that chunk ranges do not cut for a while.
pub(crate) const T0: i64 = 1_700_006_400_000;

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// A batch of float series.
pub(crate) fn batch(series: &[(Labels, &[(i64, f64)])]) -> WriteBatch {
    let mut builder = BatchBuilder::new(Bytes::new());
    for (labels, samples) in series {
        samples.iter().for_each(|(t, v)| builder.sample(Sample { t: *t, v: *v }));
        builder.end_series_with(labels.hash(), labels.as_block());
    }
    builder.finish()
}

/// Appends all of a batch with the clock at [`T0`].
pub(crate) fn push(head: &Head, batch: &WriteBatch) -> AppendOutcome {
    let mut out = AppendOutcome::new();
    head.append(batch, Selection::All, Generation(1), T0, &mut out);
    out
}

pub(crate) fn reasons(out: &AppendOutcome) -> Vec<(u32, RejectReason, u32)> {
    out.rejected.iter().map(|r| (r.series, r.reason, r.samples + r.histograms + r.exemplars)).collect()
}

/// One sample of either kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Point {
    Float(Sample),
    Histogram(HistogramSample),
}

impl Point {
    pub(crate) fn t(&self) -> i64 {
        match self {
            Self::Float(s) => s.t,
            Self::Histogram(h) => h.t,
        }
    }
}

pub(crate) fn decode(chunk: &Chunk) -> Vec<Point> {
    let mut out = Vec::new();
    if chunk.encoding == ChunkEncoding::Xor {
        let mut it = XorIterator::new(&chunk.data).unwrap();
        while let Some(sample) = it.next().unwrap() {
            out.push(Point::Float(sample));
        }
    } else {
        out.extend(decode_histograms(chunk.encoding, &chunk.data).unwrap().into_iter().map(Point::Histogram));
    }
    assert_eq!(out.first().map(Point::t), Some(chunk.min_t));
    assert_eq!(out.last().map(Point::t), Some(chunk.max_t));
    out
}

/// The samples of a series, which must ascend.
pub(crate) fn points(series: &SeriesChunks) -> Vec<Point> {
    let points: Vec<Point> = series.chunks.iter().flat_map(decode).collect();
    assert!(points.windows(2).all(|w| w[0].t() < w[1].t()), "{points:?}");
    points
}

/// All float samples of the head, by series.
pub(crate) fn floats(head: &Head) -> Vec<(Labels, Vec<(i64, f64)>)> {
    let mut all: Vec<_> = head
        .select(&[], i64::MIN, i64::MAX)
        .unwrap()
        .iter()
        .map(|series| {
            assert_eq!(series.hash, series.labels.hash());
            let of = |p: Point| match p {
                Point::Float(s) => (s.t, s.v),
                Point::Histogram(h) => panic!("unexpected {h:?}"),
            };
            (series.labels.clone(), points(series).into_iter().map(of).collect())
        })
        .collect();
    all.sort_by(|a: &(Labels, Vec<_>), b| a.0.cmp(&b.0));
    all
}

fn head() -> Head {
    Head::new(HeadConfig::default())
}

pub(crate) fn limited(limits: HeadLimits) -> HeadConfig {
    HeadConfig { limits, ..HeadConfig::default() }
}

fn everything() -> [Matcher; 0] {
    []
}
