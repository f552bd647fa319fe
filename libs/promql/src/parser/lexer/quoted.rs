//! Quoted texts: checked here, decoded in `parser::unquote`.

use model::matcher::is_printable;

use super::{Lexer, Step};
use crate::parser::token::TokenKind;

const UNTERMINATED_ESCAPE: &str = "escape sequence not terminated";
const INVALID_UTF8: &str = "invalid UTF-8 rune";

impl Lexer<'_> {
    /// Reads up to the closing quote; the opening one was read.
    pub(super) fn quoted(&mut self, quote: char) -> Step {
        loop {
            match self.next() {
                Some('\\') => self.escape(quote)?,
                Some(c) if self.is_invalid(c) => return Err(INVALID_UTF8.to_owned()),
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote => return Ok(Some(TokenKind::String)),
                Some(_) => {}
            }
        }
    }

    /// Reads up to the closing backtick; the opening one was read.
    pub(super) fn raw_quoted(&mut self) -> Step {
        loop {
            match self.next() {
                Some(c) if self.is_invalid(c) => return Err(INVALID_UTF8.to_owned()),
                None => return Err("unterminated raw string".to_owned()),
                Some('`') => return Ok(Some(TokenKind::String)),
                Some(_) => {}
            }
        }
    }

    /// U+FFFD that was really written is three bytes wide.
    fn is_invalid(&self, c: char) -> bool {
        c == char::REPLACEMENT_CHARACTER && self.width == 1
    }

    fn escape(&mut self, quote: char) -> Result<(), String> {
        let Some(c) = self.next() else { return Err(UNTERMINATED_ESCAPE.to_owned()) };
        let (digits, base, max) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == quote => return Ok(()),
            '0'..='7' => {
                self.backup();
                (3, 8, 255)
            }
            'x' => (2, 16, 255),
            'u' => (4, 16, u32::from(char::MAX)),
            'U' => (8, 16, u32::from(char::MAX)),
            c => return Err(format!("unknown escape sequence {}", code_point(c))),
        };
        let mut value: u32 = 0;
        for _ in 0..digits {
            let Some(c) = self.next() else { return Err(UNTERMINATED_ESCAPE.to_owned()) };
            let Some(digit) = c.to_digit(base) else {
                return Err(format!("illegal character {} in escape sequence", code_point(c)));
            };
            value = value.wrapping_mul(base).wrapping_add(digit);
        }
        if value > max || (0xD800..0xE000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }
}

/// `U+0063 'c'`, without the character if it cannot be shown.
fn code_point(c: char) -> String {
    let code = u32::from(c);
    if is_printable(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}
