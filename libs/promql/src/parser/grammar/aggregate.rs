//! Aggregations and lists of grouping labels.

use model::matcher::quote;

use super::call::Arguments;
use super::{Parsed, Parser};
use crate::parser::ast::{Aggregate, AggregateOp, Expr, TextSpan};
use crate::parser::token::{Keyword, Token, TokenKind};
use crate::parser::unquote::unquote;

const CONTEXT: &str = "grouping opts";

#[derive(Debug, Default)]
struct Grouping {
    labels: Vec<String>,
    without: bool,
}

impl Parser<'_> {
    /// An aggregation; the operator was read. The grouping stands before or after the arguments.
    pub(super) fn aggregate(&mut self, word: Token, op: AggregateOp) -> Parsed {
        self.open_aggregations += 1;
        let (grouping, arguments, end) = match self.grouping()? {
            Some(grouping) => {
                let arguments = self.arguments()?;
                (grouping, arguments, self.last_end)
            }
            None => {
                let arguments = self.arguments()?;
                let grouping = self.grouping()?.unwrap_or_default();
                (grouping, arguments, self.last_end)
            }
        };
        self.open_aggregations -= 1;
        self.new_aggregate(op, grouping, arguments, TextSpan { start: word.span.start, end })
    }

    fn new_aggregate(&mut self, op: AggregateOp, grouping: Grouping, arguments: Arguments, span: TextSpan) -> Parsed {
        let mut args = arguments.expr;
        if args.is_empty() {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        if op.is_experimental() && !self.options.experimental_functions {
            let hint = "is experimental and must be enabled with --enable-feature=promql-experimental-functions";
            return Err(self.error(span, format!("{}() {hint}", op.name())));
        }
        let wanted = if op.param_type().is_some() { 2 } else { 1 };
        let got = args.len();
        let wrong_count = || format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}");
        let Some(expr) = args.pop().filter(|_| got == wanted) else { return Err(self.error(span, wrong_count())) };
        let aggregate = Aggregate {
            span,
            op,
            expr: Box::new(expr),
            param: args.pop().map(Box::new),
            grouping: grouping.labels,
            without: grouping.without,
        };
        self.inner(Expr::Aggregate(aggregate), arguments.height, span)
    }

    /// `by (…)` or `without (…)`, if it stands here.
    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = match self.kind()? {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.advance()?;
        Ok(Some(Grouping { labels: self.grouping_labels()?, without }))
    }

    /// `(a, "b",)`.
    pub(super) fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        if !self.take_if(TokenKind::LeftParen)? {
            return Err(self.unexpected_in(CONTEXT, "\"(\""));
        }
        let mut labels = Vec::new();
        while !self.take_if(TokenKind::RightParen)? {
            labels.push(self.grouping_label()?);
            match self.kind()? {
                TokenKind::Comma => {
                    self.advance()?;
                }
                TokenKind::RightParen => {}
                _ => return Err(self.unexpected_in(CONTEXT, "\",\" or \")\"")),
            }
        }
        Ok(labels)
    }

    fn grouping_label(&mut self) -> Parsed<String> {
        let kind = self.kind()?;
        if kind != TokenKind::String && !kind.may_be_label() {
            return Err(self.unexpected_in(CONTEXT, "label"));
        }
        let token = self.advance()?;
        let text = self.token_text(token);
        let label = if kind == TokenKind::String { unquote(text) } else { text.to_owned() };
        if label.is_empty() {
            return Err(self.error(token.span, format!("invalid label name for grouping: {}", quote(&label))));
        }
        Ok(label)
    }
}
