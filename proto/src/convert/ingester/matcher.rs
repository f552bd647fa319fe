//! Label matchers.

use std::sync::Arc;

use model::matcher::MAX_PATTERN_COST;
use model::{MatchOp, Matcher};

use crate::convert::InvalidMessage;
use crate::ingester as wire;

/// The most matchers in one request, all selectors together.
pub const MAX_MATCHERS: usize = 512;

/// The most that the patterns of one request may cost together ([`Matcher::cost`]): four of the largest.
const MAX_REQUEST_COST: usize = 4 * MAX_PATTERN_COST;

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
    check_count(matchers.len())?;
    let mut budget = MAX_REQUEST_COST;
    compile(matchers, &mut budget)
}

/// The alternatives of a message.
pub fn selectors_from_wire(selectors: &[wire::Matchers]) -> Result<Vec<Arc<[Matcher]>>, InvalidMessage> {
    check_count(selectors.iter().map(|s| s.matchers.len().max(1)).sum())?;
    let mut budget = MAX_REQUEST_COST;
    selectors.iter().map(|s| compile(&s.matchers, &mut budget)).collect()
}

fn check_count(count: usize) -> Result<(), InvalidMessage> {
    if count > MAX_MATCHERS {
        return Err(InvalidMessage::new(format!("{count} matchers, at most {MAX_MATCHERS} are allowed")));
    }
    Ok(())
}

fn compile(matchers: &[wire::Matcher], budget: &mut usize) -> Result<Arc<[Matcher]>, InvalidMessage> {
    let matchers = matchers.iter().map(|matcher| {
        let matcher = matcher_from_wire(matcher)?;
        let left = budget.checked_sub(matcher.cost());
        *budget = left.ok_or_else(|| InvalidMessage::new("the request's patterns are too large together"))?;
        Ok(matcher)
    });
    matchers.collect()
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
