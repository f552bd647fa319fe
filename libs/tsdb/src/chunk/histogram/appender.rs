//! Appending: does a histogram fit the chunk, and what has to be rewritten for it?

use model::{CounterResetHint, Span, is_stale_nan};

use super::super::bitstream::{BitWriter, cut_at};
use super::super::{ChunkError, MAX_CHUNK_SAMPLES};
use super::decode::Decoder;
use super::kind::{Counts, Kind, Shape};
use super::layout::Layout;
use super::spans::Merge;
use super::state::State;
use super::{AppendOutcome, CutReason, MAX_HISTOGRAM_BUCKETS, ResetHeader};

/// Bytes before the bits: the count and the flags.
pub(super) const HEADER_BYTES: usize = 3;

/// Writes a chunk of one kind.
#[derive(Debug)]
pub(super) struct Appender<K: Kind> {
    out: BitWriter,
    state: State<K>,
}

// Derived, it would ask for a `Clone` of the kind itself.
impl<K: Kind> Clone for Appender<K> {
    fn clone(&self) -> Self {
        Self { out: self.out.clone(), state: self.state.clone() }
    }
}

/// How a histogram fits a chunk.
enum Fit {
    /// Its buckets are the chunk's.
    Same,
    /// One of them lacks buckets of the other.
    Merged(Merge, Merge),
}

impl<K: Kind> Appender<K> {
    pub(super) fn new(header: ResetHeader) -> Self {
        Self::with_layout(header, Layout::default())
    }

    fn with_layout(header: ResetHeader, layout: Layout) -> Self {
        Self { out: BitWriter { bytes: vec![0, 0, header as u8], used: 0 }, state: State::new(layout) }
    }

    pub(super) fn successor(&self, h: &K::Histogram) -> Self {
        let shape = K::shape(h);
        let counts = K::counts(h);
        if shape.hint == CounterResetHint::Gauge || self.state.samples == 0 {
            return Self::new(ResetHeader::Unknown);
        }
        if is_stale_nan(shape.sum) {
            return Self::new(ResetHeader::NotReset);
        }
        if self.check(&shape, &counts).is_err() {
            return Self::new(ResetHeader::Unknown);
        }
        Self::new(match self.fit(&shape, &counts) {
            Ok(_) => ResetHeader::NotReset,
            Err(CutReason::CounterReset | CutReason::CustomBounds) => ResetHeader::Reset,
            Err(_) => ResetHeader::Unknown,
        })
    }

    pub(super) fn append(&mut self, t: i64, h: &K::Histogram) -> AppendOutcome {
        let shape = K::shape(h);
        if self.state.samples == MAX_CHUNK_SAMPLES {
            return AppendOutcome::NeedsNewChunk(CutReason::Full);
        }
        if is_stale_nan(shape.sum) {
            self.begin(shape.hint);
            self.state.put_stale(&mut self.out, t, shape.sum);
            return AppendOutcome::Appended;
        }
        let counts = K::counts(h);
        let layout = match self.check(&shape, &counts) {
            Ok(layout) => layout,
            Err(e) => return AppendOutcome::Refused(e),
        };
        if self.state.samples == 0 {
            self.begin(shape.hint);
            self.state = State::new(layout.unwrap_or_else(|| self.state.layout.clone()));
            self.state.put(&mut self.out, t, shape.sum, &counts);
            return AppendOutcome::Appended;
        }
        match self.fit(&shape, &counts) {
            Err(reason) => AppendOutcome::NeedsNewChunk(reason),
            Ok(Fit::Same) => {
                self.state.put(&mut self.out, t, shape.sum, &counts);
                AppendOutcome::Appended
            }
            Ok(Fit::Merged(positive, negative)) => self.append_merged(t, &shape, counts, &positive, &negative),
        }
    }

