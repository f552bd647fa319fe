//! Whether a process panicked or was ended by its own fault.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Lines that are kept as examples.
const EXAMPLES: usize = 5;

/// What Rust prints when something is beyond repair. The first is the hook that a program has before it logs, the others end the process.
const PRINTED: [&str; 4] = ["' panicked at ", "fatal runtime error", "has overflowed its stack", "memory allocation of "];

/// Lines of a log that tell of a panic or an abort; the first few.
#[must_use]
pub fn in_log(log: &str) -> Vec<&str> {
    log.lines().filter(|line| is_panic(line)).take(EXAMPLES).collect()
}

fn is_panic(line: &str) -> bool {
    // Ours, as JSON and as text.
    let logged = line.contains("\"panic: ") || (line.contains("ERROR") && line.contains(" panic: "));
    logged || PRINTED.iter().any(|text| line.contains(text)) || (line.contains("panicked at ") && line.starts_with("thread "))
}

/// What is bad about an end that nobody asked for: a signal that a process gets by its own fault, or the status of a panic in `main`.
#[must_use]
pub fn in_status(status: ExitStatus) -> Option<String> {
    // SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
    let fault = status.signal().is_some_and(|signal| [4, 5, 6, 7, 8, 11, 31].contains(&signal));
    (fault || status.code() == Some(101)).then(|| format!("it ended by itself with {status}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::{in_log, in_status};

    #[test]
    fn panics_and_aborts_are_seen() {
        for line in [
            "thread 'tokio-runtime-worker' panicked at ingester/src/push.rs:10:5:",
            "thread 'main' (77) panicked at ingester/src/push.rs:10:5:",
            "thread '<unnamed>' has overflowed its stack",
            "fatal runtime error: stack overflow, aborting",
            "memory allocation of 1099511627776 bytes failed",
            r#"{"level":"ERROR","fields":{"message":"panic: index out of bounds","thread":"cpu-0"}}"#,
            "2026-01-01T00:00:00Z ERROR runtime::telemetry::panics: panic: index out of bounds thread=\"cpu-0\"",
        ] {
            assert_eq!(in_log(&format!("all well\n{line}\nall well")), [line]);
        }
        let fine = "WARN a push was refused\nINFO nothing to panic about\nERROR cannot write: no space left";
        assert!(in_log(fine).is_empty());
    }

    #[test]
    fn faults_are_told_from_orders() {
        assert!(in_status(ExitStatus::from_raw(6)).is_some_and(|why| why.contains("ABRT")));
        assert!(in_status(ExitStatus::from_raw(11)).is_some());
        assert!(in_status(ExitStatus::from_raw(101 << 8)).is_some(), "a panic in main");
        assert!(in_status(ExitStatus::from_raw(9)).is_none(), "SIGKILL is what tests do");
        assert!(in_status(ExitStatus::from_raw(15)).is_none());
        assert!(in_status(ExitStatus::from_raw(0)).is_none());
        assert!(in_status(ExitStatus::from_raw(1 << 8)).is_none(), "an error that it told");
    }
}
