//! Trees and spans.

use super::parse_all;
use crate::parser::ast::{AtModifier, BinaryOp, DurationValue, Expr, MatchCardinality, ValueType};

fn tree(text: &str) -> Expr {
    parse_all(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The operands of the outermost operator, as text.
fn operands(text: &str) -> (String, String) {
    match tree(text) {
        Expr::Binary(binary) => (binary.lhs.to_string(), binary.rhs.to_string()),
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn precedence_is_promqls() {
    for (text, left, right) in [
        ("a or b and c", "a", "b and c"),
        ("a and b or c", "a and b", "c"),
        ("a + b * c", "a", "b * c"),
        ("a - b - c", "a - b", "c"),
        ("a ^ b ^ c", "a", "b ^ c"),
        ("-a ^ b * c", "-a ^ b", "c"),
        ("a == b + c", "a", "b + c"),
        ("a unless b and c", "a unless b", "c"),
        ("a * b atan2 c", "a * b", "c"),
        ("a ^ -b ^ c", "a", "-b ^ c"),
        ("a >/ b + c", "a", "b + c"),
    ] {
        assert_eq!(operands(text), (left.to_owned(), right.to_owned()), "{text}");
    }
    assert!(matches!(tree("-1 ^ 2"), Expr::Unary(_)));
    assert!(matches!(tree("-a @ 1 offset 1m"), Expr::Unary(_)));
}

#[test]
fn spans_cover_what_was_written() {
    let text = " sum by (a) ( rate(foo{b=\"c\"}[5m] offset 1m) ) + (1)";
    let span = |expr: &Expr| text.get(expr.span().start as usize..expr.span().end as usize).map(str::to_owned);
    let Expr::Binary(binary) = tree(text) else { panic!("a sum") };
    assert_eq!(span(&binary.rhs).as_deref(), Some("(1)"));
    assert_eq!(span(&binary.lhs).as_deref(), Some("sum by (a) ( rate(foo{b=\"c\"}[5m] offset 1m) )"));
    let Expr::Aggregate(sum) = *binary.lhs else { panic!("an aggregation") };
    assert_eq!(span(&sum.expr).as_deref(), Some("rate(foo{b=\"c\"}[5m] offset 1m)"));
    let Expr::Call(rate) = *sum.expr else { panic!("a call") };
    assert_eq!(rate.args.first().and_then(span).as_deref(), Some("foo{b=\"c\"}[5m] offset 1m"));
    let Some(Expr::Matrix(matrix)) = rate.args.into_iter().next() else { panic!("a range") };
    assert_eq!(span(&Expr::Vector(matrix.selector)).as_deref(), Some("foo{b=\"c\"}"));
}

#[test]
fn modifiers_are_kept() {
    let Expr::Subquery(subquery) = tree("foo[1h:1m] @ 1.5 offset -5m") else { panic!("a subquery") };
    assert_eq!(subquery.at, Some(AtModifier::Timestamp(1500)));
    assert_eq!(subquery.offset, Some(DurationValue::Millis(-300_000)));
    assert_eq!((subquery.range, subquery.step), (DurationValue::Millis(3_600_000), Some(DurationValue::Millis(60_000))));
    let Expr::Vector(selector) = tree("foo{a=\"b\"}") else { panic!("a selector") };
    assert_eq!(selector.name.as_deref(), Some("foo"));
    assert_eq!(selector.matchers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a=\"b\"", "__name__=\"foo\""]);
}

#[test]
fn matching_is_completed() {
    let matching = |text: &str| match tree(text) {
        Expr::Binary(binary) => binary.matching.map(|m| m.card),
        other => panic!("{text} is {other:?}"),
    };
    assert_eq!(matching("a and b"), Some(MatchCardinality::ManyToMany));
    assert_eq!(matching("a + b"), Some(MatchCardinality::OneToOne));
    assert_eq!(matching("a + on(x) group_right b"), Some(MatchCardinality::OneToMany));
    assert_eq!(matching("a + 1"), None);
    assert!(matches!(tree("1 == bool 2"), Expr::Binary(b) if b.return_bool && b.op == BinaryOp::Eql && b.matching.is_none()));
    assert_eq!(tree("vector(1) + 1").value_type(), ValueType::Vector);
    assert_eq!(tree("(1 + 2)").value_type(), ValueType::Scalar);
}
