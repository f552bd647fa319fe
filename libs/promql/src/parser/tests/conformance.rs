//! Prometheus's own cases as data: every input that its parser tests accept or refuse, and every one that its printer prints.

use std::path::PathBuf;

use serde_json::Value;

use crate::parser::{ParseError, ParseOptions, parse_bytes};

/// The cases of a file; `None`, with a loud line, if the data is not on this machine.
fn cases(file: &str) -> Option<Vec<Value>> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/promql-parser")).join(file);
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).expect("the data is JSON")),
        Err(error) => {
            say(&format!("SKIPPED: no PromQL parser cases at {}: {error}", path.display()));
            None
        }
    }
}

#[allow(clippy::print_stderr, reason = "a test reports how much it covered")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// The data is JSON, which cannot hold invalid UTF-8: in inputs about that, each character stands for the byte of its number.
fn input_bytes(input: &str, expected: Option<&str>) -> Vec<u8> {
    if expected == Some("invalid UTF-8 rune") {
        return input.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect();
    }
    // One input was generated and is given by its beginning and its length only.
    if input.ends_with("...(generated, len 55002)") {
        return format!("({}){}", "-{}-1".repeat(10_000), "[1m:]".repeat(1_000)).into_bytes();
    }
    input.as_bytes().to_vec()
}

/// Messages about a number carry Go's verb instead of the number, which is the last word of the input.
fn expected_message(error: &str, input: &str) -> String {
    error.replace("%f", input.rsplit(' ').next().unwrap_or_default())
}

fn describe(error: &ParseError) -> String {
    format!("{}-{} {}", error.span.start, error.span.end, error.message)
}

/// What is wrong with a case.
fn judge(case: &Value) -> Option<String> {
    let input = case["input"].as_str()?;
    let first = &case["errors"][0];
    let message = first["err"].as_str();
    let result = parse_bytes(&input_bytes(input, message), &ParseOptions::all());
    let want = message.map(|message| format!("{}-{} {}", first["start"], first["end"], expected_message(message, input)));
    match (result, case["fail"] == true) {
        (Ok(_), false) => None,
        (Ok(expr), true) => Some(format!("accepted {input:?} as {expr}, want {want:?}")),
        (Err(error), false) => Some(format!("refused {input:?}: {}", describe(&error))),
        (Err(error), true) if want.is_none() || want.as_ref() == Some(&describe(&error)) => None,
        (Err(error), true) => Some(format!("{input:?}\n  got  {}\n  want {}", describe(&error), want.unwrap_or_default())),
    }
}

fn report(what: &str, total: usize, failures: &[String]) {
    for failure in failures {
        say(failure);
    }
    say(&format!("promql-{what} cases: {} passed, {} failed", total - failures.len(), failures.len()));
    assert!(failures.is_empty(), "{} of {total} {what} cases failed", failures.len());
}

#[test]
fn parses_what_prometheus_parses() {
    let Some(cases) = cases("parse_cases.json") else { return };
    assert!(cases.len() >= 356, "the data is cut");
    let failures: Vec<String> = cases.iter().filter_map(judge).collect();
    report("parser", cases.len(), &failures);
}

#[test]
fn prints_what_prometheus_prints() {
    let Some(cases) = cases("printer_cases.json") else { return };
    assert!(cases.len() >= 86, "the data is cut");
    let judge = |case: &Value| {
        let (input, want) = (case["in"].as_str()?, case["out"].as_str()?);
        let got = match parse_bytes(input.as_bytes(), &ParseOptions::all()) {
            Ok(expr) => expr.to_string(),
            Err(error) => error.to_string(),
        };
        (got != want).then(|| format!("{input:?}\n  got  {got}\n  want {want}"))
    };
    let failures: Vec<String> = cases.iter().filter_map(judge).collect();
    report("printer", cases.len(), &failures);
}
