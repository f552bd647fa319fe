//! Native histograms as JSON: `{"count":"…","sum":"…","buckets":[[rule,"lower","upper","count"],…]}`.
//!
//! Rules: 0 the bucket is open on the left, 1 on the right, 2 on both sides, 3 on neither.

use model::FloatHistogram;
use promql::histogram::{Bucket, all};

use super::format::float;

pub(super) fn write(out: &mut Vec<u8>, h: &FloatHistogram) {
    out.extend_from_slice(b"{\"count\":");
    float(out, h.count);
    out.extend_from_slice(b",\"sum\":");
    float(out, h.sum);
    let mut opened = false;
    for bucket in all(h).filter(|b| b.count != 0.0) {
        out.extend_from_slice(if opened { b"," } else { b",\"buckets\":[" });
        opened = true;
        out.extend_from_slice(&[b'[', rule(&bucket), b',']);
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

fn rule(bucket: &Bucket) -> u8 {
    match (bucket.lower_inclusive, bucket.upper_inclusive) {
        (false, true) => b'0',
        (true, false) => b'1',
        (false, false) => b'2',
        (true, true) => b'3',
    }
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

    #[test]
    fn bounds_are_those_of_prometheus_to_the_bit() {
        let spans = vec![Span { offset: 1, length: 1 }];
        let h = FloatHistogram { schema: 1, positive_spans: spans, positive_buckets: vec![1.0], ..FloatHistogram::default() };
        let mut out = Vec::new();
        super::write(&mut out, &h);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"count":"0","sum":"0","buckets":[[0,"1","1.414213562373095","1"]]}"#);
    }

    #[test]
    fn custom_buckets() {
        let h = FloatHistogram {
            schema: -53,
            count: 3.0,
            sum: 9.0,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![1.0, 2.0],
            custom_values: vec![5.0],
            ..FloatHistogram::default()
        };
        let mut out = Vec::new();
        super::write(&mut out, &h);
        let want = r#"{"count":"3","sum":"9","buckets":[[3,"-Inf","5","1"],[0,"5","+Inf","2"]]}"#;
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
