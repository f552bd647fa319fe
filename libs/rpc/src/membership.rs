//! Being a member: registered, renewed, registered again when fenced.

use std::sync::Arc;
use std::time::Duration;

use ring::InstanceState;
use runtime::clock::SharedClock;
use runtime::failpoint::{self, Failpoint};
use runtime::{Shutdown, Tasks};
use tokio::sync::watch;

use crate::coordinator::{CoordinatorClient, Lease, Registration};
use crate::error::{RpcError, RpcErrorKind};

/// The pause after the first failed registration; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A thousand members that cannot register make 200 attempts a second together.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A coordinator that hands out shorter leases than this is not renewed more often.
const SHORTEST_RENEWAL: Duration = Duration::from_millis(50);

/// How far a membership has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MembershipStatus {
    /// The current epoch; `None` before the first registration and between being fenced and registering again.
    pub epoch: Option<u64>,
    /// The state that the coordinator was last told.
    pub state: Option<InstanceState>,
    /// Monotonic time of the last answer from the coordinator.
    pub heard_at: Option<Duration>,
}

/// Keeps an instance in the cluster until it leaves, the shutdown fires or this is dropped. What was reached is in [`Membership::status`].
///
/// The shutdown given here should fire after the role has drained: a member that stops renewing is UNHEALTHY a lease later.
pub struct Membership {
    wishes: watch::Sender<Wish>,
    status: watch::Receiver<MembershipStatus>,
    clock: SharedClock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Be(InstanceState),
    Forget,
    /// Ends the task without a word to the coordinator.
    Stop,
}

impl Membership {
    /// Starts to register, and goes on trying for ever.
    #[must_use]
    pub fn start(
        client: Arc<dyn CoordinatorClient>,
        registration: Registration,
        clock: SharedClock,
        tasks: &Tasks,
        mut shutdown: Shutdown,
    ) -> Self {
        let (wishes, wish) = watch::channel(Wish::Be(registration.state));
        let (status_tx, status) = watch::channel(MembershipStatus::default());
        let member = Member { client, registration, clock: Arc::clone(&clock), wish, status: status_tx };
        tasks.spawn("membership", async move {
            tokio::select! {
                () = member.run() => {}
                () = shutdown.requested() => {}
            }
        });
        Self { wishes, status, clock }
    }

    /// Follows the status.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<MembershipStatus> {
        self.status.clone()
    }

    /// Time since the coordinator last answered; `None` if it never did.
    #[must_use]
    pub fn silence(&self) -> Option<Duration> {
        self.status.borrow().heard_at.map(|at| self.clock.monotonic().saturating_sub(at))
    }

    /// Waits until the coordinator knows the instance.
    pub async fn registered(&self) -> Result<u64, RpcError> {
        let mut status = self.status.clone();
        let status = status.wait_for(|status| status.epoch.is_some()).await.map_err(|_| stopped())?;
        status.epoch.ok_or_else(stopped)
    }

    /// Changes the state and waits, at most `within`, until the coordinator knows. The wish stays even if that takes longer, and is
    /// kept over new registrations.
    pub async fn set_state(&self, state: InstanceState, within: Duration) -> Result<(), RpcError> {
        self.wishes.send_replace(Wish::Be(state));
        let mut status = self.status.clone();
        let known = status.wait_for(|status| status.epoch.is_some() && status.state == Some(state));
        match tokio::time::timeout(within, known).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(RpcError::new(RpcErrorKind::DeadlineExceeded, format!("the coordinator did not answer within {within:?}"))),
        }
    }

    /// Asks the coordinator to forget the instance, waits for that at most `within`, and ends the membership.
    pub async fn leave(&self, within: Duration) -> Result<(), RpcError> {
        self.wishes.send_replace(Wish::Forget);
        let mut status = self.status.clone();
        // The task ends, and drops its side, as soon as it is done.
        let gone = async { while status.changed().await.is_ok() {} };
        let result = tokio::time::timeout(within, gone).await;
        self.wishes.send_replace(Wish::Stop);
        result.map_err(|_| RpcError::new(RpcErrorKind::DeadlineExceeded, format!("the coordinator did not answer within {within:?}")))
    }
}

