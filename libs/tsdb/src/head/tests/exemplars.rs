use model::{Exemplar, Metadata, MetricType};

use super::*;

fn exemplar(t: i64, trace: &str) -> Exemplar {
    Exemplar { labels: labels(&[("trace_id", trace)]), value: 1.5, t }
}

fn with_exemplars(series: &[(Labels, &[Exemplar])], sample: bool) -> WriteBatch {
    let mut builder = BatchBuilder::new(Bytes::new());
    for (labels, exemplars) in series {
        if sample {
            builder.sample(Sample { t: exemplars.iter().map(|e| e.t).max().unwrap(), v: 1.0 });
        }
        exemplars.iter().for_each(|e| builder.exemplar(e.clone()));
        builder.end_series_with(labels.hash(), labels.as_block());
    }
    builder.finish()
}

#[test]
fn the_newest_are_kept_and_found() {
    let head = Head::new(limited(HeadLimits { max_exemplars: 3, ..HeadLimits::default() }));
    let [a, b] = ["a", "b"].map(|name| labels(&[("__name__", name)]));
    let out =
        push(&head, &with_exemplars(&[(a.clone(), &[exemplar(T0, "1"), exemplar(T0 + 1, "2")]), (b.clone(), &[exemplar(T0, "3")])], true));
    assert_eq!((out.exemplars, out.rejected.len()), (3, 0));
    let out = push(&head, &with_exemplars(&[(a.clone(), &[exemplar(T0 + 2, "4")])], true));
    assert_eq!(out.exemplars, 1);
    let all = head.exemplars(&[vec![Matcher::equal("__name__", "a")], vec![Matcher::equal("__name__", "b")]], i64::MIN, i64::MAX);
    let traces: Vec<Vec<_>> = all.iter().map(|s| s.exemplars.iter().map(|e| e.labels.get("trace_id").unwrap()).collect()).collect();
    assert_eq!((all[0].labels.clone(), traces), (a.clone(), vec![vec!["2", "4"], vec!["3"]]));
    assert_eq!(head.exemplars(&[vec![Matcher::equal("__name__", "a")]], T0 + 2, T0 + 2)[0].exemplars, [exemplar(T0 + 2, "4")]);
    assert!(head.exemplars(&[vec![Matcher::equal("__name__", "a")]], T0 + 3, T0 + 9).is_empty());
    // Again, older, and too far ahead.
    let out = push(&head, &with_exemplars(&[(a.clone(), &[exemplar(T0 + 2, "4")])], true));
    assert_eq!((out.exemplars, out.rejected.len()), (0, 0));
    let out = push(&head, &with_exemplars(&[(a.clone(), &[exemplar(T0 + 1 - 600_000, "2")])], false));
    assert_eq!(reasons(&out), [(0, RejectReason::OutOfOrder, 1)]);
    assert!(out.rejected[0].detail.contains("600000 ms (out_of_order_time_window_ms)"));
    let out = push(&head, &with_exemplars(&[(a, &[exemplar(T0 + 3_600_000, "5")])], false));
    assert_eq!(reasons(&out), [(0, RejectReason::TooFarInFuture, 1)]);
    assert_eq!(head.stats().exemplars, 3);
}

/// Several exemplars of one time, one for each bucket, and late ones; the one that came first goes first.
#[test]
fn exemplars_in_any_order() {
    let head = Head::new(limited(HeadLimits { max_exemplars: 5, ..HeadLimits::default() }));
    let a = labels(&[("__name__", "a")]);
    let send = |exemplars: &[Exemplar]| push(&head, &with_exemplars(&[(a.clone(), exemplars)], false)).exemplars;
    let traces = || {
        let all = head.exemplars(&[vec![Matcher::equal("__name__", "a")]], i64::MIN, i64::MAX);
        all.iter().flat_map(|s| &s.exemplars).map(|e| e.labels.get("trace_id").unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(send(&[exemplar(T0, "c"), exemplar(T0, "b"), exemplar(T0 - 600_000, "a"), exemplar(T0 + 9, "d")]), 4);
    assert_eq!(traces(), ["a", "b", "c", "d"]);
    // All of them again, which a failed write of the log would make the sender do.
    assert_eq!(send(&[exemplar(T0, "b"), exemplar(T0, "c"), exemplar(T0 - 600_000, "a"), exemplar(T0 + 9, "d")]), 0);
    assert_eq!(send(&[exemplar(T0 + 5, "e"), exemplar(T0 + 10, "f")]), 2);
    assert_eq!(traces(), ["a", "b", "e", "d", "f"]);
    head.set_limits(&HeadLimits { max_exemplars: 2, out_of_order_time_window_ms: 0, ..HeadLimits::default() });
    assert_eq!(traces(), ["e", "f"]);
    let late = push(&head, &with_exemplars(&[(a.clone(), &[exemplar(T0 + 6, "g"), exemplar(T0 + 10, "h")])], false));
    assert_eq!((late.exemplars, reasons(&late)), (1, vec![(0, RejectReason::OutOfOrder, 1)]));
    assert_eq!(traces(), ["f", "h"]);
    head.set_limits(&HeadLimits { max_exemplars: 0, ..HeadLimits::default() });
    assert_eq!((traces().len(), head.stats().exemplars), (0, 0));
}

#[test]
fn a_series_without_samples_may_have_exemplars_but_not_beyond_the_limit() {
    let head = Head::new(limited(HeadLimits { max_series: 0, ..HeadLimits::default() }));
    let a = labels(&[("__name__", "a")]);
    assert_eq!(push(&head, &with_exemplars(&[(a.clone(), &[exemplar(T0, "1")])], false)).exemplars, 1);
    let out = push(&head, &with_exemplars(&[(a, &[exemplar(T0 + 1, "1")])], true));
    assert_eq!(out.exemplars, 0);
    assert_eq!(out.rejected.len(), 1);
    assert_eq!((out.rejected[0].reason, out.rejected[0].samples, out.rejected[0].exemplars), (RejectReason::SeriesLimit, 1, 1));
}

#[test]
fn metadata_is_bounded_and_logged_when_it_is_news() {
    let head = Head::new(limited(HeadLimits { max_metadata: 2, ..HeadLimits::default() }));
    let metadata = |family: &str, help: &str| Metadata {
        family: family.to_owned(),
        metric_type: MetricType::Counter,
        help: help.to_owned(),
        unit: String::new(),
    };
    let send = |entries: &[Metadata], generation: u32| {
        let mut builder = BatchBuilder::new(Bytes::new());
        entries.iter().for_each(|m| builder.metadata(m.clone()));
        let mut out = AppendOutcome::new();
        head.append(&builder.finish(), Selection::All, Generation(generation), T0, &mut out);
        head.confirm(&out);
        (out.refused_metadata, out.is_empty())
    };
    let [a, b, c] = ["a", "b", "c"].map(|family| metadata(family, "old"));
    assert_eq!(send(&[a.clone(), b.clone()], 1), (0, false));
    assert_eq!(send(&[a.clone(), b.clone()], 1), (0, true));
    assert_eq!(send(&[c], 1), (1, true));
    assert_eq!(send(std::slice::from_ref(&a), 2), (0, false));
    let new = metadata("a", "new");
    assert_eq!(send(std::slice::from_ref(&new), 2), (0, false));
    assert_eq!(head.metadata(None, 10), [new.clone(), b]);
    assert_eq!(head.metadata(Some("a"), 10), [new]);
    assert!(head.metadata(Some("x"), 10).is_empty());
    assert_eq!(head.metadata(None, 1).len(), 1);
}
