//! The engine on data of the size that dashboards read: 6 h at 15 s, evaluated every 60 s.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]
#![allow(clippy::disallowed_methods, reason = "a benchmark brings a thread of its own")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use model::{Labels, Matcher};
use promql::parser::{ParseOptions, parse};
use promql::storage::{SelectHints, SelectRequest};
use promql::{Engine, EngineOptions, MemoryStorage, Point, PointValue, QueryContext, Queryable, Workers};
use tsdb::chunk::decode_xor_into;

const HOUR: i64 = 3_600_000;
const END: i64 = 6 * HOUR;
const SCRAPE: i64 = 15_000;
const STEP: i64 = 60_000;

/// Counters and gauges with eleven labels each, as node_exporter behind Kubernetes service discovery has them.
fn storage(series: u32) -> Arc<MemoryStorage> {
    let mut store = MemoryStorage::new();
    let mut seed = 1_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32
    };
    let modes = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"];
    for i in 0..series {
        let host = i / 8;
        let labels = Labels::from_pairs([
            ("__name__", "node_cpu_seconds_total".to_owned()),
            ("cluster", "production-eu-west-1".to_owned()),
            ("container", "node-exporter".to_owned()),
            ("cpu", (host % 16).to_string()),
            ("endpoint", "metrics".to_owned()),
            ("instance", format!("10.{}.{}.{}:9100", host / 4096, host / 16 % 256, host % 16)),
            ("job", format!("node-exporter-{}", host % 5)),
            ("le", bounds[i as usize % bounds.len()].to_owned()),
            ("mode", modes[i as usize % modes.len()].to_owned()),
            ("namespace", format!("monitoring-{}", host % 10)),
            ("pod", format!("node-exporter-{host:05}")),
        ]);
        let mut value = f64::from(random() % 10_000);
        let points: Vec<Point> = (0..=END / SCRAPE)
            .map(|n| {
                value += f64::from(random() % 1_500) / 100.0;
                Point { t: n * SCRAPE + i64::from(i % 15_000), value: PointValue::Float((value * 100.0).round() / 100.0) }
            })
            .collect();
        store.append(&labels, &points).expect("points ascend");
    }
    Arc::new(store)
}

fn decode(c: &mut Criterion) {
    let store = storage(500);
    let request = || SelectRequest {
        matchers: Arc::from([Matcher::equal("__name__", "node_cpu_seconds_total")].as_slice()),
        min_t: 0,
        max_t: END,
        hints: SelectHints::default(),
    };
    let mut series = Vec::new();
    let mut source = store.select(request()).expect("select");
    while let Some(batch) = source.next_batch().expect("batch") {
        series.extend(batch);
    }
    c.bench_function("decode 500 series x 6h", |b| {
        let (mut ts, mut vs) = (Vec::new(), Vec::new());
        b.iter(|| {
            for series in &series {
                ts.clear();
                vs.clear();
                for chunk in &series.chunks {
                    decode_xor_into(&chunk.data, 0, END, &mut ts, &mut vs).expect("valid chunks");
                }
                black_box((&ts, &vs));
            }
        });
    });
}

fn queries(c: &mut Criterion, series: u32, queries: &[(&str, i64)]) {
    let store = storage(series);
    let engine = Engine::new(EngineOptions::default());
    let context = QueryContext::new(store);
    for (text, step) in queries {
        let expr = parse(text, &ParseOptions::all()).expect("valid query");
        c.bench_function(&format!("{series} series: {text} step {step}"), |b| {
            b.iter(|| match step {
                0 => engine.instant(&expr, END, &context).expect("answer"),
                step => engine.range(&expr, 0, END, *step, &context).expect("answer"),
            });
        });
    }
}

/// The same query alone and with the help of another thread: how much sooner it ends, and for how much more CPU.
fn helped(c: &mut Criterion) {
    let engine = Engine::new(EngineOptions::default());
    let alone = QueryContext::new(storage(2_000));
    let expr = parse("sum by (mode) (rate(node_cpu_seconds_total[5m]))", &ParseOptions::all()).expect("valid query");
    for (name, workers) in [("alone", None), ("one helper", Some(Arc::new(Helper::start()) as Arc<dyn Workers>))] {
        let context = QueryContext { workers, ..alone.clone() };
        c.bench_function(&format!("2000 series, {name}: sum by (mode) (rate(node_cpu_seconds_total[5m])) step {STEP}"), |b| {
            b.iter(|| engine.range(&expr, 0, END, STEP, &context).expect("answer"));
        });
    }
}

/// A thread that waits for work.
struct Helper(std::sync::mpsc::SyncSender<Arc<dyn Fn() + Send + Sync>>);

impl Helper {
    fn start() -> Self {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<Arc<dyn Fn() + Send + Sync>>(1);
        drop(std::thread::spawn(move || receiver.into_iter().for_each(|work| work())));
        Self(sender)
    }
}

impl Workers for Helper {
    fn most(&self) -> usize {
        1
    }

    fn help(&self, _: usize, work: &Arc<dyn Fn() + Send + Sync>) {
        // Who is busy does not help.
        drop(self.0.try_send(Arc::clone(work)));
    }
}

fn small(c: &mut Criterion) {
    queries(
        c,
        500,
        &[
            ("sum by (mode) (rate(node_cpu_seconds_total[5m]))", STEP),
            ("histogram_quantile(0.99, sum by (le, namespace) (rate(node_cpu_seconds_total[5m])))", STEP),
            ("node_cpu_seconds_total", STEP),
            ("avg_over_time(node_cpu_seconds_total[1h])", STEP),
            ("max_over_time(node_cpu_seconds_total[1h])", STEP),
            ("quantile_over_time(0.9, node_cpu_seconds_total[10m])", STEP),
            ("topk(5, rate(node_cpu_seconds_total[5m]))", STEP),
            ("rate(node_cpu_seconds_total[5m]) / on (pod, mode, le) rate(node_cpu_seconds_total[5m])", STEP),
            ("max_over_time(rate(node_cpu_seconds_total[5m])[30m:1m])", STEP),
            ("count by (job) (node_cpu_seconds_total)", 0),
        ],
    );
}

fn large(c: &mut Criterion) {
    queries(
        c,
        10_000,
        &[
            ("sum by (mode) (rate(node_cpu_seconds_total[5m]))", STEP),
            ("count by (job) ({__name__!=\"\"})", 0),
            ("abs(node_cpu_seconds_total)", 0),
        ],
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = decode, small, helped, large
}
criterion_main!(benches);
