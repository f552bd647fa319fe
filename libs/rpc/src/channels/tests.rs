#![allow(clippy::disallowed_methods, reason = "latency of real connections is what is tested")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::coordinator::RenewRequest;
use proto::coordinator::coordinator_client::CoordinatorClient;
use runtime::{Clock, ManualClock, SystemClock};

use super::{Channels, ConnectGate, FORGET_AFTER, LONGEST_PAUSE};

#[test]
fn the_pause_doubles_and_ends() {
    let mut gate = ConnectGate::default();
    let ms = Duration::from_millis;
    assert!(!gate.is_closed(ms(0)));
    gate.failed(ms(1_000));
    assert!(gate.is_closed(ms(1_099)));
    assert!(!gate.is_closed(ms(1_100)));
    gate.failed(ms(2_000));
    assert!(gate.is_closed(ms(2_199)));
    for _ in 0..100 {
        gate.failed(ms(10_000));
    }
    assert!(!gate.is_closed(ms(10_000) + LONGEST_PAUSE));
    gate.succeeded();
    assert!(!gate.is_closed(ms(10_000)));
}

#[tokio::test]
async fn a_dead_address_fails_fast_after_the_first_attempt() {
    // 192.0.2.0/24 is reserved for documentation: a connect hangs, or is refused at once where there is no route.
    let channels = Channels::new(SystemClock::shared());
    let call = || async {
        let mut client = CoordinatorClient::new(channels.get("192.0.2.1:9").unwrap());
        client.renew(RenewRequest::default()).await.expect_err("nobody is there")
    };
    let started = Instant::now();
    // Queued behind one attempt: without the gate these would take a second each, one after the other.
    let errors = futures::future::join_all((0..20).map(|_| call())).await;
    assert!(started.elapsed() < Duration::from_millis(1_900), "{:?}", started.elapsed());
    for error in errors {
        assert_eq!(error.code(), tonic::Code::Unavailable, "{error}");
    }
}

#[tokio::test]
async fn unused_addresses_are_forgotten() {
    let clock = ManualClock::at(0);
    let channels = Channels::new(Arc::new(clock.clone()));
    channels.get("127.0.0.1:1").unwrap();
    clock.advance(FORGET_AFTER / 2);
    channels.get("127.0.0.1:2").unwrap();
    clock.advance(FORGET_AFTER / 2);
    channels.get("127.0.0.1:3").unwrap();
    let entries = channels.entries.lock();
    assert!(!entries.contains_key("127.0.0.1:1"));
    assert_eq!(entries.len(), 2);
    assert_eq!(clock.monotonic(), FORGET_AFTER);
}

#[tokio::test]
async fn what_is_not_an_address_is_refused() {
    let channels = Channels::new(SystemClock::shared());
    assert!(channels.get("not an address").is_err());
}
