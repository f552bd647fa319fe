//! Values within a template, typed as Go's are.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use model::FloatHistogram;
use promql::functions::number;

use super::{MAX_OUTPUT, time};
use crate::duration;

/// A value. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing: the value of what is not there.
    Missing,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// Labels; one that is not there is empty.
    Texts(Arc<BTreeMap<String, String>>),
    /// What `args` makes, and how deep such are in it.
    Args(Arc<BTreeMap<String, Value>>, usize),
    /// The samples of a query.
    Samples(Arc<[Arc<Sample>]>),
    Sample(Arc<Sample>),
    Histogram(Arc<FloatHistogram>),
    /// Nanoseconds since the epoch, UTC.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    /// What an alert's template is given.
    Alert(Arc<AlertData>),
}

/// One sample of a query's result.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) labels: Arc<BTreeMap<String, String>>,
    pub(super) value: Value,
}

/// The dot of an alert's template.
#[derive(Debug, Clone)]
pub(super) struct AlertData {
    pub(super) labels: Arc<BTreeMap<String, String>>,
    pub(super) external_labels: Arc<BTreeMap<String, String>>,
    pub(super) external_url: Arc<str>,
    pub(super) value: Value,
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The name of the Go type, for messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Missing => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Texts(_) => "map[string]string",
            Self::Args(..) => "map[string]interface {}",
            Self::Samples(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::Histogram(_) => "*histogram.FloatHistogram",
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "*time.Duration",
            Self::Alert(_) => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
            }
        }
    }

    /// Whether `if` takes it for true: not the zero of its type.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Missing => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(v) => *v != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Texts(map) => !map.is_empty(),
            Self::Args(map, _) => !map.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::Sample(_) | Self::Histogram(_) | Self::Time(_) | Self::Duration(_) | Self::Alert(_) => true,
        }
    }

    /// As it is printed, Go's `%v`; cut somewhere beyond [`MAX_OUTPUT`], because values can share parts.
    pub(super) fn show(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        if out.len() > MAX_OUTPUT {
            return;
        }
        match self {
            Self::Missing => out.push_str("<nil>"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Int(n) => out.push_str(&n.to_string()),
            Self::Float(v) => out.push_str(&number::general(*v)),
            Self::Text(text) => out.push_str(text),
            Self::Texts(map) => write_map(out, map.iter(), |out, text| out.push_str(text)),
            Self::Args(map, _) => write_map(out, map.iter(), |out, value| value.write(out)),
            Self::Samples(samples) => {
                out.push('[');
                for (i, sample) in samples.iter().enumerate() {
                    out.push_str(if i > 0 { " " } else { "" });
                    Self::Sample(Arc::clone(sample)).write(out);
                }
                out.push(']');
            }
            Self::Sample(sample) => {
                out.push('{');
                Self::Texts(Arc::clone(&sample.labels)).write(out);
                out.push(' ');
                sample.value.write(out);
                out.push('}');
            }
            Self::Histogram(histogram) => out.push_str(&show_histogram(histogram)),
            Self::Time(nanos) => out.push_str(&time::show(*nanos)),
            Self::Duration(nanos) => out.push_str(&duration::show_go(*nanos)),
            Self::Alert(data) => {
                out.push('{');
                Self::Texts(Arc::clone(&data.labels)).write(out);
                out.push(' ');
                Self::Texts(Arc::clone(&data.external_labels)).write(out);
                out.push_str(&format!(" {} ", data.external_url));
                data.value.write(out);
                out.push('}');
            }
        }
    }

    /// How deep `args` are within `args`.
    pub(super) fn nesting(&self) -> usize {
        match self {
            Self::Args(_, depth) => *depth,
            _ => 0,
        }
    }

    /// Text as `print` sees it, which puts no space beside it.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

fn write_map<'a, T: 'a>(out: &mut String, pairs: impl Iterator<Item = (&'a String, T)>, write: impl Fn(&mut String, T)) {
    out.push_str("map[");
    for (i, (key, value)) in pairs.enumerate() {
        out.push_str(if i > 0 { " " } else { "" });
        out.push_str(key);
        out.push(':');
        write(out, value);
    }
    out.push(']');
}

/// As Prometheus prints a histogram, without its buckets' bounds worked out: count, sum and the counts of the buckets.
fn show_histogram(h: &FloatHistogram) -> String {
    let mut parts = vec![format!("count:{}", number::general(h.count)), format!("sum:{}", number::general(h.sum))];
    let buckets = |counts: &[f64]| counts.iter().map(|c| number::general(*c)).collect::<Vec<_>>().join(" ");
    if !h.negative_buckets.is_empty() {
        parts.push(format!("n_buckets:[{}]", buckets(&h.negative_buckets)));
    }
    if h.zero_count != 0.0 {
        parts.push(format!("z_bucket:{}", number::general(h.zero_count)));
    }
    if !h.positive_buckets.is_empty() {
        parts.push(format!("buckets:[{}]", buckets(&h.positive_buckets)));
    }
    format!("{{{}}}", parts.join(", "))
}

/// How two values compare; the error is Go's.
pub(super) fn compare(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(Some(a.cmp(b))),
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        (Value::Duration(a), Value::Duration(b)) | (Value::Time(a), Value::Time(b)) => Ok(Some(a.cmp(b))),
        (a, b) if is_basic(a) && is_basic(b) => Err("incompatible types for comparison".to_owned()),
        _ => Err("invalid type for comparison".to_owned()),
    }
}

/// Whether it is of a kind that `lt` and the like compare.
pub(super) fn is_basic(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_))
}
