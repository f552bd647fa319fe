//! Float samples and the stale marker.

/// The bit pattern of the value that Prometheus writes when a series ends (`value.StaleNaN` in its source). It is one NaN
/// among many: only the bits tell it from an ordinary NaN, so values are moved as bits and never normalised.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker as a float.
#[inline]
#[must_use]
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `v` is the stale marker.
#[inline]
#[must_use]
pub fn is_stale_nan(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// One float sample.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// The value; may be any NaN, among them the stale marker.
    pub v: f64,
}

/// Samples are equal when their bits are: NaN payloads count.
impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.t == other.t && self.v.to_bits() == other.v.to_bits()
    }
}
