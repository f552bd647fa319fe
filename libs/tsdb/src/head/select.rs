//! Finding series by matchers.
//!
//! Matchers that name values (equality, and patterns that stand for a list of values) are looked up and intersected under one hold of the index.
//! The others must be compared, and comparing may take long: a label may have a hundred thousand values. So they come after, in batches, each under a
//! hold of its own, with the series that were found so far if these are few, else with all values of the label; a value is compared once.
//!
//! Between two holds series come and go. The first set of ids is found before anything that is taken from it, so a series that comes meanwhile is
//! not found where it should not be. The id of a series that goes may be given to another one: after collections ([`Index::removals`]) the labels of what was
//! found are compared once more.

use hashbrown::HashMap;
use model::{MatchOp, Matcher};

use super::index::Index;
use super::postings::{Bitmap, filter_by_list};
use super::{Head, SelectOrder, SeriesRef};

/// Values that are compared, or series that are looked at, under one hold of the index: some ten to a hundred microseconds.
const BATCH: usize = 512;

/// A series is looked at for what some values cost to compare: its lock, its list of pairs, and the memory of both.
const SERIES_COST: usize = 4;

/// What was found.
pub(super) struct Found {
    /// Ascending.
    pub(super) ids: Vec<u32>,
    /// [`Index::removals`] before.
    removals: u64,
}

impl Found {
    /// Whether ids may have been given to other series meanwhile.
    pub(super) fn is_stale(&self, index: &Index) -> bool {
        index.removals() != self.removals
    }
}

/// See [`Head::select_ids`].
pub(super) fn select_ids(head: &Head, matchers: &[Matcher], order: SelectOrder) -> Vec<SeriesRef> {
    let found = find(head, matchers);
    let mut out = Vec::with_capacity(found.ids.len());
    // Stripe by stripe: one lock each, and memory in order.
    for number in 0..head.stripes.len() {
        let stripe = head.stripes[number].read();
        for id in &found.ids {
            let (of, slot) = head.locate(*id);
            if of == number
                && let Some(hot) = stripe.hot.get(slot)
            {
                out.push(SeriesRef { hash: hot.hash(), id: *id });
            }
        }
    }
    out.retain(|series| series.hash.0 != 0);
    if !matchers.is_empty() && found.is_stale(&head.index.read()) {
        out = still_matching(head, &out, matchers);
    }
    if order == SelectOrder::ByHash {
        out.sort_unstable_by_key(|series| series.hash);
    }
    out
}

/// Those of the series that are there and match.
fn still_matching(head: &Head, refs: &[SeriesRef], matchers: &[Matcher]) -> Vec<SeriesRef> {
    let mut out = Vec::with_capacity(refs.len());
    for refs in refs.chunks(BATCH) {
        let index = head.index.read();
        out.extend(refs.iter().filter(|series| {
            let (stripe, slot) = head.locate(series.id);
            let stripe = head.stripes[stripe].read();
            match (stripe.hot.get(slot), stripe.cold.get(slot)) {
                (Some(hot), Some(cold)) => hot.is(series.hash) && labels_match(&index, stripe.pairs_of(cold), matchers),
                _ => false,
            }
        }));
    }
    out
}

/// Whether the labels of a series match.
pub(super) fn labels_match(index: &Index, pairs: &[u32], matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| {
        let name = index.name_id(&matcher.name);
        let pair = pairs.iter().find(|pair| name.is_some() && index.name_of(**pair) == name);
        matcher.matches(pair.map_or("", |pair| index.value_of(*pair)))
    })
}

/// What has to be done for a matcher.
enum Condition<'m> {
    /// The union of the series with these values is wanted, or all others.
    Values { name: &'m str, values: Vec<&'m str>, wanted: bool },
    /// Values have to be compared: series must have a value that matches.
    Matching(&'m Matcher),
    /// Likewise: series must not have a value that does not match.
    NoneOther(&'m Matcher),
}

/// `None` if every series matches.
fn condition(matcher: &Matcher) -> Option<Condition<'_>> {
    let wanted = matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
    let values = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Some(vec![&*matcher.value]),
        MatchOp::Regex | MatchOp::NotRegex => matcher.set_matches().map(|set| set.iter().map(String::as_str).collect()),
    };
    match values.filter(|values| values.iter().all(|value| !value.is_empty())) {
        Some(values) => Some(Condition::Values { name: &matcher.name, values, wanted }),
        None if wanted && &*matcher.value == ".*" => None,
        None if matcher.matches_empty() => Some(Condition::NoneOther(matcher)),
        None => Some(Condition::Matching(matcher)),
    }
}

/// The series that match.
pub(super) fn find(head: &Head, matchers: &[Matcher]) -> Found {
    let conditions: Vec<Condition<'_>> = matchers.iter().filter_map(condition).collect();
    let (mut ids, removals) = look_up(head, &conditions);
    // Those that may find the first set come before those that only take from it.
    for condition in &conditions {
        if let Condition::Matching(matcher) = condition {
            ids = Some(match ids {
                Some(ids) => narrow(head, ids, matcher, true),
                None => scan(head, matcher, true).to_ids(),
            });
        }
    }
    let mut ids = ids.unwrap_or_else(|| all_ids(head));
    for condition in &conditions {
        if let Condition::NoneOther(matcher) = condition {
            ids = narrow(head, ids, matcher, false);
        }
    }
    Found { ids, removals }
}

