//! Test scripts: data, queries, and what the queries must give, in the language of Prometheus's `promqltest`.
//!
//! ```text
//! load 1m
//!   requests{job="a"} 0+10x10
//!
//! eval instant at 10m rate(requests[5m])
//!   {job="a"} 0.16666666666
//! ```
//!
//! | command | meaning |
//! |---|---|
//! | `clear` | drop all data |
//! | `load STEP`, `load_with_nhcb STEP` | add series, value i at time i × STEP; the second also adds native histograms built from classic ones |
//! | `eval instant at T EXPR`, `eval range from T to T step D EXPR` | run a query and compare |
//!
//! Under an `eval` stand, one per line: `expect fail|warn|info [msg:|regex: TEXT]`, `expect no_warn|no_info|ordered`,
//! `expect string "TEXT"`, `expect range vector from T to T step D`, series with values, or a bare number for a scalar. The older
//! forms `eval_fail`, `eval_warn`, `eval_info` and `eval_ordered` are read too. An empty line, or a comment (`#`), ends a block.
//!
//! Every instant query is run up to twelve times: as it is, and with `@ T` written at its selectors at other times; each of these
//! also as the middle step of a range query. All must give the same. The engine runs as upstream's does for its own scripts:
//! all experimental syntax, names removed at the end of the query, lookback 5 m, subquery step 1 m.
//!
//! A query that does not give what is expected is a failed evaluation; a line that cannot be read ends the script. Scripts are
//! bounded in length ([`MAX_SCRIPT_BYTES`]), in the values that they expand to, and in what a query may use.

mod command;
mod compare;
mod duration;
mod expect;
mod histogram;
mod input;
mod load;
mod nhcb;
mod pattern;
mod pinned;
mod quoted;
mod run;
mod scan;
mod series;
mod start_times;

use std::sync::Arc;

use self::command::{Command, CommandReader};
pub use self::input::SeriesReader;
use self::run::{run_eval, script_engine};
use crate::memory::MemoryStorage;

/// The longest script. The longest of upstream's has 90 KB.
pub const MAX_SCRIPT_BYTES: usize = 4 << 20;

/// The longest reason that is kept for a failed evaluation, in bytes: results can be large.
const MAX_REASON_BYTES: usize = 2000;

/// What came of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptReport {
    /// The name that was given to [`run_script`], for example that of the file.
    pub name: String,
    /// All evaluations that were run, in the order of the script.
    pub evals: Vec<EvalReport>,
    /// Why the script was not run to its end, if it was not.
    pub error: Option<ScriptError>,
}

/// What came of one evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalReport {
    /// The line of `eval` in the script, from 1.
    pub line: usize,
    /// The query.
    pub expression: String,
    /// What is not as expected; `None` if all is.
    pub failure: Option<String>,
}

/// A line that cannot be read or carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// The line in the script, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl ScriptError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl ScriptReport {
    /// The number of evaluations that gave what is expected.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.evals.len() - self.failed()
    }

    /// The number of evaluations that did not.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.evals.iter().filter(|e| e.failure.is_some()).count()
    }

    /// Whether the script ran to its end and nothing failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.error.is_none() && self.failed() == 0
    }
}

/// Runs a script on an empty store. It blocks until the script is done, and touches nothing outside of memory.
#[must_use]
pub fn run_script(name: &str, text: &str) -> ScriptReport {
    let mut report = ScriptReport { name: name.to_owned(), evals: Vec::new(), error: None };
    report.error = run_commands(text, &mut report.evals).err();
    report
}

fn run_commands(text: &str, evals: &mut Vec<EvalReport>) -> Result<(), ScriptError> {
    if text.len() > MAX_SCRIPT_BYTES {
        return Err(ScriptError::new(1, format!("the script has {} bytes, at most {MAX_SCRIPT_BYTES} are allowed", text.len())));
    }
    let engine = script_engine();
    let mut storage = Arc::new(MemoryStorage::new());
    let mut reader = CommandReader::new(text);
    while let Some(command) = reader.command()? {
        match command {
            Command::Clear => storage = Arc::new(MemoryStorage::new()),
            // No query runs meanwhile, so nobody else holds the storage and nothing is copied.
            Command::Load(load) => load::load(&load, Arc::make_mut(&mut storage))?,
            Command::Eval(eval) => {
                let failure = run_eval(&engine, &storage, &eval).err().map(shorten);
                evals.push(EvalReport { line: eval.line, expression: eval.expression, failure });
            }
        }
    }
    Ok(())
}

fn shorten(mut reason: String) -> String {
    if reason.len() > MAX_REASON_BYTES {
        let fits = |at: &usize| *at <= MAX_REASON_BYTES;
        reason.truncate(reason.char_indices().map(|(at, _)| at).take_while(fits).last().unwrap_or_default());
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests;
