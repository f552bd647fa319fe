use model::{CounterResetHint, FloatHistogram, Span};
use proptest::prelude::*;

use super::*;

mod fixed;

/// Buckets within ±40 of index 0 with small whole counts, some of them empty.
fn side() -> impl Strategy<Value = (Vec<Span>, Vec<f64>)> {
    proptest::collection::btree_map(-40_i64..40, 0_u8..20, 0..12).prop_map(|buckets| {
        let (mut spans, mut next): (Vec<Span>, i64) = (Vec::new(), 0);
        for index in buckets.keys() {
            match spans.last_mut() {
                Some(span) if *index == next => span.length += 1,
                _ => spans.push(Span { offset: (index - next) as i32, length: 1 }),
            }
            next = index + 1;
        }
        (spans, buckets.values().map(|count| f64::from(*count)).collect())
    })
}

prop_compose! {
    /// A histogram without NaN whose count is that of its buckets and whose zero bucket has no width.
    fn exponential(schemas: std::ops::Range<i32>)(
        (positive_spans, positive_buckets) in side(),
        (negative_spans, negative_buckets) in side(),
        schema in schemas,
        zero_count in 0_u8..20,
        sum in -1e3..1e3,
    ) -> FloatHistogram {
        let zero_count = f64::from(zero_count);
        let count = zero_count + positive_buckets.iter().chain(&negative_buckets).sum::<f64>();
        FloatHistogram {
            schema, zero_threshold: 0.0, zero_count, count, sum,
            positive_spans, positive_buckets, negative_spans, negative_buckets,
            ..FloatHistogram::default()
        }
    }
}

prop_compose! {
    fn custom()(
        bounds in proptest::collection::btree_set(-20_i32..20, 0..8),
        counts in proptest::collection::vec(0_u8..20, 9),
        sum in -1e3..1e3,
    ) -> FloatHistogram {
        let positive_buckets: Vec<f64> = counts.iter().take(bounds.len() + 1).map(|c| f64::from(*c)).collect();
        FloatHistogram {
            schema: -53, sum, count: positive_buckets.iter().sum(),
            positive_spans: vec![Span { offset: 0, length: positive_buckets.len() as u32 }],
            positive_buckets,
            custom_values: bounds.into_iter().map(f64::from).collect(),
            ..FloatHistogram::default()
        }
    }
}

prop_compose! {
    /// One whose zero bucket has a width, below all of its buckets.
    fn with_zero_bucket()(h in exponential(-2..9), exponent in -6_i32..6) -> FloatHistogram {
        let zero_threshold = 2.0_f64.powi(exponent);
        let outside = |spans: &[Span], counts: &[f64]| {
            let within = zero::buckets_reaching_into(spans, counts, h.schema, zero_threshold);
            let side = cells::collect(cells::spread(spans, counts, &[]).skip(within));
            (side.spans, side.counts)
        };
        let (positive_spans, positive_buckets) = outside(&h.positive_spans, &h.positive_buckets);
        let (negative_spans, negative_buckets) = outside(&h.negative_spans, &h.negative_buckets);
        let count = h.zero_count + positive_buckets.iter().chain(&negative_buckets).sum::<f64>();
        FloatHistogram { zero_threshold, count, positive_spans, positive_buckets, negative_spans, negative_buckets, ..h }
    }
}

fn any_pair() -> impl Strategy<Value = (FloatHistogram, FloatHistogram)> {
    prop_oneof![(exponential(-4..9), exponential(-4..9)), (custom(), custom())]
}

fn in_buckets(h: &FloatHistogram) -> f64 {
    all(h).map(|b| b.count).sum()
}

/// The same observations in the same buckets, rounding errors aside.
fn assert_close(a: &FloatHistogram, b: &FloatHistogram) {
    let close = |x: f64, y: f64| (x - y).abs() <= 1e-9 * (x.abs() + y.abs()).max(1.0);
    assert!(a.schema == b.schema && a.custom_values == b.custom_values && a.zero_threshold == b.zero_threshold, "{a:?}\n{b:?}");
    assert!(close(a.count, b.count) && close(a.sum, b.sum) && close(a.zero_count, b.zero_count), "{a:?}\n{b:?}");
    let populated = |h: &FloatHistogram| all(h).filter(|b| b.count.abs() > 1e-9).collect::<Vec<_>>();
    let (x, y) = (populated(a), populated(b));
    assert_eq!(x.len(), y.len(), "{a:?}\n{b:?}");
    assert!(x.iter().zip(&y).all(|(x, y)| (x.lower, x.upper) == (y.lower, y.upper) && close(x.count, y.count)), "{a:?}\n{b:?}");
}

