//! Random histories against a naive model: appends of every kind, truncations, restarts through the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{FloatHistogram, Histogram, HistogramValue, Span, TenantId};
use proptest::prelude::*;

use super::*;
use crate::fs::FaultyFs;
use crate::head::series::same;
use crate::head_chunks::HeadChunks;
use crate::wal::{Wal, WalConfig};

#[derive(Debug, Clone)]
enum Op {
    /// Series number, time, what.
    Push(Vec<(usize, i64, Value)>),
    Truncate(i64),
    Restart,
    NewGeneration,
    /// Chunks leave memory; the disk has room for so many bytes.
    Offload(Option<usize>),
}

#[derive(Debug, Clone)]
enum Value {
    Float(u8),
    Stale,
    Int(u8),
    FloatHistogram(u8),
}

const SERIES: usize = 9;

fn any_op() -> impl Strategy<Value = Op> {
    let value = prop_oneof![
        8 => any::<u8>().prop_map(|n| Value::Float(n % 4)),
        1 => Just(Value::Stale),
        2 => any::<u8>().prop_map(|n| Value::Int(n % 8)),
        1 => any::<u8>().prop_map(|n| Value::FloatHistogram(n % 8)),
    ];
    // Times wander forward over two chunk ranges, with steps back, repetitions and leaps ahead of the clock.
    let sample = (0..SERIES, prop_oneof![9 => 0_i64..400, 1 => 0_i64..4000], value);
    prop_oneof![
        20 => proptest::collection::vec(sample, 1..30).prop_map(Op::Push),
        2 => (0_i64..400).prop_map(Op::Truncate),
        1 => Just(Op::Restart),
        1 => Just(Op::NewGeneration),
        3 => prop_oneof![Just(None), (0_usize..2000).prop_map(Some)].prop_map(Op::Offload),
    ]
}

#[derive(Debug, Default)]
struct Model {
    series: BTreeMap<usize, BTreeMap<i64, Point>>,
    oldest: i64,
}

/// What becomes of a sample by the model: taken, there already, or refused.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Taken,
    Duplicate,
    Refused(RejectReason),
}

impl Model {
    fn append(&mut self, series: usize, point: &Point, now: i64, grace: i64) -> Fate {
        if point.t() < self.oldest {
            return Fate::Refused(RejectReason::TooOld);
        }
        if point.t() > now + grace {
            return Fate::Refused(RejectReason::TooFarInFuture);
        }
        let samples = self.series.entry(series).or_default();
        match samples.last_key_value() {
            Some((newest, _)) if point.t() < *newest => Fate::Refused(RejectReason::OutOfOrder),
            Some((newest, last)) if point.t() == *newest => {
                if same_point(last, point) {
                    Fate::Duplicate
                } else {
                    Fate::Refused(RejectReason::DuplicateTimestamp)
                }
            }
            _ => {
                samples.insert(point.t(), point.clone());
                Fate::Taken
            }
        }
    }

    fn truncate(&mut self, before: i64) {
        self.oldest = self.oldest.max(before);
        for samples in self.series.values_mut() {
            *samples = samples.split_off(&self.oldest);
        }
        self.series.retain(|_, samples| !samples.is_empty());
    }
}

fn same_point(a: &Point, b: &Point) -> bool {
    match (a, b) {
        (Point::Float(a), Point::Float(b)) => a == b,
        (Point::Histogram(a), Point::Histogram(b)) => a.t == b.t && same(&a.value, &b.value),
        _ => false,
    }
}

fn point(t: i64, value: &Value) -> Point {
    let histogram = |n: u8| Histogram {
        schema: i32::from(n % 2),
        count: u64::from(n) * 3,
        zero_count: u64::from(n),
        sum: f64::from(n),
        positive_spans: vec![Span { offset: i32::from(n), length: 2 }],
        positive_deltas: vec![i64::from(n), 0],
        ..Histogram::default()
    };
    match value {
        Value::Float(n) => Point::Float(Sample { t, v: f64::from(*n) * 0.1 }),
        Value::Stale => Point::Float(Sample { t, v: model::stale_nan() }),
        Value::Int(n) => Point::Histogram(HistogramSample { t, value: HistogramValue::Int(Box::new(histogram(*n))) }),
        Value::FloatHistogram(n) => {
            let h: FloatHistogram = histogram(*n).to_float();
            Point::Histogram(HistogramSample { t, value: HistogramValue::Float(Box::new(h)) })
        }
    }
}

fn name(series: usize) -> Labels {
    labels(&[("__name__", "m"), ("group", &(series % 3).to_string()), ("series", &series.to_string())])
}

struct World {
    fs: FaultyFs,
    wal: Wal,
    files: HeadChunks,
    head: Arc<Head>,
    model: Model,
    now: i64,
}

const GRACE: i64 = 1_000_000;
/// Milliseconds per unit of the generated times; a chunk range is two hours.
const UNIT: i64 = 30_000;

