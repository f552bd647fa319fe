//! Whatever comes in: no panic, and what is printed reads the same.

use proptest::prelude::*;

use crate::parser::{ParseOptions, parse, parse_bytes};

/// Pieces that make the parser go somewhere.
const PIECES: &[&str] = &[
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "@",
    " ",
    "\n",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    "<",
    "<=",
    "</",
    ">",
    ">=",
    ">/",
    "=",
    "=~",
    "!~",
    "!",
    "and",
    "or",
    "unless",
    "atan2",
    "sum",
    "topk",
    "count_values",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "anchored",
    "smoothed",
    "fill",
    "fill_left",
    "start",
    "end",
    "step",
    "range",
    "max_of",
    "min_of",
    "()",
    "foo",
    "a:b",
    "rate",
    "info",
    "label_join",
    "time",
    "1",
    "0",
    "5m",
    "1h30m",
    "5m1h",
    "0x1f",
    "1e3",
    ".5",
    "1_0",
    "NaN",
    "Inf",
    "\"x\"",
    "'y'",
    "`z`",
    "\"\\xff\"",
    "\"\\",
    "{a=\"b\"}",
    "[5m]",
    "[1h:1m]",
    "[5m+step()]",
    "# c\n",
    "é",
    "\u{fffd}",
    "foo{a=~\"b.*\"}",
    "-5m",
    "(5m)",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec((prop::sample::select(PIECES), any::<bool>()), 0..24).prop_map(|pieces| {
        let spaced = |(piece, space): (&str, bool)| format!("{piece}{}", if space { " " } else { "" });
        pieces.into_iter().map(spaced).collect()
    })
}

/// Expressions that are accepted more often than not.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "foo",
        "foo{a=\"b\"}",
        "{\"x y\"}",
        "1",
        "-1",
        "5m",
        "Inf",
        "foo offset 5m",
        "foo @ 1.5",
        "foo offset (5m + step())",
        "sum by (a) (b)",
        "foo offset - -5 * 2",
        "rate(foo[5m])",
        "time()",
        "foo offset -(1m)",
        "bar @ start() offset -1m",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(5, 40, 3, |inner| {
        let ops = vec!["+", "-", "*", "/", "^", "%", "and", "or", "== bool", ">", "* on (a) group_left (b)", "atan2", "+ fill (-1)", "</"];
        prop_oneof![
            (inner.clone(), prop::sample::select(ops), inner.clone()).prop_map(|(l, op, r)| format!("{l} {op} {r}")),
            inner.clone().prop_map(|e| format!("({e})")),
            inner.clone().prop_map(|e| format!("-{e}")),
            inner.clone().prop_map(|e| format!("sum({e})")),
            inner.clone().prop_map(|e| format!("topk without (a) (2, {e})")),
            inner.clone().prop_map(|e| format!("({e})[10m:1m] offset 5m")),
            inner.prop_map(|e| format!("abs({e})[range() / 2:]")),
        ]
    })
}

fn fixed_point(text: &str) -> Result<(), TestCaseError> {
    let Ok(expr) = parse(text, &ParseOptions::all()) else { return Ok(()) };
    let printed = expr.to_string();
    match parse(&printed, &ParseOptions::all()) {
        Ok(again) => {
            prop_assert_eq!(again.value_type(), expr.value_type());
            prop_assert_eq!(again.to_string(), printed);
        }
        Err(error) => prop_assert!(false, "{text} is printed as {printed}: {error}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn token_soup_never_panics_and_prints_to_a_fixed_point(text in soup()) {
        fixed_point(&text)?;
    }

    #[test]
    fn expressions_print_to_a_fixed_point(text in expression()) {
        fixed_point(&text)?;
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse_bytes(&bytes, &ParseOptions::default()).map_err(|e| e.to_string());
    }
}
