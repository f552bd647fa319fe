//! Cases with values worked out by hand.

use super::*;

fn positive(schema: i32, offset: i32, counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema,
        count: counts.iter().sum(),
        positive_spans: vec![Span { offset, length: counts.len() as u32 }],
        positive_buckets: counts.to_vec(),
        ..FloatHistogram::default()
    }
}

fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
    FloatHistogram { custom_values: bounds.to_vec(), ..positive(-53, 0, counts) }
}

#[test]
fn the_coarser_schema_wins() {
    // (1, 1.41], (1.41, 2], (2, 2.83] of schema 1 are (1, 2] and (2, 4] of schema 0.
    let (sum, _) = add(&positive(1, 1, &[1.0, 2.0, 4.0]), &positive(0, 1, &[10.0, 20.0])).unwrap();
    assert!(equal(&sum, &positive(0, 1, &[13.0, 24.0])));
}

#[test]
fn the_wider_zero_bucket_wins_and_takes_buckets_in() {
    let narrow = FloatHistogram { zero_threshold: 0.001, zero_count: 1.0, count: 8.0, ..positive(0, -1, &[1.0, 2.0, 4.0]) };
    // 0.75 lies inside (0.5, 1], so the zero bucket ends at 1 and takes (0.25, 0.5] and (0.5, 1] in.
    let wide = FloatHistogram { zero_threshold: 0.75, zero_count: 10.0, count: 10.0, ..FloatHistogram::default() };
    for (a, b) in [(&narrow, &wide), (&wide, &narrow)] {
        let (sum, _) = add(a, b).unwrap();
        assert_eq!((sum.zero_threshold, sum.zero_count, sum.count), (1.0, 14.0, 18.0));
        assert_eq!((sum.positive_spans.as_slice(), sum.positive_buckets.as_slice()), (&[Span { offset: 1, length: 1 }][..], &[4.0][..]));
    }
}

#[test]
fn hints_of_sums() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let cases = [
        (Reset, Reset, Reset, false),
        (NotReset, NotReset, NotReset, false),
        (Gauge, Reset, Gauge, false),
        (NotReset, Gauge, Gauge, false),
        (Unknown, Reset, Unknown, false),
        (NotReset, Unknown, Unknown, false),
        (Reset, NotReset, Unknown, true),
        (NotReset, Reset, Unknown, true),
    ];
    for (a, b, want, collision) in cases {
        let hinted = |counter_reset_hint| FloatHistogram { counter_reset_hint, ..positive(0, 0, &[1.0]) };
        let (sum, combined) = add(&hinted(a), &hinted(b)).unwrap();
        assert_eq!((sum.counter_reset_hint, combined.collision), (want, collision), "{a:?} {b:?}");
        assert_eq!(subtract(&hinted(a), &hinted(b)).unwrap().0.counter_reset_hint, Gauge);
    }
}

#[test]
fn kinds_of_buckets_do_not_mix() {
    let (exponential, custom) = (positive(0, 0, &[1.0]), custom(&[1.0], &[1.0, 2.0]));
    assert_eq!(add(&exponential, &custom), Err(IncompatibleBuckets));
    assert_eq!(subtract(&custom, &exponential), Err(IncompatibleBuckets));
    assert!(is_reset(&custom, &exponential) && is_reset(&exponential, &FloatHistogram { count: 0.0, ..custom.clone() }));
}

#[test]
fn custom_bounds_are_reconciled() {
    let (sum, combined) =
        add(&custom(&[1.0, 2.0, 5.0], &[1.0, 2.0, 4.0, 8.0]), &custom(&[2.0, 4.0, 5.0], &[10.0, 20.0, 40.0, 80.0])).unwrap();
    assert!(combined.reconciled);
    assert!(equal(&sum, &custom(&[2.0, 5.0], &[13.0, 64.0, 88.0])));
}

#[test]
fn small_observations_survive_large_ones() {
    let mut sum = HistogramSum::of(positive(0, 0, &[1.0]));
    for count in [1e100, 1.0, -1e100] {
        sum.add(&positive(0, 0, &[count])).unwrap();
    }
    let sum = sum.into_value();
    assert_eq!((sum.count, sum.positive_buckets), (2.0, vec![2.0]));
}

