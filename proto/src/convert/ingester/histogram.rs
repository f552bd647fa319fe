//! Native histograms. Whether buckets and spans fit together is for the head to judge, sample by sample; here only what the model cannot express is refused.

use model::{CounterResetHint, FloatHistogram, Histogram, HistogramSample, HistogramValue, Span};

use crate::ingester as wire;

/// The message for a histogram sample.
#[must_use]
pub fn histogram_to_wire(sample: &HistogramSample) -> wire::Histogram {
    match &sample.value {
        HistogramValue::Int(h) => wire::Histogram {
            timestamp: sample.t,
            counter_reset_hint: hint_to_wire(h.counter_reset_hint),
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            sum: h.sum,
            is_float: false,
            count_int: h.count,
            zero_count_int: h.zero_count,
            positive_deltas: h.positive_deltas.clone(),
            negative_deltas: h.negative_deltas.clone(),
            positive_spans: spans_to_wire(&h.positive_spans),
            negative_spans: spans_to_wire(&h.negative_spans),
            custom_values: h.custom_values.clone(),
            ..wire::Histogram::default()
        },
        HistogramValue::Float(h) => wire::Histogram {
            timestamp: sample.t,
            counter_reset_hint: hint_to_wire(h.counter_reset_hint),
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            sum: h.sum,
            is_float: true,
            count_float: h.count,
            zero_count_float: h.zero_count,
            positive_counts: h.positive_buckets.clone(),
            negative_counts: h.negative_buckets.clone(),
            positive_spans: spans_to_wire(&h.positive_spans),
            negative_spans: spans_to_wire(&h.negative_spans),
            custom_values: h.custom_values.clone(),
            ..wire::Histogram::default()
        },
    }
}

/// The histogram sample of a message; the error says what is wrong with it.
pub(super) fn histogram_from_wire(h: wire::Histogram) -> Result<HistogramSample, String> {
    let counter_reset_hint = hint_from_wire(h.counter_reset_hint)?;
    let positive_spans = spans_from_wire(&h.positive_spans)?;
    let negative_spans = spans_from_wire(&h.negative_spans)?;
    let value = if h.is_float {
        HistogramValue::Float(Box::new(FloatHistogram {
            counter_reset_hint,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: h.zero_count_float,
            count: h.count_float,
            sum: h.sum,
            positive_spans,
            negative_spans,
            positive_buckets: h.positive_counts,
            negative_buckets: h.negative_counts,
            custom_values: h.custom_values,
        }))
    } else {
        HistogramValue::Int(Box::new(Histogram {
            counter_reset_hint,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: h.zero_count_int,
            count: h.count_int,
            sum: h.sum,
            positive_spans,
            negative_spans,
            positive_deltas: h.positive_deltas,
            negative_deltas: h.negative_deltas,
            custom_values: h.custom_values,
        }))
    };
    Ok(HistogramSample { t: h.timestamp, value })
}

/// Bytes that a histogram sample holds in memory.
pub(super) fn histogram_bytes(sample: &HistogramSample) -> usize {
    let heap = match &sample.value {
        HistogramValue::Int(h) => {
            let spans = h.positive_spans.capacity() + h.negative_spans.capacity();
            let words = h.positive_deltas.capacity() + h.negative_deltas.capacity() + h.custom_values.capacity();
            size_of::<Histogram>() + spans * size_of::<Span>() + words * 8
        }
        HistogramValue::Float(h) => {
            let spans = h.positive_spans.capacity() + h.negative_spans.capacity();
            let words = h.positive_buckets.capacity() + h.negative_buckets.capacity() + h.custom_values.capacity();
            size_of::<FloatHistogram>() + spans * size_of::<Span>() + words * 8
        }
    };
    size_of::<HistogramSample>() + heap
}

fn hint_to_wire(hint: CounterResetHint) -> u32 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

fn hint_from_wire(n: u32) -> Result<CounterResetHint, String> {
    match n {
        0 => Ok(CounterResetHint::Unknown),
        1 => Ok(CounterResetHint::Reset),
        2 => Ok(CounterResetHint::NotReset),
        3 => Ok(CounterResetHint::Gauge),
        _ => Err(format!("unknown counter reset hint {n}")),
    }
}

fn spans_to_wire(spans: &[Span]) -> Vec<i64> {
    spans.iter().flat_map(|span| [i64::from(span.offset), i64::from(span.length)]).collect()
}

fn spans_from_wire(flat: &[i64]) -> Result<Vec<Span>, String> {
    let (pairs, odd) = flat.as_chunks::<2>();
    if !odd.is_empty() {
        return Err("a histogram span without a length".to_owned());
    }
    let span = |[offset, length]: &[i64; 2]| Some(Span { offset: i32::try_from(*offset).ok()?, length: u32::try_from(*length).ok()? });
    pairs.iter().map(|pair| span(pair).ok_or_else(|| format!("histogram span {pair:?} is out of range"))).collect()
}