fn config() -> HeadConfig {
    HeadConfig { creation_grace_ms: GRACE, stripes: 4, ..HeadConfig::default() }
}

impl World {
    fn new() -> Self {
        let fs = FaultyFs::new();
        let (wal, _) = Wal::open("wal", wal_config(), Arc::new(fs.clone())).unwrap();
        let model = Model { oldest: i64::MIN, ..Model::default() };
        let files = HeadChunks::open(Arc::new(fs.clone()), "chunks_head".into()).unwrap();
        Self { fs, wal, files, head: Arc::new(Head::new(config())), model, now: T0 }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Push(samples) => self.push(samples),
            Op::Truncate(back) => {
                let before = self.now - back * UNIT;
                self.head.truncate(before);
                self.model.truncate(before);
                self.wal.truncate(self.now, before).unwrap();
            }
            Op::NewGeneration => {
                self.wal.truncate(self.now, i64::MIN).unwrap();
                self.wal.truncate(self.now + wal_config().generation_ms, i64::MIN).unwrap();
            }
            Op::Offload(space) => {
                self.fs.set_space(*space);
                let done = self.head.offload(&self.files);
                assert!(space.is_some() || done.is_ok());
                self.fs.set_space(None);
                self.files.remove_unused();
            }
            Op::Restart => self.restart(),
        }
    }

    fn push(&mut self, samples: &[(usize, i64, Value)]) {
        self.now += 5 * UNIT;
        let mut builder = BatchBuilder::new(Bytes::new());
        let mut fates = Vec::new();
        for (series, offset, value) in samples {
            // Mostly behind the clock, sometimes ahead of it beyond the grace period.
            let point = point(self.now - 20 * UNIT + offset * UNIT / 8, value);
            match &point {
                Point::Float(s) => builder.sample(*s),
                Point::Histogram(h) => builder.histogram(h.clone()),
            }
            let labels = name(*series);
            builder.end_series_with(labels.hash(), labels.as_block());
            fates.push((*series, point));
        }
        let mut out = AppendOutcome::new();
        self.head.append(&builder.finish(), Selection::All, self.wal.generation(), self.now, &mut out);
        // Series that are there come before those that are made; within a series the order is the batch's.
        let got: BTreeMap<u32, RejectReason> = out.rejected.iter().map(|r| (r.series, r.reason)).collect();
        let mut taken = 0;
        for (i, (series, point)) in fates.iter().enumerate() {
            let fate = self.model.append(*series, point, self.now, GRACE);
            taken += u64::from(fate == Fate::Taken);
            let want = match fate {
                Fate::Refused(reason) => Some(reason),
                _ => None,
            };
            assert_eq!(got.get(&(i as u32)).copied(), want, "sample {i}: {point:?}");
        }
        self.model.series.retain(|_, samples| !samples.is_empty());
        assert_eq!(out.samples + out.histograms, taken);
        if !out.is_empty() {
            self.wal.append(&TenantId::anonymous(), out.take_record()).unwrap();
        }
        self.head.confirm(&out);
    }

    fn restart(&mut self) {
        self.fs = self.fs.after_kill();
        let (wal, replay) = Wal::open("wal", wal_config(), Arc::new(self.fs.clone())).unwrap();
        self.wal = wal;
        self.files = HeadChunks::open(Arc::new(self.fs.clone()), "chunks_head".into()).unwrap();
        self.files.remove_unused();
        self.head = Arc::new(Head::new(config()));
        self.head.truncate(self.model.oldest);
        let head = Arc::clone(&self.head);
        let report = replay.run(&move |_: &TenantId| Some(Arc::clone(&head)), 2).unwrap();
        let heads = report.heads;
        assert_eq!((report.quarantined, report.torn_bytes, heads.orphans, heads.malformed), (0, 0, 0, 0));
        // Series whose samples are all too old were defined by the log; the next truncation takes them.
        self.head.truncate(self.model.oldest);
    }

    fn check(&self) {
        let found = self.head.select(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX).unwrap();
        let mut got: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
        for series in &found {
            let points = points(series).into_iter().filter(|p| p.t() >= self.model.oldest).collect();
            assert!(got.insert(series.labels.clone(), points).is_none());
        }
        let want: BTreeMap<Labels, Vec<&Point>> =
            self.model.series.iter().map(|(n, samples)| (name(*n), samples.values().collect())).collect();
        assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
        for (labels, want) in want {
            let got = &got[&labels];
            assert!(got.len() == want.len() && got.iter().zip(&want).all(|(a, b)| same_point(a, b)), "{labels}: {got:?} {want:?}");
        }
        assert_eq!(self.head.series_count(), self.model.series.len());
    }
}

fn wal_config() -> WalConfig {
    WalConfig { segment_bytes: 2_000, ..WalConfig::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_head_is_what_the_model_says(ops in proptest::collection::vec(any_op(), 1..60)) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
            world.check();
        }
        world.restart();
        world.check();
    }
}
