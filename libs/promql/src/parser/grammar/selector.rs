//! Instant vector selectors.

use model::{MatchOp, Matcher};

use super::{Node, Parsed, Parser, merge};
use crate::parser::ast::{BinaryOp, Expr, TextSpan, VectorSelector};
use crate::parser::token::{Token, TokenKind};
use crate::parser::unquote::unquote;

const CONTEXT: &str = "label matching";
const NAME_LABEL: &str = "__name__";

impl Parser<'_> {
    /// Reads the whole text as one selector, without the check that it selects something.
    pub(in crate::parser) fn parse_matchers(&mut self) -> Parsed<Vec<Matcher>> {
        let kind = self.kind()?;
        let node = if kind == TokenKind::LeftBrace {
            self.braces_selector()?
        } else if kind.may_be_metric() {
            let word = self.advance()?;
            self.metric_selector(word)?
        } else {
            return Err(self.unexpected());
        };
        self.expect(TokenKind::Eof)?;
        match node.expr {
            Expr::Vector(selector) => Ok(selector.matchers),
            _ => Ok(Vec::new()),
        }
    }

    /// A selector that begins with a metric name, which was read.
    pub(super) fn metric_selector(&mut self, word: Token) -> Parsed {
        let name = self.token_text(word).to_owned();
        let mut matchers = if self.kind()? == TokenKind::LeftBrace { self.matchers()? } else { Vec::new() };
        matchers.push(Matcher::equal(NAME_LABEL, &name));
        Ok(selector(TextSpan { start: word.span.start, end: self.last_end }, Some(name), matchers))
    }

    /// A selector that is only braces.
    pub(super) fn braces_selector(&mut self) -> Parsed {
        let start = self.peek()?.span.start;
        let matchers = self.matchers()?;
        Ok(selector(TextSpan { start, end: self.last_end }, None, matchers))
    }

    /// `{a="b", "c"!~"d",}`.
    fn matchers(&mut self) -> Parsed<Vec<Matcher>> {
        self.expect(TokenKind::LeftBrace)?;
        let mut matchers = Vec::new();
        while !self.take_if(TokenKind::RightBrace)? {
            matchers.push(self.matcher()?);
            match self.kind()? {
                TokenKind::Comma => {
                    self.advance()?;
                }
                TokenKind::RightBrace => {}
                _ => return Err(self.unexpected_in(CONTEXT, "\",\" or \"}\"")),
            }
        }
        Ok(matchers)
    }

    /// `a="b"`, or a quoted metric name alone.
    fn matcher(&mut self) -> Parsed<Matcher> {
        let kind = self.kind()?;
        if !matches!(kind, TokenKind::Identifier | TokenKind::String) {
            return Err(self.unexpected_in(CONTEXT, "identifier or \"}\""));
        }
        let quoted = kind == TokenKind::String;
        let label = self.advance()?;
        let text = self.token_text(label);
        let name = if quoted { unquote(text) } else { text.to_owned() };
        let op = match self.kind()? {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Operator(BinaryOp::Neq) => MatchOp::NotEqual,
            TokenKind::RegexMatch => MatchOp::Regex,
            TokenKind::RegexMismatch => MatchOp::NotRegex,
            _ if quoted => return Ok(Matcher::equal(NAME_LABEL, &name)),
            _ => return Err(self.unexpected_in(CONTEXT, "label matching operator")),
        };
        self.advance()?;
        if self.kind()? != TokenKind::String {
            return Err(self.unexpected_in(CONTEXT, "string"));
        }
        let value = self.advance()?;
        let span = merge(label.span, value.span);
        let matcher = Matcher::new(op, &name, &unquote(self.token_text(value))).map_err(|e| self.error(span, e.to_string()))?;
        self.spend(matcher, span)
    }

    /// Patterns are compiled while parsing, so that a text of many dear ones must be stopped here.
    fn spend(&mut self, matcher: Matcher, span: TextSpan) -> Parsed<Matcher> {
        match self.pattern_budget.checked_sub(matcher.cost()) {
            Some(rest) => {
                self.pattern_budget = rest;
                Ok(matcher)
            }
            None => Err(self.error(span, "the regular expressions of this query are too large when taken together")),
        }
    }
}

fn selector(span: TextSpan, name: Option<String>, matchers: Vec<Matcher>) -> Node {
    Node::leaf(Expr::Vector(VectorSelector { span, name, matchers, offset: None, at: None, extended: None }))
}
