//! Durations as Prometheus's configuration files write them: `0`, or `1y2w3d4h5m6s7ms` with units in this order.

use crate::parser;

/// Milliseconds of a duration; never negative.
pub(super) fn parse_duration(text: &str) -> Result<i64, String> {
    match text {
        "" => Err("empty duration".to_owned()),
        "0" => Ok(0),
        // The parser allows as many nanoseconds as an i64 holds.
        _ => parser::parse_duration(text).map(|nanos| (nanos / 1_000_000) as i64),
    }
}

/// Milliseconds of a duration of exactly one unit with an optional sign, or of a signed `0`.
pub(super) fn parse_signed_duration(text: &str) -> Result<i64, String> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    parse_duration(magnitude).map(|ms| sign * ms)
}

#[cfg(test)]
mod tests {
    use super::{parse_duration, parse_signed_duration};

    #[test]
    fn reads_units_in_order() {
        for (text, ms) in
            [("0", 0), ("5m", 300_000), ("1m30s", 90_000), ("10s53ms", 10_053), ("1d", 86_400_000), ("0s", 0), ("90m", 5_400_000)]
        {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
        }
        assert_eq!(parse_signed_duration("-59999ms"), Ok(-59_999));
        assert_eq!(parse_signed_duration("+1m"), Ok(60_000));
        assert_eq!(parse_signed_duration("-0ms"), Ok(0));
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "1", "m", "1.5m", "1s1m", "1m1m", "-1m", "1 m", "5x", "99999999999999999999s", "9223372036854775807y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
