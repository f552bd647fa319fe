//! What an evaluation must give.

use model::Labels;
use regex::{Regex, RegexBuilder};

use super::duration::parse_duration;
use super::pattern::{EXPECT, EXPECT_RANGE, word};
use super::quoted::quoted;
use super::scan::{Scanner, parse_scalar};
use super::series::{ScriptValue, ValueBudget, parse_series_line};

/// The bound on the compiled size of a pattern, as for label matchers.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// The most series that one evaluation may expect; they are compared each with each.
const MAX_EXPECTED_SERIES: usize = 10_000;

/// Expected steps in time, all in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeRange {
    /// Inclusive.
    pub(super) start: i64,
    /// Inclusive; not before `start`.
    pub(super) end: i64,
    /// Above zero.
    pub(super) step: i64,
}

/// All expectations of one evaluation.
#[derive(Debug, Clone, Default)]
pub(super) struct Expectation {
    /// The query must fail, with this message.
    pub(super) fail: Option<MessageMatch>,
    /// The series come in the order of the lines.
    pub(super) ordered: bool,
    pub(super) warnings: AnnotationRule,
    pub(super) infos: AnnotationRule,
    /// The result of the instant query is a range vector with these times.
    pub(super) range_vector: Option<TimeRange>,
    pub(super) result: ExpectedResult,
}

/// What is asked of the warnings, or of the infos. Nothing asked: anything goes.
#[derive(Debug, Clone, Default)]
pub(super) struct AnnotationRule {
    /// Each must match at least one annotation and each annotation must be matched, if there are any here.
    pub(super) wanted: Vec<MessageMatch>,
    /// There must be none.
    pub(super) none: bool,
}

/// How a message is compared.
#[derive(Debug, Clone)]
pub(super) enum MessageMatch {
    Any,
    Exact(String),
    Pattern(Regex),
}

impl MessageMatch {
    pub(super) fn matches(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => text == message,
            Self::Pattern(regex) => regex.is_match(message),
        }
    }

    /// An unanchored pattern.
    fn pattern(text: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build();
        regex.map(Self::Pattern).map_err(|e| format!("invalid pattern {text:?}: {e}"))
    }
}

/// The value.
#[derive(Debug, Clone)]
pub(super) enum ExpectedResult {
    Series(Vec<ExpectedSeries>),
    Scalar(f64),
    Text(String),
}

impl Default for ExpectedResult {
    fn default() -> Self {
        Self::Series(Vec::new())
    }
}

/// One series; value i belongs to step i.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ExpectedSeries {
    pub(super) labels: Labels,
    pub(super) values: Vec<Option<ScriptValue>>,
}

/// The older way to say what must happen: a suffix of `eval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LegacyMode {
    Fail,
    Warn,
    Info,
    Ordered,
}

/// Reads the lines under an `eval`.
#[derive(Debug)]
pub(super) struct ExpectationReader {
    expectation: Expectation,
    legacy: Option<LegacyMode>,
    instant: bool,
    /// A line that ends the expectations was read.
    complete: bool,
}

impl ExpectationReader {
    pub(super) fn new(legacy: Option<LegacyMode>, instant: bool) -> Self {
        let mut expectation = Expectation::default();
        match legacy {
            Some(LegacyMode::Fail) => expectation.fail = Some(MessageMatch::Any),
            Some(LegacyMode::Warn) => expectation.warnings.wanted.push(MessageMatch::Any),
            Some(LegacyMode::Info) => expectation.infos.wanted.push(MessageMatch::Any),
            Some(LegacyMode::Ordered) => expectation.ordered = true,
            None => {}
        }
        Self { expectation, legacy, instant, complete: false }
    }

    /// Whether the block ends here, whatever lines follow.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Reads one line.
    pub(super) fn line(&mut self, text: &str, budget: &mut ValueBudget) -> Result<(), String> {
        if self.legacy == Some(LegacyMode::Fail) && self.legacy_failure(text)? {
            self.complete = true;
            return Ok(());
        }
        if let Some(captures) = EXPECT_RANGE.captures(text) {
            return self.range_vector(word(&captures, 1), word(&captures, 2), word(&captures, 3));
        }
        if let Some(rest) = text.strip_prefix("expect string") {
            return self.text(rest.trim_start());
        }
        if let Some(captures) = EXPECT.captures(text) {
            let message = message_match(word(&captures, 2), word(&captures, 3))?;
            return self.directive(word(&captures, 1), message);
        }
        if text.starts_with("expect ") {
            return Err(format!("unknown expectation {text:?}"));
        }
        if let Some(value) = parse_scalar(text) {
            self.expectation.result = ExpectedResult::Scalar(value);
            self.complete = true;
            return Ok(());
        }
        self.series(text, budget)
    }

