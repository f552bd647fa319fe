//! Numbers as Go prints them, for texts and labels that must be Prometheus's.

/// Go's `%g` (shortest digits; exponents below −4 and from 6 on).
#[must_use]
pub fn general(v: f64) -> String {
    if let Some(text) = special(v) {
        return text.into();
    }
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) { format!("{v}") } else { with_exponent(mantissa, exponent) }
}

/// Go's `%.2g`.
#[must_use]
pub fn general2(v: f64) -> String {
    if let Some(text) = special(v) {
        return text.into();
    }
    let text = format!("{v:.1e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    if !(-4..2).contains(&exponent) {
        return with_exponent(mantissa, exponent);
    }
    let rounded: f64 = text.parse().unwrap_or(v);
    format!("{rounded}")
}

/// Go's `strconv.FormatFloat(v, 'f', -1, 64)`: shortest digits, never an exponent.
#[must_use]
pub fn fixed(v: f64) -> String {
    special(v).map_or_else(|| format!("{v}"), Into::into)
}

/// OpenMetrics: like [`general`], but whole numbers keep a `.0`.
#[must_use]
pub fn open_metrics(v: f64) -> String {
    let text = general(v);
    if v.is_finite() && !text.contains(['e', '.']) { format!("{text}.0") } else { text }
}

fn special(v: f64) -> Option<&'static str> {
    if v.is_nan() {
        Some("NaN")
    } else if v == f64::INFINITY {
        Some("+Inf")
    } else if v == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_prints() {
        let cases = [
            (0.0, "0"),
            (1.5, "1.5"),
            (-2.0, "-2"),
            (123_456.5, "123456.5"),
            (1e6, "1e+06"),
            (1_795_437_609.0, "1.795437609e+09"),
            (1e-4, "0.0001"),
            (1.5e-7, "1.5e-07"),
        ];
        for (v, want) in cases {
            assert_eq!(general(v), want);
        }
        assert_eq!(general2(0.333), "0.33");
        assert_eq!((general2(123.0), general2(2.0), general2(0.25e-9)), ("1.2e+02".into(), "2".into(), "2.5e-10".into()));
        assert_eq!((fixed(1e21), fixed(f64::NEG_INFINITY)), ("1000000000000000000000".into(), "-Inf".into()));
        assert_eq!((open_metrics(1.0), open_metrics(0.5), open_metrics(1e21)), ("1.0".into(), "0.5".into(), "1e+21".into()));
    }
}
