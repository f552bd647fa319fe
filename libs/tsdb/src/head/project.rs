//! What a reader looks at of series ([`Projection`]), made cheaply.

use std::ops::Range;

use bytes::Bytes;
use hashbrown::HashMap;
use model::{Chunk, ChunkEncoding, Labels, Projection, Sample, SeriesChunks};
use smallvec::SmallVec;

use super::index::Index;
use crate::chunk::put_single;

/// Ids of pairs.
type PairIds = SmallVec<[u32; 4]>;

/// The labels of series, or those that are asked for. Series with the same of these labels share one allocation. It lives as long as the
/// index is held, because ids of pairs do.
pub(super) struct ProjectedLabels<'a> {
    index: &'a Index,
    /// Ids of the wanted names; `None` is all.
    names: Option<Vec<u32>>,
    known: HashMap<PairIds, Labels>,
    block: Vec<u8>,
}

impl<'a> ProjectedLabels<'a> {
    pub(super) fn new(index: &'a Index, projection: &Projection) -> Self {
        let has_metadata = || ["__type__", "__unit__"].iter().any(|name| index.has_name(name));
        let wanted = projection.labels.as_ref().filter(|_| !has_metadata());
        let names = wanted.map(|names| {
            let mut ids: Vec<u32> = names.iter().filter_map(|name| index.name_id(name)).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        });
        Self { index, names, known: HashMap::new(), block: Vec::new() }
    }

    /// The labels of a series of these pairs.
    pub(super) fn of(&mut self, pairs: &[u32]) -> Labels {
        let Some(names) = &self.names else { return self.index.labels(pairs, &mut self.block) };
        let wanted = |pair: &u32| self.index.name_of(*pair).is_some_and(|name| names.contains(&name));
        let pairs: PairIds = pairs.iter().copied().filter(wanted).collect();
        if let Some(labels) = self.known.get(&pairs) {
            return labels.clone();
        }
        let labels = self.index.labels(&pairs, &mut self.block);
        self.known.insert(pairs, labels.clone());
        labels
    }
}

/// Chunks of one sample each, whose bytes lie in one buffer.
#[derive(Default)]
pub(super) struct SingleSamples {
    buffer: Vec<u8>,
    /// Which series' only chunk lies where.
    places: Vec<(usize, Range<usize>)>,
}

impl SingleSamples {
    /// The chunk of series number `series`, whose bytes [`SingleSamples::fill`] brings.
    pub(super) fn chunk(&mut self, sample: Sample, series: usize) -> Chunk {
        let start = self.buffer.len();
        put_single(&mut self.buffer, sample);
        self.places.push((series, start..self.buffer.len()));
        Chunk { encoding: ChunkEncoding::Xor, min_t: sample.t, max_t: sample.t, data: Bytes::new() }
    }

    /// Gives all chunks their bytes.
    pub(super) fn fill(self, out: &mut [SeriesChunks]) {
        let bytes = Bytes::from(self.buffer);
        for (series, place) in self.places {
            if let Some(chunk) = out.get_mut(series).and_then(|series| series.chunks.first_mut()) {
                chunk.data = bytes.slice(place);
            }
        }
    }
}

#[cfg(test)]
mod tests;
