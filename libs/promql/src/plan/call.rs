//! Function calls.

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp};

use super::grid::Grid;
use super::planner::{Context, unwrap_parens};
use super::{
    BucketPlan, MatrixPlan, Plan, RangeCallPlan, RelabelRule, SampleRead, ScalarPlan, SelectorPlan, SortOrder, VectorOp, VectorPlan,
};
use crate::error::QueryError;
use crate::functions::{ElementFunction, RangeFunction, go_max, go_min};
use crate::parser::ast::{Call, Expr, ExtendedRange, ValueType};

/// The largest compiled pattern of `label_replace`.
const MAX_PATTERN_BYTES: usize = model::matcher::MAX_COMPILED_BYTES;

impl Context<'_> {
    pub(super) fn call(&self, call: &Call, grid: Grid) -> Result<Plan, QueryError> {
        if call.function.returns == ValueType::Scalar {
            return self.scalar_call(call, grid).map(Plan::Scalar);
        }
        let op = self.vector_call(call, grid)?;
        Ok(Plan::Vector(VectorPlan { grid, span: call.span, op }))
    }

    fn scalar_call(&self, call: &Call, grid: Grid) -> Result<ScalarPlan, QueryError> {
        let seconds = |ms: i64| ScalarPlan::Constant(ms as f64 / 1000.0);
        let time = self.time;
        Ok(match call.function.name {
            "time" if grid.count() == 1 => seconds(grid.start()),
            "time" => ScalarPlan::Time(grid),
            "pi" => ScalarPlan::Constant(std::f64::consts::PI),
            "start" => seconds(time.start),
            "end" => seconds(time.end),
            "range" => seconds(time.end.saturating_sub(time.start)),
            "step" => seconds(if time.start == time.end { 0 } else { time.step }),
            "scalar" => ScalarPlan::FromVector(self.vector(argument(call, 0)?, grid)?),
            name @ ("min_of" | "max_of") => {
                let (lhs, rhs) = (self.scalar(argument(call, 0)?, grid)?, self.scalar(argument(call, 1)?, grid)?);
                extreme(name == "max_of", lhs, rhs)
            }
            name => return Err(unknown(name)),
        })
    }

    fn vector_call(&self, call: &Call, grid: Grid) -> Result<VectorOp, QueryError> {
        let name = call.function.name;
        if let ("timestamp" | "start_timestamp", Some(Expr::Vector(selector))) = (name, call.args.first().map(unwrap_parens)) {
            let read = if name == "timestamp" { SampleRead::Timestamp } else { SampleRead::StartTimestamp };
            let plan = self.instant_selector(selector, grid, read)?;
            let known = read == SampleRead::Timestamp || self.options.start_timestamps;
            return Ok(if known { plan.op } else { VectorOp::Nothing(Box::new(plan)) });
        }
        if let Some(function) = ElementFunction::from_name(name) {
            return self.element(function, call, grid);
        }
        if let Some(function) = RangeFunction::from_name(name) {
            return self.range_call(function, call, grid);
        }
        match name {
            "vector" => Ok(VectorOp::FromScalar(self.scalar(argument(call, 0)?, grid)?)),
            "absent" => {
                let arg = argument(call, 0)?;
                Ok(VectorOp::Absent { input: self.vector(arg, grid)?, labels: absent_labels(arg) })
            }
            "absent_over_time" => {
                let arg = argument(call, 0)?;
                let source = self.matrix(arg, grid)?;
                check_extended(name, &source)?;
                Ok(VectorOp::AbsentOverTime { source, labels: absent_labels(arg) })
            }
            "label_replace" | "label_join" => {
                let rule = if name == "label_replace" { self.label_replace(call)? } else { self.label_join(call)? };
                Ok(VectorOp::Relabel { rule, input: self.vector(argument(call, 0)?, grid)? })
            }
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => self.sort(call, grid),
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => self.buckets(call, grid),
            "histogram_avg" | "histogram_count" | "histogram_stddev" | "histogram_stdvar" | "histogram_sum" => {
                Ok(VectorOp::HistogramOnly { function: name, input: self.vector(argument(call, 0)?, grid)? })
            }
            // Of an expression, nobody knows when it began.
            "start_timestamp" => Ok(VectorOp::Nothing(self.vector(argument(call, 0)?, grid)?)),
            "info" => self.info(call, grid).map(VectorOp::Info),
            name => Err(unknown(name)),
        }
    }

    fn element(&self, function: ElementFunction, call: &Call, grid: Grid) -> Result<VectorOp, QueryError> {
        let Some((first, rest)) = call.args.split_first() else {
            if !function.defaults_to_time() {
                return Err(too_few(call));
            }
            let time = if grid.count() == 1 { ScalarPlan::Constant(grid.start() as f64 / 1000.0) } else { ScalarPlan::Time(grid) };
            let input = VectorPlan { grid, span: call.span, op: VectorOp::FromScalar(time) };
            return Ok(VectorOp::Element { function, params: Vec::new(), input: Box::new(input) });
        };
        let params = rest.iter().map(|arg| self.scalar(arg, grid)).collect::<Result<_, _>>()?;
        Ok(VectorOp::Element { function, params, input: self.vector(first, grid)? })
    }

    fn range_call(&self, function: RangeFunction, call: &Call, grid: Grid) -> Result<VectorOp, QueryError> {
        let mut source = None;
        let mut params = Vec::new();
        for arg in &call.args {
            if arg.value_type() == ValueType::Matrix {
                source = Some(self.matrix(arg, grid)?);
            } else {
                params.push(self.scalar(arg, grid)?);
            }
        }
        let mut source = source.ok_or_else(|| too_few(call))?;
        check_extended(call.function.name, &source)?;
        if let MatrixPlan::Selector(selector) = &mut source {
            selector.hints.function = call.function.name;
            selector.hints.start_times = self.options.start_timestamps && function.uses_start_times();
        }
        let first_arg = unwrap_parens(argument(call, 0)?).span();
        Ok(VectorOp::Range(RangeCallPlan { function, source, params, first_arg }))
    }

    fn sort(&self, call: &Call, grid: Grid) -> Result<VectorOp, QueryError> {
        let name = call.function.name;
        let descending = name.ends_with("_desc");
        let order = if name.starts_with("sort_by_label") {
            let names = call.args.iter().skip(1).map(|arg| self.text(arg)).collect::<Result<_, _>>()?;
            SortOrder::Labels { names, descending }
        } else {
            SortOrder::Value { descending }
        };
        Ok(VectorOp::Sort { order, input: self.vector(argument(call, 0)?, grid)? })
    }

    fn buckets(&self, call: &Call, grid: Grid) -> Result<VectorOp, QueryError> {
        let quantile = |arg: &Expr| Ok::<_, QueryError>((self.scalar(arg, grid)?, unwrap_parens(arg).span()));
        let (function, input) = match call.function.name {
            "histogram_quantile" => {
                let (q, q_span) = quantile(argument(call, 0)?)?;
                (BucketPlan::Quantile { q, q_span }, argument(call, 1)?)
            }
            "histogram_quantiles" => {
                let qs = call.args.iter().skip(2).map(quantile).collect::<Result<_, _>>()?;
                (BucketPlan::Quantiles { label: self.text(argument(call, 1)?)?, qs }, argument(call, 0)?)
            }
            _ => {
                let (lower, upper) = (self.scalar(argument(call, 0)?, grid)?, self.scalar(argument(call, 1)?, grid)?);
                (BucketPlan::Fraction { lower, upper }, argument(call, 2)?)
            }
        };
        Ok(VectorOp::Buckets { function, input: self.vector(input, grid)? })
    }

    fn label_replace(&self, call: &Call) -> Result<RelabelRule, QueryError> {
        let text = |i: usize| self.text(argument(call, i)?);
        let (dst, replacement, src, pattern) = (text(1)?, text(2)?, text(3)?, text(4)?);
        let compiled = regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(MAX_PATTERN_BYTES).build();
        let pattern = compiled.map_err(|_| QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
        if !is_label_name(&dst) {
            return Err(QueryError::Execution(format!("invalid destination label name in label_replace(): {dst}")));
        }
        Ok(RelabelRule::Replace { dst, replacement, src, pattern })
    }

    fn label_join(&self, call: &Call) -> Result<RelabelRule, QueryError> {
        let (dst, separator) = (self.text(argument(call, 1)?)?, self.text(argument(call, 2)?)?);
        let src: Vec<String> = call.args.iter().skip(3).map(|arg| self.text(arg)).collect::<Result<_, _>>()?;
        if let Some(src) = src.iter().find(|name| !is_label_name(name)) {
            return Err(QueryError::Execution(format!("invalid source label name in label_join(): {src}")));
        }
        if !is_label_name(&dst) {
            return Err(QueryError::Execution(format!("invalid destination label name in label_join(): {dst}")));
        }
        Ok(RelabelRule::Join { dst, separator, src })
    }
}

