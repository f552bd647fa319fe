//! Random histories of a head and its log against a naive model: pushes of every kind, limits that change, failed writes of the log, records that
//! overtake each other, blocks that are cut and merged, truncations, restarts.
//!
//! After every step the head must answer as the model does. A history that failed is kept, as it was shrunk, as a named test
//! ([`kept`]): paste the `Vec<Op>` that proptest prints.

use model::{Histogram, HistogramValue, Span};
use proptest::prelude::*;

use super::*;
use world::World;

mod kept;
mod naive;
mod world;

/// One step of a history.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// A push that reaches the log.
    Push(Vec<Part>),
    /// A push whose record the log refuses.
    PushUnlogged(Vec<Part>),
    /// The last push again.
    Retry,
    /// Two pushes whose records reach the log in the other order than the head.
    Crossed(Vec<Part>, Vec<Part>),
    /// Another out-of-order window, in milliseconds.
    Window(i64),
    /// Refuses samples older than this many grid steps before now, and drops chunks that are older.
    Truncate(i64),
    /// Refuses without dropping.
    Oldest(i64),
    /// The series of a group, from and to as grid steps before now.
    Query {
        group: usize,
        from: i64,
        to: i64,
    },
    NewGeneration,
    /// Ends chunks whose samples are older than this many grid steps before now, as if for a block.
    Seal(i64),
    /// Aligned ranges that were over so many grid steps before now become blocks and leave the head.
    Cut(i64),
    /// Blocks become fewer.
    Merge,
    /// Chunks leave memory; the disk has room for so many bytes.
    Offload(Option<usize>),
    /// A kill, and a start from the log.
    Restart,
}

/// The samples of one series in a push.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) series: usize,
    /// Grid steps from now.
    pub(super) samples: Vec<(i64, Value)>,
}

/// What a sample says. Few different values, so that the same and others for one time are frequent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Float(u8),
    Stale,
    Int(u8),
    FloatHistogram(u8),
    CustomBuckets(u8),
    StaleHistogram,
}

pub(super) const SERIES: usize = 7;
/// Groups that queries select.
pub(super) const GROUPS: usize = 3;
/// Times lie on a grid of so many milliseconds.
pub(super) const GRID: i64 = 5_000;
/// How far the clock goes with each push: from one chunk range into the next within a history.
pub(super) const TICK: i64 = 240_000;
/// So many grid steps may a sample be ahead of the clock.
pub(super) const GRACE: i64 = 100;

impl Value {
    pub(super) fn at(self, t: i64) -> Point {
        let int = |value: Histogram| Point::Histogram(HistogramSample { t, value: HistogramValue::Int(Box::new(value)) });
        let float = |value: Histogram| Point::Histogram(HistogramSample { t, value: HistogramValue::Float(Box::new(value.to_float())) });
        match self {
            Self::Float(n) => Point::Float(Sample { t, v: f64::from(n) * 0.1 }),
            Self::Stale => Point::Float(Sample { t, v: model::stale_nan() }),
            Self::Int(n) => int(histogram(n)),
            Self::FloatHistogram(n) => float(histogram(n)),
            Self::CustomBuckets(n) => int(Histogram {
                schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
                zero_count: 0,
                zero_threshold: 0.0,
                custom_values: vec![1.0, 2.0, f64::from(n % 2) + 3.0],
                positive_spans: vec![Span { offset: 0, length: 3 }],
                positive_deltas: vec![i64::from(n), 1, 0],
                ..histogram(n)
            }),
            Self::StaleHistogram => int(Histogram { sum: model::stale_nan(), ..Histogram::default() }),
        }
    }
}

fn histogram(n: u8) -> Histogram {
    Histogram {
        schema: i32::from(n % 2),
        count: u64::from(n) * 3,
        zero_count: u64::from(n),
        sum: f64::from(n),
        positive_spans: vec![Span { offset: i32::from(n), length: 2 }],
        positive_deltas: vec![i64::from(n), 0],
        ..Histogram::default()
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (0..3_u8).prop_map(Value::Float),
        1 => Just(Value::Stale),
        2 => (0..6_u8).prop_map(Value::Int),
        1 => (0..6_u8).prop_map(Value::FloatHistogram),
        1 => (0..4_u8).prop_map(Value::CustomBuckets),
        1 => Just(Value::StaleHistogram),
    ]
}

/// Times near to now, hours back, and ahead of the clock.
fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -40_i64..4, 4 => -200_i64..0, 1 => -4_000_i64..0, 1 => 0..2 * GRACE]
}

fn any_part() -> impl Strategy<Value = Part> {
    let few = proptest::collection::vec((any_time(), any_value()), 1..5);
    // Runs fill chunks; shuffled ones are what a sender with several shards makes of them.
    let run = (any_time(), 1..4_i64, 1..130_i64, prop_oneof![4 => Just(Value::Float(1)), 1 => any_value()], any::<bool>());
    let run = run.prop_map(|(last, step, count, value, shuffled)| {
        let order = |i: i64| if shuffled { i * 67 % 131 } else { i + 131 - count };
        (0..count).map(|i| (last - (130 - order(i)) * step, value)).collect()
    });
    (0..SERIES, prop_oneof![4 => few, 1 => run]).prop_map(|(series, samples)| Part { series, samples })
}

pub(super) fn any_op() -> impl Strategy<Value = Op> {
    let parts = || proptest::collection::vec(any_part(), 1..8);
    prop_oneof![
        16 => parts().prop_map(Op::Push),
        2 => parts().prop_map(Op::PushUnlogged),
        2 => Just(Op::Retry),
        3 => (parts(), parts()).prop_map(|(a, b)| Op::Crossed(a, b)),
        1 => prop_oneof![Just(0), Just(GRID), Just(600_000), Just(36_000_000)].prop_map(Op::Window),
        2 => (0_i64..4_000).prop_map(Op::Truncate),
        1 => (0_i64..4_000).prop_map(Op::Oldest),
        3 => (0..GROUPS, -500_i64..0, 0_i64..500).prop_map(|(group, from, length)| Op::Query { group, from, to: from + length }),
        1 => Just(Op::NewGeneration),
        2 => (0_i64..200).prop_map(Op::Seal),
        2 => (0_i64..2_000).prop_map(Op::Cut),
        1 => Just(Op::Merge),
        3 => prop_oneof![Just(None), (0_usize..2000).prop_map(Some)].prop_map(Op::Offload),
        1 => Just(Op::Restart),
    ]
}

/// Runs a history, and a restart at its end.
fn run(ops: &[Op]) {
    let mut world = World::new();
    for op in ops {
        world.apply(op);
        world.check();
    }
    world.apply(&Op::Restart);
    world.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn a_head_is_what_the_model_says(ops in proptest::collection::vec(any_op(), 1..40)) {
        run(&ops);
    }
}