/// The series that all conditions on named values leave; `None` if there is no such condition.
fn look_up(head: &Head, conditions: &[Condition<'_>]) -> (Option<Vec<u32>>, u64) {
    let index = head.index.read();
    let mut sets: Vec<Set<'_>> = conditions.iter().filter_map(|condition| Set::of(&index, condition)).collect();
    // The smallest wanted set first: all others only filter it.
    sets.sort_by_key(|set| (!set.wanted, set.size));
    let mut ids: Option<Vec<u32>> = None;
    for set in &sets {
        let mut left = match ids.take() {
            None if set.wanted => {
                ids = Some(set.to_ids());
                continue;
            }
            None => all_ids(head),
            Some(ids) => ids,
        };
        if !left.is_empty() {
            set.filter(&mut left);
        }
        ids = Some(left);
    }
    (ids, index.removals())
}

/// The series with some values of a label.
struct Set<'a> {
    lists: Lists<'a>,
    wanted: bool,
    /// About how many there are.
    size: usize,
}

enum Lists<'a> {
    One(&'a [u32]),
    Union(Bitmap),
}

impl<'a> Set<'a> {
    fn of(index: &'a Index, condition: &Condition<'_>) -> Option<Self> {
        let Condition::Values { name, values, wanted } = condition else { return None };
        if let [value] = values.as_slice() {
            let list = index.series_with(name, value);
            return Some(Self { lists: Lists::One(list), wanted: *wanted, size: list.len() });
        }
        let (mut union, mut size) = (Bitmap::default(), 0);
        for list in values.iter().map(|value| index.series_with(name, value)) {
            union.add(list);
            size += list.len();
        }
        Some(Self { lists: Lists::Union(union), wanted: *wanted, size })
    }

    fn to_ids(&self) -> Vec<u32> {
        match &self.lists {
            Lists::One(list) => list.to_vec(),
            Lists::Union(union) => union.to_ids(),
        }
    }

    fn filter(&self, ids: &mut Vec<u32>) {
        match &self.lists {
            Lists::One(list) => filter_by_list(ids, list, self.wanted),
            Lists::Union(union) => ids.retain(|id| union.contains(*id) == self.wanted),
        }
    }
}

/// Leaves of `ids` those with a value that matches, or without one that does not.
fn narrow(head: &Head, mut ids: Vec<u32>, matcher: &Matcher, matching: bool) -> Vec<u32> {
    if ids.is_empty() {
        return ids;
    }
    let values = head.index.read().pairs_with_name(&matcher.name).len();
    if ids.len().saturating_mul(SERIES_COST) < values {
        return look_at(head, &ids, matcher);
    }
    let found = scan(head, matcher, matching);
    ids.retain(|id| found.contains(*id) == matching);
    ids
}

/// The series with a value that matches (or does not, as `matching` says), compared value by value.
fn scan(head: &Head, matcher: &Matcher, matching: bool) -> Bitmap {
    let mut found = Bitmap::default();
    visit_values(head, &matcher.name, |value, series| {
        if matcher.matches(value) == matching {
            found.add(series);
        }
    });
    found
}

/// Calls `visit` with the values of a label and their series, in no order.
pub(super) fn visit_values(head: &Head, name: &str, mut visit: impl FnMut(&str, &[u32])) {
    let (name, pairs) = {
        let index = head.index.read();
        (index.name_id(name), index.pairs_with_name(name).to_vec())
    };
    for pairs in pairs.chunks(BATCH) {
        let index = head.index.read();
        // A pair that went meanwhile may have been given to another label.
        for pair in pairs.iter().filter(|pair| index.name_of(**pair) == name && index.is_used(**pair)) {
            visit(index.value_of(*pair), index.series_of(*pair));
        }
    }
}

/// Those of the series whose label matches, series by series.
fn look_at(head: &Head, ids: &[u32], matcher: &Matcher) -> Vec<u32> {
    let mut out = Vec::with_capacity(ids.len());
    for ids in ids.chunks(BATCH) {
        let index = head.index.read();
        let name = index.name_id(&matcher.name);
        let absent = matcher.matches_empty();
        // Pairs mean the same while the index is held.
        let mut known: HashMap<u32, bool> = HashMap::new();
        for id in ids {
            let (stripe, slot) = head.locate(*id);
            let stripe = head.stripes[stripe].read();
            let pairs = stripe.cold.get(slot).map_or(&[][..], |cold| stripe.pairs_of(cold));
            let pair = pairs.iter().find(|pair| name.is_some() && index.name_of(**pair) == name);
            let matches = pair.map_or(absent, |pair| *known.entry(*pair).or_insert_with(|| matcher.matches(index.value_of(*pair))));
            if matches {
                out.push(*id);
            }
        }
    }
    out
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
