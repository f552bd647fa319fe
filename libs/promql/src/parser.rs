//! Text to syntax tree, and back.
//!
//! [`parse`] accepts, refuses and prints what Prometheus 3.14 does, with its texts and positions, in one pass that is linear in
//! the input. What differs, on purpose: length and depth are limited; NaN and anything that would overflow as an offset or
//! timestamp is refused; U+FFFD may be written in a text.
//!
//! - [`ast`]: the tree; [`functions`]: the signatures of functions.
//! - `lexer`, `token`: bytes to tokens; `literal`, `unquote`: what tokens say.
//! - `grammar`: tokens to tree; `check`: types; `printer`: tree to text; `prettier`: on several
//!   lines; `json`: for tools.

pub mod ast;
mod check;
mod error;
pub mod functions;
mod grammar;
mod json;
mod lexer;
mod literal;
mod operators;
mod options;
mod prettier;
mod printer;
#[cfg(test)]
mod tests;
mod token;
mod unquote;

use ast::TextSpan;
pub use ast::{Expr, ValueType};
pub use error::ParseError;
use grammar::Parser;
pub(crate) use literal::parse_number;
pub use literal::{format_duration, parse_duration};
use model::Matcher;
pub use options::ParseOptions;

/// Reads an expression.
///
/// Errors carry Prometheus's text and position. Texts longer than `max_length` and trees higher than `max_depth` are refused, so
/// that every walker of a tree may recurse.
pub fn parse(text: &str, options: &ParseOptions) -> Result<Expr, ParseError> {
    parse_bytes(text.as_bytes(), options)
}

/// [`parse`] for bytes from outside: invalid UTF-8 is an error with a position.
pub fn parse_bytes(text: &[u8], options: &ParseOptions) -> Result<Expr, ParseError> {
    check_length(text, options)?;
    let mut expr = Parser::new(text, options).parse_expression()?;
    check::check(text, &mut expr)?;
    Ok(expr)
}

/// Reads a series selector, as the `match[]` parameter of the HTTP API. The caller checks that it selects something:
/// matchers that all match an absent label select every series.
pub fn parse_selector(text: &str, options: &ParseOptions) -> Result<Vec<Matcher>, ParseError> {
    check_length(text.as_bytes(), options)?;
    Parser::new(text.as_bytes(), options).parse_matchers()
}

fn check_length(text: &[u8], options: &ParseOptions) -> Result<(), ParseError> {
    let (length, limit) = (text.len(), options.max_length.min(ParseOptions::LONGEST));
    if length <= limit {
        return Ok(());
    }
    let message = format!("expression of {length} bytes is longer than the limit of {limit} bytes");
    Err(ParseError::new(text, TextSpan::default(), message))
}
