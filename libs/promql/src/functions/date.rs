//! Civil dates in UTC from seconds since the epoch (the proleptic Gregorian calendar, as Go's `time`).

const SECONDS_PER_DAY: i64 = 86_400;

/// A date; the parts are floats because that is what the functions yield.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Date {
    /// Year.
    pub year: f64,
    /// Month, 1 to 12.
    pub month: f64,
    /// Day of the month, 1 to 31.
    pub day: f64,
}

/// Before this second Go's `time` wraps around by 2^64 seconds.
const GO_BEGINS: i64 = -9_223_372_028_741_760_000;

/// Whole days since the epoch and seconds of the day, as Prometheus computes them on x86-64: NaN and what does not fit into 64 bits become
/// the most negative integer, and that wraps around in Go's calendar to the year 292277026596.
fn split(seconds: f64) -> (i64, i64) {
    let fits = seconds >= i64::MIN as f64 && seconds < -(i64::MIN as f64);
    let whole = if fits { seconds as i64 } else { i64::MIN };
    let wrapped = if whole < GO_BEGINS { i128::from(whole) + (1 << 64) } else { i128::from(whole) };
    let day = i128::from(SECONDS_PER_DAY);
    // At most 2^64 seconds: the number of days fits.
    (wrapped.div_euclid(day) as i64, wrapped.rem_euclid(day) as i64)
}

/// Year, month and day of a day number. The algorithm counts years from March, in eras of 400 years (Howard Hinnant, "chrono-compatible
/// low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// The date of a time.
#[must_use]
pub fn of(seconds: f64) -> Date {
    let (year, month, day) = civil(split(seconds).0);
    Date { year: year as f64, month: month as f64, day: day as f64 }
}

/// Sunday is 0.
#[must_use]
pub fn day_of_week(seconds: f64) -> f64 {
    (split(seconds).0 + 4).rem_euclid(7) as f64
}

/// The first of January is 1.
#[must_use]
pub fn day_of_year(seconds: f64) -> f64 {
    let (year, month, day) = civil(split(seconds).0);
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let full_months: i64 = before.get(month as usize - 1).copied().unwrap_or_default();
    (full_months + i64::from(month > 2 && is_leap(year)) + day) as f64
}

/// 28 to 31.
#[must_use]
pub fn days_in_month(seconds: f64) -> f64 {
    let (year, month, _) = civil(split(seconds).0);
    match month {
        2 if is_leap(year) => 29.0,
        2 => 28.0,
        4 | 6 | 9 | 11 => 30.0,
        _ => 31.0,
    }
}

/// 0 to 23.
#[must_use]
pub fn hour(seconds: f64) -> f64 {
    (split(seconds).1 / 3_600) as f64
}

/// 0 to 59.
#[must_use]
pub fn minute(seconds: f64) -> f64 {
    (split(seconds).1 / 60 % 60) as f64
}

/// RFC 3339 with whole seconds, as annotations print times.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        // 2016-02-29T23:59:59Z, a leap day; 2000-03-01; 1969-12-31; 1900-03-01 (no leap year).
        assert_eq!(of(1_456_790_399.0), Date { year: 2016.0, month: 2.0, day: 29.0 });
        assert_eq!((day_of_year(1_456_790_399.0), day_of_week(1_456_790_399.0)), (60.0, 1.0));
        assert_eq!((hour(1_456_790_399.0), minute(1_456_790_399.0), days_in_month(1_456_790_399.0)), (23.0, 59.0, 29.0));
        assert_eq!(of(951_868_800.0), Date { year: 2000.0, month: 3.0, day: 1.0 });
        assert_eq!(of(-1.0), Date { year: 1969.0, month: 12.0, day: 31.0 });
        assert_eq!((day_of_week(-1.0), day_of_year(-1.0), hour(-1.0)), (3.0, 365.0, 23.0));
        assert_eq!(of(-2_203_891_200.0), Date { year: 1900.0, month: 3.0, day: 1.0 });
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn absurd_times_are_survived() {
        for v in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            assert_eq!(of(v), Date { year: 292_277_026_596.0, month: 12.0, day: 4.0 });
            assert_eq!((day_of_year(v), hour(v), minute(v)), (339.0, 15.0, 30.0));
        }
    }
}
