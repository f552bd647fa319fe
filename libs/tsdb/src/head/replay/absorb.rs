//! Taking over what another head holds, as if it were replayed.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use model::{ChunkEncoding, SeriesChunks};

use super::references::UNDEFINED;
use super::{Pending, ReplayStats, Replayer, SAMPLE_BATCH};
use crate::block::recode::{Point, decode};
use crate::head::{Head, HeadError, SelectOrder};
use crate::wal::Generation;

/// Series that are read from the other head at a time.
const BATCH: usize = 256;

/// A generation that no log has: its references are the places in a batch.
const PLACES: Generation = Generation(0);

/// See [`Head::absorb`].
pub(in crate::head) fn absorb(head: &Arc<Head>, other: &Head) -> Result<ReplayStats, HeadError> {
    let mut replayer = Replayer::new(Arc::clone(head), 0, 1);
    // Records in the log use the other head's references, in the generation that this head's records will be of.
    head.next_ref.fetch_max(other.next_ref.load(Relaxed), Relaxed);
    let mut read = Vec::new();
    for refs in other.select_ids(&[], SelectOrder::Any).chunks(BATCH) {
        other.read_series(refs, i64::MIN, i64::MAX, &mut read)?;
        replayer.absorb_series(&read);
        read.clear();
    }
    for (hash, labels, exemplar) in other.exemplars.lock().in_order() {
        if head.exemplars.lock().offer(hash, || labels.clone(), exemplar, i64::MAX, head.limits.max_exemplars.load(Relaxed))
            == crate::head::exemplars::Offered::Taken
        {
            replayer.stats.exemplars += 1;
        }
    }
    for metadata in other.metadata(None, usize::MAX) {
        // Epoch 0: the log has to learn it again with the next push that brings it.
        head.metadata.lock().set(&metadata, 0, head.limits.max_metadata.load(Relaxed));
        replayer.stats.metadata += 1;
    }
    Ok(replayer.stats)
}

impl Replayer {
    fn absorb_series(&mut self, batch: &[SeriesChunks]) {
        let (mut definitions, mut blocks) = (Vec::with_capacity(batch.len()), Vec::new());
        for (place, series) in (0..).zip(batch) {
            self.references.of(PLACES).set(place, UNDEFINED);
            let start = blocks.len();
            blocks.extend_from_slice(series.labels.as_bytes());
            definitions.push((place, series.hash, start..blocks.len()));
        }
        self.create(PLACES, &definitions, &blocks);
        for (place, series) in (0..).zip(batch) {
            let defined = self.references.of(PLACES).get(place);
            let only_floats = series.chunks.iter().all(|chunk| chunk.encoding == ChunkEncoding::Xor);
            for chunk in &series.chunks {
                let Ok(points) = decode(chunk) else {
                    self.stats.malformed += 1;
                    continue;
                };
                if defined.id == u32::MAX {
                    self.stats.orphans += points.len() as u64;
                    continue;
                }
                for point in points {
                    match point {
                        Point::Float(sample) if only_floats => self.samples.push(Pending { series: defined, sample }),
                        Point::Float(sample) => self.mixed.push((defined, Point::Float(sample))),
                        Point::Histogram(sample) => self.mixed.push((defined, Point::Histogram(sample))),
                    }
                }
                if self.samples.len() >= SAMPLE_BATCH {
                    self.append();
                    self.samples.clear();
                }
            }
        }
        self.append();
        self.samples.clear();
        self.append_mixed();
    }
}
