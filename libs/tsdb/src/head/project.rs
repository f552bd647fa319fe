//! What a reader looks at of series ([`Projection`]), made cheaply.

use std::ops::Range;

use bytes::Bytes;
use hashbrown::HashMap;
use model::{Labels, Projection, SeriesChunks};
use smallvec::SmallVec;

use super::index::Index;

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
        let mut wanted = PairIds::new();
        for pair in pairs {
            if wanted.len() == names.len() {
                break;
            }
            if self.index.name_of(*pair).is_some_and(|name| names.contains(&name)) {
                wanted.push(*pair);
            }
        }
        if let Some(labels) = self.known.get(&wanted) {
            return labels.clone();
        }
        let labels = self.index.labels(&wanted, &mut self.block);
        self.known.insert(wanted, labels.clone());
        labels
    }
}

/// Copies of chunks that are in memory: the bytes of many lie in one buffer.
#[derive(Default)]
pub(super) struct CopiedChunks {
    buffer: Vec<u8>,
    /// Which chunk of which series lies where.
    places: Vec<((usize, usize), Range<usize>)>,
}

impl CopiedChunks {
    /// Copies the bytes of a chunk; `at` is the series' number in the answer and the chunk's in the series. The chunk has the empty bytes that
    /// this returns until [`CopiedChunks::fill`].
    pub(super) fn add(&mut self, data: &[u8], at: (usize, usize)) -> Bytes {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(data);
        self.places.push((at, start..self.buffer.len()));
        Bytes::new()
    }

    /// Gives all copies their bytes, and is empty again.
    pub(super) fn fill(&mut self, out: &mut [SeriesChunks]) {
        let bytes = Bytes::copy_from_slice(&self.buffer);
        self.buffer.clear();
        for ((series, chunk), place) in self.places.drain(..) {
            if let Some(chunk) = out.get_mut(series).and_then(|series| series.chunks.get_mut(chunk)) {
                chunk.data = bytes.slice(place);
            }
        }
    }
}

#[cfg(test)]
mod tests;
