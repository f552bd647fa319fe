//! The data set: counters that reset, gauges, special values, stale markers, gaps, classic histograms.
//!
//! Values have few binary digits, so that sums are exact in any order, unless a metric is there for rounding.

use model::Labels;
use proto::remote_write_v1 as v1;

use super::random::Random;

/// The scrapes of one target.
pub const SCRAPES: usize = 100;
/// The time of the first scrape to that of the last, about. Prometheus takes samples that are at most an hour older than its newest.
pub const SPAN_MS: i64 = SCRAPES as i64 * SCRAPE_MS;
const SCRAPE_MS: i64 = 30_000;
/// All series come into being this long before the first scrape, with a stale marker, in the order of their labels: so both servers hold
/// them in the same order, where an answer depends on it.
const PRELUDE_MS: i64 = 400_000;
/// The bits of a stale marker.
const STALE: u64 = 0x7ff0_0000_0000_0002;
/// Scrapes per request.
const SLICE: usize = 10;

/// Upper bounds of the histograms' buckets.
const BOUNDS: [&str; 6] = ["0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

/// One series.
#[derive(Debug, Clone)]
pub struct TestSeries {
    /// Its labels, the name among them.
    pub labels: Labels,
    /// Milliseconds and values, ascending.
    pub samples: Vec<(i64, f64)>,
}

/// All series, in the order of their labels; times from `base` on.
#[must_use]
pub fn series(seed: u64, base: i64) -> Vec<TestSeries> {
    let mut maker = Maker { random: Random::new(seed), base, out: Vec::new(), times: Vec::new() };
    for job in ["api", "db", "web"] {
        for instance in ["i0", "i1", "i2", "i3"] {
            maker.target(job, instance);
        }
    }
    maker.shared();
    maker.special();
    let mut all = maker.out;
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

/// The requests that bring all series to a server.
#[must_use]
pub fn requests(series: &[TestSeries], base: i64) -> Vec<v1::WriteRequest> {
    let with = |s: &TestSeries, samples: Vec<v1::Sample>| v1::TimeSeries {
        labels: s.labels.iter().map(|(name, value)| v1::Label { name: name.to_owned(), value: value.to_owned() }).collect(),
        samples,
        ..v1::TimeSeries::default()
    };
    let prelude = v1::Sample { value: f64::from_bits(STALE), timestamp: base - PRELUDE_MS };
    let mut all = vec![series.iter().map(|s| with(s, vec![prelude])).collect::<Vec<_>>()];
    let slice_ms = SLICE as i64 * SCRAPE_MS;
    for i in 0..SCRAPES.div_ceil(SLICE) as i64 + 1 {
        let (from, to) = (base + i * slice_ms, base + (i + 1) * slice_ms);
        let slice = series.iter().filter_map(|s| {
            let samples = s.samples.iter().filter(|(t, _)| (from..to).contains(t));
            let samples: Vec<_> = samples.map(|&(timestamp, value)| v1::Sample { value, timestamp }).collect();
            (!samples.is_empty()).then(|| with(s, samples))
        });
        all.push(slice.collect());
    }
    all.into_iter().filter(|t| !t.is_empty()).map(|timeseries| v1::WriteRequest { timeseries, metadata: Vec::new() }).collect()
}

struct Maker {
    random: Random,
    base: i64,
    out: Vec<TestSeries>,
    /// When the current target is scraped.
    times: Vec<i64>,
}

impl Maker {
    fn target(&mut self, job: &str, instance: &str) {
        self.times = self.scrape_times(instance == "i0");
        let target = [("job", job), ("instance", instance)];
        for code in ["200", "404", "500"] {
            for method in ["get", "post"] {
                self.counter("requests_total", &target, &[("code", code), ("method", method)], 64);
            }
            self.counter("errors_total", &target, &[("code", code)], 3);
        }
        for room in ["attic", "cellar"] {
            self.walk("temperature", &target, &[("room", room)], 0.125);
        }
        self.walk("memory_bytes", &target, &[], 4096.0);
        self.walk("ratio", &target, &[], 0.001_7);
        let version = if instance == "i1" { "1.1" } else { "1.0" };
        self.each("build_info", &target, &[("version", version), ("job_version", &format!("{job}-{version}"))], |_, _| 1.0);
        self.each("up", &target, &[], |random, _| if random.percent(10) { 0.0 } else { 1.0 });
        self.each("start_time_seconds", &target, &[], |_, t| (t / 600_000 * 600) as f64);
        if instance != "i3" {
            self.histogram("latency_seconds", &target);
        }
    }

    /// Names that differ while the other labels are the same, and names beyond ASCII.
    fn shared(&mut self) {
        self.times = self.scrape_times(false);
        for job in ["api", "db"] {
            for name in ["shared_a", "shared_b", "shared_c"] {
                self.walk(name, &[("job", job)], &[("shard", "0")], 1.0);
            }
        }
        self.walk("http.server.duration", &[("job", "api")], &[("service.name", "größe")], 0.5);
        self.walk("texts", &[("job", "api")], &[("text", "two\nlines \"quoted\" \\ back")], 0.5);
        self.walk("texts", &[("job", "api")], &[("text", "a.b")], 0.5);
        self.walk("texts", &[("job", "")], &[("text", "axb")], 0.5);
    }

    fn special(&mut self) {
        self.times = self.scrape_times(false);
        let target = [("job", "odd"), ("instance", "i0")];
        type Value = fn(&mut Random, i64) -> f64;
        let kinds: [(&str, Value); 12] = [
            ("nan", |_, _| f64::NAN),
            ("inf", |_, _| f64::INFINITY),
            ("minus_inf", |_, _| f64::NEG_INFINITY),
            ("zero", |_, _| 0.0),
            ("minus_zero", |_, _| -0.0),
            ("huge", |r, _| f64::MAX / f64::from(1_u32 << r.below(3))),
            ("tiny", |r, _| 1e-300 * r.below(1 << 20) as f64),
            ("flat", |_, _| 42.5),
            ("flat_fraction", |_, _| 0.1),
            ("integer", |r, _| r.between(-1_000_000, 1_000_000) as f64),
            ("mixed", |r, _| [f64::NAN, 1.0, f64::INFINITY, -3.5, f64::NEG_INFINITY, 0.0, 7.0, 1e17][r.below(8) as usize]),
            ("time", |_, t| t as f64 / 1_000.0),
        ];
        for (kind, value) in kinds {
            self.each("special", &target, &[("kind", kind)], value);
        }
        // Buckets that are no histogram: not a number, not ascending, no +Inf, twice the same bound.
        for (set, bounds) in [
            ("unparsable", ["0.1", "x", "1", "+Inf"]),
            ("falling", ["0.1", "0.2", "1", "+Inf"]),
            ("open", ["0.1", "0.2", "1", "2"]),
            ("twice", ["0.1", "1", "1.0", "+Inf"]),
        ] {
            for (i, le) in bounds.iter().enumerate() {
                let count = if set == "falling" { [4, 3, 9, 8][i] } else { 2 * i as i64 + 1 };
                self.each("odd_bucket", &target, &[("set", set), ("le", le)], move |_, t| (count * (t / 1_000_000 % 100 + 1)) as f64);
            }
        }
        self.sparse();
    }

    /// Series that come, go, go silent and are marked stale.
    fn sparse(&mut self) {
        let end = self.base + SPAN_MS;
        for (pattern, every) in [("early", 2), ("late", 2), ("rare", 25), ("single", SCRAPES), ("holes", 1), ("flapping", 1)] {
            let times = self.times.clone();
            let mut samples = Vec::new();
            for (i, t) in times.into_iter().enumerate().filter(|(i, _)| i % every == 0) {
                let v = i as f64 * 0.5;
                match pattern {
                    "early" if t > end - SPAN_MS / 2 => {}
                    "late" if t < self.base + SPAN_MS / 2 => {}
                    "holes" if i / 12 % 2 == 1 => {}
                    "flapping" if i % 7 == 3 => samples.push((t, f64::from_bits(STALE))),
                    _ => samples.push((t, v)),
                }
            }
            self.out.push(TestSeries { labels: labels("sparse", &[("job", "odd")], &[("pattern", pattern)]), samples });
        }
    }

    /// A target's scrapes: at whole half minutes, or irregular with failures between.
    fn scrape_times(&mut self, regular: bool) -> Vec<i64> {
        let at = |i: usize| self.base + i as i64 * SCRAPE_MS;
        if regular {
            return (0..SCRAPES).map(at).collect();
        }
        let phase = self.random.between(0, 15_000);
        let mut times = Vec::with_capacity(SCRAPES);
        for i in 0..SCRAPES {
            let jitter = self.random.between(0, if i % 3 == 0 { 9_000 } else { 20 });
            if !self.random.percent(6) {
                times.push(at(i) + phase + jitter);
            }
        }
        times
    }

    fn each(&mut self, name: &str, target: &[(&str, &str)], more: &[(&str, &str)], mut value: impl FnMut(&mut Random, i64) -> f64) {
        let times = self.times.clone();
        let samples = times.into_iter().map(|t| (t, value(&mut self.random, t))).collect();
        self.out.push(TestSeries { labels: labels(name, target, more), samples });
    }

    fn counter(&mut self, name: &str, target: &[(&str, &str)], more: &[(&str, &str)], step: u64) {
        let mut total = self.random.below(100) as f64;
        self.each(name, target, more, |random, _| {
            total = if random.percent(3) { random.below(step) as f64 } else { total + random.below(step) as f64 };
            total
        });
    }

    fn walk(&mut self, name: &str, target: &[(&str, &str)], more: &[(&str, &str)], unit: f64) {
        let mut at = 100;
        self.each(name, target, more, |random, _| {
            at += random.between(-20, 19);
            at as f64 * unit
        });
    }

    fn histogram(&mut self, name: &str, target: &[(&str, &str)]) {
        let mut counts = [0_u64; BOUNDS.len()];
        let rows: Vec<[u64; BOUNDS.len()]> = (0..self.times.len())
            .map(|_| {
                if self.random.percent(2) {
                    counts = [0; BOUNDS.len()];
                }
                for count in &mut counts {
                    *count += self.random.below(6);
                }
                counts
            })
            .collect();
        for (b, le) in BOUNDS.iter().enumerate() {
            let mut row = rows.iter();
            self.each(&format!("{name}_bucket"), target, &[("le", le)], |_, _| {
                row.next().map_or(0, |r| r[..=b].iter().sum::<u64>()) as f64
            });
        }
        let mut row = rows.iter();
        self.each(&format!("{name}_count"), target, &[], |_, _| row.next().map_or(0, |r| r.iter().sum::<u64>()) as f64);
        let mut row = rows.iter();
        self.each(&format!("{name}_sum"), target, &[], |_, _| row.next().map_or(0, |r| r.iter().sum::<u64>()) as f64 * 0.375);
    }
}

fn labels(name: &str, target: &[(&str, &str)], more: &[(&str, &str)]) -> Labels {
    let pairs = [("__name__", name)].into_iter().chain(target.iter().copied()).chain(more.iter().copied());
    Labels::from_pairs(pairs.filter(|(_, value)| !value.is_empty()))
}
