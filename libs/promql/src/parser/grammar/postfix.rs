//! What stands after an operand: ranges, `offset`, `@`, `anchored`, `smoothed`.

use super::expression::apply_sign;
use super::{Node, Parsed, Parser, merge};
use crate::parser::ast::{AtModifier, BinaryOp, DurationValue, Expr, ExtendedRange, MatrixSelector, Subquery, TextSpan, VectorSelector};
use crate::parser::grammar::duration::Place;
use crate::parser::literal::format_number;
use crate::parser::token::{Keyword, TokenKind, Word};

const PRECEDED_BY: &str = "modifier must be preceded by an instant vector selector or range vector selector or a subquery";

impl Parser<'_> {
    pub(super) fn postfix(&mut self, mut node: Node) -> Parsed {
        loop {
            node = match self.kind()? {
                TokenKind::LeftBracket => self.brackets(node)?,
                TokenKind::At => self.at(node)?,
                TokenKind::Keyword(Keyword::Offset) => self.offset(node)?,
                TokenKind::Keyword(Keyword::Anchored) => self.extended(node, ExtendedRange::Anchored)?,
                TokenKind::Keyword(Keyword::Smoothed) => self.extended(node, ExtendedRange::Smoothed)?,
                _ => return Ok(node),
            };
        }
    }

    /// `[range]` or `[range:step]`.
    fn brackets(&mut self, node: Node) -> Parsed {
        let open = self.advance()?;
        let range = self.positive_duration(Place::Range)?;
        match self.kind()? {
            TokenKind::RightBracket => {
                let close = self.advance()?;
                self.matrix(node, range, merge(open.span, close.span))
            }
            TokenKind::Colon => {
                self.advance()?;
                self.subquery(node, range)
            }
            _ => Err(self.unexpected_in("subquery or range", "\":\" or \"]\"")),
        }
    }

    fn matrix(&mut self, node: Node, range: Node<DurationValue>, brackets: TextSpan) -> Parsed {
        let Expr::Vector(selector) = node.expr else {
            return Err(self.error(brackets, "ranges only allowed for vector selectors"));
        };
        if is_set(selector.offset.as_ref()) {
            return Err(self.error(brackets, "no offset modifiers allowed before range"));
        }
        if selector.at.is_some() {
            return Err(self.error(brackets, "no @ modifiers allowed before range"));
        }
        let span = merge(selector.span, brackets);
        let below = node.height.max(range.height);
        self.inner(Expr::Matrix(MatrixSelector { span, selector, range: range.expr }), below, span)
    }

    /// The step, which may be left out, and the closing bracket.
    fn subquery(&mut self, node: Node, range: Node<DurationValue>) -> Parsed {
        let mut below = node.height.max(range.height);
        let mut step = None;
        if self.kind()? != TokenKind::RightBracket {
            let duration = self.positive_duration(Place::Step)?;
            below = below.max(duration.height);
            step = Some(duration.expr);
        }
        if self.kind()? != TokenKind::RightBracket {
            return Err(self.unexpected_in("subquery selector", "\"]\""));
        }
        let close = self.advance()?;
        let span = merge(node.expr.span(), close.span);
        let subquery = Subquery { span, expr: Box::new(node.expr), range: range.expr, step, offset: None, at: None };
        self.inner(Expr::Subquery(subquery), below, span)
    }

    fn offset(&mut self, mut node: Node) -> Parsed {
        self.advance()?;
        let duration = self.offset_duration()?;
        let before = node.expr.span();
        let Some(place) = modifiers_of(&mut node.expr) else {
            return Err(self.error(before, format!("offset {PRECEDED_BY}")));
        };
        // A zero offset does not count as set.
        if is_set(place.offset.as_ref()) {
            return Err(self.error(before, "offset may not be set multiple times"));
        }
        *place.offset = Some(duration.expr);
        *place.end = self.last_end;
        let below = duration.height.max(node.height.saturating_sub(1));
        self.inner(node.expr, below, before)
    }

    fn at(&mut self, mut node: Node) -> Parsed {
        self.advance()?;
        let before = node.expr.span();
        let at = self.at_value(before)?;
        let Some(place) = modifiers_of(&mut node.expr) else {
            return Err(self.error(before, format!("@ {PRECEDED_BY}")));
        };
        if place.at.is_some() {
            return Err(self.error(before, "@ <timestamp> may not be set multiple times"));
        }
        *place.at = Some(at);
        *place.end = self.last_end;
        Ok(node)
    }

    /// A number of seconds with or without sign, `start()` or `end()`.
    fn at_value(&mut self, selector: TextSpan) -> Parsed<AtModifier> {
        let sign = match self.kind()? {
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => Some((self.advance()?, op == BinaryOp::Sub)),
            TokenKind::Word(word @ (Word::Start | Word::End)) => {
                self.advance()?;
                if !(self.take_if(TokenKind::LeftParen)? && self.take_if(TokenKind::RightParen)?) {
                    return Err(self.unexpected_in("@", "timestamp"));
                }
                return Ok(if word == Word::Start { AtModifier::Start } else { AtModifier::End });
            }
            _ => None,
        };
        if !matches!(self.kind()?, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected_in("@", "timestamp"));
        }
        let mut number = self.number()?;
        if let Some((sign, negate)) = sign {
            number = apply_sign(sign, negate, number);
        }
        let millis = timestamp_millis(number.value);
        millis.map(AtModifier::Timestamp).ok_or_else(|| {
            let value = if number.value.is_finite() { format!("{:.6}", number.value) } else { format_number(number.value) };
            self.error(selector, format!("timestamp out of bounds for @ modifier: {value}"))
        })
    }

    fn extended(&mut self, mut node: Node, range: ExtendedRange) -> Parsed {
        self.advance()?;
        let span = node.expr.span();
        let name = match range {
            ExtendedRange::Anchored => "anchored",
            ExtendedRange::Smoothed => "smoothed",
        };
        if !self.options.extended_range_selectors {
            return Err(self.error(span, format!("{name} modifier is experimental and not enabled")));
        }
        let (selector, end): (&mut VectorSelector, _) = match &mut node.expr {
            Expr::Vector(selector) => (selector, None),
            Expr::Matrix(matrix) => (&mut matrix.selector, Some(&mut matrix.span.end)),
            Expr::Subquery(_) => return Err(self.error(span, format!("{name} modifier is not supported for subqueries"))),
            _ => return Err(self.error(span, format!("{name} modifier not implemented"))),
        };
        if selector.extended.is_some_and(|set| set != range) {
            return Err(self.error(span, "anchored and smoothed modifiers cannot be used together"));
        }
        selector.extended = Some(range);
        *end.unwrap_or(&mut selector.span.end) = self.last_end;
        Ok(node)
    }
}

