use super::*;
use crate::head::SelectOrder;

fn pod(n: usize) -> Labels {
    labels(&[("__name__", "m"), ("cluster", "c"), ("pod", &format!("pod-{n}"))])
}

fn push_pods(head: &Head, pods: std::ops::Range<usize>, t: i64) {
    let series: Vec<_> = pods.map(|n| (pod(n), [(t, n as f64)])).collect();
    let series: Vec<_> = series.iter().map(|(l, s)| (l.clone(), s.as_slice())).collect();
    let mut out = AppendOutcome::new();
    head.append(&batch(&series), Selection::All, Generation(1), t, &mut out);
    assert!(out.rejected.is_empty(), "{:?}", out.rejected);
}

/// Series come and go for many rounds; memory and answers stay those of the living.
#[test]
fn churn_frees_everything() {
    let head = head();
    let mut sizes = Vec::new();
    for round in 0..20 {
        let t = T0 + round as i64 * 60_000;
        push_pods(&head, round * 500..(round + 1) * 500, t);
        let dropped = head.truncate(t - 60_000);
        assert_eq!(dropped.series, if round < 2 { 0 } else { 500 });
        let living: Vec<_> = (round.saturating_sub(1) * 500..(round + 1) * 500).map(pod).collect();
        assert_eq!(head.series_count(), living.len());
        let mut found = head.series(&[Matcher::equal("cluster", "c")], i64::MIN, i64::MAX, usize::MAX);
        found.sort();
        let mut want = living;
        want.sort();
        assert_eq!(found, want);
        assert_eq!(head.label_values("pod", &[], i64::MIN, i64::MAX, usize::MAX).len(), want.len());
        let stats = head.stats();
        assert_eq!(stats.label_pairs as usize, want.len() + 2);
        sizes.push(stats.memory.total());
    }
    assert!(sizes[19] < sizes[5] * 12 / 10, "{sizes:?}");
    head.truncate(i64::MAX);
    let stats = head.stats();
    assert_eq!((stats.series, stats.label_pairs, stats.label_names, stats.chunks), (0, 0, 0, 0));
    assert_eq!(stats.collected_total, stats.created_total);
}

#[test]
fn an_id_that_was_given_to_another_series_reads_nothing() {
    let head = Head::new(HeadConfig { stripes: 1, ..HeadConfig::default() });
    push_pods(&head, 0..10, T0);
    let before = head.select_ids(&[], SelectOrder::Any);
    head.truncate(T0 + 1);
    push_pods(&head, 100..110, T0 + 2);
    let now = head.select_ids(&[], SelectOrder::Any);
    // The ids are the same, the series are not.
    let ids = |refs: &[crate::head::SeriesRef]| refs.iter().map(|r| r.id).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(ids(&before), ids(&now));
    let mut out = Vec::new();
    head.read_series(&before, i64::MIN, i64::MAX, &mut out).unwrap();
    assert!(out.is_empty());
    head.read_series(&now, i64::MIN, i64::MAX, &mut out).unwrap();
    assert_eq!(out.len(), 10);
}

#[test]
fn old_chunks_go_and_old_samples_are_refused() {
    let head = head();
    let a = labels(&[("__name__", "a")]);
    let samples: Vec<_> = (0..240).map(|i| (T0 + i * 1000, 1.0)).collect();
    push(&head, &batch(&[(a.clone(), &samples)]));
    head.set_oldest_accepted(T0 + 120_000);
    let dropped = head.truncate(T0 + 120_000);
    assert_eq!((dropped.chunks, dropped.series), (1, 0));
    assert_eq!(floats(&head)[0].1.len(), 120);
    let b = labels(&[("__name__", "b")]);
    let out = push(&head, &batch(&[(b, &[(T0 + 119_999, 1.0), (T0 + 120_000, 1.0)])]));
    assert_eq!((out.samples, reasons(&out)), (1, vec![(0, RejectReason::TooOld, 1)]));
    let stats = head.stats();
    assert_eq!((stats.min_t, stats.max_t), (Some(T0 + 120_000), Some(T0 + 239_000)));
    // A tenant's window may have grown.
    head.set_oldest_accepted(T0);
    assert_eq!(reasons(&push(&head, &batch(&[(a.clone(), &[(T0, 1.0)])]))), []);
    head.set_oldest_accepted(T0 + 1);
    assert_eq!(reasons(&push(&head, &batch(&[(a, &[(T0, 2.0)])]))), [(0, RejectReason::TooOld, 1)]);
}

/// Who was collected comes back as if new: no sample is late.
#[test]
fn a_collected_series_has_no_newest_sample() {
    let head = head();
    let [a, b] = ["a", "b"].map(|name| labels(&[("__name__", name)]));
    let late = T0 - 3_600_000;
    push(&head, &batch(&[(a.clone(), &[(T0, 1.0)]), (b.clone(), &[(T0, 1.0)])]));
    assert_eq!(reasons(&push(&head, &batch(&[(a.clone(), &[(late, 1.0)])]))), [(0, RejectReason::TooOld, 1)]);
    assert_eq!(head.truncate(T0 + 1).series, 2);
    let out = push(&head, &batch(&[(a, &[(late, 1.0)])]));
    assert_eq!((out.samples, out.out_of_order), (1, 0));
}

/// Late samples go with the rest of their series.
#[test]
fn late_samples_are_truncated() {
    let head = head();
    let a = labels(&[("__name__", "a")]);
    push(&head, &batch(&[(a.clone(), &[(T0, 1.0)])]));
    let late: Vec<_> = (1..200).map(|i| (T0 - 1000 * i, 1.0)).collect();
    push(&head, &batch(&[(a.clone(), &late)]));
    push(&head, &batch(&[(a, &[(T0 - 500, 1.0)])]));
    let stats = head.stats();
    assert_eq!((stats.late_chunks, stats.late_open_samples, stats.out_of_order_total), (2, 1, 200));
    assert!(stats.memory.late > 0);
    assert_eq!(head.truncate(T0 - 250).series, 0);
    let stats = head.stats();
    assert_eq!((stats.late_chunks, stats.late_open_samples, stats.chunks), (0, 0, 1));
    assert_eq!(head.truncate(T0 + 1).series, 1);
}
