//! Tokens to syntax tree: a Pratt parser with one token of lookahead.
//!
//! The first error ends the parse, since only the first is ever shown. Errors that Prometheus finds while it reads (unknown
//! functions, misplaced modifiers) are raised here, in its order; what it checks afterwards is in [`super::check`].
//!
//! Recursion and the height of the tree are both bounded by `max_depth`: chains that lean left (`a + b + c`) grow the tree
//! without recursion here, but drop, clone, print and every other walker recurse over them.

mod aggregate;
mod call;
mod duration;
mod expression;
mod modifiers;
mod postfix;
mod selector;

use super::ast::{Expr, TextSpan};
use super::error::ParseError;
use super::lexer::Lexer;
use super::options::ParseOptions;
use super::token::{Token, TokenKind};

/// A subtree and its height; a leaf has height 1.
#[derive(Debug)]
pub(super) struct Node<T = Expr> {
    pub(super) expr: T,
    pub(super) height: usize,
}

impl<T> Node<T> {
    fn leaf(expr: T) -> Self {
        Self { expr, height: 1 }
    }
}

pub(super) type Parsed<T = Node> = Result<T, ParseError>;

/// The state of one parse.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    text: &'a [u8],
    lexer: Lexer<'a>,
    peeked: Option<Token>,
    /// End of the last token taken.
    last_end: u32,
    options: ParseOptions,
    /// Live recursions.
    depth: usize,
    /// Aggregations begun and not ended; errors inside of them say so.
    open_aggregations: usize,
    /// What compiled patterns may still cost, in the unit of [`model::Matcher::cost`].
    pattern_budget: usize,
}

/// The bound on the sum of [`model::Matcher::cost`] over one text; some 30 MB.
const PATTERN_BUDGET: usize = model::matcher::MAX_PATTERN_COST;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a [u8], options: &ParseOptions) -> Self {
        Self {
            text,
            lexer: Lexer::new(text),
            peeked: None,
            last_end: 0,
            options: *options,
            depth: 0,
            open_aggregations: 0,
            pattern_budget: PATTERN_BUDGET,
        }
    }

    /// Reads the whole text as one expression.
    pub(super) fn parse_expression(&mut self) -> Parsed<Expr> {
        if self.kind()? == TokenKind::Eof {
            return Err(self.error(TextSpan::default(), "no expression found in input"));
        }
        let node = self.expression(1)?;
        self.expect(TokenKind::Eof)?;
        Ok(node.expr)
    }

    fn peek(&mut self) -> Parsed<Token> {
        match self.peeked {
            Some(token) => Ok(token),
            None => {
                let token = self.lexer.next_token()?;
                self.peeked = Some(token);
                Ok(token)
            }
        }
    }

    fn kind(&mut self) -> Parsed<TokenKind> {
        Ok(self.peek()?.kind)
    }

    fn advance(&mut self) -> Parsed<Token> {
        let token = self.peek()?;
        self.peeked = None;
        self.last_end = token.span.end;
        Ok(token)
    }

    /// Takes the next token if it is of that kind.
    fn take_if(&mut self, kind: TokenKind) -> Parsed<bool> {
        let found = self.kind()? == kind;
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, kind: TokenKind) -> Parsed<Token> {
        if self.kind()? == kind { self.advance() } else { Err(self.unexpected()) }
    }

    /// The text of a token.
    fn token_text(&self, token: Token) -> &'a str {
        let bytes = self.text.get(token.span.start as usize..token.span.end as usize).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn error(&self, span: TextSpan, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, span, message.into())
    }

    /// The next token cannot stand here.
    fn unexpected(&mut self) -> ParseError {
        let context = if self.open_aggregations > 0 { "aggregation" } else { "" };
        self.unexpected_in(context, "")
    }

    fn unexpected_in(&mut self, context: &str, expected: &str) -> ParseError {
        let token = match self.peek() {
            Ok(token) => token,
            Err(error) => return error,
        };
        let mut message = format!("unexpected {}", token.kind.describe(self.token_text(token)));
        for (joint, part) in [(" in ", context), (", expected ", expected)] {
            if !part.is_empty() {
                message.push_str(joint);
                message.push_str(part);
            }
        }
        self.error(token.span, message)
    }

    /// Begins a recursion; ends it with [`Self::leave`] unless there was an error, which ends the parse.
    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > self.max_depth() {
            let span = self.peek()?.span;
            return Err(self.too_deep(span));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// An inner node over subtrees of which the highest has that height.
    fn inner<T>(&self, expr: T, below: usize, span: TextSpan) -> Parsed<Node<T>> {
        let height = below + 1;
        if height > self.max_depth() { Err(self.too_deep(span)) } else { Ok(Node { expr, height }) }
    }

    fn max_depth(&self) -> usize {
        self.options.max_depth.min(ParseOptions::DEEPEST)
    }

    fn too_deep(&self, span: TextSpan) -> ParseError {
        self.error(span, format!("expression nests deeper than the limit of {} levels", self.max_depth()))
    }
}

/// From the first byte of one to the last of the other.
fn merge(first: TextSpan, last: TextSpan) -> TextSpan {
    TextSpan { start: first.start, end: last.end }
}
