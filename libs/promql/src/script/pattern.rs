//! The shapes of command and expectation lines.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// `load 5m`, `load_with_nhcb 5m`: suffix, step.
pub(super) static LOAD: LazyLock<Regex> = LazyLock::new(|| compile(r"^load(?:_(with_nhcb))?\s+(.+?)$"));

/// `eval instant at 5m EXPR`: suffix, time (may be absent), expression.
pub(super) static EVAL_INSTANT: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$"));

/// `eval range from 0 to 10m step 1m EXPR`: suffix, start, end, step, expression.
pub(super) static EVAL_RANGE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$"));

/// `expect fail`, `expect warn msg: TEXT`: kind, how to compare, text.
pub(super) static EXPECT: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$"));

/// `expect range vector from 10s to 1m step 10s`: start, end, step.
pub(super) static EXPECT_RANGE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^expect\s+range\s+vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$"));

/// The text of a group; empty when it took no part.
pub(super) fn word<'a>(captures: &Captures<'a>, group: usize) -> &'a str {
    captures.get(group).map_or("", |m| m.as_str())
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns of this module are constants and are compiled by its tests")
}
