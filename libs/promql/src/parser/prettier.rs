//! Syntax tree to text on several lines, as Prometheus's `format_query` writes it.
//!
//! What fits a line stays as [`std::fmt::Display`] prints it; else its parts come on lines of their own, two spaces further in.

use std::fmt::Write as _;

use super::ast::{Aggregate, Binary, Call, Expr, Subquery};
use super::printer::{AggregateHead, BinaryHead, SubqueryTail};

/// The longest line that is not broken, in bytes. Selectors and literals are never broken.
const MAX_LINE: usize = 100;

/// One level.
const INDENT: &str = "  ";

impl Expr {
    /// The expression on as many lines as it takes. Recursion is bounded by the parser's depth limit.
    #[must_use]
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        write(self, 0, &mut out);
        out
    }
}

/// The indentation, then the expression. `level` is 0 where it goes on in a line.
fn write(expr: &Expr, level: usize, out: &mut String) {
    let line = expr.to_string();
    let fits = line.len() <= MAX_LINE;
    match expr {
        // Prometheus forgets the indentation of a subquery that fits.
        Expr::Subquery(_) if fits => out.push_str(&line),
        Expr::Subquery(subquery) => self::subquery(subquery, level, out),
        Expr::Unary(unary) => {
            let mut operand = String::new();
            write(&unary.expr, level, &mut operand);
            indent(level, out);
            out.push(if unary.negate { '-' } else { '+' });
            out.push_str(operand.trim());
        }
        Expr::Aggregate(a) if !fits => aggregate(a, level, out),
        Expr::Binary(b) if !fits => binary(b, level, out),
        Expr::Call(c) if !fits => call(c, level, out),
        Expr::Paren(p) if !fits => {
            indent(level, out);
            out.push_str("(\n");
            write(&p.expr, level + 1, out);
            close(level, out);
        }
        _ => {
            indent(level, out);
            out.push_str(&line);
        }
    }
}

fn aggregate(aggregate: &Aggregate, level: usize, out: &mut String) {
    indent(level, out);
    append(out, format_args!("{}(\n", AggregateHead(aggregate)));
    if let Some(param) = &aggregate.param {
        write(param, level + 1, out);
        out.push_str(",\n");
    }
    write(&aggregate.expr, level + 1, out);
    close(level, out);
}

fn binary(binary: &Binary, level: usize, out: &mut String) {
    write(&binary.lhs, level + 1, out);
    out.push('\n');
    indent(level, out);
    append(out, format_args!("{}\n", BinaryHead(binary)));
    write(&binary.rhs, level + 1, out);
}

fn call(call: &Call, level: usize, out: &mut String) {
    indent(level, out);
    append(out, format_args!("{}(\n", call.function.name));
    for (at, arg) in call.args.iter().enumerate() {
        if at > 0 {
            out.push_str(",\n");
        }
        write(arg, level + 1, out);
    }
    close(level, out);
}

fn subquery(subquery: &Subquery, level: usize, out: &mut String) {
    write(&subquery.expr, level, out);
    append(out, format_args!("{}", SubqueryTail(subquery)));
}

fn close(level: usize, out: &mut String) {
    out.push('\n');
    indent(level, out);
    out.push(')');
}

fn indent(level: usize, out: &mut String) {
    (0..level).for_each(|_| out.push_str(INDENT));
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes all that is written");
}

#[cfg(test)]
mod tests {
    use crate::parser::{ParseOptions, parse};

    fn pretty(text: &str) -> String {
        parse(text, &ParseOptions::all()).expect(text).pretty()
    }

    #[test]
    fn short_expressions_stay_on_a_line() {
        assert_eq!(pretty("sum  by(a)(rate(x[5m]))/ignoring(b)y"), "sum by (a) (rate(x[5m])) / ignoring (b) y");
        let long = format!("{}{{a=\"b\"}}", "x".repeat(120));
        assert_eq!(pretty(&long), long);
    }

    #[test]
    fn long_expressions_are_broken() {
        let name = "n".repeat(60);
        for (text, want) in [
            ("N + bool_ ".replace("bool_", "N"), "  N\n+\n  N".to_owned()),
            ("sum by (a) (N * N)".to_owned(), "sum by (a) (\n    N\n  *\n    N\n)".to_owned()),
            ("topk(3, N > bool on (a) N)".to_owned(), "topk(\n  3,\n    N\n  > bool on (a)\n    N\n)".to_owned()),
            (
                "label_replace(N, \"a\", \"N\", \"b\", \"c\")".to_owned(),
                "label_replace(\n  N,\n  \"a\",\n  \"N\",\n  \"b\",\n  \"c\"\n)".to_owned(),
            ),
            ("-(N + N)".to_owned(), "-(\n    N\n  +\n    N\n)".to_owned()),
            (
                "max_over_time((N + N)[5m:1m] offset 1h)".to_owned(),
                "max_over_time(\n  (\n      N\n    +\n      N\n  )[5m:1m] offset 1h\n)".to_owned(),
            ),
            ("abs(N[5m:1m]) + N".replace("abs", "rate"), "  rate(N[5m:1m])\n+\n  N".to_owned()),
        ] {
            let (text, want) = (text.replace('N', &name), want.replace('N', &name));
            assert_eq!(pretty(&text), want, "{text}");
            assert_eq!(pretty(&want), want, "{text}");
        }
    }
}
