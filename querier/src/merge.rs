//! Replicas into one. Pure.
//!
//! Each source gives its series in ascending order of their hash. The merge holds one batch per source, emits the lowest hash next,
//! and joins the chunk lists of those that have it. It does not wait for anything: [`Merge::wants`] says which sources must be read
//! before it can go on. A source that comes later joins behind the last hash that was emitted.

use std::collections::VecDeque;

use model::{Chunk, Sample, SeriesChunks, SeriesHash};

/// A k-way merge of ordered series streams.
#[derive(Debug)]
pub struct Merge {
    sources: Vec<Source>,
    /// The last hash that was emitted.
    emitted: Option<SeriesHash>,
}

#[derive(Debug)]
struct Source {
    queue: VecDeque<SeriesChunks>,
    ended: bool,
    /// What had been emitted when it joined.
    behind: Option<SeriesHash>,
}

impl Merge {
    /// A merge of this many sources, all empty and open.
    #[must_use]
    pub fn new(sources: usize) -> Self {
        let mut merge = Self { sources: Vec::with_capacity(sources), emitted: None };
        (0..sources).for_each(|_| merge.join());
        merge
    }

    /// Adds a source, empty and open. It begins from the start; what it gives of what was emitted is dropped.
    pub fn join(&mut self) {
        self.sources.push(Source { queue: VecDeque::new(), ended: false, behind: self.emitted });
    }

    /// The sources that must be fed or ended before anything more can be emitted.
    pub fn wants(&self) -> impl Iterator<Item = usize> + '_ {
        self.sources.iter().enumerate().filter(|(_, s)| s.queue.is_empty() && !s.ended).map(|(i, _)| i)
    }

    /// Adds a source's next batch. Unknown sources are ignored.
    pub fn feed(&mut self, source: usize, batch: Vec<SeriesChunks>) {
        let Some(source) = self.sources.get_mut(source) else { return };
        let mut batch = VecDeque::from(batch);
        if let Some(behind) = source.behind {
            batch.drain(..batch.partition_point(|series| series.hash <= behind));
        }
        match source.queue.is_empty() {
            true => source.queue = batch,
            false => source.queue.extend(batch),
        }
    }

    /// A source has no more; what it gave stays.
    pub fn end(&mut self, source: usize) {
        if let Some(source) = self.sources.get_mut(source) {
            source.ended = true;
        }
    }

    /// Whether everything has been emitted.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.sources.iter().all(|s| s.ended && s.queue.is_empty())
    }

    /// Emits all that can be emitted without reading on, replicas joined.
    pub fn drain(&mut self) -> Vec<SeriesChunks> {
        if let [only] = &mut self.sources[..] {
            self.emitted = only.queue.back().map(|series| series.hash).or(self.emitted);
            return std::mem::take(&mut only.queue).into();
        }
        let mut out = Vec::new();
        while self.wants().next().is_none() {
            let Some(lowest) = self.sources.iter().filter_map(|s| s.queue.front()).map(|s| s.hash).min() else { break };
            self.emitted = Some(lowest);
            let mut joined: Option<SeriesChunks> = None;
            for source in &mut self.sources {
                while source.queue.front().is_some_and(|s| s.hash == lowest) {
                    let Some(series) = source.queue.pop_front() else { break };
                    match &mut joined {
                        None => joined = Some(series),
                        Some(joined) => {
                            joined.chunks.extend(series.chunks);
                            joined.newest = later(joined.newest, series.newest);
                        }
                    }
                }
            }
            out.extend(joined.map(|mut series| {
                tidy(&mut series.chunks);
                series
            }));
        }
        out
    }
}

/// The later one of two samples; the first if they are at one time.
fn later(a: Option<Sample>, b: Option<Sample>) -> Option<Sample> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.t > a.t { b } else { a }),
        _ => a.or(b),
    }
}

