//! Finding the series of a block by matchers.

use model::{MatchOp, Matcher};

use super::{BlockError, IndexReader};

/// The ids of the series that match all matchers, ascending.
pub(super) fn select_ids(index: &IndexReader, matchers: &[Matcher]) -> Result<Vec<u32>, BlockError> {
    // A matcher that the empty value fits excludes series; any other one names those that are wanted.
    let (excluding, wanting): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|m| m.matches_empty());
    let mut ids: Option<Vec<u32>> = None;
    for matcher in wanting {
        let wanted = wanted(index, matcher)?;
        let both = match ids {
            None => wanted,
            Some(ids) => filter(ids, &wanted, true),
        };
        if both.is_empty() {
            return Ok(both);
        }
        ids = Some(both);
    }
    let mut ids = match ids {
        Some(ids) => ids,
        None => index.postings("", "")?,
    };
    for matcher in excluding {
        if ids.is_empty() {
            break;
        }
        let excluded = excluded(index, matcher)?;
        ids = filter(ids, &excluded, false);
    }
    Ok(ids)
}

/// The series whose label has a value that fits.
fn wanted(index: &IndexReader, matcher: &Matcher) -> Result<Vec<u32>, BlockError> {
    let name = &*matcher.name;
    match (matcher.op, matcher.set_matches(), matcher.prefix()) {
        (MatchOp::Equal, ..) => index.postings(name, &matcher.value),
        (MatchOp::Regex, Some(values), _) => union(values.iter().map(|value| index.postings(name, value))),
        (MatchOp::Regex, None, Some(prefix)) => {
            let values = index.values_from(name, prefix)?.take_while(|(value, _)| value.starts_with(prefix));
            union(values.filter(|(value, _)| matcher.matches(value)).map(|(_, at)| index.postings_at(at)))
        }
        _ => union(index.values(name)?.filter(|(value, _)| matcher.matches(value)).map(|(_, at)| index.postings_at(at))),
    }
}

/// The series whose label has a value that does not fit.
fn excluded(index: &IndexReader, matcher: &Matcher) -> Result<Vec<u32>, BlockError> {
    let name = &*matcher.name;
    match (matcher.op, matcher.set_matches(), matcher.prefix()) {
        (MatchOp::NotEqual, ..) => index.postings(name, &matcher.value),
        (MatchOp::NotRegex, Some(values), _) => union(values.iter().map(|value| index.postings(name, value))),
        (MatchOp::NotRegex, None, Some(prefix)) => {
            let values = index.values_from(name, prefix)?.take_while(|(value, _)| value.starts_with(prefix));
            union(values.filter(|(value, _)| !matcher.matches(value)).map(|(_, at)| index.postings_at(at)))
        }
        _ => union(index.values(name)?.filter(|(value, _)| !matcher.matches(value)).map(|(_, at)| index.postings_at(at))),
    }
}

/// Lists of one label are disjoint: a series has one value.
fn union(lists: impl Iterator<Item = Result<Vec<u32>, BlockError>>) -> Result<Vec<u32>, BlockError> {
    let mut out = Vec::new();
    for list in lists {
        out.append(&mut list?);
    }
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

/// Those ids that are in `other`, or those that are not. Both ascend.
fn filter(mut ids: Vec<u32>, other: &[u32], members: bool) -> Vec<u32> {
    let mut rest = other;
    ids.retain(|id| {
        // The next hit is usually near, and far when `other` is much longer.
        let mut step = 1;
        while rest.get(step).is_some_and(|v| v < id) {
            step *= 2;
        }
        let window = rest.get(..step + 1).unwrap_or(rest);
        rest = rest.get(window.partition_point(|v| v < id)..).unwrap_or_default();
        (rest.first() == Some(id)) == members
    });
    ids
}
