//! The identity of a series and its place on the ring.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::tenant::TenantId;

/// The identity of a series within its tenant: XXH3-128 (seed 0) of its canonical label block.
///
/// 128 bits, so that a store of 10⁹ series has a collision with a probability of about 10⁻²¹ and no reader has to compare
/// label bytes on the hot path. XXH3 is not cryptographic: a hostile tenant could construct two label sets that collide,
/// and would confuse only its own two series, because heads and indexes are per tenant.
///
/// The order of `SeriesHash` is the order in which ingesters stream series to queriers, so that replicas merge by a
/// k-way comparison of integers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesHash(pub u128);

impl SeriesHash {
    /// Hashes a canonical label block (see [`crate::labels`]). For bytes that are not canonical the result identifies nothing.
    #[inline]
    #[must_use]
    pub fn of(block: &[u8]) -> Self {
        Self(xxh3_128(block))
    }

    /// The place of this series on the ring. The tenant takes part, so that the same series of many tenants (`up{job="x"}`)
    /// spread over all ingesters.
    #[inline]
    #[must_use]
    pub fn token(self, tenant: TenantSeed) -> u64 {
        (self.0 as u64) ^ tenant.0
    }
}

impl fmt::Debug for SeriesHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeriesHash({:032x})", self.0)
    }
}

/// A tenant's share in the ring token of its series; computed once per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantSeed(u64);

impl TenantSeed {
    /// XXH3-64 of the tenant's name.
    #[must_use]
    pub fn of(tenant: &TenantId) -> Self {
        Self(xxh3_64(tenant.as_str().as_bytes()))
    }
}
