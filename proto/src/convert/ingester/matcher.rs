//! Label matchers.

use std::sync::Arc;

use model::{MatchOp, Matcher};

use crate::convert::InvalidMessage;
use crate::ingester as wire;

/// The most matchers in one request, all selectors together. Each may compile to [`model::matcher::MAX_COMPILED_BYTES`].
pub const MAX_MATCHERS: usize = 512;

/// The message for matchers.
#[must_use]
pub fn matchers_to_wire(matchers: &[Matcher]) -> Vec<wire::Matcher> {
    let op = |op| match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Regex => 2,
        MatchOp::NotRegex => 3,
    };
    matchers.iter().map(|m| wire::Matcher { op: op(m.op), name: (*m.name).to_owned(), value: (*m.value).to_owned() }).collect()
}

/// The matchers of a message, compiled.
pub fn matchers_from_wire(matchers: &[wire::Matcher]) -> Result<Arc<[Matcher]>, InvalidMessage> {
    if matchers.len() > MAX_MATCHERS {
        return Err(InvalidMessage::new(format!("{} matchers, at most {MAX_MATCHERS} are allowed", matchers.len())));
    }
    matchers.iter().map(matcher_from_wire).collect()
}

fn matcher_from_wire(matcher: &wire::Matcher) -> Result<Matcher, InvalidMessage> {
    let op = match matcher.op {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        n => return Err(InvalidMessage::new(format!("unknown matcher operation {n}"))),
    };
    Matcher::new(op, &matcher.name, &matcher.value).map_err(|e| InvalidMessage::new(format!("matcher of {:?}: {e}", matcher.name)))
}

/// The message for alternatives.
#[must_use]
pub fn selectors_to_wire(selectors: &[Arc<[Matcher]>]) -> Vec<wire::Matchers> {
    selectors.iter().map(|matchers| wire::Matchers { matchers: matchers_to_wire(matchers) }).collect()
}

/// The alternatives of a message.
pub fn selectors_from_wire(selectors: &[wire::Matchers]) -> Result<Vec<Arc<[Matcher]>>, InvalidMessage> {
    let count: usize = selectors.iter().map(|s| s.matchers.len().max(1)).sum();
    if count > MAX_MATCHERS {
        return Err(InvalidMessage::new(format!("{count} matchers, at most {MAX_MATCHERS} are allowed")));
    }
    selectors.iter().map(|s| matchers_from_wire(&s.matchers)).collect()
}
