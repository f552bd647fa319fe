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

/// Labels with more values than are compared at a time; and few series to look at beside them.
#[test]
fn labels_with_many_values() {
    let head = head();
    let all: Vec<Labels> = (0..3_000)
        .map(|i| labels(&[("__name__", if i % 1_000 == 7 { "rare" } else { "m" }), ("pod", &format!("pod-{}-{i}", i % 10))]))
        .collect();
    for part in all.chunks(500) {
        let series: Vec<_> = part.iter().map(|l| (l.clone(), [(T0, 1.0)].as_slice())).collect();
        push(&head, &batch(&series));
    }
    let pods = ["pod-7-.*", "pod-.*7", ".*-7-.*", "pod-(1|7)-.*", "pod-[0-8]-[0-9]+", "(pod-7-7|pod-7-1007|x.*)", ".+", "", "pod-7-7|"];
    for (pattern, not) in pods.iter().flat_map(|p| [(p, false), (p, true)]) {
        let pod = Matcher::new(if not { MatchOp::NotRegex } else { MatchOp::Regex }, "pod", pattern).unwrap();
        let absent = Matcher::new(MatchOp::NotRegex, "absent", pattern).unwrap();
        for matchers in [vec![pod.clone()], vec![pod.clone(), Matcher::equal("__name__", "rare")], vec![absent, pod]] {
            let mut found = head.series(&matchers, i64::MIN, i64::MAX, usize::MAX);
            found.sort();
            assert_eq!(found, naive(&all, &matchers), "{matchers:?}");
        }
    }
    assert_eq!(head.label_values("pod", &[], i64::MIN, i64::MAX, usize::MAX).len(), 3_000);
}

/// While series come and go and their ids are given again, nothing is found that does not match, and nothing that stays is missed.
#[test]
fn selections_under_churn() {
    let head = Head::new(HeadConfig { stripes: 2, ..HeadConfig::default() });
    let stop = std::sync::atomic::AtomicBool::new(false);
    let push_at = |labels: &[Labels], t: i64| {
        let series: Vec<_> = labels.iter().map(|l| (l.clone(), [(t, 1.0)])).collect();
        let series: Vec<_> = series.iter().map(|(l, s)| (l.clone(), s.as_slice())).collect();
        let mut out = AppendOutcome::new();
        head.append(&batch(&series), Selection::All, Generation(1), t, &mut out);
    };
    let stay: Vec<Labels> = (0..600).map(|i| labels(&[("kind", "stays"), ("pod", &format!("even-{i}"))])).collect();
    let come = |round: usize| -> Vec<Labels> {
        let kind = if round.is_multiple_of(2) { "even" } else { "odd" };
        (0..700).map(|i| labels(&[("kind", kind), ("pod", &format!("{kind}-{round}-{i}"))])).collect()
    };
    let matcher = |op, pattern| Matcher::new(op, "pod", pattern).unwrap();
    let selectors = [
        vec![matcher(MatchOp::Regex, "even-[0-9-]+")],
        vec![matcher(MatchOp::NotRegex, "odd-[0-9-]+")],
        vec![matcher(MatchOp::Regex, "ev.*"), Matcher::equal("kind", "stays")],
        vec![matcher(MatchOp::NotRegex, "odd-.*1"), matcher(MatchOp::Regex, ".+"), matcher(MatchOp::NotRegex, "odd-.*[^1]")],
    ];
    push_at(&stay, T0 + 1_000_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..60_i64 {
                push_at(&come(round as usize), T0 + round);
                head.truncate(T0 + round);
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        for selectors in selectors.chunks(2) {
            let (head, stop) = (&head, &stop);
            scope.spawn(move || {
                loop {
                    let last = stop.load(std::sync::atomic::Ordering::Relaxed);
                    for matchers in selectors {
                        let found = head.select(matchers, i64::MIN, i64::MAX).unwrap();
                        let matches = |l: &Labels| matchers.iter().all(|m| m.matches(l.get(&m.name).unwrap_or_default()));
                        assert!(found.iter().all(|s| matches(&s.labels)), "{matchers:?}");
                        assert_eq!(found.iter().filter(|s| s.labels.get("kind") == Some("stays")).count(), 600, "{matchers:?}");
                    }
                    if last {
                        break;
                    }
                }
            });
        }
    });
}
