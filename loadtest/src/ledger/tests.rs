//! One lie of a server per invariant, and that it is reported.

use std::sync::Arc;

use model::{Labels, stale_nan};
use serde_json::json;

use super::{Answer, Fate, Fidelity, Findings, Ledger, Mark, Row, Selection, Series};

/// A NaN with something in it.
const PAYLOAD: u64 = 0x7ff8_0000_dead_beef;

fn labels(n: usize) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("n", n.to_string().as_str())])
}

fn series(tenant: &str, n: usize) -> Series {
    Series { tenant: Arc::from(tenant), labels: labels(n) }
}

/// What `a` sent to series 0 and was acknowledged: one of each kind of value.
fn acked() -> Vec<(i64, f64)> {
    vec![(10, 1.5), (20, -0.0), (30, f64::from_bits(PAYLOAD)), (40, stale_nan()), (50, f64::INFINITY)]
}

/// Tenant `b` has a series of the same labels with other values.
fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.record(Fate::Acked, &series("a", 0), acked());
    ledger.record(Fate::Acked, &series("a", 1), [(10, 2.0)]);
    ledger.record(Fate::Unknown, &series("a", 0), [(60, 4.0)]);
    ledger.record(Fate::Refused, &series("a", 0), [(70, 5.0)]);
    ledger.send(&series("a", 0), 80, 6.0);
    ledger.record(Fate::Acked, &series("b", 0), [(10, 100.5), (90, 9.0)]);
    ledger
}

fn asked() -> Selection {
    Selection::metric("a", "m", 0..=100)
}

/// An answer with the points of series 0, and the right ones of series 1.
fn answer(points: &[(i64, f64)]) -> Answer {
    Answer::bits(vec![Row { labels: labels(0), points: points.to_vec() }, Row { labels: labels(1), points: vec![(10, 2.0)] }])
}

fn check(points: &[(i64, f64)]) -> Findings {
    ledger().check(&asked(), &answer(points))
}

/// Found, lost, wrong, doubled, refused, strange, foreign.
fn counts(found: &Findings) -> [usize; 7] {
    [found.found, found.lost, found.wrong, found.doubled, found.refused, found.strange, found.foreign]
}

/// What was acknowledged, changed by a lie.
fn but(change: impl FnOnce(&mut Vec<(i64, f64)>)) -> [usize; 7] {
    let mut points = acked();
    change(&mut points);
    counts(&check(&points))
}

#[test]
fn the_truth_is_good_and_so_is_what_is_unknown_or_on_its_way() {
    for more in [&[][..], &[(60, 4.0)], &[(80, 6.0)], &[(60, 4.0), (80, 6.0)]] {
        let found = check(&[&acked(), more].concat());
        assert!(found.is_good(), "{found}");
        assert_eq!(found.found, 6);
    }
}

#[test]
fn i1_every_lost_sample_is_reported() {
    for n in 0..acked().len() {
        let lose = |points: &mut Vec<(i64, f64)>| {
            points.remove(n);
        };
        assert_eq!(but(lose), [5, 1, 0, 0, 0, 0, 0], "sample {n}");
    }
    let one_series = Answer::bits(vec![Row { labels: labels(0), points: acked() }]);
    assert_eq!(counts(&ledger().check(&asked(), &one_series)), [5, 1, 0, 0, 0, 0, 0], "a whole series");
    assert_eq!(counts(&ledger().check(&asked(), &Answer::bits(Vec::new()))), [0, 6, 0, 0, 0, 0, 0], "everything");
}

#[test]
fn i1_a_doubled_sample_is_reported() {
    assert_eq!(but(|points| points.insert(0, (10, 1.5))), [6, 0, 0, 1, 0, 0, 0]);
    assert_eq!(but(|points| points.push((10, 1.5))), [6, 0, 0, 1, 0, 0, 0], "out of order");
    let mut twice = answer(&acked());
    twice.rows.push(Row { labels: labels(1), points: vec![(10, 2.0)] });
    assert_eq!(counts(&ledger().check(&asked(), &twice)), [6, 0, 0, 1, 0, 0, 0], "a series that is there twice");
}

#[test]
fn i1_one_bit_more_or_less_is_reported() {
    for n in 0..acked().len() {
        for bit in 0..64 {
            let flip = |points: &mut Vec<(i64, f64)>| points[n].1 = f64::from_bits(points[n].1.to_bits() ^ (1 << bit));
            assert_eq!(but(flip), [5, 0, 1, 0, 0, 0, 0], "bit {bit} of sample {n}");
        }
    }
    assert_eq!(counts(&check(&[acked(), vec![(60, 4.5)]].concat())), [6, 0, 1, 0, 0, 0, 0], "an unknown one with another value");
}

