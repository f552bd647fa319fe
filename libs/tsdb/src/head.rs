//! The recent series of one tenant.
//!
//! Series lie in *stripes* by bits of their hash, each with its own lock, so that cores append in parallel; a stripe holds a
//! table from hash to slot, and per slot one *hot* entry (all that an append touches) and one *cold* entry. Labels and
//! postings are shared by all stripes in one *index*: every distinct `name="value"` pair is stored once, with the sorted ids
//! of its series; a series is a list of pair ids.
//!
//! A push goes through in passes over a stripe's part of the batch (touch the table, find, touch the entries, append), so
//! that the cache misses of different series overlap. New series are created in batches under the index lock.
//!
//! A series has its chunks in order, and apart from them, if there are any, its late samples (`head/series/late.rs`). A late sample is looked up in all of
//! its series before it is taken, at the cost of decoding at most two chunks under the stripe's lock; the in-order path never looks. Readers merge both when they
//! have released the locks.
//!
//! Lock order: `index`, then one stripe. Queries collect ids under the index lock, release it, and then read series in
//! batches; an id whose slot has been given to another series meanwhile is recognised by its hash and skipped.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering::Relaxed};

use model::{Exemplar, Labels, Matcher, Metadata, Projection, SeriesChunks, SeriesHash, WriteBatch};
use parking_lot::{Mutex, RwLock};

use crate::head_chunks::{HeadChunkError, HeadChunks};
use crate::wal::Generation;

mod append;
mod cardinality;
mod create;
mod error;
mod exemplars;
mod hash_table;
mod index;
mod label_order;
mod limits;
mod log;
mod metadata;
mod offload;
mod outcome;
mod overlap;
mod postings;
mod project;
mod read;
mod replay;
mod seal;
mod select;
mod series;
mod snapshot;
mod stats;
mod stripe;
mod truncate;

pub use cardinality::{Cardinality, LabelCount};
pub use error::HeadError;
pub(crate) use index::wire_pairs;
pub use limits::HeadLimits;
pub use offload::Offloaded;
pub use outcome::{AppendOutcome, Selection};
pub use replay::ReplayStats;
pub(crate) use replay::Replayer;
pub(crate) use snapshot::{HeadPart, HeadWalk, Restorer};
pub use stats::{HeadStats, MemoryStats};
pub use truncate::Truncated;

/// The largest chunk range: what a chunk's times fit ([`series::ClosedChunk`]). 49 days.
const MAX_CHUNK_RANGE_MS: i64 = u32::MAX as i64;

/// Settings of a head.
#[derive(Debug, Clone)]
pub struct HeadConfig {
    /// Limits at first; see [`Head::set_limits`].
    pub limits: HeadLimits,
    /// Chunks end at multiples of this many milliseconds, so that a block's range never cuts a chunk. 1 to 2³² - 1; values outside
    /// are taken as the nearest.
    pub chunk_range_ms: i64,
    /// Stripes, rounded up to a power of two, at most 64. One is enough for a tenant that one core can serve.
    pub stripes: usize,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self { limits: HeadLimits::default(), chunk_range_ms: 2 * 60 * 60 * 1000, stripes: 8 }
    }
}

/// A series of a head as [`Head::select_ids`] found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesRef {
    /// The series' identity.
    pub hash: SeriesHash,
    id: u32,
}

/// The order of [`Head::select_ids`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectOrder {
    /// As the head finds them; cheapest.
    Any,
    /// Ascending by [`SeriesHash`], as ingesters stream to queriers.
    ByHash,
}

/// The exemplars of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub labels: Labels,
    /// Ascending by time.
    pub exemplars: Vec<Exemplar>,
}

/// The recent series of one tenant. All methods take `&self` and may be called from any thread.
#[derive(Debug)]
pub struct Head {
    config: HeadConfig,
    limits: limits::LiveLimits,
    series: AtomicUsize,
    /// Samples before it are too old.
    oldest: AtomicI64,
    /// The next series reference for the log (`head/log.rs`).
    next_ref: AtomicU32,
    totals: stats::Totals,
    stripes: Box<[RwLock<stripe::Stripe>]>,
    index: RwLock<index::Index>,
    exemplars: Mutex<exemplars::ExemplarRing>,
    metadata: Mutex<metadata::MetadataMap>,
}

impl Head {
    /// An empty head. It takes about 2 KB until series come.
    #[must_use]
    pub fn new(mut config: HeadConfig) -> Self {
        config.chunk_range_ms = config.chunk_range_ms.clamp(1, MAX_CHUNK_RANGE_MS);
        let stripes = config.stripes.clamp(1, stripe::MAX_STRIPES).next_power_of_two();
        Self {
            limits: limits::LiveLimits::new(&config.limits),
            series: AtomicUsize::new(0),
            oldest: AtomicI64::new(i64::MIN),
            next_ref: AtomicU32::new(0),
            totals: stats::Totals::default(),
            stripes: (0..stripes).map(|_| RwLock::default()).collect(),
            index: RwLock::default(),
            exemplars: Mutex::default(),
            metadata: Mutex::default(),
            config,
        }
    }

