//! Model values of every shape. Floats come from any bits, NaN payloads included.

use bytes::Bytes;
use model::{
    BatchBuilder, CounterResetHint, Exemplar, FloatHistogram, Histogram, HistogramSample, HistogramValue, Labels, Metadata, MetricType,
    Sample, Span, WriteBatch,
};
use proptest::collection::vec;
use proptest::prelude::*;

pub(super) fn float() -> impl Strategy<Value = f64> {
    prop_oneof![any::<u64>().prop_map(f64::from_bits), Just(model::stale_nan()), Just(0.0)]
}

pub(super) fn labels() -> impl Strategy<Value = Labels> {
    (vec(("[a-z_é]{1,8}", "[ -~é]{0,12}"), 0..6), any::<u16>()).prop_map(|(mut pairs, unique)| {
        pairs.push(("__name__".to_owned(), format!("m{unique}")));
        Labels::from_pairs(pairs)
    })
}

fn spans() -> impl Strategy<Value = Vec<Span>> {
    vec((any::<i32>(), any::<u32>()).prop_map(|(offset, length)| Span { offset, length }), 0..4)
}

fn hint() -> impl Strategy<Value = CounterResetHint> {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    prop_oneof![Just(Unknown), Just(Reset), Just(NotReset), Just(Gauge)]
}

fn int_histogram() -> impl Strategy<Value = HistogramValue> {
    let numbers = (any::<i32>(), float(), any::<u64>(), any::<u64>(), float());
    (hint(), numbers, spans(), spans(), vec(any::<i64>(), 0..5), vec(any::<i64>(), 0..5), vec(float(), 0..3)).prop_map(
        |(counter_reset_hint, numbers, positive_spans, negative_spans, positive_deltas, negative_deltas, custom_values)| {
            let (schema, zero_threshold, zero_count, count, sum) = numbers;
            HistogramValue::Int(Box::new(Histogram {
                counter_reset_hint,
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive_spans,
                negative_spans,
                positive_deltas,
                negative_deltas,
                custom_values,
            }))
        },
    )
}

fn float_histogram() -> impl Strategy<Value = HistogramValue> {
    let numbers = (any::<i32>(), float(), float(), float(), float());
    (hint(), numbers, spans(), spans(), vec(float(), 0..5), vec(float(), 0..5), vec(float(), 0..3)).prop_map(
        |(counter_reset_hint, numbers, positive_spans, negative_spans, positive_buckets, negative_buckets, custom_values)| {
            let (schema, zero_threshold, zero_count, count, sum) = numbers;
            HistogramValue::Float(Box::new(FloatHistogram {
                counter_reset_hint,
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive_spans,
                negative_spans,
                positive_buckets,
                negative_buckets,
                custom_values,
            }))
        },
    )
}

pub(super) fn histogram() -> impl Strategy<Value = HistogramSample> {
    (any::<i64>(), prop_oneof![int_histogram(), float_histogram()]).prop_map(|(t, value)| HistogramSample { t, value })
}

pub(super) fn exemplar() -> impl Strategy<Value = Exemplar> {
    (prop_oneof![labels(), Just(Labels::empty())], float(), any::<i64>()).prop_map(|(labels, value, t)| Exemplar { labels, value, t })
}

pub(super) fn metadata() -> impl Strategy<Value = Metadata> {
    ("[a-z_]{0,9}", 0..8_i32, "[ -~é]{0,20}", "[a-z]{0,5}").prop_map(|(family, metric_type, help, unit)| Metadata {
        family,
        metric_type: MetricType::from_wire(metric_type),
        help,
        unit,
    })
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = || (any::<i64>(), float()).prop_map(|(t, v)| Sample { t, v });
    // One sample each is the common case and has an encoding of its own.
    prop_oneof![3 => vec(sample(), 1), 1 => vec(sample(), 0..4)]
}

pub(super) fn batch() -> impl Strategy<Value = WriteBatch> {
    let series = (labels(), samples(), vec(histogram(), 0..2), vec(exemplar(), 0..3));
    (vec(series, 0..8), vec(metadata(), 0..4)).prop_map(|(series, metadata)| {
        let mut builder = BatchBuilder::new(Bytes::new());
        for (labels, samples, histograms, exemplars) in series {
            samples.into_iter().for_each(|s| builder.sample(s));
            histograms.into_iter().for_each(|h| builder.histogram(h));
            exemplars.into_iter().for_each(|e| builder.exemplar(e));
            builder.end_series_with(labels.hash(), labels.as_block());
        }
        metadata.into_iter().for_each(|m| builder.metadata(m));
        builder.finish()
    })
}
