//! The syntax tree. Every node knows the bytes that it was read from; durations are integer milliseconds.

use model::matcher::{quote, quote_bytes};
use model::{Labels, Matcher};

use super::functions::FunctionDef;

/// Byte range `start..end` in the text of the expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextSpan {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `1`, `0x1f`, `Inf`, `5m`.
    Number(NumberLiteral),
    /// `"text"`.
    String(StringLiteral),
    /// `up{job="x"} offset 5m @ 10`.
    Vector(VectorSelector),
    /// `up[5m]`.
    Matrix(MatrixSelector),
    /// `rate(up[5m])[1h:1m]`.
    Subquery(Subquery),
    /// `rate(up[5m])`.
    Call(Call),
    /// `sum by (job) (up)`.
    Aggregate(Aggregate),
    /// `a + b`.
    Binary(Binary),
    /// `-a`.
    Unary(Unary),
    /// `(a)`.
    Paren(Paren),
}

/// What an expression yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number per step.
    Scalar,
    /// A set of series with one sample per step.
    Vector,
    /// A set of series with a window of samples per step.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// The name in error texts: `scalar`, `instant vector`, `range vector`, `string`.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

/// A number, or a duration read as seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberLiteral {
    /// Where.
    pub span: TextSpan,
    /// The value.
    pub value: f64,
    /// Whether it was written as a duration (it is then printed as one).
    pub is_duration: bool,
}

/// A text.
#[derive(Debug, Clone, PartialEq)]
pub struct StringLiteral {
    /// Where.
    pub span: TextSpan,
    /// The text, unquoted.
    pub value: String,
    /// Its bytes, if they are no UTF-8: there `value` has U+FFFD.
    pub undecodable: Option<Box<[u8]>>,
}

impl StringLiteral {
    /// The text in double quotes, escaped.
    #[must_use]
    pub fn quoted(&self) -> String {
        self.undecodable.as_deref().map_or_else(|| quote(&self.value), quote_bytes)
    }
}

/// `@ t`, `@ start()`, `@ end()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtModifier {
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// The start of the query.
    Start,
    /// The end of the query.
    End,
}

/// `anchored` or `smoothed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtendedRange {
    /// `anchored`
    Anchored,
    /// `smoothed`
    Smoothed,
}

/// A duration: a constant, or an expression that the planner folds once the query's start, end and step are known.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationValue {
    /// Milliseconds.
    Millis(i64),
    /// `[5m + step()]`: evaluates to seconds.
    Expr(Box<DurationExpr>),
}

/// A duration expression (`promql-duration-expr`).
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    /// A literal, in seconds.
    Number(NumberLiteral),
    /// `step()`.
    Step(TextSpan),
    /// `range()`.
    Range(TextSpan),
    /// `min_of(a, b)`, `max_of(a, b)`.
    Extreme {
        /// Where.
        span: TextSpan,
        /// `max_of` rather than `min_of`.
        max: bool,
        /// First.
        lhs: Box<DurationExpr>,
        /// Second.
        rhs: Box<DurationExpr>,
    },
    /// `a op b`; op is one of + - * / % ^.
    Binary {
        /// Where.
        span: TextSpan,
        /// The operator.
        op: BinaryOp,
        /// Left.
        lhs: Box<DurationExpr>,
        /// Right.
        rhs: Box<DurationExpr>,
    },
    /// `-a`, `+a`.
    Unary {
        /// Where.
        span: TextSpan,
        /// Whether it is a minus.
        negate: bool,
        /// The operand.
        expr: Box<DurationExpr>,
    },
    /// `(a)`.
    Paren {
        /// Where.
        span: TextSpan,
        /// The operand.
        expr: Box<DurationExpr>,
    },
}

/// An instant vector selector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// Where, modifiers included.
    pub span: TextSpan,
    /// The metric name, if written before the braces (as Prometheus keeps it: `{"foo"}` has only the matcher).
    pub name: Option<String>,
    /// All matchers in the order written; the one for the name comes last if the name stands before the braces (as Prometheus keeps it).
    pub matchers: Vec<Matcher>,
    /// `offset`, as written.
    pub offset: Option<DurationValue>,
    /// `@`.
    pub at: Option<AtModifier>,
    /// `anchored` / `smoothed`.
    pub extended: Option<ExtendedRange>,
}

