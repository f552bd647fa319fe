//! What the outside world gives a process: time, tasks, an orderly end, logs and traces.
//!
//! Everything here is passed in, nothing is global, so that a test can hand in a clock of its own and count on every task
//! having ended. In reading order: [`clock`] (wall and monotonic time, [`clock::Deadline`]), [`shutdown`] (the one signal to stop, and drain
//! deadlines), [`tasks`] (spawning with an owner, a bound and an end), [`cpu`] (the pool for CPU-heavy work), [`telemetry`] (logs, spans,
//! OTLP), [`tls`] (which cryptography HTTP clients use), [`failpoint`] (where a test makes a process fail), [`build_info`] (what this binary is).

pub mod build_info;
pub mod clock;
pub mod cpu;
pub mod failpoint;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
pub mod tls;

pub use clock::{Clock, Deadline, ManualClock, SystemClock};
pub use cpu::CpuPool;
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use tasks::{TaskError, Tasks};
