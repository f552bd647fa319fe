#![allow(clippy::disallowed_methods, reason = "latency of real connections is what is tested")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::coordinator::RenewRequest;
use proto::coordinator::coordinator_client::CoordinatorClient;
use runtime::{Clock, ManualClock, SystemClock};

use super::{Channels, ConnectGate, FIRST_PAUSE, FORGET_AFTER, LONGEST_PAUSE};

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
async fn after_a_refusal_calls_fail_without_an_attempt_and_then_recover() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let channels = Channels::new(SystemClock::shared());
    let call = || async { CoordinatorClient::new(channels.get(&address).unwrap()).renew(RenewRequest::default()).await.unwrap_err() };
    let first = format!("{:?}", call().await);
    assert!(first.contains("cannot be reached"), "{first}");
    let second = format!("{:?}", call().await);
    assert!(second.contains("a moment ago"), "{second}");
    tokio::time::sleep(FIRST_PAUSE).await;
    let listener = tokio::net::TcpListener::bind(&address).await.unwrap();
    let (accepted, _) = tokio::join!(tokio::time::timeout(Duration::from_secs(5), listener.accept()), async {
        tokio::time::timeout(Duration::from_millis(500), call()).await
    });
    assert!(accepted.unwrap().is_ok(), "it connects again once the pause is over");
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
