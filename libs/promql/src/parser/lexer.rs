//! Text to tokens.
//!
//! What a character means depends on where it stands: outside, in braces (no keywords) or in brackets (only durations). The
//! rules and texts are those of Prometheus's lexer, so that the same inputs are refused at the same place. The input is
//! bytes: invalid UTF-8 is an error of its own, found where it stands.

mod number;
mod quoted;

use model::matcher::quote_char;

use super::ast::{BinaryOp, TextSpan};
use super::error::ParseError;
use super::token::{Keyword, Token, TokenKind, duration_word, keyword};

/// Where the lexer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Outside, or inside braces if one is open, or in brackets after the first number.
    Statements,
    /// In brackets, before the first number.
    Duration,
    /// After the last token.
    End,
}

/// Reads tokens one by one. After an error it must not be asked again.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    pos: usize,
    /// First byte of the token that is being read.
    start: usize,
    /// Width of the character that was read last; 0 at the end.
    width: usize,
    mode: Mode,
    paren_depth: i64,
    brace_open: bool,
    bracket_open: bool,
    got_colon: bool,
    got_duration: bool,
}

/// `None`: only space was read.
type Step = Result<Option<TokenKind>, String>;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            pos: 0,
            start: 0,
            width: 0,
            mode: Mode::Statements,
            paren_depth: 0,
            brace_open: false,
            bracket_open: false,
            got_colon: false,
            got_duration: false,
        }
    }

    /// The next token; `Eof` at the end, again and again. Comments are skipped.
    pub(super) fn next_token(&mut self) -> Result<Token, ParseError> {
        loop {
            let step = match self.mode {
                Mode::End => Ok(Some(TokenKind::Eof)),
                Mode::Duration => self.in_brackets(),
                Mode::Statements if self.at_comment() => self.comment(),
                Mode::Statements if self.brace_open => self.in_braces(),
                Mode::Statements => self.outside(),
            };
            match step {
                Ok(Some(TokenKind::Comment) | None) => self.start = self.pos,
                Ok(Some(kind)) => {
                    let span = text_span(self.start, self.pos);
                    self.start = self.pos;
                    return Ok(Token { kind, span });
                }
                Err(message) => return Err(ParseError::new(self.text, text_span(self.start, self.text.len()), message)),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let (c, width) = decode(rest)?;
        self.width = width;
        self.pos += width;
        Some(c)
    }

    /// Takes back what [`Self::next`] read; once per call.
    fn backup(&mut self) {
        self.pos -= self.width;
        self.width = 0;
    }

    fn peek(&self) -> Option<char> {
        decode(self.text.get(self.pos..).unwrap_or_default()).map(|(c, _)| c)
    }

    fn peek_is(&self, test: impl Fn(char) -> bool) -> bool {
        self.peek().is_some_and(test)
    }

    fn accept(&mut self, test: impl Fn(char) -> bool) -> bool {
        let found = self.peek_is(test);
        if found {
            self.next();
        }
        found
    }

    fn accept_run(&mut self, test: impl Fn(char) -> bool) {
        while self.accept(&test) {}
    }

    /// What was read of the current token.
    fn word(&self) -> &str {
        let bytes = self.text.get(self.start..self.pos).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Ends the current token before an error that stands after it.
    fn fail_after(&mut self, message: String) -> Step {
        self.start = self.pos;
        Err(message)
    }

    fn at_comment(&self) -> bool {
        self.text.get(self.pos) == Some(&b'#')
    }

    fn comment(&mut self) -> Step {
        self.accept_run(|c| c != '\r' && c != '\n');
        Ok(Some(TokenKind::Comment))
    }

    fn space(&mut self) -> Step {
        self.accept_run(is_space);
        Ok(None)
    }

    fn outside(&mut self) -> Step {
        let Some(c) = self.next() else { return self.end_of_input() };
        if let Some(kind) = single(c) {
            return Ok(Some(kind));
        }
        match c {
            c if is_space(c) => self.space(),
            '=' => match self.peek() {
                Some('=') => self.take(TokenKind::Operator(BinaryOp::Eql)),
                Some('~') => Err(format!("unexpected character after '=': {}", quote_char('~'))),
                _ => Ok(Some(TokenKind::Assign)),
            },
            '!' => match self.next() {
                Some('=') => Ok(Some(TokenKind::Operator(BinaryOp::Neq))),
                other => Err(format!("unexpected character after '!': {}", quote_char(other.unwrap_or(char::REPLACEMENT_CHARACTER)))),
            },
            '<' => self.comparison(BinaryOp::Lss, BinaryOp::Lte, BinaryOp::TrimUpper),
            '>' => self.comparison(BinaryOp::Gtr, BinaryOp::Gte, BinaryOp::TrimLower),
            c if self.starts_number(c) => self.number_or_duration(),
            '"' | '\'' => self.quoted(c),
            '`' => self.raw_quoted(),
            c if is_alpha(c) || c == ':' => self.word_or_colon(c),
            '(' | ')' => self.paren(c),
            '{' => {
                self.brace_open = true;
                Ok(Some(TokenKind::LeftBrace))
            }
            '[' => self.open_bracket(),
            ']' if !self.bracket_open => Err(format!("unexpected right bracket {}", quote_char(c))),
            ']' => {
                self.bracket_open = false;
                Ok(Some(TokenKind::RightBracket))
            }
            '@' => Ok(Some(TokenKind::At)),
            c => Err(format!("unexpected character: {}", quote_char(c))),
        }
    }

    fn end_of_input(&mut self) -> Step {
        if self.paren_depth != 0 {
            return Err("unclosed left parenthesis".to_owned());
        }
        if self.bracket_open {
            return Err("unclosed left bracket".to_owned());
        }
        self.mode = Mode::End;
        Ok(Some(TokenKind::Eof))
    }

    /// Reads one more character that belongs to the token.
    fn take(&mut self, kind: TokenKind) -> Step {
        self.next();
        Ok(Some(kind))
    }

    fn comparison(&mut self, bare: BinaryOp, or_equal: BinaryOp, trim: BinaryOp) -> Step {
        match self.peek() {
            Some('=') => self.take(TokenKind::Operator(or_equal)),
            Some('/') => self.take(TokenKind::Operator(trim)),
            _ => Ok(Some(TokenKind::Operator(bare))),
        }
    }

    fn paren(&mut self, c: char) -> Step {
        if c == '(' {
            self.paren_depth += 1;
            return Ok(Some(TokenKind::LeftParen));
        }
        self.paren_depth -= 1;
        if self.paren_depth < 0 {
            return self.fail_after(format!("unexpected right parenthesis {}", quote_char(c)));
        }
        Ok(Some(TokenKind::RightParen))
    }

    fn open_bracket(&mut self) -> Step {
        if self.bracket_open {
            return Err(format!("unexpected left bracket {}", quote_char('[')));
        }
        self.got_colon = false;
        self.bracket_open = true;
        self.mode = Mode::Duration;
        Ok(Some(TokenKind::LeftBracket))
    }

    fn word_or_colon(&mut self, c: char) -> Step {
        if !self.bracket_open {
            return self.keyword_or_identifier();
        }
        if c == ':' {
            if self.got_colon {
                return Err(format!("unexpected colon {}", quote_char(c)));
            }
            self.got_colon = true;
            return Ok(Some(TokenKind::Colon));
        }
        match self.duration_word(c) {
            Some(kind) => Ok(Some(kind)),
            None => Err(format!("unexpected character: {}, expected {}", quote_char(c), quote_char(':'))),
        }
    }

    fn keyword_or_identifier(&mut self) -> Step {
        self.accept_run(|c| is_alphanumeric(c) || c == ':');
        let word = self.word();
        let is_fill = |kind| matches!(kind, TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight));
        Ok(Some(match keyword(word) {
            // The fill modifiers came late: a metric of that name stays a metric unless a parenthesis follows.
            Some(kind) if is_fill(kind) && !self.before_paren() => TokenKind::Identifier,
            Some(kind) => kind,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        }))
    }

    fn before_paren(&self) -> bool {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        rest.iter().find(|&&b| !is_space(char::from(b))) == Some(&b'(')
    }

    fn in_braces(&mut self) -> Step {
        let Some(c) = self.next() else { return Err("unexpected end of input inside braces".to_owned()) };
        match c {
            c if is_space(c) => self.space(),
            c if is_alpha(c) => {
                self.accept_run(is_alphanumeric);
                Ok(Some(TokenKind::Identifier))
            }
            ',' => Ok(Some(TokenKind::Comma)),
            '"' | '\'' => self.quoted(c),
            '`' => self.raw_quoted(),
            '=' if self.accept(|c| c == '~') => Ok(Some(TokenKind::RegexMatch)),
            '=' => Ok(Some(TokenKind::Assign)),
            '!' => match self.next() {
                Some('~') => Ok(Some(TokenKind::RegexMismatch)),
                Some('=') => Ok(Some(TokenKind::Operator(BinaryOp::Neq))),
                other => {
                    let other = other.unwrap_or(char::REPLACEMENT_CHARACTER);
                    Err(format!("unexpected character after '!' inside braces: {}", quote_char(other)))
                }
            },
            '{' => Err(format!("unexpected left brace {}", quote_char(c))),
            '}' => {
                self.brace_open = false;
                Ok(Some(TokenKind::RightBrace))
            }
            c => Err(format!("unexpected character inside braces: {}", quote_char(c))),
        }
    }

    fn in_brackets(&mut self) -> Step {
        let Some(c) = self.next() else { return Err("unexpected end of input in duration expression".to_owned()) };
        if let Some(kind) = single(c) {
            return Ok(Some(kind));
        }
        match c {
            ']' => {
                self.bracket_open = false;
                self.got_colon = false;
                self.mode = Mode::Statements;
                Ok(Some(TokenKind::RightBracket))
            }
            ':' if !self.got_duration => self.fail_after("unexpected colon before duration in duration expression".to_owned()),
            ':' if self.got_colon => self.fail_after("unexpected repeated colon in duration expression".to_owned()),
            ':' => {
                self.got_colon = true;
                Ok(Some(TokenKind::Colon))
            }
            '(' | ')' => self.paren(c),
            c if is_space(c) => self.space(),
            c if self.starts_number(c) => {
                self.got_duration = true;
                self.mode = Mode::Statements;
                self.number_or_duration()
            }
            c => match self.duration_word(c) {
                Some(kind) => Ok(Some(kind)),
                None => Err(format!("unexpected character in duration expression: {}", quote_char(c))),
            },
        }
    }

    /// `step`, `range`, `min_of` or `max_of`, whose first character was read.
    fn duration_word(&mut self, first: char) -> Option<TokenKind> {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return None;
        }
        self.accept_run(is_alpha);
        duration_word(self.word())
    }
}

/// Operators and separators of one character that mean the same outside and in brackets.
fn single(c: char) -> Option<TokenKind> {
    Some(match c {
        ',' => TokenKind::Comma,
        '*' => TokenKind::Operator(BinaryOp::Mul),
        '/' => TokenKind::Operator(BinaryOp::Div),
        '%' => TokenKind::Operator(BinaryOp::Mod),
        '+' => TokenKind::Operator(BinaryOp::Add),
        '-' => TokenKind::Operator(BinaryOp::Sub),
        '^' => TokenKind::Operator(BinaryOp::Pow),
        _ => return None,
    })
}

/// The first character and its width; invalid UTF-8 is U+FFFD of width 1.
fn decode(bytes: &[u8]) -> Option<(char, usize)> {
    let first = *bytes.first()?;
    if first.is_ascii() {
        return Some((char::from(first), 1));
    }
    let head = bytes.get(..4.min(bytes.len())).unwrap_or_default();
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(head.get(..e.valid_up_to()).unwrap_or_default()).unwrap_or_default(),
    };
    Some(valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8())))
}

/// Lengths are bounded before the text is read, so the casts are exact.
fn text_span(start: usize, end: usize) -> TextSpan {
    let position = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    TextSpan { start: position(start), end: position(end) }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}
