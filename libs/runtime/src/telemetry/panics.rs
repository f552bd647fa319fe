//! Panics in the log, in its format: a panic printed as text would be lines that are no JSON.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

/// Logs every panic at level error; where errors are not logged, the hook that was there before still prints it.
pub(super) fn log_them() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match tracing::enabled!(tracing::Level::ERROR) {
        true => log(panic),
        false => before(panic),
    }));
}

fn log(panic: &PanicHookInfo<'_>) {
    let current = std::thread::current();
    let thread = current.name().unwrap_or("unnamed");
    let location = panic.location().map(ToString::to_string);
    let payload = panic.payload();
    let reason = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let reason = reason.unwrap_or("a value that is not text");
    // Captured only if RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(thread, location, backtrace, "panic: {reason}");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_one_line_of_json() {
        super::log_them();
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let panicked = std::panic::catch_unwind(|| panic!("two\nlines: {}", 7));
            assert!(panicked.is_err());
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        for part in [r#""level":"ERROR""#, r#""message":"panic: two\nlines: 7""#, r#""location":"libs/runtime/src/telemetry/panics.rs"#] {
            assert!(written.contains(part), "{part} in {written}");
        }
    }
}
