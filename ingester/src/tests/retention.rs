use std::time::Duration;

use bytes::Bytes;
use model::{BatchBuilder, Sample};
use rpc::IngesterClient;

use super::rig::{NOW, Options, Rig, labels, many, one, select_all};
use super::shipping::start_with;
use super::store::FaultyStore;
use crate::Config;
use crate::config::WalSettings;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_is_older_than_the_retention_goes_from_memory_and_disk() {
    let wal = WalSettings { segment_bytes: 1 << 20, ..WalSettings::default() };
    let config = Config { wal, block_retention_seconds: 4 * 3_600, ..Config::default() };
    let store = FaultyStore::default();
    let rig = start_with(&store, Options { config: config.clone(), ..Options::default() }).await;
    rig.push("gone", many("old", 5_000, 0)).await.unwrap();
    rig.push("stays", one("old", [0])).await.unwrap();
    // The first look notes when the generation of the log began, the second finds it old enough to begin another.
    rig.ingester.shared.truncate();
    rig.clock.advance(3 * HOUR);
    rig.ingester.shared.truncate();
    rig.push("stays", one("new", [3 * 3_600])).await.unwrap();
    let before = rig.ingester.shared.wal.stats().disk_bytes;

    rig.clock.advance(6 * HOUR);
    rig.ingester.shared.truncate();
    assert_eq!(rig.ingester.shared.wal.stats().disk_bytes, before, "a cut is due: the log stays");
    rig.round().await;
    rig.ingester.shared.truncate();
    let after = rig.ingester.shared.wal.stats().disk_bytes;
    assert!(after * 10 < before, "{before} bytes of log, then {after}");
    assert_eq!(rig.all("gone").await.len(), 5_000, "until the store has it");
    rig.ship().await;
    rig.clock.advance(HOUR);
    for tenant in ["gone", "stays"] {
        store.show(tenant, NOW + 10 * 3_600_000).await;
    }
    rig.ship().await;
    rig.clock.advance(HOUR);
    rig.push("stays", one("newer", [11 * 3_600])).await.unwrap();
    rig.round().await;
    rig.ingester.shared.truncate();
    assert_eq!(rig.ingester.shared.tenants.count(), 1, "a tenant without series and blocks is forgotten");
    let left = rig.all("stays").await;
    assert_eq!(left.keys().cloned().collect::<Vec<_>>(), [labels("newer", 0).to_string()]);

    let mut old = BatchBuilder::new(Bytes::new());
    old.sample(Sample { t: NOW, v: 1.0 });
    let series = labels("old", 0);
    old.end_series_with(series.hash(), series.as_block());
    let report = rig.push("gone", old.finish()).await.unwrap();
    assert_eq!(report.rejected[0].reason, model::RejectReason::TooOld, "a head made later refuses what is too old as well");
    assert!(select_all(&rig.ingester, &rig.ctx("gone")).await.unwrap().is_empty());

    let fs = rig.fs.after_kill();
    let killed = Rig::with(Options { config, fs, ..Options::default() }).await;
    let found = killed.all("stays").await;
    assert!(found.contains_key(&labels("newer", 0).to_string()), "the log still holds what is needed");
    assert_eq!(killed.ingester.label_names(&killed.ctx("gone"), super::rig::everything()).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn metrics_are_named_and_carry_no_tenant() {
    let rig = Rig::start().await;
    rig.push("very-secret-tenant", one("up", [0, 15])).await.unwrap();
    rig.push("very-secret-tenant", one("up", [-601, 7])).await.unwrap();
    rig.ingester.shared.sizes.refresh(&rig.ingester.shared.tenants);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &rig.registry).unwrap();
    for line in [
        "plimsoll_ingester_appended_samples_total{kind=\"float\"} 3\n",
        "plimsoll_ingester_out_of_order_samples_total 1\n",
        "plimsoll_ingester_rejected_samples_total{reason=\"too_old\",kind=\"float\"} 1\n",
        "plimsoll_ingester_rejected_samples_total{reason=\"duplicate_timestamp\",kind=\"float\"} 0\n",
        "plimsoll_ingester_created_series_total 1\n",
        "plimsoll_ingester_memory_series 1\n",
        "plimsoll_ingester_memory_chunks 1\n",
        "plimsoll_ingester_tenants 1\n",
        "plimsoll_ingester_inflight_push_bytes 0\n",
        "plimsoll_ingester_wal_records_total 2\n",
        "plimsoll_ingester_wal_segments 1\n",
        "plimsoll_ingester_push_duration_seconds_count 2\n",
        "plimsoll_ingester_active 1\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.contains("plimsoll_ingester_memory_bytes{structure=\"label_text\"}"), "{text}");
    assert!(!text.contains("secret"));
}
