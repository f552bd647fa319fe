use std::time::Duration;

use model::TenantId;
use runtime::{Clock, Deadline, ManualClock};
use tonic::metadata::MetadataMap;

use super::{CLUSTER_KEY, ClusterIdentity, TENANT_KEY, deadline, parse_timeout, request, tenant_context, tenant_request};
use crate::context::CallContext;
use crate::error::RpcErrorKind;

fn context(clock: &dyn Clock, tenant: &str, timeout: Duration) -> CallContext {
    CallContext { tenant: TenantId::new(tenant).unwrap(), deadline: Deadline::after(clock, timeout) }
}

fn known(id: &str) -> ClusterIdentity {
    let identity = ClusterIdentity::new();
    assert!(identity.learn(id));
    identity
}

#[test]
fn tenant_and_time_left_arrive() {
    let caller = ManualClock::at(1_000);
    let callee = ManualClock::at(9_999_999);
    callee.advance(Duration::from_secs(77));
    let cluster = known("c1");
    let ctx = context(&caller, "team-1!*'()", Duration::from_millis(1_234));
    let sent = tenant_request((), &ctx, &caller, &cluster).unwrap();
    let got = tenant_context(sent.metadata(), &callee, &cluster).unwrap();
    assert_eq!(got.tenant, ctx.tenant);
    assert_eq!(got.deadline.remaining(&callee), Duration::from_millis(1_234));
}

#[test]
fn a_call_without_time_is_not_made() {
    let clock = ManualClock::at(0);
    let ctx = context(&clock, "a", Duration::from_millis(5));
    clock.advance(Duration::from_millis(5));
    let refused = tenant_request((), &ctx, &clock, &ClusterIdentity::new()).unwrap_err();
    assert_eq!(refused.kind, RpcErrorKind::DeadlineExceeded);
}

#[test]
fn another_cluster_is_fenced_off() {
    let clock = ManualClock::at(0);
    let sent = request((), Duration::from_secs(1), &known("blue")).unwrap();
    let refused = deadline(sent.metadata(), &clock, &known("green")).unwrap_err();
    assert_eq!(refused.kind, RpcErrorKind::Fenced);
    assert!(deadline(sent.metadata(), &clock, &known("blue")).is_ok());
    assert!(deadline(sent.metadata(), &clock, &ClusterIdentity::new()).is_ok(), "a callee that does not know its cluster yet");
    let unaware = request((), Duration::from_secs(1), &ClusterIdentity::new()).unwrap();
    assert!(unaware.metadata().get(CLUSTER_KEY).is_none());
    assert_eq!(tenant_context(unaware.metadata(), &clock, &known("green")).unwrap_err().kind, RpcErrorKind::Fenced, "but no tenant's data");
    assert!(deadline(unaware.metadata(), &clock, &known("green")).is_ok(), "a caller that does not know its cluster yet");
}

#[test]
fn an_identity_never_changes() {
    let identity = ClusterIdentity::new();
    assert!(identity.learn(""));
    assert_eq!(identity.get(), None);
    assert!(identity.learn("a"));
    assert!(identity.learn("a"));
    assert!(!identity.clone().learn("b"));
    assert_eq!(identity.get(), Some("a"));
}

#[test]
fn hostile_metadata_is_refused() {
    let clock = ManualClock::at(0);
    let any = ClusterIdentity::new();
    let kind = |metadata: &MetadataMap| tenant_context(metadata, &clock, &any).unwrap_err().kind;
    let mut metadata = MetadataMap::new();
    assert_eq!(kind(&metadata), RpcErrorKind::InvalidRequest, "no tenant");
    for tenant in ["../x", "a|b", "..", ""] {
        metadata.insert(TENANT_KEY, tenant.parse().unwrap());
        assert_eq!(kind(&metadata), RpcErrorKind::InvalidRequest, "{tenant:?}");
    }
    metadata.insert(TENANT_KEY, "a".parse().unwrap());
    for timeout in ["", "5", "S", "-1S", "123456789S", "1 S", "1x", "1.5S"] {
        metadata.insert("grpc-timeout", timeout.parse().unwrap());
        assert_eq!(kind(&metadata), RpcErrorKind::InvalidRequest, "{timeout:?}");
    }
}

#[test]
fn timeouts_are_bounded() {
    let clock = ManualClock::at(0);
    assert_eq!(parse_timeout(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
    let mut metadata = MetadataMap::new();
    let left = |metadata: &MetadataMap| deadline(metadata, &clock, &ClusterIdentity::new()).unwrap().remaining(&clock);
    assert_eq!(left(&metadata), Duration::from_secs(30));
    metadata.insert("grpc-timeout", "99999999H".parse().unwrap());
    assert_eq!(left(&metadata), Duration::from_secs(600));
}