/// Orders chunks by time and drops those that replicas hold alike, which is nearly all of them.
fn tidy(chunks: &mut Vec<Chunk>) {
    chunks.sort_by_key(|c| (c.min_t, c.max_t, c.encoding as u8, c.data.len()));
    chunks.dedup_by(|b, a| a.min_t == b.min_t && a.max_t == b.max_t && a.encoding == b.encoding && a.data == b.data);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::{Chunk, ChunkEncoding, Labels, Sample, SeriesChunks};

    use super::Merge;

    fn series(name: &str, chunks: &[(i64, i64, &'static [u8])]) -> SeriesChunks {
        let labels = Labels::from_pairs([("__name__", name)]);
        let chunks = chunks
            .iter()
            .map(|(min_t, max_t, data)| Chunk {
                encoding: ChunkEncoding::Xor,
                min_t: *min_t,
                max_t: *max_t,
                data: Bytes::from_static(data),
            })
            .collect();
        SeriesChunks { hash: labels.hash(), labels, chunks, newest: None }
    }

    fn sorted(mut all: Vec<SeriesChunks>) -> Vec<SeriesChunks> {
        all.sort_by_key(|s| s.hash);
        all
    }

    #[test]
    fn equal_replicas_become_one() {
        let all = || sorted((0..50).map(|i| series(&format!("m{i}"), &[(0, 10, b"x"), (11, 20, b"y")])).collect());
        let mut merge = Merge::new(3);
        let mut out = Vec::new();
        for source in 0..3 {
            assert!(merge.drain().is_empty(), "nothing comes before every source has spoken");
            merge.feed(source, all());
        }
        out.extend(merge.drain());
        for source in 0..3 {
            merge.end(source);
        }
        out.extend(merge.drain());
        assert!(merge.is_done());
        assert_eq!(out.len(), 50);
        assert!(out.iter().all(|s| s.chunks.len() == 2));
        assert!(out.is_sorted_by_key(|s| s.hash));
    }

    #[test]
    fn the_later_of_two_newest_samples_stays() {
        let newest = |t| SeriesChunks { newest: Some(Sample { t, v: 1.0 }), ..series("a", &[]) };
        let mut merge = Merge::new(3);
        merge.feed(0, vec![newest(3)]);
        merge.feed(1, vec![newest(7)]);
        merge.feed(2, vec![series("a", &[(0, 10, b"x")])]);
        (0..3).for_each(|source| merge.end(source));
        let out = merge.drain();
        assert_eq!((out.len(), out[0].newest.map(|s| s.t), out[0].chunks.len()), (1, Some(7), 1));
    }

    #[test]
    fn one_that_joins_late_gives_what_has_not_been_emitted() {
        let all = || sorted((0..30).map(|i| series(&format!("m{i}"), &[(0, 10, b"x")])).collect());
        for (sources, given) in [(1, 10), (2, 10), (2, 30), (1, 0)] {
            let mut merge = Merge::new(sources);
            (0..sources).for_each(|source| merge.feed(source, all()[..given].to_vec()));
            let mut out = merge.drain();
            assert_eq!(out.len(), given);
            // The last one breaks off, and another begins.
            merge.end(sources - 1);
            merge.join();
            for source in 0..sources - 1 {
                merge.feed(source, all()[given..].to_vec());
            }
            for (part, ends) in [(..given / 2, false), (..30, true)] {
                assert!(merge.drain().is_empty(), "it is waited for");
                let batch = if ends { all()[given / 2..].to_vec() } else { all()[part].to_vec() };
                merge.feed(sources, batch);
            }
            (0..=sources).for_each(|source| merge.end(source));
            out.extend(merge.drain());
            assert!(merge.is_done());
            let hashes = |series: &[SeriesChunks]| series.iter().map(|s| s.hash).collect::<Vec<_>>();
            assert_eq!(hashes(&out), hashes(&all()), "{sources} {given}");
            assert!(out.iter().all(|s| s.chunks.len() == 1));
        }
    }

    #[test]
    fn different_replicas_keep_every_chunk() {
        let mut merge = Merge::new(2);
        merge.feed(0, vec![series("a", &[(0, 10, b"x")])]);
        merge.feed(1, sorted(vec![series("a", &[(0, 10, b"x"), (5, 20, b"z")]), series("b", &[(0, 1, b"q")])]));
        merge.end(0);
        merge.end(1);
        let out = merge.drain();
        assert_eq!(out.iter().map(|s| s.chunks.len()).sum::<usize>(), 3);
        assert_eq!(out.len(), 2);
    }
}
