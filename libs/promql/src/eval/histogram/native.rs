//! Native histograms: `histogram_count` and its relatives, and quantiles and fractions before they meet classic buckets.

use std::sync::Arc;

use model::{FloatHistogram, Labels};

use crate::error::QueryError;
use crate::eval::QueryState;
use crate::eval::column::{ScalarColumn, StepVector};
use crate::eval::series::{BoxStream, DuplicateGuard, Series, Stream, drop_name};
use crate::histogram::{self, NanNote};

/// A number that describes a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Avg,
    Count,
    Stddev,
    Stdvar,
    Sum,
}

impl Measure {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "histogram_avg" => Self::Avg,
            "histogram_count" => Self::Count,
            "histogram_stddev" => Self::Stddev,
            "histogram_stdvar" => Self::Stdvar,
            "histogram_sum" => Self::Sum,
            _ => return None,
        })
    }

    fn of(self, h: &FloatHistogram) -> f64 {
        match self {
            Self::Avg => h.sum / h.count,
            Self::Count => h.count,
            Self::Stddev => histogram::variance(h).sqrt(),
            Self::Stdvar => histogram::variance(h),
            Self::Sum => h.sum,
        }
    }
}

/// Functions of native histograms only; floats have no result.
pub(in crate::eval) struct HistogramOnly {
    input: BoxStream,
    measure: Measure,
    steps: usize,
    guard: DuplicateGuard,
    state: Arc<QueryState>,
}

impl HistogramOnly {
    /// An error if there is no function of that name.
    pub(in crate::eval) fn new(input: BoxStream, name: &str, steps: usize, state: &Arc<QueryState>) -> Result<Self, QueryError> {
        let measure = Measure::from_name(name).ok_or_else(|| QueryError::Execution(format!("unknown function of histograms {name}")))?;
        Ok(Self { input, measure, steps, guard: DuplicateGuard::new(state), state: Arc::clone(state) })
    }
}

impl Stream for HistogramOnly {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        while let Some(mut batch) = self.input.next_batch()? {
            self.state.check()?;
            batch.retain(|series| !series.column.histograms().is_empty());
            for series in &mut batch {
                series.column = measured(&series.column, self.steps, |_, h| self.measure.of(h));
                drop_name(series, &self.state);
                if !self.state.delayed_name_removal {
                    self.guard.check(series)?;
                }
            }
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn whole(&self) -> bool {
        self.steps <= 1 || (self.state.delayed_name_removal && self.input.whole())
    }
}

/// A column of numbers, one for each histogram.
fn measured(column: &StepVector, steps: usize, mut measure: impl FnMut(usize, &FloatHistogram) -> f64) -> StepVector {
    let mut out = StepVector::absent(steps);
    for (step, h) in column.histograms() {
        if let Some(slot) = out.values.get_mut(*step as usize) {
            *slot = measure(*step as usize, h);
        }
    }
    out
}

/// Quantiles or fractions of one series' native histograms. What they have to say waits, because classic buckets of the same name may take a
/// step away.
pub(super) struct NativeResult {
    pub(super) labels: Labels,
    /// One column for each quantile.
    pub(super) columns: Vec<StepVector>,
    pub(super) notes: Vec<(usize, NanNote)>,
}

impl NativeResult {
    pub(super) fn quantiles(labels: Labels, column: &StepVector, steps: usize, qs: &[ScalarColumn]) -> Self {
        Self::new(labels, column, steps, qs.len(), |i, step, h| histogram::quantile(qs.get(i).map_or(f64::NAN, |q| q.at(step)), h))
    }

    pub(super) fn fraction(labels: Labels, column: &StepVector, steps: usize, lower: &ScalarColumn, upper: &ScalarColumn) -> Self {
        Self::new(labels, column, steps, 1, |_, step, h| histogram::fraction(lower.at(step), upper.at(step), h))
    }

    fn new(
        labels: Labels,
        column: &StepVector,
        steps: usize,
        results: usize,
        f: impl Fn(usize, usize, &FloatHistogram) -> (f64, Option<NanNote>),
    ) -> Self {
        let mut notes = Vec::new();
        let one = |i| {
            measured(column, steps, |step, h| {
                let (value, note) = f(i, step, h);
                notes.extend(note.map(|note| (step, note)));
                value
            })
        };
        let columns = (0..results).map(one).collect();
        Self { labels, columns, notes }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(|c| size_of::<StepVector>() + c.heap_bytes()).sum();
        size_of::<Self>() + self.labels.as_bytes().len() + columns + size_of::<(usize, NanNote)>() * self.notes.capacity()
    }
}
