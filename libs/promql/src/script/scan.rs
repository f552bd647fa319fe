//! A reader of one line of a script.

use super::duration::parse_duration;
use crate::parser;

/// What is left of a line. Every step either consumes or leaves the line as it was.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn is_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    pub(super) fn eat(&mut self, prefix: &str) -> bool {
        self.rest.strip_prefix(prefix).map(|rest| self.rest = rest).is_some()
    }

    pub(super) fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Skips spaces and tabs; whether there were any.
    pub(super) fn skip_blanks(&mut self) -> bool {
        !self.take_while(|c| c == ' ' || c == '\t').is_empty()
    }

    /// "expected …, found …".
    pub(super) fn expected(&self, what: &str) -> String {
        match self.peek() {
            Some(c) => format!("expected {what}, found {c:?}"),
            None => format!("expected {what}, found the end of the line"),
        }
    }

    /// `+` or `-`, as a factor.
    pub(super) fn sign(&mut self) -> Option<f64> {
        if self.eat("+") {
            return Some(1.0);
        }
        self.eat("-").then_some(-1.0)
    }

    /// A number with an optional sign.
    pub(super) fn signed_number(&mut self) -> Result<f64, String> {
        let sign = self.sign().unwrap_or(1.0);
        self.number().map(|n| sign * n)
    }

    /// A number without a sign: decimal with optional fraction and exponent, `Inf`, `NaN` in any case, or a duration,
    /// which counts in seconds. Hexadecimal numbers do not exist here, because `x` repeats.
    pub(super) fn number(&mut self) -> Result<f64, String> {
        if self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            return self.named_number();
        }
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| from + bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
        let whole = digits(0);
        if bytes.get(whole).is_some_and(|b| b"ywdhms".contains(b)) {
            return self.duration_seconds();
        }
        let mut end = whole;
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if bytes.get(end).is_some_and(|b| b"eE".contains(b)) {
            let signed = bytes.get(end + 1).is_some_and(|b| b"+-".contains(b));
            end = digits(end + 1 + usize::from(signed));
        }
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        let value = text.parse::<f64>().map_err(|_| self.expected("a number"))?;
        self.rest = rest;
        Ok(value)
    }

    fn named_number(&mut self) -> Result<f64, String> {
        let before = self.clone();
        // Neither name contains an `x`, which would repeat the value.
        let name = self.take_while(|c| c.is_ascii_alphabetic() && c != 'x');
        match name.to_ascii_lowercase().as_str() {
            "inf" => Ok(f64::INFINITY),
            "nan" => Ok(f64::NAN),
            _ => {
                *self = before;
                Err(self.expected("a number"))
            }
        }
    }

    fn duration_seconds(&mut self) -> Result<f64, String> {
        let text = self.take_while(|c| c.is_ascii_digit() || "ywdhms".contains(c));
        parse_duration(text).map(|ms| ms as f64 / 1000.0)
    }

    /// Digits after an `x`, a count of at most `max`.
    pub(super) fn count(&mut self, max: usize) -> Result<usize, String> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        let count = digits.parse::<usize>().map_err(|_| format!("invalid repetition count {digits:?}"))?;
        if count > max { Err(format!("repetition count {count} exceeds the limit of {max} values")) } else { Ok(count) }
    }
}

/// A bare number as the scalar expectation of an evaluation, in PromQL's notation with an optional sign.
pub(super) fn parse_scalar(text: &str) -> Option<f64> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_number = magnitude.starts_with(|c: char| c.is_ascii_digit() || ".iInN".contains(c));
    is_number.then(|| parser::parse_number(magnitude).ok()).flatten().map(|v| sign * v)
}

#[cfg(test)]
mod tests {
    use super::{Scanner, parse_scalar};

    #[test]
    fn numbers() {
        let read = |text| Scanner::new(text).signed_number();
        for (text, value) in
            [("1", 1.0), ("-3", -3.0), ("+5", 5.0), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("2.5E-1", 0.25), ("5m", 300.0)]
        {
            assert_eq!(read(text), Ok(value), "{text}");
        }
        assert_eq!(read("-Inf"), Ok(f64::NEG_INFINITY));
        assert!(read("NaN").is_ok_and(f64::is_nan));
        for text in ["", "-", ".", "e3", "stale", "1e", "_"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_end_before_a_repetition() {
        let mut s = Scanner::new("5x3");
        assert_eq!((s.number(), s.rest()), (Ok(5.0), "x3"));
        let mut s = Scanner::new("1ex");
        assert_eq!((s.number().is_err(), s.rest()), (true, "1ex"));
        let mut s = Scanner::new("Infx2");
        assert_eq!((s.number(), s.rest()), (Ok(f64::INFINITY), "x2"));
    }

    #[test]
    fn scalars() {
        for (text, value) in
            [("0x10", 16.0), ("010", 8.0), ("-1_0", -10.0), ("09.5", 9.5), ("1e3", 1000.0), ("+Inf", f64::INFINITY), ("0", 0.0)]
        {
            assert_eq!(parse_scalar(text), Some(value), "{text}");
        }
        for text in ["foo", "{} 1", "1 2", "", "-", "+-1", "infx"] {
            assert_eq!(parse_scalar(text), None, "{text}");
        }
    }
}
