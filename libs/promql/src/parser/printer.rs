//! Syntax tree to text, as Prometheus prints it. What is printed parses to a tree that prints the same.

use std::fmt::{self, Display, Formatter, Write as _};

use model::matcher::quote;

use super::ast::{
    Aggregate, AtModifier, Binary, BinaryOp, DurationExpr, DurationValue, Expr, ExtendedRange, MatchCardinality, MatrixSelector,
    NumberLiteral, Subquery, VectorMatching, VectorSelector,
};
use super::literal::{format_duration, format_number, format_short_number};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(string) => f.write_str(&string.quoted()),
            Self::Vector(selector) => selector.fmt(f),
            Self::Matrix(matrix) => matrix.fmt(f),
            Self::Subquery(subquery) => subquery.fmt(f),
            Self::Call(call) => {
                f.write_str(call.function.name)?;
                f.write_char('(')?;
                write_list(f, &call.args)?;
                f.write_char(')')
            }
            Self::Aggregate(aggregate) => aggregate.fmt(f),
            Self::Binary(binary) => binary.fmt(f),
            Self::Unary(unary) => write!(f, "{}{}", if unary.negate { '-' } else { '+' }, unary.expr),
            Self::Paren(paren) => write!(f, "({})", paren.expr),
        }
    }
}

fn write_list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        let joint = if at > 0 { ", " } else { "" };
        write!(f, "{joint}{item}")?;
    }
    Ok(())
}

/// `(a, "b.c")`.
fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    let labels: Vec<String> = labels.iter().map(|l| if model::matcher::is_plain_name(l) { l.clone() } else { quote(l) }).collect();
    write!(f, "({})", labels.join(", "))
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.is_duration {
            return f.write_str(&format_number(self.value));
        }
        #[allow(clippy::cast_possible_truncation, reason = "a cast from float saturates")]
        let millis = (self.value * 1000.0).round() as i64;
        f.write_str(&format_duration(millis))
    }
}

/// `sum by (a) `, what stands before the parenthesis.
pub(super) struct AggregateHead<'a>(pub(super) &'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Aggregate { op, without, grouping, .. } = self.0;
        f.write_str(op.name())?;
        if *without || !grouping.is_empty() {
            f.write_str(if *without { " without " } else { " by " })?;
            write_labels(f, grouping)?;
            f.write_char(' ')?;
        }
        Ok(())
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        AggregateHead(self).fmt(f)?;
        match &self.param {
            Some(param) => write!(f, "({param}, {})", self.expr),
            None => write!(f, "({})", self.expr),
        }
    }
}

/// `+ on (a)`, what stands between the operands.
pub(super) struct BinaryHead<'a>(pub(super) &'a Binary);

impl Display for BinaryHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.symbol())?;
        if self.0.return_bool {
            f.write_str(" bool")?;
        }
        self.0.matching.as_ref().map_or(Ok(()), |matching| write_matching(f, matching))
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &*self.lhs {
            // A sign would be read as the sign of the power, and make it another tree.
            Expr::Number(number) if self.op == BinaryOp::Pow && number.value == f64::INFINITY => f.write_str("Inf")?,
            lhs => lhs.fmt(f)?,
        }
        write!(f, " {} {}", BinaryHead(self), self.rhs)
    }
}

fn write_matching(f: &mut Formatter<'_>, matching: &VectorMatching) -> fmt::Result {
    let group = match matching.card {
        MatchCardinality::ManyToOne => Some(" group_left "),
        MatchCardinality::OneToMany => Some(" group_right "),
        MatchCardinality::OneToOne | MatchCardinality::ManyToMany => None,
    };
    // `ignoring ()` says nothing, but `group_left` needs it before.
    if matching.on || !matching.labels.is_empty() || group.is_some() {
        f.write_str(if matching.on { " on " } else { " ignoring " })?;
        write_labels(f, &matching.labels)?;
    }
    if let Some(group) = group {
        f.write_str(group)?;
        write_labels(f, &matching.include)?;
    }
    match (matching.fill_left, matching.fill_right) {
        #[allow(clippy::float_cmp, reason = "one modifier stands for two only if they say the same")]
        (Some(left), Some(right)) if left == right => write!(f, " fill ({})", format_short_number(left)),
        (left, right) => {
            for (name, value) in [("fill_left", left), ("fill_right", right)] {
                if let Some(value) = value {
                    write!(f, " {name} ({})", format_short_number(value))?;
                }
            }
            Ok(())
        }
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_series(f)?;
        write_at(f, self.at)?;
        write_extended(f, self.extended)?;
        write_offset(f, self.offset.as_ref())
    }
}

