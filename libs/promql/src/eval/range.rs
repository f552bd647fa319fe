//! Range functions over selectors and subqueries.

use std::sync::Arc;

use model::Labels;
use model::matcher::quote;

use super::column::{StepVector, is_absent};
use super::columns::{Columns, Kernel};
use super::meter::Meter;
use super::presence::Presence;
use super::samples::Samples;
use super::scalar::ScalarSource;
use super::selector::Feed;
use super::series::{DuplicateGuard, Series, Stream, drop_name};
use super::subquery::SubqueryFeed;
use super::{QueryState, batch_len, column_bytes};
use crate::error::QueryError;
use crate::functions::range::{RangeCall, RangeNotes, RangeScratch};
use crate::limits::Charge;
use crate::parser::ast::TextSpan;
use crate::plan::SelectorPlan;

/// Where windows come from.
pub(super) enum WindowFeed {
    /// A range selector.
    Selector(Feed),
    /// A subquery.
    Subquery(SubqueryFeed),
}

impl WindowFeed {
    /// The next series: its labels, whether its name is to be dropped at the end, and its samples without stale markers.
    pub(super) fn next(&mut self) -> Result<Option<(Labels, bool, &Samples)>, QueryError> {
        match self {
            Self::Subquery(feed) => feed.next(),
            Self::Selector(feed) => {
                let next = feed.next()?;
                Ok(next.map(|(labels, samples)| {
                    samples.drop_stale();
                    (labels, false, &*samples)
                }))
            }
        }
    }

    /// Whether `labels`, which came last, may lack some of the series' labels.
    fn is_projected(&self, labels: &Labels) -> bool {
        match self {
            Self::Subquery(_) => false,
            Self::Selector(feed) => feed.is_projected(labels),
        }
    }
}

/// A range function, one series at a time.
pub(super) struct RangeOperator {
    feed: WindowFeed,
    params: Vec<ScalarSource>,
    call: Arc<RangeCall>,
    /// The selector, if other threads may help with its series.
    selector: Option<Box<SelectorPlan>>,
    columns: Option<Columns>,
    first_arg: TextSpan,
    scratch: RangeScratch,
    guard: DuplicateGuard,
    /// Steps whose quantile has been annotated.
    told: Presence,
    meter: Meter,
    in_flight: Charge,
    state: Arc<QueryState>,
}

impl RangeOperator {
    /// `params` are evaluated when the first series is asked for. With `selector`, which the feed reads, other threads may help.
    pub(super) fn new(
        feed: WindowFeed,
        call: RangeCall,
        selector: Option<&SelectorPlan>,
        params: Vec<ScalarSource>,
        first_arg: TextSpan,
        meter: Meter,
        state: &Arc<QueryState>,
    ) -> Self {
        let guard = DuplicateGuard::new(state);
        let (in_flight, state) = (Charge::none(&state.budget), Arc::clone(state));
        let told = Presence::empty(call.windows.grid.count());
        let (call, selector) = (Arc::new(call), selector.cloned().map(Box::new));
        Self {
            feed,
            params,
            call,
            selector,
            columns: None,
            first_arg,
            scratch: RangeScratch::default(),
            guard,
            told,
            meter,
            in_flight,
            state,
        }
    }

    /// Each step's quantile is told once, if any series has a window there.
    fn annotate_quantiles(&mut self, steps: &[usize]) {
        let Some(quantiles) = self.call.params.first() else { return };
        for step in steps {
            if !self.told.contains(*step) {
                self.told.insert(*step);
                self.state.annotations.invalid_quantile(quantiles.at(*step), self.first_arg);
            }
        }
    }

    fn annotate(&self, labels: &Labels, notes: RangeNotes, floats: bool) {
        let annotations = &self.state.annotations;
        let metric = || labels.get("__name__").unwrap_or_default();
        if notes != RangeNotes::default() {
            annotations.of_range(metric(), notes, self.first_arg);
        }
        if floats && self.call.function.wants_counter_name() && !metric().is_empty() {
            self.annotate_kind(labels, metric());
        }
    }

