//! Looking up the state of alerts from before a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;
use model::labels::METRIC_NAME;
use promql::PointValue;

use super::Evaluator;
use super::state::GroupState;
use crate::alert::{ForState, Grace, selector};

impl Evaluator {
    /// Restores the alerts of all rules that were not yet. A rule whose state cannot be read begins anew, as in Prometheus: there would be
    /// no end to trying.
    pub(crate) async fn restore(&self, state: &mut GroupState, ts: i64, grace: Grace) {
        let group = Arc::clone(&state.group);
        for (rule, rule_state) in group.rules.iter().zip(&mut state.rules) {
            let Some(spec) = rule.alert() else { continue };
            let alerts = &mut rule_state.alerts;
            if !alerts.wants_restoration(spec, grace) {
                alerts.set_restored();
                continue;
            }
            match self.for_states(&selector(rule), ts, grace.outage_tolerance_ms).await {
                Ok(states) => alerts.restore(spec, &states, ts, grace),
                Err(error) => {
                    tracing::error!(
                        group = group.name,
                        alert = rule.name,
                        error,
                        "the state of alerts before the restart could not be read"
                    );
                    alerts.set_restored();
                }
            }
        }
    }

    /// The last samples of `selector` within `reach_ms` by their labels without the name; series that have ended are not among them.
    async fn for_states(&self, selector: &str, ts: i64, reach_ms: i64) -> Result<BTreeMap<Labels, ForState>, String> {
        let bare = |labels: &Labels| labels.without(|name| name == METRIC_NAME);
        let values = self.instant(selector, ts, Some(reach_ms)).await?;
        let times = self.instant(&format!("timestamp({selector})"), ts, Some(reach_ms)).await?;
        let times: BTreeMap<Labels, f64> = times.into_iter().filter_map(|s| Some((bare(&s.labels), float(&s.point.value)?))).collect();
        let state = |labels: &Labels, value: f64| times.get(labels).map(|at| ForState { at: (at * 1_000.0).round() as i64, value });
        Ok(values
            .into_iter()
            .filter_map(|s| {
                let labels = bare(&s.labels);
                let state = state(&labels, float(&s.point.value)?)?;
                Some((labels, state))
            })
            .collect())
    }
}

fn float(value: &PointValue) -> Option<f64> {
    match value {
        PointValue::Float(v) => Some(*v),
        PointValue::Histogram(_) => None,
    }
}
