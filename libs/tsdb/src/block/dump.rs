//! All samples of a block as text.

use std::io::{self, Write};

use model::matcher::{is_plain_name, quote_into};
use model::{HistogramSample, LabelBlock};

use super::recode::{Point, decode};
use super::{Block, BlockError};

/// Writes one line for each sample that was not deleted, in the order of series and then of time: `{labels} value timestamp`, to the
/// byte as `promtool tsdb dump` 2.42 does for floats. That version has no histograms; ours are
/// `{labels} {schema:… count:… sum:… zero:… positive:[index:count …] negative:[…] bounds:[…]} timestamp`.
pub fn dump(block: &Block, out: &mut dyn Write) -> Result<(), BlockError> {
    for series in block.select(&[], i64::MIN, i64::MAX)? {
        let series = series?;
        let labels = text_of(series.labels.as_block());
        for chunk in &series.chunks {
            for point in decode(chunk)? {
                write_point(out, &labels, &point).map_err(|source| BlockError::Io { path: "output".into(), source })?;
            }
        }
    }
    Ok(())
}

fn text_of(labels: LabelBlock<'_>) -> String {
    let mut out = String::from("{");
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        if is_plain_name(name) {
            out.push_str(name);
        } else {
            quote_into(&mut out, name);
        }
        out.push('=');
        quote_into(&mut out, value);
    }
    out.push('}');
    out
}

fn write_point(out: &mut dyn Write, labels: &str, point: &Point) -> io::Result<()> {
    match point {
        Point::Float(sample) => writeln!(out, "{labels} {} {}", shortest(sample.v), sample.t),
        Point::Histogram(sample) => writeln!(out, "{labels} {} {}", histogram(sample), sample.t),
    }
}

fn histogram(sample: &HistogramSample) -> String {
    let h = sample.value.to_float();
    let numbers = [h.count, h.sum, h.zero_threshold, h.zero_count].map(shortest);
    let [count, sum, threshold, zero] = numbers;
    let positive = buckets(&h.positive_spans, &h.positive_buckets);
    let negative = buckets(&h.negative_spans, &h.negative_buckets);
    let bounds: Vec<_> = h.custom_values.iter().map(|v| shortest(*v)).collect();
    let bounds = bounds.join(" ");
    let schema = h.schema;
    format!(
        "{{schema:{schema} count:{count} sum:{sum} zero:{threshold}:{zero} positive:[{positive}] negative:[{negative}] bounds:[{bounds}]}}"
    )
}

fn buckets(spans: &[model::Span], counts: &[f64]) -> String {
    let mut next = 0_i64;
    let indices = spans.iter().flat_map(|span| {
        let start = next.saturating_add(i64::from(span.offset));
        next = start.saturating_add(i64::from(span.length));
        start..next
    });
    let texts: Vec<_> = indices.zip(counts).map(|(index, count)| format!("{index}:{}", shortest(*count))).collect();
    texts.join(" ")
}

/// The shortest text that reads back as the same float, as Go's `%g` writes it.
fn shortest(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{v:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{v}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    #[test]
    fn floats_as_go_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (100_000.0, "100000"),
            (1_234_567.0, "1.234567e+06"),
            (-1e6, "-1e+06"),
            (1.25e300, "1.25e+300"),
            (0.0001, "0.0001"),
            (0.000_012, "1.2e-05"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (v, want) in cases {
            assert_eq!(super::shortest(v), want);
        }
    }
}
