//! Whether a block is sound: every byte is read.

use std::io::ErrorKind;

use hashbrown::{HashMap, HashSet};
use model::{Labels, SeriesHash};

use super::recode::decode_data;
use super::{Block, BlockError, BlockStats, ChunkMeta, IndexSeries, SEGMENT_HEADER, SIDECAR_FILE, Sidecar};
use crate::block::recode::Point;

/// Problems that are described; the rest are counted.
const MAX_DESCRIBED: usize = 100;

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verification {
    /// What is wrong, in words; the first hundred.
    pub problems: Vec<String>,
    /// How much is wrong.
    pub problem_count: u64,
    /// What is in the block, counted sample by sample, deleted ones included.
    pub stats: BlockStats,
    /// Chunks that no series has. They do no harm.
    pub unreferenced_chunks: u64,
}

impl Verification {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, problem: String) {
        self.problem_count += 1;
        if self.problems.len() < MAX_DESCRIBED {
            self.problems.push(problem);
        }
    }

    fn check(&mut self, result: Result<(), BlockError>) {
        if let Err(error) = result {
            self.problem(error.to_string());
        }
    }
}

/// The series of a label pair: how many, and a digest of their ids in order.
type PairDigests = HashMap<SeriesHash, (u64, u64)>;

/// Reads every byte of an open block: checksums, the order of symbols, series, postings, chunks and samples, every reference, the
/// times of chunks against their samples, postings against labels, and the counts of `meta.json`. In memory are 32 bytes for each label
/// pair and 8 for each chunk.
#[must_use]
pub fn verify(block: &Block) -> Verification {
    let mut out = Verification::default();
    out.check(block.index.check_symbols());
    let mut references = HashSet::new();
    let mut pairs = PairDigests::new();
    let ids = block.index.postings("", "").unwrap_or_else(|error| {
        out.problem(error.to_string());
        Vec::new()
    });
    check_series(block, &ids, &mut references, &mut pairs, &mut out);
    let result = check_postings(block, &ids, &mut pairs, &mut out);
    out.check(result);
    check_segments(block, references, &mut out);
    check_counts(block, &mut out);
    check_sidecar(block, &mut out);
    out
}

