//! The result of an append, and the buffers that appends use again and again.

use model::{RejectReason, RejectedSeries, WriteBatch};

use crate::wal::{Generation, WalRecord};

/// Which series of a batch to append.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    /// All.
    All,
    /// These indexes into [`WriteBatch::series`]; those out of range are left out. The batch's metadata is appended as well.
    Indices(&'a [u32]),
}

impl Selection<'_> {
    /// How many series.
    #[must_use]
    pub fn len(self, batch: &WriteBatch) -> usize {
        match self {
            Self::All => batch.series.len(),
            Self::Indices(indices) => indices.len(),
        }
    }

    /// The index of the series at a position of the selection.
    #[inline]
    pub(super) fn series(self, position: u32) -> u32 {
        match self {
            Self::All => position,
            Self::Indices(indices) => indices.get(position as usize).copied().unwrap_or(u32::MAX),
        }
    }
}

/// What an append did.
#[derive(Debug, Default)]
pub struct AppendOutcome {
    /// What was refused; at most one entry per series and reason.
    pub rejected: Vec<RejectedSeries>,
    /// Series of a batch without labels ([`WriteBatch::is_by_hash`]) of which nothing was taken: they are not there, or the log does not know them yet.
    pub unknown: Vec<u32>,
    /// Float samples taken.
    pub samples: u64,
    /// Histogram samples taken.
    pub histograms: u64,
    /// Of the samples taken, those that were older than the newest of their series.
    pub out_of_order: u64,
    /// Exemplars taken.
    pub exemplars: u64,
    /// Samples that the head had already, with the same bits; they count as taken towards the sender.
    pub duplicates: u64,
    /// Series created.
    pub created: u64,
    /// Metadata entries refused because the head has `max_metadata` families.
    pub refused_metadata: u32,
    /// Series of the batch that the record defines for the log.
    pub defined: u64,
    pub(super) record: WalRecord,
    /// The record's, kept when the record is taken out.
    pub(super) generation: Generation,
    /// The oldest time taken.
    pub(super) min_t: i64,
    /// Families whose metadata is in the record.
    pub(super) families: Vec<String>,
    pub(super) scratch: Scratch,
}

/// Buffers of one append.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Positions of the selection, grouped by stripe.
    pub(super) order: Vec<u32>,
    /// Where each stripe's group ends in `order`.
    pub(super) ends: Vec<u32>,
    /// What became of each position.
    pub(super) places: Vec<Place>,
    /// Positions whose series is not there, then is made.
    pub(super) missing: Vec<u32>,
    /// Indexes of refused samples in the batch's columns.
    pub(super) refused_samples: Vec<u32>,
    pub(super) refused_histograms: Vec<u32>,
    /// Definitions in the record.
    pub(super) definitions: Vec<Definition>,
    /// Literals of the record's definitions.
    pub(super) dictionary: crate::wal::record::Dictionary,
}

/// Where the series at a position of the selection is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) id: u32,
    pub(super) reference: u32,
    pub(super) state: PlaceState,
    /// Some of its samples were refused.
    pub(super) partial: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum PlaceState {
    /// Not in the head.
    #[default]
    Absent,
    /// In the head, and the log knows the reference.
    Logged,
    /// In the head; the log may not know it yet.
    Unlogged,
}

/// A definition in the record, for [`super::Head::confirm`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Definition {
    pub(super) position: u32,
    pub(super) id: u32,
    pub(super) reference: u32,
}

/// What kind of thing was refused.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refused {
    Sample,
    Histogram,
    Exemplar,
}

impl AppendOutcome {
    /// An empty outcome.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The record for the log; its body is empty when nothing was taken.
    #[must_use]
    pub fn record(&self) -> &WalRecord {
        &self.record
    }

    /// Takes the record out, to be given to the log.
    #[must_use]
    pub fn take_record(&mut self) -> WalRecord {
        std::mem::take(&mut self.record)
    }

    /// Gives a buffer back whose record has been written.
    pub fn recycle(&mut self, mut record: WalRecord) {
        record.body.clear();
        self.record.body = record.body;
    }

    /// Whether there is nothing for the log.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record.body.is_empty()
    }

    /// Notes the time of a sample that the head has.
    #[inline]
    pub(super) fn note_time(&mut self, t: i64) {
        self.record.max_t = self.record.max_t.max(t);
        self.min_t = self.min_t.min(t);
    }

    pub(super) fn clear(&mut self, generation: Generation) {
        self.rejected.clear();
        self.unknown.clear();
        (self.samples, self.histograms, self.exemplars, self.duplicates, self.created, self.defined) = (0, 0, 0, 0, 0, 0);
        (self.out_of_order, self.refused_metadata) = (0, 0);
        self.record.body.clear();
        self.record.generation = generation;
        self.generation = generation;
        self.min_t = i64::MAX;
        self.families.clear();
        self.record.max_t = i64::MIN;
        let s = &mut self.scratch;
        for list in [&mut s.order, &mut s.ends, &mut s.missing, &mut s.refused_samples, &mut s.refused_histograms] {
            list.clear();
        }
        s.places.clear();
        s.definitions.clear();
        s.dictionary.clear();
    }

    /// Counts a refusal. `detail` is asked for the first of a series and reason only.
    #[cold]
    pub(super) fn reject(&mut self, series: u32, reason: RejectReason, kind: Refused, count: u32, detail: impl FnOnce() -> String) {
        let of_series = self.rejected.iter_mut().rev().take_while(|r| r.series == series);
        let entry = match of_series.into_iter().find(|r| r.reason == reason) {
            Some(entry) => entry,
            None => {
                let detail = detail();
                self.rejected.push(RejectedSeries { series, reason, samples: 0, histograms: 0, exemplars: 0, detail });
                let Some(entry) = self.rejected.last_mut() else { return };
                entry
            }
        };
        match kind {
            Refused::Sample => entry.samples += count,
            Refused::Histogram => entry.histograms += count,
            Refused::Exemplar => entry.exemplars += count,
        }
    }
}
