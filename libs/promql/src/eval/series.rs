//! What flows between operators.

use model::Labels;

use super::column::StepVector;
use super::identity::{SeriesMap, without_metadata};
use super::presence::Presence;
use super::{QueryState, batch_len};
use crate::error::QueryError;
use crate::limits::Charge;

/// One series of a vector: labels and a column over all steps.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// The labels.
    pub(crate) labels: Labels,
    /// With delayed name removal: the metadata labels go at the end.
    pub(crate) drop_name: bool,
    /// Where the order of series matters and is not that of `labels`: it is that of these, which Prometheus met first for this series.
    pub(crate) first: Option<Labels>,
    /// The values.
    pub(crate) column: StepVector,
}

impl Series {
    /// Bytes held.
    pub(super) fn heap_bytes(&self) -> usize {
        let first = self.first.as_ref().map_or(0, |labels| labels.as_bytes().len());
        size_of::<Self>() + self.labels.as_bytes().len() + first + self.column.heap_bytes()
    }

    /// What it is ordered by among other series of its vector.
    pub(super) fn order(&self) -> &Labels {
        self.first.as_ref().unwrap_or(&self.labels)
    }

    /// Takes other labels and keeps its place in the order.
    pub(super) fn relabel(&mut self, labels: Labels, state: &QueryState) {
        let before = std::mem::replace(&mut self.labels, labels);
        if state.ordered && self.first.is_none() && before != self.labels {
            self.first = Some(before);
        }
    }
}

/// An operator: yields the series of a vector, some at a time, each with all its steps.
///
/// The same labels may come in several pieces if [`Stream::whole`] is false; pieces of one series never have values at the same step,
/// which is checked where names are dropped or labels are written, with Prometheus's error. Operators that need a series
/// as a whole put [`Merge`] in between.
pub(crate) trait Stream: Send {
    /// The next few series, not empty, or `None` at the end. After an error the stream is at its end.
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError>;

    /// Whether every label set comes at most once.
    fn whole(&self) -> bool;

    /// Reads to the end. What a query does not need may still be wrong: Prometheus evaluates all of it, and its errors and
    /// annotations belong to the answer.
    fn drain(&mut self) -> Result<(), QueryError> {
        while self.next_batch()?.is_some() {}
        Ok(())
    }
}

/// A stream behind a pointer.
pub(crate) type BoxStream = Box<dyn Stream>;

/// A stream of nothing.
pub(super) struct Nothing;

impl Stream for Nothing {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        Ok(None)
    }

    fn whole(&self) -> bool {
        true
    }
}

/// Series that have been computed, handed out in batches; their memory is returned as they go.
pub(super) struct Ready {
    series: std::vec::IntoIter<Series>,
    batch: usize,
    charge: Charge,
}

impl Ready {
    /// `charge` holds at least the bytes of `series`.
    pub(super) fn new(series: Vec<Series>, charge: Charge) -> Self {
        let steps = series.first().map_or(1, |s| s.column.values.len());
        Self { series: series.into_iter(), batch: batch_len(steps), charge }
    }

    pub(super) fn next_batch(&mut self) -> Option<Vec<Series>> {
        let batch: Vec<Series> = self.series.by_ref().take(self.batch).collect();
        self.charge.shrink(batch.iter().map(Series::heap_bytes).sum());
        (!batch.is_empty()).then_some(batch)
    }
}

/// Prometheus's text for a result in which two series have the same labels at one time.
pub(super) fn same_labelset() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".into())
}

/// Refuses two series with the same labels at one step.
pub(super) struct DuplicateGuard {
    seen: SeriesMap<Presence>,
    charge: Charge,
}

impl DuplicateGuard {
    pub(super) fn new(state: &QueryState) -> Self {
        Self { seen: SeriesMap::default(), charge: Charge::none(&state.budget) }
    }

    /// Takes note of a series; an error if one with the same labels had a value at one of its steps.
    pub(super) fn check(&mut self, series: &Series) -> Result<(), QueryError> {
        let presence = Presence::of(&series.column);
        if let Some(seen) = self.seen.get_mut(&series.labels.hash()) {
            if seen.overlaps(&presence) {
                return Err(same_labelset());
            }
            seen.add(&presence);
            return Ok(());
        }
        self.charge.grow(64 + presence.heap_bytes())?;
        self.seen.insert(series.labels.hash(), presence);
        Ok(())
    }

    /// Takes note of a series that has values; an error if one with the same labels came before, at whatever steps.
    pub(super) fn check_whole(&mut self, series: &Series) -> Result<(), QueryError> {
        self.charge.grow(64)?;
        if self.seen.insert(series.labels.hash(), Presence::default()).is_some() { Err(same_labelset()) } else { Ok(()) }
    }
}

/// Drops the metadata labels of a series, now or (delayed name removal) at the end.
pub(super) fn drop_name(series: &mut Series, state: &QueryState) {
    if state.delayed_name_removal {
        series.drop_name = true;
    } else {
        let labels = without_metadata(&series.labels);
        series.relabel(labels, state);
    }
}

/// Puts the pieces of each series together.
pub(super) struct Merge {
    input: Option<BoxStream>,
    ready: Option<Ready>,
    charge: Option<Charge>,
}

impl Merge {
    /// `input` itself if its series are whole.
    pub(super) fn of(input: BoxStream, state: &QueryState) -> BoxStream {
        if input.whole() {
            return input;
        }
        Box::new(Self { input: Some(input), ready: None, charge: Some(Charge::none(&state.budget)) })
    }
}

impl Stream for Merge {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if let (Some(mut input), Some(mut charge)) = (self.input.take(), self.charge.take()) {
            let mut merged = Merged::default();
            while let Some(batch) = input.next_batch()? {
                for series in batch {
                    merged.add(series, &mut charge)?;
                }
            }
            self.ready = Some(Ready::new(merged.series, charge));
        }
        Ok(self.ready.as_mut().and_then(Ready::next_batch))
    }

    fn whole(&self) -> bool {
        true
    }
}

/// Series by label set, in the order of their first piece.
#[derive(Default)]
pub(super) struct Merged {
    index: SeriesMap<usize>,
    pub(super) series: Vec<Series>,
}

impl Merged {
    /// Adds a piece; an error if the series has a value at one of its steps already.
    pub(super) fn add(&mut self, piece: Series, charge: &mut Charge) -> Result<(), QueryError> {
        let hash = piece.labels.hash();
        if let Some(known) = self.index.get(&hash).and_then(|i| self.series.get_mut(*i)) {
            if Presence::of(&known.column).overlaps(&Presence::of(&piece.column)) {
                return Err(same_labelset());
            }
            known.drop_name |= piece.drop_name;
            known.column.absorb(piece.column);
            return Ok(());
        }
        charge.grow(piece.heap_bytes() + 32)?;
        self.index.insert(hash, self.series.len());
        self.series.push(piece);
        Ok(())
    }
}
