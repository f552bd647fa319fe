//! A small world of series in a head, as an ingester has them.

use std::sync::{Arc, OnceLock};

use model::batch::BatchBuilder;
use model::{FloatHistogram, HistogramSample, HistogramValue, Labels, Sample, SeriesChunks, Span, stale_nan};
use promql::{QueryError, Queryable, SelectRequest, SeriesSource};
use tsdb::head::{AppendOutcome, Head, HeadConfig, HeadLimits, SelectOrder, Selection, SeriesRef};
use tsdb::wal::Generation;

/// The first sample's time, in milliseconds.
pub(crate) const T0: i64 = 1_700_006_400_000;

/// The distance between samples.
pub(crate) const SCRAPE: i64 = 15_000;

/// Samples per series.
pub(crate) const SAMPLES: i64 = 150;

/// A pseudo-random number for a seed: the same on every machine.
pub(crate) fn random(seed: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x2545_f491_4f6c_dd1d);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 32)
}

/// A store that answers as ingesters do: with what a selector looks at, in small batches.
pub(crate) struct HeadStorage {
    head: Arc<Head>,
}

/// A world that several tests read: made once.
pub(crate) fn shared_world(seed: usize, with_types: bool) -> Arc<HeadStorage> {
    static WORLDS: [OnceLock<Arc<HeadStorage>>; 16] = [const { OnceLock::new() }; 16];
    let made = WORLDS[(seed % 8) * 2 + usize::from(with_types)].get_or_init(|| world(seed as u64, with_types));
    Arc::clone(made)
}

/// Counters, gauges, classic buckets, native histograms and a mixture; some with gaps, resets and stale markers.
fn world(seed: u64, with_types: bool) -> Arc<HeadStorage> {
    let head =
        Head::new(HeadConfig { limits: HeadLimits { creation_grace_ms: i64::MAX / 4, ..HeadLimits::default() }, ..HeadConfig::default() });
    let mut batch = BatchBuilder::new(bytes::Bytes::new());
    for number in 0..40_u64 {
        let labels = labels(number, with_types);
        for i in 0..SAMPLES {
            sample(&mut batch, number, i, random(seed ^ (number << 20) ^ i as u64));
        }
        batch.end_series_with(labels.hash(), labels.as_block());
    }
    let mut out = AppendOutcome::new();
    head.append(&batch.finish(), Selection::All, Generation(1), T0, &mut out);
    assert!(out.rejected.is_empty(), "{:?}", out.rejected);
    Arc::new(HeadStorage { head: Arc::new(head) })
}

fn labels(number: u64, with_types: bool) -> Labels {
    let name = ["c_total", "g", "b_bucket", "h", "mixed"][number as usize % 5];
    let of = number / 5;
    let mut pairs = vec![("__name__", name.to_owned()), ("a", (of % 2).to_string()), ("n", of.to_string())];
    if !of.is_multiple_of(3) {
        pairs.push(("b", (of % 3).to_string()));
    }
    if name == "b_bucket" {
        pairs.push(("le", ["1", "2.5", "+Inf"][of as usize % 3].to_owned()));
    }
    if with_types && of == 1 {
        pairs.push(("__type__", "counter".to_owned()));
    }
    Labels::from_pairs(pairs)
}

fn sample(batch: &mut BatchBuilder, number: u64, i: i64, r: u64) {
    // Milliseconds off, so that windows are not all alike.
    let t = T0 + i * SCRAPE + (r % 3) as i64 * (number % 2) as i64;
    if r % 11 == 3 && number % 4 == 1 {
        return;
    }
    if r % 29 == 5 {
        batch.sample(Sample { t, v: stale_nan() });
        return;
    }
    let counter = (i as u64 % 60) as f64 * 1.5 + (r % 7) as f64 / 8.0;
    match number % 5 {
        0 | 2 => batch.sample(Sample { t, v: counter }),
        1 if r % 37 == 1 => batch.sample(Sample { t, v: [f64::NAN, f64::INFINITY, -0.0][(r >> 8) as usize % 3] }),
        1 => batch.sample(Sample { t, v: (r % 1000) as f64 / 7.0 - 50.0 }),
        3 => batch.histogram(HistogramSample { t, value: histogram(counter) }),
        _ if i % 40 < 20 => batch.sample(Sample { t, v: counter }),
        _ => batch.histogram(HistogramSample { t, value: histogram(counter) }),
    }
}

fn histogram(count: f64) -> HistogramValue {
    HistogramValue::Float(Box::new(FloatHistogram {
        schema: 0,
        count: 2.0 * count,
        sum: 3.0 * count,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![count, count],
        ..FloatHistogram::default()
    }))
}

impl Queryable for HeadStorage {
    fn select(&self, request: SelectRequest) -> Result<Box<dyn SeriesSource>, QueryError> {
        let ids = self.head.select_ids(&request.matchers, SelectOrder::ByHash);
        Ok(Box::new(HeadSource { head: Arc::clone(&self.head), ids, request }))
    }
}

struct HeadSource {
    head: Arc<Head>,
    ids: Vec<SeriesRef>,
    request: SelectRequest,
}

impl SeriesSource for HeadSource {
    fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, QueryError> {
        let SelectRequest { min_t, max_t, hints, .. } = &self.request;
        while !self.ids.is_empty() {
            let ids: Vec<_> = self.ids.drain(..self.ids.len().min(7)).collect();
            let mut out = Vec::new();
            let read = self.head.read_projected(&ids, *min_t, *max_t, &hints.projection, &mut out);
            read.map_err(|e| QueryError::Storage(e.to_string()))?;
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }
}
