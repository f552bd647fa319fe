//! How many series have each label.

use std::ops::ControlFlow;

use hashbrown::HashMap;
use model::Matcher;

use super::Head;
use super::read::visit_pairs;
use super::select::visit_values;

/// A label and the series that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCount {
    /// The label's name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Series with it.
    pub series: u64,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series that match.
    pub series: u64,
    /// In no order; each label once.
    pub labels: Vec<LabelCount>,
}

/// See [`Head::cardinality`].
pub(super) fn cardinality(
    head: &Head,
    names: &[String],
    matchers: &[Matcher],
    min_t: i64,
    max_t: i64,
    max_bytes: usize,
) -> Option<Cardinality> {
    let everything = matchers.is_empty() && min_t <= head.totals.min_t() && max_t >= head.totals.max_t();
    let mut found = Found { cardinality: Cardinality::default(), room: max_bytes };
    let counted = match everything {
        true => count_all(head, names, &mut found),
        false => count_matching(head, names, matchers, min_t, max_t, &mut found),
    };
    counted.is_continue().then_some(found.cardinality)
}

struct Found {
    cardinality: Cardinality,
    /// Bytes that labels may still take.
    room: usize,
}

impl Found {
    fn add(&mut self, name: &str, value: &str, series: u64) -> ControlFlow<()> {
        match self.room.checked_sub(size_of::<LabelCount>() + name.len() + value.len()) {
            Some(room) => self.room = room,
            None => return ControlFlow::Break(()),
        }
        self.cardinality.labels.push(LabelCount { name: name.to_owned(), value: value.to_owned(), series });
        ControlFlow::Continue(())
    }
}

/// The lists of series that labels have are as long as there are series with them.
fn count_all(head: &Head, names: &[String], found: &mut Found) -> ControlFlow<()> {
    found.cardinality.series = head.series_count() as u64;
    let all: Vec<String>;
    let names = match names {
        [] => {
            all = head.index.read().names().map(str::to_owned).collect();
            &all
        }
        names => names,
    };
    let mut flow = ControlFlow::Continue(());
    for name in names {
        visit_values(head, name, |value, series| {
            if flow.is_continue() && !series.is_empty() {
                flow = found.add(name, value, series.len() as u64);
            }
        });
        flow?;
    }
    flow
}

fn count_matching(head: &Head, names: &[String], matchers: &[Matcher], min_t: i64, max_t: i64, found: &mut Found) -> ControlFlow<()> {
    // A pair's id may be given to another label while nothing is held, so that only its text says what it is.
    let mut places: HashMap<(u32, Box<str>), usize> = HashMap::new();
    let mut flow = ControlFlow::Continue(());
    visit_pairs(head, matchers, min_t, max_t, |index, pairs| {
        found.cardinality.series += 1;
        for pair in pairs {
            let Some(name) = index.name_of(*pair) else { continue };
            let text = index.name(name);
            if !names.is_empty() && !names.iter().any(|wanted| wanted == text) {
                continue;
            }
            let value = index.value_of(*pair);
            if let Some(label) = places.get(&PlaceKey(name, value)).and_then(|place| found.cardinality.labels.get_mut(*place)) {
                label.series += 1;
                continue;
            }
            flow = found.add(text, value, 1);
            if flow.is_break() {
                return false;
            }
            places.insert((name, value.into()), found.cardinality.labels.len() - 1);
        }
        true
    });
    flow
}

/// Looks a place up without owning its text.
struct PlaceKey<'a>(u32, &'a str);

impl std::hash::Hash for PlaceKey<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.0, self.1).hash(state);
    }
}

impl hashbrown::Equivalent<(u32, Box<str>)> for PlaceKey<'_> {
    fn equivalent(&self, key: &(u32, Box<str>)) -> bool {
        self.0 == key.0 && *self.1 == *key.1
    }
}

#[cfg(test)]
mod tests {
    use model::{MatchOp, Matcher};

    use super::super::tests::{batch, labels, push};
    use super::super::{Head, HeadConfig};
    use super::Cardinality;

    fn head() -> Head {
        let head = Head::new(HeadConfig::default());
        let series = |i: usize, job| labels(&[("__name__", "up"), ("instance", ["a", "b", "c"][i]), ("job", job)]);
        push(&head, &batch(&[(series(0, "x"), &[(1_000, 1.0)]), (series(1, "x"), &[(2_000, 1.0)]), (series(2, "y"), &[(9_000, 1.0)])]));
        head
    }

    fn text(cardinality: &Cardinality) -> (u64, Vec<String>) {
        let mut lines: Vec<String> = cardinality.labels.iter().map(|l| format!("{}={} {}", l.name, l.value, l.series)).collect();
        lines.sort();
        (cardinality.series, lines)
    }

    #[test]
    fn all_series_and_those_that_match_are_counted_alike() {
        let head = head();
        let all = head.cardinality(&[], &[], i64::MIN, i64::MAX, usize::MAX).unwrap();
        let want = ["__name__=up 3", "instance=a 1", "instance=b 1", "instance=c 1", "job=x 2", "job=y 1"].map(str::to_owned).to_vec();
        assert_eq!(text(&all), (3, want.clone()));
        let any = Matcher::new(MatchOp::Regex, "job", ".+").unwrap();
        let matching = head.cardinality(&[], &[any], i64::MIN, i64::MAX, usize::MAX).unwrap();
        assert_eq!(text(&matching), (3, want));
        let x = Matcher::new(MatchOp::Equal, "job", "x").unwrap();
        let of_job = head.cardinality(&["job".to_owned()], &[x], i64::MIN, i64::MAX, usize::MAX).unwrap();
        assert_eq!(text(&of_job), (2, vec!["job=x 2".to_owned()]));
        let late = head.cardinality(&["job".to_owned()], &[], 5_000, i64::MAX, usize::MAX).unwrap();
        assert_eq!(text(&late), (1, vec!["job=y 1".to_owned()]));
    }

    #[test]
    fn more_than_there_is_room_for_is_nothing() {
        let any = Matcher::new(MatchOp::Regex, "job", ".+").unwrap();
        assert_eq!(head().cardinality(&[], &[], i64::MIN, i64::MAX, 100), None);
        assert_eq!(head().cardinality(&[], &[any], i64::MIN, i64::MAX, 100), None);
    }
}
