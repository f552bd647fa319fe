//! Where a writer or a reader is in a chunk, and how one sample is written and read. Both go through the same states, so an
//! appender that resumes takes over a reader's.

use super::super::ChunkError;
use super::super::bitstream::{BitReader, BitWriter};
use super::super::varbit::{put_int, take_int};
use super::super::xor::XorWindow;
use super::MAX_HISTOGRAM_BUCKETS;
use super::kind::{Column, Counts, Kind};
use super::layout::Layout;

/// See the module's description.
#[derive(Debug)]
pub(super) struct State<K: Kind> {
    pub(super) layout: Layout,
    pub(super) samples: u16,
    pub(super) t: i64,
    t_delta: i64,
    total: K::Column,
    zero: K::Column,
    /// The bits of the sum.
    sum: u64,
    window: XorWindow,
    /// Positive, then negative buckets.
    columns: Vec<K::Column>,
}

// Derived, it would ask for a `Clone` of the kind itself.
impl<K: Kind> Clone for State<K> {
    fn clone(&self) -> Self {
        Self { layout: self.layout.clone(), columns: self.columns.clone(), ..*self }
    }
}

impl<K: Kind> State<K> {
    /// The state before the first sample.
    pub(super) fn new(layout: Layout) -> Self {
        let (total, zero, columns) = (K::Column::default(), K::Column::default(), vec![K::Column::default(); layout.buckets()]);
        Self { layout, samples: 0, t: 0, t_delta: 0, total, zero, sum: 0, window: XorWindow::NONE, columns }
    }

    /// The sum of the last sample.
    pub(super) fn sum(&self) -> f64 {
        f64::from_bits(self.sum)
    }

    /// Whether the last sample is a stale marker.
    pub(super) fn is_stale(&self) -> bool {
        self.samples > 0 && self.sum == model::STALE_NAN_BITS
    }

    /// The counts of the last sample.
    pub(super) fn counts(&self) -> Counts {
        let buckets = self.columns.iter().map(Column::word).collect();
        Counts { total: self.total.word(), zero: self.zero.word(), buckets }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let spans = self.layout.positive.capacity() + self.layout.negative.capacity() + self.layout.custom.capacity();
        spans * 8 + self.columns.capacity() * size_of::<K::Column>()
    }

    /// Writes a sample whose buckets are those of the layout.
    pub(super) fn put(&mut self, out: &mut BitWriter, t: i64, sum: f64, counts: &Counts) {
        debug_assert_eq!(counts.buckets.len(), self.columns.len());
        if self.samples == 0 {
            self.layout.put(out);
            put_int(out, t);
            self.total.put_total(out, counts.total);
            self.zero.put_total(out, counts.zero);
            out.put(sum.to_bits(), 64);
            for (column, word) in self.columns.iter_mut().zip(&counts.buckets) {
                column.put_bucket(out, *word);
            }
        } else {
            self.put_time(out, t);
            self.total.put_next(out, counts.total);
            self.zero.put_next(out, counts.zero);
            self.put_sum(out, sum);
            for (column, word) in self.columns.iter_mut().zip(&counts.buckets) {
                column.put_next(out, *word);
            }
        }
        self.end(out, t, sum);
    }

    /// Writes a stale marker, which has no buckets.
    pub(super) fn put_stale(&mut self, out: &mut BitWriter, t: i64, sum: f64) {
        if self.samples == 0 {
            *self = Self::new(Layout::default());
            self.put(out, t, sum, &Counts::default());
            return;
        }
        self.put_time(out, t);
        self.total.put_stale(out);
        self.zero.put_stale(out);
        self.put_sum(out, sum);
        self.end(out, t, sum);
    }

    fn put_time(&mut self, out: &mut BitWriter, t: i64) {
        let delta = t.wrapping_sub(self.t);
        put_int(out, delta.wrapping_sub(self.t_delta));
        self.t_delta = delta;
    }

    fn put_sum(&mut self, out: &mut BitWriter, sum: f64) {
        self.window.put(&mut out.bytes, &mut out.used, self.sum ^ sum.to_bits(), 0, 0);
    }

    fn end(&mut self, out: &mut BitWriter, t: i64, sum: f64) {
        self.t = t;
        self.sum = sum.to_bits();
        self.samples += 1;
        if let Some(count) = out.bytes.first_chunk_mut::<2>() {
            *count = self.samples.to_be_bytes();
        }
    }

    /// Reads the layout and the first sample.
    pub(super) fn take_first(reader: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let layout = Layout::take(reader)?;
        debug_assert!(layout.buckets() <= 2 * MAX_HISTOGRAM_BUCKETS as usize);
        if layout.buckets() > reader.left() / K::Column::MIN_FIRST_BITS {
            return Err(ChunkError::Truncated);
        }
        let mut state = Self::new(layout);
        state.t = take_int(reader);
        state.total.take_total(reader);
        state.zero.take_total(reader);
        state.sum = reader.take(64);
        for column in &mut state.columns {
            column.take_bucket(reader);
        }
        state.samples = 1;
        reader.check()?;
        Ok(state)
    }

    /// Reads a later sample.
    pub(super) fn take_next(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.t_delta = self.t_delta.wrapping_add(take_int(reader));
        self.t = self.t.wrapping_add(self.t_delta);
        self.total.take_next(reader)?;
        self.zero.take_next(reader)?;
        self.sum ^= self.window.take(reader, 0)?;
        // Checked before the buckets, so that a count that lies costs one step and not one per bucket.
        reader.check()?;
        self.samples = self.samples.saturating_add(1);
        if !self.is_stale() {
            for column in &mut self.columns {
                column.take_next(reader)?;
            }
        }
        reader.check()
    }
}
