//! The signatures of all functions.

use super::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// A function's signature. Its implementation lives in [`crate::functions`], found by name when a query is planned.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionDef {
    /// The name.
    pub name: &'static str,
    /// Types of the arguments; the last may be optional or repeat, see `variadic`.
    pub args: &'static [ValueType],
    /// 0: exactly `args`; n > 0: between `args.len() - 1` and `args.len() - 1 + n`; −1: at least `args.len() - 1`. Surplus
    /// arguments have the last type.
    pub variadic: i8,
    /// Type of the result.
    pub returns: ValueType,
    /// Needs `promql-experimental-functions`.
    pub experimental: bool,
}

impl FunctionDef {
    const fn stable(name: &'static str, args: &'static [ValueType], variadic: i8, returns: ValueType) -> Self {
        Self { name, args, variadic, returns, experimental: false }
    }

    const fn experimental(name: &'static str, args: &'static [ValueType], variadic: i8, returns: ValueType) -> Self {
        Self { name, args, variadic, returns, experimental: true }
    }

    /// The type of the argument at a position; surplus arguments have the last type. `None` for a function without arguments.
    #[must_use]
    pub fn arg_type(&self, position: usize) -> Option<ValueType> {
        self.args.get(position).or(self.args.last()).copied()
    }
}

/// The function of that name (case-sensitive), experimental ones included.
#[must_use]
pub fn lookup(name: &str) -> Option<&'static FunctionDef> {
    let position = FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok()?;
    FUNCTIONS.get(position)
}

