//! Tests of the parser as a whole.

mod conformance;
mod errors;
mod limits;
mod printer;
mod properties;
mod tree;

use super::ast::Expr;
use super::{ParseError, ParseOptions, parse};

/// Parses with all features.
fn parse_all(text: &str) -> Result<Expr, ParseError> {
    parse(text, &ParseOptions::all())
}

fn printed(text: &str) -> String {
    match parse_all(text) {
        Ok(expr) => expr.to_string(),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn error_of(text: &str) -> String {
    match parse_all(text) {
        Ok(expr) => panic!("{text} was accepted: {expr}"),
        Err(error) => error.to_string(),
    }
}
