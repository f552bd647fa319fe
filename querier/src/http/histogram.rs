//! Native histograms as JSON: `{"count":"…","sum":"…","buckets":[[rule,"lower","upper","count"],…]}`.
//!
//! Rules: 0 the bucket is open on the left, 1 on the right, 2 on both sides, 3 on neither.

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{FloatHistogram, Span};

use super::format::float;

/// Schemas that have bounds; anything else is shown without buckets.
const EXPONENTIAL: std::ops::RangeInclusive<i32> = -4..=8;

struct Bucket {
    rule: u8,
    lower: f64,
    upper: f64,
    count: f64,
}

pub(super) fn write(out: &mut Vec<u8>, h: &FloatHistogram) {
    out.extend_from_slice(b"{\"count\":");
    float(out, h.count);
    out.extend_from_slice(b",\"sum\":");
    float(out, h.sum);
    let mut opened = false;
    for bucket in buckets(h).iter().filter(|b| b.count != 0.0) {
        out.extend_from_slice(if opened { b"," } else { b",\"buckets\":[" });
        opened = true;
        out.extend_from_slice(&[b'[', b'0' + bucket.rule, b',']);
        float(out, bucket.lower);
        out.push(b',');
        float(out, bucket.upper);
        out.push(b',');
        float(out, bucket.count);
        out.push(b']');
    }
    if opened {
        out.push(b']');
    }
    out.push(b'}');
}

/// Ascending by bound.
fn buckets(h: &FloatHistogram) -> Vec<Bucket> {
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        let bound = |i: i64| {
            if i < 0 {
                return f64::NEG_INFINITY;
            }
            usize::try_from(i).ok().and_then(|i| h.custom_values.get(i)).copied().unwrap_or(f64::INFINITY)
        };
        return indexed(&h.positive_spans, &h.positive_buckets)
            .map(|(i, count)| Bucket { rule: if i == 0 { 3 } else { 0 }, lower: bound(i - 1), upper: bound(i), count })
            .collect();
    }
    if !EXPONENTIAL.contains(&h.schema) {
        return Vec::new();
    }
    let bound = |i: i64| (i as f64 * (-f64::from(h.schema)).exp2()).exp2();
    let mut all: Vec<Bucket> = indexed(&h.negative_spans, &h.negative_buckets)
        .map(|(i, count)| Bucket { rule: 1, lower: -bound(i), upper: -bound(i - 1), count })
        .collect();
    all.reverse();
    if h.zero_count != 0.0 {
        all.push(Bucket { rule: 3, lower: -h.zero_threshold, upper: h.zero_threshold, count: h.zero_count });
    }
    all.extend(indexed(&h.positive_spans, &h.positive_buckets).map(|(i, count)| Bucket {
        rule: 0,
        lower: bound(i - 1),
        upper: bound(i),
        count,
    }));
    all
}

/// The buckets with their indices. Bounded by the buckets there are, whatever the spans claim.
fn indexed<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut end = 0_i64;
    let indices = spans.iter().flat_map(move |span| {
        let start = end + i64::from(span.offset);
        end = start + i64::from(span.length);
        start..end
    });
    indices.zip(counts.iter().copied())
}

#[cfg(test)]
mod tests {
    use model::{FloatHistogram, Span};

    #[test]
    fn exponential_buckets_around_zero() {
        let h = FloatHistogram {
            schema: 0,
            count: 7.0,
            sum: 3.5,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![2.0, 3.0],
            negative_spans: vec![Span { offset: 1, length: 1 }],
            negative_buckets: vec![1.0],
            ..FloatHistogram::default()
        };
        let mut out = Vec::new();
        super::write(&mut out, &h);
        let want = r#"{"count":"7","sum":"3.5","buckets":[[1,"-2","-1","1"],[3,"-0.001","0.001","1"],[0,"0.5","1","2"],[0,"1","2","3"]]}"#;
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