/// A sidecar that is there must say what the index says.
fn check_sidecar(block: &Block, out: &mut Verification) {
    let result = match Sidecar::read(&*block.fs, &block.dir, block.meta.ulid) {
        Err(BlockError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return,
        Err(error) => Err(error),
        Ok(sidecar) => Sidecar::of(block).and_then(|made| {
            let differs = || BlockError::corrupt(SIDECAR_FILE, 0, "it does not have the series of the index");
            if made == sidecar { Ok(()) } else { Err(differs()) }
        }),
    };
    out.check(result);
}

fn check_series(block: &Block, ids: &[u32], references: &mut HashSet<u64>, pairs: &mut PairDigests, out: &mut Verification) {
    let mut series = block.index.series_cursor();
    let chunks = block.chunks.cursor();
    let mut last: Option<Labels> = None;
    for id in ids {
        let IndexSeries { labels, chunks: metas, .. } = match series.read(*id) {
            Ok(series) => series,
            Err(error) => {
                out.problem(error.to_string());
                continue;
            }
        };
        if last.as_ref().is_some_and(|last| *last >= labels) {
            out.problem(format!("series {labels} does not follow the series before it in label order"));
        }
        if !metas.is_sorted_by(|a, b| a.max_t < b.min_t) {
            out.problem(format!("chunks of series {labels} overlap or are out of order"));
        }
        for (name, value) in labels.iter() {
            let digest = pairs.entry(pair_key(name, value)).or_default();
            *digest = (digest.0 + 1, fold(digest.1, *id));
        }
        for meta in metas {
            references.insert(meta.reference);
            let result = chunks.read(meta.reference).and_then(|stored| {
                decode_data(stored.encoding, &stored.data).map_err(|source| BlockError::Chunk { reference: meta.reference, source })
            });
            match result {
                Ok(points) => check_chunk(block, &labels, meta, &points, out),
                Err(error) => out.problem(format!("series {labels}: {error}")),
            }
        }
        out.stats.num_series += 1;
        last = Some(labels);
    }
}

fn check_chunk(block: &Block, labels: &Labels, meta: ChunkMeta, points: &[Point], out: &mut Verification) {
    out.stats.num_chunks += 1;
    out.stats.num_samples += points.len() as u64;
    let floats = points.iter().filter(|p| matches!(p, Point::Float(_))).count() as u64;
    out.stats.num_float_samples += floats;
    out.stats.num_histogram_samples += points.len() as u64 - floats;
    let at = format!("chunk {:#x} of series {labels}", meta.reference);
    if (points.first().map(Point::t), points.last().map(Point::t)) != (Some(meta.min_t), Some(meta.max_t)) {
        out.problem(format!("{at} does not begin and end at the times that the index says"));
    }
    if !points.is_sorted_by(|a, b| a.t() < b.t()) {
        out.problem(format!("{at}: samples do not ascend"));
    }
    if points.iter().any(|p| p.t() < block.meta.min_time || p.t() >= block.meta.max_time) {
        out.problem(format!("{at} has samples outside of the block's range"));
    }
}

fn check_postings(block: &Block, ids: &[u32], pairs: &mut PairDigests, out: &mut Verification) -> Result<(), BlockError> {
    for name in block.index.label_names()? {
        for (value, offset) in block.index.values(&name)? {
            match block.index.postings_at(offset) {
                Ok(list) => {
                    let digest = list.iter().fold((0, 0), |d: (u64, u64), id| (d.0 + 1, fold(d.1, *id)));
                    let expected = pairs.remove(&pair_key(&name, value)).unwrap_or_default();
                    if digest != expected {
                        out.problem(format!("postings of {name}={value:?}: {} series, {} have this label", digest.0, expected.0));
                    }
                }
                Err(error) => out.problem(format!("postings of {name}={value:?}: {error}")),
            }
        }
    }
    if !pairs.is_empty() && !ids.is_empty() {
        out.problem(format!("{} label pairs of series have no postings", pairs.len()));
    }
    Ok(())
}

/// Walks the segments from chunk to chunk: all of their bytes belong to chunks, and all references point to one.
fn check_segments(block: &Block, mut references: HashSet<u64>, out: &mut Verification) {
    let cursor = block.chunks.cursor();
    for segment in 0..block.chunks.segments() {
        let mut at = SEGMENT_HEADER.len() as u64;
        while at < block.chunks.segment_len(segment) {
            let reference = (segment as u64) << 32 | at;
            match cursor.read(reference) {
                Ok(stored) => at += stored.framed,
                Err(error) => {
                    out.problem(error.to_string());
                    break;
                }
            }
            if !references.remove(&reference) {
                out.unreferenced_chunks += 1;
            }
        }
    }
    if !references.is_empty() {
        out.problem(format!("{} chunk references point to no chunk", references.len()));
    }
}

fn check_counts(block: &Block, out: &mut Verification) {
    let (said, found) = (block.meta.stats, out.stats);
    let by_kind = said.num_float_samples > 0 || said.num_histogram_samples > 0;
    let counts = [
        ("samples", said.num_samples, found.num_samples, true),
        ("float samples", said.num_float_samples, found.num_float_samples, by_kind),
        ("histograms", said.num_histogram_samples, found.num_histogram_samples, by_kind),
        ("series", said.num_series, found.num_series, true),
        ("chunks", said.num_chunks, found.num_chunks, true),
    ];
    for (what, said, found, told) in counts {
        if told && said != found {
            out.problem(format!("meta.json says {said} {what}, there are {found}"));
        }
    }
}

fn pair_key(name: &str, value: &str) -> SeriesHash {
    // No UTF-8 text has this byte.
    SeriesHash::of(&[name.as_bytes(), &[0xff], value.as_bytes()].concat())
}

fn fold(digest: u64, id: u32) -> u64 {
    (digest ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}
