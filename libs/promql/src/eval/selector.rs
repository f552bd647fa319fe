//! Reading series from the store.

use std::sync::Arc;

use model::{Labels, SeriesChunks, SeriesHash, is_stale_nan};

use super::column::{StepVector, is_absent};
use super::columns::{Columns, Kernel};
use super::decode::Decoder;
use super::meter::Meter;
use super::samples::Samples;
use super::series::{Series, Stream};
use super::{QueryState, batch_len, column_bytes, smoothed};
use crate::error::QueryError;
use crate::limits::Charge;
use crate::plan::{SampleRead, SelectorPlan};
use crate::storage::{Queryable, SelectRequest, SeriesSource};

/// One selector's series, decoded one at a time.
pub(super) struct Feed {
    source: Box<dyn SeriesSource>,
    pending: std::vec::IntoIter<SeriesChunks>,
    fetched: Charge,
    decoder: Decoder,
    /// The identity of the last series.
    hash: SeriesHash,
    /// Whether the store was told that some labels do not matter.
    some_labels: bool,
    start_times: bool,
    state: Arc<QueryState>,
}

impl Feed {
    /// Asks the store for the selector's series.
    pub(super) fn open(plan: &SelectorPlan, storage: &dyn Queryable, state: &Arc<QueryState>) -> Result<Self, QueryError> {
        let (min_t, max_t) = plan.time_range();
        let request = SelectRequest { matchers: Arc::clone(&plan.matchers), min_t, max_t, hints: plan.hints.clone() };
        Ok(Self {
            source: storage.select(request)?,
            pending: Vec::new().into_iter(),
            fetched: Charge::none(&state.budget),
            decoder: Decoder::new(plan, state),
            hash: SeriesHash(0),
            some_labels: plan.hints.projection.labels.is_some(),
            start_times: plan.hints.start_times,
            state: Arc::clone(state),
        })
    }

    /// Whether `labels`, which came last, may lack some of the series' labels. Such a series is told from others by its hash alone.
    pub(super) fn is_projected(&self, labels: &Labels) -> bool {
        self.lacks_labels(labels, self.hash)
    }

    /// The same of any series of this selector.
    pub(super) fn lacks_labels(&self, labels: &Labels, hash: SeriesHash) -> bool {
        self.some_labels && hash != labels.hash()
    }

    /// The next series with a sample in the selector's time range, stale markers included.
    pub(super) fn next(&mut self) -> Result<Option<(Labels, &mut Samples)>, QueryError> {
        loop {
            let Some(series) = self.pending.next() else {
                if !self.fetch()? {
                    return Ok(None);
                }
                continue;
            };
            let starts = if self.start_times { self.source.start_times(series.hash) } else { None };
            if self.decoder.decode(&series, starts.as_deref())?.is_some() {
                self.hash = series.hash;
                return Ok(Some((series.labels, self.decoder.samples())));
            }
        }
    }

    /// Up to `most` series as the store gave them; none at the end. Not for selectors that ask for start times.
    pub(super) fn next_encoded(&mut self, most: usize) -> Result<Vec<SeriesChunks>, QueryError> {
        if self.pending.len() == 0 && !self.fetch()? {
            return Ok(Vec::new());
        }
        Ok(self.pending.by_ref().take(most).collect())
    }

    fn fetch(&mut self) -> Result<bool, QueryError> {
        self.state.check()?;
        self.fetched.set(0)?;
        let Some(batch) = self.source.next_batch()? else { return Ok(false) };
        self.state.budget.add_series(batch.len())?;
        self.fetched.set(batch.iter().map(SeriesChunks::heap_bytes).sum())?;
        self.pending = batch.into_iter();
        Ok(true)
    }
}

/// An instant vector selector: at each step the latest sample that is younger than the lookback, unless it is a stale marker; with
/// `smoothed`, what lies between the samples around the step.
pub(super) struct InstantSelector {
    feed: Feed,
    plan: SelectorPlan,
    read: SampleRead,
    meter: Meter,
    /// Computes columns if other threads help.
    columns: Option<Columns>,
    in_flight: Charge,
    state: Arc<QueryState>,
}

