//! SIGTERM and SIGINT.

use runtime::ShutdownTrigger;
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