/// `min_of` or `max_of`, folded if both are constant.
fn extreme(max: bool, lhs: ScalarPlan, rhs: ScalarPlan) -> ScalarPlan {
    match (&lhs, &rhs) {
        (ScalarPlan::Constant(a), ScalarPlan::Constant(b)) => ScalarPlan::Constant(if max { go_max(*a, *b) } else { go_min(*a, *b) }),
        _ => ScalarPlan::Extreme { max, lhs: Box::new(lhs), rhs: Box::new(rhs) },
    }
}

/// The labels of `absent`'s result: those that a selector fixes to one value, by equality and only once.
fn absent_labels(arg: &Expr) -> Labels {
    let matchers = match unwrap_parens(arg) {
        Expr::Vector(selector) => &selector.matchers,
        Expr::Matrix(matrix) => &matrix.selector.matchers,
        _ => return Labels::empty(),
    };
    let mut labels = LabelsBuilder::new();
    let mut equal: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|m| &*m.name != METRIC_NAME) {
        if matcher.op == MatchOp::Equal && !equal.contains(&&*matcher.name) {
            labels.set(&matcher.name, &matcher.value);
            equal.push(&matcher.name);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build()
}

/// `anchored` and `smoothed` change which samples a window holds, which only some functions can deal with.
fn check_extended(function: &str, source: &MatrixPlan) -> Result<(), QueryError> {
    let MatrixPlan::Selector(SelectorPlan { extended: Some(extension), .. }) = source else { return Ok(()) };
    let (name, fit): (_, &[&str]) = match extension.kind {
        ExtendedRange::Anchored => ("anchored", &["changes", "delta", "increase", "rate", "resets"]),
        ExtendedRange::Smoothed => ("smoothed", &["delta", "increase", "rate"]),
    };
    if fit.contains(&function) {
        return Ok(());
    }
    Err(QueryError::Execution(format!("{name} modifier can only be used with: {} - not with {function}", fit.join(", "))))
}

/// Any UTF-8 is a label name, but no name is empty. The replacement character stands for bytes that were no UTF-8 in the expression.
fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER)
}

pub(super) fn argument(call: &Call, i: usize) -> Result<&Expr, QueryError> {
    call.args.get(i).ok_or_else(|| too_few(call))
}

fn too_few(call: &Call) -> QueryError {
    QueryError::BadData(format!("too few arguments in call to {:?}", call.function.name))
}

fn unknown(name: &str) -> QueryError {
    QueryError::Execution(format!("function {name} is not available in this version"))
}
