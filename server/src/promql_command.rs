//! `plimsoll promql`: test scripts and expressions.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use promql::script::MAX_SCRIPT_BYTES;
use promql::{Expr, ParseOptions, ScriptReport, run_script};

use crate::cli::PromqlCommand;

/// Does what is asked and writes the answer to `out`. A reader that closes the other end early (`head`) is no error.
pub fn run(command: &PromqlCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut out = BufWriter::new(out);
    let result = match command {
        PromqlCommand::Test { files } => test(files, &mut out),
        PromqlCommand::Format { expression } => format(expression, &mut out),
        PromqlCommand::Parse { expression } => print_tree(expression, &mut out),
    };
    let result = result.and_then(|()| out.flush().map_err(Into::into));
    match result {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        result => result,
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(|e| e.kind() == ErrorKind::BrokenPipe)
}

fn format(expression: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{}", parse(expression)?.pretty())?;
    Ok(())
}

fn print_tree(expression: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{:#}", parse(expression)?.to_json())?;
    Ok(())
}

fn parse(expression: &str) -> anyhow::Result<Expr> {
    Ok(promql::parse(expression, &ParseOptions::all())?)
}

/// Runs every script, also after one has failed.
fn test(files: &[PathBuf], out: &mut dyn Write) -> anyhow::Result<()> {
    let mut failed = 0;
    for file in files {
        let report = run_script(&file.display().to_string(), &read(file)?);
        failed += usize::from(!report.is_success());
        print_report(&report, out)?;
    }
    out.flush()?;
    if failed > 0 {
        bail!("{failed} of {} scripts failed", files.len());
    }
    Ok(())
}

/// A script's text, if it is not longer than scripts may be.
fn read(file: &Path) -> anyhow::Result<String> {
    let length = std::fs::metadata(file).with_context(|| format!("look at the script {}", file.display()))?.len();
    if length > MAX_SCRIPT_BYTES as u64 {
        bail!("the script {} has {length} bytes, at most {MAX_SCRIPT_BYTES} are allowed", file.display());
    }
    std::fs::read_to_string(file).with_context(|| format!("read the script {}", file.display()))
}

fn print_report(report: &ScriptReport, out: &mut dyn Write) -> anyhow::Result<()> {
    for eval in &report.evals {
        if let Some(failure) = &eval.failure {
            writeln!(out, "{}:{}: {}\n    {}", report.name, eval.line, eval.expression, failure.replace('\n', "\n    "))?;
        }
    }
    if let Some(error) = &report.error {
        writeln!(out, "{}:{}: {}", report.name, error.line, error.message)?;
    }
    writeln!(out, "{}: {} passed, {} failed", report.name, report.passed(), report.failed())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: &PromqlCommand) -> (String, Option<String>) {
        let mut out = Vec::new();
        let error = run(command, &mut out).err().map(|e| e.to_string());
        (String::from_utf8(out).expect("text"), error)
    }

    #[test]
    fn scripts_are_run_and_counted() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("write");
            path
        };
        let data = "load 1m\n  m 1 2 3\n\n";
        let good = file("good.test", &format!("{data}eval instant at 2m m\n  m 3\n\neval instant at 1m m + 1\n  {{}} 3\n"));
        let bad = file("bad.test", &format!("{data}eval instant at 2m m\n  m 4\n\neval instant at 2m sum(m)\n  {{}} 3\n"));
        let torn = file("torn.test", &format!("{data}evil instant at 2m m\n"));

        let (out, error) = text(&PromqlCommand::Test { files: vec![good.clone()] });
        assert_eq!((out, error), (format!("{}: 2 passed, 0 failed\n", good.display()), None));
        let (out, error) = text(&PromqlCommand::Test { files: vec![bad.clone(), torn, good] });
        assert!(out.contains(&format!("{}:4: m\n", bad.display())) && out.contains("bad.test: 1 passed, 1 failed\n"), "{out}");
        assert!(out.contains("torn.test:4: ") && out.contains("good.test: 2 passed, 0 failed\n"), "{out}");
        assert_eq!(error.as_deref(), Some("2 of 3 scripts failed"));
        let (_, error) = text(&PromqlCommand::Test { files: vec![dir.path().join("none.test")] });
        assert!(error.is_some_and(|e| e.contains("none.test")));
    }

    #[test]
    fn expressions_are_printed_or_refused_with_a_position() {
        let format = |expression: &str| text(&PromqlCommand::Format { expression: expression.to_owned() });
        assert_eq!(format("sum  by(a)(  rate(m[5m]))"), ("sum by (a) (rate(m[5m]))\n".to_owned(), None));
        let (tree, _) = text(&PromqlCommand::Parse { expression: "1 + m".to_owned() });
        assert!(tree.contains("\"type\": \"binaryExpr\""), "{tree}");
        let (_, error) = text(&PromqlCommand::Parse { expression: "sum(".to_owned() });
        assert!(error.is_some_and(|e| e.contains("1:5")), "the error names line and column");
    }
}
