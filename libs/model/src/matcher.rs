//! Label matchers.

use std::fmt;
use std::sync::Arc;

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
    /// The pattern is not RE2.
    #[error("error parsing regexp: {0}")]
    Syntax(String),
    /// The compiled pattern is larger than [`MAX_COMPILED_BYTES`].
    #[error("error parsing regexp: expression compiles to more than {MAX_COMPILED_BYTES} bytes")]
    TooLarge,
}

/// The bound on the compiled size of one pattern. Matching is linear in the input whatever the pattern.
pub const MAX_COMPILED_BYTES: usize = 1 << 20;

/// One label matcher. A label that is absent has the value `""`.
#[derive(Clone)]
pub struct Matcher {
    /// The label.
    pub name: Arc<str>,
    /// The comparison.
    pub op: MatchOp,
    /// The value or the pattern, as written.
    pub value: Arc<str>,
    regex: Option<Arc<regex::Regex>>,
}

impl Matcher {
    /// Makes a matcher; patterns are RE2, anchored at both ends, `.` matches a newline (Prometheus 3: `^(?s:…)$`).
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, MatcherError> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Arc::new(compile(value)?)),
        };
        Ok(Self { name: name.into(), op, value: value.into(), regex })
    }

    /// `name="value"`, which cannot fail.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// Whether a label value matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let regex = |value| self.regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            MatchOp::Equal => *self.value == *value,
            MatchOp::NotEqual => *self.value != *value,
            MatchOp::Regex => regex(value),
            MatchOp::NotRegex => !regex(value),
        }
    }

    /// Whether series without the label match.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

fn compile(pattern: &str) -> Result<regex::Regex, MatcherError> {
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(MAX_COMPILED_BYTES).build().map_err(|e| match e {
        regex::Error::CompiledTooBig(_) => MatcherError::TooLarge,
        other => MatcherError::Syntax(other.to_string()),
    })
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

/// As written in PromQL, the value quoted.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
