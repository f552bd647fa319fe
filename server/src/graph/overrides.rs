//! The overrides file: looked at by a timer and at SIGHUP.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use limits::{OverridesFile, Reload};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use super::Parts;

/// Within which all processes are taken to have read a change of the file, if that is longer than some intervals of looking at it: Kubernetes brings a ConfigMap to its nodes within a minute
/// or so of each other.
const SETTLE_MS: u64 = 120_000;

/// Reads the overrides file, if there is one, and follows its changes.
pub(super) fn follow(parts: &Parts, registry: &mut Registry) -> anyhow::Result<()> {
    let path = parts.config.limits_overrides_file.clone();
    let settle = SETTLE_MS.max(parts.config.limits_reload_interval_seconds.saturating_mul(3_000));
    // Without a file nothing changes at all.
    parts.limits.follows_changes_from(parts.clock.now_ms(), i64::try_from(settle).unwrap_or(i64::MAX));
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let (limits, now) = (parts.limits.clone(), parts.clock.now_ms());
    let file = OverridesFile::open(path, limits, now, registry).context("read limits_overrides_file")?;
    tracing::info!(tenants = parts.limits.overrides().len(), "limits of tenants loaded");
    let (file, look) = (Arc::new(Mutex::new(file)), Arc::new(Notify::new()));
    let wake = Arc::clone(&look);
    parts.tasks.spawn("reload of limits", crate::signals::on_reload(parts.last.clone(), move || wake.notify_one()));
    let interval = Duration::from_secs(parts.config.limits_reload_interval_seconds);
    let (clock, tasks, mut shutdown) = (Arc::clone(&parts.clock), parts.tasks.clone(), parts.last.clone());
    parts.tasks.spawn("limits", async move {
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(interval) => {}
                () = look.notified() => {}
            }
            let (file, now) = (Arc::clone(&file), clock.now_ms());
            match tasks.spawn_blocking(move || file.lock().reload(now)).await {
                Ok(Reload::Loaded { tenants }) => tracing::info!(tenants, "limits of tenants changed"),
                Ok(Reload::Failed { problem }) => {
                    tracing::error!(problem, "the overrides file cannot be used; earlier limits stay in force");
                }
                // A panic has been logged by the hook; the next look tries again.
                Ok(Reload::Unchanged) | Err(_) => {}
            }
        }
    });
    Ok(())
}
