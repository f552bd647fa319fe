//! Native histograms. Remote write 1.0 and 2.0 number their fields alike; 2.0 adds a start timestamp (17), which is passed over.

use model::{CounterResetHint, FloatHistogram, Histogram, HistogramSample, HistogramValue, Span};

use super::budget::Budget;
use super::wire::{Field, Walker, Wire, WireError, zigzag};
use crate::error::RequestError;

/// The fields of the message, of which either the integer or the float ones count.
#[derive(Default)]
struct Parts {
    is_float: bool,
    int: Histogram,
    float: FloatHistogram,
    t: i64,
}

/// Reads one histogram. Charges what it allocates.
pub(super) fn read(mut message: Walker<'_>, budget: &mut Budget) -> Result<HistogramSample, RequestError> {
    budget.charge(size_of::<HistogramSample>() + size_of::<FloatHistogram>())?;
    let mut parts = Parts::default();
    while let Some(field) = message.field()? {
        match (field.number, field.wire) {
            (8..=13 | 16, _) => repeated(&mut message, field, &mut parts, budget)?,
            (1 | 4 | 6 | 14 | 15, Wire::Varint) => integer(field.number, message.varint()?, &mut parts),
            (2 | 3 | 5 | 7, Wire::Fixed64) => double(field.number, f64::from_bits(message.fixed64()?), &mut parts),
            (1..=7 | 14 | 15, _) => return Err(message.mismatch(field).into()),
            _ => message.skip(field)?,
        }
    }
    Ok(parts.into_sample())
}

fn integer(number: u32, n: u64, parts: &mut Parts) {
    match number {
        // The last member of the `count` union that was sent decides the kind.
        1 => (parts.int.count, parts.is_float) = (n, false),
        4 => parts.int.schema = zigzag(n & u64::from(u32::MAX)) as i32,
        6 => parts.int.zero_count = n,
        14 => {
            parts.int.counter_reset_hint = match n {
                1 => CounterResetHint::Reset,
                2 => CounterResetHint::NotReset,
                3 => CounterResetHint::Gauge,
                _ => CounterResetHint::Unknown,
            }
        }
        _ => parts.t = n as i64,
    }
}

fn double(number: u32, x: f64, parts: &mut Parts) {
    match number {
        2 => (parts.float.count, parts.is_float) = (x, true),
        3 => parts.int.sum = x,
        5 => parts.int.zero_threshold = x,
        _ => parts.float.zero_count = x,
    }
}

fn repeated(message: &mut Walker<'_>, field: Field, parts: &mut Parts, budget: &mut Budget) -> Result<(), RequestError> {
    match field.number {
        8 | 11 => {
            if field.wire != Wire::Bytes {
                return Err(message.mismatch(field).into());
            }
            budget.charge(size_of::<Span>())?;
            let span = read_span(message.message()?)?;
            if field.number == 8 { &mut parts.int.negative_spans } else { &mut parts.int.positive_spans }.push(span);
        }
        9 | 12 => {
            budget.charge(message.at_most(field, 1)?.saturating_mul(size_of::<i64>()))?;
            let deltas = if field.number == 9 { &mut parts.int.negative_deltas } else { &mut parts.int.positive_deltas };
            message.each_varint(field, |n| deltas.push(zigzag(n)))?;
        }
        number => {
            budget.charge(message.at_most(field, 8)?.saturating_mul(size_of::<f64>()))?;
            let values = match number {
                10 => &mut parts.float.negative_buckets,
                13 => &mut parts.float.positive_buckets,
                _ => &mut parts.int.custom_values,
            };
            message.each_double(field, |x| values.push(x))?;
        }
    }
    Ok(())
}

fn read_span(mut message: Walker<'_>) -> Result<Span, WireError> {
    let mut span = Span { offset: 0, length: 0 };
    while let Some(field) = message.field()? {
        match (field.number, field.wire) {
            (1, Wire::Varint) => span.offset = zigzag(message.varint()? & u64::from(u32::MAX)) as i32,
            (2, Wire::Varint) => span.length = message.varint()? as u32,
            (1 | 2, _) => return Err(message.mismatch(field)),
            _ => message.skip(field)?,
        }
    }
    Ok(span)
}

impl Parts {
    fn into_sample(self) -> HistogramSample {
        let Self { is_float, int, float, t } = self;
        let value = if is_float {
            HistogramValue::Float(Box::new(FloatHistogram {
                counter_reset_hint: int.counter_reset_hint,
                schema: int.schema,
                zero_threshold: int.zero_threshold,
                sum: int.sum,
                positive_spans: int.positive_spans,
                negative_spans: int.negative_spans,
                custom_values: int.custom_values,
                ..float
            }))
        } else {
            HistogramValue::Int(Box::new(int))
        };
        HistogramSample { t, value }
    }
}
