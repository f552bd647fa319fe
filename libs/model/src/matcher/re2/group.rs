//! Parentheses and flags.

use super::{Group, Step, Translator, syntax};

/// Ignoring case, `^` and `$` at lines, `.` for newlines, lazy repetitions.
const FLAGS: [char; 4] = ['i', 'm', 's', 'U'];

impl<'p> Translator<'p> {
    pub(super) fn open(&mut self) -> Step {
        if self.rest.starts_with("(?") {
            return self.special_group();
        }
        self.skip(1);
        self.push_group("(");
        Ok(())
    }

    fn push_group(&mut self, opening: &str) {
        self.out.push_str(opening);
        self.outer.push(std::mem::take(&mut self.current));
    }

    pub(super) fn close(&mut self) -> Step {
        let Some(outer) = self.outer.pop() else { return syntax("unexpected )", self.pattern) };
        self.skip(1);
        self.out.push(')');
        let closed: Group = std::mem::replace(&mut self.current, outer);
        self.current.atom(closed.cost.saturating_add(1), closed.product.max(1));
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags:` or `(?flags)`.
    fn special_group(&mut self) -> Step {
        let begin = self.rest;
        let named = ["(?P<", "(?<"].into_iter().find_map(|opening| begin.strip_prefix(opening));
        match named {
            Some(after) if !after.is_empty() => self.named_group(begin, after),
            _ => self.flags(begin),
        }
    }

    fn named_group(&mut self, begin: &'p str, after: &'p str) -> Step {
        let Some((name, rest)) = after.split_once('>') else { return syntax("invalid named capture", begin) };
        self.rest = rest;
        let valid = !name.is_empty() && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric());
        if !valid {
            return syntax("invalid named capture", self.read_since(begin));
        }
        // Go takes names that begin with a digit, and the same name twice; such a group can be captured by number only.
        if name.starts_with(|c: char| c.is_ascii_digit()) || !self.names.insert(name) {
            self.push_group("(");
        } else {
            self.push_group(&format!("(?P<{name}>"));
        }
        Ok(())
    }

    fn flags(&mut self, begin: &'p str) -> Step {
        self.skip(2);
        let (mut negated, mut any) = (false, false);
        let mut flags: [Option<bool>; FLAGS.len()] = Default::default();
        while let Some(c) = self.rest.chars().next() {
            self.skip(c.len_utf8());
            match c {
                '-' if !negated => (negated, any) = (true, false),
                ':' | ')' if !negated || any => {
                    self.end_flags(&flags, c);
                    return Ok(());
                }
                c => match FLAGS.iter().zip(&mut flags).find(|(flag, _)| **flag == c) {
                    Some((_, flag)) => (*flag, any) = (Some(!negated), true),
                    None => break,
                },
            }
        }
        syntax("invalid or unsupported Perl syntax", self.read_since(begin))
    }

    /// Writes each flag once, since RE2 takes repeated ones, of which the last counts.
    fn end_flags(&mut self, flags: &[Option<bool>], end: char) {
        let list = |on: bool| FLAGS.iter().zip(flags).filter(|(_, set)| **set == Some(on)).map(|(flag, _)| *flag).collect::<String>();
        let (on, off) = (list(true), list(false));
        let minus = if off.is_empty() { "" } else { "-" };
        let text = format!("(?{on}{minus}{off}{end}");
        if end == ':' {
            self.push_group(&text);
            return;
        }
        self.flags_at.get_or_insert(self.out.len());
        self.read_flags = true;
        // `(?)` says nothing, and the regex crate does not know it.
        if text != "(?)" {
            self.out.push_str(&text);
        }
    }
}
