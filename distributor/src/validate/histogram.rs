//! Native histograms: parts that do not contradict each other. The rules are those of Prometheus's `histogram.Validate`.

use limits::Limits;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{FloatHistogram, Histogram, HistogramValue, RejectReason, Span};

use super::Fault;

/// Checks a histogram.
pub fn check(value: &HistogramValue, limits: &Limits) -> Result<(), Fault> {
    check_size(value, limits.max_native_histogram_buckets)?;
    let checked = match value {
        HistogramValue::Int(h) => check_int(h),
        HistogramValue::Float(h) => check_float(h),
    };
    checked.map_err(|detail| Fault::new(RejectReason::InvalidHistogram, detail))
}

fn check_size(value: &HistogramValue, max: usize) -> Result<(), Fault> {
    let buckets = match value {
        HistogramValue::Int(h) => h.positive_deltas.len() + h.negative_deltas.len(),
        HistogramValue::Float(h) => h.positive_buckets.len() + h.negative_buckets.len(),
    };
    if max > 0 && buckets > max {
        let limit = limits::named("max_native_histogram_buckets", max, "buckets");
        return Err(Fault::new(RejectReason::TooManyHistogramBuckets, format!("the histogram has {buckets} buckets ({limit})")));
    }
    Ok(())
}

/// What both kinds have in common.
struct Shape<'a> {
    schema: i32,
    zero_threshold: f64,
    zero_is_empty: bool,
    positive: (&'a [Span], usize),
    negative: (&'a [Span], usize),
    custom_values: &'a [f64],
}

fn check_int(h: &Histogram) -> Result<(), String> {
    check_shape(&Shape {
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_is_empty: h.zero_count == 0,
        positive: (&h.positive_spans, h.positive_deltas.len()),
        negative: (&h.negative_spans, h.negative_deltas.len()),
        custom_values: &h.custom_values,
    })?;
    let buckets = sum_of_deltas("positive", &h.positive_deltas)?
        .checked_add(sum_of_deltas("negative", &h.negative_deltas)?)
        .and_then(|sum| sum.checked_add(h.zero_count))
        .ok_or("the buckets hold more than 2^64 observations")?;
    // Observations of NaN raise the count and make the sum NaN, but fall into no bucket.
    let plausible = if h.sum.is_nan() { buckets <= h.count } else { buckets == h.count };
    if plausible { Ok(()) } else { Err(format!("{buckets} observations in the buckets do not match a count of {}", h.count)) }
}

fn check_float(h: &FloatHistogram) -> Result<(), String> {
    check_shape(&Shape {
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_is_empty: h.zero_count == 0.0,
        positive: (&h.positive_spans, h.positive_buckets.len()),
        negative: (&h.negative_spans, h.negative_buckets.len()),
        custom_values: &h.custom_values,
    })?;
    for (what, count) in [("count", h.count), ("zero bucket", h.zero_count)] {
        if count < 0.0 {
            return Err(format!("the {what} has {count} observations, which is negative"));
        }
    }
    // The count is not compared with the buckets: sums of floats are inexact.
    match h.positive_buckets.iter().chain(&h.negative_buckets).find(|count| **count < 0.0) {
        Some(count) => Err(format!("a bucket has {count} observations, which is negative")),
        None => Ok(()),
    }
}

fn check_shape(shape: &Shape<'_>) -> Result<(), String> {
    check_spans("positive", shape.positive)?;
    check_spans("negative", shape.negative)?;
    if shape.schema == CUSTOM_BUCKETS_SCHEMA {
        return check_custom(shape);
    }
    if !(-4..=8).contains(&shape.schema) {
        return Err(format!("schema {} is not one of -4 to 8 and {CUSTOM_BUCKETS_SCHEMA}", shape.schema));
    }
    if !shape.custom_values.is_empty() {
        return Err(format!("schema {} has custom bucket bounds", shape.schema));
    }
    Ok(())
}

fn check_custom(shape: &Shape<'_>) -> Result<(), String> {
    if !shape.zero_is_empty || shape.zero_threshold != 0.0 {
        return Err("a histogram with custom buckets has a zero bucket".to_owned());
    }
    if !shape.negative.0.is_empty() || shape.negative.1 > 0 {
        return Err("a histogram with custom buckets has negative buckets".to_owned());
    }
    let bounds = shape.custom_values;
    if bounds.iter().any(|bound| bound.is_nan() || *bound == f64::INFINITY) {
        return Err("a custom bucket bound is NaN or +Inf".to_owned());
    }
    if !bounds.is_sorted_by(|a, b| a < b) {
        return Err("the custom bucket bounds do not ascend".to_owned());
    }
    let reach: i64 = shape.positive.0.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).fold(0, i64::saturating_add);
    let starts_below = shape.positive.0.first().is_some_and(|span| span.offset < 0);
    if starts_below || reach > bounds.len() as i64 + 1 {
        return Err(format!("the spans reach bucket {reach}, but {} bounds make {} buckets", bounds.len(), bounds.len() + 1));
    }
    Ok(())
}

