//! Strategies for whole requests, in the generated types of `proto`.

use model::{
    CounterResetHint, Exemplar, FloatHistogram, Histogram, HistogramSample, HistogramValue, Labels, Metadata, MetricType, Sample, Span,
};
use proptest::prelude::*;

/// A request without reference to a protocol.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) series: Vec<Series>,
    pub(super) metadata: Vec<Metadata>,
}

#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) samples: Vec<Sample>,
    pub(super) histograms: Vec<HistogramSample>,
    pub(super) exemplars: Vec<Exemplar>,
}

fn value() -> impl Strategy<Value = f64> {
    let any =
        prop_oneof![Just(0.0), Just(f64::INFINITY), Just(model::stale_nan()), Just(f64::NAN), any::<f64>(), (0..1000).prop_map(f64::from)];
    // Encoders leave out what equals zero, and with it the sign of a negative zero.
    any.prop_map(|v| if v == 0.0 { 0.0 } else { v })
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), any::<i64>(), 1_600_000_000_000_i64..1_900_000_000_000]
}

fn sample() -> impl Strategy<Value = Sample> {
    (time(), value()).prop_map(|(t, v)| Sample { t, v })
}

fn labels(most: usize) -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map("[a-zA-Z.]{1,20}", "\\PC{1,40}", 0..most).prop_map(Labels::from_pairs)
}

fn named_labels() -> impl Strategy<Value = Labels> {
    ("[a-z_]{1,30}", labels(6)).prop_map(|(name, labels)| {
        let mut builder = model::LabelsBuilder::from_labels(&labels);
        builder.set("__name__", &name);
        builder.build()
    })
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    (proptest::collection::btree_map("[a-z]{1,8}", "[a-z0-9]{1,16}", 0..3), value(), time()).prop_map(|(labels, value, t)| Exemplar {
        labels: Labels::from_pairs(labels),
        value,
        t,
    })
}

fn hint() -> impl Strategy<Value = CounterResetHint> {
    prop_oneof![
        Just(CounterResetHint::Unknown),
        Just(CounterResetHint::Reset),
        Just(CounterResetHint::NotReset),
        Just(CounterResetHint::Gauge)
    ]
}

fn histogram() -> impl Strategy<Value = HistogramSample> {
    let buckets = || proptest::collection::vec(0_i64..50, 0..6);
    (buckets(), buckets(), 0_u64..9, -4_i32..=8, hint(), time(), any::<bool>(), any::<bool>()).prop_map(
        |(positive, negative, zero_count, schema, counter_reset_hint, t, float, custom)| {
            let mut histogram = Histogram {
                counter_reset_hint,
                schema,
                zero_threshold: 0.001,
                zero_count,
                count: zero_count + positive.iter().chain(&negative).sum::<i64>() as u64,
                sum: 12.5,
                positive_spans: spans(positive.len(), -3),
                negative_spans: spans(negative.len(), 4),
                positive_deltas: deltas(&positive),
                negative_deltas: deltas(&negative),
                custom_values: Vec::new(),
            };
            if custom {
                histogram = Histogram {
                    schema: -53,
                    zero_threshold: 0.0,
                    zero_count: 0,
                    count: positive.iter().sum::<i64>() as u64,
                    positive_spans: spans(positive.len(), 0),
                    negative_spans: Vec::new(),
                    negative_deltas: Vec::new(),
                    custom_values: (0..positive.len() as u8).map(f64::from).collect(),
                    ..histogram
                };
            }
            let value =
                if float { HistogramValue::Float(Box::new(histogram.to_float())) } else { HistogramValue::Int(Box::new(histogram)) };
            HistogramSample { t, value }
        },
    )
}

fn spans(buckets: usize, offset: i32) -> Vec<Span> {
    match buckets {
        0 => Vec::new(),
        1 => vec![Span { offset, length: 1 }],
        n => vec![Span { offset, length: 1 }, Span { offset: 0, length: n as u32 - 1 }],
    }
}

fn deltas(counts: &[i64]) -> Vec<i64> {
    let mut previous = 0;
    counts.iter().map(|count| count - std::mem::replace(&mut previous, *count)).collect()
}

fn metadata() -> impl Strategy<Value = Metadata> {
    ("[a-z_]{1,20}", 0_i32..8, "\\PC{0,40}", "[a-z]{0,8}").prop_map(|(family, metric_type, help, unit)| Metadata {
        family,
        metric_type: MetricType::from_wire(metric_type),
        help,
        unit,
    })
}

pub(super) fn content() -> impl Strategy<Value = Content> {
    use proptest::collection::vec as some;
    let series = (named_labels(), some(sample(), 0..4), some(histogram(), 0..2), some(exemplar(), 0..2))
        .prop_map(|(labels, samples, histograms, exemplars)| Series { labels, samples, histograms, exemplars })
        .prop_filter("a series has something", |s| s.samples.len() + s.histograms.len() + s.exemplars.len() > 0);
    (some(series, 0..12), some(metadata(), 0..3)).prop_map(|(series, metadata)| Content { series, metadata })
}

