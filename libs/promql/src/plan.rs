//! What is to be computed: the syntax tree with everything resolved that does not depend on data.
//!
//! Planning resolves durations, offsets and `@`, gives every node the grid of times it is evaluated on, folds constant scalars,
//! finds parts that are the same at every step (they are evaluated once and repeated: [`VectorOp::Repeat`]), looks functions
//! up, and types the tree: scalars, vectors and range vectors are different Rust types, so an operator cannot be given the
//! wrong kind of input. Plans hold no data and may be printed.

use std::sync::Arc;

use model::{Labels, Matcher};

use crate::functions::{ElementFunction, RangeFunction};
use crate::parser::ast::{AggregateOp, BinaryOp, TextSpan, ValueType, VectorMatching};

mod aggregate;
mod binary;
mod call;
mod duration;
mod grid;
mod info;
mod invariant;
mod optimise;
mod planner;
mod samples;
mod selector;
mod statistics;
mod walk;

pub use grid::{Grid, QueryTime, Reference};
pub(crate) use optimise::optimise;
pub use planner::{PlanOptions, Planner};
pub use samples::{Extension, HistogramUse, MatrixPlan, SampleRead, SelectorPlan, SubqueryPlan};

/// A plan by the type of its value.
#[derive(Debug, Clone)]
pub enum Plan {
    /// One number per step.
    Scalar(ScalarPlan),
    /// Series with one value per step.
    Vector(VectorPlan),
    /// Series with a window of samples; only instant queries have this at the top.
    Matrix(MatrixPlan),
    /// A text.
    Text(String),
}

impl Plan {
    /// The type.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Scalar(_) => ValueType::Scalar,
            Self::Vector(_) => ValueType::Vector,
            Self::Matrix(_) => ValueType::Matrix,
            Self::Text(_) => ValueType::String,
        }
    }
}

/// One number per step.
#[derive(Debug, Clone)]
pub enum ScalarPlan {
    /// The same at every step.
    Constant(f64),
    /// `time()`.
    Time(Grid),
    /// `-a`.
    Negate(Box<ScalarPlan>),
    /// `a op b`.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left.
        lhs: Box<ScalarPlan>,
        /// Right.
        rhs: Box<ScalarPlan>,
    },
    /// `min_of(a, b)`, `max_of(a, b)`.
    Extreme {
        /// `max_of`.
        max: bool,
        /// First.
        lhs: Box<ScalarPlan>,
        /// Second.
        rhs: Box<ScalarPlan>,
    },
    /// `scalar(v)`.
    FromVector(Box<VectorPlan>),
    /// A step-invariant scalar, evaluated on a grid of one step.
    Repeat(Box<ScalarPlan>),
}

/// Series with one value per step of `grid`.
#[derive(Debug, Clone)]
pub struct VectorPlan {
    /// The times.
    pub grid: Grid,
    /// Where the expression stands.
    pub span: TextSpan,
    /// What is done.
    pub op: VectorOp,
}

/// The vector operators.
#[derive(Debug, Clone)]
pub enum VectorOp {
    /// The latest sample of each series.
    Selector {
        /// The series.
        selector: SelectorPlan,
        /// What is taken of the sample.
        read: SampleRead,
    },
    /// A function over windows of samples.
    Range(RangeCallPlan),
    /// 1 where no series has a sample in its window.
    AbsentOverTime {
        /// The windows.
        source: MatrixPlan,
        /// Labels of the result.
        labels: Labels,
    },
    /// A function of each value.
    Element {
        /// The function.
        function: ElementFunction,
        /// Its scalar arguments.
        params: Vec<ScalarPlan>,
        /// The values.
        input: Box<VectorPlan>,
    },
    /// `-v`.
    Negate(Box<VectorPlan>),
    /// `vector(s)`.
    FromScalar(ScalarPlan),
    /// `absent(v)`.
    Absent {
        /// The input.
        input: Box<VectorPlan>,
        /// Labels of the result.
        labels: Labels,
    },
    /// `label_replace`, `label_join`.
    Relabel {
        /// What is done to labels.
        rule: RelabelRule,
        /// The input.
        input: Box<VectorPlan>,
    },
    /// `sort` and its relatives. Without effect on more than one step.
    Sort {
        /// By what.
        order: SortOrder,
        /// The input.
        input: Box<VectorPlan>,
    },
    /// `histogram_quantile`, `histogram_fraction`.
    Buckets {
        /// What is computed from the buckets.
        function: BucketPlan,
        /// The input.
        input: Box<VectorPlan>,
    },
    /// Functions of native histograms only (`histogram_count` and so on), which yield nothing for floats.
    HistogramOnly {
        /// The name.
        function: &'static str,
        /// The input.
        input: Box<VectorPlan>,
    },
    /// `start_timestamp` where no sample's start time can be told: the input is evaluated, and nothing comes of it.
    Nothing(Box<VectorPlan>),
    /// `info`.
    Info(InfoPlan),
    /// An aggregation.
    Aggregate(AggregatePlan),
    /// Vector and scalar.
    VectorScalar(VectorScalarPlan),
    /// Arithmetic or comparison of two vectors.
    Join(JoinPlan),
    /// `and`, `or`, `unless`.
    Set {
        /// The operator.
        op: BinaryOp,
        /// Left.
        lhs: Box<VectorPlan>,
        /// Right.
        rhs: Box<VectorPlan>,
        /// Which labels decide.
        matching: VectorMatching,
    },
    /// A step-invariant vector, evaluated on a grid of one step and repeated over this plan's grid.
    Repeat(Box<VectorPlan>),
    /// A vector that stands in several places and is evaluated once. Only the optimiser makes it.
    Shared(SharedPlan),
}

