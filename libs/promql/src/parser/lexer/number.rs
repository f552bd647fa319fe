//! Numbers and durations. What is read here may still be no number: `parser::literal` decides that.

use super::{Lexer, Step, is_alphanumeric};
use crate::parser::token::TokenKind;

impl Lexer<'_> {
    /// Whether `c`, just read, begins a number.
    pub(super) fn starts_number(&self, c: char) -> bool {
        c.is_ascii_digit() || (c == '.' && self.peek_is(|c| c.is_ascii_digit()))
    }

    /// Reads a number or duration whose first character was just read.
    pub(super) fn number_or_duration(&mut self) -> Step {
        self.backup();
        if self.number() {
            return Ok(Some(TokenKind::Number));
        }
        if self.rest_of_duration() {
            return Ok(Some(TokenKind::Duration));
        }
        Err(format!("bad number or duration syntax: {}", model::matcher::quote(self.word())))
    }

    /// Reads `[.][d][d._eE]*`; whether that ends well.
    fn number(&mut self) -> bool {
        let begin = self.pos;
        let hex = self.accept(|c| c == '0') && self.accept(|c| matches!(c, 'x' | 'X'));
        if hex {
            self.accept(|c| c == '_');
        }
        let is_digit = move |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        let is_exponent = |c| matches!(c, 'e' | 'E');
        let not_after_separator = |c| matches!(c, '.' | '_' | 'e' | 'E');
        self.accept(|c| c == '.');
        self.accept(is_digit);
        let (mut dot, mut exponent) = (false, false);
        while let Some(c) = self.peek() {
            if c == '.' {
                self.next();
                // Neither a second dot, nor `1._`, nor a hexadecimal fraction.
                if dot || self.accept(|c| matches!(c, '_' | '.')) || hex {
                    return false;
                }
                dot = true;
            } else if is_exponent(c) {
                self.next();
                if exponent {
                    return false;
                }
                exponent = true;
                self.accept(|c| matches!(c, '+' | '-'));
                if self.accept(not_after_separator) || self.peek().is_none() {
                    return false;
                }
            } else if c == '_' {
                self.next();
                if self.accept(not_after_separator) || self.peek().is_none() {
                    return false;
                }
            } else if is_digit(c) {
                self.accept_run(is_digit);
            } else {
                break;
            }
        }
        self.pos != begin && !self.peek_is(is_alphanumeric)
    }

    /// Reads from the first unit on; whether a duration ends there. Units in a wrong order or unknown ones are found later.
    fn rest_of_duration(&mut self) -> bool {
        if !self.accept(|c| matches!(c, 's' | 'm' | 'h' | 'd' | 'w' | 'y')) {
            return false;
        }
        self.accept(|c| c == 's');
        while self.accept(|c| c.is_ascii_digit()) {
            self.accept_run(|c| c.is_ascii_digit());
            if !self.accept(|c| matches!(c, 's' | 'm' | 'h' | 'd' | 'w')) {
                return false;
            }
            self.accept(|c| c == 's');
        }
        !self.accept(is_alphanumeric)
    }
}
