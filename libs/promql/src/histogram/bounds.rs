//! Where buckets begin and end.

mod table;

/// The finest schema.
const FINEST: i32 = 8;

/// The inclusive upper bound (of the absolute value) of bucket `index` in an exponential schema.
///
/// The last bucket of regular numbers ends at the largest of them rather than at infinity: the bucket after it counts infinities.
pub(super) fn exponential(index: i64, schema: i32) -> f64 {
    if schema < 0 {
        let exponent = index.saturating_mul(1 << schema.unsigned_abs().min(32));
        return if exponent == 1024 { f64::MAX } else { scaled(1.0, exponent) };
    }
    let schema = schema.min(FINEST);
    let place = (index & ((1 << schema) - 1)) << (FINEST - schema);
    let fraction = usize::try_from(place).ok().and_then(|i| table::EIGHTH.get(i)).copied().unwrap_or(0.5);
    let exponent = (index >> schema).saturating_add(1);
    if fraction == 0.5 && exponent == 1025 { f64::MAX } else { scaled(fraction, exponent) }
}

/// The inclusive upper bound of a custom bucket; −Inf before the first, +Inf for the last.
pub(super) fn custom(index: i64, bounds: &[f64]) -> f64 {
    match usize::try_from(index) {
        Ok(index) => bounds.get(index).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// `fraction × 2^exponent`, rounded once.
fn scaled(fraction: f64, exponent: i64) -> f64 {
    // Beyond these everything is zero or infinite; halves of them are exact powers of two.
    let exponent = exponent.clamp(-1_200, 1_200) as i32;
    let half = exponent / 2;
    fraction * f64::powi(2.0, half) * f64::powi(2.0, exponent - half)
}

#[cfg(test)]
mod tests {
    use super::{custom, exponential};

    #[test]
    fn powers_of_two_are_bounds_in_every_schema() {
        for schema in -4..=8 {
            assert_eq!(exponential(0, schema), 1.0);
        }
        assert_eq!((exponential(1, 0), exponential(-2, 0), exponential(2, -2)), (2.0, 0.25, 256.0));
        assert_eq!((exponential(8, 3), exponential(-256, 8)), (2.0, 0.5));
        assert!((exponential(1, 1) - std::f64::consts::SQRT_2).abs() < 1e-15);
    }

    #[test]
    fn neighbours_ascend_and_coarser_bounds_are_finer_ones() {
        for schema in -4..8 {
            for index in -600..600 {
                let (bound, next) = (exponential(index, schema), exponential(index + 1, schema));
                assert!(bound < next || next == 0.0 || bound.is_infinite(), "{schema} {index}");
                assert_eq!(bound, exponential(2 * index, schema + 1));
            }
        }
    }

    #[test]
    fn ends_of_the_number_line() {
        for (schema, last) in [(0, 1024), (3, 8 * 1024), (-4, 64)] {
            assert_eq!((exponential(last, schema), exponential(last + 1, schema)), (f64::MAX, f64::INFINITY));
        }
        assert_eq!((exponential(-1074, 0), exponential(-1076, 0)), (f64::from_bits(1), 0.0));
        assert_eq!((exponential(i64::MAX, -4), exponential(i64::MIN, 8)), (f64::INFINITY, 0.0));
        assert_eq!((custom(-1, &[1.0]), custom(0, &[1.0]), custom(1, &[1.0])), (f64::NEG_INFINITY, 1.0, f64::INFINITY));
    }
}
