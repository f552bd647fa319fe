//! Backslashes outside of brackets, and those that both places share.

use super::{CLASS_COST, Step, Translator, UNICODE_CLASS_COST, syntax};

impl<'p> Translator<'p> {
    /// A backslash and what follows, outside of brackets.
    pub(super) fn escape(&mut self) -> Step {
        let begin = self.rest;
        let second = begin.chars().nth(1);
        let same = match second {
            Some('A') => "\\A",
            Some('z') => "\\z",
            Some('b') => "(?-u:\\b)",
            Some('B') => "(?-u:\\B)",
            Some('Q') => {
                self.quoted_run();
                return Ok(());
            }
            Some('p' | 'P') => {
                self.unicode_class()?;
                self.current.atom(UNICODE_CLASS_COST, 1);
                return Ok(());
            }
            Some(c) => {
                if let Some(class) = perl_class(c) {
                    self.skip(2);
                    self.out.push_str(class);
                    self.current.atom(CLASS_COST, 1);
                    return Ok(());
                }
                let c = self.escaped_char()?;
                self.literal(c);
                return Ok(());
            }
            None => return syntax("trailing backslash at end of expression", ""),
        };
        self.skip(2);
        self.out.push_str(same);
        self.current.atom(1, 1);
        Ok(())
    }

    /// `\Q…\E`, or to the end of the pattern.
    fn quoted_run(&mut self) {
        self.skip(2);
        let (run, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        self.rest = rest;
        for c in run.chars() {
            self.literal(c);
        }
    }

    /// `\pN`, `\p{Greek}`, `\P{^Greek}`; written for both places.
    pub(super) fn unicode_class(&mut self) -> Step {
        let begin = self.rest;
        let mut negated = begin.starts_with("\\P");
        self.skip(2);
        let mut name = match self.rest.strip_prefix('{') {
            Some(inner) => {
                let Some((name, rest)) = inner.split_once('}') else { return syntax("invalid character class range", begin) };
                self.rest = rest;
                name
            }
            None => {
                let Some(letter) = self.rest.chars().next() else { return syntax("invalid character class range", begin) };
                let name = self.rest.get(..letter.len_utf8()).unwrap_or_default();
                self.skip(letter.len_utf8());
                name
            }
        };
        if let Some(inner) = name.strip_prefix('^') {
            negated = !negated;
            name = inner;
        }
        let Some(class) = self.unicode_class_name(name) else {
            return syntax("invalid character class range", self.read_since(begin));
        };
        self.out.push_str(if negated { "\\P{" } else { "\\p{" });
        self.out.push_str(&class);
        self.out.push('}');
        Ok(())
    }

    /// The name of a general category or a script, said so that nothing else fits: the regex crate knows more than RE2.
    fn unicode_class_name(&mut self, name: &'p str) -> Option<String> {
        if let Some(known) = self.classes.get(name) {
            return Some(known.clone());
        }
        let plain = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b == b'_' || b.is_ascii_alphabetic());
        if !plain || matches!(name, "ASCII" | "Assigned") {
            return None;
        }
        let class =
            ["gc", "sc"].map(|kind| format!("{kind}={name}")).into_iter().find(|c| regex_syntax::parse(&format!("\\p{{{c}}}")).is_ok())?;
        self.classes.insert(name, class.clone());
        Some(class)
    }

    /// An escape that is one character, in both places; reads it.
    pub(super) fn escaped_char(&mut self) -> Step<char> {
        let begin = self.rest;
        self.skip(1);
        let Some(c) = self.rest.chars().next() else { return syntax("trailing backslash at end of expression", "") };
        self.skip(c.len_utf8());
        let invalid = |me: &Self| syntax("invalid escape sequence", me.read_since(begin));
        match c {
            '0'..='7' => {
                // A single digit would be a backreference.
                if c != '0' && !self.rest.starts_with(|c: char| ('0'..='7').contains(&c)) {
                    return invalid(self);
                }
                let mut code = u32::from(c) - u32::from('0');
                for _ in 0..2 {
                    let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
                    self.skip(1);
                    code = code * 8 + digit;
                }
                char::from_u32(code).map_or_else(|| invalid(self), Ok)
            }
            'x' => match self.hex_code() {
                Some(c) => Ok(c),
                None => invalid(self),
            },
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c),
            _ => invalid(self),
        }
    }

    /// `41` or `{263a}` after `\x`. On failure what was read stands in the error.
    fn hex_code(&mut self) -> Option<char> {
        if !self.rest.starts_with('{') {
            // Both characters are read before either is judged.
            let mut digits = self.rest.chars();
            let (high, low) = (digits.next(), digits.next());
            self.rest = digits.as_str();
            return char::from_u32(high?.to_digit(16)? * 16 + low?.to_digit(16)?);
        }
        self.skip(1);
        let mut code = None;
        loop {
            let c = self.rest.chars().next()?;
            self.skip(c.len_utf8());
            if c == '}' {
                return char::from_u32(code?);
            }
            // Without a bound the code could overflow.
            code = Some(code.unwrap_or(0) * 16 + c.to_digit(16)?).filter(|&code| code <= u32::from(char::MAX));
            code?;
        }
    }
}

/// `\d`, `\s`, `\w` and their opposites; ASCII, and usable in brackets.
pub(super) fn perl_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\f\\r\\x20]",
        'S' => "[^\\t\\n\\f\\r\\x20]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}
