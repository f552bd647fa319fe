//! Function calls and argument lists.

use model::matcher::quote;

use super::{Node, Parsed, Parser};
use crate::parser::ast::{Call, Expr, TextSpan};
use crate::parser::functions::lookup;
use crate::parser::token::{Token, TokenKind};

/// Arguments, the height of the highest.
pub(super) type Arguments = Node<Vec<Expr>>;

impl Parser<'_> {
    /// A call; the name was read.
    pub(super) fn call(&mut self, name: Token) -> Parsed {
        let arguments = self.arguments()?;
        let text = self.token_text(name);
        let Some(function) = lookup(text) else {
            return Err(self.error(name.span, format!("unknown function with name {}", quote(text))));
        };
        if function.experimental && !self.options.experimental_functions {
            return Err(self.error(name.span, format!("function {} is not enabled", quote(text))));
        }
        let span = TextSpan { start: name.span.start, end: self.last_end };
        self.inner(Expr::Call(Call { span, function, args: arguments.expr }), arguments.height, span)
    }

    /// `(a, b)`.
    pub(super) fn arguments(&mut self) -> Parsed<Arguments> {
        self.expect(TokenKind::LeftParen)?;
        let mut arguments = Node { expr: Vec::new(), height: 0 };
        if self.take_if(TokenKind::RightParen)? {
            return Ok(arguments);
        }
        loop {
            let argument = self.expression(1)?;
            arguments.height = arguments.height.max(argument.height);
            arguments.expr.push(argument.expr);
            if self.take_if(TokenKind::RightParen)? {
                return Ok(arguments);
            }
            let comma = self.expect(TokenKind::Comma)?;
            if !self.at_expression()? {
                return Err(self.error(comma.span, "trailing commas not allowed in function call args"));
            }
        }
    }
}
