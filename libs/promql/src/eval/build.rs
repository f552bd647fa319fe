//! Plans to operator trees. Every selector asks the store for its series here, before anything is pulled.

use std::cell::RefCell;
use std::sync::Arc;

use hashbrown::HashMap;

use super::QueryState;
use super::absent::{Absent, Watched};
use super::adapters::{Drained, FloatsOnly, FromScalar};
use super::aggregate::{Aggregation, CountValues, Fold, Pick, Ratio};
use super::element::{ElementOperator, Mapping};
use super::histogram::{BucketFunction, Buckets, HistogramOnly};
use super::identity::LabelSubset;
use super::info::Info;
use super::join::Join;
use super::meter::Meter;
use super::range::{RangeOperator, WindowFeed};
use super::relabel::Relabel;
use super::repeat::Repeat;
use super::scalar::ScalarSource;
use super::selector::{Feed, InstantSelector};
use super::series::{BoxStream, Merge, Nothing};
use super::set::SetOperator;
use super::shared::{SharedReader, SharedResult};
use super::sort::Sort;
use super::subquery::SubqueryFeed;
use super::vector_scalar::{Operation, VectorScalar};
use crate::error::QueryError;
use crate::functions::range::{RangeCall, Windows};
use crate::parser::ast::AggregateOp;
use crate::plan::{
    AggregatePlan, BucketPlan, JoinPlan, MatrixPlan, RangeCallPlan, SampleRead, ScalarPlan, SharedPlan, SortOrder, VectorOp, VectorPlan,
    VectorScalarPlan,
};
use crate::storage::Queryable;

/// Builds operators for one query.
pub(crate) struct Builder<'a> {
    state: &'a Arc<QueryState>,
    storage: &'a Arc<dyn Queryable>,
    /// What several places of the plan share, by number.
    shared: RefCell<HashMap<usize, Arc<SharedResult>>>,
    /// Counts the samples of the part that is being built.
    meter: RefCell<Meter>,
}

impl<'a> Builder<'a> {
    /// A builder.
    pub(crate) fn new(state: &'a Arc<QueryState>, storage: &'a Arc<dyn Queryable>) -> Self {
        Self { state, storage, shared: RefCell::default(), meter: RefCell::new(Meter::of(state)) }
    }

    /// Counts for operators of the part that is being built.
    pub(super) fn meter(&self) -> Meter {
        self.meter.borrow().clone()
    }

    /// Builds a part whose samples count otherwise.
    fn below<T>(&self, meter: Meter, build: impl FnOnce() -> T) -> T {
        let outer = self.meter.replace(meter);
        let built = build();
        self.meter.replace(outer);
        built
    }

    /// The operator of a vector plan.
    pub(crate) fn vector(&self, plan: &VectorPlan) -> Result<BoxStream, QueryError> {
        match &self.state.explain {
            Some(recorder) => recorder.build(plan, &self.state.budget, || self.operator(plan)),
            None => self.operator(plan),
        }
    }

    fn operator(&self, plan: &VectorPlan) -> Result<BoxStream, QueryError> {
        let (steps, state) = (plan.grid.count(), self.state);
        if steps == 0 {
            return Ok(Box::new(Nothing));
        }
        Ok(match &plan.op {
            VectorOp::Selector { selector, read } => {
                let stream: BoxStream = Box::new(InstantSelector::open(selector, *read, self.storage.as_ref(), self.meter(), state)?);
                if *read == SampleRead::Value { stream } else { self.nameless(stream, plan) }
            }
            VectorOp::Range(call) => self.range(call, plan)?,
            VectorOp::AbsentOverTime { source, labels } => {
                let (feed, windows) = self.windows(source, Meter::off())?;
                Box::new(Absent::new(Watched::Windows(Box::new(feed), windows, self.meter()), labels.clone(), steps, state))
            }
            VectorOp::Element { function, params, input } => {
                let params = self.scalars(params)?;
                Box::new(ElementOperator::new(self.vector(input)?, Mapping::Function(*function), params, plan.grid, state))
            }
            VectorOp::Negate(input) => Box::new(ElementOperator::new(self.vector(input)?, Mapping::Negate, Vec::new(), plan.grid, state)),
            VectorOp::FromScalar(scalar) => Box::new(FromScalar::new(self.scalar(scalar)?, steps)),
            VectorOp::Absent { input, labels } => Box::new(Absent::new(Watched::Vector(self.vector(input)?), labels.clone(), steps, state)),
            VectorOp::Relabel { rule, input } => Box::new(Relabel::new(self.vector(input)?, rule.clone(), steps, state)),
            VectorOp::Sort { order, input } => self.sort(order, input, plan)?,
            VectorOp::Buckets { function, input } => {
                let function = self.buckets(function)?;
                Box::new(Buckets::new(self.vector(input)?, input.span, function, plan.grid, state))
            }
            VectorOp::Nothing(input) => Box::new(Drained(self.vector(input)?)),
            VectorOp::Info(info) => Box::new(Info::new(self.vector(&info.input)?, info.clone(), self.storage, self.meter(), state)),
            VectorOp::HistogramOnly { function, input } => Box::new(HistogramOnly::new(self.vector(input)?, function, steps, state)?),
            VectorOp::Aggregate(aggregate) => self.aggregate(aggregate, plan)?,
            VectorOp::VectorScalar(binary) => self.vector_scalar(binary, plan)?,
            VectorOp::Join(join) => self.join(join, plan)?,
            VectorOp::Set { op, lhs, rhs, matching } => {
                let sides = (self.vector(lhs)?, self.vector(rhs)?);
                Box::new(SetOperator::new(sides, *op, matching, steps, state))
            }
            VectorOp::Shared(shared) => self.shared(shared)?,
            VectorOp::Repeat(input) => Box::new(Repeat::new(self.below(self.meter().repeated(), || self.vector(input))?, steps, state)),
        })
    }

