//! Functions of one value.

use super::date;
use crate::eval::{ScalarColumn, is_absent};

/// A function that maps each value of a vector, with up to two scalar arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are PromQL's own")]
pub enum ElementFunction {
    Abs,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Ceil,
    Clamp,
    ClampMax,
    ClampMin,
    Cos,
    Cosh,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Deg,
    Exp,
    Floor,
    Hour,
    Ln,
    Log10,
    Log2,
    Minute,
    Month,
    Rad,
    Round,
    Sgn,
    Sin,
    Sinh,
    Sqrt,
    Tan,
    Tanh,
    /// Of anything but a selector: the time of the step.
    Timestamp,
    Year,
}

impl ElementFunction {
    /// The function of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "abs" => Self::Abs,
            "acos" => Self::Acos,
            "acosh" => Self::Acosh,
            "asin" => Self::Asin,
            "asinh" => Self::Asinh,
            "atan" => Self::Atan,
            "atanh" => Self::Atanh,
            "ceil" => Self::Ceil,
            "clamp" => Self::Clamp,
            "clamp_max" => Self::ClampMax,
            "clamp_min" => Self::ClampMin,
            "cos" => Self::Cos,
            "cosh" => Self::Cosh,
            "day_of_month" => Self::DayOfMonth,
            "day_of_week" => Self::DayOfWeek,
            "day_of_year" => Self::DayOfYear,
            "days_in_month" => Self::DaysInMonth,
            "deg" => Self::Deg,
            "exp" => Self::Exp,
            "floor" => Self::Floor,
            "hour" => Self::Hour,
            "ln" => Self::Ln,
            "log10" => Self::Log10,
            "log2" => Self::Log2,
            "minute" => Self::Minute,
            "month" => Self::Month,
            "rad" => Self::Rad,
            "round" => Self::Round,
            "sgn" => Self::Sgn,
            "sin" => Self::Sin,
            "sinh" => Self::Sinh,
            "sqrt" => Self::Sqrt,
            "tan" => Self::Tan,
            "tanh" => Self::Tanh,
            "timestamp" => Self::Timestamp,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// Whether the function may be called without its vector, and then applies to the time of the step.
    #[must_use]
    pub fn defaults_to_time(self) -> bool {
        matches!(
            self,
            Self::DayOfMonth | Self::DayOfWeek | Self::DayOfYear | Self::DaysInMonth | Self::Hour | Self::Minute | Self::Month | Self::Year
        )
    }

    /// Applies the function to all present values of a column, one per step. [`ElementFunction::Timestamp`] is not a function of values and
    /// leaves them alone. Steps whose value the function removes (`clamp` with crossed bounds) become absent.
    pub fn apply(self, values: &mut [f64], params: &[ScalarColumn]) {
        match self {
            Self::Clamp | Self::ClampMax | Self::ClampMin => self.clamp(values, params),
            Self::Round => round(values, params.first()),
            Self::Timestamp => {}
            // Of a NaN only the sign bit would change, which could make it look absent.
            Self::Abs => map(values, |v| if v.is_nan() { f64::NAN } else { v.abs() }),
            Self::Ceil => map(values, f64::ceil),
            Self::Floor => map(values, f64::floor),
            Self::Sqrt => map(values, f64::sqrt),
            Self::Exp => map(values, f64::exp),
            Self::Ln => map(values, f64::ln),
            Self::Log2 => map(values, f64::log2),
            Self::Log10 => map(values, f64::log10),
            Self::Sgn => map(values, sgn),
            Self::Deg => map(values, |v| v * 180.0 / std::f64::consts::PI),
            Self::Rad => map(values, |v| v * std::f64::consts::PI / 180.0),
            Self::Acos | Self::Acosh | Self::Asin | Self::Asinh | Self::Atan | Self::Atanh => map(values, self.inverse_trigonometric()),
            Self::Cos | Self::Cosh | Self::Sin | Self::Sinh | Self::Tan | Self::Tanh => map(values, self.trigonometric()),
            Self::DayOfMonth => map(values, |v| date::of(v).day),
            Self::DayOfWeek => map(values, date::day_of_week),
            Self::DayOfYear => map(values, date::day_of_year),
            Self::DaysInMonth => map(values, date::days_in_month),
            Self::Hour => map(values, date::hour),
            Self::Minute => map(values, date::minute),
            Self::Month => map(values, |v| date::of(v).month),
            Self::Year => map(values, |v| date::of(v).year),
        }
    }

    fn trigonometric(self) -> fn(f64) -> f64 {
        match self {
            Self::Cos => f64::cos,
            Self::Cosh => f64::cosh,
            Self::Sin => f64::sin,
            Self::Sinh => f64::sinh,
            Self::Tan => f64::tan,
            _ => f64::tanh,
        }
    }

    fn inverse_trigonometric(self) -> fn(f64) -> f64 {
        match self {
            Self::Acos => f64::acos,
            Self::Acosh => f64::acosh,
            Self::Asin => f64::asin,
            Self::Asinh => f64::asinh,
            Self::Atan => f64::atan,
            _ => f64::atanh,
        }
    }

    fn clamp(self, values: &mut [f64], params: &[ScalarColumn]) {
        let param = |i: usize, step: usize| params.get(i).map_or(f64::NAN, |p| p.at(step));
        for (step, value) in values.iter_mut().enumerate() {
            if is_absent(*value) {
                continue;
            }
            let (min, max) = match self {
                Self::ClampMax => (f64::NEG_INFINITY, param(0, step)),
                Self::ClampMin => (param(0, step), f64::INFINITY),
                _ => (param(0, step), param(1, step)),
            };
            *value = if max < min { crate::eval::ABSENT } else { go_max(min, go_min(max, *value)) };
        }
    }
}

#[inline]
fn map(values: &mut [f64], f: impl Fn(f64) -> f64) {
    for value in values {
        if !is_absent(*value) {
            *value = f(*value);
        }
    }
}

fn sgn(v: f64) -> f64 {
    if v < 0.0 {
        -1.0
    } else if v > 0.0 {
        1.0
    } else {
        v
    }
}

/// Rounds to the nearest multiple, ties up. The inverse is what Prometheus computes with: it gives fewer odd digits.
fn round(values: &mut [f64], to_nearest: Option<&ScalarColumn>) {
    for (step, value) in values.iter_mut().enumerate() {
        if !is_absent(*value) {
            let inverse = 1.0 / to_nearest.map_or(1.0, |p| p.at(step));
            *value = (*value * inverse + 0.5).floor() / inverse;
        }
    }
}

/// Go's `math.Max`: an infinity wins over NaN, NaN over all else.
#[inline]
#[must_use]
pub fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// Go's `math.Min`.
#[inline]
#[must_use]
pub fn go_min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}
