//! Errors that the conformance data does not reach.

use super::{error_of, parse};
use crate::parser::{ParseOptions, parse_bytes, parse_selector};

#[test]
fn positions_are_lines_and_columns() {
    assert_eq!(error_of("a +\n  sum(b c)"), "2:9: parse error: unexpected identifier \"c\" in aggregation");
    assert_eq!(error_of("# ü\nfoo{"), "2:5: parse error: unexpected end of input inside braces");
    assert_eq!(error_of(""), "unknown position: parse error: no expression found in input");
    assert_eq!(error_of(" "), "1:1: parse error: no expression found in input");
}

#[test]
fn features_are_gated() {
    let refused = |text: &str| parse(text, &ParseOptions::default()).map(|e| e.to_string()).map_err(|e| e.message);
    for (text, error) in [
        ("mad_over_time(a[5m])", "function \"mad_over_time\" is not enabled"),
        ("step()", "function \"step\" is not enabled"),
        ("limitk(1, a)", "limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions"),
        ("a anchored", "anchored modifier is experimental and not enabled"),
        ("a[5m] smoothed", "smoothed modifier is experimental and not enabled"),
        ("a + fill(0) b", "binop fill modifiers are experimental and not enabled"),
    ] {
        assert_eq!(refused(text), Err(error.to_owned()), "{text}");
    }
    assert_eq!(refused("a[5m + step()]"), Ok("a[5m + step()]".to_owned()));
    let literals_only = ParseOptions { duration_expressions: false, ..ParseOptions::all() };
    let refused = |text: &str| parse(text, &literals_only).map(|e| e.to_string()).map_err(|e| e.to_string());
    for text in ["a[1m + 1m]", "a[step()]", "a offset (1m)", "a[(1m)]", "a offset max_of(1m, 2m)"] {
        assert!(refused(text).is_err_and(|e| e.ends_with("experimental duration expression is not enabled")), "{text}");
    }
    assert_eq!(refused("a[5m] offset -1m"), Ok("a[5m] offset -1m".to_owned()));
}

#[test]
fn types_are_checked() {
    for (text, error) in [
        ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
        ("\"a\" + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"),
        ("a + b[5m]", "1:5: parse error: binary expression must contain only scalar and instant vector types"),
        ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
        ("label_join(a, \"b\")", "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 2"),
        ("label_join(a, \"b\", \",\", 1)", "1:25: parse error: expected type string in call to function \"label_join\", got scalar"),
        ("time(1)", "1:1: parse error: expected 0 argument(s) in call to \"time\", got 1"),
        ("a and fill(0) b", "1:1: parse error: filling in missing series not allowed for set operators"),
        ("a + fill(0) 1", "1:1: parse error: filling in missing series only allowed between instant vectors"),
        ("sum by (\"\") (a)", "1:9: parse error: invalid label name for grouping: \"\""),
        ("info(a, 1)", "1:1: parse error: expected type instant vector in call to function \"info\", got scalar"),
    ] {
        assert_eq!(error_of(text), error, "{text}");
    }
    assert!(super::parse_all("info(a, {})").is_ok());
}

#[test]
fn modifiers_must_fit() {
    for (text, error) in [
        ("a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        ("a anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"),
        ("a[5m:] anchored", "1:1: parse error: anchored modifier is not supported for subqueries"),
        ("1 smoothed", "1:1: parse error: smoothed modifier not implemented"),
        ("a @ step()", "1:5: parse error: unexpected \"step\" in @, expected timestamp"),
        ("a @ 1e17", "1:1: parse error: timestamp out of bounds for @ modifier: 100000000000000000.000000"),
        ("a @ 1e30", "1:1: parse error: timestamp out of bounds for @ modifier: 1000000000000000019884624838656.000000"),
        ("a offset NaN", "1:10: parse error: duration out of range"),
        ("a[300y]", "1:3: parse error: duration out of range"),
        ("a[0.0001]", "1:3: parse error: duration must be greater than 0"),
        ("a * on(b) group_left % c", "1:22: parse error: unexpected <op:%> in grouping opts, expected \"(\""),
        ("a\u{c}", "1:2: parse error: unexpected character: '\\f'"),
        ("{a=\"b\" or c=\"d\"}", "1:8: parse error: unexpected identifier \"or\" in label matching, expected \",\" or \"}\""),
    ] {
        assert_eq!(error_of(text), error, "{text}");
    }
}

#[test]
fn regular_expressions_are_checked() {
    assert_eq!(error_of("a{b=~\"(\"}"), "1:3: parse error: error parsing regexp: missing closing ): `(`");
    let dear = format!("{{{}}}", vec![r#"a=~"[a-f]{1000}x.y""#; 20].join(","));
    assert_eq!(error_of(&dear), "1:282: parse error: the regular expressions of this query are too large when taken together");
}

#[test]
fn invalid_utf8_is_an_error_of_its_own() {
    let error = parse_bytes(b"a{b=\"\xff\"}", &ParseOptions::default()).map_err(|e| e.to_string());
    assert_eq!(error, Err("1:5: parse error: invalid UTF-8 rune".to_owned()));
    let error = parse_bytes(b"a \xff", &ParseOptions::default()).map_err(|e| e.to_string());
    assert_eq!(error, Err("1:3: parse error: unexpected character: '\u{fffd}'".to_owned()));
    assert!(super::parse_all("\"\u{fffd}\"").is_ok());
}

#[test]
fn selectors_are_read_alone() {
    let select = |text: &str| parse_selector(text, &ParseOptions::default()).map(|m| format!("{m:?}")).map_err(|e| e.to_string());
    assert_eq!(select("up{job=~\"a.*\"}"), Ok("[job=~\"a.*\", __name__=\"up\"]".to_owned()));
    assert_eq!(select("{\"a b\"}"), Ok("[__name__=\"a b\"]".to_owned()));
    assert_eq!(select("{}"), Ok("[]".to_owned()));
    assert_eq!(select("up[5m]"), Err("1:3: parse error: unexpected \"[\"".to_owned()));
    assert_eq!(select("1"), Err("1:1: parse error: unexpected number \"1\"".to_owned()));
}
