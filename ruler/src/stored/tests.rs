use std::sync::Arc;

use bucket::Key;
use model::TenantId;
use prometheus_client::registry::Registry;
use promql::ParseOptions;
use runtime::ManualClock;

use super::{GroupKey, Stored};
use crate::rule_file::parse_group;
use crate::store::{MAX_GROUP_BYTES, RuleStore};

fn bucket() -> bucket::Bucket {
    let settings = bucket::Settings::default();
    bucket::open("memory://", settings, Arc::new(ManualClock::at(0)), &mut Registry::default()).expect("a bucket in memory")
}

async fn put(store: &RuleStore, tenant: &TenantId, namespace: &str, name: &str) {
    let text = format!("name: '{name}'\nrules: [{{record: r, expr: up}}]");
    let (group, _) = parse_group(&text, &ParseOptions::default()).expect("a group");
    store.put(tenant, namespace, group).await.expect("stored");
}

fn names(stored: &Stored) -> Vec<String> {
    stored.groups(|_| true).map(|(key, _)| format!("{}/{}/{}", key.tenant, key.file, key.name)).collect()
}

#[tokio::test]
async fn only_own_groups_are_read_and_each_once() {
    let bucket = bucket();
    let store = RuleStore::new(bucket.clone());
    let (a, b) = (TenantId::new("a").expect("a tenant"), TenantId::new("b").expect("a tenant"));
    for (tenant, namespace, name) in [(&a, "n", "g"), (&a, "n/ ü", "g h"), (&b, "n", "g")] {
        put(&store, tenant, namespace, name).await;
    }
    let mut stored = Stored::new(store.clone(), Arc::new(|_| ParseOptions::default()), None);
    stored.list().await.expect("a listing");
    assert_eq!(stored.listed().count(), 3);
    let of_a = |key: &GroupKey| key.tenant.as_str() == "a";
    assert_eq!(stored.read(of_a).await, 0);
    assert_eq!(names(&stored), ["a/n/g", "a/n/ ü/g h"]);
    // What has not changed is not read again: the same group comes out.
    let before: Vec<_> = stored.groups(|_| true).map(|(_, group)| group).collect();
    stored.read(of_a).await;
    assert!(before.iter().zip(stored.groups(|_| true)).all(|(old, (_, new))| Arc::ptr_eq(old, &new)));
    // What is another's is forgotten.
    stored.read(|key| key.tenant.as_str() == "b").await;
    assert_eq!(names(&stored), ["b/n/g"]);
    let mut of_b = Stored::new(store, Arc::new(|_| ParseOptions::default()), Some(b));
    of_b.list().await.expect("a listing");
    assert_eq!(of_b.listed().count(), 1);
}

#[tokio::test]
async fn what_is_no_group_is_counted_and_hurts_nobody() {
    let bucket = bucket();
    let store = RuleStore::new(bucket.clone());
    let tenant = TenantId::anonymous();
    put(&store, &tenant, "n", "good").await;
    let put = async |name: &str, bytes: Vec<u8>| bucket.put(&Key::rule_group(&tenant, "n", name), bytes).await.expect("stored");
    put("garbage", b"\x0a\xffgarbage".to_vec()).await;
    put("huge", vec![0; MAX_GROUP_BYTES + 1]).await;
    // Another name inside than outside, and a group that asks other tenants.
    put("renamed", b"\x0a\x01g\x12\x01n\x22\x07\x0a\x02up\x12\x01r".to_vec()).await;
    put("f", b"\x0a\x01f\x12\x01n\x22\x07\x0a\x02up\x12\x01r\x52\x01b".to_vec()).await;
    let mut stored = Stored::new(store, Arc::new(|_| ParseOptions::default()), None);
    stored.list().await.expect("a listing");
    assert_eq!(stored.read(|_| true).await, 4);
    assert_eq!(names(&stored), ["anonymous/n/good"]);
}
