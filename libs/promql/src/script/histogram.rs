//! Histogram literals `{{schema:0 sum:3 count:2 buckets:[1 1]}}` and their steps.
//!
//! A histogram has at most as many buckets as its literal has characters, so lines bound them.

use model::{CounterResetHint, FloatHistogram, Span};

use super::scan::Scanner;
use crate::histogram::HistogramSum;

/// The zero threshold of literals without `z_bucket_w`: none.
const NO_ZERO_THRESHOLD: f64 = 0.0;

/// The largest absolute bucket index of a literal: far beyond every float at schema 8, far from overflow.
const MAX_BUCKET_INDEX: i64 = 1 << 24;

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HistogramLiteral {
    pub(super) histogram: FloatHistogram,
    /// Whether `counter_reset_hint` was written; an expectation without it does not assert it.
    pub(super) hint_written: bool,
}

/// Reads a literal, from `{{` to `}}`.
pub(super) fn parse_histogram(s: &mut Scanner<'_>) -> Result<HistogramLiteral, String> {
    if !s.eat("{{") {
        return Err(s.expected("a histogram"));
    }
    let mut fields = Fields::default();
    s.skip_blanks();
    while !s.eat("}}") {
        fields.read(s)?;
        if !s.skip_blanks() && !s.rest().starts_with("}}") {
            return Err(s.expected("a space or \"}}\" in the histogram"));
        }
    }
    fields.build()
}

/// The fields as written; `None` for those that are not.
#[derive(Default)]
struct Fields {
    schema: Option<i32>,
    sum: Option<f64>,
    count: Option<f64>,
    zero_count: Option<f64>,
    zero_threshold: Option<f64>,
    positive: Option<Vec<f64>>,
    negative: Option<Vec<f64>>,
    positive_offset: Option<i32>,
    negative_offset: Option<i32>,
    custom_values: Option<Vec<f64>>,
    hint: Option<CounterResetHint>,
}

impl Fields {
    fn read(&mut self, s: &mut Scanner<'_>) -> Result<(), String> {
        let key = s.take_while(|c| c.is_ascii_alphabetic() || c == '_');
        if key.is_empty() || !s.eat(":") {
            return Err(s.expected("a histogram field and a colon"));
        }
        let once = |duplicate: bool| if duplicate { Err(format!("duplicate histogram field {key:?}")) } else { Ok(()) };
        match key {
            "schema" => once(self.schema.replace(integer(s)?).is_some()),
            "sum" => once(self.sum.replace(s.signed_number()?).is_some()),
            "count" => once(self.count.replace(s.signed_number()?).is_some()),
            "z_bucket" => once(self.zero_count.replace(s.signed_number()?).is_some()),
            "z_bucket_w" => once(self.zero_threshold.replace(s.number()?).is_some()),
            "buckets" => once(self.positive.replace(list(s)?).is_some()),
            "n_buckets" => once(self.negative.replace(list(s)?).is_some()),
            "offset" => once(self.positive_offset.replace(integer(s)?).is_some()),
            "n_offset" => once(self.negative_offset.replace(integer(s)?).is_some()),
            "custom_values" => once(self.custom_values.replace(list(s)?).is_some()),
            "counter_reset_hint" => once(self.hint.replace(hint(s)?).is_some()),
            _ => Err(format!("unknown histogram field {key:?}")),
        }
    }

    fn build(self) -> Result<HistogramLiteral, String> {
        let (positive_spans, positive_buckets) = one_span(self.positive_offset, self.positive)?;
        let (negative_spans, negative_buckets) = one_span(self.negative_offset, self.negative)?;
        let histogram = FloatHistogram {
            counter_reset_hint: self.hint.unwrap_or_default(),
            schema: self.schema.unwrap_or(0),
            zero_threshold: self.zero_threshold.unwrap_or(NO_ZERO_THRESHOLD),
            zero_count: self.zero_count.unwrap_or(0.0),
            count: self.count.unwrap_or(0.0),
            sum: self.sum.unwrap_or(0.0),
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: self.custom_values.unwrap_or_default(),
        };
        Ok(HistogramLiteral { histogram, hint_written: self.hint.is_some() })
    }
}

fn one_span(offset: Option<i32>, buckets: Option<Vec<f64>>) -> Result<(Vec<Span>, Vec<f64>), String> {
    let (offset, buckets) = (offset.unwrap_or(0), buckets.unwrap_or_default());
    if i64::from(offset).abs() > MAX_BUCKET_INDEX {
        return Err(format!("bucket offset {offset} exceeds {MAX_BUCKET_INDEX}"));
    }
    if buckets.is_empty() {
        return Ok((Vec::new(), buckets));
    }
    let length = u32::try_from(buckets.len()).map_err(|_| "too many buckets".to_owned())?;
    Ok((vec![Span { offset, length }], buckets))
}

fn integer(s: &mut Scanner<'_>) -> Result<i32, String> {
    let text = s.take_while(|c| c.is_ascii_digit() || c == '-' || c == '+');
    text.parse().map_err(|_| format!("invalid integer {text:?} in the histogram"))
}

fn list(s: &mut Scanner<'_>) -> Result<Vec<f64>, String> {
    if !s.eat("[") {
        return Err(s.expected("\"[\""));
    }
    let mut numbers = Vec::new();
    s.skip_blanks();
    while !s.eat("]") {
        numbers.push(s.signed_number()?);
        if !s.skip_blanks() && s.peek() != Some(']') {
            return Err(s.expected("a space or \"]\""));
        }
    }
    Ok(numbers)
}

fn hint(s: &mut Scanner<'_>) -> Result<CounterResetHint, String> {
    match s.take_while(|c| c.is_ascii_alphabetic() || c == '_') {
        "unknown" => Ok(CounterResetHint::Unknown),
        "reset" => Ok(CounterResetHint::Reset),
        "not_reset" => Ok(CounterResetHint::NotReset),
        "gauge" => Ok(CounterResetHint::Gauge),
        other => Err(format!("unknown counter_reset_hint {other:?}")),
    }
}

/// `base + factor × delta`, in the schema of `base`, which must not be the finer one. `factor` is 1 or −1.
pub(super) fn add_scaled(base: &FloatHistogram, delta: &FloatHistogram, factor: f64) -> Result<FloatHistogram, String> {
    if base.schema > delta.schema {
        return Err(format!("the schema of the step ({}) is below that of the histogram ({})", delta.schema, base.schema));
    }
    let mut sum = HistogramSum::of(base.clone());
    let combined = if factor < 0.0 { sum.subtract(delta) } else { sum.add(delta) };
    combined.map_err(|e| e.to_string())?;
    Ok(sum.into_value())
}

#[cfg(test)]
mod tests;
