//! Ranges, steps and offsets: literals, and the arithmetic on them.

use super::expression::apply_sign;
use super::{Node, Parsed, Parser, merge};
use crate::parser::ast::{BinaryOp, DurationExpr, DurationValue, NumberLiteral, TextSpan};
use crate::parser::operators::POWER_PRECEDENCE;
use crate::parser::token::{Token, TokenKind, Word};

/// Where a duration stands; error texts differ.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Range,
    Step,
    Offset,
}

type Duration = Node<DurationExpr>;

impl Parser<'_> {
    /// A range or step.
    pub(super) fn positive_duration(&mut self, place: Place) -> Parsed<Node<DurationValue>> {
        let duration = self.duration(1, place)?;
        self.peek()?;
        let span = duration.expr.span();
        let value = duration_value(duration);
        match value.expr {
            DurationValue::Millis(millis) if millis <= 0 => Err(self.error(span, "duration must be greater than 0")),
            _ => Ok(value),
        }
    }

    /// What follows `offset`: one literal, call or parenthesis with or without sign, so that `a offset 5m - b` is a difference.
    /// Only arithmetic that begins with a parenthesis or two signs goes on, as in Prometheus's grammar.
    pub(super) fn offset_duration(&mut self) -> Parsed<Node<DurationValue>> {
        let place = Place::Offset;
        let sign = match self.kind()? {
            TokenKind::LeftParen => return Ok(duration_value(self.duration(1, place)?)),
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => Some((self.advance()?, op == BinaryOp::Sub)),
            _ => None,
        };
        let Some((sign, negate)) = sign else { return Ok(duration_value(self.duration_atom(place)?)) };
        let duration = match self.kind()? {
            TokenKind::Operator(BinaryOp::Add | BinaryOp::Sub) => {
                let operand = self.duration(POWER_PRECEDENCE, place)?;
                let first = self.signed_duration(sign, negate, operand)?;
                self.duration_operators(first, 1, place)?
            }
            TokenKind::LeftParen => {
                // Unlike other parentheses these need no feature gate.
                let operand = self.parenthesised(place)?;
                self.signed_duration(sign, negate, operand)?
            }
            _ => {
                let operand = self.duration_atom(place)?;
                self.signed_duration(sign, negate, operand)?
            }
        };
        Ok(duration_value(duration))
    }

    fn duration(&mut self, least: u8, place: Place) -> Parsed<Duration> {
        self.enter()?;
        let first = match self.kind()? {
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                let sign = self.advance()?;
                let operand = self.duration(POWER_PRECEDENCE, place)?;
                self.signed_duration(sign, op == BinaryOp::Sub, operand)?
            }
            _ => self.duration_atom(place)?,
        };
        let duration = self.duration_operators(first, least, place)?;
        self.leave();
        Ok(duration)
    }

    /// Goes on after the first operand while operators of at least that precedence follow.
    fn duration_operators(&mut self, mut left: Duration, least: u8, place: Place) -> Parsed<Duration> {
        while let TokenKind::Operator(op) = self.kind()? {
            let arithmetic = matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow);
            if !arithmetic || op.precedence() < least {
                break;
            }
            let operator = self.advance()?;
            let right = self.duration(op.right_precedence(), place)?;
            self.gate(left.expr.span())?;
            if matches!(&right.expr, DurationExpr::Number(n) if n.value == 0.0) && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
                let what = if op == BinaryOp::Div { "division" } else { "modulo" };
                return Err(self.error(operator.span, format!("{what} by zero")));
            }
            let span = merge(left.expr.span(), right.expr.span());
            let below = left.height.max(right.height);
            let binary = DurationExpr::Binary { span, op, lhs: Box::new(left.expr), rhs: Box::new(right.expr) };
            left = self.inner(binary, below, span)?;
        }
        Ok(left)
    }

    fn duration_atom(&mut self, place: Place) -> Parsed<Duration> {
        match self.kind()? {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number()?;
                self.in_range(number.value, number.span)?;
                Ok(Node::leaf(DurationExpr::Number(number)))
            }
            TokenKind::Word(word @ (Word::Step | Word::Range)) => {
                let start = self.advance()?.span.start;
                self.duration_token(TokenKind::LeftParen, place)?;
                let end = self.duration_token(TokenKind::RightParen, place)?.span.end;
                let span = TextSpan { start, end };
                self.gate(span)?;
                Ok(Node::leaf(if word == Word::Step { DurationExpr::Step(span) } else { DurationExpr::Range(span) }))
            }
            TokenKind::Word(word @ (Word::MaxOf | Word::MinOf)) => self.extreme(word == Word::MaxOf, place),
            TokenKind::LeftParen => {
                let paren = self.parenthesised(place)?;
                let inner = match &paren.expr {
                    DurationExpr::Paren { expr, .. } => expr.span(),
                    other => other.span(),
                };
                self.gate(inner)?;
                Ok(paren)
            }
            _ => Err(self.unexpected_duration(place)),
        }
    }

    /// `min_of(a, b)` or `max_of(a, b)`.
    fn extreme(&mut self, max: bool, place: Place) -> Parsed<Duration> {
        let start = self.advance()?.span.start;
        self.duration_token(TokenKind::LeftParen, place)?;
        let lhs = self.duration(1, place)?;
        self.duration_token(TokenKind::Comma, place)?;
        let rhs = self.duration(1, place)?;
        let end = self.duration_token(TokenKind::RightParen, place)?.span.end;
        let span = TextSpan { start, end };
        self.gate(span)?;
        let below = lhs.height.max(rhs.height);
        self.inner(DurationExpr::Extreme { span, max, lhs: Box::new(lhs.expr), rhs: Box::new(rhs.expr) }, below, span)
    }

    /// `(a)`. Doubled parentheses count once.
    fn parenthesised(&mut self, place: Place) -> Parsed<Duration> {
        let open = self.advance()?;
        let inner = self.duration(1, place)?;
        let close = self.duration_token(TokenKind::RightParen, place)?;
        if matches!(inner.expr, DurationExpr::Paren { .. }) {
            return Ok(inner);
        }
        let span = merge(open.span, close.span);
        self.inner(DurationExpr::Paren { span, expr: Box::new(inner.expr) }, inner.height, span)
    }

    /// A sign before a number becomes part of the number; a plus before anything else is dropped.
    fn signed_duration(&mut self, sign: Token, negate: bool, operand: Duration) -> Parsed<Duration> {
        match operand.expr {
            DurationExpr::Number(number) => {
                let number = apply_sign(sign, negate, number);
                self.in_range(number.value, sign.span)?;
                Ok(Node::leaf(DurationExpr::Number(number)))
            }
            expr if negate => {
                let span = merge(sign.span, expr.span());
                self.inner(DurationExpr::Unary { span, negate, expr: Box::new(expr) }, operand.height, span)
            }
            expr => Ok(Node { expr, height: operand.height }),
        }
    }

    fn duration_token(&mut self, kind: TokenKind, place: Place) -> Parsed<Token> {
        if self.kind()? == kind { self.advance() } else { Err(self.unexpected_duration(place)) }
    }

    fn unexpected_duration(&mut self, place: Place) -> crate::parser::ParseError {
        const WANTED: &str = "number, duration, step(), or range()";
        match place {
            Place::Range => self.unexpected_in("subquery or range selector", WANTED),
            Place::Step => self.unexpected_in("subquery selector", "number, duration, step(), range(), or \"]\""),
            Place::Offset => self.unexpected_in("offset", WANTED),
        }
    }

    fn gate(&self, span: TextSpan) -> Parsed<()> {
        if self.options.duration_expressions { Ok(()) } else { Err(self.error(span, "experimental duration expression is not enabled")) }
    }

    /// Durations are nanoseconds in 64 bits for Prometheus, about 292 years. NaN is none.
    fn in_range(&self, seconds: f64, span: TextSpan) -> Parsed<()> {
        /// 2^63 nanoseconds.
        const BOUND: f64 = 9_223_372_036.854_776;
        if seconds.abs() <= BOUND { Ok(()) } else { Err(self.error(span, "duration out of range")) }
    }
}

/// A literal becomes milliseconds, anything else waits for the planner.
fn duration_value(duration: Duration) -> Node<DurationValue> {
    match duration.expr {
        DurationExpr::Number(number) => Node::leaf(DurationValue::Millis(literal_millis(&number))),
        expr => Node { expr: DurationValue::Expr(Box::new(expr)), height: duration.height },
    }
}

/// Rounded to nanoseconds first, so that `[4.018]` is 4018 ms; then cut, so that half a millisecond is none.
fn literal_millis(number: &NumberLiteral) -> i64 {
    #[allow(clippy::cast_possible_truncation, reason = "a cast from float saturates, and the range was checked")]
    let nanos = (number.value * 1e9).round() as i64;
    nanos / 1_000_000
}

impl DurationExpr {
    /// Where the expression stands in the text.
    #[must_use]
    pub fn span(&self) -> TextSpan {
        match self {
            Self::Number(number) => number.span,
            Self::Step(span) | Self::Range(span) => *span,
            Self::Extreme { span, .. } | Self::Binary { span, .. } | Self::Unary { span, .. } | Self::Paren { span, .. } => *span,
        }
    }
}
