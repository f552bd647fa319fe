//! Histories that once failed.

use super::*;

fn part(series: usize, samples: &[(i64, Value)]) -> Part {
    Part { series, samples: samples.to_vec() }
}

/// The record of the newer samples is in the log before that of the older ones, which a replay then meets late.
#[test]
fn records_overtake_each_other() {
    let [a, b] = [part(0, &[(-20, Value::Float(1)), (-19, Value::Int(2))]), part(0, &[(-10, Value::Float(1)), (-9, Value::Int(1))])];
    run(&[Op::Window(0), Op::Crossed(vec![a], vec![b]), Op::Restart, Op::Query { group: 0, from: -60, to: 0 }]);
}

/// A push that the log refused comes again when newer samples are there, and is in the log then.
#[test]
fn a_retry_after_newer_samples_is_logged() {
    let old = part(0, &[(-4, Value::Float(1))]);
    run(&[Op::PushUnlogged(vec![old]), Op::Retry, Op::Restart, Op::Window(0), Op::Retry, Op::Restart]);
}
