//! How many bytes of pushes are in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use model::{Exemplar, HistogramSample, Metadata, Sample};
use rpc::PushSlice;

use crate::error::Error;

/// A bounded count of bytes.
#[derive(Debug)]
pub(crate) struct InflightBytes {
    used: AtomicUsize,
    max: usize,
}

/// Bytes of one push; given back when dropped.
#[derive(Debug)]
pub(crate) struct InflightGuard {
    owner: Arc<InflightBytes>,
    bytes: usize,
}

impl InflightBytes {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Result<InflightGuard, Error> {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        match self.used.fetch_update(Relaxed, Relaxed, fits) {
            Ok(_) => Ok(InflightGuard { owner: Arc::clone(self), bytes }),
            Err(used) => Err(Error::InflightFull { used, wanted: bytes, max: self.max }),
        }
    }
}

impl Drop for InflightGuard {
    fn drop(&mut self) {
        self.owner.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// A histogram with forty buckets; weighing each one would cost more than it is worth.
const HISTOGRAM_BYTES: usize = size_of::<HistogramSample>() + 512;
/// An exemplar with a trace id.
const EXEMPLAR_BYTES: usize = size_of::<Exemplar>() + 64;
/// Metadata with a help text.
const METADATA_BYTES: usize = size_of::<Metadata>() + 128;

/// About the bytes that the selected part of a batch holds.
pub(crate) fn weigh(slice: &PushSlice) -> usize {
    let batch = &*slice.batch;
    let of_series = |series: &model::BatchSeries| {
        let samples = series.samples.len() * size_of::<Sample>();
        let rest = series.histograms.len() * HISTOGRAM_BYTES + series.exemplars.len() * EXEMPLAR_BYTES;
        size_of::<model::BatchSeries>() + batch.labels(series).as_bytes().len() + samples + rest
    };
    let series: usize = match &slice.series {
        None => batch.series.iter().map(of_series).sum(),
        Some(indices) => indices.iter().filter_map(|i| batch.series.get(*i as usize)).map(of_series).sum(),
    };
    series + if slice.metadata { batch.metadata.len() * METADATA_BYTES } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::InflightBytes;
    use crate::error::Error;

    #[test]
    fn bytes_are_bounded_and_given_back() {
        let inflight = InflightBytes::new(10);
        let first = inflight.take(6).unwrap();
        assert!(matches!(inflight.take(5), Err(Error::InflightFull { used: 6, wanted: 5, max: 10 })));
        assert!(matches!(inflight.take(usize::MAX), Err(Error::InflightFull { .. })));
        let second = inflight.take(4).unwrap();
        drop(first);
        assert_eq!(inflight.used(), 4);
        drop(second);
        assert_eq!(inflight.used(), 0);
    }
}