#[test]
fn i2_a_refused_sample_is_reported() {
    assert_eq!(but(|points| points.push((70, 5.0))), [6, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn i3_what_was_never_sent_is_reported() {
    assert_eq!(but(|points| points.push((95, 5.0))), [6, 0, 0, 0, 0, 1, 0], "a time");
    let other = Row { labels: labels(7), points: vec![(10, 1.5)] };
    let mut more = answer(&acked());
    more.rows.push(other);
    assert_eq!(counts(&ledger().check(&asked(), &more)), [6, 0, 0, 0, 0, 1, 0], "a series");
    more.rows[2].labels = Labels::from_pairs([("__name__", "other")]);
    assert_eq!(counts(&ledger().check(&asked(), &more)), [6, 0, 0, 0, 0, 1, 0], "a series that was not asked for");
}

#[test]
fn i4_a_sample_of_another_tenant_is_reported() {
    assert_eq!(but(|points| points[0].1 = 100.5), [5, 0, 0, 0, 0, 0, 1], "in the place of an own one");
    assert_eq!(but(|points| points.push((90, 9.0))), [6, 0, 0, 0, 0, 0, 1], "beside own ones");
    let of_a = Answer::bits(vec![Row { labels: labels(0), points: vec![(10, 100.5), (20, -0.0), (90, 9.0)] }]);
    assert_eq!(counts(&ledger().check(&Selection::metric("b", "m", 0..=100), &of_a)), [2, 0, 0, 0, 0, 0, 1], "the other way round");
}

#[test]
fn i5_what_was_acknowledged_before_the_question_is_owed_unless_the_answer_is_marked() {
    let mut ledger = ledger();
    let mark = ledger.mark();
    ledger.record(Fate::Acked, &series("a", 1), [(30, 3.0)]);
    assert!(ledger.check_since(mark, &asked(), &answer(&acked())).is_good(), "acknowledged after the question");
    assert_eq!(ledger.check_since(ledger.mark(), &asked(), &answer(&acked())).lost, 1);
    let mut subset = answer(&acked()[..2]);
    assert_eq!(ledger.check_since(mark, &asked(), &subset).lost, 3, "a wrong subset");
    subset.marked = true;
    assert!(ledger.check_since(mark, &asked(), &subset).is_good(), "it says that something is missing");
    subset.rows[0].points[0].1 = 7.0;
    assert_eq!(ledger.check_since(mark, &asked(), &subset).wrong, 1, "but nothing that it says may be wrong");
    assert!(mark < Mark::END);
}

#[test]
fn only_the_asked_times_count() {
    let asked = Selection { times: 15..=25, ..asked() };
    let found = ledger().check(&asked, &answer(&[(10, 9.0), (20, -0.0), (50, 1.0)]));
    assert_eq!(counts(&found), [1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn as_text_nans_are_alike_and_stale_markers_are_not_shown() {
    let text = |points: &[(i64, f64)]| {
        let answer = Answer { fidelity: Fidelity::Text, ..answer(points) };
        counts(&ledger().check(&asked(), &answer))
    };
    let shown = [(10, 1.5), (20, -0.0), (30, f64::NAN), (50, f64::INFINITY)];
    assert_eq!(text(&shown), [5, 0, 0, 0, 0, 0, 0]);
    assert_eq!(text(&[&shown[..3], &[(40, f64::NAN), (50, f64::INFINITY)]].concat()), [5, 0, 1, 0, 0, 0, 0], "a stale marker is shown");
    assert_eq!(text(&[(10, 1.5), (20, 0.0), (30, f64::NAN), (50, f64::INFINITY)]), [4, 0, 1, 0, 0, 0, 0], "the sign of zero is shown");
}

#[test]
fn fates_only_get_surer() {
    let at = |fates: &[Fate], points: &[(i64, f64)]| {
        let mut ledger = Ledger::default();
        fates.iter().for_each(|fate| ledger.record(*fate, &series("a", 0), [(10, 1.0)]));
        counts(&ledger.check(&asked(), &Answer::bits(vec![Row { labels: labels(0), points: points.to_vec() }])))
    };
    let there = [(10, 1.0)];
    assert_eq!(at(&[Fate::Unknown, Fate::Acked], &[]), [0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(at(&[Fate::Acked, Fate::Refused], &[]), [0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(at(&[Fate::Unknown, Fate::Refused], &there), [0; 7], "the first try may have been written");
    assert_eq!(at(&[Fate::Refused, Fate::Unknown], &there), [0; 7]);
    assert_eq!(at(&[Fate::Refused, Fate::Refused], &there), [0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn answers_of_the_query_api() {
    let metric = json!({"__name__": "m", "n": "0"});
    let row = |points: &[(i64, f64)]| vec![Row { labels: labels(0), points: points.to_vec() }];
    let vector = json!({"resultType": "vector", "result": [{"metric": metric, "value": [1.5, "3"]}]});
    let matrix = json!({"resultType": "matrix", "result": [{"metric": metric, "values": [[1.5, "-0"], [2, "+Inf"]]}]});
    assert_eq!(Answer::text(&vector, false).unwrap().rows, row(&[(1_500, 3.0)]));
    let shown = Answer::text(&matrix, true).unwrap();
    assert_eq!(shown.rows, row(&[(1_500, -0.0), (2_000, f64::INFINITY)]));
    assert!(shown.rows[0].points[0].1.is_sign_negative() && shown.marked && shown.fidelity == Fidelity::Text);
    assert!(Answer::text(&json!({"result": [{"value": [1, "2"]}]}), false).is_err());
}
