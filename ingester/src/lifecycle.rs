//! From JOINING over ACTIVE to LEAVING, with a way over READ_ONLY to GONE, and which calls each state takes.
//!
//! | | pushes | queries |
//! |---|---|---|
//! | JOINING: the log is being replayed | taken | wait for the end of the replay, at most until their deadline |
//! | ACTIVE | taken | taken |
//! | READ_ONLY: it is to leave for good (`crate::departure`), and may be replaying still | refused; those in progress end | as the replay allows |
//! | GONE: everything is in the object store | refused | taken, though nobody asks any more |
//! | LEAVING: drains, then syncs the log | refused; those in progress end | taken until the process ends; refused if the replay had not ended |
//!
//! An ingester that stops does not leave the ring: it keeps its place, and its samples are on its disk for when it is back. Only one that is GONE leaves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use ring::InstanceState;
use tokio::sync::{Notify, watch};

use crate::error::Error;

/// The state, and how many pushes are in progress.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: watch::Sender<InstanceState>,
    contents: watch::Sender<Contents>,
    pushes: AtomicUsize,
    drained: Notify,
}

/// Whether the heads hold everything that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// Not yet.
    Restoring,
    Complete,
    /// They never will: the process ends first.
    Abandoned,
}

/// A push in progress.
#[derive(Debug)]
pub(crate) struct PushGuard(Arc<Lifecycle>);

impl Lifecycle {
    /// JOINING, or READ_ONLY for one that is to leave.
    pub(crate) fn new(to_leave: bool) -> Arc<Self> {
        Arc::new(Self {
            state: watch::Sender::new(if to_leave { InstanceState::ReadOnly } else { InstanceState::Joining }),
            contents: watch::Sender::new(Contents::Restoring),
            pushes: AtomicUsize::new(0),
            drained: Notify::new(),
        })
    }