/// All functions, ordered by name: those of Prometheus 3.14.
pub static FUNCTIONS: &[FunctionDef] = &[
    FunctionDef::stable("abs", &[Vector], 0, Vector),
    FunctionDef::stable("absent", &[Vector], 0, Vector),
    FunctionDef::stable("absent_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("acos", &[Vector], 0, Vector),
    FunctionDef::stable("acosh", &[Vector], 0, Vector),
    FunctionDef::stable("asin", &[Vector], 0, Vector),
    FunctionDef::stable("asinh", &[Vector], 0, Vector),
    FunctionDef::stable("atan", &[Vector], 0, Vector),
    FunctionDef::stable("atanh", &[Vector], 0, Vector),
    FunctionDef::stable("avg_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("ceil", &[Vector], 0, Vector),
    FunctionDef::stable("changes", &[Matrix], 0, Vector),
    FunctionDef::stable("clamp", &[Vector, Scalar, Scalar], 0, Vector),
    FunctionDef::stable("clamp_max", &[Vector, Scalar], 0, Vector),
    FunctionDef::stable("clamp_min", &[Vector, Scalar], 0, Vector),
    FunctionDef::stable("cos", &[Vector], 0, Vector),
    FunctionDef::stable("cosh", &[Vector], 0, Vector),
    FunctionDef::stable("count_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("day_of_month", &[Vector], 1, Vector),
    FunctionDef::stable("day_of_week", &[Vector], 1, Vector),
    FunctionDef::stable("day_of_year", &[Vector], 1, Vector),
    FunctionDef::stable("days_in_month", &[Vector], 1, Vector),
    FunctionDef::stable("deg", &[Vector], 0, Vector),
    FunctionDef::stable("delta", &[Matrix], 0, Vector),
    FunctionDef::stable("deriv", &[Matrix], 0, Vector),
    FunctionDef::experimental("double_exponential_smoothing", &[Matrix, Scalar, Scalar], 0, Vector),
    FunctionDef::experimental("end", &[], 0, Scalar),
    FunctionDef::stable("exp", &[Vector], 0, Vector),
    FunctionDef::stable("first_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("floor", &[Vector], 0, Vector),
    FunctionDef::stable("histogram_avg", &[Vector], 0, Vector),
    FunctionDef::stable("histogram_count", &[Vector], 0, Vector),
    FunctionDef::stable("histogram_fraction", &[Scalar, Scalar, Vector], 0, Vector),
    FunctionDef::stable("histogram_quantile", &[Scalar, Vector], 0, Vector),
    FunctionDef::experimental("histogram_quantiles", &[Vector, String, Scalar, Scalar], 9, Vector),
    FunctionDef::stable("histogram_stddev", &[Vector], 0, Vector),
    FunctionDef::stable("histogram_stdvar", &[Vector], 0, Vector),
    FunctionDef::stable("histogram_sum", &[Vector], 0, Vector),
    FunctionDef::stable("hour", &[Vector], 1, Vector),
    FunctionDef::stable("idelta", &[Matrix], 0, Vector),
    FunctionDef::stable("increase", &[Matrix], 0, Vector),
    FunctionDef::experimental("info", &[Vector, Vector], 1, Vector),
    FunctionDef::stable("irate", &[Matrix], 0, Vector),
    FunctionDef::stable("label_join", &[Vector, String, String, String], -1, Vector),
    FunctionDef::stable("label_replace", &[Vector, String, String, String, String], 0, Vector),
    FunctionDef::stable("last_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("ln", &[Vector], 0, Vector),
    FunctionDef::stable("log10", &[Vector], 0, Vector),
    FunctionDef::stable("log2", &[Vector], 0, Vector),
    FunctionDef::experimental("mad_over_time", &[Matrix], 0, Vector),
    FunctionDef::experimental("max_of", &[Scalar, Scalar], 0, Scalar),
    FunctionDef::stable("max_over_time", &[Matrix], 0, Vector),
    FunctionDef::experimental("min_of", &[Scalar, Scalar], 0, Scalar),
    FunctionDef::stable("min_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("minute", &[Vector], 1, Vector),
    FunctionDef::stable("month", &[Vector], 1, Vector),
    FunctionDef::stable("pi", &[], 0, Scalar),
    FunctionDef::stable("predict_linear", &[Matrix, Scalar], 0, Vector),
    FunctionDef::stable("present_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("quantile_over_time", &[Scalar, Matrix], 0, Vector),
    FunctionDef::stable("rad", &[Vector], 0, Vector),
    FunctionDef::experimental("range", &[], 0, Scalar),
    FunctionDef::stable("rate", &[Matrix], 0, Vector),
    FunctionDef::stable("resets", &[Matrix], 0, Vector),
    FunctionDef::stable("round", &[Vector, Scalar], 1, Vector),
    FunctionDef::stable("scalar", &[Vector], 0, Scalar),
    FunctionDef::stable("sgn", &[Vector], 0, Vector),
    FunctionDef::stable("sin", &[Vector], 0, Vector),
    FunctionDef::stable("sinh", &[Vector], 0, Vector),
    FunctionDef::stable("sort", &[Vector], 0, Vector),
    FunctionDef::experimental("sort_by_label", &[Vector, String], -1, Vector),
    FunctionDef::experimental("sort_by_label_desc", &[Vector, String], -1, Vector),
    FunctionDef::stable("sort_desc", &[Vector], 0, Vector),
    FunctionDef::stable("sqrt", &[Vector], 0, Vector),
    FunctionDef::experimental("start", &[], 0, Scalar),
    FunctionDef::experimental("start_timestamp", &[Vector], 0, Vector),
    FunctionDef::stable("stddev_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("stdvar_over_time", &[Matrix], 0, Vector),
    FunctionDef::experimental("step", &[], 0, Scalar),
    FunctionDef::stable("sum_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("tan", &[Vector], 0, Vector),
    FunctionDef::stable("tanh", &[Vector], 0, Vector),
    FunctionDef::stable("time", &[], 0, Scalar),
    FunctionDef::stable("timestamp", &[Vector], 0, Vector),
    FunctionDef::experimental("ts_of_first_over_time", &[Matrix], 0, Vector),
    FunctionDef::experimental("ts_of_last_over_time", &[Matrix], 0, Vector),
    FunctionDef::experimental("ts_of_max_over_time", &[Matrix], 0, Vector),
    FunctionDef::experimental("ts_of_min_over_time", &[Matrix], 0, Vector),
    FunctionDef::stable("vector", &[Scalar], 0, Vector),
    FunctionDef::stable("year", &[Vector], 1, Vector),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_ordered() {
        assert_eq!((FUNCTIONS.len(), FUNCTIONS.iter().filter(|f| f.experimental).count()), (90, 17));
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        assert!(FUNCTIONS.iter().all(|f| lookup(f.name) == Some(f)));
        assert_eq!(lookup("Rate"), None);
    }
}
