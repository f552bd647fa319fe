//! CPU and memory of a process.

use std::ops::Add;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// What processes have used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) rss_bytes: u64,
    pub(crate) peak_rss_bytes: u64,
    /// The part of `rss_bytes` that is mapped files: the program's, and those that the kernel may take back at any time.
    pub(crate) file_rss_bytes: u64,
}

impl Usage {
    /// CPU by the process's CPU clock, which counts nanoseconds: /proc/PID/stat counts hundredths of a second, more than most queries take.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?)).context("find the server's CPU clock")?;
        let time = clock_gettime(clock).context("read the server's CPU clock")?;
        let status = std::fs::read_to_string(proc(pid).join("status")).context("read the server's /proc/PID/status")?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1_024
        };
        Ok(Self {
            cpu_seconds: time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9,
            rss_bytes: bytes("VmRSS:"),
            peak_rss_bytes: bytes("VmHWM:"),
            file_rss_bytes: bytes("RssFile:"),
        })
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            rss_bytes: self.rss_bytes + other.rss_bytes,
            peak_rss_bytes: self.peak_rss_bytes + other.peak_rss_bytes,
            file_rss_bytes: self.file_rss_bytes + other.file_rss_bytes,
        }
    }
}

/// Sets `VmHWM` to `VmRSS`: the 5 of proc(5), clear_refs.
pub(super) fn reset_peak(pid: u32) -> anyhow::Result<()> {
    std::fs::write(proc(pid).join("clear_refs"), "5").context("reset the server's peak of memory")
}

fn proc(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_used_something() {
        let mut x = 1_u64;
        let before = super::Usage::of(std::process::id()).unwrap();
        for i in 0..20_000_000_u64 {
            x = std::hint::black_box(x.wrapping_mul(i | 1));
        }
        let after = super::Usage::of(std::process::id()).unwrap();
        assert!(after.cpu_seconds > before.cpu_seconds && after.rss_bytes > 0 && after.peak_rss_bytes >= after.rss_bytes);
    }
}
