use model::MatchOp;
use proptest::prelude::*;

use super::*;
use crate::head::SelectOrder;

fn world() -> (Head, Vec<Labels>) {
    let head = head();
    let mut all = Vec::new();
    for name in ["up", "requests", "errors"] {
        for job in ["", "api", "api-gw", "db"] {
            for instance in ["", "a:1", "b:1"] {
                all.push(labels(&[("__name__", name), ("job", job), ("instance", instance)]));
            }
        }
    }
    let series: Vec<_> = all.iter().map(|l| (l.clone(), [(T0, 1.0)].to_vec())).collect();
    let series: Vec<_> = series.iter().map(|(l, s)| (l.clone(), s.as_slice())).collect();
    assert!(push(&head, &batch(&series)).rejected.is_empty());
    (head, all)
}

fn naive(all: &[Labels], matchers: &[Matcher]) -> Vec<Labels> {
    let mut out: Vec<_> = all.iter().filter(|l| matchers.iter().all(|m| m.matches(l.get(&m.name).unwrap_or_default()))).cloned().collect();
    out.sort();
    out
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let name = prop::sample::select(vec!["__name__", "job", "instance", "missing"]);
    let literal = prop::sample::select(vec!["", "up", "errors", "api", "db", "a:1", "nothing"]);
    let pattern = prop::sample::select(vec![
        "",
        "api",
        "api|db",
        "api|",
        "api.*",
        ".*",
        ".+",
        "|db",
        "(up|errors)",
        "[ab]:1",
        "a:1|b:1|c:1",
        "nothing",
        "no|body",
        "(?i)API",
        "a.i",
    ]);
    prop_oneof![
        (name.clone(), literal, any::<bool>())
            .prop_map(|(name, value, not)| { Matcher::new(if not { MatchOp::NotEqual } else { MatchOp::Equal }, name, value).unwrap() }),
        (name, pattern, any::<bool>())
            .prop_map(|(name, value, not)| { Matcher::new(if not { MatchOp::NotRegex } else { MatchOp::Regex }, name, value).unwrap() }),
    ]
}

proptest! {
    #[test]
    fn every_kind_of_matcher(matchers in proptest::collection::vec(any_matcher(), 0..4)) {
        let (head, all) = world();
        let want = naive(&all, &matchers);
        let mut found = head.series(&matchers, i64::MIN, i64::MAX, usize::MAX);
        found.sort();
        prop_assert_eq!(&found, &want);
        let chunks = head.select(&matchers, T0, T0).unwrap();
        prop_assert!(chunks.windows(2).all(|w| w[0].hash < w[1].hash));
        let mut found: Vec<_> = chunks.into_iter().map(|s| s.labels).collect();
        found.sort();
        prop_assert_eq!(&found, &want);
        let mut jobs: Vec<_> = want.iter().filter_map(|l| l.get("job")).map(str::to_owned).collect();
        jobs.sort();
        jobs.dedup();
        prop_assert_eq!(head.label_values("job", &matchers, i64::MIN, i64::MAX, usize::MAX), jobs);
        let mut names: Vec<_> = want.iter().flat_map(|l| l.iter()).map(|(n, _)| n.to_owned()).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(head.label_names(&matchers, i64::MIN, i64::MAX, usize::MAX), names);
    }
}

#[test]
fn limits_and_ranges_of_label_calls() {
    let (head, all) = world();
    assert_eq!(head.series(&[], i64::MIN, i64::MAX, 5).len(), 5);
    assert!(head.series(&[], i64::MIN, i64::MAX, 0).is_empty());
    assert_eq!(head.label_names(&[], T0, T0, 2), ["__name__", "instance"]);
    assert_eq!(head.label_values("job", &[], T0, T0, 2), ["api", "api-gw"]);
    let up = [Matcher::equal("__name__", "up")];
    for matchers in [&[][..], &up] {
        assert!(head.series(matchers, T0 + 1, i64::MAX, 9).is_empty());
        assert!(head.label_names(matchers, T0 + 1, i64::MAX, 9).is_empty());
        assert!(head.label_values("job", matchers, i64::MIN, T0 - 1, 9).is_empty());
    }
    assert_eq!(head.select_ids(&[], SelectOrder::Any).len(), all.len());
    assert!(head.label_values("missing", &[], T0, T0, 9).is_empty());
}
