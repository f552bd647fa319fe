//! Counters and sizes.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::Head;
use super::outcome::AppendOutcome;
use super::truncate::Truncated;

/// Counters since the head was made.
#[derive(Debug)]
pub(super) struct Totals {
    samples: AtomicU64,
    histograms: AtomicU64,
    out_of_order: AtomicU64,
    exemplars: AtomicU64,
    created: AtomicU64,
    collected: AtomicU64,
    dropped_chunks: AtomicU64,
    min_t: AtomicI64,
    max_t: AtomicI64,
}

impl Default for Totals {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            samples: zero(),
            histograms: zero(),
            out_of_order: zero(),
            exemplars: zero(),
            created: zero(),
            collected: zero(),
            dropped_chunks: zero(),
            min_t: AtomicI64::new(i64::MAX),
            max_t: AtomicI64::new(i64::MIN),
        }
    }
}

impl Totals {
    pub(super) fn add(&self, out: &AppendOutcome) {
        for (total, more) in [
            (&self.samples, out.samples),
            (&self.histograms, out.histograms),
            (&self.out_of_order, out.out_of_order),
            (&self.exemplars, out.exemplars),
            (&self.created, out.created),
        ] {
            if more > 0 {
                total.fetch_add(more, Relaxed);
            }
        }
        self.note_times(out.min_t, out.record.max_t);
    }

    pub(super) fn note_times(&self, min_t: i64, max_t: i64) {
        // Most pushes are newer than the oldest sample: read before write.
        if min_t < self.min_t.load(Relaxed) {
            self.min_t.fetch_min(min_t, Relaxed);
        }
        if max_t > self.max_t.load(Relaxed) {
            self.max_t.fetch_max(max_t, Relaxed);
        }
    }

    pub(super) fn truncated(&self, what: &Truncated, before: i64) {
        self.collected.fetch_add(what.series, Relaxed);
        self.dropped_chunks.fetch_add(what.chunks, Relaxed);
        self.min_t.fetch_max(before, Relaxed);
    }

    pub(super) fn dropped(&self, what: &Truncated) {
        self.collected.fetch_add(what.series, Relaxed);
        self.dropped_chunks.fetch_add(what.chunks, Relaxed);
    }

    pub(super) fn min_t(&self) -> i64 {
        self.min_t.load(Relaxed)
    }

    pub(super) fn max_t(&self) -> i64 {
        self.max_t.load(Relaxed)
    }
}

/// What a head holds and has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series now.
    pub series: u64,
    /// Distinct label pairs now.
    pub label_pairs: u64,
    /// Distinct label names that series have now.
    pub label_names: u64,
    /// Chunks now, open ones included.
    pub chunks: u64,
    /// Samples in open chunks now.
    pub open_samples: u64,
    /// Chunks of late samples now; they are among `chunks`.
    pub late_chunks: u64,
    /// Late samples that are in no chunk yet.
    pub late_open_samples: u64,
    /// Exemplars now.
    pub exemplars: u64,
    /// Not newer than the oldest sample; `None` while there is none.
    pub min_t: Option<i64>,
    /// The newest sample; `None` while there is none.
    pub max_t: Option<i64>,
    /// Float samples ever taken, those of a replay not counted.
    pub samples_total: u64,
    /// Histograms ever taken, likewise.
    pub histograms_total: u64,
    /// Of both, those that were older than the newest of their series.
    pub out_of_order_total: u64,
    /// Exemplars ever taken, likewise.
    pub exemplars_total: u64,
    /// Series ever created, likewise.
    pub created_total: u64,
    /// Series ever collected.
    pub collected_total: u64,
    /// Chunks ever dropped.
    pub dropped_chunks_total: u64,
    /// Where the memory is.
    pub memory: MemoryStats,
}