proptest! {
    #[test]
    fn sums_hold_the_observations_of_both((a, b) in any_pair()) {
        let (sum, _) = add(&a, &b).unwrap();
        prop_assert_eq!(sum.count, a.count + b.count);
        prop_assert_eq!(in_buckets(&sum), in_buckets(&a) + in_buckets(&b));
        prop_assert_eq!(sum.schema, a.schema.min(b.schema));
        prop_assert!(sum.custom_values.iter().all(|v| a.custom_values.contains(v) && b.custom_values.contains(v)));
    }

    /// Whatever the widths of zero buckets and the schemas, no observation is lost or counted twice, in either order.
    #[test]
    fn zero_buckets_take_in_what_they_cover(a in with_zero_bucket(), b in with_zero_bucket()) {
        for (a, b) in [(&a, &b), (&b, &a)] {
            let (sum, _) = add(a, b).unwrap();
            prop_assert_eq!(in_buckets(&sum), a.count + b.count);
            prop_assert!(sum.zero_threshold >= a.zero_threshold.max(b.zero_threshold));
            let (back, _) = subtract(&sum, b).unwrap();
            prop_assert_eq!(in_buckets(&back), a.count);
        }
    }

    #[test]
    fn what_was_added_can_be_taken_away((a, b) in any_pair()) {
        let (sum, _) = add(&a, &b).unwrap();
        let (back, _) = subtract(&sum, &b).unwrap();
        // `a` in the schema, the bounds and with the zero bucket of the sum.
        let (empty, _) = subtract(&b, &b).unwrap();
        let (want, _) = add(&a, &empty).unwrap();
        assert_close(&back, &want);
        prop_assert_eq!(back.counter_reset_hint, CounterResetHint::Gauge);
    }

    #[test]
    fn order_does_not_matter((a, b) in any_pair(), c in exponential(-4..9), d in custom()) {
        let c = if is_custom(&a) { d } else { c };
        let plus = |a: &FloatHistogram, b: &FloatHistogram| add(a, b).unwrap().0;
        assert_close(&plus(&a, &b), &plus(&b, &a));
        assert_close(&plus(&plus(&a, &b), &c), &plus(&a, &plus(&b, &c)));
    }

    #[test]
    fn compaction_changes_no_bucket(h in exponential(-4..9)) {
        let compacted = compact(h.clone());
        assert_close(&compacted, &h);
        prop_assert!(compacted.positive_buckets.iter().all(|c| *c != 0.0));
        prop_assert!(compacted.positive_spans.iter().skip(1).all(|s| s.offset > 0));
        prop_assert!(equal(&compact(compacted.clone()), &compacted));
    }

    #[test]
    fn means_lie_between((a, b) in any_pair()) {
        let mut mean = HistogramMean::of(a.clone());
        mean.add(&b).unwrap();
        let mut want = add(&a, &b).unwrap().0;
        divide(&mut want, 2.0);
        assert_close(&compact(mean.into_value()), &want);
    }

    #[test]
    fn growth_is_no_reset_and_its_reverse_is((a, b) in any_pair()) {
        let (sum, _) = add(&a, &b).unwrap();
        prop_assert!(!is_reset(&sum, &a), "{:?}\n{:?}", sum, a);
        prop_assert!(!is_reset(&a, &a));
        prop_assert_eq!(is_reset(&a, &sum), b.count > 0.0 || a.schema > sum.schema);
    }

    #[test]
    fn quantiles_ascend_and_fractions_invert_them(h in exponential(-2..9), qs in proptest::collection::vec(0.0..1.0, 2..6)) {
        // A zero bucket without width has no quantiles between its ends.
        let h = FloatHistogram { zero_count: 0.0, count: h.count - h.zero_count, ..h };
        prop_assume!(h.count > 0.0);
        let mut qs = qs;
        qs.sort_by(f64::total_cmp);
        let values: Vec<f64> = qs.iter().map(|q| quantile(*q, &h).0).collect();
        prop_assert!(values.windows(2).all(|w| w[0] <= w[1] * (1.0 + 1e-9 * w[1].signum())), "{:?} {:?}", qs, values);
        for (q, v) in qs.iter().zip(&values) {
            let share = fraction(f64::NEG_INFINITY, *v, &h).0;
            // At the edge of an empty region every bound gives the same share.
            prop_assert!((share - q).abs() < 1e-6, "{} {} {}", q, v, share);
        }
    }

    #[test]
    fn the_parts_of_a_trim_make_the_whole((h, _) in any_pair(), bound in -30.0..30.0) {
        let (below, above) = (trim(&h, bound, Keep::Below), trim(&h, bound, Keep::Above));
        let parts = in_buckets(&below) + in_buckets(&above);
        // A bucket without an end that holds the bound is in neither.
        let endless = all(&h).filter(|b| b.lower < bound && b.upper > bound && (b.lower.is_infinite() || b.upper.is_infinite()));
        let lost: f64 = endless.map(|b| b.count).sum();
        prop_assert!(parts <= in_buckets(&h) + 1e-9 && parts >= in_buckets(&h) - lost - 1e-9);
        prop_assert!((below.count - in_buckets(&below)).abs() < 1e-9);
    }
}
