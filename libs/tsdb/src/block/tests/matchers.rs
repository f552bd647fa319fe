use model::{MatchOp, Matcher};

use super::*;

fn world() -> Series {
    let mut all = Vec::new();
    for name in ["up", "requests", "errors"] {
        for job in ["", "api", "api-gw", "db"] {
            for instance in ["", "a:1", "b:1"] {
                let labels = Labels::from_pairs([("__name__", name), ("job", job), ("instance", instance)]);
                all.push((labels, vec![float(1, 1.0)]));
            }
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let name = prop::sample::select(vec!["__name__", "job", "instance", "missing"]);
    let literal = prop::sample::select(vec!["", "up", "errors", "api", "db", "a:1", "nothing"]);
    let patterns =
        ["", "api", "api|db", "api|", "api.*", "api.+", ".*", ".+", "|db", "(up|errors)", "[ab]:1", "nothing", "(?i)API", "a.i", ".*b"];
    let pattern = prop::sample::select(patterns.to_vec());
    let of = |op, name: &str, value: &str| Matcher::new(op, name, value).unwrap();
    prop_oneof![
        (name.clone(), literal, any::<bool>()).prop_map(move |(name, value, not)| of(
            if not { MatchOp::NotEqual } else { MatchOp::Equal },
            name,
            value
        )),
        (name, pattern, any::<bool>()).prop_map(move |(name, value, not)| of(
            if not { MatchOp::NotRegex } else { MatchOp::Regex },
            name,
            value
        )),
    ]
}

proptest! {
    #[test]
    fn every_kind_of_matcher(matchers in proptest::collection::vec(any_matcher(), 0..4)) {
        let (fs, world) = (FaultyFs::new(), world());
        let block = open(&fs, &write_at(&fs, Ulid::new(1, 2), (0, 10), &world, SEGMENT_BYTES));
        let got: Vec<_> = block.select(&matchers, 0, 10).unwrap().map(|s| s.unwrap().labels).collect();
        let fits = |l: &Labels| matchers.iter().all(|m| m.matches(l.get(&m.name).unwrap_or_default()));
        let want: Vec<_> = world.into_iter().map(|(l, _)| l).filter(fits).collect();
        prop_assert_eq!(got, want);
    }
}

#[test]
fn names_and_values() {
    let fs = FaultyFs::new();
    let block = open(&fs, &write_at(&fs, Ulid::new(1, 2), (0, 10), &world(), SEGMENT_BYTES));
    assert_eq!(block.label_names().unwrap(), ["__name__", "instance", "job"]);
    assert_eq!(block.label_values("job").unwrap(), ["api", "api-gw", "db"]);
    assert_eq!(block.label_values("none").unwrap(), Vec::<String>::new());
}
