//! Commands and their words.

use model::matcher::quote;

use super::{Parse, Parser};
use crate::template::ast::{Command, Number, Operand, Word};
use crate::template::lexer::{Kind, Token};

impl Parser<'_> {
    /// Words up to a pipe or the end of the pipeline.
    pub(super) fn command(&mut self) -> Parse<Command> {
        let mut command = Command { pos: self.peek_word().pos, args: Vec::new() };
        loop {
            self.peek_word();
            command.args.extend(self.operand()?);
            let token = self.take();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.back(),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.args.is_empty() { self.error("empty command") } else { Ok(command) }
    }

    /// A term and the fields behind it.
    fn operand(&mut self) -> Parse<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let first = self.peek();
        if first.kind != Kind::Field {
            return Ok(Some(operand));
        }
        let mut more = Vec::new();
        while self.peek().kind == Kind::Field {
            more.push(self.take().text.trim_start_matches('.').to_owned());
        }
        match &mut operand.word {
            Word::Field(fields) | Word::Variable { fields, .. } => {
                fields.extend(more);
                operand.pos = first.pos;
                Ok(Some(operand))
            }
            Word::Bool(_) | Word::Text { .. } | Word::Number { .. } | Word::Nil | Word::Dot => {
                self.error(format!("unexpected . after term {}", quote(&operand.to_string())))
            }
            _ => Ok(Some(Operand { pos: first.pos, word: Word::Chain { node: Box::new(operand), fields: more } })),
        }
    }

    fn term(&mut self) -> Parse<Option<Operand>> {
        let token = self.take_word();
        let word = match token.kind {
            Kind::Identifier if !Self::knows_function(&token.text) => {
                return self.error(format!("function {} not defined", quote(&token.text)));
            }
            Kind::Identifier => Word::Function(token.text.clone()),
            Kind::Keyword if token.text == "." => Word::Dot,
            Kind::Keyword if token.text == "nil" => Word::Nil,
            Kind::Variable if !self.variables.contains(&token.text) => {
                return self.error(format!("undefined variable {}", quote(&token.text)));
            }
            Kind::Variable => Word::Variable { name: token.text.clone(), fields: Vec::new() },
            Kind::Field => Word::Field(vec![token.text.trim_start_matches('.').to_owned()]),
            Kind::Bool => Word::Bool(token.text == "true"),
            Kind::CharConstant | Kind::Number => self.number(&token)?,
            Kind::LeftParen => {
                self.enter()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                return Ok(Some(Operand { pos: pipe.pos, word: Word::Pipe(Box::new(pipe)) }));
            }
            Kind::String | Kind::RawString => match unquote(&token.text) {
                Some(value) => Word::Text { quoted: token.text.clone(), value },
                None => return self.error("invalid syntax"),
            },
            _ => {
                self.back();
                return Ok(None);
            }
        };
        Ok(Some(Operand { pos: token.pos, word }))
    }

    fn number(&mut self, token: &Token) -> Parse<Word> {
        let value = match token.kind {
            Kind::CharConstant => {
                // A character is its code point.
                let code = unquote(&token.text).and_then(|text| text.chars().next()).map(|c| i64::from(u32::from(c)));
                code.map(|int| Number { int: Some(int), float: Some(int as f64) })
            }
            _ => read_number(&token.text),
        };
        match value {
            Some(value) => Ok(Word::Number { text: token.text.clone(), value }),
            None => self.error(format!("bad number syntax: {}", quote(&token.text))),
        }
    }
}

/// Whether nothing can be piped into it.
pub(super) fn stands_for_itself(operand: &Operand) -> bool {
    matches!(operand.word, Word::Bool(_) | Word::Dot | Word::Nil | Word::Number { .. } | Word::Text { .. })
}

/// Go's notation: `1_000`, `0x1f`, `0b1`, `0o7`, `017`, `1.5e3`.
fn read_number(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1_i64, rest),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let radix = |prefix: &str, radix| lower.strip_prefix(prefix).and_then(|d| i64::from_str_radix(d, radix).ok());
    let int = if lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| b.is_ascii_digit()) {
        i64::from_str_radix(&lower, 8).ok()
    } else {
        radix("0x", 16).or_else(|| radix("0b", 2)).or_else(|| radix("0o", 8)).or_else(|| lower.parse().ok())
    };
    let int = int.and_then(|n| n.checked_mul(sign));
    let float = match lower.bytes().any(|b| b.is_ascii_alphabetic() && b != b'e') {
        true => int.map(|n| n as f64),
        false => plain.parse::<f64>().ok().filter(|v| v.is_finite()),
    };
    // `1e3` is a whole number as well.
    let whole = float.filter(|v| v.fract() == 0.0 && v.abs() < 9.0e18).map(|v| v as i64);
    let number = Number { int: int.or(whole), float };
    (number.int.is_some() || number.float.is_some()).then_some(number)
}

/// Go's `strconv.Unquote`.
pub(super) fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next()?;
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    if quote == '`' {
        return Some(inner.replace('\r', ""));
    }
    let mut out = Vec::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let simple = match chars.next()? {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '"' if quote == '"' => b'"',
            '\'' if quote == '\'' => b'\'',
            'x' => u8::try_from(digits(&mut chars, 2, 16, 0)?).ok()?,
            c @ '0'..='7' => u8::try_from(digits(&mut chars, 2, 8, c.to_digit(8)?)?).ok()?,
            kind @ ('u' | 'U') => {
                let code = digits(&mut chars, if kind == 'u' { 4 } else { 8 }, 16, 0)?;
                out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return None,
        };
        out.push(simple);
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32, start: u32) -> Option<u32> {
    (0..count).try_fold(start, |value, _| value.checked_mul(radix)?.checked_add(chars.next()?.to_digit(radix)?))
}
