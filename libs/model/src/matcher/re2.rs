//! RE2 to the syntax of the `regex` crate, and everything refused that Go refuses, in its words.
//!
//! The two languages differ where it hurts: `\d \w \s \b` are ASCII in RE2; inside brackets `[`, `&&`, `--` and `~~` are plain
//! characters; `\Q…\E` and octal escapes exist; a repeat of more than 1000, or `a**`, is an error. The translation also keeps
//! parentheses balanced, so that a pattern cannot step out of the group that anchors it.
//!
//! One pass, no recursion. The cost of the pattern is known when it ends, before anything is built from it.

mod class;
mod escape;
mod group;
mod repeat;

use std::collections::{HashMap, HashSet};

use super::{MAX_PATTERN_COST, MatcherError};

/// A translated pattern.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) text: String,
    pub(super) cost: usize,
}

/// Costs of what is more than one state.
const DOT_COST: usize = 16;
const CLASS_COST: usize = 16;
const UNICODE_CLASS_COST: usize = 600;

/// An open group, or the pattern as a whole.
#[derive(Debug, Default)]
struct Group {
    cost: usize,
    /// The largest product of nested repeat counts.
    product: usize,
    /// What a repetition would repeat.
    last: Option<Atom>,
}

#[derive(Debug, Clone, Copy)]
struct Atom {
    cost: usize,
    product: usize,
}

impl Group {
    fn atom(&mut self, cost: usize, product: usize) {
        self.cost = self.cost.saturating_add(cost);
        self.product = self.product.max(product);
        self.last = Some(Atom { cost, product });
    }
}

#[derive(Debug)]
struct Translator<'p> {
    pattern: &'p str,
    rest: &'p str,
    out: String,
    /// The groups around `current`.
    outer: Vec<Group>,
    current: Group,
    /// Where the repetition began that was just read.
    repeated: Option<&'p str>,
    /// Where flags alone, such as `(?i)`, stand at the end of `out`: a repetition after them repeats what is before them.
    flags_at: Option<usize>,
    /// Whether the item that was just read were flags alone.
    read_flags: bool,
    /// Names of groups so far.
    names: HashSet<&'p str>,
    /// Names of Unicode classes known to exist, with what they are written as.
    classes: HashMap<&'p str, String>,
}

type Step<T = ()> = Result<T, MatcherError>;

fn syntax<T>(code: &str, expr: &str) -> Step<T> {
    Err(MatcherError::Syntax(format!("{code}: `{expr}`")))
}

/// Validates and translates. Flags `s` and anchors are the caller's: the text goes into `^(?s:…)$`.
pub(super) fn translate(pattern: &str) -> Step<Translated> {
    let translator = Translator {
        pattern,
        rest: pattern,
        out: String::with_capacity(pattern.len() + 16),
        outer: Vec::new(),
        current: Group::default(),
        repeated: None,
        flags_at: None,
        read_flags: false,
        names: HashSet::new(),
        classes: HashMap::new(),
    };
    translator.run()
}

impl<'p> Translator<'p> {
    fn run(mut self) -> Step<Translated> {
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let mut repeated = None;
            match c {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.skip(1);
                    self.out.push('|');
                    self.current.last = None;
                }
                '^' | '$' => self.plain(c, 1),
                '.' => self.plain(c, DOT_COST),
                '[' => self.bracket_class()?,
                '*' | '+' | '?' => {
                    self.skip(1);
                    self.repeat(before, None)?;
                    repeated = Some(before);
                }
                '{' => {
                    if let Some(bounds) = repeat::bounds(before) {
                        self.skip(bounds.length);
                        self.repeat(before, Some(bounds))?;
                        repeated = Some(before);
                    } else {
                        self.skip(1);
                        self.literal(c);
                    }
                }
                '\\' => self.escape()?,
                c => {
                    self.skip(c.len_utf8());
                    self.literal(c);
                }
            }
            self.repeated = repeated;
            if !std::mem::take(&mut self.read_flags) {
                self.flags_at = None;
            }
            if self.current.cost > MAX_PATTERN_COST {
                return Err(MatcherError::TooLarge);
            }
        }
        if !self.outer.is_empty() {
            return syntax("missing closing )", self.pattern);
        }
        Ok(Translated { text: self.out, cost: self.current.cost })
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// What was read of `from`.
    fn read_since(&self, from: &'p str) -> &'p str {
        from.get(..from.len() - self.rest.len()).unwrap_or(from)
    }

    /// A character with the same meaning in both languages.
    fn plain(&mut self, c: char, cost: usize) {
        self.skip(c.len_utf8());
        self.out.push(c);
        self.current.atom(cost, 1);
    }

    /// A character that stands for itself.
    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
        self.current.atom(1, 1);
    }
}

/// Escapes all that is not plain, which suits brackets as well.
fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{:02x}", u32::from(c)));
    }
}