    /// Whether a metric is a counter is told by its type, or else by the end of its name.
    fn annotate_kind(&self, labels: &Labels, name: &str) {
        let counter = if self.state.type_and_unit_labels {
            matches!(labels.get("__type__"), Some("counter" | "histogram"))
        } else {
            ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix))
        };
        if counter {
            return;
        }
        let text = if self.state.type_and_unit_labels {
            let kind = quote(labels.get("__type__").unwrap_or_default());
            format!("metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {kind}: {}", quote(name))
        } else {
            format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}", quote(name))
        };
        self.state.annotations.info(&text, self.first_arg);
    }

    fn next_series(&mut self) -> Result<Option<Series>, QueryError> {
        let steps = self.call.windows.grid.count();
        loop {
            let Some((labels, drop_name, samples)) = self.feed.next()? else { return Ok(None) };
            self.meter.windows(&self.call.windows, self.call.extended, samples);
            let mut column = StepVector::absent(steps);
            let notes = self.call.evaluate(samples, &mut self.scratch, &mut column)?;
            let invalid_quantiles = std::mem::take(&mut self.scratch.invalid_quantiles);
            self.note(&labels, &column, notes, &invalid_quantiles);
            self.scratch.invalid_quantiles = invalid_quantiles;
            if !column.is_empty() {
                let is_projected = self.feed.is_projected(&labels);
                return self.finish(Series { labels, drop_name, first: None, column }, is_projected).map(Some);
            }
        }
    }

    /// What the evaluation of a series has to say.
    fn note(&mut self, labels: &Labels, column: &StepVector, notes: RangeNotes, invalid_quantiles: &[usize]) {
        self.annotate_quantiles(invalid_quantiles);
        let floats = || column.histograms().is_empty() || column.values.iter().any(|v| !is_absent(*v));
        self.annotate(labels, notes, !column.is_empty() && floats());
    }

    fn finish(&mut self, mut series: Series, is_projected: bool) -> Result<Series, QueryError> {
        if self.call.function.drops_name() {
            // Labels are left out only where series differ in more than what is dropped.
            drop_name(&mut series, &self.state);
            if !self.state.delayed_name_removal && !is_projected {
                self.guard.check_whole(&series)?;
            }
        }
        Ok(series)
    }

    /// [`Stream::next_batch`] with help.
    fn next_with(&mut self, columns: &Columns) -> Result<Option<Vec<Series>>, QueryError> {
        self.in_flight.set(0)?;
        loop {
            let WindowFeed::Selector(feed) = &mut self.feed else { return Ok(None) };
            let encoded = feed.next_encoded(batch_len(self.call.windows.grid.count()))?;
            if encoded.is_empty() {
                return Ok(None);
            }
            let mut batch = Vec::with_capacity(encoded.len());
            for one in columns.compute(encoded)? {
                self.note(&one.labels, &one.column, one.notes, &one.invalid_quantiles);
                if one.column.is_empty() {
                    continue;
                }
                let is_projected = matches!(&self.feed, WindowFeed::Selector(feed) if feed.lacks_labels(&one.labels, one.hash));
                let series = one.into_series(false, &mut self.in_flight)?;
                batch.push(self.finish(series, is_projected)?);
            }
            self.state.check()?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
    }

    /// Evaluates the parameters, with which the call is complete.
    fn begin(&mut self) -> Result<(), QueryError> {
        let steps = self.call.windows.grid.count();
        if let Some(call) = Arc::get_mut(&mut self.call) {
            for param in self.params.drain(..) {
                call.params.push(param.evaluate(steps)?);
            }
        }
        if let Some(selector) = self.selector.take() {
            self.columns = Columns::new(Kernel::Range(Arc::clone(&self.call)), &selector, &self.state);
        }
        Ok(())
    }
}

impl Stream for RangeOperator {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        self.begin()?;
        if let Some(columns) = self.columns.take() {
            let batch = self.next_with(&columns);
            self.columns = Some(columns);
            return batch;
        }
        let steps = self.call.windows.grid.count();
        let len = batch_len(steps);
        let mut batch = Vec::new();
        let mut histograms = 0;
        while batch.len() < len {
            self.in_flight.set((batch.len() + 1) * column_bytes(steps) + histograms)?;
            match self.next_series()? {
                Some(series) => {
                    histograms += series.column.histogram_bytes();
                    batch.push(series);
                }
                None => break,
            }
        }
        self.in_flight.set(batch.len() * column_bytes(steps) + histograms)?;
        self.state.check()?;
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn whole(&self) -> bool {
        true
    }
}