#[test]
fn means_do_not_overflow() {
    let large = positive(0, 0, &[1e308]);
    let mut mean = HistogramMean::of(large.clone());
    (0..3).for_each(|_| assert_eq!(mean.add(&large), Ok(Combined::default())));
    let mean = mean.into_value();
    assert!((mean.count / 1e308 - 1.0).abs() < 1e-12, "{mean:?}");
}

#[test]
fn scaling() {
    let mut h = positive(0, 0, &[2.0, 4.0]);
    multiply(&mut h, -0.5);
    assert_eq!((h.count, h.counter_reset_hint), (-3.0, CounterResetHint::Gauge));
    divide(&mut h, 0.0);
    assert!(h.count.is_infinite() && h.sum.is_nan() && h.positive_buckets.is_empty() && h.positive_spans.is_empty());
}

#[test]
fn resets() {
    let before = positive(0, 0, &[1.0, 2.0]);
    let with = |counter_reset_hint, h: &FloatHistogram| FloatHistogram { counter_reset_hint, ..h.clone() };
    assert!(is_reset(&with(CounterResetHint::Reset, &before), &before));
    assert!(!is_reset(&with(CounterResetHint::NotReset, &positive(0, 0, &[0.0])), &before));
    assert!(is_reset(&with(CounterResetHint::Gauge, &positive(0, 0, &[0.0])), &before));
    // The same number of observations elsewhere.
    assert!(is_reset(&positive(0, 0, &[2.0, 1.0]), &before));
    assert!(is_reset(&positive(0, 2, &[3.0]), &before));
    // A finer schema cannot come of adding observations, a coarser one can.
    assert!(is_reset(&positive(1, 0, &[1.0, 2.0]), &before));
    assert!(!is_reset(&positive(-1, 0, &[1.0, 2.0]), &before));
    // The zero bucket grew into a populated bucket, or up to the end of one.
    let zeroed = |zero_threshold| FloatHistogram { zero_threshold, zero_count: 1.0, count: 3.0, ..positive(0, 1, &[2.0]) };
    assert!(is_reset(&zeroed(0.75), &before));
    assert!(!is_reset(&zeroed(1.0), &before));
    assert!(is_reset(&before, &zeroed(1.0)));
}

#[test]
fn equality_is_of_bits_and_places() {
    let h = positive(0, 0, &[1.0, 2.0]);
    let mut other = h.clone();
    other.positive_spans = vec![Span { offset: -3, length: 0 }, Span { offset: 3, length: 2 }];
    assert!(equal(&h, &other));
    assert!(equal(&h, &FloatHistogram { counter_reset_hint: CounterResetHint::Gauge, ..h.clone() }));
    assert!(!equal(&h, &positive(0, 1, &[1.0, 2.0])));
    assert!(!equal(&h, &FloatHistogram { sum: -0.0, ..h.clone() }));
    let nan = FloatHistogram { sum: f64::NAN, ..h.clone() };
    assert!(equal(&nan, &nan.clone()));
}

#[test]
fn quantiles_interpolate_on_a_logarithmic_scale() {
    let h = positive(0, 1, &[4.0, 4.0]);
    // A quarter of all is half of (1, 2].
    assert!((quantile(0.25, &h).0 - 2.0_f64.sqrt()).abs() < 1e-12);
    assert!((quantile(0.75, &h).0 - 8.0_f64.sqrt()).abs() < 1e-12);
    assert!((fraction(2.0_f64.sqrt(), 8.0_f64.sqrt(), &h).0 - 0.5).abs() < 1e-12);
    assert_eq!(quantile(0.5, &custom(&[1.0, 3.0], &[1.0, 2.0, 1.0])).0, 2.0);
    assert_eq!(quantile(0.99, &custom(&[1.0, 3.0], &[1.0, 2.0, 1.0])).0, 3.0);
    assert_eq!(quantile(-0.1, &h).0, f64::NEG_INFINITY);
    assert!(quantile(0.5, &FloatHistogram::default()).0.is_nan() && fraction(0.0, 1.0, &FloatHistogram::default()).0.is_nan());
}

