//! Why a text is no expression.

use std::fmt;

use super::ast::TextSpan;

/// The first error of a text. `Display` is Prometheus's `LINE:COL: parse error: MSG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The bytes at fault; empty at the end of the input.
    pub span: TextSpan,
    /// Line of the first byte, from 1; 0 if the text is empty.
    pub line: u32,
    /// Column of the first byte, in bytes from 1; 0 if the text is empty.
    pub column: u32,
    /// The message without position.
    pub message: String,
}

impl ParseError {
    pub(super) fn new(text: &[u8], span: TextSpan, message: String) -> Self {
        if text.is_empty() {
            return Self { span, line: 0, column: 0, message };
        }
        let before = text.get(..span.start as usize).unwrap_or(text);
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1);
        let newlines = before.iter().filter(|&&b| b == b'\n').count();
        let from_one = |n: usize| u32::try_from(n).unwrap_or(u32::MAX - 1) + 1;
        Self { span, line: from_one(newlines), column: from_one(before.len() - line_start), message }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "unknown position: parse error: {}", self.message);
        }
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}
