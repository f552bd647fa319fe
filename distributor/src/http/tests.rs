use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use limits::{Limits, LimitsProvider};
use model::{RejectReason, TenantId};
use prometheus_client::registry::Registry;
use prost::Message;
use proto::{remote_write_v1 as v1, remote_write_v2 as v2};
use rpc::RpcErrorKind;
use runtime::clock::SharedClock;
use runtime::{ManualClock, SystemClock, Tasks};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::push::tests::{Behaviour, FakePool, cluster};
use crate::{Config, Deps, Handle, build};

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

struct Rig {
    handle: Handle,
    pool: Arc<FakePool>,
    registry: Registry,
}

struct Answer {
    status: StatusCode,
    text: String,
    written: Option<[u64; 3]>,
    retry_after: Option<u64>,
}

fn rig(config: &Config, behaviour: Behaviour) -> Rig {
    rig_with(config, behaviour, LimitsProvider::default(), SystemClock::shared())
}

fn rig_with(config: &Config, behaviour: Behaviour, limits: LimitsProvider, clock: SharedClock) -> Rig {
    let (pool, snapshot) = cluster(&[behaviour]);
    let mut registry = Registry::default();
    let deps = Deps {
        clock,
        tasks: Tasks::new(),
        limits,
        keys: Arc::new(crate::ha::tests::Store::default()),
        ingesters: pool.clone(),
        cluster: watch::channel(Arc::new(snapshot)).1,
        replication_factor: 1,
        registry: &mut registry,
    };
    let handle = build(config, deps).unwrap().handle();
    Rig { handle, pool, registry }
}

fn take() -> Rig {
    rig(&Config::default(), Behaviour::Take)
}

impl Rig {
    async fn send(&self, content_type: &str, encoding: Option<&str>, body: impl Into<Body>) -> Answer {
        let mut request = Request::post("/api/v1/push").header("content-type", content_type);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let router = self.handle.router().layer(Extension(TenantId::anonymous()));
        answer(router.oneshot(request.body(body.into()).unwrap()).await.unwrap()).await
    }

    async fn push(&self, content_type: &str, message: &[u8]) -> Answer {
        let body = snap::raw::Encoder::new().compress_vec(message).unwrap();
        self.send(content_type, Some("snappy"), body).await
    }

    fn series(&self) -> usize {
        self.pool.0["ingester-0"].series.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

async fn answer(response: Response<Body>) -> Answer {
    let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().parse::<u64>().unwrap());
    let written = ["samples", "histograms", "exemplars"].map(|kind| header(&format!("x-prometheus-remote-write-{kind}-written")));
    let (status, retry_after) = (response.status(), header("retry-after"));
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let written = match written {
        [Some(a), Some(b), Some(c)] => Some([a, b, c]),
        [None, None, None] => None,
        some => panic!("only some of the headers: {some:?}"),
    };
    Answer { status, text: String::from_utf8(body.to_vec()).unwrap(), written, retry_after }
}

fn v1_series(labels: &[(&str, &str)], samples: usize) -> v1::TimeSeries {
    let label = |(name, value): &(&str, &str)| v1::Label { name: (*name).to_owned(), value: (*value).to_owned() };
    v1::TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: (0..samples).map(|i| v1::Sample { value: 1.0, timestamp: i as i64 + 1 }).collect(),
        ..v1::TimeSeries::default()
    }
}

fn v1_request(series: Vec<v1::TimeSeries>) -> Vec<u8> {
    v1::WriteRequest { timeseries: series, metadata: Vec::new() }.encode_to_vec()
}

fn good_v1() -> Vec<u8> {
    v1_request(vec![v1_series(&[("__name__", "up"), ("job", "x")], 2)])
}

/// Two series: one with two samples, a histogram and an exemplar; one with one sample and these label references.
fn v2_request(second: &[u32]) -> Vec<u8> {
    let symbols = ["", "__name__", "up", "job", "x", "down"].map(str::to_owned).to_vec();
    let sample = |timestamp| v2::Sample { value: 1.0, timestamp, start_timestamp: 0 };
    let first = v2::TimeSeries {
        labels_refs: vec![1, 2, 3, 4],
        samples: vec![sample(1), sample(2)],
        histograms: vec![v2::Histogram::default()],
        exemplars: vec![v2::Exemplar { labels_refs: vec![3, 4], value: 1.0, timestamp: 1 }],
        ..v2::TimeSeries::default()
    };
    let second = v2::TimeSeries { labels_refs: second.to_vec(), samples: vec![sample(1)], ..v2::TimeSeries::default() };
    v2::Request { symbols, timeseries: vec![first, second] }.encode_to_vec()
}

