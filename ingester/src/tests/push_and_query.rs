use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use model::{BatchBuilder, Exemplar, Labels, MatchOp, Matcher, Metadata, MetricType, RejectReason, Sample};
use rpc::{IngesterClient, LabelValuesRequest, PushSlice, SeriesRequest, StreamSelectRequest};

use super::rig::{NOW, Rig, everything, labels, many, offsets, one, select, select_all, slice};

#[tokio::test]
async fn what_was_pushed_is_found() {
    let rig = Rig::start().await;
    assert!(rig.push("a", one("up", [0, 15, 30])).await.unwrap().rejected.is_empty());
    assert!(rig.push("a", one("up", [45])).await.unwrap().rejected.is_empty());
    assert_eq!(offsets(&rig.all("a").await, "up"), [0, 15, 30, 45]);
}

#[tokio::test]
async fn large_pushes_go_through_the_pool() {
    let rig = Rig::start().await;
    assert!(rig.push("a", many("up", 3_000, 0)).await.unwrap().rejected.is_empty());
    assert!(rig.push("a", many("up", 3_000, 15)).await.unwrap().rejected.is_empty());
    let contents = rig.all("a").await;
    assert_eq!(contents.len(), 3_000);
    assert!(contents.values().all(|samples| samples.len() == 2));
}

#[tokio::test]
async fn only_the_selected_series_of_a_batch_are_taken() {
    let rig = Rig::start().await;
    let batch = Arc::new(many("up", 10, 0));
    let part = PushSlice { batch, series: Some(Arc::from([1, 7])), metadata: false };
    rig.ingester.push(&rig.ctx("a"), part).await.unwrap();
    let found: Vec<String> = rig.all("a").await.into_keys().collect();
    assert_eq!(found, [labels("up", 1).to_string(), labels("up", 7).to_string()]);
}

#[tokio::test]
async fn refusals_are_in_the_report_and_the_rest_is_taken() {
    let rig = Rig::start().await;
    rig.push("a", one("up", [30])).await.unwrap();
    let report = rig.push("a", one("up", [-571, 15, 45])).await.unwrap();
    assert_eq!(report.rejected.len(), 1);
    let refused = &report.rejected[0];
    assert_eq!((refused.series, refused.reason, refused.samples), (0, RejectReason::TooOld, 1));
    assert!(refused.detail.contains("600000 ms (out_of_order_time_window_ms)"), "{refused:?}");
    assert_eq!(offsets(&rig.all("a").await, "up"), [15, 30, 45]);
    let again = rig.push("a", one("up", [45])).await.unwrap();
    assert!(again.rejected.is_empty(), "the same sample again is taken: {again:?}");
}

#[tokio::test]
async fn batches_are_bounded_and_a_dropped_stream_ends_the_query() {
    let rig = Rig::start().await;
    for round in 0..3 {
        rig.push("a", many("wide", 8_000, round * 15)).await.unwrap();
    }
    let request =
        StreamSelectRequest { matchers: [].into(), min_t: NOW, max_t: NOW + 60_000, sorted: true, projection: model::Projection::WHOLE };
    let mut stream = rig.ingester.select(&rig.ctx("a"), request).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    let bytes: usize = first.iter().map(model::SeriesChunks::heap_bytes).sum();
    assert!((1 << 20..2 << 20).contains(&bytes), "{bytes} bytes in a batch");
    assert!(first.len() < 8_000);
    assert_eq!(rig.ingester.shared.open_queries(), 1);
    drop(stream);
    assert_eq!(rig.ingester.shared.open_queries(), 0);
}

