//! Plans to operators, operators to a result.
//!
//! Data flow is series-major and pulled: every operator yields batches of series, each with one column over all steps
//! ([`column::StepVector`]). A selector decodes one series at a time into reused buffers; `rate` and its like turn it into a column; `sum` folds the
//! column into its group and drops it. So a query holds its groups, one window and the batches in flight, not its input. What has to be
//! held (the "one" side of a join, the input of `sort`, the result) is charged to the query's budget.
//!
//! Building an operator tree calls [`crate::Queryable::select`] for every selector before anything is pulled, so that sources fetch side by side.
//! Everything is synchronous; recursion goes only over the tree, whose depth the parser bounds.

use std::sync::Arc;

use crate::annotations::Annotations;
use crate::cancel::CancelToken;
use crate::engine::{Features, QueryContext};
use crate::error::QueryError;
use crate::explain::Recorder;
use crate::functions::range::Windows;
use crate::limits::{Budget, QueryLimits};
use crate::parallel::Workers;
use crate::plan::{Plan, QueryTime};
use crate::storage::Queryable;
use crate::value::QueryValue;

mod absent;
mod adapters;
mod aggregate;
mod arithmetic;
mod build;
mod column;
mod columns;
mod decode;
mod element;
mod histogram;
mod identity;
mod info;
mod join;
mod meter;
mod presence;
mod range;
mod relabel;
mod repeat;
mod result;
mod samples;
mod scalar;
mod selector;
mod series;
mod set;
mod shared;
mod smoothed;
mod sort;
mod statistics;
mod subquery;
mod vector_scalar;

pub(crate) use arithmetic::scalar as scalar_operation;
pub(crate) use build::Builder;
pub use column::{ABSENT, HistogramAtStep, ScalarColumn, StepVector, is_absent};
use meter::SampleCounts;
pub use samples::Samples;
pub(crate) use series::{BoxStream, Series, Stream};

/// The most values in one batch of series, so that batches in flight are bounded however long the grid: 512 KiB.
pub const BATCH_VALUES: usize = 64 << 10;

/// The most series in one batch.
const BATCH_SERIES: usize = 256;

/// The number of series in a batch over so many steps.
fn batch_len(steps: usize) -> usize {
    (BATCH_VALUES / steps.max(1)).clamp(1, BATCH_SERIES)
}

/// The bytes of a column.
fn column_bytes(steps: usize) -> usize {
    size_of::<StepVector>() + size_of::<f64>() * steps
}

/// What all operators of one query share.
pub(crate) struct QueryState {
    /// Limits and account.
    pub(crate) budget: Arc<Budget>,
    /// Warnings and infos.
    pub(crate) annotations: Annotations,
    /// Cancellation and deadline.
    pub(crate) cancel: CancelToken,
    /// Whether names are dropped at the end.
    pub(crate) delayed_name_removal: bool,
    /// Whether the order of series matters to some operator ([`Series::first`]).
    pub(crate) ordered: bool,
    /// Whether the label `__type__` says what a counter is.
    pub(crate) type_and_unit_labels: bool,
    /// Watches operators, if that was asked for.
    pub(crate) explain: Option<Arc<Recorder>>,
    /// Threads that may help.
    pub(crate) workers: Option<Arc<dyn Workers>>,
    /// Counts samples, if that was asked for.
    pub(crate) sample_counts: Option<Arc<SampleCounts>>,
}

impl QueryState {
    /// The state of a query that begins.
    pub(crate) fn new(ctx: &QueryContext, limits: QueryLimits, features: Features, time: QueryTime) -> Result<Self, QueryError> {
        let budget = Arc::new(Budget::new(ctx.limits.unwrap_or(limits)));
        let sample_counts = if ctx.count_samples { Some(Arc::new(SampleCounts::new(time.grid(&budget)?))) } else { None };
        Ok(Self {
            budget,
            annotations: Annotations::default(),
            cancel: ctx.cancel.clone(),
            delayed_name_removal: features.delayed_name_removal,
            ordered: false,
            type_and_unit_labels: features.type_and_unit_labels,
            explain: ctx.explain.clone().map(|clock| Arc::new(Recorder::new(clock))),
            workers: ctx.workers.clone(),
            sample_counts,
        })
    }

    /// The same but for annotations, which are kept apart.
    pub(crate) fn apart(&self) -> Self {
        Self {
            budget: Arc::clone(&self.budget),
            annotations: Annotations::default(),
            cancel: self.cancel.clone(),
            delayed_name_removal: self.delayed_name_removal,
            ordered: self.ordered,
            type_and_unit_labels: self.type_and_unit_labels,
            explain: self.explain.clone(),
            workers: self.workers.clone(),
            sample_counts: self.sample_counts.clone(),
        }
    }

    /// `Ok` while the query may go on.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        self.cancel.check("expression evaluation")
    }
}

/// Evaluates a plan.
pub(crate) fn run(plan: &Plan, time: QueryTime, state: &Arc<QueryState>, storage: &Arc<dyn Queryable>) -> Result<QueryValue, QueryError> {
    let grid = time.grid(&state.budget)?;
    let builder = Builder::new(state, storage);
    match plan {
        Plan::Scalar(scalar) => {
            let column = builder.scalar(scalar)?.evaluate(grid.count())?;
            Ok(result::scalar(&column, grid, time))
        }
        Plan::Vector(vector) => {
            let stream = builder.vector(vector)?;
            result::vector(stream, grid, time, state)
        }
        Plan::Matrix(matrix) => result::matrix(&builder, matrix, state),
        Plan::Text(text) => Ok(QueryValue::String { t: time.start, text: text.clone() }),
    }
}
