use model::{CounterResetHint, FloatHistogram, Span};

use super::{add_scaled, parse_histogram};
use crate::histogram::occupied;
use crate::script::scan::Scanner;

fn read(text: &str) -> Result<FloatHistogram, String> {
    let mut s = Scanner::new(text);
    let h = parse_histogram(&mut s)?;
    if s.is_end() { Ok(h.histogram) } else { Err(format!("left: {}", s.rest())) }
}

#[test]
fn all_fields() {
    let h = read(
        "{{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3 n_buckets:[4.1 5] n_offset:-5 counter_reset_hint:gauge}}",
    );
    let expected = FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        schema: 1,
        zero_threshold: 0.05,
        zero_count: 7.1,
        count: 3.1,
        sum: -0.3,
        positive_spans: vec![Span { offset: -3, length: 3 }],
        positive_buckets: vec![5.1, 10.0, 7.0],
        negative_spans: vec![Span { offset: -5, length: 2 }],
        negative_buckets: vec![4.1, 5.0],
        custom_values: vec![],
    };
    assert_eq!(h, Ok(expected));
}

#[test]
fn empty_and_special_values() {
    assert_eq!(read("{{}}"), Ok(FloatHistogram::default()));
    assert_eq!(read("{{ }}"), Ok(FloatHistogram::default()));
    assert_eq!(read("{{sum:Inf count:+5}}").map(|h| (h.sum, h.count)), Ok((f64::INFINITY, 5.0)));
    assert!(read("{{sum:NaN}}").is_ok_and(|h| h.sum.is_nan()));
    assert_eq!(read("{{schema:-53 custom_values:[-1 5]}}").map(|h| h.custom_values), Ok(vec![-1.0, 5.0]));
}

#[test]
fn refuses_nonsense() {
    for text in [
        "{{schema:1 schema:1}}",
        "{{schema}}",
        "{{schema:1.5}}",
        "{{foo:1}}",
        "{{sum:1,count:1}}",
        "{{buckets:[1,2]}}",
        "{{buckets:[1 2}}",
        "{{sum:1",
        "{{counter_reset_hint:maybe}}",
        "{{offset:2000000000 buckets:[1]}}",
        "{{z_bucket_w:-1}}",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn adds_bucket_by_bucket() {
    let base = read("{{schema:-1 sum:4 count:1 buckets:[1] offset:1}}").expect("literal");
    let step = read("{{schema:0 sum:4 count:4 buckets:[2 2] offset:1}}").expect("literal");
    let sum = add_scaled(&base, &step, 1.0).expect("coarser first");
    assert_eq!((sum.schema, sum.sum, sum.count), (-1, 8.0, 5.0));
    assert_eq!(occupied(&sum.positive_spans, &sum.positive_buckets), [(1, 5.0)]);
    assert!(add_scaled(&step, &base, 1.0).is_err());

    let gap = read("{{buckets:[3] offset:4}}").expect("literal");
    let down = add_scaled(&step, &gap, -1.0).expect("same schema");
    assert_eq!(down.positive_spans, [Span { offset: 1, length: 2 }, Span { offset: 1, length: 1 }]);
    assert_eq!(down.positive_buckets, [2.0, 2.0, -3.0]);
}
