//! What must hold of any bytes that somebody takes for PromQL: no panic, no stack overflow, memory and time within what the limits say.
//!
//! `make fuzz` runs each target for a while, from the expressions in `../tests/engine/seeds.promql` and the scripts in `../tests/scripts`. What it finds
//! becomes a line there, which `make test` evaluates from then on, also where no fuzzer can be had.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use model::Labels;
use promql::{
    CancelToken, Engine, EngineOptions, MemoryStorage, ParseOptions, Point, PointValue, QueryContext, QueryLimits, parse_bytes, run_script,
};

/// Milliseconds between samples.
const SCRAPE: i64 = 15_000;
/// Samples of each series.
const SAMPLES: i64 = 60;
/// The longest that one input may take. A sanitizer makes everything some ten times slower.
const LONGEST: Duration = Duration::from_secs(5);

/// Small limits, so that a fuzzer soon gets to them.
const LIMITS: QueryLimits = QueryLimits { max_samples: 200_000, max_series: 10_000, max_memory_bytes: 4 << 20, max_steps: 2_000 };

fn options() -> ParseOptions {
    ParseOptions { max_length: 4_096, max_depth: 60, ..ParseOptions::all() }
}

/// Parses; what can be parsed is printed, and read again means the same.
pub fn parse(text: &[u8]) {
    let Ok(expr) = parse_bytes(text, &options()) else { return };
    let printed = expr.to_string();
    // A printed expression may be longer and, with its parentheses, deeper than what was read.
    let again = parse_bytes(printed.as_bytes(), &ParseOptions { max_length: 1 << 20, max_depth: 240, ..ParseOptions::all() });
    match again {
        Ok(again) => assert_eq!(again.to_string(), printed),
        Err(error) => panic!("{printed}: {error}"),
    }
}

/// Parses and evaluates, at one time and over a range, with and without the optimiser: the answers are alike.
pub fn evaluate(text: &[u8]) {
    let Ok(expr) = parse_bytes(text, &options()) else { return };
    let store = store();
    let begun = Instant::now();
    let ask = |optimise: bool| {
        let engine = Engine::new(EngineOptions { limits: LIMITS, optimise, ..EngineOptions::default() });
        let cancel = CancelToken::with_deadline(1_000, move || i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX));
        let ctx = QueryContext { cancel, ..QueryContext::new(Arc::clone(store) as _) };
        let end = (SAMPLES - 1) * SCRAPE;
        [engine.instant(&expr, end, &ctx), engine.range(&expr, 0, end, 45_000, &ctx)]
    };
    for result in ask(true).into_iter().chain(ask(false)).flatten() {
        assert!(result.stats.peak_bytes <= LIMITS.max_memory_bytes);
    }
    assert!(begun.elapsed() < LONGEST, "took {:?}", begun.elapsed());
}

/// Runs a test script.
pub fn script(text: &[u8]) {
    // Numbers of samples and steps in a script are not bounded by its length.
    let Some(text) = std::str::from_utf8(text).ok().filter(|text| text.len() <= 2_048 && !has_long_number(text)) else { return };
    let _ = run_script("fuzz", text);
}

fn has_long_number(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 2)
}

/// Counters, gauges and classic histograms.
fn store() -> &'static Arc<MemoryStorage> {
    static STORE: OnceLock<Arc<MemoryStorage>> = OnceLock::new();
    STORE.get_or_init(|| {
        let mut store = MemoryStorage::new();
        for n in 0..24_i64 {
            let name = ["g", "c_total", "b_bucket", "mixed"][(n % 4) as usize];
            let le = ["0.1", "1", "+Inf"][(n % 3) as usize];
            let labels = Labels::from_pairs([
                ("__name__", name.to_owned()),
                ("a", (n % 2).to_string()),
                ("b", (n % 5).to_string()),
                ("le", le.to_owned()),
                ("n", n.to_string()),
            ]);
            let value = |i: i64| match (i + n) % 17 {
                16 => f64::NAN,
                15 => f64::INFINITY,
                rest => (rest * i) as f64 / 8.0,
            };
            let points: Vec<Point> = (0..SAMPLES).map(|i| Point { t: i * SCRAPE, value: PointValue::Float(value(i)) }).collect();
            store.append(&labels, &points).expect("points ascend");
        }
        Arc::new(store)
    })
}
