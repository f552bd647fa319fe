//! Text to tokens.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Eof,
    /// What stands outside of actions.
    Text,
    LeftDelim,
    RightDelim,
    /// A run of blanks; these separate arguments.
    Space,
    Bool,
    /// A printable character that means something only in places: a comma.
    Char,
    CharConstant,
    Assign,
    Declare,
    Field,
    Identifier,
    LeftParen,
    RightParen,
    Number,
    Pipe,
    RawString,
    String,
    Variable,
    /// A keyword, among them the dot.
    Keyword,
}

/// A token. `text` is the message of an error.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// First byte.
    pub(super) pos: usize,
    /// Line of the first byte, from 1.
    pub(super) line: usize,
    pub(super) text: String,
}

const KEYWORDS: [&str; 12] = [".", "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];

/// Tokens of a whole template; the last is [`Kind::Eof`] or [`Kind::Error`].
pub(super) fn tokens(input: &str) -> Vec<Token> {
    let mut lexer = Lexer { input, pos: 0, start: 0, line: 1, parens: 0, out: Vec::new() };
    lexer.run();
    lexer.out
}

struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    /// Where the token at hand begins.
    start: usize,
    /// Line of `start`.
    line: usize,
    parens: usize,
    out: Vec<Token>,
}

/// A complaint ends the lexing.
struct Halt;

type Lexed = Result<(), Halt>;