#[tokio::test]
async fn ranges_and_matchers_select() {
    let rig = Rig::start().await;
    rig.push("a", many("up", 20, 0)).await.unwrap();
    rig.push("a", one("down", [0])).await.unwrap();
    let regex = Matcher::new(MatchOp::Regex, "instance", "i0000[0-4]").unwrap();
    let found = select(&rig.ingester, &rig.ctx("a"), &[Matcher::equal("__name__", "up"), regex]).await.unwrap();
    assert_eq!(found.len(), 5);
    for (min_t, max_t) in [(NOW + 1, NOW + 1_000), (NOW - 1_000, NOW - 1), (NOW + 1, NOW - 1)] {
        let request = StreamSelectRequest { matchers: [].into(), min_t, max_t, sorted: false, projection: model::Projection::WHOLE };
        let mut stream = rig.ingester.select(&rig.ctx("a"), request).await.unwrap();
        assert!(stream.next().await.is_none(), "nothing in [{min_t}, {max_t}]");
    }
}

#[tokio::test]
async fn labels_and_series_are_unions_of_alternatives() {
    let rig = Rig::start().await;
    rig.push("a", many("up", 3, 0)).await.unwrap();
    rig.push("a", one("down", [0])).await.unwrap();
    let ctx = rig.ctx("a");
    let request = |names: &[&str], limit| SeriesRequest {
        selectors: names.iter().map(|name| Arc::from([Matcher::equal("__name__", name)])).collect(),
        limit,
        ..everything()
    };
    let series = async |names: &[&str], limit| rig.ingester.series(&ctx, request(names, limit)).await.unwrap().len();
    assert_eq!(series(&[], 0).await, 4);
    assert_eq!(series(&["up"], 0).await, 3);
    assert_eq!(series(&["up", "down", "up"], 0).await, 4);
    assert_eq!(series(&["up", "down"], 2).await, 2);
    assert_eq!(series(&["none"], 0).await, 0);
    let names = rig.ingester.label_names(&ctx, request(&["up", "down"], 0)).await.unwrap();
    assert_eq!(names, ["__name__", "instance", "job"]);
    let values = async |names: &[&str], limit| {
        let request = LabelValuesRequest { name: "__name__".to_owned(), series: request(names, limit) };
        rig.ingester.label_values(&ctx, request).await.unwrap()
    };
    assert_eq!(values(&[], 0).await, ["down", "up"]);
    assert_eq!(values(&["up", "down"], 0).await, ["down", "up"]);
    assert_eq!(values(&["up", "down"], 1).await, ["down"]);
}

#[tokio::test]
async fn metadata_and_exemplars_are_kept() {
    let rig = Rig::start().await;
    let mut builder = BatchBuilder::new(Bytes::new());
    let up = labels("up", 0);
    let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "abc")]), value: 1.5, t: NOW };
    let metadata = Metadata { family: "up".to_owned(), metric_type: MetricType::Gauge, help: "h".to_owned(), unit: String::new() };
    builder.sample(Sample { t: NOW, v: 1.0 });
    builder.exemplar(exemplar.clone());
    builder.metadata(metadata.clone());
    builder.end_series_with(up.hash(), up.as_block());
    rig.ingester.push(&rig.ctx("a"), slice(builder.finish())).await.unwrap();
    for rig in [&rig, &rig.after_kill().await] {
        let ctx = rig.ctx("a");
        assert_eq!(rig.ingester.metadata(&ctx, None).await.unwrap(), std::slice::from_ref(&metadata));
        assert_eq!(rig.ingester.metadata(&ctx, Some("none".to_owned())).await.unwrap(), []);
        let found = rig.ingester.exemplars(&ctx, everything()).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].labels, &found[0].exemplars[..]), (&up, &[exemplar.clone()][..]));
    }
}

#[tokio::test]
async fn a_tenant_that_nobody_pushed_for_is_empty() {
    let rig = Rig::start().await;
    assert!(select_all(&rig.ingester, &rig.ctx("nobody")).await.unwrap().is_empty());
    assert!(rig.ingester.series(&rig.ctx("nobody"), everything()).await.unwrap().is_empty());
    assert_eq!(rig.ingester.shared.tenants.count(), 0, "asking makes no tenant");
}
