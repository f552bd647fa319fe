//! Labels and annotations of alerts.

use std::sync::Arc;

use model::LabelsBuilder;
use model::labels::METRIC_NAME;
use promql::InstantSeries;

use super::Evaluator;
use crate::alert::{ALERT_NAME, Candidate};
use crate::rule_file::{AlertSpec, Rule};
use crate::template::{Expansion, QueryResults, Surroundings, Template, TemplateData};

/// Different queries that the templates of one rule may ask in one evaluation.
const MAX_QUERIES: usize = 100;

/// Expands templates of one rule at one time; queries are run once, however many alerts ask them.
pub(super) struct Expander<'a> {
    evaluator: &'a Evaluator,
    ts: i64,
    queries: QueryResults,
}

impl<'a> Expander<'a> {
    pub(super) fn new(evaluator: &'a Evaluator, ts: i64) -> Self {
        Self { evaluator, ts, queries: QueryResults::new() }
    }

    /// The alert that a sample of the expression stands for.
    pub(super) async fn candidate(&mut self, rule: &Rule, spec: &AlertSpec, sample: &InstantSeries) -> Candidate {
        let data = TemplateData::new(sample, &self.evaluator.external_labels, &self.evaluator.external_url);
        let mut labels = LabelsBuilder::from_labels(&sample.labels);
        labels.remove(METRIC_NAME);
        for (name, template) in &spec.labels {
            labels.set(name, &self.text(rule, template, &data).await);
        }
        labels.set(ALERT_NAME, &rule.name);
        let mut annotations = Vec::with_capacity(spec.annotations.len());
        for (name, template) in &spec.annotations {
            annotations.push((name.clone(), self.text(rule, template, &data).await));
        }
        // A histogram has no single value; Prometheus shows zero.
        let value = if let promql::PointValue::Float(v) = sample.point.value { v } else { 0.0 };
        Candidate { labels: labels.build(), annotations, value }
    }

    /// A template's text; what is wrong with it stands in its place, for people to see.
    async fn text(&mut self, rule: &Rule, template: &Template, data: &TemplateData) -> String {
        loop {
            let external_url = Arc::clone(&self.evaluator.external_url);
            let surroundings = Surroundings { now_ms: self.ts, external_url: &external_url, queries: &self.queries };
            match template.expand(data, surroundings) {
                Ok(text) => return text,
                Err(Expansion::Failed(error)) => {
                    tracing::warn!(alert = rule.name, error, "expanding an alert's template failed");
                    return format!("<error expanding template: {error}>");
                }
                Err(Expansion::Needs(query)) => {
                    let result = match self.queries.len() {
                        0..MAX_QUERIES => self.evaluator.instant(&query, self.ts, None).await,
                        _ => Err(format!("the templates of one rule ask more than {MAX_QUERIES} queries")),
                    };
                    self.queries.insert(query, result);
                }
            }
        }
    }
}
