//! The signatures of all functions.

use super::ast::ValueType;

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
