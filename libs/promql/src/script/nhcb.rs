//! Classic histograms to native ones with custom buckets, for `load_with_nhcb`.

use std::collections::BTreeMap;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::labels::METRIC_NAME;
use model::{FloatHistogram, Labels, LabelsBuilder, Span};

use super::command::LoadSeries;
use super::series::ScriptValue;

/// The label of a bucket's inclusive upper bound.
const BUCKET_LABEL: &str = "le";

/// What the classic series say of one histogram at one place in time.
#[derive(Debug, Default)]
struct Classic {
    count: Option<f64>,
    sum: f64,
    /// Cumulative counts by upper bound, ascending.
    buckets: Vec<(f64, f64)>,
}

/// The labels of a series of histograms, and its histograms with the position of the values that they stand for.
pub(super) type NativeSeries = (Labels, Vec<(usize, FloatHistogram)>);

/// The histograms of the classic series among `series`.
pub(super) fn classic_to_native(series: &[LoadSeries]) -> Result<Vec<NativeSeries>, String> {
    let mut families: BTreeMap<Labels, BTreeMap<usize, Classic>> = BTreeMap::new();
    for series in series {
        let Some((base, part)) = classify(&series.data.labels) else { continue };
        let samples = families.entry(base).or_default();
        for (i, value) in series.data.values.iter().enumerate() {
            if let Some(ScriptValue::Float(v)) = value {
                samples.entry(i).or_default().add(part, *v)?;
            }
        }
    }
    let build = |(labels, samples): (Labels, BTreeMap<usize, Classic>)| {
        let histograms: Result<_, String> = samples.into_iter().map(|(i, classic)| Ok((i, classic.build()?))).collect();
        histograms.map(|h| (labels.clone(), h)).map_err(|e| format!("classic histogram {labels}: {e}"))
    };
    families.into_iter().map(build).collect()
}

/// What a series contributes to its histogram.
#[derive(Debug, Clone, Copy)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// The labels of the histogram and the series' part in it; `None` if it has none.
fn classify(labels: &Labels) -> Option<(Labels, Part)> {
    let name = labels.get(METRIC_NAME)?;
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound = labels.get(BUCKET_LABEL)?.parse::<f64>().ok().filter(|le| !le.is_nan())?;
        (base, Part::Bucket(bound))
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Part::Count)
    } else {
        (name.strip_suffix("_sum")?, Part::Sum)
    };
    let mut builder = LabelsBuilder::from_labels(labels);
    builder.set(METRIC_NAME, base).remove(BUCKET_LABEL);
    Some((builder.build(), part))
}

impl Classic {
    fn add(&mut self, part: Part, v: f64) -> Result<(), String> {
        match part {
            Part::Sum => self.sum = v,
            Part::Count | Part::Bucket(_) if v < 0.0 => return Err(format!("negative count {v}")),
            Part::Count => self.count = Some(v),
            Part::Bucket(bound) => {
                let at = self.buckets.partition_point(|(le, _)| *le < bound);
                // Of two series for the same bound (`1` and `1.0`) the first counts.
                if self.buckets.get(at).is_none_or(|(le, _)| *le != bound) {
                    self.buckets.insert(at, (bound, v));
                }
            }
        }
        Ok(())
    }

    fn build(mut self) -> Result<FloatHistogram, String> {
        let highest = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let count = self.count.unwrap_or(highest);
        if self.buckets.last().is_none_or(|(le, _)| *le != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut previous = 0.0;
        let mut counts = Vec::with_capacity(self.buckets.len());
        for (le, cumulative) in &self.buckets {
            if *cumulative < previous {
                return Err(format!("the count of bucket {le} is below that of the bucket before"));
            }
            counts.push(cumulative - previous);
            previous = *cumulative;
        }
        if previous != count {
            return Err(format!("the count is {count}, the highest bucket holds {previous}"));
        }
        let length = u32::try_from(counts.len()).map_err(|_| "too many buckets".to_owned())?;
        Ok(FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length }],
            positive_buckets: counts,
            custom_values: self.buckets.iter().map(|(le, _)| *le).filter(|le| *le != f64::INFINITY).collect(),
            ..FloatHistogram::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use model::{FloatHistogram, Labels, Span};

    use super::{NativeSeries, classic_to_native};
    use crate::script::command::LoadSeries;
    use crate::script::series::{ValueBudget, parse_series_line};

    fn convert(lines: &[&str]) -> Result<Vec<NativeSeries>, String> {
        let read = |line: &&str| LoadSeries {
            line: 1,
            data: parse_series_line(line, &mut ValueBudget::new()).expect("valid"),
            start_offsets: Vec::new(),
        };
        classic_to_native(&lines.iter().map(read).collect::<Vec<_>>())
    }

    #[test]
    fn absolute_buckets_from_cumulative_ones() {
        let got = convert(&[
            "h_bucket{le=\"1\",a=\"b\"} 1 _ 2",
            "h_bucket{le=\"0.5\",a=\"b\"} 1 _ 1",
            "h_bucket{le=\"+Inf\",a=\"b\"} 4 _ 5",
            "h_bucket{le=\"one\",a=\"b\"} 9 _ 9",
            "h_count{a=\"b\"} 4 _ 5",
            "h_sum{a=\"b\"} 3.5 _ 4",
            "other 1 2 3",
        ]);
        let histogram = |count: f64, sum, buckets: &[f64]| FloatHistogram {
            schema: -53,
            count,
            sum,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: buckets.to_vec(),
            custom_values: vec![0.5, 1.0],
            ..FloatHistogram::default()
        };
        let labels = Labels::from_pairs([("__name__", "h"), ("a", "b")]);
        let expected = vec![(0, histogram(4.0, 3.5, &[1.0, 0.0, 3.0])), (2, histogram(5.0, 4.0, &[1.0, 1.0, 3.0]))];
        assert_eq!(got, Ok(vec![(labels, expected)]));
    }

    #[test]
    fn fills_in_what_is_missing() {
        let no_count = convert(&["h_bucket{le=\"1\"} 3"]).expect("valid");
        assert_eq!(no_count[0].1[0].1.positive_buckets, [3.0, 0.0]);
        assert_eq!(no_count[0].1[0].1.count, 3.0);
        let no_inf = convert(&["h_bucket{le=\"1\"} 3", "h_count 5"]).expect("valid");
        assert_eq!(no_inf[0].1[0].1.positive_buckets, [3.0, 2.0]);
    }

    #[test]
    fn refuses_contradictions() {
        for lines in [
            &["h_bucket{le=\"1\"} 3", "h_bucket{le=\"2\"} 2"][..],
            &["h_bucket{le=\"+Inf\"} 3", "h_count 4"],
            &["h_bucket{le=\"1\"} 3", "h_count 2"],
            &["h_count -1"],
        ] {
            assert!(convert(lines).is_err(), "{lines:?}");
        }
    }
}
