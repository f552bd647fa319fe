//! Where Plimsoll means to differ from Prometheus 3.5.3, and why.

use super::question::Question;

/// A difference that is meant.
struct Deliberate {
    /// What is told about it.
    reason: &'static str,
    /// Whether these answers (ours, theirs) to this question are a case of it.
    applies: fn(&Question, &str, &str) -> bool,
}

const ALL: [Deliberate; 0] = [];

/// Why these answers may differ, if they may.
#[must_use]
pub fn reason(question: &Question, ours: &str, theirs: &str) -> Option<&'static str> {
    ALL.iter().find(|d| (d.applies)(question, ours, theirs)).map(|d| d.reason)
}
