//! The one signal to stop.

use tokio::sync::watch;

/// Told to a process once; everything that runs holds a [`Shutdown`] and stops taking new work when it fires.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Waits for the end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl ShutdownTrigger {
    /// A trigger and what waits for it.
    #[must_use]
    pub fn new() -> (Self, Shutdown) {
        let (tx, rx) = watch::channel(false);
        (Self(tx), Shutdown(rx))
    }

    /// Fires; again is a no-op.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns when the trigger has fired or is gone.
    pub async fn requested(&mut self) {
        // An error means that the trigger was dropped: whoever could have fired it is gone, so stop as well.
        let _ = self.0.wait_for(|fired| *fired).await;
    }

    /// Whether the trigger has fired.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}