    /// Before the first sample: what the sender says goes into the header.
    fn begin(&mut self, hint: CounterResetHint) {
        let header = match hint {
            _ if self.state.samples > 0 => return,
            CounterResetHint::Gauge => ResetHeader::Gauge,
            CounterResetHint::Reset => ResetHeader::Reset,
            CounterResetHint::Unknown | CounterResetHint::NotReset => return,
        };
        if let Some(flags) = self.out.bytes.get_mut(HEADER_BYTES - 1) {
            *flags = header as u8;
        }
    }

    fn header(&self) -> ResetHeader {
        ResetHeader::from_flags(self.out.bytes.get(HEADER_BYTES - 1).copied().unwrap_or_default())
    }

    /// Checks that a histogram is well formed; its layout, if it is not that of the chunk.
    fn check(&self, shape: &Shape<'_>, counts: &Counts) -> Result<Option<Layout>, ChunkError> {
        let ours = &self.state.layout;
        let is_ours = shape.schema == ours.schema
            && shape.zero_threshold.to_bits() == ours.zero_threshold.to_bits()
            && shape.positive == ours.positive
            && shape.negative == ours.negative
            && shape.bounds() == ours.custom;
        let theirs = if is_ours {
            None
        } else {
            Some(Layout::new(shape.schema, shape.zero_threshold, shape.positive, shape.negative, shape.bounds())?)
        };
        let layout = theirs.as_ref().unwrap_or(ours);
        if layout.positive_len() != shape.positive_len || layout.buckets() != counts.buckets.len() {
            return Err(ChunkError::Buckets { named: layout.buckets(), given: counts.buckets.len() });
        }
        Ok(theirs)
    }

    /// Whether a well-formed histogram, which is no stale marker, can follow the last sample.
    fn fit(&self, shape: &Shape<'_>, counts: &Counts) -> Result<Fit, CutReason> {
        let (state, layout) = (&self.state, &self.state.layout);
        let gauge = shape.hint == CounterResetHint::Gauge;
        if gauge != (self.header() == ResetHeader::Gauge) {
            return Err(CutReason::GaugeChange);
        }
        if shape.hint == CounterResetHint::Reset {
            return Err(CutReason::CounterReset);
        }
        if state.is_stale() {
            return Err(CutReason::AfterStale);
        }
        let last = state.counts();
        if !gauge && K::total_fell(last.total, counts.total) {
            return Err(CutReason::CounterReset);
        }
        if shape.schema != layout.schema {
            return Err(CutReason::Schema);
        }
        if shape.zero_threshold != layout.zero_threshold {
            return Err(CutReason::ZeroThreshold);
        }
        if shape.bounds() != layout.custom {
            return Err(CutReason::CustomBounds);
        }
        if !gauge && K::total_fell(last.zero, counts.zero) {
            return Err(CutReason::CounterReset);
        }
        self.fit_buckets(shape, &last.buckets, &counts.buckets, gauge)
    }

    fn fit_buckets(&self, shape: &Shape<'_>, last: &[u64], next: &[u64], gauge: bool) -> Result<Fit, CutReason> {
        let layout = &self.state.layout;
        let (last_p, last_n) = last.split_at_checked(layout.positive_len()).unwrap_or_default();
        let (next_p, next_n) = next.split_at_checked(shape.positive_len).unwrap_or_default();
        if shape.positive == layout.positive && shape.negative == layout.negative {
            if !gauge && (any_fell::<K>(last_p, next_p) || any_fell::<K>(last_n, next_n)) {
                return Err(CutReason::CounterReset);
            }
            return Ok(Fit::Same);
        }
        let positive = Merge::new(&layout.positive, shape.positive);
        let negative = Merge::new(&layout.negative, shape.negative);
        if positive.len().max(negative.len()) > MAX_HISTOGRAM_BUCKETS {
            return Err(CutReason::TooManyBuckets);
        }
        // A bucket that vanished has become 0: a reset, unless it was never used.
        let fell = |merge: &Merge, last, next| any_fell::<K>(&merge.widen_a::<K>(last), &merge.widen_b::<K>(next));
        if !gauge && (fell(&positive, last_p, next_p) || fell(&negative, last_n, next_n)) {
            return Err(CutReason::CounterReset);
        }
        Ok(Fit::Merged(positive, negative))
    }

