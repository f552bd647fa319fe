//! Templates in labels and annotations of alerts: Go's `text/template` with Prometheus's functions.
//!
//! ```text
//! text ─ lexer ─ parser ─▶ Template (kept with its rule) ─ exec ─▶ text, or the query that is needed first
//! ```
//!
//! A template is a pure function of its data and of the results of the queries that it asks. Expansion does no I/O: where a query's result
//! is not there yet, it stops and names the query ([`Expansion::Needs`]); the caller runs it and expands again.
//!
//! Bounds: [`MAX_OUTPUT`], [`MAX_STEPS`], nesting of actions in a text and of templates in templates. Messages are Go's, because people
//! find them in their annotations.

mod ast;
mod exec;
mod functions;
mod humanize;
mod lexer;
mod links;
mod parser;
mod printf;
#[cfg(test)]
mod tests;
mod time;
mod value;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use promql::{InstantSeries, PointValue};

use parser::Parsed;
use value::{AlertData, Sample, Value};

/// The longest expansion, in bytes. Alertmanager and chat tools cut far below.
pub const MAX_OUTPUT: usize = 64 << 10;

/// How much an expansion may do: nodes, words and iterations.
pub const MAX_STEPS: usize = 100_000;

/// The names that every alert's template has beside the dot's fields.
const SHORTHANDS: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// A parsed template. Cloning is a reference count; two are equal when their texts are.
#[derive(Debug, Clone)]
pub struct Template {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// For messages.
    name: String,
    /// With [`SHORTHANDS`] in front.
    text: String,
    /// `None` if the text has no actions and stands for itself.
    parsed: Option<Parsed>,
}

/// What a template is expanded with.
#[derive(Debug, Clone)]
pub struct TemplateData {
    data: Arc<AlertData>,
}

/// What surrounds an expansion.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The time of evaluation, in milliseconds.
    pub now_ms: i64,
    /// Where the server is reached from outside.
    pub external_url: &'a str,
    /// Results of the queries that were needed so far: samples, or why there are none.
    pub queries: &'a QueryResults,
}

/// Results of queries by their text.
pub type QueryResults = HashMap<String, Result<Vec<InstantSeries>, String>>;

/// Why there is no expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expansion {
    /// The result of this query must be known first.
    Needs(String),
    /// What is wrong, as Prometheus words it.
    Failed(String),
}

impl Template {
    /// Parses a label's or annotation's text of an alert.
    pub fn of_alert(alert: &str, text: &str) -> Result<Self, String> {
        let name = format!("__alert_{alert}");
        let text = format!("{SHORTHANDS}{text}");
        let parsed =
            if text.get(SHORTHANDS.len()..).is_some_and(|own| own.contains("{{")) { Some(parser::parse(&name, &text)?) } else { None };
        Ok(Self { inner: Arc::new(Inner { name, text, parsed }) })
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.inner.text.get(SHORTHANDS.len()..).unwrap_or_default()
    }

    /// Expands.
    pub fn expand(&self, data: &TemplateData, surroundings: Surroundings<'_>) -> Result<String, Expansion> {
        let Some(parsed) = &self.inner.parsed else { return Ok(self.text().to_owned()) };
        exec::execute(&self.inner.name, &self.inner.text, parsed, Value::Alert(Arc::clone(&data.data)), surroundings)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.inner.text == other.inner.text && self.inner.name == other.inner.name
    }
}

impl TemplateData {
    /// The data of one sample of an alert's expression.
    #[must_use]
    pub fn new(sample: &InstantSeries, external_labels: &Arc<BTreeMap<String, String>>, external_url: &Arc<str>) -> Self {
        let Sample { labels, value } = to_sample(sample);
        let (external_labels, external_url) = (Arc::clone(external_labels), Arc::clone(external_url));
        Self { data: Arc::new(AlertData { labels, external_labels, external_url, value }) }
    }
}

fn to_sample(series: &InstantSeries) -> Sample {
    let labels = series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let value = match &series.point.value {
        PointValue::Float(v) => Value::Float(*v),
        PointValue::Histogram(h) => Value::Histogram(Arc::clone(h)),
    };
    Sample { labels: Arc::new(labels), value }
}

/// The page with an expression's table, relative to where the server is reached.
pub(crate) fn table_link(expr: &str) -> String {
    links::graph(expr, 1)
}

/// A time such as `2024-01-01T00:00:00Z`, in milliseconds.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    time::parse_rfc3339(text)
}

/// [`parse_rfc3339`] the other way round.
pub(crate) fn show_rfc3339(ms: i64) -> String {
    time::rfc3339(ms)
}
