//! Children that cannot outlive their test, and that may not panic.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::checker::panics;

/// A running program. Ended with SIGKILL on drop; its log is printed if the test is failing. The test fails if it has panicked, or ended by its own fault (I7).
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where in the log its lines begin: others of its name may have written before.
    begins: u64,
    /// What was bad about its end, if it had ended when it was to be.
    bad_end: Option<String>,
    may_panic: bool,
}

impl Process {
    /// Starts a program; its output goes to a file in `dir`.
    pub fn start(name: &str, program: &Path, args: &[String], dir: &Path) -> anyhow::Result<Self> {
        Self::start_with_env(name, program, args, &[], dir)
    }

    /// The same with further environment variables.
    pub fn start_with_env(name: &str, program: &Path, args: &[String], env: &[(String, String)], dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let log = dir.join(format!("{name}.log"));
        // Appended to over restarts.
        let out = File::options().create(true).append(true).open(&log)?;
        let begins = out.metadata()?.len();
        let child = Command::new(program)
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log, begins, bad_end: None, may_panic: false })
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How often an armed failpoint has acted, in those of its name before it, too.
    #[must_use]
    pub fn acted(&self, failpoint: &str) -> usize {
        let named = format!("\"failpoint\":\"{failpoint}\"");
        self.log().lines().filter(|line| line.contains(&named)).count()
    }

    /// For a test that makes it panic or abort: this is not held against it.
    pub fn may_panic(&mut self) {
        self.may_panic = true;
    }

    /// Panics in its log so far, and what was bad about its end; nothing if all is well.
    #[must_use]
    pub fn panics(&self) -> Vec<String> {
        let all = std::fs::read(&self.log).unwrap_or_default();
        let own = usize::try_from(self.begins).ok().and_then(|begins| all.get(begins..)).unwrap_or_default();
        let log = String::from_utf8_lossy(own);
        let logged = panics::in_log(&log).into_iter().map(str::to_owned);
        logged.chain(self.bad_end.clone()).collect()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.look_at_end();
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Notes what is bad about its end, if it has ended already.
    fn look_at_end(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            self.bad_end = self.bad_end.take().or_else(|| panics::in_status(status));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a pid")?;
        Ok(kill_process(pid, signal)?)
    }

    /// SIGTERM; the exit status, or an error if it is still there after `wait`.
    pub fn terminate(&mut self, wait: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let started = Instant::now();
        while started.elapsed() < wait {
            if let Some(status) = self.child.try_wait()? {
                self.look_at_end();
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} did not end within {wait:?} of SIGTERM", self.name)
    }

    /// How it has ended; `None` while it runs.
    pub fn status(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.look_at_end();
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let panics = if self.may_panic { Vec::new() } else { self.panics() };
        if std::thread::panicking() || !panics.is_empty() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("--- last lines of {}", self.name);
            for line in tail.into_iter().rev() {
                eprintln!("{line}");
            }
        }
        // A second panic would abort the test, and its message would be lost.
        assert!(panics.is_empty() || std::thread::panicking(), "{} panicked or ended by its own fault: {panics:#?}", self.name);
    }
}

/// Below those that the kernel gives to outgoing connections: one of these may be taken between now and the start of who is to listen there.
const PORTS: std::ops::Range<u32> = 10_000..30_000;

/// A port that is free now, each time another one.
pub fn free_port() -> anyhow::Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    // Tests that run side by side, or one after the other, begin elsewhere.
    let first = std::process::id().wrapping_mul(611);
    for _ in 0..count {
        let offset = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
        let port = u16::try_from(PORTS.start + offset)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of {PORTS:?} is free")
}

/// A program of this workspace: beside this one, or above it, where this is a test.
pub fn workspace_binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built beside {}: run `make test`, or `make build`", own.display()))
}

/// A program on the PATH.
pub fn installed(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|p| p.exists())
        .with_context(|| format!("{name} is not installed: run `make test`, or ci/deps test"))
}

/// Asks until `check` is true.
pub async fn eventually<F, Fut>(what: &str, within: Duration, check: F) -> anyhow::Result<()>
where
    F: Fn() -> Fut,
    Fut: Future<Output = bool>,
{
    let started = Instant::now();
    while started.elapsed() < within {
        if check().await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("not within {within:?}: {what}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::Process;

    /// A shell that says this and then waits.
    fn shell(script: &str, dir: &Path) -> Process {
        Process::start("shell", Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], dir).unwrap()
    }

    /// Waits until it has ended by itself.
    fn end(process: &mut Process) {
        let started = Instant::now();
        while process.is_alive() {
            assert!(started.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn dropping_panics(process: Process) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(process))).is_err()
    }

    #[test]
    fn i7_a_panic_in_the_log_fails_the_test() {
        let dir = tempfile::tempdir().unwrap();
        let says = "echo \"thread 'cpu-0' panicked at head.rs:1:1:\"";
        let mut process = shell(says, dir.path());
        end(&mut process);
        assert_eq!(process.panics().len(), 1);
        assert!(dropping_panics(process));
        let mut meant = shell(says, dir.path());
        end(&mut meant);
        meant.may_panic();
        assert!(!dropping_panics(meant), "a test may want it");
        assert!(!dropping_panics(shell("sleep 100", dir.path())), "lines of others of its name do not count");
    }

    #[test]
    fn i7_an_abort_fails_the_test_and_a_kill_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut aborted = shell("kill -ABRT $$", dir.path());
        end(&mut aborted);
        assert!(dropping_panics(aborted));
        let mut crashed = shell("kill -SEGV $$", dir.path());
        end(&mut crashed);
        crashed.kill().unwrap();
        assert!(dropping_panics(crashed), "also if the test wanted to kill it");
        let mut killed = shell("sleep 100", dir.path());
        killed.kill().unwrap();
        assert!(!dropping_panics(killed));
        let mut refused = shell("exit 1", dir.path());
        end(&mut refused);
        assert!(!dropping_panics(refused), "an error that it told");
    }
}
