//! Chunks of one series at a time to samples.

use std::sync::Arc;

use model::SeriesChunks;

use super::QueryState;
use super::samples::Samples;
use crate::error::QueryError;
use crate::limits::Charge;
use crate::plan::{HistogramUse, SelectorPlan};

/// After how many samples a decoder asks whether the query may go on: less than a millisecond of work.
const CHECK_AFTER: usize = 1 << 16;

/// Decodes the series of a selector into reused buffers.
pub(super) struct Decoder {
    samples: Samples,
    held: Charge,
    /// Samples decoded since the query last asked whether it may go on.
    since_check: usize,
    time_range: (i64, i64),
    histograms: HistogramUse,
    state: Arc<QueryState>,
}

impl Decoder {
    pub(super) fn new(plan: &SelectorPlan, state: &Arc<QueryState>) -> Self {
        Self {
            samples: Samples::default(),
            held: Charge::none(&state.budget),
            since_check: 0,
            time_range: plan.time_range(),
            histograms: plan.histograms,
            state: Arc::clone(state),
        }
    }

    /// What was decoded last.
    pub(super) fn samples(&mut self) -> &mut Samples {
        &mut self.samples
    }

    /// The samples of a series in the selector's time range, stale markers included; `None` if there are none. `starts` are known start times.
    pub(super) fn decode(&mut self, series: &SeriesChunks, starts: Option<&[(i64, i64)]>) -> Result<Option<&mut Samples>, QueryError> {
        let (min_t, max_t) = self.time_range;
        self.samples.decode(series, min_t, max_t, &self.state.budget, &mut self.held)?;
        self.since_check += self.samples.len();
        if self.since_check > CHECK_AFTER {
            self.since_check = 0;
            self.state.check()?;
        }
        if self.samples.is_empty() {
            return Ok(None);
        }
        if let Some(starts) = starts {
            self.held.grow(size_of::<i64>() * self.samples.len())?;
            self.samples.set_starts(starts);
        }
        if self.histograms != HistogramUse::Buckets {
            self.samples.keep_count_and_sum();
        }
        Ok(Some(&mut self.samples))
    }
}
