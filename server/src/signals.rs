//! SIGTERM and SIGINT end the process, SIGHUP makes it look for changed files.

use runtime::{Shutdown, ShutdownTrigger};
use tokio::signal::unix::{SignalKind, signal};

/// Returns after the first SIGTERM or SIGINT, the trigger fired. A second one ends the process at once.
pub async fn wait_for_stop(trigger: &ShutdownTrigger) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupt.recv() => tracing::info!("SIGINT: draining; once more ends at once"),
    }
    trigger.fire();
    Ok(())
}

/// Ends the process at a further signal; runs beside the drain.
pub async fn wait_for_second() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::warn!("second signal: ending without draining");
    std::process::exit(130);
}

/// Calls `reload` at every SIGHUP until shutdown is requested.
pub async fn on_reload(mut shutdown: Shutdown, reload: impl Fn()) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return tracing::warn!(%error, "SIGHUP is not listened to"),
    };
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            received = hangup.recv() => match received {
                Some(()) => reload(),
                None => return,
            },
        }
    }
}