/// Bytes by structure, as asked from the allocator (its own overhead is not in it).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Tables from hash to slot.
    pub tables: usize,
    /// Hot entries.
    pub hot: usize,
    /// Cold entries and lists of finished chunks.
    pub cold: usize,
    /// Series' lists of label pairs.
    pub series_labels: usize,
    /// Bytes of open chunks.
    pub open_chunks: usize,
    /// Bytes of finished chunks that have not left memory yet.
    pub closed_chunks: usize,
    /// Structures of late samples, and those that are in no chunk yet; the bytes of their chunks are with the finished ones.
    pub late: usize,
    /// Text of label pairs and names.
    pub label_text: usize,
    /// Structures of label pairs, short postings lists included.
    pub label_pairs: usize,
    /// Long postings lists.
    pub postings: usize,
    /// Exemplars.
    pub exemplars: usize,
    /// Metadata.
    pub metadata: usize,
}

impl MemoryStats {
    /// The sum.
    #[must_use]
    pub fn total(&self) -> usize {
        let series = self.tables + self.hot + self.cold + self.series_labels;
        let labels = self.label_text + self.label_pairs + self.postings;
        series + labels + self.open_chunks + self.closed_chunks + self.late + self.exemplars + self.metadata
    }
}

/// See [`Head::stats`].
pub(super) fn collect(head: &Head) -> HeadStats {
    let totals = &head.totals;
    let empty = totals.max_t() == i64::MIN;
    let mut stats = HeadStats {
        series: head.series_count() as u64,
        min_t: (!empty).then(|| totals.min_t()),
        max_t: (!empty).then(|| totals.max_t()),
        samples_total: totals.samples.load(Relaxed),
        histograms_total: totals.histograms.load(Relaxed),
        out_of_order_total: totals.out_of_order.load(Relaxed),
        exemplars_total: totals.exemplars.load(Relaxed),
        created_total: totals.created.load(Relaxed),
        collected_total: totals.collected.load(Relaxed),
        dropped_chunks_total: totals.dropped_chunks.load(Relaxed),
        ..HeadStats::default()
    };
    collect_index(head, &mut stats);
    for stripe in 0..head.stripes.len() {
        collect_stripe(head, stripe, &mut stats);
    }
    let exemplars = head.exemplars.lock();
    stats.exemplars = exemplars.len() as u64;
    stats.memory.exemplars = exemplars.heap_bytes();
    stats.memory.metadata = head.metadata.lock().heap_bytes();
    stats
}

fn collect_index(head: &Head, stats: &mut HeadStats) {
    let index = head.index.read();
    let [text, pairs, postings] = index.heap_bytes();
    stats.label_pairs = index.pair_count() as u64;
    stats.label_names = index.names().count() as u64;
    (stats.memory.label_text, stats.memory.label_pairs, stats.memory.postings) = (text, pairs, postings);
}

fn collect_stripe(head: &Head, stripe: usize, stats: &mut HeadStats) {
    let stripe = head.stripes[stripe].read();
    let memory = &mut stats.memory;
    let [tables, hot, cold, pairs] = stripe.heap_bytes();
    memory.tables += tables;
    memory.hot += hot;
    memory.cold += cold;
    memory.series_labels += pairs;
    for slot in 0..stripe.slots() {
        let (Some(hot), Some(cold)) = (stripe.hot.get(slot), stripe.cold.get(slot)) else { continue };
        let (samples, bytes) = hot.open_size();
        stats.open_samples += samples;
        stats.chunks += cold.chunks.len() as u64 + u64::from(samples > 0);
        memory.open_chunks += bytes;
        memory.cold += cold.chunks.capacity() * size_of::<super::series::ClosedChunk>();
        memory.closed_chunks += cold.finished().map(super::series::ClosedChunk::heap_bytes).sum::<usize>();
        if let Some(late) = &cold.late {
            stats.late_chunks += late.chunks.len() as u64;
            stats.late_open_samples += late.waiting() as u64;
            stats.chunks += late.chunks.len() as u64;
            memory.late += late.heap_bytes();
        }
    }
}
