//! Expressions that people run: those of rule files and dashboards parse, plan and evaluate, on nothing and on series made for them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, LabelsBuilder, MatchOp};
use promql::parser::ast::{Expr, VectorSelector};
use promql::{Engine, MemoryStorage, ParseOptions, Point, PointValue, QueryContext, parse};

/// Collected files, beside the workspace.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");

/// When everything is evaluated, in milliseconds, and the distance of samples.
const NOW: i64 = 7_200_000;
const SCRAPE: i64 = 15_000;

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(SHARED).join(folder)).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

fn rules(value: &serde_yaml_ng::Value, out: &mut BTreeSet<String>) {
    match value {
        serde_yaml_ng::Value::Mapping(fields) => {
            for (key, value) in fields {
                match value.as_str().filter(|_| key.as_str() == Some("expr")) {
                    Some(expression) => _ = out.insert(expression.to_owned()),
                    None => rules(value, out),
                }
            }
        }
        serde_yaml_ng::Value::Sequence(items) => items.iter().for_each(|item| rules(item, out)),
        _ => {}
    }
}

fn expressions() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for path in files("rules", "yaml") {
        rules(&serde_yaml_ng::from_str(&std::fs::read_to_string(&path).expect("readable")).expect("a rule file"), &mut all);
    }
    for path in files("dashboards", "txt") {
        let text = std::fs::read_to_string(&path).expect("readable");
        all.extend(text.lines().filter_map(|line| line.split_once('\t')).map(|(_, expression)| expression.to_owned()));
    }
    all
}

fn selectors<'a>(expr: &'a Expr, out: &mut Vec<&'a VectorSelector>) {
    match expr {
        Expr::Number(_) | Expr::String(_) => {}
        Expr::Vector(v) => out.push(v),
        Expr::Matrix(m) => out.push(&m.selector),
        Expr::Subquery(s) => selectors(&s.expr, out),
        Expr::Call(c) => c.args.iter().for_each(|arg| selectors(arg, out)),
        Expr::Aggregate(a) => {
            selectors(&a.expr, out);
            a.param.iter().for_each(|param| selectors(param, out));
        }
        Expr::Binary(b) => {
            selectors(&b.lhs, out);
            selectors(&b.rhs, out);
        }
        Expr::Unary(u) => selectors(&u.expr, out),
        Expr::Paren(p) => selectors(&p.expr, out),
    }
}

/// A value that a pattern fits, if one of a few does.
fn fitting(selector: &VectorSelector, name: &str) -> Option<String> {
    let matchers: Vec<_> = selector.matchers.iter().filter(|m| &*m.name == name).collect();
    let written = matchers.iter().filter(|m| m.op == MatchOp::Equal).map(|m| m.value.to_string());
    let listed = matchers.iter().filter_map(|m| m.set_matches()).flatten().cloned();
    let guesses = ["a", "1", "xa", "node-exporter", "/var/lib/x", "2xx", "4a", "5xx", "container", ""].map(str::to_owned);
    written.chain(listed).chain(guesses).find(|value| matchers.iter().all(|m| m.matches(value)))
}

/// The labels of a series that a selector finds.
fn series(selector: &VectorSelector) -> Option<Labels> {
    let mut labels = LabelsBuilder::new();
    for matcher in &selector.matchers {
        labels.set(&matcher.name, &fitting(selector, &matcher.name)?);
    }
    if selector.name.as_deref().is_some_and(|name| name.ends_with("_bucket")) {
        labels.set("le", "+Inf");
    }
    Some(labels.build())
}

/// One series per selector, rising.
fn store(expr: &Expr) -> MemoryStorage {
    let mut found = Vec::new();
    selectors(expr, &mut found);
    let sets: BTreeSet<Labels> = found.into_iter().filter_map(series).collect();
    let mut storage = MemoryStorage::new();
    let points: Vec<Point> = (0..=NOW / SCRAPE).map(|i| Point { t: i * SCRAPE, value: PointValue::Float(i as f64) }).collect();
    sets.iter().for_each(|labels| storage.append(labels, &points).expect("ascending"));
    storage
}

#[test]
fn rules_and_dashboards_are_evaluated() {
    let all = expressions();
    if all.is_empty() {
        std::io::stderr().write_all(b"\n*** collected expressions: NOT RUN, ../shared is absent ***\n\n").expect("stderr");
        return;
    }
    let engine = Engine::default();
    let mut with_data = 0;
    for text in &all {
        let expr = parse(text, &ParseOptions::default()).unwrap_or_else(|e| panic!("{text}: {e}"));
        let storage = store(&expr);
        with_data += usize::from(storage.series_count() > 0);
        for storage in [MemoryStorage::new(), storage] {
            let ctx = QueryContext { text: Some(text.as_str().into()), ..QueryContext::new(Arc::new(storage)) };
            engine.instant(&expr, NOW, &ctx).unwrap_or_else(|e| panic!("{text}: {e}"));
            engine.range(&expr, NOW - 600_000, NOW, 60_000, &ctx).unwrap_or_else(|e| panic!("{text} over a range: {e}"));
        }
    }
    assert!(all.len() >= 500, "only {} expressions", all.len());
    assert!(with_data * 10 >= all.len() * 9, "series were made for {with_data} of {} expressions only", all.len());
}
