use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use bytes::Bytes;
use model::{BatchBuilder, Exemplar, Histogram, HistogramSample, HistogramValue, Labels, Matcher, Metadata, RejectReason, Sample, Span};
use proto::ingester as wire;
use proto::ingester::ingester_client::IngesterClient as WireClient;
use proto::ingester::ingester_server::Ingester as WireService;
use ring::{Instance, InstanceId, InstanceState, Role};
use rpc::ingester_grpc::GrpcIngesterPool;
use rpc::{CallContext, Channels, ClusterIdentity, IngesterClient, IngesterPool, LabelValuesRequest, PushSlice, RpcErrorKind};
use runtime::{Clock, Deadline, SystemClock};
use tokio_stream::wrappers::TcpListenerStream;

use super::rig::{NOW, Options, Rig, everything, labels, many, offsets, one, select_all, slice};

struct Remote {
    rig: Rig,
    client: Arc<dyn IngesterClient>,
    address: String,
    clock: Arc<SystemClock>,
}

fn identity(id: &str) -> ClusterIdentity {
    let identity = ClusterIdentity::new();
    assert!(identity.learn(id));
    identity
}

async fn serve(rig: Rig) -> Remote {
    serve_with(rig, |service| service).await
}

async fn serve_with<S: WireService>(rig: Rig, wrap: impl FnOnce(crate::grpc::IngesterService) -> S) -> Remote {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = crate::grpc::bounded(wrap(crate::grpc::service(rig.ingester.clone(), identity("blue"))));
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    let clock = Arc::new(SystemClock::new());
    let client = pool(&clock, "blue").client(&instance(&address));
    Remote { rig, client, address, clock }
}

fn pool(clock: &Arc<SystemClock>, cluster: &str) -> GrpcIngesterPool {
    GrpcIngesterPool::new(Channels::new(Arc::clone(clock) as Arc<dyn Clock>), Arc::clone(clock) as Arc<dyn Clock>, identity(cluster))
}

fn instance(address: &str) -> Instance {
    Instance {
        id: InstanceId::new("i-1").unwrap(),
        role: Role::Ingester,
        address: address.to_owned(),
        zone: "z".to_owned(),
        state: InstanceState::Active,
        epoch: 1,
        registered_at_ms: 0,
        moved_at_ms: 0,
        emptied_at_ms: 0,
    }
}

impl Remote {
    fn ctx(&self, tenant: &str) -> CallContext {
        CallContext { tenant: model::TenantId::new(tenant).unwrap(), deadline: Deadline::after(&*self.clock, Duration::from_secs(20)) }
    }

    /// A raw client, for requests that ours would not send.
    async fn raw(&self) -> WireClient<tonic::transport::Channel> {
        WireClient::connect(format!("http://{}", self.address)).await.unwrap()
    }
}

