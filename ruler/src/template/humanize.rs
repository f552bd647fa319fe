//! Numbers for people.

use super::printf::significant;
use super::time;
use super::value::Value;

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// What a value is as a number; texts are read.
pub(super) fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(v) => Ok(*v),
        Value::Int(n) => Ok(*n as f64),
        Value::Duration(nanos) => Ok(*nanos as f64 / 1e9),
        Value::Text(text) => {
            read(text).ok_or_else(|| format!("strconv.ParseFloat: parsing {}: invalid syntax", model::matcher::quote(text)))
        }
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn read(text: &str) -> Option<f64> {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let (sign, bare) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match bare.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => Some(sign * f64::INFINITY),
        "nan" => Some(f64::NAN),
        _ if plain(text) => text.parse().ok(),
        _ => None,
    }
}

/// `1.235M`, `120m`.
pub(super) fn si(mut v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return significant(v);
    }
    let mut unit = "";
    if v.abs() >= 1.0 {
        for prefix in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if v.abs() < 1000.0 {
                break;
            }
            unit = prefix;
            v /= 1000.0;
        }
        return format!("{}{unit}", significant(v));
    }
    let (v, unit) = small(v);
    format!("{}{unit}", significant(v))
}

fn small(mut v: f64) -> (f64, &'static str) {
    let mut unit = "";
    for prefix in SMALL {
        if v.abs() >= 1.0 {
            break;
        }
        unit = prefix;
        v *= 1000.0;
    }
    (v, unit)
}

/// `1.177Mi`.
pub(super) fn binary(mut v: f64) -> String {
    if v.abs() <= 1.0 || !v.is_finite() {
        return significant(v);
    }
    let mut unit = "";
    for prefix in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if v.abs() < 1024.0 {
            break;
        }
        unit = prefix;
        v /= 1024.0;
    }
    format!("{}{unit}", significant(v))
}

/// `1d 2h 3m 4s`, `1.234s`, `100ms`.
pub(super) fn duration(v: f64) -> String {
    if !v.is_finite() {
        return significant(v);
    }
    if v == 0.0 {
        return format!("{}s", significant(v));
    }
    if v.abs() < 1.0 {
        let (v, unit) = small(v);
        return format!("{}{unit}s", significant(v));
    }
    let sign = if v < 0.0 { "-" } else { "" };
    let total = v.abs() as u64;
    let (seconds, minutes, hours, days) = (total % 60, total / 60 % 60, total / 3_600 % 24, total / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", significant(v.abs())),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// `12.35%`.
pub(super) fn percentage(v: f64) -> String {
    format!("{}%", significant(v * 100.0))
}

/// `2015-06-23 13:19:44.128 +0000 UTC`.
pub(super) fn timestamp(v: f64) -> Result<String, String> {
    if !v.is_finite() {
        return Ok(significant(v));
    }
    time::from_seconds(v).map(time::show)
}

/// The first letter of every word in upper case.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric() || c == '_' || c == '\'';
    }
    out
}