    /// The whole.
    pub(super) fn finish(self) -> Expectation {
        self.expectation
    }

    fn legacy_failure(&mut self, text: &str) -> Result<bool, String> {
        let message = if let Some(rest) = text.strip_prefix("expected_fail_message") {
            MessageMatch::Exact(rest.trim().to_owned())
        } else if let Some(rest) = text.strip_prefix("expected_fail_regexp") {
            MessageMatch::pattern(rest.trim())?
        } else {
            return Ok(false);
        };
        self.expectation.fail = Some(message);
        Ok(true)
    }

    fn range_vector(&mut self, start: &str, end: &str, step: &str) -> Result<(), String> {
        if !self.instant {
            return Err("a range vector is expected of instant queries only".to_owned());
        }
        self.expectation.range_vector = Some(parse_time_range(start, end, step)?);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        if !self.instant {
            return Err("a string is expected of instant queries only".to_owned());
        }
        let mut s = Scanner::new(text);
        let value = quoted(&mut s)?;
        if !s.is_end() {
            return Err(s.expected("the end of the line after the string"));
        }
        self.expectation.result = ExpectedResult::Text(value);
        Ok(())
    }

    fn directive(&mut self, kind: &str, message: MessageMatch) -> Result<(), String> {
        let e = &mut self.expectation;
        match kind {
            "ordered" if self.instant => e.ordered = true,
            "ordered" => return Err("an order is expected of instant queries only".to_owned()),
            "fail" if e.fail.is_some() => return Err("more than one expectation of failure".to_owned()),
            "fail" => e.fail = Some(message),
            "warn" => e.warnings.wanted.push(message),
            "info" => e.infos.wanted.push(message),
            "no_warn" => e.warnings.none = true,
            _ => e.infos.none = true,
        }
        for (rule, name) in [(&e.warnings, "warn"), (&e.infos, "info")] {
            if rule.none && !rule.wanted.is_empty() {
                return Err(format!("both {name} and no_{name} are expected"));
            }
        }
        Ok(())
    }

    fn series(&mut self, text: &str, budget: &mut ValueBudget) -> Result<(), String> {
        let line = parse_series_line(text, budget)?;
        if line.values.is_empty() {
            return Err(format!("series {} has no expected value", line.labels));
        }
        if self.instant && self.expectation.range_vector.is_none() && line.values.len() > 1 {
            return Err(format!("expected one value per series in instant queries, found {}", line.values.len()));
        }
        let ExpectedResult::Series(series) = &mut self.expectation.result else {
            return Err("both a string and series are expected".to_owned());
        };
        if series.len() >= MAX_EXPECTED_SERIES {
            return Err(format!("more than {MAX_EXPECTED_SERIES} series are expected"));
        }
        if series.iter().any(|s| s.labels == line.labels) {
            return Err(format!("series {} is expected twice", line.labels));
        }
        series.push(ExpectedSeries { labels: line.labels, values: line.values });
        Ok(())
    }
}

fn message_match(kind: &str, text: &str) -> Result<MessageMatch, String> {
    match kind {
        "" => Ok(MessageMatch::Any),
        "msg" => Ok(MessageMatch::Exact(text.trim().to_owned())),
        _ => MessageMatch::pattern(text.trim()),
    }
}

/// `from START to END step STEP`.
pub(super) fn parse_time_range(start: &str, end: &str, step: &str) -> Result<TimeRange, String> {
    let range = TimeRange { start: parse_duration(start)?, end: parse_duration(end)?, step: parse_duration(step)? };
    if range.end < range.start {
        return Err(format!("the end of the range ({end}) is before its start ({start})"));
    }
    if range.step == 0 {
        return Err("the step of the range is zero".to_owned());
    }
    Ok(range)
}
