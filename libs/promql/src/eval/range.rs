//! Range functions over selectors and subqueries.

use std::sync::Arc;

use model::Labels;
use model::matcher::quote;

use super::column::{StepVector, is_absent};
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
    call: RangeCall,
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
    /// `params` are evaluated when the first series is asked for.
    pub(super) fn new(
        feed: WindowFeed,
        call: RangeCall,
        params: Vec<ScalarSource>,
        first_arg: TextSpan,
        meter: Meter,
        state: &Arc<QueryState>,
    ) -> Self {
        let guard = DuplicateGuard::new(state);
        let (in_flight, state) = (Charge::none(&state.budget), Arc::clone(state));
        let told = Presence::empty(call.windows.grid.count());
        Self { feed, params, call, first_arg, scratch: RangeScratch::default(), guard, told, meter, in_flight, state }
    }

    /// Each step's quantile is told once, if any series has a window there.
    fn annotate_quantiles(&mut self) {
        let Some(quantiles) = self.call.params.first() else { return };
        for step in &self.scratch.invalid_quantiles {
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
            let Some((labels, inner_drop_name, samples)) = self.feed.next()? else { return Ok(None) };
            self.meter.windows(&self.call.windows, self.call.extended, samples);
            let mut column = StepVector::absent(steps);
            let notes = self.call.evaluate(samples, &mut self.scratch, &mut column)?;
            self.annotate_quantiles();
            let empty = column.is_empty();
            let floats = || column.histograms().is_empty() || column.values.iter().any(|v| !is_absent(*v));
            self.annotate(&labels, notes, !empty && floats());
            if empty {
                continue;
            }
            let mut series = Series { labels, drop_name: inner_drop_name, first: None, column };
            if self.call.function.drops_name() {
                // Labels are left out only where series differ in more than what is dropped.
                let is_projected = self.feed.is_projected(&series.labels);
                drop_name(&mut series, &self.state);
                if !self.state.delayed_name_removal && !is_projected {
                    self.guard.check_whole(&series)?;
                }
            }
            return Ok(Some(series));
        }
    }
}

impl Stream for RangeOperator {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        let steps = self.call.windows.grid.count();
        for param in self.params.drain(..) {
            self.call.params.push(param.evaluate(steps)?);
        }
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
