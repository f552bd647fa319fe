//! Passing a failpoint in a task.

use failpoints::Fault;
pub use failpoints::{Failpoint, Injected, arm};

/// As [`failpoints::hit`], for those who must not block.
pub async fn hit(point: Failpoint) -> Result<(), Injected> {
    match failpoints::check(point) {
        None => Ok(()),
        Some(Fault::Error(injected)) => Err(injected),
        Some(Fault::Delay(duration)) => {
            tokio::time::sleep(duration).await;
            Ok(())
        }
    }
}