/// A range vector selector.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    /// Where.
    pub span: TextSpan,
    /// The selector; holds offset, `@` and the extended range.
    pub selector: VectorSelector,
    /// The range, > 0.
    pub range: DurationValue,
}

/// A subquery.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// Where.
    pub span: TextSpan,
    /// What is evaluated.
    pub expr: Box<Expr>,
    /// The range, > 0.
    pub range: DurationValue,
    /// The step; `None` is the default resolution.
    pub step: Option<DurationValue>,
    /// `offset`.
    pub offset: Option<DurationValue>,
    /// `@`.
    pub at: Option<AtModifier>,
}

/// A function call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Where.
    pub span: TextSpan,
    /// The function.
    pub function: &'static FunctionDef,
    /// The arguments.
    pub args: Vec<Expr>,
}

/// The aggregation operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are PromQL's own")]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Where.
    pub span: TextSpan,
    /// The operator.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Box<Expr>,
    /// The first argument of topk, bottomk, quantile, count_values, limitk, limit_ratio.
    pub param: Option<Box<Expr>>,
    /// Labels of `by` or `without`, in the order written.
    pub grouping: Vec<String>,
    /// `without` rather than `by`.
    pub without: bool,
}

/// The binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are PromQL's own")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eql,
    Neq,
    Lss,
    Lte,
    Gtr,
    Gte,
    TrimUpper,
    TrimLower,
    And,
    Or,
    Unless,
}

/// How many series of each side may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are PromQL's own")]
pub enum MatchCardinality {
    OneToOne,
    ManyToOne,
    OneToMany,
    ManyToMany,
}

/// `on`, `ignoring`, `group_left`, `group_right`, `fill`.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorMatching {
    /// Cardinality.
    pub card: MatchCardinality,
    /// Labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// `on` rather than `ignoring`.
    pub on: bool,
    /// Labels that `group_left` / `group_right` copy from the "one" side.
    pub include: Vec<String>,
    /// `fill` / `fill_left`: value for series missing on the left.
    pub fill_left: Option<f64>,
    /// `fill` / `fill_right`: value for series missing on the right.
    pub fill_right: Option<f64>,
}

/// A binary operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// Where.
    pub span: TextSpan,
    /// The operator.
    pub op: BinaryOp,
    /// Left.
    pub lhs: Box<Expr>,
    /// Right.
    pub rhs: Box<Expr>,
    /// Set when both sides are vectors.
    pub matching: Option<VectorMatching>,
    /// `bool`.
    pub return_bool: bool,
}

/// `-a` or `+a`.
#[derive(Debug, Clone, PartialEq)]
pub struct Unary {
    /// Where.
    pub span: TextSpan,
    /// Whether it is a minus.
    pub negate: bool,
    /// The operand.
    pub expr: Box<Expr>,
}

/// `(a)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Paren {
    /// Where.
    pub span: TextSpan,
    /// The operand.
    pub expr: Box<Expr>,
}

/// A series with its labels, as in rule and script files.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesDescription {
    /// The labels, `__name__` included.
    pub labels: Labels,
}

impl Expr {
    /// Where the expression stands in the text.
    #[must_use]
    pub fn span(&self) -> TextSpan {
        match self {
            Self::Number(n) => n.span,
            Self::String(s) => s.span,
            Self::Vector(v) => v.span,
            Self::Matrix(m) => m.span,
            Self::Subquery(s) => s.span,
            Self::Call(c) => c.span,
            Self::Aggregate(a) => a.span,
            Self::Binary(b) => b.span,
            Self::Unary(u) => u.span,
            Self::Paren(p) => p.span,
        }
    }

    /// What the expression yields. Recursion is bounded by the parser's depth limit.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Vector(_) | Self::Aggregate(_) => ValueType::Vector,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
            Self::Call(c) => c.function.returns,
            Self::Binary(b) => match (b.lhs.value_type(), b.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            Self::Unary(u) => u.expr.value_type(),
            Self::Paren(p) => p.expr.value_type(),
        }
    }
}