fn raw_request<M>(message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("x-scope-orgid", "a".parse().unwrap());
    request.metadata_mut().insert("x-plimsoll-cluster", "blue".parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_over_the_wire() {
    let remote = serve(Rig::start().await).await;
    let ctx = remote.ctx("a");
    let mut builder = BatchBuilder::new(Bytes::new());
    let up = labels("up", 0);
    let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "abc")]), value: 1.5, t: NOW };
    let metadata = Metadata { family: "up".to_owned(), metric_type: model::MetricType::Gauge, help: "h".to_owned(), unit: String::new() };
    builder.sample(Sample { t: NOW, v: f64::from_bits(model::STALE_NAN_BITS) });
    builder.exemplar(exemplar.clone());
    builder.metadata(metadata.clone());
    builder.end_series_with(up.hash(), up.as_block());
    let native = labels("native", 0);
    builder.histogram(HistogramSample {
        t: NOW,
        value: HistogramValue::Int(Box::new(Histogram {
            schema: 3,
            zero_threshold: 1e-9,
            count: 3,
            sum: 4.0,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_deltas: vec![1, 1],
            ..Histogram::default()
        })),
    });
    builder.end_series_with(native.hash(), native.as_block());
    let report = remote.client.push(&ctx, slice(builder.finish())).await.unwrap();
    assert!(report.rejected.is_empty(), "{report:?}");

    let both = remote.client.series(&ctx, everything()).await.unwrap();
    assert_eq!(both.len(), 2);
    assert_eq!(remote.client.label_names(&ctx, everything()).await.unwrap(), ["__name__", "instance", "job"]);
    let values = LabelValuesRequest { name: "__name__".to_owned(), series: everything() };
    assert_eq!(remote.client.label_values(&ctx, values).await.unwrap(), ["native", "up"]);
    assert_eq!(remote.client.metadata(&ctx, None).await.unwrap(), [metadata]);
    let exemplars = remote.client.exemplars(&ctx, everything()).await.unwrap();
    assert_eq!((&exemplars[0].labels, &exemplars[0].exemplars[..]), (&up, &[exemplar][..]));
    let wanted = |name: &str| rpc::CardinalityRequest {
        names: vec![name.to_owned()],
        matchers: [Matcher::equal("__name__", "up")].into(),
        min_t: i64::MIN,
        max_t: i64::MAX,
    };
    let counted = remote.client.cardinality(&ctx, wanted("__name__")).await.unwrap();
    assert_eq!((counted.series, counted.total_series, counted.chunks, counted.times), (1, 2, 2, Some((NOW, NOW))));
    assert_eq!(counted.labels, [rpc::LabelCounts { name: "__name__".to_owned(), values: vec![("up".to_owned(), 1)] }]);
    assert_eq!(remote.client.cardinality(&remote.ctx("b"), wanted("__name__")).await.unwrap(), rpc::Cardinality::default());
    let only = super::rig::select(&*remote.client, &ctx, &[Matcher::equal("__name__", "up")]).await.unwrap();
    assert!(model::is_stale_nan(only[&up.to_string()][0].1));
    assert!(remote.client.series(&remote.ctx("b"), everything()).await.unwrap().is_empty());
}

/// The first push brings the labels, later ones hashes; what is new among them, and everything after a restart, is sent again with labels.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_are_named_by_hash_where_they_are_known() {
    let remote = serve(Rig::start().await).await;
    let ctx = remote.ctx("a");
    for round in 0..4 {
        let mut some = many("up", 300, round * 15);
        if round == 2 {
            some = many("more", 500, round * 15);
        }
        let report = remote.client.push(&ctx, slice(some)).await.unwrap();
        assert_eq!(report, model::PushReport::default(), "{round}");
    }
    let part = PushSlice { batch: Arc::new(many("part", 10, 0)), series: Some(Arc::from([2, 9])), metadata: true };
    assert_eq!(remote.client.push(&ctx, part).await.unwrap(), model::PushReport::default());
    let all = select_all(&*remote.client, &ctx).await.unwrap();
    assert_eq!(all.len(), 300 + 500 + 2);
    assert_eq!(all.values().map(Vec::len).sum::<usize>(), 3 * 300 + 500 + 2);

    // Both are told apart on the wire, and a lie about lengths is refused.
    let mut raw = remote.raw().await;
    let by_hash = |name: &str| proto::convert::ingester::push_by_hash_to_wire(&many(name, 2, 60), None, false);
    let answer = raw.push(raw_request(by_hash("up"))).await.unwrap().into_inner();
    assert!(answer.unknown.is_empty() && answer.takes_hashes);
    let answer = raw.push(raw_request(by_hash("new"))).await.unwrap().into_inner();
    assert_eq!(answer.unknown, [0, 1]);
    for lie in 0..3 {
        let mut message = by_hash("up");
        match lie {
            0 => message.series_hashes.truncate(31),
            1 => message.label_block_lengths = vec![1],
            _ => message.exemplars = vec![wire::SeriesExemplar { series: 0, exemplar: None }],
        }
        let status = raw.push(raw_request(message)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
    }
}

/// An ingester of a version that does not know hashes, as long as `old` says so: it says nothing of them, and finds fewer series than samples in such a message.
struct Old {
    now: crate::grpc::IngesterService,
    old: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
}

type Answers<T> = std::pin::Pin<Box<dyn futures::Stream<Item = Result<T, tonic::Status>> + Send>>;