    pub(crate) fn state(&self) -> InstanceState {
        *self.state.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<InstanceState> {
        self.state.subscribe()
    }

    /// The heads hold everything: JOINING becomes ACTIVE.
    pub(crate) fn restored(&self) {
        self.contents.send_replace(Contents::Complete);
        self.turn(&[InstanceState::Joining], InstanceState::Active);
    }

    /// Takes no more pushes.
    pub(crate) fn read_only(&self) {
        self.turn(&[InstanceState::Joining, InstanceState::Active], InstanceState::ReadOnly);
    }

    /// Takes pushes again.
    pub(crate) fn read_write(&self) {
        self.turn(&[InstanceState::ReadOnly, InstanceState::Gone], InstanceState::Joining);
        if self.is_complete() {
            self.turn(&[InstanceState::Joining], InstanceState::Active);
        }
    }

    /// READ_ONLY becomes GONE: nobody needs what is here.
    pub(crate) fn gone(&self) {
        self.turn(&[InstanceState::ReadOnly], InstanceState::Gone);
    }

    fn turn(&self, from: &[InstanceState], to: InstanceState) {
        self.state.send_if_modified(|state| {
            let turns = from.contains(state);
            if turns {
                *state = to;
            }
            turns
        });
    }

    /// LEAVING, from whichever state.
    pub(crate) fn leave(&self) {
        self.state.send_replace(InstanceState::Leaving);
        self.contents.send_if_modified(|contents| {
            let abandoned = *contents == Contents::Restoring;
            if abandoned {
                *contents = Contents::Abandoned;
            }
            abandoned
        });
    }

    /// Lets a push in. Counted first and then judged, so that whoever sees zero after LEAVING was set sees no push any more.
    pub(crate) fn enter_push(self: &Arc<Self>) -> Result<PushGuard, Error> {
        self.pushes.fetch_add(1, SeqCst);
        let guard = PushGuard(Arc::clone(self));
        match self.state() {
            InstanceState::Joining | InstanceState::Active => Ok(guard),
            InstanceState::ReadOnly | InstanceState::Gone => Err(Error::ReadOnly),
            InstanceState::Leaving | InstanceState::Unhealthy => Err(Error::Stopping),
        }
    }

    /// Returns when the heads hold everything that was acknowledged; an error if they do not `within` this time.
    pub(crate) async fn complete(&self, within: Duration) -> Result<(), Error> {
        let contents = *self.contents.borrow();
        let contents = match contents {
            Contents::Restoring => {
                let mut changes = self.contents.subscribe();
                let changed = tokio::time::timeout(within, changes.wait_for(|contents| *contents != Contents::Restoring)).await;
                changed.map_or(Contents::Restoring, |changed| changed.map_or(Contents::Abandoned, |contents| *contents))
            }
            known => known,
        };
        match contents {
            Contents::Complete => Ok(()),
            Contents::Restoring => Err(Error::Starting),
            Contents::Abandoned => Err(Error::Stopping),
        }
    }

    /// Whether the heads hold everything that was acknowledged.
    pub(crate) fn is_complete(&self) -> bool {
        *self.contents.borrow() == Contents::Complete
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
    use std::time::Duration;

    use ring::InstanceState;

    use super::Lifecycle;
    use crate::error::Error;

    #[tokio::test]
    async fn each_state_takes_what_it_may() {
        let lifecycle = Lifecycle::new(false);
        drop(lifecycle.enter_push().unwrap());
        assert!(matches!(lifecycle.complete(Duration::ZERO).await, Err(Error::Starting)));
        let mut query = Box::pin(lifecycle.complete(Duration::MAX));
        assert!(futures::poll!(&mut query).is_pending());
        lifecycle.restored();
        assert_eq!(lifecycle.state(), InstanceState::Active);
        assert!(query.await.is_ok());
        let push = lifecycle.enter_push().unwrap();
        lifecycle.leave();
        assert!(matches!(lifecycle.enter_push(), Err(Error::Stopping)));
        assert!(lifecycle.complete(Duration::ZERO).await.is_ok());
        let waiting = Arc::clone(&lifecycle);
        let mut drained = Box::pin(async move { waiting.drained().await });
        assert!(futures::poll!(&mut drained).is_pending());
        drop(push);
        drained.await;
        assert_eq!(lifecycle.pushes(), 0);
    }

    #[test]
    fn who_is_to_leave_takes_no_pushes_and_may_be_called_back() {
        let lifecycle = Lifecycle::new(true);
        assert!(matches!(lifecycle.enter_push(), Err(Error::ReadOnly)));
        lifecycle.restored();
        assert_eq!(lifecycle.state(), InstanceState::ReadOnly, "the end of the replay changes nothing");
        lifecycle.gone();
        assert_eq!(lifecycle.state(), InstanceState::Gone);
        assert!(matches!(lifecycle.enter_push(), Err(Error::ReadOnly)));
        lifecycle.read_write();
        assert_eq!(lifecycle.state(), InstanceState::Active);
        lifecycle.gone();
        assert_eq!(lifecycle.state(), InstanceState::Active, "only from READ_ONLY");
        lifecycle.leave();
        lifecycle.read_only();
        assert_eq!(lifecycle.state(), InstanceState::Leaving);
        let replaying = Lifecycle::new(true);
        replaying.read_write();
        assert_eq!(replaying.state(), InstanceState::Joining);
    }

    #[tokio::test]
    async fn queries_that_wait_are_told_when_it_ends_before_it_was_whole() {
        let lifecycle = Lifecycle::new(false);
        let mut query = Box::pin(lifecycle.complete(Duration::MAX));
        assert!(futures::poll!(&mut query).is_pending());
        lifecycle.leave();
        assert!(matches!(query.await, Err(Error::Stopping)));
        assert!(matches!(lifecycle.complete(Duration::MAX).await, Err(Error::Stopping)));
    }
}
