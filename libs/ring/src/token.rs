//! Where an instance sits on the ring.
//!
//! Tokens depend on the instance's id alone: a restart, a new address, a new epoch or another's coming and going moves none of them.
//!
//! - An id that ends in a separator and a number, as those of a StatefulSet do (`ingester-zone-a-17`), takes the row of that number from
//!   [`Spread`]: whoever has the numbers 0 to n − 1 owns 1/n each. Equal numbers have equal tokens: in every zone the same part of the
//!   keys belongs to the number 17.
//! - Any other id takes pseudo-random places.

use std::borrow::Cow;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::instance::InstanceId;
use crate::spread::Spread;

/// Tokens of an instance; a power of two.
///
/// The share of an instance with pseudo-random tokens among n varies by about √((n−1)/(n·1024)): with three instances 2.6 %, so that 10 % is four standard
/// deviations away. With numbered instances it matters only when numbers are missing.
pub const TOKENS_PER_INSTANCE: usize = 1024;

/// Tokens of an instance in a shard (the first of all that it has). A shard is made per tenant, so this is what memory and time depend on; the price is that a
/// little more moves when a shard changes.
pub const TOKENS_PER_INSTANCE_OF_SHARD: usize = 128;

/// Numbers from here on have pseudo-random tokens. It bounds the work for the rows below one number; a zone has fewer instances.
pub const MAX_ORDINAL: usize = 1024;

/// The number at the end of an id, after `-`, `_` or `.`, if it is below [`MAX_ORDINAL`].
#[must_use]
pub fn ordinal(id: &InstanceId) -> Option<usize> {
    let digits = id.as_str().rsplit(['-', '_', '.']).next().filter(|last| last.len() < id.as_str().len())?;
    // `parse` takes a sign, which no id has.
    digits.parse().ok().filter(|number| *number < MAX_ORDINAL)
}

/// The instance's tokens, in no order; any first part of them is spread like all of them. `spread` has a row for every ordinal that is asked for.
pub(crate) fn tokens<'a>(id: &InstanceId, spread: &'a Spread) -> Cow<'a, [u64]> {
    match ordinal(id).and_then(|number| spread.row(number)) {
        Some(row) => Cow::Borrowed(row),
        None => Cow::Owned(pseudo_random(id)),
    }
}

/// The ring is cut into as many equal parts as there are tokens, and each part holds one of them at a pseudo-random place: this spreads
/// a little better than places drawn from the whole ring.
fn pseudo_random(id: &InstanceId) -> Vec<u64> {
    const BITS: u32 = TOKENS_PER_INSTANCE.trailing_zeros();
    let part = |part: u64| {
        // Counted with its bits turned round, so that a first part of the tokens is in parts that are equally far apart.
        let turned = part.reverse_bits() >> (64 - BITS);
        (turned << (64 - BITS)) | (xxh3_64_with_seed(id.as_str().as_bytes(), turned) >> BITS)
    };
    (0..TOKENS_PER_INSTANCE as u64).map(part).collect()
}

/// What is the same for instances that stand for each other in different zones: the ordinal, else the id.
pub(crate) fn mirror_key(id: &InstanceId) -> u64 {
    ordinal(id).map_or_else(|| xxh3_64(id.as_str().as_bytes()), |number| mix(number as u64))
}

/// Who comes first of several instances at one token: the lowest. Drawn anew at each token, so that each comes first equally often.
pub(crate) fn tie(token: u64, id_hash: u64) -> u64 {
    mix(token ^ id_hash)
}

/// A permutation of 64 bits in which every bit of the input changes half of the output (the finalizer of SplitMix64).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::{TOKENS_PER_INSTANCE, ordinal, tokens};
    use crate::instance::InstanceId;
    use crate::spread::Spread;

    fn id(name: &str) -> InstanceId {
        InstanceId::new(name).unwrap()
    }

    #[test]
    fn an_ordinal_is_a_number_after_a_separator() {
        let of = |name| ordinal(&id(name));
        assert_eq!((of("ingester-zone-a-17"), of("ingester.3"), of("i_0"), of("ingester-007")), (Some(17), Some(3), Some(0), Some(7)));
        assert_eq!((of("ingester-1023"), of("ingester-1024"), of("i-99999999999999999999999")), (Some(1023), None, None));
        for name in ["17", "ingester17", "ingester-6d4cf56db6-x2x84", "ingester-", "ingester", "-", "a-1b"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn tokens_never_change() {
        let spread = Spread::with_rows(8);
        let sum = |name: &str| {
            let mut all = tokens(&id(name), &spread).into_owned();
            all.sort_unstable();
            assert_eq!(all.len(), TOKENS_PER_INSTANCE);
            assert!(all.is_sorted_by(|a, b| a < b));
            (all[0], all[1023], all.iter().fold(0u64, |sum, t| sum.rotate_left(5) ^ t))
        };
        // A change here moves every series of every cluster.
        const PINNED: [(u64, u64, u64); 3] = [
            (0, 18_428_729_675_200_069_632, 0),
            (2_260_017_212_891_915, 18_444_321_590_564_767_832, 13_871_888_444_304_742_703),
            (14_628_026_981_496_414, 18_439_078_662_273_865_861, 13_779_789_939_037_882_222),
        ];
        assert_eq!([sum("ingester-0"), sum("ingester-zone-b-7"), sum("ingester")], PINNED);
    }
}
