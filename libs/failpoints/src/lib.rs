//! Named places at which a process can be made to fail, to wait, or to be killed: for tests that a crash at the worst moment loses nothing.
//!
//! They are in every build, so that what is tested is what runs. As long as none is armed, passing one is one relaxed load. They are armed once, at the start of the process,
//! with what `PLIMSOLL_FAILPOINTS` says (`docs/operations/failpoints.md`): [`arm`]. [`point`] (which there are), [`plan`] (what is to happen at them; pure).
//!
//! This is the one global of the house: handed in, it would be an argument of everything.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mod plan;
mod point;

pub use plan::{ParseError, Plan};
pub use point::Failpoint;

use plan::Action;

static ARMED: AtomicBool = AtomicBool::new(false);
static PLAN: OnceLock<Plan> = OnceLock::new();

/// The failure of an armed failpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failpoint {}", .0.as_str())]
pub struct Injected(pub Failpoint);

impl From<Injected> for std::io::Error {
    fn from(injected: Injected) -> Self {
        Self::other(injected)
    }
}

/// What the caller of [`check`] has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Fail.
    Error(Injected),
    /// Wait, and go on.
    Delay(Duration),
}

/// Arms failpoints for the rest of the process's life; the second call and later ones change nothing. Nothing is armed by an empty text.
pub fn arm(text: &str) -> Result<(), ParseError> {
    let plan: Plan = text.parse()?;
    if !plan.is_empty() {
        tracing::warn!(failpoints = text, "failpoints are armed: this process fails on purpose, and is not for production");
        ARMED.store(PLAN.set(plan).is_ok() || ARMED.load(Ordering::Relaxed), Ordering::Release);
    }
    Ok(())
}

/// Passes a failpoint on a thread that may block.
#[inline]
pub fn hit(point: Failpoint) -> Result<(), Injected> {
    match check(point) {
        None => Ok(()),
        Some(Fault::Error(injected)) => Err(injected),
        Some(Fault::Delay(duration)) => {
            std::thread::sleep(duration);
            Ok(())
        }
    }
}

/// Passes a failpoint, and leaves to the caller what is to happen. Does not return where the process is to be killed.
#[inline]
#[must_use]
pub fn check(point: Failpoint) -> Option<Fault> {
    if ARMED.load(Ordering::Relaxed) { armed(point) } else { None }
}

#[cold]
fn armed(point: Failpoint) -> Option<Fault> {
    let action = PLAN.get()?.next(point);
    if action != Action::Off {
        tracing::warn!(failpoint = point.as_str(), ?action, "failpoint");
    }
    match action {
        Action::Off => None,
        Action::Error => Some(Fault::Error(Injected(point))),
        Action::Delay(duration) => Some(Fault::Delay(duration)),
        Action::Abort => die(),
    }
}

/// Ends the process as SIGKILL does: nothing is written, closed or run any more.
fn die() -> ! {
    // An error would mean that a process may not signal itself, which is not so.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::{Failpoint, Injected, arm, check, hit};

    #[test]
    fn the_page_names_all() {
        let page = include_str!("../../../docs/operations/failpoints.md");
        for point in Failpoint::ALL {
            assert!(page.contains(&format!("`{}`", point.as_str())), "{} is not in docs/operations/failpoints.md", point.as_str());
        }
    }

    /// The only test that arms: it is for the whole process.
    #[test]
    fn what_is_armed_fails_and_nothing_else_does() {
        assert_eq!(hit(Failpoint::WalAppend), Ok(()));
        arm("").unwrap();
        assert!(arm("wal.append").is_err());
        assert_eq!(check(Failpoint::WalAppend), None);
        arm("wal.append=1*error;wal.fsync=delay(1)").unwrap();
        arm("wal.rotate=error").unwrap();
        assert_eq!(hit(Failpoint::WalAppend), Err(Injected(Failpoint::WalAppend)));
        assert_eq!(hit(Failpoint::WalAppend), Ok(()));
        assert_eq!(hit(Failpoint::WalFsync), Ok(()));
        assert_eq!(hit(Failpoint::WalRotate), Ok(()));
        assert_eq!(std::io::Error::from(Injected(Failpoint::ShipMeta)).to_string(), "failpoint ship.meta");
    }
}
