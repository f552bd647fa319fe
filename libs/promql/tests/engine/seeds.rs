//! Fuzzing of parser and engine: expressions that once made trouble or go to corners (`seeds.promql`), and what becomes of them when pieces are
//! lost, repeated and exchanged. Whatever comes of them comes without a panic, within small limits. Random failures are kept by proptest beside
//! this file; those worth it become seeds.

use promql::{Engine, EngineOptions, ParseOptions, QueryContext, QueryLimits, parse, parse_bytes};
use proptest::prelude::*;

use crate::world::{SAMPLES, SCRAPE, T0, shared_world};

const SEEDS: &str = include_str!("seeds.promql");

fn seeds() -> Vec<&'static str> {
    SEEDS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Parses, prints and evaluates.
fn run(bytes: &[u8]) {
    let options = ParseOptions { max_length: 4_096, max_depth: 60, ..ParseOptions::all() };
    let Ok(expr) = parse_bytes(bytes, &options) else { return };
    let printed = expr.to_string();
    let limits = QueryLimits { max_samples: 200_000, max_series: 10_000, max_memory_bytes: 4 << 20, max_steps: 2_000 };
    let end = T0 + (SAMPLES - 1) * SCRAPE;
    for optimise in [true, false] {
        let engine = Engine::new(EngineOptions { limits, optimise, ..EngineOptions::default() });
        let ctx = QueryContext { text: Some(printed.as_str().into()), ..QueryContext::new(shared_world(7, true) as _) };
        for result in [engine.instant(&expr, end, &ctx), engine.range(&expr, T0, end, 600_000, &ctx)].into_iter().flatten() {
            assert!(result.stats.peak_bytes <= limits.max_memory_bytes, "{printed}");
        }
    }
}

#[test]
fn seeds_are_evaluated() {
    for seed in seeds() {
        assert!(parse(seed, &ParseOptions::all()).is_ok(), "{seed}");
        run(seed.as_bytes());
    }
}

/// A piece of an expression cut at random places: (seed, from, length) in shares of the whole.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    (0..seeds().len(), any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(seed, from, len)| {
        let text = seeds()[seed].as_bytes();
        let from = from.index(text.len() + 1);
        text[from..from + len.index(text.len() - from + 1)].to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn spliced_seeds_do_no_harm(pieces in prop::collection::vec(piece(), 1..4), flip in any::<Option<(prop::sample::Index, u8)>>()) {
        let mut bytes = pieces.concat();
        if let Some((at, byte)) = flip.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        run(&bytes);
    }

    #[test]
    fn seeds_within_seeds_do_no_harm(a in 0..seeds().len(), b in 0..seeds().len(), op in prop::sample::select(vec!["+", "and", "or on (n)", "== bool", "* on (a) group_left"])) {
        run(format!("({}) {op} ({})", seeds()[a], seeds()[b]).as_bytes());
        run(format!("sum_over_time(({})[3m:30s])", seeds()[a]).as_bytes());
    }
}