/// Where the modifiers of an expression are kept.
struct Modifiable<'e> {
    offset: &'e mut Option<DurationValue>,
    at: &'e mut Option<AtModifier>,
    end: &'e mut u32,
}

fn modifiers_of(expr: &mut Expr) -> Option<Modifiable<'_>> {
    match expr {
        Expr::Vector(v) => Some(Modifiable { offset: &mut v.offset, at: &mut v.at, end: &mut v.span.end }),
        Expr::Matrix(m) => Some(Modifiable { offset: &mut m.selector.offset, at: &mut m.selector.at, end: &mut m.span.end }),
        Expr::Subquery(s) => Some(Modifiable { offset: &mut s.offset, at: &mut s.at, end: &mut s.span.end }),
        _ => None,
    }
}

fn is_set(offset: Option<&DurationValue>) -> bool {
    offset.is_some_and(|offset| *offset != DurationValue::Millis(0))
}

/// Seconds to milliseconds, `None` if they do not fit or are no number.
fn timestamp_millis(seconds: f64) -> Option<i64> {
    /// 2^63: the first float that is too large.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    let millis = (seconds * 1000.0).round();
    #[allow(clippy::cast_possible_truncation, reason = "within the bounds, and whole")]
    (millis.abs() < BOUND).then_some(millis as i64)
}
