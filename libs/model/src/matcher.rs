//! Label matchers.
//!
//! Regular ones have RE2's syntax and meaning: [`re2`](compile_anchored) translates and validates, `pattern` finds those that need no
//! automaton at all, which are most of what dashboards send: literals, alternations of literals, `.*`, `.+`, prefixes.

mod literals;
mod pattern;
mod quote;
mod re2;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use pattern::Pattern;
pub use pattern::{compile_anchored, compile_unanchored};
pub use quote::{is_printable, quote, quote_bytes, quote_char, quote_into};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// As written in PromQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// Why a matcher could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The pattern is not RE2; the text is Go's.
    #[error("error parsing regexp: {0}")]
    Syntax(String),
    /// The compiled pattern is larger than [`MAX_COMPILED_BYTES`], or would cost more than [`MAX_PATTERN_COST`].
    #[error("error parsing regexp: expression compiles to more than {MAX_COMPILED_BYTES} bytes")]
    TooLarge,
}

/// The bound on the compiled size of one pattern. Matching is linear in the input whatever the pattern. Enough for `.{1000}` and
/// for an alternation of some thousand names with something variable behind.
pub const MAX_COMPILED_BYTES: usize = 4 << 20;

/// The bound on [`Matcher::cost`], checked before anything is built from a pattern.
pub const MAX_PATTERN_COST: usize = 1 << 18;

/// One label matcher. A label that is absent has the value `""`.
#[derive(Clone)]
pub struct Matcher {
    /// The label.
    pub name: Arc<str>,
    /// The comparison.
    pub op: MatchOp,
    /// The value or the pattern, as written.
    pub value: Arc<str>,
    pattern: Option<Arc<Pattern>>,
}

impl Matcher {
    /// Makes a matcher; patterns are RE2, anchored at both ends, `.` matches a newline (Prometheus 3: `^(?s:…)$`).
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, MatcherError> {
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Arc::new(Pattern::new(value)?)),
        };
        Ok(Self { name: name.into(), op, value: value.into(), pattern })
    }

    /// `name="value"`, which cannot fail.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), pattern: None }
    }

    /// Whether a label value matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let fits = |value| self.pattern.as_ref().is_some_and(|p| p.matches(value));
        match self.op {
            MatchOp::Equal => *self.value == *value,
            MatchOp::NotEqual => *self.value != *value,
            MatchOp::Regex => fits(value),
            MatchOp::NotRegex => !fits(value),
        }
    }

    /// Whether series without the label match.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// For a regular matcher: all the values that the pattern fits, sorted and unique, if they are few enough to list. `=~` matches
    /// exactly these, `!~` all others. `None` says nothing about the pattern.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[String]> {
        self.pattern.as_ref().and_then(|p| p.set())
    }

    /// For a regular matcher without [`Self::set_matches`]: what every value that the pattern fits begins with; never empty.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.pattern.as_ref().and_then(|p| p.prefix())
    }

    /// What the compiled pattern costs, in automaton states of about 100 bytes, estimated before compiling; at most
    /// [`MAX_PATTERN_COST`], and 0 where no automaton is needed. Who takes many matchers from outside adds these up.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.pattern.as_ref().map_or(0, |p| p.cost())
    }
}

/// Whether the name can be written without quotes in PromQL: `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let starts_well = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    starts_well && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

/// As Prometheus prints it: the value quoted, the name only if it must be.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.name.len() + self.value.len() + 4);
        if is_plain_name(&self.name) {
            text.push_str(&self.name);
        } else {
            quote_into(&mut text, &self.name);
        }
        text.push_str(self.op.as_str());
        quote_into(&mut text, &self.value);
        f.write_str(&text)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
