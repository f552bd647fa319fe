//! `[…]`.

use super::escape::perl_class;
use super::{CLASS_COST, Step, Translator, UNICODE_CLASS_COST, push_literal, syntax};

/// `[:name:]` and `[:^name:]`, the names.
const POSIX: [&str; 14] =
    ["alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit"];

impl<'p> Translator<'p> {
    pub(super) fn bracket_class(&mut self) -> Step {
        let begin = self.rest;
        self.skip(1);
        self.out.push('[');
        if self.rest.starts_with('^') {
            self.skip(1);
            self.out.push('^');
        }
        let mut cost = CLASS_COST;
        let mut first = true;
        // A bracket that closes may stand first, for itself.
        while first || !self.rest.starts_with(']') {
            first = false;
            cost = cost.saturating_add(self.class_item(begin)?);
        }
        self.skip(1);
        self.out.push(']');
        self.current.atom(cost, 1);
        Ok(())
    }

    /// One member of a class; its cost.
    fn class_item(&mut self, begin: &'p str) -> Step<usize> {
        if self.posix_class()? {
            return Ok(2);
        }
        let mut chars = self.rest.chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), Some('p' | 'P')) => {
                self.unicode_class()?;
                return Ok(UNICODE_CLASS_COST);
            }
            (Some('\\'), Some(c)) => {
                if let Some(class) = perl_class(c) {
                    self.skip(2);
                    self.out.push_str(class);
                    return Ok(2);
                }
            }
            _ => {}
        }
        self.class_range(begin)?;
        Ok(2)
    }

    /// Reads `[:alpha:]` if it stands here.
    fn posix_class(&mut self) -> Step<bool> {
        let Some((name, rest)) = self.rest.strip_prefix("[:").and_then(|inner| inner.split_once(":]")) else { return Ok(false) };
        let begin = self.rest;
        self.rest = rest;
        let text = self.read_since(begin);
        if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return syntax("invalid character class range", text);
        }
        self.out.push_str(text);
        Ok(true)
    }

    /// `a` or `a-z`.
    fn class_range(&mut self, begin: &'p str) -> Step {
        let item = self.rest;
        let low = self.class_char(begin)?;
        push_literal(&mut self.out, low);
        // `[a-]` means `a` or `-`.
        let after = self.rest.strip_prefix('-');
        if after.is_some_and(|after| !after.is_empty() && !after.starts_with(']')) {
            self.skip(1);
            let high = self.class_char(begin)?;
            if high < low {
                return syntax("invalid character class range", self.read_since(item));
            }
            self.out.push('-');
            push_literal(&mut self.out, high);
        }
        Ok(())
    }

    fn class_char(&mut self, begin: &'p str) -> Step<char> {
        match self.rest.chars().next() {
            None => syntax("missing closing ]", begin),
            Some('\\') => self.escaped_char(),
            Some(c) => {
                self.skip(c.len_utf8());
                Ok(c)
            }
        }
    }
}