impl<'a> Lexer<'a> {
    fn run(&mut self) {
        let lexed = loop {
            match self.text() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(halt) => break Err(halt),
            }
            if let Err(halt) = self.action() {
                break Err(halt);
            }
        };
        if lexed.is_ok() {
            self.emit(Kind::Eof);
        }
    }

    fn rest(&self) -> &'a str {
        self.input.get(self.pos..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let fits = self.peek().is_some_and(wanted);
        if fits {
            self.bump();
        }
        fits
    }

    fn eat_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.eat(&wanted) {}
    }

    fn taken(&self) -> &'a str {
        self.input.get(self.start..self.pos).unwrap_or_default()
    }

    /// Forgets what has been read since the last token.
    fn ignore(&mut self) {
        self.line += self.taken().matches('\n').count();
        self.start = self.pos;
    }

    fn emit(&mut self, kind: Kind) {
        self.out.push(Token { kind, pos: self.start, line: self.line, text: self.taken().to_owned() });
        self.ignore();
    }

    fn fail<T>(&mut self, message: impl Into<String>) -> Result<T, Halt> {
        self.out.push(Token { kind: Kind::Error, pos: self.start, line: self.line, text: message.into() });
        Err(Halt)
    }

    /// Text up to an action; whether there is one. Comments are no actions.
    fn text(&mut self) -> Result<bool, Halt> {
        loop {
            let Some(at) = self.rest().find("{{") else {
                self.pos = self.input.len();
                if self.pos > self.start {
                    self.emit(Kind::Text);
                }
                return Ok(false);
            };
            let (text, after) = (self.rest().get(..at).unwrap_or_default(), self.rest().get(at + 2..).unwrap_or_default());
            let trims = left_trim(after);
            let kept = if trims { text.trim_end_matches(is_space).len() } else { text.len() };
            let open = self.pos + at;
            self.pos += kept;
            if self.pos > self.start {
                self.emit(Kind::Text);
            }
            self.pos = open;
            self.ignore();
            self.pos += 2;
            if !after.get(if trims { 2 } else { 0 }..).unwrap_or_default().starts_with("/*") {
                self.emit(Kind::LeftDelim);
                if trims {
                    self.pos += 2;
                    self.ignore();
                }
                return Ok(true);
            }
            self.pos += if trims { 2 } else { 0 };
            self.comment()?;
        }
    }

    fn comment(&mut self) -> Lexed {
        let Some(end) = self.rest().find("*/") else { return self.fail("unclosed comment") };
        self.pos += end + 2;
        let rest = self.rest();
        if right_trim(rest) && rest.get(2..).unwrap_or_default().starts_with("}}") {
            self.pos += 4;
            self.eat_while(is_space);
        } else if rest.starts_with("}}") {
            self.pos += 2;
        } else {
            return self.fail("comment ends before closing delimiter");
        }
        self.ignore();
        Ok(())
    }

    /// Everything up to the end of an action.
    fn action(&mut self) -> Lexed {
        self.parens = 0;
        loop {
            let rest = self.rest();
            let trims = right_trim(rest) && rest.get(2..).unwrap_or_default().starts_with("}}");
            if trims || rest.starts_with("}}") {
                if self.parens > 0 {
                    return self.fail("unclosed left paren");
                }
                self.end_of_action(trims);
                return Ok(());
            }
            self.inside()?;
        }
    }

    fn end_of_action(&mut self, trims: bool) {
        if trims {
            self.pos += 2;
            self.ignore();
        }
        self.pos += 2;
        self.emit(Kind::RightDelim);
        if trims {
            self.eat_while(is_space);
            self.ignore();
        }
    }

    fn inside(&mut self) -> Lexed {
        let Some(c) = self.bump() else { return self.fail("unclosed action") };
        match c {
            c if is_space(c) => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' => {
                if !self.eat(|c| c == '=') {
                    return self.fail("expected :=");
                }
                self.emit(Kind::Declare);
            }
            '|' => self.emit(Kind::Pipe),
            '"' => return self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => return self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => {
                let Some(end) = self.rest().find('`') else { return self.fail("unterminated raw quoted string") };
                self.pos += end + 1;
                self.emit(Kind::RawString);
            }
            '$' => return self.name(Kind::Variable),
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => return self.name(Kind::Field),
            '.' | '+' | '-' | '0'..='9' => return self.number(),
            c if is_alphanumeric(c) => return self.identifier(),
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen);
            }
            ')' => {
                if self.parens == 0 {
                    return self.fail("unexpected right paren");
                }
                self.parens -= 1;
                self.emit(Kind::RightParen);
            }
            c if c.is_ascii_graphic() => self.emit(Kind::Char),
            c => return self.fail(format!("unrecognized character in action: {}", code_point(c))),
        }
        Ok(())
    }

    /// Blanks, but not the one that belongs to `-}}`.
    fn space(&mut self) {
        let trims = |at: usize| {
            let rest = self.input.get(at..).unwrap_or_default();
            right_trim(rest) && rest.get(2..).unwrap_or_default().starts_with("}}")
        };
        let mut end = self.pos;
        while self.input.get(end..).and_then(|r| r.chars().next()).is_some_and(is_space) {
            end += 1;
        }
        // The last blank may begin a trimming delimiter.
        let end = if trims(end - 1) { end - 1 } else { end };
        self.pos = end;
        if self.pos > self.start {
            self.emit(Kind::Space);
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, problem: &str) -> Lexed {
        loop {
            match self.bump() {
                Some('\\') => {
                    if !self.eat(|c| c != '\n') {
                        return self.fail(problem);
                    }
                }
                None | Some('\n') => return self.fail(problem),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    /// `$`, `$x`, `.`, `.X`.
    fn name(&mut self, kind: Kind) -> Lexed {
        if self.at_terminator() {
            self.emit(if kind == Kind::Variable { kind } else { Kind::Keyword });
            return Ok(());
        }
        self.eat_while(is_alphanumeric);
        self.terminated()?;
        self.emit(kind);
        Ok(())
    }

    fn identifier(&mut self) -> Lexed {
        self.eat_while(is_alphanumeric);
        self.terminated()?;
        let kind = match self.taken() {
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn terminated(&mut self) -> Lexed {
        match self.peek() {
            Some(c) if !self.at_terminator() => self.fail(format!("bad character {}", code_point(c))),
            _ => Ok(()),
        }
    }

    fn at_terminator(&self) -> bool {
        self.peek().is_none_or(|c| is_space(c) || ".,|:)(".contains(c)) || self.rest().starts_with("}}")
    }

    fn number(&mut self) -> Lexed {
        self.pos = self.start;
        self.eat(|c| c == '+' || c == '-');
        let mut hex = false;
        if self.eat(|c| c == '0') {
            hex = self.eat(|c| c == 'x' || c == 'X');
            if !hex {
                self.eat(|c| "oObB".contains(c));
            }
        }
        let digit = |c: char| c == '_' || if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        self.eat_while(digit);
        if self.eat(|c| c == '.') {
            self.eat_while(digit);
        }
        if !hex && self.eat(|c| c == 'e' || c == 'E') {
            self.eat(|c| c == '+' || c == '-');
            self.eat_while(|c| c == '_' || c.is_ascii_digit());
        }
        if self.peek().is_some_and(is_alphanumeric) {
            self.bump();
            let taken = self.taken();
            return self.fail(format!("bad number syntax: {}", model::matcher::quote(taken)));
        }
        self.emit(Kind::Number);
        Ok(())
    }
}

/// Whether `{{` before this trims the text before it.
fn left_trim(after: &str) -> bool {
    after.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_space))
}

/// Whether this begins ` -}}`.
fn right_trim(rest: &str) -> bool {
    rest.strip_prefix(is_space).is_some_and(|rest| rest.starts_with('-'))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Go's `%#U`.
fn code_point(c: char) -> String {
    let shown = if model::matcher::is_printable(c) { format!(" '{c}'") } else { String::new() };
    format!("U+{:04X}{shown}", u32::from(c))
}
