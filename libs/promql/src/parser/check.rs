//! What Prometheus checks once the syntax is clean: types, counts, and which modifiers fit which operands.

use model::matcher::quote;

use super::ast::{Aggregate, Binary, Call, Expr, MatchCardinality, Subquery, TextSpan, Unary, ValueType, VectorSelector};
use super::error::ParseError;
use super::functions::FunctionDef;

type Checked<T = ()> = Result<T, ParseError>;

/// Checks a tree and completes it: set operators become many-to-many, matching without two vectors is removed.
///
/// Recursion is bounded by the height of the tree.
pub(super) fn check(text: &[u8], expr: &mut Expr) -> Checked<ValueType> {
    Checker { text }.expr(expr)
}

struct Checker<'a> {
    text: &'a [u8],
}

impl Checker<'_> {
    fn error<T>(&self, span: TextSpan, message: impl Into<String>) -> Checked<T> {
        Err(ParseError::new(self.text, span, message.into()))
    }

    fn expr(&self, expr: &mut Expr) -> Checked<ValueType> {
        match expr {
            Expr::Number(_) => Ok(ValueType::Scalar),
            Expr::String(_) => Ok(ValueType::String),
            Expr::Vector(selector) => self.selector(selector, true),
            Expr::Matrix(matrix) => self.selector(&matrix.selector, true).map(|_| ValueType::Matrix),
            Expr::Subquery(subquery) => self.subquery(subquery),
            Expr::Call(call) => self.call(call),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Unary(unary) => self.unary(unary),
            Expr::Paren(paren) => self.expr(&mut paren.expr),
        }
    }

    fn expect(&self, expr: &mut Expr, want: ValueType, context: &str) -> Checked {
        let got = self.expr(expr)?;
        if got == want {
            return Ok(());
        }
        self.error(expr.span(), format!("expected type {} in {context}, got {}", want.describe(), got.describe()))
    }

    fn selector(&self, selector: &VectorSelector, must_select: bool) -> Checked<ValueType> {
        if let Some(name) = &selector.name {
            // The last matcher is the one for the name before the braces.
            let written = selector.matchers.split_last().map_or(&[][..], |(_, written)| written);
            if let Some(second) = written.iter().find(|m| &*m.name == "__name__") {
                let message = format!("metric name must not be set twice: {} or {}", quote(name), quote(&second.value));
                return self.error(selector.span, message);
            }
        } else if must_select && selector.matchers.iter().all(model::Matcher::matches_empty) {
            return self.error(selector.span, "vector selector must contain at least one non-empty matcher");
        }
        Ok(ValueType::Vector)
    }

    fn subquery(&self, subquery: &mut Subquery) -> Checked<ValueType> {
        let inner = match self.expr(&mut subquery.expr)? {
            ValueType::Vector => return Ok(ValueType::Matrix),
            ValueType::Scalar => "scalar",
            ValueType::Matrix => "matrix",
            ValueType::String => "string",
        };
        self.error(subquery.span, format!("subquery is only allowed on instant vector, got {inner} instead"))
    }

    fn aggregate(&self, aggregate: &mut Aggregate) -> Checked<ValueType> {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
        if let (Some(param), Some(want)) = (aggregate.param.as_deref_mut(), aggregate.op.param_type()) {
            self.expect(param, want, "aggregation parameter")?;
        }
        Ok(ValueType::Vector)
    }

    fn unary(&self, unary: &mut Unary) -> Checked<ValueType> {
        let inner = self.expr(&mut unary.expr)?;
        if matches!(inner, ValueType::Scalar | ValueType::Vector) {
            return Ok(inner);
        }
        let got = quote(inner.describe());
        self.error(unary.span, format!("unary expression only allowed on expressions of type scalar or instant vector, got {got}"))
    }

    fn call(&self, call: &mut Call) -> Checked<ValueType> {
        self.argument_count(call)?;
        let labels_only = call.function.name == "info";
        if labels_only {
            self.info_labels(call)?;
        }
        let context = format!("call to function {}", quote(call.function.name));
        for (position, arg) in call.args.iter_mut().enumerate() {
            match (arg, call.function.arg_type(position)) {
                // Any label selector will do, even one that selects everything.
                (Expr::Vector(selector), _) if labels_only && position == 1 => {
                    self.selector(selector, false)?;
                }
                (arg, Some(want)) => self.expect(arg, want, &context)?,
                (arg, None) => {
                    self.expr(arg)?;
                }
            }
        }
        Ok(call.function.returns)
    }

    fn argument_count(&self, call: &Call) -> Checked {
        let FunctionDef { name, args, variadic, .. } = *call.function;
        let got = call.args.len();
        let least = if variadic == 0 { args.len() } else { args.len().saturating_sub(1) };
        let most = usize::try_from(variadic).ok().map(|surplus| least + surplus);
        let (bound, wanted) = match most {
            Some(most) if most == least && got != least => ("", least),
            _ if got < least => ("at least ", least),
            Some(most) if got > most => ("at most ", most),
            _ => return Ok(()),
        };
        self.error(call.span, format!("expected {bound}{wanted} argument(s) in call to {}, got {got}", quote(name)))
    }

    fn info_labels(&self, call: &Call) -> Checked {
        let Some(labels) = call.args.get(1) else { return Ok(()) };
        let got = labels.value_type();
        if got != ValueType::Vector {
            let message = format!("expected type instant vector in call to function \"info\", got {}", got.describe());
            return self.error(call.span, message);
        }
        match labels {
            Expr::Vector(VectorSelector { name: None, .. }) => Ok(()),
            Expr::Vector(_) => self.error(labels.span(), "expected label selectors only, got vector selector instead"),
            _ => self.error(labels.span(), "expected label selectors only"),
        }
    }

    fn binary(&self, binary: &mut Binary) -> Checked<ValueType> {
        let lhs = self.expr(&mut binary.lhs)?;
        let rhs = self.expr(&mut binary.rhs)?;
        let both = |t| lhs == t && rhs == t;
        self.comparison(binary, both(ValueType::Scalar))?;
        self.copied_labels(binary)?;
        for (side, got) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
            if !matches!(got, ValueType::Scalar | ValueType::Vector) {
                return self.error(side.span(), "binary expression must contain only scalar and instant vector types");
            }
        }
        if both(ValueType::Vector) {
            self.vector_matching(binary)?;
        } else {
            self.no_matching(binary)?;
        }
        Ok(if both(ValueType::Scalar) { ValueType::Scalar } else { ValueType::Vector })
    }

    fn comparison(&self, binary: &Binary, scalars: bool) -> Checked {
        if binary.return_bool && !binary.op.is_comparison() {
            return self.error(self.operator_span(binary), "bool modifier can only be used on comparison operators");
        }
        if binary.op.is_comparison() && !binary.return_bool && scalars {
            return self.error(self.operator_span(binary), "comparisons between scalars must use BOOL modifier");
        }
        Ok(())
    }

    fn copied_labels(&self, binary: &Binary) -> Checked {
        let Some(matching) = binary.matching.as_ref().filter(|m| m.on) else { return Ok(()) };
        // A set, since both lists may be long.
        let include: hashbrown::HashSet<&str> = matching.include.iter().map(String::as_str).collect();
        match matching.labels.iter().find(|label| include.contains(label.as_str())) {
            Some(label) => {
                let message = format!("label {} must not occur in ON and GROUP clause at once", quote(label));
                self.error(self.operator_span(binary), message)
            }
            None => Ok(()),
        }
    }

    /// Both sides are vectors.
    fn vector_matching(&self, binary: &mut Binary) -> Checked {
        let Some(matching) = binary.matching.as_mut().filter(|_| binary.op.is_set_operator()) else { return Ok(()) };
        if matching.card != MatchCardinality::OneToOne {
            let message = format!("no grouping allowed for {} operation", quote(binary.op.symbol()));
            return self.error(binary.span, message);
        }
        matching.card = MatchCardinality::ManyToMany;
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return self.error(binary.span, "filling in missing series not allowed for set operators");
        }
        Ok(())
    }

    /// At least one side is a scalar: there is nothing to match.
    fn no_matching(&self, binary: &mut Binary) -> Checked {
        if let Some(matching) = binary.matching.take() {
            if !matching.labels.is_empty() {
                return self.error(binary.span, "vector matching only allowed between instant vectors");
            }
            if matching.fill_left.is_some() || matching.fill_right.is_some() {
                return self.error(binary.span, "filling in missing series only allowed between instant vectors");
            }
        }
        if binary.op.is_set_operator() {
            let symbol = quote(binary.op.symbol());
            return self.error(binary.span, format!("set operator {symbol} not allowed in binary scalar expression"));
        }
        Ok(())
    }

    /// The operator and its modifiers, without the space around; the end is the last byte, not one past it, as in Prometheus.
    fn operator_span(&self, binary: &Binary) -> TextSpan {
        let is_space = |at: u32| self.text.get(at as usize).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
        let mut start = binary.lhs.span().end;
        let mut end = binary.rhs.span().start.saturating_sub(1);
        while is_space(start) {
            start += 1;
        }
        while end > start && is_space(end) {
            end -= 1;
        }
        TextSpan { start, end }
    }
}
