//! Times and durations: their methods and how they print. Always UTC.

mod layout;

use super::functions::Param;
use super::value::Value;
use crate::duration;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The parts of a time.
pub(super) struct Civil {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) nanos: i64,
    /// From Sunday, 0.
    pub(super) weekday: i64,
    /// From 1.
    pub(super) day_of_year: i64,
}

pub(super) const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
pub(super) const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Nanoseconds of a time in seconds, cut to milliseconds as Prometheus does.
pub(super) fn from_seconds(v: f64) -> Result<i64, String> {
    if !v.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    let nanos = v * 1e9;
    if !(-9.223_372_036_854_775e18..=9.223_372_036_854_775e18).contains(&nanos) {
        let shown = promql::functions::number::general(v);
        return Err(format!("{shown} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    Ok(nanos as i64 / 1_000_000 * 1_000_000)
}

pub(super) fn civil(nanos: i64) -> Civil {
    let (days, rest) = (nanos.div_euclid(DAY), nanos.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    let seconds = rest / SECOND;
    Civil {
        year,
        month,
        day,
        hour: seconds / 3_600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        nanos: rest % SECOND,
        weekday: (days + 4).rem_euclid(7),
        day_of_year: days - days_from_civil(year, 1, 1) + 1,
    }
}

/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"; the arguments are those of times in 64 bits of nanoseconds.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * month_index + 2) / 5 + 1)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// `2015-06-23 13:19:44.128 +0000 UTC`
pub(super) fn show(nanos: i64) -> String {
    layout::format(nanos, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// `2015-06-23T13:19:44.128Z`, for JSON.
pub(super) fn rfc3339(ms: i64) -> String {
    layout::format(ms.saturating_mul(1_000_000), "2006-01-02T15:04:05.999999999Z07:00")
}

/// Milliseconds of `2024-01-01T00:00:00Z`, with any offset; fractions of seconds are cut.
pub(super) fn parse_rfc3339(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let separators = [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':')];
    if !text.is_ascii() || separators.iter().any(|(at, c)| text.get(*at..).is_none_or(|rest| !rest.starts_with(*c))) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.chars().next()? {
        'Z' => 0,
        sign @ ('+' | '-') => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if sign == '-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60 && offset.abs() < 1_440;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset * 60;
    in_range.then_some(seconds * 1_000)
}

/// What a method of a value takes, if there is the method.
pub(super) fn method(receiver: &Value, name: &str) -> Option<&'static [Param]> {
    match (receiver, name) {
        (Value::Time(_), "Format") => Some(&[Param::Text]),
        (Value::Time(_), "Add" | "Truncate") => Some(&[Param::Duration]),
        (Value::Time(_), "Sub" | "Before" | "After" | "Equal") => Some(&[Param::Time]),
        (Value::Time(_), "AddDate") => Some(&[Param::Int, Param::Int, Param::Int]),
        (
            Value::Time(_),
            "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "Year" | "Month" | "Day" | "Hour" | "Minute" | "Second" | "Nanosecond"
            | "YearDay" | "Weekday" | "UTC" | "Local" | "String" | "IsZero",
        )
        | (Value::Duration(_), "String" | "Seconds" | "Minutes" | "Hours" | "Milliseconds" | "Microseconds" | "Nanoseconds" | "Abs") => {
            Some(&[])
        }
        (Value::Duration(_), "Truncate") => Some(&[Param::Duration]),
        _ => None,
    }
}

/// Calls a method that [`method`] knows.
pub(super) fn call(receiver: &Value, name: &str, args: &[Value]) -> Result<Value, String> {
    match receiver {
        Value::Time(nanos) => of_time(*nanos, name, args),
        Value::Duration(nanos) => Ok(of_duration(*nanos, name, args)),
        _ => Err("no such method".to_owned()),
    }
}

fn of_time(nanos: i64, name: &str, args: &[Value]) -> Result<Value, String> {
    let parts = civil(nanos);
    let named = |names: &[&str], at: i64| Value::text(usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default());
    Ok(match (name, args) {
        ("Format", [Value::Text(layout)]) => Value::text(&layout::format(nanos, layout)),
        ("Add", [Value::Duration(by)]) => Value::Time(nanos.saturating_add(*by)),
        ("Sub", [Value::Time(other)]) => Value::Duration(nanos.saturating_sub(*other)),
        ("Before", [Value::Time(other)]) => Value::Bool(nanos < *other),
        ("After", [Value::Time(other)]) => Value::Bool(nanos > *other),
        ("Equal", [Value::Time(other)]) => Value::Bool(nanos == *other),
        ("Truncate", [Value::Duration(to)]) => Value::Time(truncate(nanos, *to)),
        ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => Value::Time(add_date(nanos, *years, *months, *days)?),
        ("Unix", _) => Value::Int(nanos.div_euclid(SECOND)),
        ("UnixMilli", _) => Value::Int(nanos.div_euclid(1_000_000)),
        ("UnixMicro", _) => Value::Int(nanos.div_euclid(1_000)),
        ("UnixNano", _) => Value::Int(nanos),
        ("Year", _) => Value::Int(parts.year),
        ("Month", _) => named(&MONTHS, parts.month - 1),
        ("Day", _) => Value::Int(parts.day),
        ("Hour", _) => Value::Int(parts.hour),
        ("Minute", _) => Value::Int(parts.minute),
        ("Second", _) => Value::Int(parts.second),
        ("Nanosecond", _) => Value::Int(parts.nanos),
        ("YearDay", _) => Value::Int(parts.day_of_year),
        ("Weekday", _) => named(&WEEKDAYS, parts.weekday),
        ("String", _) => Value::text(&show(nanos)),
        ("IsZero", _) => Value::Bool(false),
        _ => Value::Time(nanos),
    })
}

fn truncate(nanos: i64, to: i64) -> i64 {
    // Go counts from the year 1, which is a multiple of every unit up to the week's first day, Monday.
    const YEAR_1: i64 = -62_135_596_800;
    if to <= 0 {
        return nanos;
    }
    let since = i128::from(nanos) - i128::from(YEAR_1) * i128::from(SECOND);
    nanos.saturating_sub(i64::try_from(since.rem_euclid(i128::from(to))).unwrap_or(0))
}

fn add_date(nanos: i64, years: i64, months: i64, days: i64) -> Result<i64, String> {
    let parts = civil(nanos);
    let out_of_range = || "the date is out of range".to_owned();
    let small = |n: i64| if n.abs() < 1_000_000 { Ok(n) } else { Err(out_of_range()) };
    let month = parts.month - 1 + small(months)?;
    let days =
        days_from_civil(parts.year + small(years)? + month.div_euclid(12), month.rem_euclid(12) + 1, 1) + parts.day - 1 + small(days)?;
    days.checked_mul(DAY).and_then(|n| n.checked_add(nanos.rem_euclid(DAY))).ok_or_else(out_of_range)
}

fn of_duration(nanos: i64, name: &str, args: &[Value]) -> Value {
    match (name, args) {
        ("String", _) => Value::text(&duration::show_go(nanos)),
        ("Seconds", _) => Value::Float(nanos as f64 / 1e9),
        ("Minutes", _) => Value::Float(nanos as f64 / 6e10),
        ("Hours", _) => Value::Float(nanos as f64 / 3.6e12),
        ("Milliseconds", _) => Value::Int(nanos / 1_000_000),
        ("Microseconds", _) => Value::Int(nanos / 1_000),
        ("Nanoseconds", _) => Value::Int(nanos),
        ("Abs", _) => Value::Duration(nanos.saturating_abs()),
        ("Truncate", [Value::Duration(to @ 1..)]) => Value::Duration(nanos - nanos % to),
        _ => Value::Duration(nanos),
    }
}
