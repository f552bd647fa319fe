//! Random expressions, most of which can be evaluated.

use proptest::prelude::*;
use proptest::sample::select;

fn matchers() -> impl Strategy<Value = String> {
    select(vec!["", "{a=\"0\"}", "{a=\"1\"}", "{b=\"\"}", "{b=\"1\"}", "{a=~\"0|1\",b!=\"2\"}", "{n=~\"[0-3]\"}", "{le=\"1\"}"])
        .prop_map(str::to_owned)
}

fn name() -> impl Strategy<Value = &'static str> {
    select(vec!["c_total", "c_total", "g", "g", "b_bucket", "h", "mixed"])
}

/// A selector without modifiers.
fn selector() -> impl Strategy<Value = String> {
    let nameless = select(vec!["{__name__!=\"\"}", "{__name__=~\"c_total|g\"}", "{__name__=~\".*\",a=\"1\"}"]).prop_map(str::to_owned);
    prop_oneof![8 => (name(), matchers()).prop_map(|(name, matchers)| format!("{name}{matchers}")), 1 => nameless]
}

fn modifier() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", "", " offset 1m", " offset -30s", " @ end()", " @ start()", " @ 1700007000"])
}

fn range_call() -> impl Strategy<Value = String> {
    let function = select(vec![
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "changes",
        "resets",
        "avg_over_time",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "first_over_time",
        "present_over_time",
        "absent_over_time",
        "ts_of_last_over_time",
        "stddev_over_time",
        "deriv",
        "mad_over_time",
    ]);
    let range = select(vec!["[1m]", "[5m]", "[20s]", "[10m]"]);
    prop_oneof![
        9 => (function, selector(), range, modifier()).prop_map(|(f, s, r, m)| format!("{f}({s}{r}{m})")),
        1 => (selector(), select(vec!["0.5", "2", "NaN"])).prop_map(|(s, q)| format!("quantile_over_time({q}, {s}[3m])")),
    ]
}

fn grouping() -> impl Strategy<Value = &'static str> {
    select(vec!["", " by (a)", " by (a, b)", " by (n)", " by (__name__)", " by (le, a)", " without (n)", " without (a, b)", " by (b)"])
}

fn aggregate(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let function = select(vec![
        "sum(",
        "avg(",
        "count(",
        "min(",
        "max(",
        "group(",
        "stddev(",
        "stdvar(",
        "topk(2, ",
        "bottomk(1, ",
        "quantile(0.3, ",
        "quantile(2, ",
        "limitk(2, ",
        "limit_ratio(0.5, ",
        "count_values(\"v\", ",
    ]);
    (function, inner, grouping())
        .prop_map(|(f, e, by)| format!("{}{by} ({}{e})", f.split('(').next().unwrap_or(f), f.split_once('(').map_or("", |p| p.1)))
}

/// An instant vector or a scalar.
pub(crate) fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        3 => (selector(), modifier()).prop_map(|(s, m)| format!("{s}{m}")),
        4 => range_call(),
        3 => aggregate(range_call()),
        3 => aggregate((selector(), modifier()).prop_map(|(s, m)| format!("{s}{m}"))),
        1 => select(vec!["1", "time()", "vector(2)", "-Inf", "pi()", "timestamp(g)", "day_of_week()"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let matching = select(vec![
            "",
            "on (a) ",
            "on (n) ",
            "ignoring (b) ",
            "on (a, b, n) ",
            "on (n) group_left ",
            "on (n) group_right (b) ",
            "on (a) group_left (b) ",
            "bool on (n) ",
        ]);
        let arithmetic = select(vec!["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<="]);
        let set_matching =
            select(vec!["", "on (a) ", "on (n) ", "on () ", "ignoring (b, n) ", "ignoring (le) ", "on (a, b) ", "on (__name__) "]);
        let function =
            select(vec!["abs", "-", "ceil", "sort", "absent", "sgn", "timestamp", "round", "scalar", "histogram_count", "sort_desc"]);
        prop_oneof![
            3 => (inner.clone(), arithmetic, matching, inner.clone()).prop_map(|(l, op, m, r)| {
                // `bool` is for comparisons only.
                let m = if ["==", "!=", ">", "<="].contains(&op) { m } else { m.trim_start_matches("bool ") };
                format!("({l}) {op} {m}({r})")
            }),
            3 => (inner.clone(), select(vec!["and", "or", "unless"]), set_matching, inner.clone())
                .prop_map(|(l, op, m, r)| format!("({l}) {op} {m}({r})")),
            // The same several times.
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) / (({a}) + ({b}))")),
            1 => inner.clone().prop_map(|e| format!("({e}) > ({e}) or ({e})")),
            2 => (function, inner.clone()).prop_map(|(f, e)| format!("{f}({e})")),
            2 => aggregate(inner.clone()),
            1 => inner.clone().prop_map(|e| format!("histogram_quantile(0.9, {e})")),
            1 => inner.clone().prop_map(|e| format!("label_replace({e}, \"a\", \"$1\", \"n\", \"(.).*\")")),
            1 => (inner.clone(), select(vec!["[2m:15s]", "[5m:1m] offset 30s", "[1m:]"]))
                .prop_map(|(e, range)| format!("max_over_time(({e}){range})")),
            1 => inner.prop_map(|e| format!("clamp({e}, 1, scalar(count({e})))")),
        ]
    })
}
