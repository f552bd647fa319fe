//! Reading series from the store.

use std::sync::Arc;

use model::{Labels, SeriesChunks, SeriesHash, is_stale_nan};

use super::column::{StepVector, is_absent};
use super::meter::Meter;
use super::samples::Samples;
use super::series::{Series, Stream};
use super::{QueryState, batch_len, column_bytes, smoothed};
use crate::error::QueryError;
use crate::limits::Charge;
use crate::plan::{HistogramUse, SampleRead, SelectorPlan};
use crate::storage::{Queryable, SelectRequest, SeriesSource};

/// One selector's series, decoded one at a time.
pub(super) struct Feed {
    source: Box<dyn SeriesSource>,
    pending: std::vec::IntoIter<SeriesChunks>,
    fetched: Charge,
    decoded: Charge,
    samples: Samples,
    /// Samples decoded since the query last asked whether it may go on.
    since_check: usize,
    time_range: (i64, i64),
    /// The identity of the last series.
    hash: SeriesHash,
    /// Whether the store was told that some labels do not matter.
    some_labels: bool,
    start_times: bool,
    histograms: HistogramUse,
    state: Arc<QueryState>,
}

/// After how many samples a selector asks whether the query may go on: less than a millisecond of decoding.
const CHECK_AFTER: usize = 1 << 16;

impl Feed {
    /// Asks the store for the selector's series.
    pub(super) fn open(plan: &SelectorPlan, storage: &dyn Queryable, state: &Arc<QueryState>) -> Result<Self, QueryError> {
        let time_range = plan.time_range();
        let request =
            SelectRequest { matchers: Arc::clone(&plan.matchers), min_t: time_range.0, max_t: time_range.1, hints: plan.hints.clone() };
        Ok(Self {
            source: storage.select(request)?,
            pending: Vec::new().into_iter(),
            fetched: Charge::none(&state.budget),
            decoded: Charge::none(&state.budget),
            samples: Samples::default(),
            since_check: 0,
            time_range,
            hash: SeriesHash(0),
            some_labels: plan.hints.projection.labels.is_some(),
            start_times: plan.hints.start_times,
            histograms: plan.histograms,
            state: Arc::clone(state),
        })
    }

    /// Whether `labels`, which came last, may lack some of the series' labels. Such a series is told from others by its hash alone.
    pub(super) fn is_projected(&self, labels: &Labels) -> bool {
        self.some_labels && self.hash != labels.hash()
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
            let (min_t, max_t) = self.time_range;
            self.samples.decode(&series, min_t, max_t, &self.state.budget, &mut self.decoded)?;
            self.since_check += self.samples.len();
            if self.since_check > CHECK_AFTER {
                self.since_check = 0;
                self.state.check()?;
            }
            if !self.samples.is_empty() {
                self.hash = series.hash;
                if self.start_times
                    && let Some(known) = self.source.start_times(series.hash)
                {
                    self.decoded.grow(size_of::<i64>() * self.samples.len())?;
                    self.samples.set_starts(&known);
                }
                if self.histograms != HistogramUse::Buckets {
                    self.samples.keep_count_and_sum();
                }
                return Ok(Some((series.labels, &mut self.samples)));
            }
        }
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
        Ok(Self { feed: Feed::open(plan, storage, state)?, plan: plan.clone(), read, meter, in_flight, state: Arc::clone(state) })
    }
}

impl Stream for InstantSelector {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
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
