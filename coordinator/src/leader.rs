//! What only the leader does, several times per lease: names the cluster, remembers whom it has met, lets leases run out, forgets the dead.

use std::time::Duration;

use runtime::Shutdown;

use crate::handle::Handle;
use crate::machine::Command;

/// The leader looks ten times per lease, at least each second.
const LONGEST_TICK: Duration = Duration::from_secs(1);
const SHORTEST_TICK: Duration = Duration::from_millis(20);

/// Runs until the shutdown.
pub(crate) async fn run(handle: Handle, cluster_id: String, mut shutdown: Shutdown) {
    let tick = (handle.lease_ttl() / 10).clamp(SHORTEST_TICK, LONGEST_TICK);
    loop {
        tokio::select! {
            () = look(&handle, &cluster_id) => {}
            () = shutdown.requested() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(tick) => {}
            () = handle.leadership_changed() => {}
            () = shutdown.requested() => return,
        }
    }
}

async fn look(handle: &Handle, cluster_id: &str) {
    handle.update_metrics();
    if !handle.is_leader() {
        handle.leases().lock().clear();
        handle.inner.dead.lock().clear();
        return;
    }
    if !handle.is_formed() {
        tracing::info!(cluster_id, "naming the cluster");
        log_failure(handle.propose(Command::Bootstrap { cluster_id: cluster_id.to_owned() }).await);
    }
    for node in handle.newly_met() {
        log_failure(handle.propose(Command::Met { node }).await);
    }
    for (member, epoch) in handle.forgettable() {
        let forgotten = handle.forget_epoch(member, epoch, false).await;
        if forgotten.is_ok() {
            handle.metrics().forgotten.inc();
        }
        log_failure(forgotten);
    }
    for (member, epoch) in handle.expired_leases() {
        tracing::warn!(role = %member.0, id = %member.1, epoch, "lease expired");
        handle.metrics().expired_leases.inc();
        log_failure(handle.propose(Command::Expire { member, epoch }).await);
    }
}

/// What failed is tried again at the next look.
fn log_failure<T>(result: Result<T, crate::Error>) {
    if let Err(error) = result {
        tracing::warn!(%error, "a transition was not committed");
    }
}
