use serde_json::json;

use super::{Fate, Findings, Ledger, Row, rows};

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.record(Fate::Acked, [(0, 10, 1.0), (1, 10, 2.0), (0, 20, 3.0)]);
    ledger.record(Fate::Unknown, [(0, 30, 4.0)]);
    ledger.record(Fate::Refused, [(0, 40, 5.0)]);
    ledger
}

fn row(series: usize, points: &[(i64, f64)]) -> Row {
    Row { series, points: points.to_vec() }
}

fn counts(found: &Findings) -> [usize; 6] {
    [found.found, found.lost, found.wrong, found.doubled, found.refused, found.strange]
}

#[test]
fn what_was_acknowledged_is_there_and_unknown_ones_may_be() {
    for unknown in [&[(10, 1.0), (20, 3.0)][..], &[(10, 1.0), (20, 3.0), (30, 4.0)]] {
        let found = ledger().check(0..=100, &[row(0, unknown), row(1, &[(10, 2.0)])]);
        assert!(found.is_good(), "{found}");
        assert_eq!(found.found, 3);
    }
}

#[test]
fn everything_else_is_found() {
    let other = row(1, &[(10, 2.0)]);
    let check = |points: &[(i64, f64)]| counts(&ledger().check(0..=100, &[row(0, points), other.clone()]));
    assert_eq!(check(&[(10, 1.0)]), [2, 1, 0, 0, 0, 0], "lost");
    assert_eq!(check(&[(10, 1.5), (20, 3.0)]), [2, 0, 1, 0, 0, 0], "wrong");
    assert_eq!(check(&[(10, 1.0), (20, 3.0), (30, 4.5)]), [3, 0, 1, 0, 0, 0], "an unknown one with another value");
    assert_eq!(check(&[(10, 1.0), (10, 1.0), (20, 3.0)]), [3, 0, 0, 1, 0, 0], "doubled");
    assert_eq!(check(&[(10, 1.0), (20, 3.0), (40, 5.0)]), [3, 0, 0, 0, 1, 0], "refused");
    assert_eq!(check(&[(10, 1.0), (20, 3.0), (50, 5.0)]), [3, 0, 0, 0, 0, 1], "never sent");
    let twice = ledger().check(0..=100, &[row(0, &[(10, 1.0), (20, 3.0)]), other.clone(), other.clone()]);
    assert_eq!(counts(&twice), [3, 0, 0, 1, 0, 0], "a series that is there twice");
}

#[test]
fn only_the_asked_times_count() {
    let found = ledger().check(15..=25, &[row(0, &[(10, 9.0), (20, 3.0), (50, 1.0)])]);
    assert_eq!(counts(&found), [1, 0, 0, 0, 0, 0]);
}

#[test]
fn a_sample_that_was_unknown_and_then_acknowledged_must_be_there() {
    let mut ledger = Ledger::default();
    ledger.record(Fate::Unknown, [(0, 10, 1.0)]);
    ledger.record(Fate::Acked, [(0, 10, 1.0)]);
    assert_eq!(counts(&ledger.check(0..=100, &[])), [0, 1, 0, 0, 0, 0]);
    assert_eq!(ledger.times(), Some((10, 10)));
}

#[test]
fn rows_of_vectors_and_matrices() {
    let vector = json!({"resultType": "vector", "result": [{"metric": {"series": "7"}, "value": [1.5, "3"]}]});
    let matrix = json!({"resultType": "matrix", "result": [{"metric": {"series": "7"}, "values": [[1.5, "3"], [2, "4"]]}]});
    assert_eq!(rows(&vector).unwrap(), [row(7, &[(1_500, 3.0)])]);
    assert_eq!(rows(&matrix).unwrap(), [row(7, &[(1_500, 3.0), (2_000, 4.0)])]);
    assert!(rows(&json!({"result": [{"metric": {}, "value": [1, "2"]}]})).is_err());
}
