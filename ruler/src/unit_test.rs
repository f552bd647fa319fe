//! Tests of rules, in the file format of `promtool test rules`.
//!
//! ```text
//! test file ─ file ─▶ tests ─ run ─▶ Evaluator over a store in memory, evaluation by evaluation ─ compare ─▶ what is not as expected
//! ```
//!
//! The rules are evaluated by the same code that evaluates them in a running ruler.

mod compare;
mod file;
mod run;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::source::expand_pattern;

/// What came of a test file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestReport {
    /// What may be a slip: patterns that no file matches.
    pub warnings: Vec<String>,
    /// What is not as expected, or why there was no test; none if all is well.
    pub failures: Vec<String>,
}

/// Runs the tests of a file; rule files are found relative to it.
pub async fn run_file(path: &Path) -> TestReport {
    let mut report = TestReport::default();
    if let Err(failures) = run(path, &mut report.warnings).await {
        report.failures = failures;
    }
    report
}

async fn run(path: &Path, warnings: &mut Vec<String>) -> Result<(), Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|e| vec![format!("{}: {e}", path.display())])?;
    let tests = file::read(&text).map_err(|e| vec![e])?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut rule_files: Vec<PathBuf> = Vec::new();
    for pattern in &tests.rule_files {
        let found = expand_pattern(&directory.join(pattern)).map_err(|e| vec![e])?;
        if found.is_empty() {
            warnings.push(format!("no file match pattern {}", directory.join(pattern).display()));
        }
        rule_files.extend(found);
    }
    let mut failures = Vec::new();
    for test in &tests.tests {
        failures.extend(run::run(test, &tests, &rule_files).await);
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}
