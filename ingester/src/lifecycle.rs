//! From JOINING over ACTIVE to LEAVING, and which calls each state takes.
//!
//! | | pushes | queries |
//! |---|---|---|
//! | JOINING: the log is being replayed | refused | refused: an answer would lack what is not there yet |
//! | ACTIVE | taken | taken |
//! | LEAVING: drains, then syncs the log | refused; those in progress end | taken until the process ends |
//!
//! An ingester that stops does not leave the ring: it keeps its place, and its samples are on its disk for when it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use ring::InstanceState;
use tokio::sync::{Notify, watch};

use crate::error::Error;

/// The state, and how many pushes are in progress.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: watch::Sender<InstanceState>,
    pushes: AtomicUsize,
    drained: Notify,
}

/// A push in progress.
#[derive(Debug)]
pub(crate) struct PushGuard(Arc<Lifecycle>);

impl Lifecycle {
    /// JOINING.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: watch::Sender::new(InstanceState::Joining), pushes: AtomicUsize::new(0), drained: Notify::new() })
    }

    pub(crate) fn state(&self) -> InstanceState {
        *self.state.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<InstanceState> {
        self.state.subscribe()
    }

    pub(crate) fn set(&self, state: InstanceState) {
        self.state.send_replace(state);
    }

    /// Lets a push in. Counted first and then judged, so that whoever sees zero after LEAVING was set sees no push any more.
    pub(crate) fn enter_push(self: &Arc<Self>) -> Result<PushGuard, Error> {
        self.pushes.fetch_add(1, SeqCst);
        let guard = PushGuard(Arc::clone(self));
        match self.state() {
            InstanceState::Active => Ok(guard),
            InstanceState::Joining => Err(Error::Starting),
            InstanceState::Leaving | InstanceState::Unhealthy => Err(Error::Stopping),
        }
    }

    /// Whether queries may be answered.
    pub(crate) fn check_query(&self) -> Result<(), Error> {
        if self.state() == InstanceState::Joining { Err(Error::Starting) } else { Ok(()) }
    }

    pub(crate) fn pushes(&self) -> usize {
        self.pushes.load(SeqCst)
    }

    /// Returns when no push is in progress.
    pub(crate) async fn drained(&self) {
        loop {
            let changed = self.drained.notified();
            if self.pushes() == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for PushGuard {
    fn drop(&mut self) {
        if self.0.pushes.fetch_sub(1, SeqCst) == 1 {
            self.0.drained.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ring::InstanceState;

    use super::Lifecycle;
    use crate::error::Error;

    #[tokio::test]
    async fn each_state_takes_what_it_may() {
        let lifecycle = Lifecycle::new();
        assert!(matches!(lifecycle.enter_push(), Err(Error::Starting)));
        assert!(matches!(lifecycle.check_query(), Err(Error::Starting)));
        lifecycle.set(InstanceState::Active);
        let push = lifecycle.enter_push().unwrap();
        assert!(lifecycle.check_query().is_ok());
        lifecycle.set(InstanceState::Leaving);
        assert!(matches!(lifecycle.enter_push(), Err(Error::Stopping)));
        assert!(lifecycle.check_query().is_ok());
        let waiting = Arc::clone(&lifecycle);
        let mut drained = Box::pin(async move { waiting.drained().await });
        assert!(futures::poll!(&mut drained).is_pending());
        drop(push);
        drained.await;
        assert_eq!(lifecycle.pushes(), 0);
    }
}