macro_rules! same {
    ($($method:ident($request:ty) -> $answer:ty;)*) => {
        #[tonic::async_trait]
        impl WireService for Old {
            type SelectStream = Answers<wire::SelectResponse>;
            type SeriesStream = Answers<wire::SeriesResponse>;
            async fn push(&self, request: tonic::Request<wire::PushRequest>) -> Result<tonic::Response<wire::PushResponse>, tonic::Status> {
                let old = self.old.load(SeqCst);
                if old && !request.get_ref().series_hashes.is_empty() {
                    self.refused.fetch_add(1, SeqCst);
                    return Err(tonic::Status::invalid_argument("the series have 0 samples together"));
                }
                let mut answer = self.now.push(request).await?;
                answer.get_mut().takes_hashes &= !old;
                Ok(answer)
            }
            $(async fn $method(&self, request: tonic::Request<$request>) -> Result<tonic::Response<$answer>, tonic::Status> {
                self.now.$method(request).await
            })*
        }
    };
}

same! {
    select(wire::SelectRequest) -> Self::SelectStream;
    series(wire::SeriesRequest) -> Self::SeriesStream;
    label_names(wire::SeriesRequest) -> wire::StringsResponse;
    label_values(wire::LabelValuesRequest) -> wire::StringsResponse;
    metadata(wire::MetadataRequest) -> wire::MetadataResponse;
    exemplars(wire::SeriesRequest) -> wire::ExemplarsResponse;
    cardinality(wire::CardinalityRequest) -> wire::CardinalityResponse;
    held_blocks(wire::HeldBlocksRequest) -> wire::HeldBlocksResponse;
}