    /// Changes the limits, for the next push on. Cheap when nothing has changed, so that it can be called with every push.
    pub fn set_limits(&self, limits: &HeadLimits) {
        if self.limits.set(limits) {
            self.exemplars.lock().shrink_to(limits.max_exemplars);
        }
    }

    /// From now on samples before `t` are refused as too old, and a replay skips them. It is apart from [`Head::truncate`]: a sample that is newer than all others of
    /// its series is accepted from here on, however late it comes.
    pub fn set_oldest_accepted(&self, t: i64) {
        self.oldest.store(t, Relaxed);
    }

    /// The number of series now.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.load(Relaxed)
    }

    /// Appends the selected series of a batch: samples, histograms, exemplars, and the batch's metadata.
    ///
    /// What was not taken is in `out.rejected`, at most one entry per series and reason. What was taken is at once visible to
    /// queries, and is in `out.record()` for the log; `generation` is the log's at the time of the call ([`crate::Wal::generation`]).
    /// Samples of a series in any order: those that are newer than all before are always taken, others within the out-of-order window. A sample that
    /// the head has already, wherever in its series, counts as taken; one that differs from what is there at its time is refused.
    /// After the log has the record, call [`Head::confirm`]. If the log refuses it, do not acknowledge the push: its samples may or may
    /// not be there after a restart, as with any request whose answer was lost. When the client repeats the push, samples
    /// that the head already has count as taken and are in the record again.
    ///
    /// `out` is cleared first; keep it for the next push to save allocations.
    pub fn append(&self, batch: &WriteBatch, selection: Selection<'_>, generation: Generation, now_ms: i64, out: &mut AppendOutcome) {
        append::append(self, batch, selection, generation, now_ms, out);
    }

    /// Notes that the record of `out` is in the log, so that later records need not define its series again.
    pub fn confirm(&self, out: &AppendOutcome) {
        log::confirm(self, out);
    }

    /// All series that match all matchers and have chunks in `[min_t, max_t]` (both inclusive), with those chunks; chunks may
    /// hold samples outside of the range. Ascending by hash. No matchers: all series. For large answers rather
    /// [`Head::select_ids`] and [`Head::read_series`], whose errors it has.
    pub fn select(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<Vec<SeriesChunks>, HeadError> {
        let ids = self.select_ids(matchers, SelectOrder::ByHash);
        let mut out = Vec::new();
        self.read_series(&ids, min_t, max_t, &mut out)?;
        Ok(out)
    }

    /// The series that match all matchers, whatever their time range.
    #[must_use]
    pub fn select_ids(&self, matchers: &[Matcher], order: SelectOrder) -> Vec<SeriesRef> {
        select::select_ids(self, matchers, order)
    }

    /// Appends to `out` the series of `ids`, in their order, with their chunks in `[min_t, max_t]` (inclusive). Series that are
    /// gone by now or have nothing in the range are left out. Call it with some hundred ids at a time: locks are held for
    /// about as long as one series takes, and the caller can weigh the answer against its budget in between. A chunk that has
    /// left memory and cannot be read is an error, never a hole; `out` then is as it was.
    pub fn read_series(&self, ids: &[SeriesRef], min_t: i64, max_t: i64, out: &mut Vec<SeriesChunks>) -> Result<(), HeadError> {
        read::read_series(self, ids, min_t, max_t, &Projection::WHOLE, out)
    }

    /// [`Head::read_series`] of what a reader looks at: often much less to copy and to decode.
    pub fn read_projected(
        &self,
        ids: &[SeriesRef],
        min_t: i64,
        max_t: i64,
        projection: &Projection,
        out: &mut Vec<SeriesChunks>,
    ) -> Result<(), HeadError> {
        read::read_series(self, ids, min_t, max_t, projection, out)
    }

    /// The label sets of at most `limit` series that match all matchers and have chunks in `[min_t, max_t]`.
    #[must_use]
    pub fn series(&self, matchers: &[Matcher], min_t: i64, max_t: i64, limit: usize) -> Vec<Labels> {
        read::series(self, matchers, min_t, max_t, limit)
    }

    /// The names of labels of series that match and have chunks in the range; sorted, at most `limit`. Without matchers those of
    /// all series, if the head has anything in the range.
    #[must_use]
    pub fn label_names(&self, matchers: &[Matcher], min_t: i64, max_t: i64, limit: usize) -> Vec<String> {
        read::label_names(self, matchers, min_t, max_t, limit)
    }

    /// The values of the label `name` of series that match and have chunks in the range; sorted, at most `limit`. Without
    /// matchers those of all series, if the head has anything in the range.
    #[must_use]
    pub fn label_values(&self, name: &str, matchers: &[Matcher], min_t: i64, max_t: i64, limit: usize) -> Vec<String> {
        read::label_values(self, name, matchers, min_t, max_t, limit)
    }

    /// How many series that match and have chunks in the range have each label of these names; without names, each label. `None` if the labels
    /// take more than `max_bytes`. Without matchers and with an open range it costs as much as there are labels, else as there are series.
    #[must_use]
    pub fn cardinality(&self, names: &[String], matchers: &[Matcher], min_t: i64, max_t: i64, max_bytes: usize) -> Option<Cardinality> {
        cardinality::cardinality(self, names, matchers, min_t, max_t, max_bytes)
    }

    /// Metadata of one metric family or of all, sorted by family, at most `limit` entries.
    #[must_use]
    pub fn metadata(&self, family: Option<&str>, limit: usize) -> Vec<Metadata> {
        self.metadata.lock().list(family, limit)
    }

    /// The exemplars in `[min_t, max_t]` of series that match all matchers of at least one set; ordered by labels.
    #[must_use]
    pub fn exemplars(&self, sets: &[Vec<Matcher>], min_t: i64, max_t: i64) -> Vec<SeriesExemplars> {
        self.exemplars.lock().select(sets, min_t, max_t)
    }

    /// Takes over everything that `other` holds, as if it were replayed: what is here already is not doubled, and of two values for
    /// one time the one that is here stays. `other` took its pushes while this head was being restored; this head goes on with the
    /// references of `other` in the log. Nobody may append to either of them meanwhile. An error leaves a part of it here.
    pub fn absorb(self: &Arc<Self>, other: &Self) -> Result<ReplayStats, HeadError> {
        replay::absorb::absorb(self, other)
    }

    /// The newest time of all samples that it ever had; `None` if it had none.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        Some(self.totals.max_t()).filter(|t| *t != i64::MIN)
    }

    /// Counters and sizes. Walks all series: some milliseconds per 100,000.
    #[must_use]
    pub fn stats(&self) -> HeadStats {
        stats::collect(self)
    }

    /// Moves finished chunks from memory to `files`. Stripes are locked for about a hundred series at a time and not while anything is written. After an
    /// error (the disk is full, say) chunks that were not written are in memory as before, and the next call writes them.
    pub fn offload(&self, files: &HeadChunks) -> Result<Offloaded, HeadChunkError> {
        offload::offload(self, files)
    }

    /// Drops chunks that end before `before_ms`, late samples before it that are in no chunk yet, and series that have nothing left, with their labels.
    /// Locks are taken for about a hundred series at a time.
    pub fn truncate(&self, before_ms: i64) -> Truncated {
        truncate::truncate(self, before_ms)
    }

    /// The width of the ranges at whose ends chunks end, in milliseconds.
    #[must_use]
    pub fn chunk_range_ms(&self) -> i64 {
        self.config.chunk_range_ms
    }

    /// Seals all chunks of samples before `before_ms`: ends open chunks whose newest sample is before it, and marks every finished chunk that
    /// ends before it. Sealed chunks do not change any more; what is appended later, whatever its time, is in other chunks. Gives the starts of the
    /// aligned ranges ([`Head::chunk_range_ms`]) that have sealed chunks, ascending. Queries see no difference.
    pub fn seal(&self, before_ms: i64) -> Vec<i64> {
        seal::seal(self, before_ms)
    }

    /// The series with sealed chunks in `[min_t, max_t]` (inclusive), in label order, for [`Head::read_sealed`].
    pub(crate) fn sealed_in_label_order(&self, min_t: i64, max_t: i64) -> Vec<u32> {
        label_order::sealed_in_label_order(self, min_t, max_t)
    }

    /// Appends to `out` the series of [`Head::sealed_in_label_order`], in their order, with the sealed chunks that reach into the range.
    pub(crate) fn read_sealed(&self, ids: &[u32], min_t: i64, max_t: i64, out: &mut Vec<SeriesChunks>) -> Result<(), HeadError> {
        seal::read_sealed(self, ids, min_t, max_t, out)
    }

    /// Drops the sealed chunks that lie in one of these ranges, named by their starts, ascending, and series that have nothing left. For ranges that are
    /// in a block which every query sees. Nothing is refused that was taken before.
    pub fn drop_sealed(&self, ranges: &[i64]) -> Truncated {
        seal::drop_sealed(self, ranges)
    }
}

#[cfg(test)]
pub(crate) mod tests;