#[test]
fn nan_observations_are_told() {
    let h = FloatHistogram { count: 10.0, sum: f64::NAN, ..positive(0, 1, &[8.0]) };
    assert_eq!(quantile(0.9, &h).1, Some(NanNote::QuantileIsNan));
    assert_eq!(quantile(0.4, &h), (2.0_f64.sqrt(), Some(NanNote::QuantileIsSkewed)));
    assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &h), (0.8, Some(NanNote::NotInFraction)));
}

#[test]
fn spread_of_two_buckets() {
    // Middles √2 and 2√2, two observations each, and a sum that fits them.
    let root = 2.0_f64.sqrt();
    let h = FloatHistogram { sum: 6.0 * root, ..positive(0, 1, &[2.0, 2.0]) };
    assert!((variance(&h) - 0.5).abs() < 1e-12);
}

#[test]
fn as_text() {
    let h = FloatHistogram {
        zero_threshold: 0.001,
        zero_count: 1.5,
        count: 1e6,
        sum: f64::INFINITY,
        negative_spans: vec![Span { offset: 0, length: 2 }],
        negative_buckets: vec![3.0, 0.0],
        ..positive(0, 0, &[0.0, 2.0])
    };
    assert_eq!(to_text(&h), "{count:1e+06, sum:+Inf, [-1,-0.5):3, [-0.001,0.001]:1.5, (1,2]:2}");
    assert_eq!(to_text(&custom(&[5.0], &[1.0, 2.0])), "{count:3, sum:0, [-Inf,5]:1, (5,+Inf]:2}");
    assert_eq!(to_text(&FloatHistogram::default()), "{count:0, sum:0}");
}

#[test]
fn trims() {
    let h = FloatHistogram { sum: 100.0, ..positive(0, 1, &[4.0, 8.0]) };
    assert!(equal(&trim(&h, 4.0, Keep::Below), &h));
    let below = trim(&h, 2.0, Keep::Below);
    assert_eq!((below.count, below.positive_buckets.as_slice()), (4.0, &[4.0][..]));
    assert!((below.sum - 4.0 * 2.0_f64.sqrt()).abs() < 1e-12);
    let half = trim(&h, 8.0_f64.sqrt(), Keep::Above);
    assert!((half.count - 4.0).abs() < 1e-9, "{half:?}");
    // The last custom bucket has no end: of it nothing is certain to lie below anything.
    let custom = custom(&[2.0], &[4.0, 4.0]);
    assert_eq!(trim(&custom, 10.0, Keep::Below).positive_buckets, [4.0]);
    assert_eq!(trim(&custom, 1.0, Keep::Below).positive_buckets, [2.0]);
    assert_eq!(trim(&custom, 10.0, Keep::Above).positive_buckets, [4.0]);
}

#[test]
fn wild_histograms_do_no_harm() {
    let wild = FloatHistogram {
        schema: 8,
        zero_threshold: f64::NAN,
        positive_spans: vec![Span { offset: i32::MAX, length: u32::MAX }, Span { offset: i32::MAX, length: 7 }],
        positive_buckets: vec![1.0; 3],
        negative_spans: vec![Span { offset: i32::MIN, length: 1 }, Span { offset: -5, length: 2 }],
        negative_buckets: vec![1.0; 5],
        ..FloatHistogram::default()
    };
    let tame = FloatHistogram { zero_threshold: 1.0, ..positive(-4, 0, &[1.0]) };
    for (a, b) in [(&wild, &tame), (&tame, &wild), (&wild, &wild)] {
        let (sum, _) = add(a, b).unwrap();
        let _ = (is_reset(a, b), equal(a, b), quantile(0.5, &sum), fraction(0.0, 1.0, &sum), variance(&sum), to_text(&sum));
        let _ = (trim(&sum, 1.0, Keep::Below), trim(&sum, f64::NAN, Keep::Above));
    }
}
