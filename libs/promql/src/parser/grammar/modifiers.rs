//! What stands between a binary operator and its right operand.

use super::expression::apply_sign;
use super::{Parsed, Parser};
use crate::parser::ast::{BinaryOp, MatchCardinality, VectorMatching};
use crate::parser::token::{Keyword, TokenKind};

/// `bool`, and how series are matched.
#[derive(Debug)]
pub(super) struct Modifiers {
    pub(super) return_bool: bool,
    pub(super) matching: VectorMatching,
}

impl Parser<'_> {
    /// `bool on (a) group_left (b) fill (0)`, every part optional. Cardinality is one-to-one without `group_…`; set operators are
    /// corrected later.
    pub(super) fn binary_modifiers(&mut self) -> Parsed<Modifiers> {
        let return_bool = self.take_if(TokenKind::Keyword(Keyword::Bool))?;
        let mut matching = VectorMatching {
            card: MatchCardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        if let TokenKind::Keyword(keyword @ (Keyword::On | Keyword::Ignoring)) = self.kind()? {
            self.advance()?;
            matching.on = keyword == Keyword::On;
            matching.labels = self.grouping_labels()?;
            self.group_modifier(&mut matching)?;
        }
        self.fill_modifiers(&mut matching)?;
        Ok(Modifiers { return_bool, matching })
    }

    fn group_modifier(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        matching.card = match self.kind()? {
            TokenKind::Keyword(Keyword::GroupLeft) => MatchCardinality::ManyToOne,
            TokenKind::Keyword(Keyword::GroupRight) => MatchCardinality::OneToMany,
            _ => return Ok(()),
        };
        self.advance()?;
        // Without labels the right operand follows; what is neither is taken for a wrong list.
        if self.kind()? == TokenKind::LeftParen || !self.at_expression()? {
            matching.include = self.grouping_labels()?;
        }
        Ok(())
    }

    /// `fill (v)`, or `fill_left (v)` and `fill_right (v)`, either or both, in any order.
    fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        if self.take_if(TokenKind::Keyword(Keyword::Fill))? {
            let value = self.fill_value()?;
            matching.fill_left = Some(value);
            matching.fill_right = Some(value);
            return Ok(());
        }
        loop {
            match self.kind()? {
                TokenKind::Keyword(Keyword::FillLeft) if matching.fill_left.is_none() => {
                    self.advance()?;
                    matching.fill_left = Some(self.fill_value()?);
                }
                TokenKind::Keyword(Keyword::FillRight) if matching.fill_right.is_none() => {
                    self.advance()?;
                    matching.fill_right = Some(self.fill_value()?);
                }
                _ => return Ok(()),
            }
        }
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        self.expect(TokenKind::LeftParen)?;
        let sign = match self.kind()? {
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => Some((self.advance()?, op == BinaryOp::Sub)),
            _ => None,
        };
        if !matches!(self.kind()?, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected());
        }
        let mut number = self.number()?;
        if let Some((sign, negate)) = sign {
            number = apply_sign(sign, negate, number);
        }
        self.expect(TokenKind::RightParen)?;
        Ok(number.value)
    }
}
