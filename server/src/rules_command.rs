//! `plimsoll rules`: rule files checked and tested without a server.

use std::io::Write;
use std::path::{Path, PathBuf};

use promql::ParseOptions;
use ruler::rule_file;
use ruler::unit_test;

use crate::cli::RulesCommand;

/// The exit codes are promtool's: something is wrong; something is doubtful and `--lint-fatal` makes that an error.
const WRONG: u8 = 1;
const LINT: u8 = 3;

/// Does what is asked and writes what is found to `out`; the exit code.
pub fn run(command: &RulesCommand, out: &mut dyn Write) -> anyhow::Result<u8> {
    match command {
        RulesCommand::Check { files, lint_fatal } => check(files, *lint_fatal, out),
        RulesCommand::Test { files } => test(files, out),
    }
}

/// What a rule file is worth.
enum Verdict {
    Good,
    Doubtful,
    Wrong,
}

fn check(files: &[PathBuf], lint_fatal: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (mut wrong, mut doubtful) = (false, false);
    for file in files {
        match check_file(file, out)? {
            Verdict::Good => {}
            Verdict::Doubtful => doubtful = true,
            Verdict::Wrong => wrong = true,
        }
    }
    Ok(match (wrong, doubtful && lint_fatal) {
        (true, _) => WRONG,
        (false, true) => LINT,
        (false, false) => 0,
    })
}

fn check_file(file: &Path, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    writeln!(out, "Checking {}", file.display())?;
    let text = std::fs::read_to_string(file).map_err(|e| vec![e.to_string()]);
    let groups = match text.and_then(|text| rule_file::parse(&text, &ParseOptions::default())) {
        Ok(groups) => groups,
        Err(errors) => {
            writeln!(out, "  FAILED:")?;
            for error in errors {
                writeln!(out, "{}: {error}", file.display())?;
            }
            writeln!(out)?;
            return Ok(Verdict::Wrong);
        }
    };
    let twice = rule_file::duplicates(&groups);
    if !twice.is_empty() {
        writeln!(out, "  FAILED:\nlint error {} duplicate rule(s) found.", twice.len())?;
        for (name, labels) in twice {
            writeln!(out, "Metric: {name}\nLabel(s):")?;
            for (name, value) in labels {
                writeln!(out, "\t{name}: {value}")?;
            }
        }
        writeln!(out, "Might cause inconsistency while recording expressions\n")?;
        return Ok(Verdict::Doubtful);
    }
    writeln!(out, "  SUCCESS: {} rules found\n", groups.iter().map(|g| g.rules.len()).sum::<usize>())?;
    Ok(Verdict::Good)
}

fn test(files: &[PathBuf], out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut failed = false;
    for file in files {
        writeln!(out, "Unit Testing:  {}", file.display())?;
        // Nothing in a test waits for anything: the store is in memory.
        let report = futures::executor::block_on(unit_test::run_file(file));
        for warning in &report.warnings {
            writeln!(out, "  WARNING: {warning}")?;
        }
        if report.failures.is_empty() {
            writeln!(out, "  SUCCESS\n")?;
            continue;
        }
        failed = true;
        writeln!(out, "  FAILED:")?;
        for failure in &report.failures {
            writeln!(out, "{}\n", failure.trim_end_matches('\n'))?;
        }
    }
    Ok(if failed { WRONG } else { 0 })
}