    /// `timestamp` and `start_timestamp` of a selector are functions of it like others: the name goes.
    fn nameless(&self, stream: BoxStream, plan: &VectorPlan) -> BoxStream {
        let mapping = Mapping::Identity;
        Box::new(ElementOperator::new(stream, mapping, Vec::new(), plan.grid, self.state))
    }

    /// A reader of what is evaluated once. Its annotations are kept apart, so that each place that reads it can add them as its own.
    fn shared(&self, plan: &SharedPlan) -> Result<BoxStream, QueryError> {
        let known = self.shared.borrow().get(&plan.number).cloned();
        let result = match known {
            Some(result) => result,
            None => {
                let apart = Arc::new(self.state.apart());
                let stream = Builder::new(&apart, self.storage).vector(&plan.plan)?;
                let result = Arc::new(SharedResult::new(stream, apart));
                self.shared.borrow_mut().insert(plan.number, Arc::clone(&result));
                result
            }
        };
        Ok(Box::new(SharedReader::new(result, plan.shift, self.state)))
    }

    fn range(&self, call: &RangeCallPlan, plan: &VectorPlan) -> Result<BoxStream, QueryError> {
        let (feed, windows) = self.windows(&call.source, Meter::off())?;
        debug_assert_eq!(windows.grid, plan.grid);
        let params = self.scalars(&call.params)?;
        let extended = match &call.source {
            MatrixPlan::Selector(selector) => selector.extended,
            MatrixPlan::Subquery(_) => None,
        };
        let evaluation = RangeCall { function: call.function, windows, extended, params: Vec::new(), cancel: self.state.cancel.clone() };
        // Metered samples are counted one series at a time, and start times are asked for series by series.
        let with_help = match &call.source {
            MatrixPlan::Selector(selector) if !selector.hints.start_times && self.meter().is_off() => Some(selector),
            _ => None,
        };
        Ok(Box::new(RangeOperator::new(feed, evaluation, with_help, params, call.first_arg, self.meter(), self.state)))
    }

    /// The windows of a range vector. Below a subquery, samples count by `inner`.
    pub(super) fn windows(&self, plan: &MatrixPlan, inner: Meter) -> Result<(WindowFeed, Windows), QueryError> {
        Ok(match plan {
            MatrixPlan::Selector(s) => {
                let windows = Windows { grid: s.grid, reference: s.reference, range_ms: s.window_ms };
                (WindowFeed::Selector(Feed::open(s, self.storage.as_ref(), self.state)?), windows)
            }
            MatrixPlan::Subquery(s) => {
                let windows = Windows { grid: s.grid, reference: s.reference, range_ms: s.range_ms };
                let inner = Merge::of(self.below(inner, || self.vector(&s.inner))?, self.state);
                (WindowFeed::Subquery(SubqueryFeed::new(inner, s.inner_grid, self.state)), windows)
            }
        })
    }

