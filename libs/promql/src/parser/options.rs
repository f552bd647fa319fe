//! Feature gates and limits of the parser.

/// What the parser accepts. The default is what a Prometheus 3.14 server accepts without feature flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseOptions {
    /// Experimental functions and aggregations (`promql-experimental-functions`).
    pub experimental_functions: bool,
    /// Arithmetic in ranges, steps and offsets: `[5m + step()]`.
    pub duration_expressions: bool,
    /// `anchored` and `smoothed` (`promql-extended-range-selectors`).
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left`, `fill_right` (`promql-binop-fill-modifiers`).
    pub fill_modifiers: bool,
    /// Longest text in bytes.
    pub max_length: usize,
    /// Deepest tree: every walker of a tree may recurse this far. Chains of operators of one precedence count, one level per operator.
    pub max_depth: usize,
}

/// Long enough for what dashboards and rule generators write; Prometheus has no limit.
pub(crate) const DEFAULT_MAX_LENGTH: usize = 64 << 10;

/// Deep enough for what dashboards and rule generators write; Prometheus has no limit.
pub(crate) const DEFAULT_MAX_DEPTH: usize = 200;

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            duration_expressions: true,
            extended_range_selectors: false,
            fill_modifiers: false,
            max_length: DEFAULT_MAX_LENGTH,
            max_depth: DEFAULT_MAX_DEPTH,
        }
    }
}

impl ParseOptions {
    /// A greater `max_depth` counts as this one: a stack of 2 MiB must hold the hungriest walker.
    pub const DEEPEST: usize = 500;

    /// A greater `max_length` counts as this one: positions have 32 bits.
    pub const LONGEST: usize = 1 << 30;

    /// Every feature on; the limits stay.
    #[must_use]
    pub fn all() -> Self {
        Self { experimental_functions: true, extended_range_selectors: true, fill_modifiers: true, ..Self::default() }
    }
}
