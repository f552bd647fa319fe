//! Names of blocks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A ULID: 48 bits of milliseconds since the Unix epoch and 80 random bits, written as 26 characters of Crockford's base 32.
/// Ascends with the time at which it was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ulid(u128);

/// The text is no ULID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ULID: 26 characters of Crockford's base 32, the first at most 7")]
pub struct UlidError;

impl Ulid {
    /// A name from a time and a random number, of which the low 80 bits are taken. Times outside of 48 bits are cut to the nearest.
    #[must_use]
    pub fn new(now_ms: i64, random: u128) -> Self {
        let ms = now_ms.clamp(0, (1 << 48) - 1) as u128;
        Self(ms << 80 | random & ((1 << 80) - 1))
    }

    /// Its 128 bits.
    #[must_use]
    pub fn to_bits(self) -> u128 {
        self.0
    }

    /// When it was made, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp_ms(self) -> i64 {
        (self.0 >> 80) as i64
    }
}

impl FromStr for Ulid {
    type Err = UlidError;

    fn from_str(text: &str) -> Result<Self, UlidError> {
        if text.len() != 26 || text.as_bytes().first().is_none_or(|b| *b > b'7') {
            return Err(UlidError);
        }
        text.bytes().try_fold(Self(0), |Self(n), b| {
            let digit = ALPHABET.iter().position(|a| *a == b.to_ascii_uppercase()).ok_or(UlidError)?;
            Ok(Self(n << 5 | digit as u128))
        })
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..26).rev().try_for_each(|i| write!(f, "{}", char::from(ALPHABET[(self.0 >> (5 * i)) as usize % 32])))
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Ulid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ulid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Ulid;

    #[test]
    fn text_and_back() {
        let ulid = Ulid::new(1_469_918_176_385, 0x1234);
        assert_eq!(&ulid.to_string()[..10], "01ARYZ6S41");
        assert_eq!(ulid.to_string().parse(), Ok(ulid));
        assert_eq!(ulid.timestamp_ms(), 1_469_918_176_385);
        for bad in
            ["", "81ARYZ6S410000000000000000", "01ARYZ6S41000000000000000", "01ARYZ6S4100000000000000IL", "../../../../../../etc/pass"]
        {
            assert!(bad.parse::<Ulid>().is_err(), "{bad}");
        }
        assert!(Ulid::new(5, u128::MAX) < Ulid::new(6, 0));
    }
}
