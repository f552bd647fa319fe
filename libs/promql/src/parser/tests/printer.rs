//! Printing beyond the conformance data.

use super::printed;

#[test]
fn prints_normal_forms() {
    for (text, want) in [
        ("{\"foo\",a=\"b\"}", "{__name__=\"foo\",a=\"b\"}"),
        ("foo{z=\"1\",a=\"2\",}", "foo{a=\"2\",z=\"1\"}"),
        ("foo @ -1", "foo @ -1.000"),
        ("foo @ 3.3335", "foo @ 3.334"),
        ("foo offset 0s", "foo"),
        ("foo offset 0s offset 5m", "foo offset 5m"),
        ("a > 5m", "a > 5m"),
        ("-5m", "-5m"),
        ("x > 1h30m15ms", "x > 1h30m15ms"),
        ("0x1F + 1_000 + 017", "31 + 1000 + 15"),
        ("-Inf + +inf + NAN", "-Inf + +Inf + NaN"),
        ("Inf ^ a", "Inf ^ a"),
        ("a[90m]", "a[1h30m]"),
        ("a[4.018]", "a[4s18ms]"),
        ("a[.5]", "a[500ms]"),
        ("SUM BY (Job) (A)", "sum by (Job) (A)"),
        ("sum(a) without (b)", "sum without (b) (a)"),
        ("a{b=~`\\d+`}", "a{b=~\"\\\\d+\"}"),
        ("\"\\xff\"", "\"\\xff\""),
        ("- - a", "--a"),
        ("((a))", "((a))"),
        ("info(a, {})", "info(a, {})"),
        ("a anchored[5m]", "a[5m] anchored"),
        ("a + fill_right(1) fill_left(2) b", "a + fill_left (2) fill_right (1) b"),
        ("anchored + offset", "anchored + offset"),
        ("fill + fill_left", "fill + fill_left"),
        ("a ==bool on()group_right(x)b", "a == bool on () group_right (x) b"),
    ] {
        assert_eq!(printed(text), want, "{text}");
        assert_eq!(printed(want), want, "{want}");
    }
}

#[test]
fn offsets_end_where_prometheus_ends_them() {
    for (text, want) in [
        // A literal, a call or a sign before a parenthesis is the whole offset.
        ("foo offset 5s - 8", "foo offset 5s - 8"),
        ("foo offset -(5) * 2", "foo offset -(5) * 2"),
        ("foo offset step() - 5", "foo offset step() - 5"),
        // After a parenthesis or two signs, arithmetic goes on; it is printed so that it reads the same.
        ("foo offset (5s) - 8", "foo offset (5s) - 8"),
        ("foo offset - -5 + 3", "foo offset (5 + 3)"),
        ("foo offset + -(5) + 3", "foo offset (-(5) + 3)"),
        ("foo offset + -2^2", "foo offset (-2 ^ 2)"),
        ("foo offset ((5))", "foo offset (5)"),
    ] {
        assert_eq!(printed(text), want, "{text}");
        assert_eq!(printed(want), want, "{want}");
    }
    let is_offset = |text: &str| matches!(super::parse_all(text), Ok(super::Expr::Vector(_)));
    assert!(is_offset("foo offset (5s) - 8") && !is_offset("foo offset 5s - 8") && !is_offset("foo offset -(5) * 2"));
}
