//! What is written: mostly numbers that are nobody else's, so that no mix-up goes unseen, and now and then what a float can be besides.

use std::hash::{DefaultHasher, Hash, Hasher};

use model::stale_nan;

/// The bits of a quiet NaN without a payload.
const NAN: u64 = 0x7ff8_0000_0000_0000;
/// Of which values carry this many bits of where they belong.
const PAYLOAD: u64 = (1 << 51) - 1;

/// The value of a series of a tenant at a time.
#[must_use]
pub fn value(tenant: &str, series: usize, t: i64) -> f64 {
    let mark = mark(tenant, series, t);
    match mark % 32 {
        // Which sample it is, is in the payload; never the stale marker, whose quiet bit is off.
        0 | 1 => f64::from_bits(NAN | mark & PAYLOAD),
        2 => stale_nan(),
        3 => -0.0,
        4 => f64::INFINITY,
        5 => f64::NEG_INFINITY,
        // Subnormal.
        6 => f64::from_bits(mark & PAYLOAD),
        7 => f64::MAX,
        _ => (mark & PAYLOAD) as f64 / 128.0,
    }
}

/// The same everywhere and always.
fn mark(tenant: &str, series: usize, t: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (tenant, series, t).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::value;

    #[test]
    fn every_kind_of_float_is_written_and_numbers_are_unlike() {
        let of = |tenant| (0..2_000).map(move |t| value(tenant, 3, t));
        let (a, b): (Vec<f64>, Vec<f64>) = (of("a").collect(), of("b").collect());
        let kinds: [fn(&f64) -> bool; 6] = [
            |v| v.is_nan() && !model::is_stale_nan(*v),
            |v| model::is_stale_nan(*v),
            |v| *v == 0.0 && v.is_sign_negative(),
            |v| v.is_infinite(),
            |v| v.is_subnormal(),
            |v| v.is_normal(),
        ];
        assert!(kinds.iter().all(|kind| a.iter().any(kind)), "every kind");
        let distinct: HashSet<u64> = a.iter().map(|v| v.to_bits()).collect();
        assert!(distinct.len() > 1_600, "{} of 2000", distinct.len());
        assert!(a.iter().zip(&b).filter(|(a, b)| a.to_bits() == b.to_bits()).count() < 50);
    }
}
