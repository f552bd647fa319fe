//! Numbers as Prometheus's JSON writes them.

use std::io::Write;

/// Milliseconds as seconds, with three decimals unless they are zero.
pub(crate) fn timestamp(out: &mut Vec<u8>, ms: i64) {
    if ms < 0 {
        out.push(b'-');
    }
    let ms = ms.unsigned_abs();
    out.extend_from_slice(itoa::Buffer::new().format(ms / 1_000).as_bytes());
    let fraction = ms % 1_000;
    if fraction != 0 {
        out.push(b'.');
        out.extend([fraction / 100, fraction / 10 % 10, fraction % 10].map(|d| b'0' + d as u8));
    }
}

/// The shortest decimal that reads back as the same float, in quotes: Go's `strconv.FormatFloat(v, 'f', -1, 64)`, or its `'e'` form
/// below 1e-6 and from 1e21 on.
pub(crate) fn float(out: &mut Vec<u8>, v: f64) {
    out.push(b'"');
    bare_float(out, v);
    out.push(b'"');
}

fn bare_float(out: &mut Vec<u8>, v: f64) {
    /// Integers up to here are exact, and print as such.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if v.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if v.is_infinite() {
        out.extend_from_slice(if v > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if v == v.trunc() && v.abs() < EXACT {
        if v == 0.0 && v.is_sign_negative() {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(v as i64).as_bytes());
    } else if v.abs() < 1e-6 || v.abs() >= 1e21 {
        exponent_form(out, v);
    } else {
        // Rust's own shortest form never uses an exponent. Writing to a Vec cannot fail.
        let _ = write!(out, "{v}");
    }
}

/// `1.5e-07`: Rust writes `1.5e-7`, Go at least two digits of exponent and always its sign.
fn exponent_form(out: &mut Vec<u8>, v: f64) {
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
}

#[cfg(test)]
mod tests {
    use super::{float, timestamp};

    #[test]
    fn floats_as_go_writes_them() {
        for (v, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (1e-6, "0.000001"),
            (123_456_789.123, "123456789.123"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
        ] {
            let mut out = Vec::new();
            float(&mut out, v);
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{want}\""));
        }
    }

    #[test]
    fn timestamps_as_prometheus_writes_them() {
        for (ms, want) in
            [(0, "0"), (1_000, "1"), (1_435_781_451_781, "1435781451.781"), (1_005, "1.005"), (-1_500, "-1.500"), (100, "0.100")]
        {
            let mut out = Vec::new();
            timestamp(&mut out, ms);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
