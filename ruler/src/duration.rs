//! Durations as rule files write them, and as messages show them.

use promql::parser;

/// Milliseconds of `5m`, `1h30m`, `0`. Errors are Prometheus's.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    match text {
        "" => Err("empty duration string".to_owned()),
        "0" => Ok(0),
        _ => parser::parse_duration(text).map(|nanos| i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)),
    }
}

/// [`parse`] with an optional sign.
pub(crate) fn parse_signed(text: &str) -> Result<i64, String> {
    match text.strip_prefix('-') {
        Some(rest) => parse(rest).map(|ms| -ms),
        None => parse(text),
    }
}

/// `1h30m`, `90d`, `0s`.
pub(crate) fn show(ms: i64) -> String {
    parser::format_duration(ms)
}

/// As Go's `time.Duration` prints itself: `1h0m0s`, `1.5s`, `250ms`, `0s`.
pub(crate) fn show_go(nanos: i64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let total = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    if total == 0 {
        return "0s".to_owned();
    }
    if total < SECOND {
        let (size, unit) = match total {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{unit}", decimal(total, size));
    }
    let minutes = total / (60 * SECOND);
    let seconds = decimal(total % (60 * SECOND), SECOND);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `n / size` in decimal, without trailing zeros; `size` is a power of ten.
fn decimal(n: u64, size: u64) -> String {
    let digits = size.checked_ilog10().unwrap_or(0) as usize;
    let text = format!("{}.{:0digits$}", n / size, n % size);
    if digits == 0 { (n / size).to_string() } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_signed, show_go};

    #[test]
    fn durations_are_read() {
        assert_eq!((parse("0"), parse("5m"), parse("1h30m"), parse_signed("-2s")), (Ok(0), Ok(300_000), Ok(5_400_000), Ok(-2_000)));
        assert_eq!(parse("5"), Err("not a valid duration string: \"5\"".to_owned()));
        assert_eq!(parse(""), Err("empty duration string".to_owned()));
    }

    #[test]
    fn durations_are_shown_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (250_000_000, "250ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (-90_000_000_000, "-1m30s"),
        ] {
            assert_eq!(show_go(nanos), text);
        }
    }
}
