//! `plimsoll limits`: whether an overrides file could be used.

use std::io::Write;

use anyhow::Context;
use limits::{Limits, Overrides};

use crate::cli::LimitsCommand;

/// Does what is asked and writes the answer to `out`.
pub fn run(command: &LimitsCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    let LimitsCommand::Check { file } = command;
    let origin = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(origin)?;
    let overrides = Overrides::parse(&text, &Limits::default()).with_context(origin)?;
    writeln!(out, "{}: limits of {} tenants are good", origin(), overrides.len())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{LimitsCommand, run};

    #[test]
    fn a_file_is_good_or_told_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("o.yaml");
        let check = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let mut out = Vec::new();
            run(&LimitsCommand::Check { file: file.clone() }, &mut out)
                .map(|()| String::from_utf8(out).unwrap())
                .map_err(|e| format!("{e:#}"))
        };
        assert!(check("overrides: {a: {max_series: 1}}").unwrap().ends_with("o.yaml: limits of 1 tenants are good\n"));
        let error = check("overrides:\n  a:\n    max_serie: 1\n").unwrap_err();
        assert!(error.contains("o.yaml") && error.contains("max_serie") && error.contains("line 3"), "{error}");
    }
}
