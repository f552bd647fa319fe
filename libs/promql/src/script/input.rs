//! Series of tests that are not scripts: rule tests write the same notation, spread over the keys of a file.

use std::sync::Arc;

use model::{FloatHistogram, Labels};

use super::scan::Scanner;
use super::series::{ScriptValue, ValueBudget, parse_labels, parse_series_line};
use crate::value::PointValue;

/// Reads series; all that one reader reads may expand to some ten million values together.
#[derive(Debug)]
pub struct SeriesReader {
    budget: ValueBudget,
}

impl Default for SeriesReader {
    fn default() -> Self {
        Self { budget: ValueBudget::new() }
    }
}

impl SeriesReader {
    /// Reads `name{label="value"}` and `1 2+3x4 _ stale {{sum:1 count:2}}`. `None` is a place in time without a sample.
    pub fn series(&mut self, series: &str, values: &str) -> Result<(Labels, Vec<Option<PointValue>>), String> {
        let line = parse_series_line(&format!("{} {}", series.trim(), values.trim()), &mut self.budget)?;
        let value = |value| match value {
            ScriptValue::Float(v) => PointValue::Float(v),
            ScriptValue::Histogram(h) => PointValue::Histogram(Arc::new(h.histogram.clone())),
        };
        Ok((line.labels, line.values.into_iter().map(|v| v.map(value)).collect()))
    }

    /// Reads `name{label="value"}`; nothing at all is the empty set.
    pub fn labels(&self, text: &str) -> Result<Labels, String> {
        let mut scanner = Scanner::new(text.trim());
        if scanner.is_end() {
            return Ok(Labels::empty());
        }
        let labels = parse_labels(&mut scanner)?;
        if scanner.is_end() { Ok(labels) } else { Err(scanner.expected("the end of the label set")) }
    }

    /// Reads one histogram, `{{sum:1 count:2}}`.
    pub fn histogram(&mut self, text: &str) -> Result<Arc<FloatHistogram>, String> {
        let (_, values) = self.series("{}", text)?;
        match values.as_slice() {
            [Some(PointValue::Histogram(histogram))] => Ok(Arc::clone(histogram)),
            [_] => Err("expected a histogram".to_owned()),
            values => Err(format!("expected 1 value, got {}", values.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_and_labels_are_read() {
        let mut reader = SeriesReader::default();
        let (labels, values) = reader.series(" up{a=\"b\"}", "1+1x1 _ ").unwrap();
        assert_eq!(labels, Labels::from_pairs([("__name__", "up"), ("a", "b")]));
        assert_eq!(values, [Some(PointValue::Float(1.0)), Some(PointValue::Float(2.0)), None]);
        assert_eq!(reader.labels(""), Ok(Labels::empty()));
        assert_eq!(reader.labels("{a=\"b\"}"), Ok(Labels::from_pairs([("a", "b")])));
        assert!(reader.labels("up{a=\"b\"} 1").is_err());
        assert_eq!(reader.histogram("{{count:2 sum:3 buckets:[2]}}").unwrap().count, 2.0);
        assert!(reader.histogram("1").is_err() && reader.histogram("1 2").is_err());
    }
}
