//! Finding series by matchers.

use model::{MatchOp, Matcher};

use super::index::Index;
use super::postings::{Bitmap, filter_by_list};
use super::{Head, SelectOrder, SeriesRef};

/// A set of series that a matcher names.
enum Set<'a> {
    /// One list of the index.
    List(&'a [u32]),
    /// A union of lists.
    Union(Bitmap),
}

/// What a matcher asks of a series.
struct Condition<'a> {
    set: Set<'a>,
    /// Members are wanted, or all others.
    members: bool,
    /// About how many members there are.
    size: usize,
}

/// See [`Head::select_ids`].
pub(super) fn select_ids(head: &Head, matchers: &[Matcher], order: SelectOrder) -> Vec<SeriesRef> {
    let ids = ids(head, matchers);
    let mut out = Vec::with_capacity(ids.len());
    // Stripe by stripe: one lock each, and memory in order.
    for number in 0..head.stripes.len() {
        let stripe = head.stripes[number].read();
        for id in &ids {
            let (of, slot) = head.locate(*id);
            if of == number
                && let Some(hot) = stripe.hot.get(slot)
            {
                out.push(SeriesRef { hash: hot.hash(), id: *id });
            }
        }
    }
    // A slot that was freed since the index was read.
    out.retain(|series| series.hash.0 != 0);
    if order == SelectOrder::ByHash {
        out.sort_unstable_by_key(|series| series.hash);
    }
    out
}

/// The ids of the series that match, ascending.
pub(super) fn ids(head: &Head, matchers: &[Matcher]) -> Vec<u32> {
    let index = head.index.read();
    let mut conditions: Vec<_> = matchers.iter().filter_map(|m| condition(&index, m)).collect();
    // The smallest positive set first: all others only filter it.
    conditions.sort_by_key(|c| (!c.members, c.size));
    let mut conditions = conditions.into_iter();
    let mut ids = match conditions.next() {
        None => return all_ids(head),
        Some(Condition { set: Set::List(list), members: true, .. }) => list.to_vec(),
        Some(Condition { set: Set::Union(bitmap), members: true, .. }) => bitmap.to_ids(),
        Some(negative) => {
            let mut all = all_ids(head);
            apply(&mut all, &negative);
            all
        }
    };
    for condition in conditions {
        if ids.is_empty() {
            break;
        }
        apply(&mut ids, &condition);
    }
    ids
}

fn apply(ids: &mut Vec<u32>, condition: &Condition<'_>) {
    match &condition.set {
        Set::List(list) => filter_by_list(ids, list, condition.members),
        Set::Union(bitmap) => ids.retain(|id| bitmap.contains(*id) == condition.members),
    }
}

/// What a matcher asks; `None` if every series matches.
fn condition<'a>(index: &'a Index, matcher: &Matcher) -> Option<Condition<'a>> {
    let name = &*matcher.name;
    let value = &*matcher.value;
    let list = |value: &str, members| {
        let list = index.series_with(name, value);
        Condition { set: Set::List(list), members, size: list.len() }
    };
    let members = matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
    let literals = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => (!value.is_empty()).then(|| vec![value]),
        MatchOp::Regex | MatchOp::NotRegex => literals(value),
    };
    let condition = match literals.as_deref() {
        Some([literal]) => list(literal, members),
        Some(literals) => union(literals.iter().map(|literal| index.series_with(name, literal)), members),
        None if value == ".*" && members => return None,
        // A series without the label matches: it must not have a value that does not. Otherwise it must have one that does.
        None if matcher.matches_empty() => union(index.values(name).filter(|(v, _)| !matcher.matches(v)).map(|(_, s)| s), false),
        None => union(index.values(name).filter(|(v, _)| matcher.matches(v)).map(|(_, s)| s), true),
    };
    Some(condition)
}

fn union<'a>(lists: impl Iterator<Item = &'a [u32]>, members: bool) -> Condition<'static> {
    let mut bitmap = Bitmap::default();
    let mut size = 0;
    for list in lists {
        bitmap.add(list);
        size += list.len();
    }
    Condition { set: Set::Union(bitmap), members, size }
}

/// The values that a pattern stands for, if it is nothing but non-empty literals separated by `|`.
fn literals(pattern: &str) -> Option<Vec<&str>> {
    if pattern.bytes().any(|b| br"\.+*?()[]{}^$".contains(&b)) {
        return None;
    }
    pattern.split('|').map(|literal| (!literal.is_empty()).then_some(literal)).collect()
}

fn all_ids(head: &Head) -> Vec<u32> {
    let mut ids = Vec::with_capacity(head.series_count());
    for (number, stripe) in head.stripes.iter().enumerate() {
        let stripe = stripe.read();
        let live = (0..stripe.slots()).filter(|slot| stripe.cold.get(*slot).is_some_and(|cold| cold.pairs_len > 0));
        ids.extend(live.map(|slot| slot * head.stripes.len() as u32 + number as u32));
    }
    ids.sort_unstable();
    ids
}

#[cfg(test)]
mod tests {
    #[test]
    fn literals_of_patterns() {
        assert_eq!(super::literals("a|b-c|d e"), Some(vec!["a", "b-c", "d e"]));
        assert_eq!(super::literals("a"), Some(vec!["a"]));
        for pattern in ["", "a|", "a.b", "a|b+", "(a|b)", "a\\|b", "^a"] {
            assert_eq!(super::literals(pattern), None, "{pattern}");
        }
    }
}