fn check_spans(sign: &str, (spans, buckets): (&[Span], usize)) -> Result<(), String> {
    if let Some(span) = spans.iter().skip(1).find(|span| span.offset < 0) {
        return Err(format!("a {sign} span has the negative offset {}", span.offset));
    }
    let spanned: u64 = spans.iter().map(|span| u64::from(span.length)).fold(0, u64::saturating_add);
    if spanned == buckets as u64 { Ok(()) } else { Err(format!("the {sign} spans cover {spanned} buckets, but there are {buckets}")) }
}

/// Sum of the counts that deltas describe.
fn sum_of_deltas(sign: &str, deltas: &[i64]) -> Result<u64, String> {
    let (mut count, mut sum) = (0_i64, 0_u64);
    for delta in deltas {
        count = count.checked_add(*delta).filter(|c| *c >= 0).ok_or_else(|| format!("a {sign} bucket has a negative or absurd count"))?;
        sum = sum.checked_add(count as u64).ok_or("the buckets hold more than 2^64 observations")?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use model::{FloatHistogram, Histogram, HistogramValue, RejectReason, Span, stale_nan};

    use limits::Limits;

    use super::check;

    fn int() -> Histogram {
        Histogram {
            schema: 1,
            zero_count: 1,
            count: 7,
            positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 1, length: 1 }],
            positive_deltas: vec![1, 1, -1],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            negative_deltas: vec![2],
            ..Histogram::default()
        }
    }

    fn custom() -> Histogram {
        Histogram {
            schema: -53,
            count: 3,
            custom_values: vec![-1.0, 0.5],
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_deltas: vec![1, 0, 0],
            ..Histogram::default()
        }
    }

    fn fault(h: Histogram) -> Option<String> {
        check(&HistogramValue::Int(Box::new(h)), &Limits::default()).err().map(|fault| fault.detail)
    }

    #[test]
    fn good_ones_pass() {
        assert_eq!(fault(int()), None);
        assert_eq!(fault(custom()), None);
        assert_eq!(fault(Histogram { sum: stale_nan(), ..Histogram::default() }), None);
        assert_eq!(fault(Histogram { count: 9, sum: f64::NAN, ..int() }), None);
        assert!(check(&HistogramValue::Float(Box::new(int().to_float())), &Limits::default()).is_ok());
    }

    #[test]
    fn contradictions_are_named() {
        let cases = [
            (Histogram { count: 8, ..int() }, "do not match a count"),
            (Histogram { count: 6, sum: f64::NAN, ..int() }, "do not match a count"),
            (Histogram { schema: 9, ..int() }, "schema 9"),
            (Histogram { custom_values: vec![1.0], ..int() }, "custom bucket bounds"),
            (Histogram { positive_deltas: vec![1, 1], ..int() }, "cover 3 buckets, but there are 2"),
            (Histogram { positive_deltas: vec![1, -2, 1], ..int() }, "negative or absurd"),
            (Histogram { positive_deltas: vec![i64::MAX, 1, 0], ..int() }, "negative or absurd"),
            (Histogram { positive_deltas: vec![i64::MAX, 0, 0], ..int() }, "2^64"),
            (Histogram { positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: -1, length: 1 }], ..int() }, "negative offset"),
            (Histogram { positive_spans: vec![Span { offset: 0, length: u32::MAX }], ..int() }, "cover 4294967295"),
            (Histogram { zero_count: 1, ..custom() }, "zero bucket"),
            (Histogram { custom_values: vec![0.5, 0.5], ..custom() }, "do not ascend"),
            (Histogram { custom_values: vec![0.5, f64::INFINITY], ..custom() }, "+Inf"),
            (Histogram { custom_values: vec![f64::NAN, 1.0], ..custom() }, "NaN"),
            (Histogram { custom_values: vec![1.0], ..custom() }, "reach bucket 3"),
            (Histogram { positive_spans: vec![Span { offset: -1, length: 3 }], ..custom() }, "reach bucket 2"),
        ];
        for (histogram, text) in cases {
            let fault = fault(histogram.clone());
            assert!(fault.as_ref().is_some_and(|f| f.contains(text)), "{text}: {fault:?} {histogram:?}");
        }
        let float = FloatHistogram { positive_buckets: vec![1.0, -1.0, 1.0], ..int().to_float() };
        assert!(check(&HistogramValue::Float(Box::new(float)), &Limits::default()).is_err());
    }

    #[test]
    fn wide_ones_are_refused_by_name() {
        for value in [HistogramValue::Int(Box::new(int())), HistogramValue::Float(Box::new(int().to_float()))] {
            let limited = |max| check(&value, &Limits { max_native_histogram_buckets: max, ..Limits::default() });
            assert_eq!((limited(4), limited(0)), (Ok(()), Ok(())));
            let fault = limited(3).unwrap_err();
            assert_eq!(fault.reason, RejectReason::TooManyHistogramBuckets);
            assert!(fault.detail.contains("4 buckets (limit: max_native_histogram_buckets = 3 buckets"), "{}", fault.detail);
        }
    }
}