/// A message of either version: they number and name the fields of a histogram alike.
macro_rules! histogram_message {
    ($sample:expr, $module:path $(, $extra:ident : $value:expr)*) => {{
        use $module as wire;
        let HistogramSample { t, value } = $sample;
        let (float, int) = match value {
            HistogramValue::Int(h) => (FloatHistogram::default(), h.as_ref().clone()),
            HistogramValue::Float(h) => (h.as_ref().clone(), Histogram {
                counter_reset_hint: h.counter_reset_hint,
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                sum: h.sum,
                positive_spans: h.positive_spans.clone(),
                negative_spans: h.negative_spans.clone(),
                custom_values: h.custom_values.clone(),
                ..Histogram::default()
            }),
        };
        let is_float = matches!(value, HistogramValue::Float(_));
        let spans = |spans: &[Span]| spans.iter().map(|s| wire::BucketSpan { offset: s.offset, length: s.length }).collect();
        wire::Histogram {
            count: Some(if is_float { wire::histogram::Count::CountFloat(float.count) } else { wire::histogram::Count::CountInt(int.count) }),
            sum: int.sum,
            schema: int.schema,
            zero_threshold: int.zero_threshold,
            zero_count: Some(if is_float {
                wire::histogram::ZeroCount::ZeroCountFloat(float.zero_count)
            } else {
                wire::histogram::ZeroCount::ZeroCountInt(int.zero_count)
            }),
            negative_spans: spans(&int.negative_spans),
            negative_deltas: int.negative_deltas,
            negative_counts: float.negative_buckets,
            positive_spans: spans(&int.positive_spans),
            positive_deltas: int.positive_deltas,
            positive_counts: float.positive_buckets,
            reset_hint: int.counter_reset_hint as i32,
            timestamp: *t,
            custom_values: int.custom_values,
            $($extra: $value,)*
        }
    }};
}

pub(super) fn v1(content: &Content) -> proto::remote_write_v1::WriteRequest {
    use proto::remote_write_v1 as wire;
    let labels = |labels: &Labels| labels.iter().map(|(n, v)| wire::Label { name: n.to_owned(), value: v.to_owned() }).collect();
    let series = |s: &Series| wire::TimeSeries {
        labels: labels(&s.labels),
        samples: s.samples.iter().map(|s| wire::Sample { value: s.v, timestamp: s.t }).collect(),
        exemplars: s.exemplars.iter().map(|e| wire::Exemplar { labels: labels(&e.labels), value: e.value, timestamp: e.t }).collect(),
        histograms: s.histograms.iter().map(|h| histogram_message!(h, proto::remote_write_v1)).collect(),
    };
    let metadata = |m: &Metadata| wire::MetricMetadata {
        r#type: m.metric_type.to_wire(),
        metric_family_name: m.family.clone(),
        help: m.help.clone(),
        unit: m.unit.clone(),
    };
    wire::WriteRequest {
        timeseries: content.series.iter().map(series).collect(),
        metadata: content.metadata.iter().map(metadata).collect(),
    }
}

/// In 2.0 the metadata of a request is that of its series: the first ones get it.
pub(super) fn v2(content: &Content) -> proto::remote_write_v2::Request {
    use proto::remote_write_v2 as wire;
    let mut symbols = vec![String::new()];
    let mut intern = |text: &str| {
        let at = symbols.iter().position(|s| s == text).unwrap_or_else(|| {
            symbols.push(text.to_owned());
            symbols.len() - 1
        });
        at as u32
    };
    let mut timeseries = Vec::new();
    for (i, s) in content.series.iter().enumerate() {
        let mut refs = |labels: &Labels| labels.iter().flat_map(|(n, v)| [n.to_owned(), v.to_owned()]).map(|s| intern(&s)).collect();
        timeseries.push(wire::TimeSeries {
            labels_refs: refs(&s.labels),
            samples: s.samples.iter().map(|s| wire::Sample { value: s.v, timestamp: s.t, start_timestamp: 7 }).collect(),
            histograms: s.histograms.iter().map(|h| histogram_message!(h, proto::remote_write_v2, start_timestamp: 7)).collect(),
            exemplars: s
                .exemplars
                .iter()
                .map(|e| wire::Exemplar { labels_refs: refs(&e.labels), value: e.value, timestamp: e.t })
                .collect(),
            metadata: content.metadata.get(i).map(|m| wire::Metadata {
                r#type: m.metric_type.to_wire(),
                help_ref: intern(&m.help),
                unit_ref: intern(&m.unit),
            }),
        });
    }
    wire::Request { symbols, timeseries }
}
