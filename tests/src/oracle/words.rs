//! What expressions are made of.

/// Names of counters.
pub const COUNTERS: [&str; 5] =
    ["requests_total", "errors_total", "latency_seconds_bucket", "latency_seconds_count", "latency_seconds_sum"];

/// Names of gauges.
pub const GAUGES: [&str; 7] = ["temperature", "memory_bytes", "ratio", "special", "sparse", "up", "texts"];

/// All names, but those that need quotes.
pub const METRICS: [&str; 17] = [
    "requests_total",
    "errors_total",
    "latency_seconds_bucket",
    "latency_seconds_count",
    "latency_seconds_sum",
    "temperature",
    "memory_bytes",
    "ratio",
    "special",
    "sparse",
    "up",
    "build_info",
    "start_time_seconds",
    "shared_a",
    "shared_b",
    "odd_bucket",
    "texts",
];

/// Patterns of names.
pub const NAME_PATTERNS: [&str; 8] =
    ["shared_.*", "shared_[ab]", "latency_seconds_(sum|count)", "up|ratio", ".*_total", "temp.*|mem.*", "special|sparse", "http\\\\..*"];

/// Labels, most of them of some series.
pub const LABELS: [&str; 11] = ["job", "instance", "code", "method", "room", "kind", "le", "version", "pattern", "missing", "text"];

/// Values, most of them of some label.
pub const VALUES: [&str; 14] = ["api", "db", "web", "i0", "i1", "200", "500", "get", "attic", "nan", "flat", "", "nothing", "0.5"];

/// Patterns of values.
pub const PATTERNS: [&str; 17] = [
    "api|db",
    "a.*",
    ".*",
    ".+",
    "",
    "i[0-2]",
    "i0|",
    "4..|5..",
    "(?i)API",
    "[^2].*",
    "two.lines.*",
    "a.b",
    "a\\\\.b",
    ".*i.*",
    "nothing",
    "post|get",
    "+Inf|1",
];

/// Numbers as they may be written.
pub const NUMBERS: [&str; 22] = [
    "0", "1", "2", "-1", "0.5", "0.9", "1.5", "10", "100", "-3.25", "1e3", "1e-3", "NaN", "Inf", "-Inf", "0x1F", "5m", "1_000", "0.1",
    "4096", "-0", "1e300",
];

/// Ranges and offsets.
pub const DURATIONS: [&str; 14] = ["30s", "1m", "90s", "2m", "5m", "7m30s", "10m", "20m", "45m", "1ms", "31500ms", "1m1s", "300", "1h"];

/// Functions of a window without parameters.
pub const RANGE_FUNCTIONS: [&str; 20] = [
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "changes",
    "resets",
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "ts_of_last_over_time",
];

/// Functions of a value without parameters.
pub const ELEMENT_FUNCTIONS: [&str; 23] = [
    "abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh", "deg", "rad",
];

/// Aggregations without parameters.
pub const AGGREGATIONS: [&str; 11] = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "sum", "avg", "count"];
