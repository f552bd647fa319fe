//! Numbers and durations: reading and printing.

use model::matcher::quote;

const MILLIS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLIS;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// Units in the order in which a duration must name them, with their nanoseconds.
const UNITS: [(&str, u64); 7] =
    [("y", 365 * DAY), ("w", 7 * DAY), ("d", DAY), ("h", HOUR), ("m", 60 * SECOND), ("s", SECOND), ("ms", MILLIS)];

/// Reads a number as Go does: integers with prefix `0x` or, octal, `0`; else floats; `_` between digits.
pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    let error = |why| Err(format!("error parsing number: strconv.ParseFloat: parsing {}: {why}", quote(text)));
    if !underscores_separate_digits(text) {
        return error("invalid syntax");
    }
    let digits = text.replace('_', "");
    if let Some(integer) = parse_integer(&digits) {
        #[allow(clippy::cast_precision_loss, reason = "PromQL numbers are floats")]
        return Ok(integer as f64);
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_infinite() && !digits.eq_ignore_ascii_case("inf") => error("value out of range"),
        Ok(value) => Ok(value),
        Err(_) => error("invalid syntax"),
    }
}

fn parse_integer(digits: &str) -> Option<i64> {
    let lower = digits.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        // `from_str_radix` would take a sign.
        return hex.bytes().all(|b| b.is_ascii_hexdigit()).then(|| i64::from_str_radix(hex, 16).ok()).flatten();
    }
    let all_digits = lower.bytes().all(|b| b.is_ascii_digit());
    let radix = if lower.starts_with('0') { 8 } else { 10 };
    all_digits.then(|| i64::from_str_radix(&lower, radix).ok()).flatten()
}

/// An underscore stands between two digits, or between the prefix and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let hex = text.get(..2).is_some_and(|p| p.eq_ignore_ascii_case("0x"));
    let body = if hex { text.get(1..).unwrap_or_default() } else { text };
    let is_digit = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_digit() || (hex && (b.is_ascii_hexdigit() || matches!(b, b'x' | b'X'))));
    let bytes = body.as_bytes();
    let separates = |at: usize| is_digit(at.checked_sub(1).and_then(|before| bytes.get(before))) && is_digit(bytes.get(at + 1));
    bytes.iter().enumerate().all(|(at, &b)| b != b'_' || separates(at))
}

/// Reads a duration such as `1h30m`; nanoseconds, at most `i64::MAX`. Errors are Prometheus's.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let out_of_range = || "duration out of range".to_owned();
    let limit = i64::MAX.unsigned_abs();
    let mut rest = text;
    let mut total: u64 = 0;
    // Units may only get smaller.
    let mut units = UNITS.as_slice();
    while !rest.is_empty() {
        let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
        let count: u64 = digits.parse().map_err(|_| invalid())?;
        let (unit, after) = split_while(after, |c| !c.is_ascii_digit());
        rest = after;
        if unit.is_empty() {
            return Err(invalid());
        }
        let Some(&(_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("unknown unit {} in duration {}", quote(unit), quote(text)));
        };
        let Some(at) = units.iter().position(|(name, _)| *name == unit) else { return Err(invalid()) };
        units = units.get(at + 1..).unwrap_or_default();
        total = count.checked_mul(nanos).and_then(|n| n.checked_add(total)).filter(|&n| n <= limit).ok_or_else(out_of_range)?;
    }
    Ok(total)
}

fn split_while(text: &str, test: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !test(c)).unwrap_or(text.len()))
}

/// A duration of milliseconds as Prometheus prints it: `90d`, `1h30m`, `0s`. The sign, if any, comes first.
#[must_use]
pub fn format_duration(millis: i64) -> String {
    let mut rest = millis.unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut out = String::from(if millis < 0 { "-" } else { "" });
    for (unit, nanos) in UNITS {
        let size = nanos / MILLIS;
        // Years and weeks only if nothing remains: 90d reads better than 12w6d.
        if matches!(unit, "y" | "w") && !rest.is_multiple_of(size) {
            continue;
        }
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}

/// A number as Go's `FormatFloat(v, 'f', -1, 64)` prints it.
pub(super) fn format_number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

/// A number as Go's `%v` prints it: with an exponent if it is very small or at least 1e21.
pub(super) fn format_short_number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !size.is_finite() || (1e-4..1e21).contains(&size) {
        return format_number(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_go_numbers() {
        for (text, value) in [
            ("0755", 493.0),
            ("08", 8.0),
            ("0x1F", 31.0),
            ("0x_1f", 31.0),
            ("1_000", 1000.0),
            ("1_0.2_5", 10.25),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("inF", f64::INFINITY),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
        ] {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }
        assert!(parse_number("nan").is_ok_and(f64::is_nan));
        for text in ["1_", "1e", "0x", "0xffffffffffffffffff", "1e999", "1__0", "0xee-3"] {
            assert!(parse_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_go_from_large_to_small() {
        assert_eq!(parse_duration("1h30m"), Ok(90 * 60 * SECOND));
        assert_eq!(parse_duration("4s180ms"), Ok(4180 * MILLIS));
        assert_eq!(parse_duration("292y"), Ok(292 * 365 * DAY));
        assert_eq!(parse_duration("293y"), Err("duration out of range".to_owned()));
        assert_eq!(parse_duration("5m1h"), Err("not a valid duration string: \"5m1h\"".to_owned()));
        assert_eq!(parse_duration("99999999999999999999s"), Err("not a valid duration string: \"99999999999999999999s\"".to_owned()));
        assert_eq!(parse_duration("1hs"), Err("unknown unit \"hs\" in duration \"1hs\"".to_owned()));
    }

    #[test]
    fn prints_like_prometheus() {
        let printed = [0, 1, 1001, 90 * 86_400_000, 365 * 86_400_000, 14 * 86_400_000, -420_000, i64::MIN].map(format_duration);
        assert_eq!(printed, ["0s", "1ms", "1s1ms", "90d", "1y", "2w", "-7m", "-106751991167d7h12m55s808ms"]);
        assert_eq!([1e21, 1e-5, 42.0, -23.5, 1e20].map(format_short_number), ["1e+21", "1e-05", "42", "-23.5", "100000000000000000000"]);
    }
}
