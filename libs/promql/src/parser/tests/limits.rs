//! What is too long or too deep is refused, whatever it is made of.

use super::parse_all;
use crate::parser::{ParseOptions, parse, parse_selector};

/// Only the depth limits it.
fn long() -> ParseOptions {
    ParseOptions { max_length: usize::MAX, ..ParseOptions::all() }
}

fn refused_as_deep(text: &str) {
    let error = parse(text, &long()).map(|_| ()).map_err(|e| e.message);
    assert_eq!(error, Err("expression nests deeper than the limit of 200 levels".to_owned()), "{}…", text.get(..30).unwrap_or(text));
}

#[test]
fn deep_nesting_is_refused() {
    refused_as_deep(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)));
    refused_as_deep(&format!("{}a{}", "abs(".repeat(10_000), ")".repeat(10_000)));
    refused_as_deep(&format!("{}a{}", "sum(".repeat(10_000), ")".repeat(10_000)));
    refused_as_deep(&format!("a{}", "[1m:]".repeat(10_000)));
    refused_as_deep(&format!("a[{}1{}]", "(".repeat(10_000), ")".repeat(10_000)));
    refused_as_deep(&format!("a[{}1m", "min_of(".repeat(10_000)));
    refused_as_deep(&format!("a offset {}1", "-".repeat(10_000)));
    refused_as_deep(&format!("{}a", "-".repeat(10_000)));
}

#[test]
fn long_chains_are_refused() {
    refused_as_deep(&format!("1{}", " + 1".repeat(100_000)));
    refused_as_deep(&format!("1{}", " ^ 1".repeat(100_000)));
    refused_as_deep(&format!("a{}", " or a".repeat(100_000)));
    refused_as_deep(&format!("a[1{}]", " + 1".repeat(100_000)));
    refused_as_deep(&format!("a[1{}]", " ^ 1".repeat(100_000)));
}

#[test]
fn depth_is_measured_over_all_that_nests() {
    // 150 levels of chain over 100 levels of parentheses.
    let inner = format!("{}a{}", "(".repeat(100), ")".repeat(100));
    refused_as_deep(&format!("{inner}{}", " + a".repeat(150)));
    assert!(parse_all(&format!("{inner}{}", " + a".repeat(50))).is_ok());
    let generous = ParseOptions { max_depth: usize::MAX, ..long() };
    assert!(parse(&format!("1{}", " + 1".repeat(499)), &generous).is_ok());
    assert!(parse(&format!("1{}", " + 1".repeat(500)), &generous).is_err());
}

#[test]
fn the_deepest_tree_can_be_walked() {
    let deepest = ParseOptions { max_depth: usize::MAX, ..long() };
    for (open, close, times) in [
        ("(", ")", 490),
        ("sum by (a) (", ")", 490),
        ("clamp(", ", 1, 2 ^ 1)", 490),
        ("-abs(", ")", 240),
        ("a ^ (", ")", 240),
        ("last_over_time(", "[1m:1m])", 240),
    ] {
        let text = format!("{}a{}", open.repeat(times), close.repeat(times));
        assert_eq!(parse(&text, &deepest).map(|e| e.clone().to_string()), Ok(text));
    }
}

#[test]
fn long_texts_are_refused() {
    let matchers = format!("{{{}}}", "a=\"b\",".repeat(100_000));
    let spaces = " ".repeat(10 << 20);
    for text in [&matchers, &spaces] {
        let want = format!("expression of {} bytes is longer than the limit of 65536 bytes", text.len());
        assert_eq!(parse_all(text).map_err(|e| e.message), Err(want.clone()));
        assert_eq!(parse_selector(text, &ParseOptions::all()).map_err(|e| e.message), Err(want));
    }
}

#[test]
fn wide_expressions_are_not_deep() {
    assert!(parse(&format!("label_join(a, \"b\", \"c\"{})", ", \"d\"".repeat(10_000)), &long()).is_ok());
    assert!(parse(&format!("{{{}}}", "a=\"b\",".repeat(10_000)), &long()).is_ok());
}
