//! Samples of several days, written straight through the out-of-order window.

use super::*;
use crate::tests::rig::{NOW, labels};

const DAY: i64 = 24 * 3_600;

fn limits() -> Limits {
    Limits { out_of_order_time_window_ms: 5 * DAY * 1_000, ..Limits::default() }
}

/// Offsets of four days, every 20 minutes.
fn days() -> impl Iterator<Item = i64> {
    (-4 * DAY..0).step_by(1_200)
}

#[tokio::test]
async fn history_becomes_blocks_of_its_own_ranges_and_is_shipped() {
    let store = FaultyStore::default();
    let rig = start_with(&store, Options { limits: limits(), ..Options::default() }).await;
    rig.push("a", one("live", [0])).await.unwrap();
    let refused = rig.push("a", one("new", [-5 * DAY - 60])).await.unwrap();
    assert!(refused.rejected[0].detail.contains("block_retention_seconds, out_of_order_time_window_ms"), "{refused:?}");
    // Late for the one, in order for the other.
    for chunk in days().collect::<Vec<_>>().chunks(50) {
        for name in ["live", "new"] {
            assert!(rig.push("a", one(name, chunk.iter().copied())).await.unwrap().rejected.is_empty());
        }
    }
    let before = rig.all("a").await;
    assert_eq!((offsets(&before, "new").len(), offsets(&before, "live").len()), (288, 289));
    let rig = {
        rig.ingester.shared.truncate();
        let clock = runtime::ManualClock::at(NOW);
        let options = Options { fs: rig.fs.after_kill(), limits: limits(), bucket: Some(store.bucket(&clock)), ..Options::default() };
        Rig::with(options).await
    };
    assert!(rig.all("a").await == before, "a kill costs nothing, however old the samples are");
    rig.clock.advance(3 * HOUR);
    rig.round().await;
    let ranges = 4 * 12 + 1;
    let blocks = rig.local("a").len();
    assert!((ranges - 1..=ranges + 1).contains(&blocks), "{blocks} blocks");
    assert!(rig.all("a").await == before);
    rig.ship().await;
    assert_eq!(rig.metric("blocks_shipped_total"), blocks as f64);
    for block in store.blocks("a").await.into_values() {
        let times = || block.values().flatten().map(|(t, _)| t.div_euclid(2 * 3_600_000));
        assert_eq!(times().min(), times().max(), "each of one range");
    }
    assert_eq!(stored(&store, "a").await, before);
    rig.clock.advance(HOUR);
    store.show("a", rig.clock.now_ms()).await;
    rig.ship().await;
    rig.clock.advance(HOUR);
    rig.round().await;
    let kept = rig.local("a").len();
    assert!((10..=11).contains(&kept), "{kept}: those of the last day");
    let left = offsets(&rig.all("a").await, "live");
    assert!(left.len() > 50 && left.iter().all(|offset| *offset > -DAY), "{left:?}");
    assert_eq!(stored(&store, "a").await, before);
}

#[tokio::test]
async fn what_was_not_cut_before_a_long_stop_is_cut_after_it() {
    let store = FaultyStore::default();
    let rig = start(&store).await;
    rig.push("a", many("up", 20, 0)).await.unwrap();
    let before = rig.all("a").await;
    let second = rig.after_kill().await;
    second.clock.advance(3 * 24 * HOUR);
    second.ingester.shared.truncate();
    assert!(second.all("a").await == before, "older than everything that is kept, and nowhere else");
    let third = second.after_kill().await;
    third.clock.advance(3 * 24 * HOUR);
    third.round().await;
    third.ingester.shared.truncate();
    third.ship().await;
    assert_eq!(stored(&store, "a").await, before);
    assert!(third.all("a").await == before, "until the index shows it");
}

#[tokio::test]
async fn a_larger_window_takes_older_samples_than_the_retention() {
    let store = FaultyStore::default();
    let rig = start(&store).await;
    assert_eq!(rig.push("a", one("up", [-DAY])).await.unwrap().rejected.len(), 1);
    let options = Options { config: config(), fs: rig.fs.after_kill(), limits: limits(), bucket: Some(rig.bucket.clone()) };
    let grown = Rig::with(options).await;
    grown.push("a", one("live", [0])).await.unwrap();
    assert!(grown.push("a", one("up", [-DAY, -3 * DAY])).await.unwrap().rejected.is_empty());
    assert_eq!(grown.all("a").await[&labels("up", 0).to_string()].len(), 2);
}
