//! The command.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    loadtest::main()
}