#[tokio::test]
async fn both_versions_are_taken_at_both_paths() {
    let rig = take();
    let first = rig.push(V1, &good_v1()).await;
    assert_eq!((first.status, first.written, first.text.as_str()), (StatusCode::NO_CONTENT, None, ""));
    let second = rig.push(V2, &v2_request(&[1, 5])).await;
    assert_eq!((second.status, second.written), (StatusCode::NO_CONTENT, Some([3, 1, 1])));
    let body = snap::raw::Encoder::new().compress_vec(&good_v1()).unwrap();
    let router = rig.handle.router().layer(Extension(TenantId::anonymous()));
    let third = router.oneshot(Request::post("/api/v1/write").body(Body::from(body)).unwrap()).await.unwrap();
    assert_eq!(third.status(), StatusCode::NO_CONTENT);
    assert_eq!(rig.series(), 4);
    let metrics = rig.metrics();
    for line in [
        "plimsoll_distributor_received_samples_total{kind=\"float\"} 7",
        "plimsoll_distributor_accepted_samples_total{kind=\"histogram\"} 1",
        "plimsoll_distributor_inflight_request_bytes 0",
        "plimsoll_distributor_known_series_total 2",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn partial_refusals_are_400_with_reasons_and_headers() {
    let rig = take();
    let mut series: Vec<_> = (0..25).map(|_| v1_series(&[("job", "x")], 2)).collect();
    series.push(v1_series(&[("__name__", "up")], 3));
    let first = rig.push(V1, &v1_request(series)).await;
    assert_eq!(first.status, StatusCode::BAD_REQUEST);
    assert!(first.text.contains("rejected 50 of 53 samples") && first.text.contains("The first 10 of 25 rejections"), "{}", first.text);
    assert_eq!(first.text.matches("missing_metric_name: ").count(), 10);
    assert_eq!(rig.series(), 1);
    let second = rig.push(V2, &v2_request(&[3, 4])).await;
    assert_eq!((second.status, second.written), (StatusCode::BAD_REQUEST, Some([2, 1, 1])));
    assert!(second.text.contains(r#"{"job"="x"}"#), "{}", second.text);
}

#[tokio::test]
async fn what_ingesters_refuse_is_told() {
    let rig = rig(&Config::default(), Behaviour::Reject(RejectReason::TooOld));
    let first = rig.push(V1, &good_v1()).await;
    assert_eq!(first.status, StatusCode::BAD_REQUEST);
    assert!(first.text.contains(r#"too_old: says the fake: series {__name__="up", job="x"}"#), "{}", first.text);
    assert!(rig.metrics().contains(r#"rejected_samples_total{reason="too_old",kind="float"} 2"#), "{}", rig.metrics());
}

#[tokio::test]
async fn exemplars_alone_do_not_fail_version_1() {
    let rig = take();
    let long = v1::Exemplar { labels: vec![v1::Label { name: "id".into(), value: "x".repeat(200) }], value: 1.0, timestamp: 1 };
    let series = v1::TimeSeries { exemplars: vec![long], ..v1_series(&[("__name__", "up")], 1) };
    assert_eq!(rig.push(V1, &v1_request(vec![series])).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn foreign_types_and_encodings_are_415() {
    let rig = take();
    for (content_type, encoding) in [
        ("text/plain", "snappy"),
        ("application/json", "snappy"),
        ("application/x-protobuf;proto=x.Y", "snappy"),
        (V1, "gzip"),
        (V2, "zstd"),
    ] {
        let got = rig.send(content_type, Some(encoding), good_v1()).await;
        assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type} {encoding}: {}", got.text);
    }
    assert_eq!(rig.series(), 0);
}

#[tokio::test]
async fn garbage_is_400_or_413_and_the_next_request_is_served() {
    let rig = take();
    let good = snap::raw::Encoder::new().compress_vec(&good_v1()).unwrap();
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x00];
    let cases: [(&[u8], StatusCode); 6] = [
        (b"", StatusCode::BAD_REQUEST),
        (b"neither snappy nor protobuf, but text", StatusCode::BAD_REQUEST),
        (&good[..good.len() - 3], StatusCode::BAD_REQUEST),
        (&bomb, StatusCode::PAYLOAD_TOO_LARGE),
        (&[0x04, 0x0c, 0x0a, 0x7f, 0x0a, 0x0a], StatusCode::BAD_REQUEST),
        (&[0xff; 64], StatusCode::BAD_REQUEST),
    ];
    for content_type in [V1, V2] {
        for (body, status) in cases {
            let got = rig.send(content_type, Some("snappy"), body.to_vec()).await;
            assert_eq!(got.status, status, "{body:x?}: {}", got.text);
            assert_eq!(got.written, (content_type == V2).then_some([0, 0, 0]));
            assert_eq!(rig.push(V1, &good_v1()).await.status, StatusCode::NO_CONTENT);
        }
    }
    assert!(rig.metrics().contains("plimsoll_distributor_inflight_request_bytes 0"));
}

#[tokio::test]
async fn sizes_are_bounded_and_named() {
    let config = Config { max_request_bytes_compressed: 3_000, max_request_bytes: 10_000, max_batch_bytes: 2_000, ..Config::default() };
    let rig = rig(&config, Behaviour::Take);
    let got = rig.send(V1, None, vec![0_u8; 3_001]).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(got.text.contains("distributor.max_request_bytes_compressed"), "{}", got.text);
    // Without a length in front, in pieces.
    let pieces = futures::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 100])));
    let got = rig.send(V1, None, Body::from_stream(pieces)).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    let got = rig.push(V1, &[0; 10_001]).await;
    assert!(got.status == StatusCode::PAYLOAD_TOO_LARGE && got.text.contains("distributor.max_request_bytes)"), "{}", got.text);
    let got = rig.push(V1, &v1_request(vec![v1_series(&[("__name__", "up")], 200)])).await;
    assert!(got.status == StatusCode::PAYLOAD_TOO_LARGE && got.text.contains("distributor.max_batch_bytes"), "{}", got.text);
    assert_eq!(rig.push(V1, &good_v1()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn bodies_in_pieces_are_whole() {
    let rig = take();
    let body = snap::raw::Encoder::new().compress_vec(&good_v1()).unwrap();
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> = body.chunks(7).map(|piece| Ok(piece.to_vec())).collect();
    let got = rig.send(V1, None, Body::from_stream(futures::stream::iter(pieces))).await;
    assert_eq!((got.status, rig.series()), (StatusCode::NO_CONTENT, 1), "{}", got.text);
}

#[tokio::test]
async fn large_requests_are_decoded_elsewhere_with_the_same_result() {
    let rig = take();
    let series = (0..3_000).map(|i| v1_series(&[("__name__", "up"), ("filler", &"x".repeat(1_000)), ("i", &i.to_string())], 1)).collect();
    assert_eq!(rig.push(V1, &v1_request(series)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(rig.series(), 3_000);
}

#[tokio::test]
async fn too_many_bytes_in_flight_are_503() {
    let rig = rig(&Config { max_inflight_request_bytes: 100, ..Config::default() }, Behaviour::Take);
    let got = rig.push(V1, &good_v1()).await;
    assert_eq!((got.status, got.retry_after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
    assert!(got.text.contains("distributor.max_inflight_request_bytes"), "{}", got.text);
}

#[tokio::test]
async fn failures_tell_whether_to_try_again() {
    let cases = [
        (Behaviour::Fail(RpcErrorKind::Unavailable), StatusCode::SERVICE_UNAVAILABLE, true),
        (Behaviour::Fail(RpcErrorKind::LimitExceeded), StatusCode::TOO_MANY_REQUESTS, true),
        (Behaviour::Fail(RpcErrorKind::Internal), StatusCode::INTERNAL_SERVER_ERROR, false),
        (Behaviour::Hang, StatusCode::SERVICE_UNAVAILABLE, true),
    ];
    for (behaviour, status, retry_after) in cases {
        let rig = rig(&Config { push_timeout_ms: 50, ..Config::default() }, behaviour.clone());
        let got = rig.push(V2, &v2_request(&[1, 5])).await;
        assert_eq!(
            (got.status, got.retry_after, got.written),
            (status, retry_after.then_some(1), Some([0, 0, 0])),
            "{behaviour:?}: {}",
            got.text
        );
    }
}

#[tokio::test]
async fn without_a_tenant_nothing_is_read() {
    let rig = take();
    let request = Request::post("/api/v1/push").header("content-type", V1).body(Body::from(good_v1())).unwrap();
    let got = rig.handle.router().oneshot(request).await.unwrap();
    assert_eq!(got.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_view_follows_the_cluster() {
    let (pool, snapshot) = cluster(&[Behaviour::Take]);
    let (sender, cluster) = watch::channel(Arc::new(ring::ClusterSnapshot::default()));
    let mut registry = Registry::default();
    let tasks = Tasks::new();
    let deps = Deps {
        clock: SystemClock::shared(),
        tasks: tasks.clone(),
        limits: LimitsProvider::default(),
        keys: Arc::new(crate::ha::tests::Store::default()),
        ingesters: pool.clone(),
        cluster,
        replication_factor: 1,
        registry: &mut registry,
    };
    let service = build(&Config::default(), deps).unwrap();
    let rig = Rig { handle: service.handle(), pool, registry };
    let (trigger, shutdown) = runtime::ShutdownTrigger::new();
    let running = tasks.spawn("distributor", service.run(shutdown));
    // Served before the cluster is seen: it waits for that.
    let appears = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        sender.send_replace(Arc::new(snapshot));
    };
    let body = good_v1();
    let (early, ()) = tokio::join!(rig.push(V1, &body), appears);
    assert_eq!(early.status, StatusCode::NO_CONTENT, "{}", early.text);
    trigger.fire();
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_writes_too_fast_is_told_when_to_come_back() {
    let clock = ManualClock::at(1_000_000);
    let limits = LimitsProvider::new(Limits { ingestion_rate: 1, ingestion_burst_size: 150, ..Limits::default() });
    let rig = rig_with(&Config::default(), Behaviour::Take, limits.clone(), Arc::new(clock.clone()));
    let of = |samples| v1_request(vec![v1_series(&[("__name__", "up")], samples)]);
    assert_eq!(rig.push(V1, &of(100)).await.status, StatusCode::NO_CONTENT);
    let refused = rig.push(V1, &of(100)).await;
    assert_eq!((refused.status, rig.series()), (StatusCode::TOO_MANY_REQUESTS, 1));
    assert_eq!(refused.retry_after, Some(50));
    let text = "the tenant may not write 100 samples now, but in 50 s (limit: ingestion_rate = 1 samples/s; change limits.ingestion_rate or the tenant's override)";
    assert_eq!(refused.text, text);
    // What does not pass is whole: it took nothing.
    assert_eq!(rig.push(V1, &of(50)).await.status, StatusCode::NO_CONTENT);
    let empty = rig.send(V1, Some("snappy"), "not looked into").await;
    assert_eq!((empty.status, empty.retry_after), (StatusCode::TOO_MANY_REQUESTS, Some(1)), "{}", empty.text);
    clock.advance(Duration::from_secs(20));
    assert_eq!(rig.push(V1, &of(20)).await.status, StatusCode::NO_CONTENT);
    // Live at once.
    limits.set_overrides(limits::Overrides::parse("overrides: {anonymous: {ingestion_rate: 0}}", limits.defaults()).unwrap(), 0);
    assert_eq!(rig.push(V1, &of(100_000)).await.status, StatusCode::NO_CONTENT);
    let metrics = rig.metrics();
    assert!(metrics.contains("plimsoll_distributor_rate_limited_requests_total 2\n"), "{metrics}");
}

#[tokio::test]
async fn what_is_more_than_the_burst_never_passes() {
    let limits = LimitsProvider::new(Limits { ingestion_rate: 1, ingestion_burst_size: 10, ..Limits::default() });
    let rig = rig_with(&Config::default(), Behaviour::Take, limits, SystemClock::shared());
    let refused = rig.push(V1, &v1_request(vec![v1_series(&[("__name__", "up")], 11)])).await;
    assert_eq!((refused.status, refused.retry_after), (StatusCode::PAYLOAD_TOO_LARGE, None));
    assert!(refused.text.contains("11 samples") && refused.text.contains("limit: ingestion_burst_size = 10 samples"), "{}", refused.text);
}