/// A vector that stands in several places.
#[derive(Debug, Clone)]
pub struct SharedPlan {
    /// The same in all these places.
    pub number: usize,
    /// What is evaluated; its spans are those of the first place.
    pub plan: Arc<VectorPlan>,
    /// How many bytes further back this place is in the expression than the first.
    pub shift: i64,
}

/// A range function.
#[derive(Debug, Clone)]
pub struct RangeCallPlan {
    /// The function.
    pub function: RangeFunction,
    /// Its windows.
    pub source: MatrixPlan,
    /// Its scalar arguments.
    pub params: Vec<ScalarPlan>,
    /// Where the first argument stands, which annotations point at.
    pub first_arg: TextSpan,
}

/// `info(v, {…})`: labels of info metrics, found by `instance` and `job`, are added to series.
#[derive(Debug, Clone)]
pub struct InfoPlan {
    /// What is enriched.
    pub input: Box<VectorPlan>,
    /// Which metrics are info metrics; all must match the name. Series of these names are not enriched.
    pub names: Vec<Matcher>,
    /// What info series must match besides. If there is any, only the labels that they name are added, and series that find no info series
    /// stay only if all of these match a missing label.
    pub data: Vec<Matcher>,
    /// The info series, as of the times that the input is looked at; its matchers are made from these and the input's labels.
    pub selector: SelectorPlan,
}

/// What `label_replace` and `label_join` do. Checked when planned.
#[derive(Debug, Clone)]
pub enum RelabelRule {
    /// `label_replace`.
    Replace {
        /// The label written.
        dst: String,
        /// The template.
        replacement: String,
        /// The label read.
        src: String,
        /// The pattern, anchored.
        pattern: regex::Regex,
    },
    /// `label_join`.
    Join {
        /// The label written.
        dst: String,
        /// Between the values.
        separator: String,
        /// The labels read.
        src: Vec<String>,
    },
}

/// What `sort*` sorts by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortOrder {
    /// `sort`, `sort_desc`.
    Value {
        /// `sort_desc`.
        descending: bool,
    },
    /// `sort_by_label`, `sort_by_label_desc`.
    Labels {
        /// The labels, in order of importance.
        names: Vec<String>,
        /// `sort_by_label_desc`.
        descending: bool,
    },
}

/// What is computed from classic buckets.
#[derive(Debug, Clone)]
pub enum BucketPlan {
    /// `histogram_quantile(q, v)`.
    Quantile {
        /// The quantile.
        q: ScalarPlan,
        /// Where it stands.
        q_span: TextSpan,
    },
    /// `histogram_quantiles(v, label, q…)`.
    Quantiles {
        /// The label that tells the quantile.
        label: String,
        /// The quantiles and where they stand.
        qs: Vec<(ScalarPlan, TextSpan)>,
    },
    /// `histogram_fraction(lower, upper, v)`.
    Fraction {
        /// Lower bound.
        lower: ScalarPlan,
        /// Upper bound.
        upper: ScalarPlan,
    },
}

/// An aggregation.
#[derive(Debug, Clone)]
pub struct AggregatePlan {
    /// What is computed.
    pub op: AggregateOp,
    /// The numeric parameter and where it stands.
    pub param: Option<(ScalarPlan, TextSpan)>,
    /// The label of `count_values`; empty for others.
    pub value_label: String,
    /// Labels of `by` or `without`, sorted, each once.
    pub grouping: Vec<String>,
    /// `without`.
    pub without: bool,
    /// The order of its groups matters, which is that of their first series. Only the optimiser asks, who then leaves labels as they are.
    pub ordered: bool,
    /// The input.
    pub input: Box<VectorPlan>,
}

/// `vector op scalar` or `scalar op vector`.
#[derive(Debug, Clone)]
pub struct VectorScalarPlan {
    /// The operator.
    pub op: BinaryOp,
    /// The vector.
    pub vector: Box<VectorPlan>,
    /// The scalar.
    pub scalar: ScalarPlan,
    /// Whether the scalar stands on the left.
    pub scalar_left: bool,
    /// `bool`.
    pub return_bool: bool,
}

/// Arithmetic or comparison of two vectors.
#[derive(Debug, Clone)]
pub struct JoinPlan {
    /// The operator.
    pub op: BinaryOp,
    /// Left.
    pub lhs: Box<VectorPlan>,
    /// Right.
    pub rhs: Box<VectorPlan>,
    /// How series find each other.
    pub matching: VectorMatching,
    /// `bool`.
    pub return_bool: bool,
}
