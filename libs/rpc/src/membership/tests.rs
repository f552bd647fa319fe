use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use ring::{InstanceId, InstanceState, Role};
use runtime::{ManualClock, ShutdownTrigger, Tasks};

use super::Membership;
use crate::coordinator::{CoordinatorClient, Lease, Registration, SnapshotStream};
use crate::error::{RpcError, RpcErrorKind};

/// A coordinator that writes down what it is asked and fails when told to.
#[derive(Default)]
struct Script {
    log: Mutex<Vec<String>>,
    failing: Mutex<Option<RpcErrorKind>>,
    epoch: Mutex<u64>,
}

impl Script {
    fn note(&self, what: String) -> Result<(), RpcError> {
        self.log.lock().push(what);
        self.failing.lock().map_or(Ok(()), |kind| Err(RpcError::new(kind, "told to fail")))
    }

    fn count(&self, what: &str) -> usize {
        self.log.lock().iter().filter(|line| line.starts_with(what)).count()
    }
}

#[async_trait]
impl CoordinatorClient for Script {
    async fn register(&self, registration: Registration) -> Result<Lease, RpcError> {
        self.note(format!("register {}", registration.state.as_str()))?;
        *self.epoch.lock() += 1;
        Ok(Lease { epoch: *self.epoch.lock(), ttl: Duration::from_secs(9) })
    }
    async fn renew(&self, _: Role, _: &InstanceId, epoch: u64) -> Result<(), RpcError> {
        self.note(format!("renew {epoch}"))
    }
    async fn set_state(&self, _: Role, _: &InstanceId, epoch: u64, state: InstanceState) -> Result<(), RpcError> {
        self.note(format!("state {epoch} {}", state.as_str()))
    }
    async fn deregister(&self, _: Role, _: &InstanceId, epoch: u64) -> Result<(), RpcError> {
        self.note(format!("deregister {epoch}"))
    }
    async fn watch(&self) -> Result<SnapshotStream, RpcError> {
        Err(RpcError::unavailable("not watched here"))
    }
}

fn start(script: &Arc<Script>, tasks: &Tasks) -> (Membership, ShutdownTrigger) {
    let registration = Registration {
        id: InstanceId::new("ingester-0").unwrap(),
        role: Role::Ingester,
        address: "127.0.0.1:1".to_owned(),
        zone: "a".to_owned(),
        state: InstanceState::Joining,
        empty: true,
    };
    let (trigger, shutdown) = ShutdownTrigger::new();
    let client = Arc::clone(script) as Arc<dyn CoordinatorClient>;
    (Membership::start(client, registration, Arc::new(ManualClock::at(0)), tasks, shutdown), trigger)
}

#[tokio::test(start_paused = true)]
async fn registers_renews_and_changes_state() {
    let (script, tasks) = (Arc::new(Script::default()), Tasks::new());
    let (membership, _trigger) = start(&script, &tasks);
    assert_eq!(membership.registered().await, Ok(1));
    membership.set_state(InstanceState::Active, Duration::from_secs(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!((9..=11).contains(&script.count("renew 1")), "{:?}", script.log.lock());
    assert_eq!(script.log.lock()[0], "register JOINING");
    assert_eq!(script.count("state 1 ACTIVE"), 1);
    membership.leave(Duration::from_secs(1)).await.unwrap();
    assert_eq!(script.log.lock().last().unwrap(), "deregister 1");
    tasks.drain(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_that_fails_is_said_again_while_it_is_waited_for() {
    let (script, tasks) = (Arc::new(Script::default()), Tasks::new());
    let (membership, _trigger) = start(&script, &tasks);
    membership.registered().await.unwrap();
    *script.failing.lock() = Some(RpcErrorKind::Unavailable);
    let healed = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        *script.failing.lock() = None;
    };
    let (left, ()) = tokio::join!(membership.leave(Duration::from_secs(2)), healed);
    left.unwrap();
    assert!((3..=5).contains(&script.count("deregister 1")), "{:?}", script.log.lock());
    tasks.drain(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn registers_again_in_the_wished_state_when_fenced() {
    let (script, tasks) = (Arc::new(Script::default()), Tasks::new());
    let (membership, trigger) = start(&script, &tasks);
    membership.registered().await.unwrap();
    membership.set_state(InstanceState::Active, Duration::from_secs(1)).await.unwrap();
    *script.failing.lock() = Some(RpcErrorKind::Fenced);
    let mut status = membership.status();
    status.wait_for(|status| status.epoch.is_none()).await.unwrap();
    *script.failing.lock() = None;
    assert_eq!(membership.registered().await, Ok(2));
    assert_eq!(script.count("register ACTIVE"), script.count("register") - 1, "{:?}", script.log.lock());
    trigger.fire();
    tasks.drain(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn goes_on_trying_at_a_bounded_rate() {
    let (script, tasks) = (Arc::new(Script::default()), Tasks::new());
    *script.failing.lock() = Some(RpcErrorKind::Unavailable);
    let (membership, _trigger) = start(&script, &tasks);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!((10..=20).contains(&script.count("register")), "{}", script.count("register"));
    assert!(membership.silence().is_none());
    *script.failing.lock() = None;
    assert_eq!(membership.registered().await, Ok(1));
    // An unreachable coordinator is no reason to register again.
    *script.failing.lock() = Some(RpcErrorKind::Unavailable);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(membership.status().borrow().epoch, Some(1));
    let asked = membership.set_state(InstanceState::Leaving, Duration::from_secs(1)).await;
    assert_eq!(asked.unwrap_err().kind, RpcErrorKind::DeadlineExceeded);
    *script.failing.lock() = None;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(membership.status().borrow().state, Some(InstanceState::Leaving), "the wish outlives the wait");
    drop(membership);
    tasks.drain(Duration::from_secs(1)).await.unwrap();
}
