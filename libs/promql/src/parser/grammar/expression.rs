//! Operators, operands and parentheses.

use super::{Node, Parsed, Parser, merge};
use crate::parser::ast::{Binary, BinaryOp, Expr, NumberLiteral, Paren, StringLiteral, TextSpan, Unary};
use crate::parser::grammar::modifiers::Modifiers;
use crate::parser::literal::{parse_duration, parse_number};
use crate::parser::operators::POWER_PRECEDENCE;
use crate::parser::token::{Keyword, Token, TokenKind};
use crate::parser::unquote::{undecodable, unquote};

impl Parser<'_> {
    /// Reads operands joined by operators of at least that precedence.
    pub(super) fn expression(&mut self, least: u8) -> Parsed {
        self.enter()?;
        let mut left = self.operand()?;
        while let TokenKind::Operator(op) = self.kind()? {
            if op.precedence() < least {
                break;
            }
            self.advance()?;
            let modifiers = self.binary_modifiers()?;
            let right = self.expression(op.right_precedence())?;
            left = self.binary(left, op, modifiers, right)?;
        }
        self.leave();
        Ok(left)
    }

    fn binary(&mut self, left: Node, op: BinaryOp, modifiers: Modifiers, right: Node) -> Parsed {
        let span = merge(left.expr.span(), right.expr.span());
        let fills = modifiers.matching.fill_left.is_some() || modifiers.matching.fill_right.is_some();
        if fills && !self.options.fill_modifiers {
            return Err(self.error(span, "binop fill modifiers are experimental and not enabled"));
        }
        let below = left.height.max(right.height);
        let binary = Binary {
            span,
            op,
            lhs: Box::new(left.expr),
            rhs: Box::new(right.expr),
            matching: Some(modifiers.matching),
            return_bool: modifiers.return_bool,
        };
        self.inner(Expr::Binary(binary), below, span)
    }

    fn operand(&mut self) -> Parsed {
        match self.kind()? {
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                let sign = self.advance()?;
                let operand = self.expression(POWER_PRECEDENCE)?;
                self.signed(sign, op == BinaryOp::Sub, operand)
            }
            _ => {
                let primary = self.primary()?;
                self.postfix(primary)
            }
        }
    }

    /// A sign before a number becomes part of the number.
    fn signed(&mut self, sign: Token, negate: bool, operand: Node) -> Parsed {
        match operand.expr {
            Expr::Number(number) => Ok(Node::leaf(Expr::Number(apply_sign(sign, negate, number)))),
            expr => {
                let span = merge(sign.span, expr.span());
                self.inner(Expr::Unary(Unary { span, negate, expr: Box::new(expr) }), operand.height, span)
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let kind = self.kind()?;
        match kind {
            TokenKind::Number | TokenKind::Duration => Ok(Node::leaf(Expr::Number(self.number()?))),
            TokenKind::String => {
                let token = self.advance()?;
                let quoted = self.token_text(token);
                let (value, undecodable) = (unquote(quoted), undecodable(quoted));
                Ok(Node::leaf(Expr::String(StringLiteral { span: token.span, value, undecodable })))
            }
            TokenKind::LeftParen => self.paren(),
            TokenKind::LeftBrace => self.braces_selector(),
            _ if kind.may_be_metric() => self.named(),
            _ => Err(self.unexpected()),
        }
    }

    fn paren(&mut self) -> Parsed {
        let open = self.advance()?;
        let inner = self.expression(1)?;
        let close = self.expect(TokenKind::RightParen)?;
        let span = merge(open.span, close.span);
        self.inner(Expr::Paren(Paren { span, expr: Box::new(inner.expr) }), inner.height, span)
    }

    /// A word: aggregation, function or metric, by what follows.
    fn named(&mut self) -> Parsed {
        let word = self.advance()?;
        match (word.kind, self.kind()?) {
            (TokenKind::Aggregator(op), TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without)) => {
                self.aggregate(word, op)
            }
            (kind, TokenKind::LeftParen) if kind.may_be_function() => self.call(word),
            _ => self.metric_selector(word),
        }
    }

    /// A number or duration without sign.
    pub(super) fn number(&mut self) -> Parsed<NumberLiteral> {
        let token = self.advance()?;
        let text = self.token_text(token);
        let is_duration = token.kind == TokenKind::Duration;
        let value = if is_duration { parse_duration(text).map(seconds) } else { parse_number(text) };
        let value = value.map_err(|message| self.error(token.span, message))?;
        Ok(NumberLiteral { span: token.span, value, is_duration })
    }

    /// Whether the next token can begin an expression.
    pub(super) fn at_expression(&mut self) -> Parsed<bool> {
        let kind = self.kind()?;
        Ok(kind.may_be_metric()
            || matches!(
                kind,
                TokenKind::Number
                    | TokenKind::Duration
                    | TokenKind::String
                    | TokenKind::LeftParen
                    | TokenKind::LeftBrace
                    | TokenKind::Operator(BinaryOp::Add | BinaryOp::Sub)
            ))
    }
}

/// The number with the sign before it.
pub(super) fn apply_sign(sign: Token, negate: bool, mut number: NumberLiteral) -> NumberLiteral {
    number.span = TextSpan { start: sign.span.start, end: number.span.end };
    if negate {
        number.value = -number.value;
    }
    number
}

/// Whole seconds and the rest apart, so that `1m30ms` is exactly 60.03.
#[allow(clippy::cast_precision_loss, reason = "PromQL numbers are floats")]
fn seconds(nanos: u64) -> f64 {
    const PER_SECOND: u64 = 1_000_000_000;
    (nanos / PER_SECOND) as f64 + (nanos % PER_SECOND) as f64 / 1e9
}