fn stopped() -> RpcError {
    RpcError::unavailable("the membership has ended")
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership").field("status", &self.status.borrow()).finish_non_exhaustive()
    }
}

struct Member {
    client: Arc<dyn CoordinatorClient>,
    registration: Registration,
    clock: SharedClock,
    wish: watch::Receiver<Wish>,
    status: watch::Sender<MembershipStatus>,
}

impl Member {
    async fn run(mut self) {
        while let Some(lease) = self.register().await {
            if !self.stay(&lease).await {
                return;
            }
            // Fenced: somebody registered the id after us, or we were forgotten. The newer registration must not be fought at full speed.
            self.status.send_modify(|status| status.epoch = None);
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }

    /// Registers in the wished state; `None` if there is nothing to register for any more.
    async fn register(&mut self) -> Option<Lease> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.current_wish() {
                Wish::Be(state) => self.registration.state = state,
                Wish::Forget | Wish::Stop => return None,
            }
            match self.client.register(self.registration.clone()).await {
                Ok(lease) => {
                    let Registration { id, role, state, .. } = &self.registration;
                    tracing::info!(%id, %role, epoch = lease.epoch, state = state.as_str(), "registered with the coordinator");
                    self.heard(Some(lease.epoch), *state);
                    // What it takes from now on it has.
                    self.registration.empty = false;
                    return Some(lease);
                }
                Err(error) => tracing::warn!(%error, retry_in = ?pause, "registration with the coordinator failed"),
            }
            self.sleep_or_wish(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Renews and changes states until fenced (true: register again) or told to go (false).
    async fn stay(&mut self, lease: &Lease) -> bool {
        let (role, id) = (self.registration.role, self.registration.id.clone());
        let interval = (lease.ttl / 3).max(SHORTEST_RENEWAL);
        // Registering was the first renewal.
        self.sleep_or_wish(interval).await;
        loop {
            let wish = self.current_wish();
            let known = self.status.borrow().state;
            let result = match wish {
                Wish::Stop => return false,
                Wish::Forget => match failpoint::hit(Failpoint::RingLeave).await {
                    Ok(()) => self.client.deregister(role, &id, lease.epoch).await,
                    Err(injected) => Err(RpcError::unavailable(injected.to_string())),
                },
                Wish::Be(state) if Some(state) != known => self.client.set_state(role, &id, lease.epoch, state).await,
                Wish::Be(_) => match failpoint::hit(Failpoint::RingHeartbeat).await {
                    Ok(()) => self.client.renew(role, &id, lease.epoch).await,
                    Err(injected) => Err(RpcError::unavailable(injected.to_string())),
                },
            };
            match (result, wish) {
                (Ok(()), Wish::Forget) => return false,
                (Ok(()), Wish::Be(state)) => self.heard(Some(lease.epoch), state),
                (Ok(()), Wish::Stop) => return false,
                (Err(error), Wish::Forget) if error.kind == RpcErrorKind::Fenced => return false,
                (Err(error), _) if error.kind == RpcErrorKind::Fenced => {
                    tracing::warn!(%error, "fenced by the coordinator, registering again");
                    return true;
                }
                // The lease may run out meanwhile; the next renewal makes the instance whole again.
                (Err(error), _) => tracing::warn!(%error, "the coordinator was not reached"),
            }
            // Who leaves is not waited for as long as a renewal may take its time.
            self.sleep_or_wish(if wish == Wish::Forget { FIRST_PAUSE } else { interval }).await;
        }
    }

    fn current_wish(&mut self) -> Wish {
        // A closed channel means that the `Membership` was dropped.
        if self.wish.has_changed().is_err() { Wish::Stop } else { *self.wish.borrow_and_update() }
    }

    async fn sleep_or_wish(&mut self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = self.wish.changed() => {}
        }
    }

    fn heard(&self, epoch: Option<u64>, state: InstanceState) {
        let now = self.clock.monotonic();
        self.status.send_replace(MembershipStatus { epoch, state: Some(state), heard_at: Some(now) });
    }
}

#[cfg(test)]
mod tests;
