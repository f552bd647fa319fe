//! `label_replace` and `label_join`.

use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};

use super::QueryState;
use super::series::{BoxStream, DuplicateGuard, Series, Stream};
use crate::error::QueryError;
use crate::plan::RelabelRule;

/// Writes one label of each series.
pub(super) struct Relabel {
    input: BoxStream,
    rule: RelabelRule,
    guard: DuplicateGuard,
    steps: usize,
    state: Arc<QueryState>,
}

impl Relabel {
    pub(super) fn new(input: BoxStream, rule: RelabelRule, steps: usize, state: &Arc<QueryState>) -> Self {
        Self { input, rule, guard: DuplicateGuard::new(state), steps, state: Arc::clone(state) }
    }
}

impl RelabelRule {
    /// The label that is written.
    fn target(&self) -> &str {
        match self {
            Self::Replace { dst, .. } | Self::Join { dst, .. } => dst,
        }
    }

    /// Its value; `None` leaves the series alone.
    fn value(&self, labels: &Labels) -> Option<String> {
        match self {
            Self::Replace { replacement, src, pattern, .. } => {
                let captures = pattern.captures(labels.get(src).unwrap_or_default())?;
                let mut value = String::new();
                captures.expand(replacement, &mut value);
                Some(value)
            }
            Self::Join { separator, src, .. } => {
                let values: Vec<&str> = src.iter().map(|name| labels.get(name).unwrap_or_default()).collect();
                Some(values.join(separator))
            }
        }
    }
}

impl Stream for Relabel {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        let Some(mut batch) = self.input.next_batch()? else { return Ok(None) };
        self.state.check()?;
        for series in &mut batch {
            if let Some(value) = self.rule.value(&series.labels) {
                let mut labels = LabelsBuilder::from_labels(&series.labels);
                labels.set(self.rule.target(), &value);
                series.relabel(labels.build(), &self.state);
                series.drop_name &= self.rule.target() != METRIC_NAME;
            }
            self.guard.check(series)?;
        }
        Ok(Some(batch))
    }

    fn whole(&self) -> bool {
        self.steps <= 1
    }
}
