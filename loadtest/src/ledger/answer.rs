//! What was asked and what was answered.

use std::ops::RangeInclusive;
use std::sync::Arc;

use anyhow::Context;
use model::Labels;
use serde_json::Value;

use crate::answers::point;

/// What a query asks for: series of one tenant by labels, from one time to another.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Whose series; empty where the server knows no tenants.
    pub tenant: Arc<str>,
    /// Labels that must be as given.
    pub equal: Vec<(String, String)>,
    /// In milliseconds. What an answer has at other times is not looked at.
    pub times: RangeInclusive<i64>,
}

impl Selection {
    /// All series of a metric.
    #[must_use]
    pub fn metric(tenant: &str, name: &str, times: RangeInclusive<i64>) -> Self {
        Self { tenant: Arc::from(tenant), equal: vec![("__name__".to_owned(), name.to_owned())], times }
    }
}

/// What a way to read shows of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fidelity {
    /// Every bit (remote read).
    Bits,
    /// A number as text (PromQL): one NaN is like the other, and stale markers are not shown.
    Text,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What it shows of values.
    pub fidelity: Fidelity,
    /// Whether it says of itself that something may be missing.
    pub marked: bool,
    /// As they came; a series may be there twice, which is one of the things to find.
    pub rows: Vec<Row>,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its labels.
    pub labels: Labels,
    /// Times in milliseconds and values, as they came.
    pub points: Vec<(i64, f64)>,
}

impl Answer {
    /// Every bit of what was read, and nothing said to be missing.
    #[must_use]
    pub fn bits(rows: Vec<Row>) -> Self {
        Self { fidelity: Fidelity::Bits, marked: false, rows }
    }

    /// An answer of the query API that is a matrix or a vector: its `data`, and whether there were warnings.
    pub fn text(data: &Value, marked: bool) -> anyhow::Result<Self> {
        let row = |series: &Value| -> anyhow::Result<Row> {
            let labels = series["metric"].as_object().context("a series' labels")?;
            let labels = labels.iter().map(|(name, value)| Ok((name, value.as_str().context("a label's value")?)));
            let points = match series["values"].as_array() {
                Some(values) => values.iter().map(point).collect::<anyhow::Result<Vec<_>>>()?,
                None => vec![point(&series["value"])?],
            };
            Ok(Row { labels: Labels::from_pairs(labels.collect::<anyhow::Result<Vec<_>>>()?), points })
        };
        let rows = data["result"].as_array().context("a matrix or a vector")?.iter().map(row).collect::<anyhow::Result<_>>()?;
        Ok(Self { fidelity: Fidelity::Text, marked, rows })
    }
}