/// Up, and back to the old version, at one address: no push fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_do_not_know_hashes_get_labels() {
    let rig = Rig::start().await;
    let (old, refused) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let remote = serve_with(rig, |now| Old { now, old: Arc::clone(&old), refused: Arc::clone(&refused) }).await;
    let ctx = remote.ctx("a");
    let mut round = 0;
    for (is_old, refusals) in [(true, 0), (false, 0), (true, 1), (false, 1)] {
        old.store(is_old, SeqCst);
        for _ in 0..3 {
            assert_eq!(remote.client.push(&ctx, slice(many("up", 50, round * 15))).await.unwrap(), model::PushReport::default());
            round += 1;
        }
        assert_eq!(refused.load(SeqCst), refusals);
    }
    let all = select_all(&*remote.client, &ctx).await.unwrap();
    assert!(all.len() == 50 && all.values().all(|samples| samples.len() == 12));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_doors_show_the_same() {
    let remote = serve(Rig::start().await).await;
    let ctx = remote.ctx("a");
    for round in 0..3 {
        remote.client.push(&ctx, slice(many("up", 20_000, round * 15))).await.unwrap();
    }
    let part = PushSlice { batch: Arc::new(many("part", 10, 0)), series: Some(Arc::from([2, 9])), metadata: true };
    remote.client.push(&ctx, part).await.unwrap();
    let outside = select_all(&*remote.client, &ctx).await.unwrap();
    assert_eq!(outside.len(), 20_002);
    assert!(outside == remote.rig.all("a").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_carry_the_index_of_the_callers_batch() {
    let remote = serve(Rig::start().await).await;
    let ctx = remote.ctx("a");
    remote.client.push(&ctx, slice(many("up", 10, 0))).await.unwrap();
    let late = PushSlice { batch: Arc::new(many("up", 10, -601)), series: Some(Arc::from([3, 8])), metadata: false };
    let report = remote.client.push(&ctx, late).await.unwrap();
    let refused: Vec<_> = report.rejected.iter().map(|r| (r.series, r.reason, r.samples)).collect();
    assert_eq!(refused, [(3, RejectReason::TooOld, 1), (8, RejectReason::TooOld, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lies_are_refused_and_the_rest_goes_on() {
    let remote = serve(Rig::start().await).await;
    let mut raw = remote.raw().await;
    let honest = || proto::convert::ingester::push_to_wire(&many("up", 2, 0), None, false);
    let mut lies = Vec::new();
    for lie in 0..6 {
        let mut message = honest();
        match lie {
            0 => message.label_block_lengths[0] = u32::MAX,
            1 => message.sample_counts = vec![u32::MAX, u32::MAX],
            2 => message.values.truncate(1),
            3 => message.histograms = vec![Bytes::from_static(&[0xff; 9])],
            4 => message.exemplars = vec![wire::SeriesExemplar { series: 7, exemplar: None }],
            _ => message.label_block_lengths = vec![0, message.label_blocks.len() as u32],
        }
        lies.push(message);
    }
    for message in lies {
        let status = raw.push(raw_request(message)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
    }
    // A block that is not canonical is the head's to refuse, series by series.
    let mut shifted = honest();
    shifted.label_block_lengths[0] += 1;
    shifted.label_block_lengths[1] -= 1;
    let answer = raw.push(raw_request(shifted)).await.unwrap().into_inner();
    assert_eq!(answer.rejected.len(), 2, "{answer:?}");
    let matchers = vec![wire::Matcher { op: 9, ..wire::Matcher::default() }];
    let status = raw.select(raw_request(wire::SelectRequest { matchers, ..wire::SelectRequest::default() })).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let mut nobody = raw_request(honest());
    nobody.metadata_mut().remove("x-scope-orgid");
    let status = raw.push(nobody).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "no tenant");
    let mut lost = raw_request(honest());
    lost.metadata_mut().remove("x-plimsoll-cluster");
    let status = raw.push(lost).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition, "no cluster");
    let status = raw.label_values(raw_request(wire::LabelValuesRequest::default())).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(remote.rig.all("a").await.is_empty());
    remote.client.push(&remote.ctx("a"), slice(one("up", [0]))).await.unwrap();
    assert_eq!(offsets(&remote.rig.all("a").await, "up"), [0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_keep_their_kind_over_the_wire() {
    let config = crate::Config { max_tenants: 1, ..crate::Config::default() };
    let remote = serve(Rig::with(Options { config, ..Options::default() }).await).await;
    let push = async |tenant| remote.client.push(&remote.ctx(tenant), slice(one("up", [0]))).await;
    push("a").await.unwrap();
    let refused = push("b").await.unwrap_err();
    assert_eq!(refused.kind, RpcErrorKind::LimitExceeded);
    assert!(refused.message.contains("ingester.max_tenants") && refused.message.contains(&remote.address), "{refused}");

    let stranger = pool(&remote.clock, "green").client(&instance(&remote.address));
    assert_eq!(stranger.push(&remote.ctx("a"), slice(one("up", [1]))).await.unwrap_err().kind, RpcErrorKind::Fenced);

    let nobody = pool(&remote.clock, "blue").client(&instance("127.0.0.1:1"));
    assert_eq!(nobody.push(&remote.ctx("a"), slice(one("up", [1]))).await.unwrap_err().kind, RpcErrorKind::Unavailable);

    let late = CallContext { deadline: Deadline::after(&*remote.clock, Duration::ZERO), ..remote.ctx("a") };
    assert_eq!(remote.client.push(&late, slice(one("up", [1]))).await.unwrap_err().kind, RpcErrorKind::DeadlineExceeded);

    remote.rig.trigger.fire();
    remote.rig.running.await.unwrap().unwrap();
    let ctx =
        CallContext { tenant: model::TenantId::new("a").unwrap(), deadline: Deadline::after(&*remote.clock, Duration::from_secs(20)) };
    assert_eq!(remote.client.push(&ctx, slice(one("up", [1]))).await.unwrap_err().kind, RpcErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_stream_ends_the_query_over_there() {
    let remote = serve(Rig::start().await).await;
    let ctx = remote.ctx("a");
    for round in 0..4 {
        remote.client.push(&ctx, slice(many("wide", 30_000, round * 15))).await.unwrap();
    }
    let request = rpc::StreamSelectRequest {
        matchers: [].into(),
        min_t: NOW,
        max_t: NOW + 60_000,
        sorted: true,
        projection: model::Projection::WHOLE,
    };
    let mut stream = remote.client.select(&ctx, request).await.unwrap();
    assert!(!futures::StreamExt::next(&mut stream).await.unwrap().unwrap().is_empty());
    drop(stream);
    for _ in 0..200 {
        if remote.rig.ingester.shared.open_queries() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the query is still open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_an_ingester_asks_itself_inside() {
    let remote = serve(Rig::start().await).await;
    let own = instance("address that does not exist");
    let others: Arc<dyn IngesterPool> = Arc::new(pool(&remote.clock, "blue"));
    let inside = crate::InProcessPool::new(own.id.clone(), remote.rig.ingester.clone(), others);
    let ctx = remote.ctx("a");
    inside.client(&own).push(&remote.rig.ctx("a"), slice(one("up", [0]))).await.unwrap();
    let other = Instance { id: InstanceId::new("i-2").unwrap(), ..instance(&remote.address) };
    assert_eq!(offsets(&select_all(&*inside.client(&other), &ctx).await.unwrap(), "up"), [0]);
}
