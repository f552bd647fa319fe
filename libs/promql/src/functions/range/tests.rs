use super::*;
use crate::eval::{ABSENT, is_absent};

fn samples(points: &[(i64, f64)]) -> Samples {
    let mut s = Samples::default();
    s.ts.extend(points.iter().map(|p| p.0));
    s.vs.extend(points.iter().map(|p| p.1));
    s
}

fn windows(start: i64, step: i64, count: i64, range_ms: i64) -> Windows {
    let grid = Grid::new(start, start + step * (count - 1), step, &crate::limits::Budget::default()).unwrap();
    Windows { grid, reference: Reference::Offset(0), range_ms }
}

fn evaluate(function: RangeFunction, windows: Windows, params: &[f64], s: &Samples) -> Vec<f64> {
    let params = params.iter().map(|v| ScalarColumn::Constant(*v)).collect();
    let mut out = StepVector::absent(windows.grid.count());
    RangeCall { function, windows, extended: None, params, cancel: CancelToken::new() }
        .evaluate(s, &mut RangeScratch::default(), &mut out)
        .unwrap();
    out.values
}

/// What the function gives for each window on its own: the moving indices must change nothing.
fn one_by_one(function: RangeFunction, windows: Windows, params: &[f64], s: &Samples) -> Vec<f64> {
    windows
        .grid
        .iter()
        .map(|t| {
            let single = Windows { grid: Grid::single(t), ..windows };
            evaluate(function, single, params, s)[0]
        })
        .collect()
}

#[test]
fn long_evaluations_can_be_stopped() {
    let points: Vec<(i64, f64)> = (0..20_000).map(|i| (i, i as f64)).collect();
    let cancel = CancelToken::new();
    cancel.cancel();
    let call = RangeCall {
        function: RangeFunction::StddevOverTime,
        windows: windows(0, 1, 20_000, 20_000),
        extended: None,
        params: Vec::new(),
        cancel,
    };
    let mut out = StepVector::absent(20_000);
    let got = call.evaluate(&samples(&points), &mut RangeScratch::default(), &mut out);
    assert_eq!(got, Err(QueryError::Canceled("expression evaluation")));
    assert!(is_absent(out.values[19_999]));
}

const ALL: [RangeFunction; 26] = [
    RangeFunction::AvgOverTime,
    RangeFunction::Changes,
    RangeFunction::CountOverTime,
    RangeFunction::Delta,
    RangeFunction::Deriv,
    RangeFunction::DoubleExponentialSmoothing,
    RangeFunction::FirstOverTime,
    RangeFunction::Idelta,
    RangeFunction::Increase,
    RangeFunction::Irate,
    RangeFunction::LastOverTime,
    RangeFunction::MadOverTime,
    RangeFunction::MaxOverTime,
    RangeFunction::MinOverTime,
    RangeFunction::PredictLinear,
    RangeFunction::PresentOverTime,
    RangeFunction::QuantileOverTime,
    RangeFunction::Rate,
    RangeFunction::Resets,
    RangeFunction::StddevOverTime,
    RangeFunction::StdvarOverTime,
    RangeFunction::SumOverTime,
    RangeFunction::TsOfFirstOverTime,
    RangeFunction::TsOfLastOverTime,
    RangeFunction::TsOfMaxOverTime,
    RangeFunction::TsOfMinOverTime,
];

#[test]
fn moving_windows_equal_single_windows() {
    let values = [3.0, 5.0, 1.0, f64::NAN, 2.0, 2.0, 9.0, 0.0, f64::INFINITY, 4.0, 4.5, -1.0];
    let points: Vec<(i64, f64)> = (0..60).map(|i| (i * 700 + i * i * 3, values[(i * i % 12) as usize])).collect();
    let s = samples(&points);
    for function in ALL {
        for (step, range) in [(1_000, 5_000), (100, 1_000), (9_000, 2_000), (2_500, 60_000)] {
            let w = windows(-3_000, step, 40, range);
            let got: Vec<u64> =
                evaluate(function, w, &[0.5, 0.3], &s).iter().map(|v| if v.is_nan() && !is_absent(*v) { 1 } else { v.to_bits() }).collect();
            let want: Vec<u64> = one_by_one(function, w, &[0.5, 0.3], &s)
                .iter()
                .map(|v| if v.is_nan() && !is_absent(*v) { 1 } else { v.to_bits() })
                .collect();
            assert_eq!(got, want, "{function:?} step {step} range {range}");
        }
    }
}

#[test]
fn windows_are_open_at_their_start() {
    let s = samples(&[(0, 1.0), (1_000, 2.0), (2_000, 3.0)]);
    let count = evaluate(RangeFunction::CountOverTime, windows(0, 1_000, 5, 2_000), &[], &s);
    assert_eq!(count[..4], [1.0, 2.0, 2.0, 1.0]);
    assert!(is_absent(count[4]));
}

#[test]
fn rates_extrapolate_and_know_resets() {
    // A counter with 10 per 10 s that is reset once; the window (0, 60] s misses the sample at 0.
    let points: Vec<(i64, f64)> = (0..=6).map(|i| (i * 10_000, [0.0, 10.0, 20.0, 30.0, 5.0, 15.0, 25.0][i as usize])).collect();
    let s = samples(&points);
    let w = windows(60_000, 1_000, 1, 60_000);
    // 25 − 10 + 30 over 50 s of samples; 10 s to the start (≤ 1.1 × average, zero point at 10/45 × 50 s), nothing to the end.
    let increase = evaluate(RangeFunction::Increase, w, &[], &s)[0];
    assert!((increase - 45.0 * 60.0 / 50.0).abs() < 1e-9, "{increase}");
    let rate = evaluate(RangeFunction::Rate, w, &[], &s)[0];
    assert!((rate - increase / 60.0).abs() < 1e-12);
    let delta = evaluate(RangeFunction::Delta, w, &[], &s)[0];
    assert!((delta - 15.0 * 60.0 / 50.0).abs() < 1e-9);
    assert_eq!(evaluate(RangeFunction::Resets, w, &[], &s), [1.0]);
    assert_eq!(evaluate(RangeFunction::Irate, w, &[], &s), [1.0]);
}

#[test]
fn a_single_sample_has_no_rate() {
    let s = samples(&[(1_000, 1.0)]);
    for function in [RangeFunction::Rate, RangeFunction::Irate, RangeFunction::Deriv, RangeFunction::PredictLinear] {
        assert_eq!(evaluate(function, windows(2_000, 1, 1, 5_000), &[1.0], &s)[0].to_bits(), ABSENT.to_bits());
    }
}
