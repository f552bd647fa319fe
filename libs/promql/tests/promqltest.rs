//! Test scripts against the engine: our own, which all pass, and upstream's conformance suite, whose passes must not get fewer.
//!
//! `promqltest-known.txt` says for each script of the suite how many evaluations pass. The number is exact: fewer is a
//! regression, more is progress that has to be written down, or the next regression would hide behind it.
//! `cargo test -p plimsoll-promql --test promqltest -- --nocapture` lists every failed evaluation with its reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use promql::parser::ast::{AggregateOp, BinaryOp};
use promql::parser::functions::FUNCTIONS;
use promql::script::{ScriptReport, run_script};

/// Upstream's suite, beside the workspace.
const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/promqltest");
/// The scripts of this crate.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts");
/// The ratchet.
const KNOWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/promqltest-known.txt");

/// Runs every script of a folder, in the order of their names.
fn run_folder(folder: &str) -> Vec<ScriptReport> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| {
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|p| p.extension().is_some_and(|e| e == "test")).collect()
        })
        .unwrap_or_default();
    paths.sort();
    paths.iter().map(|path| run_script(&name_of(path), &fs::read_to_string(path).expect("readable script"))).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Every failure, one per line.
fn failures(reports: &[ScriptReport]) -> String {
    let mut out = String::new();
    for report in reports {
        for eval in &report.evals {
            if let Some(failure) = &eval.failure {
                writeln!(out, "{}:{}: {}\n    {failure}", report.name, eval.line, eval.expression).expect("into a String");
            }
        }
        if let Some(error) = &report.error {
            writeln!(out, "{}:{}: the script ends here: {}", report.name, error.line, error.message).expect("into a String");
        }
    }
    out
}

/// Past the test harness, which keeps the output of tests that pass to itself.
fn announce(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).expect("stderr");
}

fn known() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(KNOWN).expect("the list of known passes");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, passed) = line.split_once(' ').unwrap_or_else(|| panic!("{KNOWN}: {line}"));
            (name.to_owned(), passed.trim().parse().unwrap_or_else(|_| panic!("{KNOWN}: {line}")))
        })
        .collect()
}

#[test]
fn our_scripts_pass() {
    let reports = run_folder(OWN);
    assert!(reports.len() >= 15, "only {} scripts in {OWN}", reports.len());
    for report in &reports {
        assert!(!report.evals.is_empty(), "{} evaluates nothing", report.name);
    }
    let failures = failures(&reports);
    assert!(failures.is_empty(), "{failures}");
}

/// A bare clone proves the whole language.
#[test]
fn our_scripts_cover_the_language() {
    let evals: String = fs::read_dir(OWN)
        .expect("our scripts")
        .flat_map(|entry| {
            fs::read_to_string(entry.expect("an entry").path()).expect("readable script").lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|line| line.trim_start().starts_with("eval"))
        .map(|line| line + "\n")
        .collect();
    let words: std::collections::BTreeSet<&str> = evals.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    let functions = FUNCTIONS.iter().map(|f| f.name).filter(|name| !evals.contains(&format!("{name}(")));
    let aggregations = AggregateOp::ALL.iter().map(|op| op.name()).filter(|name| !words.contains(name));
    let operators = BinaryOp::ALL.iter().map(|op| op.symbol()).filter(|symbol| !evals.contains(&format!(" {symbol} ")));
    let modifiers = [
        "bool",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "fill",
        "fill_left",
        "fill_right",
        "offset",
        "anchored",
        "smoothed",
    ];
    let others = ["@ start()", "@ end()", "=~", "!~", "!=\"", "step()", "range()"];
    let missing: Vec<&str> = functions
        .chain(aggregations)
        .chain(operators)
        .chain(modifiers.into_iter().filter(|word| !words.contains(word)))
        .chain(others.into_iter().filter(|text| !evals.contains(text)))
        .collect();
    assert!(missing.is_empty(), "no script of {OWN} evaluates {missing:?}");
}

#[test]
fn conformance_suite() {
    let reports = run_folder(SUITE);
    if reports.is_empty() {
        announce(&format!("\n*** promqltest: NOT RUN, no scripts in {SUITE} ***\n\n"));
        return;
    }
    let mut table = String::from("\n");
    for report in &reports {
        let stopped = report.error.as_ref().map(|e| format!("  (stopped: {e})")).unwrap_or_default();
        writeln!(table, "{:28} {:5} passed {:5} failed{stopped}", report.name, report.passed(), report.failed()).expect("into a String");
    }
    let (passed, failed) = reports.iter().fold((0, 0), |(p, f), r| (p + r.passed(), f + r.failed()));
    announce(&format!("{table}promqltest: {passed} passed, {failed} failed\n"));
    print!("{}", failures(&reports));

    let now: BTreeMap<String, usize> = reports.iter().map(|r| (r.name.clone(), r.passed())).collect();
    let known = known();
    let names: std::collections::BTreeSet<&String> = now.keys().chain(known.keys()).collect();
    let mut changes = String::new();
    for name in names {
        let (before, after) = (known.get(name), now.get(name));
        if before != after {
            let number = |n: Option<&usize>| n.map_or("none".to_owned(), ToString::to_string);
            writeln!(changes, "{name}: {} known, {} pass now", number(before), number(after)).expect("into a String");
        }
    }
    assert!(changes.is_empty(), "passes differ from {KNOWN}: fewer is a regression, more belongs into that file\n{changes}");
}
