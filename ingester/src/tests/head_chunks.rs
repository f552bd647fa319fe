use super::rig::{Rig, offsets, one};

/// A series of so many samples, a second apart.
fn long(samples: i64) -> model::WriteBatch {
    one("up", 0..samples)
}

#[tokio::test]
async fn finished_chunks_leave_memory_and_come_back_after_a_kill() {
    let rig = Rig::start().await;
    rig.push("a", long(500)).await.unwrap();
    let want = rig.all("a").await;
    rig.ingester.shared.offload();
    let head = rig.ingester.shared.tenants.get(&model::TenantId::new("a").unwrap()).unwrap();
    assert_eq!(head.head().stats().memory.closed_chunks, 0);
    assert_eq!(rig.all("a").await, want);
    assert_eq!(rig.ingester.shared.offloading.files.stats().written_chunks, 4);

    let killed = rig.after_kill().await;
    assert_eq!(killed.all("a").await, want, "from the log");
    killed.ingester.shared.offload();
    assert_eq!(killed.all("a").await, want);
    let names: Vec<_> = killed.fs.paths().into_iter().filter(|path| path.starts_with("data/chunks_head")).collect();
    assert_eq!(names, [std::path::Path::new("data/chunks_head/000002")], "those of the process before are gone");
}

#[tokio::test]
async fn a_full_disk_keeps_chunks_in_memory() {
    let rig = Rig::start().await;
    // The first round of upkeep may come between push and fault, once.
    for tenant in ["a", "b"] {
        rig.push(tenant, long(500)).await.unwrap();
        rig.fs.set_space(Some(100));
        rig.ingester.shared.offload();
        rig.ingester.shared.offload();
        assert_eq!(offsets(&rig.all(tenant).await, "up").len(), 500);
        if rig.ingester.shared.offloading.failures() > 0 {
            break;
        }
        rig.fs.set_space(None);
    }
    assert!(rig.ingester.shared.offloading.failures() > 1);
    rig.fs.set_space(None);
    rig.ingester.shared.offload();
    assert!(rig.ingester.shared.offloading.files.stats().written_chunks >= 4);
}

#[tokio::test]
async fn a_damaged_chunk_fails_the_query() {
    let rig = Rig::start().await;
    rig.push("a", long(500)).await.unwrap();
    rig.ingester.shared.offload();
    for path in rig.fs.paths().into_iter().filter(|path| path.starts_with("data/chunks_head")) {
        rig.fs.edit(&path, |bytes| bytes.iter_mut().skip(30).for_each(|b| *b ^= 1));
    }
    let error = super::rig::select_all(&rig.ingester, &rig.ctx("a")).await.unwrap_err();
    assert_eq!(error.kind, rpc::RpcErrorKind::Unavailable, "another replica may have it");
    assert!(error.message.contains("data/chunks_head/000001 is damaged at byte"), "{error}");
}