impl InstantSelector {
    /// `read` says what of the sample is yielded.
    pub(super) fn open(
        plan: &SelectorPlan,
        read: SampleRead,
        storage: &dyn Queryable,
        meter: Meter,
        state: &Arc<QueryState>,
    ) -> Result<Self, QueryError> {
        let in_flight = Charge::none(&state.budget);
        let alone = plan.extended.is_some() || plan.hints.start_times;
        let columns = if alone { None } else { Columns::new(Kernel::Latest(plan.clone(), read), plan, state) };
        let feed = Feed::open(plan, storage, state)?;
        Ok(Self { feed, plan: plan.clone(), read, meter, columns, in_flight, state: Arc::clone(state) })
    }

    /// [`Stream::next_batch`] with help.
    fn next_with(&mut self, columns: &Columns) -> Result<Option<Vec<Series>>, QueryError> {
        self.in_flight.set(0)?;
        loop {
            let encoded = self.feed.next_encoded(batch_len(self.plan.grid.count()))?;
            if encoded.is_empty() {
                return Ok(None);
            }
            let mut computed = columns.compute(encoded)?;
            computed.retain(|one| !one.column.is_empty());
            if computed.is_empty() {
                continue;
            }
            let mut batch = Vec::with_capacity(computed.len());
            for one in computed {
                self.meter.column(&one.column);
                batch.push(one.into_series(false, &mut self.in_flight)?);
            }
            return Ok(Some(batch));
        }
    }
}

impl Stream for InstantSelector {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if let Some(columns) = self.columns.take() {
            let batch = self.next_with(&columns);
            self.columns = Some(columns);
            return batch;
        }
        let steps = self.plan.grid.count();
        let len = batch_len(steps);
        let mut batch = Vec::new();
        let mut histograms = 0;
        while batch.len() < len {
            let Some((labels, samples)) = self.feed.next()? else { break };
            self.in_flight.set((batch.len() + 1) * column_bytes(steps) + histograms)?;
            let mut column = StepVector::absent(steps);
            if self.read == SampleRead::Value && self.plan.extended.is_some() {
                smoothed::fill(&self.plan, &labels, samples, &self.state, &mut column);
            } else {
                look_back(&self.plan, samples, self.read, &mut column);
            }
            if !column.is_empty() {
                self.meter.column(&column);
                histograms += column.histogram_bytes();
                batch.push(Series { labels, drop_name: false, first: None, column });
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn whole(&self) -> bool {
        true
    }
}

/// Fills a column with the latest sample at each step.
pub(super) fn look_back(plan: &SelectorPlan, samples: &Samples, read: SampleRead, column: &mut StepVector) {
    let ts = samples.ts.as_slice();
    let mut next = 0;
    for (step, slot) in column.values.iter_mut().enumerate() {
        let at = plan.reference.at(plan.grid.at(step));
        while next < ts.len() && ts[next] <= at {
            next += 1;
        }
        let Some(last) = next.checked_sub(1) else { continue };
        // A stale marker is the mark of absence itself.
        if ts[last] > at.saturating_sub(plan.window_ms) && !is_absent(samples.vs[last]) {
            *slot = match read {
                SampleRead::Value => samples.vs[last],
                SampleRead::Timestamp => seconds(ts[last]),
                SampleRead::StartTimestamp => seconds(samples.float_starts.get(last).copied().unwrap_or_default()),
            };
        }
    }
    if !samples.histograms.is_empty() {
        look_back_at_histograms(plan, samples, read, column);
    }
}

/// Replaces floats by histograms that are later.
fn look_back_at_histograms(plan: &SelectorPlan, samples: &Samples, read: SampleRead, column: &mut StepVector) {
    for step in 0..column.values.len() {
        let at = plan.reference.at(plan.grid.at(step));
        let float = samples.ts.partition_point(|t| *t <= at).checked_sub(1).map(|i| samples.ts[i]);
        let Some(last) = samples.histograms.partition_point(|(t, _)| *t <= at).checked_sub(1) else { continue };
        let (t, histogram) = &samples.histograms[last];
        if *t <= at.saturating_sub(plan.window_ms) || float.is_some_and(|f| f > *t) {
            continue;
        }
        column.values[step] = super::ABSENT;
        if is_stale_nan(histogram.sum) {
            continue;
        }
        match read {
            SampleRead::Value => column.put_histogram(step, Arc::clone(histogram)),
            SampleRead::Timestamp => column.values[step] = seconds(*t),
            SampleRead::StartTimestamp => {
                column.values[step] = seconds(samples.histogram_starts.get(last).copied().unwrap_or_default());
            }
        }
    }
}

fn seconds(t: i64) -> f64 {
    t as f64 / 1000.0
}
