//! A compiled pattern and its shortcuts. A shortcut is taken only where it is exactly the pattern.

use memchr::memmem::Finder;
use regex_syntax::hir::Hir;

use super::literals::{self, Piece};
use super::{MAX_COMPILED_BYTES, MatcherError, re2};

/// Groups within groups. The regex crate compiles by recursion, for which its own default is 250.
const MAX_NESTING: u32 = 250;

#[derive(Debug)]
pub(super) struct Pattern {
    shape: Shape,
    cost: usize,
}

/// What is compared.
#[derive(Debug)]
enum Shape {
    /// `.*`
    Any,
    /// `.+`
    NonEmpty,
    /// Sorted and unique.
    Set(Vec<String>),
    /// `a.*`; with `longer`, `a.+`.
    StartsWith { prefix: String, longer: bool },
    /// `(a|b).*`: sorted, and none begins with another.
    StartsWithAny(Vec<String>),
    /// `.*a`; with `longer`, `.+a`.
    EndsWith { suffix: String, longer: bool },
    /// `.*a.*`
    Contains(Box<Finder<'static>>),
    /// Everything else; every match begins with `prefix`.
    Automaton { prefix: String, regex: Box<regex::Regex> },
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, MatcherError> {
        let translated = re2::translate(pattern)?;
        let hir = parse(&translated.text, pattern)?;
        if let Some(shape) = shortcut(&hir) {
            return Ok(Self { shape, cost: 0 });
        }
        let regex = Box::new(build(&translated.text, pattern)?);
        Ok(Self { shape: Shape::Automaton { prefix: literals::prefix(&hir), regex }, cost: translated.cost })
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        match &self.shape {
            Shape::Any => true,
            Shape::NonEmpty => !value.is_empty(),
            Shape::Set(values) => values.binary_search_by(|v| v.as_str().cmp(value)).is_ok(),
            Shape::StartsWith { prefix, longer } => value.strip_prefix(prefix.as_str()).is_some_and(|rest| !(*longer && rest.is_empty())),
            Shape::StartsWithAny(prefixes) => {
                // The greatest that is not greater than the value is the only one that can begin it.
                let after = prefixes.partition_point(|prefix| prefix.as_str() <= value);
                after.checked_sub(1).and_then(|at| prefixes.get(at)).is_some_and(|prefix| value.starts_with(prefix.as_str()))
            }
            Shape::EndsWith { suffix, longer } => value.strip_suffix(suffix.as_str()).is_some_and(|rest| !(*longer && rest.is_empty())),
            Shape::Contains(finder) => finder.find(value.as_bytes()).is_some(),
            Shape::Automaton { prefix, regex } => value.starts_with(prefix.as_str()) && regex.is_match(value),
        }
    }

    pub(super) fn set(&self) -> Option<&[String]> {
        match &self.shape {
            Shape::Set(values) => Some(values),
            _ => None,
        }
    }

    pub(super) fn prefix(&self) -> Option<&str> {
        match &self.shape {
            Shape::StartsWith { prefix, .. } | Shape::Automaton { prefix, .. } if !prefix.is_empty() => Some(prefix),
            _ => None,
        }
    }

    pub(super) fn cost(&self) -> usize {
        self.cost
    }
}

fn shortcut(hir: &Hir) -> Option<Shape> {
    if let Some(values) = literals::expand(hir) {
        return Some(Shape::Set(values));
    }
    match literals::pieces(hir).and_then(|pieces| of_pieces(&pieces)) {
        Some(shape) => Some(shape),
        None => literals::prefixes(hir).map(Shape::StartsWithAny),
    }
}

fn of_pieces(pieces: &[Piece]) -> Option<Shape> {
    Some(match pieces {
        [Piece::Any] => Shape::Any,
        [Piece::Some] => Shape::NonEmpty,
        [Piece::Literal(prefix), rest @ (Piece::Any | Piece::Some)] => {
            Shape::StartsWith { prefix: prefix.clone(), longer: *rest == Piece::Some }
        }
        [rest @ (Piece::Any | Piece::Some), Piece::Literal(suffix)] => {
            Shape::EndsWith { suffix: suffix.clone(), longer: *rest == Piece::Some }
        }
        [Piece::Any, Piece::Literal(middle), Piece::Any] => Shape::Contains(Box::new(Finder::new(middle).into_owned())),
        _ => return None,
    })
}

fn parse(translated: &str, pattern: &str) -> Result<Hir, MatcherError> {
    let mut parser = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).nest_limit(MAX_NESTING).build();
    parser.parse(translated).map_err(|e| syntax_error(&e, pattern))
}

/// What the translation lets through and the regex crate does not know: mostly names of Unicode classes.
fn syntax_error(error: &regex_syntax::Error, pattern: &str) -> MatcherError {
    use regex_syntax::{ast, hir};
    let reason = match error {
        regex_syntax::Error::Parse(e) if matches!(e.kind(), ast::ErrorKind::NestLimitExceeded(_)) => "expression nests too deeply",
        regex_syntax::Error::Translate(e)
            if matches!(e.kind(), hir::ErrorKind::UnicodePropertyNotFound | hir::ErrorKind::UnicodePropertyValueNotFound) =>
        {
            "invalid character class range"
        }
        _ => "unsupported expression",
    };
    MatcherError::Syntax(format!("{reason}: `{pattern}`"))
}

fn build(translated: &str, pattern: &str) -> Result<regex::Regex, MatcherError> {
    regex::RegexBuilder::new(&format!("^(?s:{translated})$")).size_limit(MAX_COMPILED_BYTES).nest_limit(MAX_NESTING + 1).build().map_err(
        |e| match e {
            regex::Error::CompiledTooBig(_) => MatcherError::TooLarge,
            _ => MatcherError::Syntax(format!("unsupported expression: `{pattern}`")),
        },
    )
}

/// An RE2 pattern, anchored at both ends, with its capturing groups: for `label_replace` and relabelling.
pub fn compile_anchored(pattern: &str) -> Result<regex::Regex, MatcherError> {
    let translated = re2::translate(pattern)?;
    parse(&translated.text, pattern)?;
    build(&translated.text, pattern)
}

/// An RE2 pattern that may match anywhere, `.` not matching a newline: what Go's `regexp.Compile` makes of it. For templates.
pub fn compile_unanchored(pattern: &str) -> Result<regex::Regex, MatcherError> {
    let translated = re2::translate(pattern)?;
    parse(&translated.text, pattern)?;
    regex::RegexBuilder::new(&translated.text).size_limit(MAX_COMPILED_BYTES).nest_limit(MAX_NESTING + 1).build().map_err(|e| match e {
        regex::Error::CompiledTooBig(_) => MatcherError::TooLarge,
        _ => MatcherError::Syntax(format!("unsupported expression: `{pattern}`")),
    })
}