    /// Appends a histogram that has buckets which the chunk lacks, or lacks some that the chunk has.
    fn append_merged(&mut self, t: i64, shape: &Shape<'_>, mut counts: Counts, positive: &Merge, negative: &Merge) -> AppendOutcome {
        counts.buckets = widen_both(&counts, shape.positive_len, |p, n| (positive.widen_b::<K>(p), negative.widen_b::<K>(n)));
        if !positive.a_lacks() && !negative.a_lacks() {
            self.state.put(&mut self.out, t, shape.sum, &counts);
            return AppendOutcome::Appended;
        }
        // Prometheus keeps the spans of the newcomer where they cover all, however it drew them.
        let gauge = shape.hint == CounterResetHint::Gauge;
        let any_lacks = positive.b_lacks() || negative.b_lacks();
        let spans = |merge: &Merge, theirs: &[Span]| {
            if merge.b_lacks() || (gauge && any_lacks) { merge.spans.clone() } else { theirs.to_vec() }
        };
        let recoded = self.recode(&spans(positive, shape.positive), &spans(negative, shape.negative), positive, negative);
        match recoded {
            Ok(recoded) => *self = recoded,
            Err(e) => return AppendOutcome::Refused(e),
        }
        self.state.put(&mut self.out, t, shape.sum, &counts);
        AppendOutcome::Recoded
    }

    /// The same samples in a wider layout.
    fn recode(&self, p_spans: &[Span], n_spans: &[Span], positive: &Merge, negative: &Merge) -> Result<Self, ChunkError> {
        let layout = self.state.layout.with_spans(p_spans, n_spans)?;
        let split = self.state.layout.positive_len();
        let mut wider = Self::with_layout(self.header(), layout);
        let mut decoder = Decoder::<K>::new(self.bytes())?;
        while let Some(state) = decoder.next()? {
            let mut counts = state.counts();
            counts.buckets = widen_both(&counts, split, |p, n| (positive.widen_a::<K>(p), negative.widen_a::<K>(n)));
            wider.state.put(&mut wider.out, state.t, state.sum(), &counts);
        }
        Ok(wider)
    }

    pub(super) fn resume(bytes: &[u8]) -> Result<Self, ChunkError> {
        if bytes.is_empty() {
            return Ok(Self::new(ResetHeader::Unknown));
        }
        let mut decoder = Decoder::<K>::new(bytes)?;
        while decoder.next()?.is_some() {}
        let end = decoder.position();
        let Some(state) = decoder.into_state() else {
            let flags = bytes.get(HEADER_BYTES - 1).copied().unwrap_or_default();
            return Ok(Self::new(ResetHeader::from_flags(flags)));
        };
        let (bytes, used) = cut_at(bytes, end);
        Ok(Self { out: BitWriter { bytes, used }, state })
    }

    pub(super) fn count(&self) -> u16 {
        self.state.samples
    }

    pub(super) fn last_t(&self) -> Option<i64> {
        (self.state.samples > 0).then_some(self.state.t)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.out.bytes
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.bytes.shrink_to_fit();
        self.out.bytes
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.out.bytes.capacity() + self.state.heap_bytes()
    }
}

/// Whether any bucket of one sign fell. Both have the same buckets.
fn any_fell<K: Kind>(last: &[u64], next: &[u64]) -> bool {
    let (mut from, mut to) = (0, 0);
    last.iter().zip(next).any(|(last, next)| {
        from = K::absolute(from, *last);
        to = K::absolute(to, *next);
        K::bucket_fell(from, to)
    })
}

fn widen_both(counts: &Counts, split: usize, widen: impl FnOnce(&[u64], &[u64]) -> (Vec<u64>, Vec<u64>)) -> Vec<u64> {
    let (positive, negative) = counts.buckets.split_at_checked(split).unwrap_or_default();
    let (mut buckets, negative) = widen(positive, negative);
    buckets.extend(negative);
    buckets
}
