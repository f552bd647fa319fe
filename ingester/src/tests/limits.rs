use limits::Limits;
use model::RejectReason;
use rpc::{IngesterClient, LabelValuesRequest, RpcErrorKind};

use super::rig::{NOW, Options, Rig, everything, labels, many, offsets, one, select_all};
use crate::Config;

async fn limited(limits: Limits) -> Rig {
    Rig::with(Options { limits, ..Options::default() }).await
}

#[tokio::test]
async fn series_beyond_max_series_are_refused_by_name() {
    let rig = limited(Limits { max_series: 10, ..Limits::default() }).await;
    let report = rig.push("a", many("up", 15, 0)).await.unwrap();
    assert_eq!(report.rejected.len(), 5);
    assert!(report.rejected.iter().all(|r| r.reason == RejectReason::SeriesLimit && r.detail.contains("max_series")), "{report:?}");
    assert_eq!(rig.all("a").await.len(), 10);
    assert!(rig.push("b", many("up", 10, 0)).await.unwrap().rejected.is_empty(), "each tenant has its own");
}

#[tokio::test]
async fn series_of_one_metric_are_refused_by_name() {
    let rig = limited(Limits { max_series_per_metric: 10, ..Limits::default() }).await;
    let report = rig.push("a", many("up", 15, 0)).await.unwrap();
    assert_eq!(report.rejected.len(), 5);
    let by_name =
        |r: &model::RejectedSeries| r.reason == RejectReason::MetricSeriesLimit && r.detail.contains("limit: max_series_per_metric = 10");
    assert!(report.rejected.iter().all(by_name), "{report:?}");
    assert!(rig.push("a", many("down", 10, 0)).await.unwrap().rejected.is_empty(), "each metric has its own");
    let unlimited = limited(Limits { max_series_per_metric: 0, max_series: 0, ..Limits::default() }).await;
    assert!(unlimited.push("a", many("up", 1_000, 0)).await.unwrap().rejected.is_empty());
}

#[tokio::test]
async fn samples_out_of_the_accepted_time_are_refused() {
    let rig = Rig::start().await;
    let day = 24 * 3_600;
    let reasons = |report: model::PushReport| report.rejected.iter().map(|r| r.reason).collect::<Vec<_>>();
    assert_eq!(reasons(rig.push("a", one("old", [-day - 1])).await.unwrap()), [RejectReason::TooOld]);
    assert_eq!(reasons(rig.push("a", one("old", [-day + 1])).await.unwrap()), []);
    assert_eq!(reasons(rig.push("a", one("new", [601])).await.unwrap()), [RejectReason::TooFarInFuture]);
    assert_eq!(reasons(rig.push("a", one("new", [599])).await.unwrap()), []);
}

#[tokio::test]
async fn late_samples_are_taken_within_the_window_and_come_back_whatever_it_is_then() {
    let rig = Rig::start().await;
    let reasons = |report: model::PushReport| report.rejected.iter().map(|r| r.reason).collect::<Vec<_>>();
    rig.push("a", one("up", [0])).await.unwrap();
    assert_eq!(reasons(rig.push("a", one("up", (-600..0).rev())).await.unwrap()), []);
    assert_eq!(reasons(rig.push("a", one("up", [-601])).await.unwrap()), [RejectReason::TooOld]);
    // A sender that was cut off for a day: in order within its series.
    assert_eq!(reasons(rig.push("a", one("cut_off", (-86_000..0).step_by(15))).await.unwrap()), []);
    let limits = Limits { out_of_order_time_window_ms: 0, ..Limits::default() };
    let killed = Rig::with(Options { fs: rig.fs.after_kill(), limits, ..Options::default() }).await;
    assert_eq!(offsets(&killed.all("a").await, "up"), (-600..=0).collect::<Vec<_>>());
    assert_eq!(reasons(killed.push("a", one("up", [-5, -601])).await.unwrap()), [RejectReason::OutOfOrder], "-5 is there already");
    let mut other = model::BatchBuilder::new(bytes::Bytes::new());
    other.sample(model::Sample { t: NOW - 5_000, v: 7.0 });
    let series = labels("up", 0);
    other.end_series_with(series.hash(), series.as_block());
    assert_eq!(reasons(killed.push("a", other.finish()).await.unwrap()), [RejectReason::DuplicateTimestamp]);
}

#[tokio::test]
async fn pushes_in_flight_are_bounded_by_name() {
    let config = Config { max_inflight_push_bytes: 1 << 20, ..Config::default() };
    let rig = Rig::with(Options { config, ..Options::default() }).await;
    let refused = rig.push("a", many("up", 20_000, 0)).await.unwrap_err();
    assert_eq!(refused.kind, RpcErrorKind::LimitExceeded, "it will never fit");
    assert!(refused.message.contains("ingester.max_inflight_push_bytes"), "{refused}");
    for round in 0..20 {
        rig.push("a", many("up", 1_000, round)).await.unwrap();
    }
    assert_eq!(rig.ingester.shared.inflight.used(), 0);
}

#[tokio::test]
async fn answers_are_bounded_by_name() {
    let rig = limited(Limits { max_query_series: 100, ..Limits::default() }).await;
    let ctx = rig.ctx("a");
    rig.push("a", many("up", 100, 0)).await.unwrap();
    assert_eq!(rig.all("a").await.len(), 100);
    rig.push("a", one("one_more", [0])).await.unwrap();
    let values = LabelValuesRequest { name: "instance".to_owned(), series: everything() };
    let errors = [select_all(&rig.ingester, &ctx).await.unwrap_err(), rig.ingester.series(&ctx, everything()).await.unwrap_err()];
    for error in errors {
        assert_eq!(error.kind, RpcErrorKind::LimitExceeded);
        assert!(error.message.contains("max_query_series"), "{error}");
    }
    assert_eq!(rig.ingester.label_values(&ctx, values).await.unwrap().len(), 100);
    let some = rpc::SeriesRequest { limit: 7, ..everything() };
    assert_eq!(rig.ingester.series(&ctx, some).await.unwrap().len(), 7);
}