impl VectorSelector {
    /// Name and matchers, the matchers in the order of their text.
    fn write_series(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or_default();
        let says_name =
            |m: &model::Matcher| &*m.name == "__name__" && m.op == model::MatchOp::Equal && !name.is_empty() && &*m.value == name;
        let mut matchers: Vec<String> = self.matchers.iter().filter(|m| !says_name(m)).map(ToString::to_string).collect();
        matchers.sort_unstable();
        f.write_str(name)?;
        if matchers.is_empty() && !name.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", matchers.join(","))
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.selector.write_series(f)?;
        write!(f, "[{}]", self.range)?;
        write_extended(f, self.selector.extended)?;
        write_at(f, self.selector.at)?;
        write_offset(f, self.selector.offset.as_ref())
    }
}

/// `[5m:1m] offset 1h`, what stands after the expression.
pub(super) struct SubqueryTail<'a>(pub(super) &'a Subquery);

impl Display for SubqueryTail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Subquery { range, step, at, offset, .. } = self.0;
        write!(f, "[{range}:")?;
        if let Some(step) = step {
            step.fmt(f)?;
        }
        f.write_char(']')?;
        write_at(f, *at)?;
        write_offset(f, offset.as_ref())
    }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expr, SubqueryTail(self))
    }
}

fn write_at(f: &mut Formatter<'_>, at: Option<AtModifier>) -> fmt::Result {
    match at {
        None => Ok(()),
        #[allow(clippy::cast_precision_loss, reason = "printed as Prometheus does")]
        Some(AtModifier::Timestamp(millis)) => write!(f, " @ {:.3}", millis as f64 / 1000.0),
        Some(AtModifier::Start) => f.write_str(" @ start()"),
        Some(AtModifier::End) => f.write_str(" @ end()"),
    }
}

fn write_extended(f: &mut Formatter<'_>, extended: Option<ExtendedRange>) -> fmt::Result {
    f.write_str(match extended {
        None => "",
        Some(ExtendedRange::Anchored) => " anchored",
        Some(ExtendedRange::Smoothed) => " smoothed",
    })
}

fn write_offset(f: &mut Formatter<'_>, offset: Option<&DurationValue>) -> fmt::Result {
    match offset {
        None | Some(DurationValue::Millis(0)) => Ok(()),
        // After `offset`, only arithmetic that begins with a parenthesis is read on.
        Some(DurationValue::Expr(expr)) if !begins_with_paren(expr) => write!(f, " offset ({expr})"),
        Some(offset) => write!(f, " offset {offset}"),
    }
}

/// Whether the printed expression is one operand, or begins with a parenthesis.
fn begins_with_paren(expr: &DurationExpr) -> bool {
    let mut first = expr;
    while let DurationExpr::Binary { lhs, .. } = first {
        first = lhs;
    }
    match expr {
        DurationExpr::Binary { .. } => matches!(first, DurationExpr::Paren { .. }),
        DurationExpr::Unary { expr, .. } => !matches!(**expr, DurationExpr::Binary { .. }),
        _ => true,
    }
}

impl Display for DurationValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(millis) => f.write_str(&format_duration(*millis)),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Step(_) => f.write_str("step()"),
            Self::Range(_) => f.write_str("range()"),
            Self::Extreme { max, lhs, rhs, .. } => write!(f, "{}({lhs}, {rhs})", if *max { "max_of" } else { "min_of" }),
            Self::Binary { op, lhs, rhs, .. } => write!(f, "{lhs} {} {rhs}", op.symbol()),
            Self::Unary { negate, expr, .. } => write!(f, "{}{expr}", if *negate { "-" } else { "" }),
            Self::Paren { expr, .. } => write!(f, "({expr})"),
        }
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}