    fn sort(&self, order: &SortOrder, input: &VectorPlan, plan: &VectorPlan) -> Result<BoxStream, QueryError> {
        let stream = self.vector(input)?;
        if plan.grid.count() > 1 {
            let text = "sort is ineffective for range queries since results are always ordered by labels";
            self.state.annotations.warn(text, plan.span);
            let by_value = matches!(order, SortOrder::Value { .. });
            return Ok(if by_value { Box::new(FloatsOnly(stream)) } else { stream });
        }
        Ok(Box::new(Sort::new(stream, order.clone(), self.state)))
    }

    fn buckets(&self, plan: &BucketPlan) -> Result<BucketFunction, QueryError> {
        Ok(match plan {
            BucketPlan::Quantile { q, q_span } => BucketFunction::Quantile(self.scalar(q)?, *q_span),
            BucketPlan::Quantiles { label, qs } => {
                let qs = qs.iter().map(|(q, span)| Ok((self.scalar(q)?, *span))).collect::<Result<_, QueryError>>()?;
                BucketFunction::Quantiles(label.clone(), qs)
            }
            BucketPlan::Fraction { lower, upper } => BucketFunction::Fraction(self.scalar(lower)?, self.scalar(upper)?),
        })
    }

    fn aggregate(&self, plan: &AggregatePlan, node: &VectorPlan) -> Result<BoxStream, QueryError> {
        let param = match &plan.param {
            Some((param, span)) => Some((self.scalar(param)?, *span)),
            None => None,
        };
        let mut names = plan.grouping.clone();
        if plan.op == AggregateOp::CountValues && !plan.without {
            names.push(plan.value_label.clone());
        }
        let aggregation = Aggregation {
            op: plan.op,
            input: self.vector(&plan.input)?,
            input_span: plan.input.span,
            span: node.span,
            grouping: if plan.without { LabelSubset::all_but(&names) } else { LabelSubset::only(&names) },
            steps: node.grid.count(),
            param,
            state: Arc::clone(self.state),
        };
        Ok(match plan.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => Box::new(Pick::new(aggregation)),
            AggregateOp::LimitRatio => Box::new(Ratio::new(aggregation)),
            AggregateOp::CountValues => Box::new(CountValues::new(aggregation, plan.value_label.clone())),
            _ => Box::new(Fold::new(aggregation)),
        })
    }

    fn vector_scalar(&self, plan: &VectorScalarPlan, node: &VectorPlan) -> Result<BoxStream, QueryError> {
        let operation = Operation {
            op: plan.op,
            return_bool: plan.return_bool,
            scalar_left: plan.scalar_left,
            steps: node.grid.count(),
            span: node.span,
        };
        let scalar = self.scalar(&plan.scalar)?;
        Ok(Box::new(VectorScalar::new(self.vector(&plan.vector)?, scalar, operation, self.state)))
    }

    fn join(&self, plan: &JoinPlan, node: &VectorPlan) -> Result<BoxStream, QueryError> {
        let sides = (self.vector(&plan.lhs)?, self.vector(&plan.rhs)?);
        let place = (node.grid.count(), node.span);
        Ok(Box::new(Join::new(sides, plan.op, plan.matching.clone(), plan.return_bool, place, self.state)))
    }

    fn scalars(&self, plans: &[ScalarPlan]) -> Result<Vec<ScalarSource>, QueryError> {
        plans.iter().map(|plan| self.scalar(plan)).collect()
    }

    /// The source of a scalar plan.
    pub(super) fn scalar(&self, plan: &ScalarPlan) -> Result<ScalarSource, QueryError> {
        let boxed = |plan: &ScalarPlan| self.scalar(plan).map(Box::new);
        Ok(match plan {
            ScalarPlan::Constant(v) => ScalarSource::Constant(*v),
            ScalarPlan::Time(grid) => ScalarSource::Time(*grid),
            ScalarPlan::Negate(inner) => ScalarSource::Negate(boxed(inner)?),
            ScalarPlan::Binary { op, lhs, rhs } => ScalarSource::Binary(*op, boxed(lhs)?, boxed(rhs)?),
            ScalarPlan::Extreme { max, lhs, rhs } => ScalarSource::Extreme { max: *max, lhs: boxed(lhs)?, rhs: boxed(rhs)? },
            ScalarPlan::FromVector(vector) => ScalarSource::FromVector(self.vector(vector)?),
            ScalarPlan::Repeat(inner) => ScalarSource::Repeat(self.below(self.meter().repeated(), || boxed(inner))?),
        })
    }
}
