//! Times and durations as the API writes them.

/// The earliest and the latest time of an open range; ±292 million years, with room for offsets and ranges to be added.
pub(crate) const MIN_TIME: i64 = i64::MIN / 4;
pub(crate) const MAX_TIME: i64 = i64::MAX / 4;

/// Float seconds or RFC 3339, in milliseconds since the epoch.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    let unusable = || format!("cannot parse \"{text}\" to a valid timestamp");
    if let Some(seconds) = number(text) {
        let ms = (seconds * 1_000.0).round();
        return if ms.abs() <= MAX_TIME as f64 { Ok(ms as i64) } else { Err(unusable()) };
    }
    match text {
        // What Prometheus's own clients send for "the beginning" and "the end" (Go's minimal and maximal times).
        "-292273086-05-16T16:47:06Z" => Ok(MIN_TIME),
        "292277025-08-18T07:12:54.999999999Z" => Ok(MAX_TIME),
        _ => rfc3339(text).ok_or_else(unusable),
    }
}

/// Float seconds or a Prometheus duration (`1h30m`), in milliseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let unusable = || format!("cannot parse \"{text}\" to a valid duration");
    if let Some(seconds) = number(text).or_else(|| not_finite(text)) {
        if seconds.is_nan() {
            // What Go converts it to, about: no duration that anything accepts.
            return Ok(i64::MIN / 1_000_000);
        }
        // Go holds durations in nanoseconds.
        return if (seconds * 1e9).abs() < i64::MAX as f64 {
            Ok((seconds * 1_000.0).round() as i64)
        } else {
            Err(format!("cannot parse \"{text}\" to a valid duration. It overflows int64"))
        };
    }
    prometheus_duration(text).ok_or_else(unusable)
}

/// A finite decimal float as Go's `ParseFloat` reads it: digits may be grouped with `_`.
fn number(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"+-._eE".contains(&b));
    let groups = || text.split('_').collect::<Vec<_>>();
    let is_digit = |b: Option<&u8>| b.is_some_and(u8::is_ascii_digit);
    let grouped =
        || groups().windows(2).all(|pair| matches!(pair, [a, b] if is_digit(a.as_bytes().last()) && is_digit(b.as_bytes().first())));
    if plain && grouped() { text.replace('_', "").parse().ok().filter(|v: &f64| v.is_finite()) } else { None }
}

/// What Go reads as no number or infinity.
fn not_finite(text: &str) -> Option<f64> {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    ["inf", "infinity"].iter().any(|known| bare.eq_ignore_ascii_case(known)).then_some(f64::INFINITY)
}

/// `[Ny][Nw][Nd][Nh][Nm][Ns][Nms]`, each at most once, in this order.
fn prometheus_duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] =
        [("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text;
    let mut total = 0_i64;
    let mut units = UNITS.iter();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let (_, factor) = units.by_ref().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*factor)?)?;
        rest = tail;
    }
    // Beyond this Go's nanoseconds overflow.
    (total <= i64::MAX / 1_000_000).then_some(total)
}

/// `2015-07-01T20:10:51.781Z` and the like, with any number of decimals and any offset.
fn rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
    let clock = rest.get(..8)?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, second) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = rest.get(8..)?;
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let len = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let value: f64 = format!("0.{}", fraction.get(..len).filter(|f| !f.is_empty())?).parse().ok()?;
        millis = (value * 1_000.0).round() as i64;
        rest = fraction.get(len..)?;
    }
    let offset_minutes = match rest {
        "Z" | "z" => 0,
        _ => {
            let sign = if rest.starts_with('+') { 1 } else { rest.starts_with('-').then_some(-1)? };
            let (h, m) = rest.get(1..)?.split_once(':')?;
            sign * (digits(h, 2)? * 60 + digits(m, 2)?)
        }
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_minutes * 60;
    Some(seconds * 1_000 + millis)
}

fn digits(text: &str, len: usize) -> Option<i64> {
    (text.len() == len && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::{parse_duration, parse_time};

    #[test]
    fn times() {
        for (text, want) in [
            ("0", 0),
            ("4", 4_000),
            ("1435781451.781", 1_435_781_451_781),
            ("-1.5", -1_500),
            ("1.5e9", 1_500_000_000_000),
            ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
            ("2015-07-01T22:10:51.781+02:00", 1_435_781_451_781),
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T23:59:59Z", 1_709_251_199_000),
            ("1969-12-31T23:59:59.5Z", -500),
        ] {
            assert_eq!(parse_time(text), Ok(want), "{text}");
        }
        for text in
            ["", "abc", "2015-07-01", "2015-13-01T00:00:00Z", "2023-02-29T00:00:00Z", "1e300", "NaN", "Inf", "2015-07-01T20:10:51", "0x10"]
        {
            assert_eq!(parse_time(text), Err(format!("cannot parse \"{text}\" to a valid timestamp")), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, want) in [
            ("15", 15_000),
            ("0.5", 500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d2ms", 86_400_002),
            ("-1", -1_000),
            ("1_000", 1_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(want), "{text}");
        }
        assert!(parse_duration("NaN").is_ok_and(|ms| ms < 0));
        assert!(parse_duration("-Inf").is_err_and(|e| e.ends_with("It overflows int64")));
        for text in
            ["", "m", "1m1h", "5", "1x", "_1", "1_", "1__0", "1_.5", "99999999999y", "1e40", "300y"].into_iter().filter(|t| *t != "5")
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
