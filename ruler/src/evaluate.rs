//! Evaluating a group: its rules in order, each through the query path, its results through the write path.
//!
//! ```text
//! expr ─ QueryRunner ─▶ vector ─┬ recording: renamed ─────────────────┬─▶ WriteBatch ─ WritePath
//!                               └ alerting: templates ─ Alerts::step ─┤   + stale markers for series that are gone
//!                                                                     └─▶ notifications
//! ```
//!
//! A rule that fails leaves what it wrote before as it is; the rules behind it are evaluated all the same.

mod expand;
mod restore;
pub(crate) mod state;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, TenantId};
use promql::{InstantSeries, Point, PointValue, QueryValue};
use rpc::{CallContext, QueryRunner, WritePath};
use runtime::Deadline;
use runtime::clock::SharedClock;
use runtime::failpoint::{self, Failpoint};

use crate::alert::{Notification, RuleSample};
use crate::rule_file::{Rule, RuleKind};
use expand::Expander;
use state::{GroupState, Health, RuleState};

/// What evaluations need.
#[derive(Clone)]
pub(crate) struct Evaluator {
    pub(crate) tenant: TenantId,
    pub(crate) query: Arc<dyn QueryRunner>,
    pub(crate) write: Arc<dyn WritePath>,
    pub(crate) clock: SharedClock,
    /// Of one query and of one write.
    pub(crate) timeout: Duration,
    /// How far back queries look where the group does not say.
    pub(crate) query_offset_ms: i64,
    pub(crate) resend_delay_ms: i64,
    pub(crate) external_labels: Arc<BTreeMap<String, String>>,
    pub(crate) external_url: Arc<str>,
}

/// What one evaluation of a group did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) rules: u64,
    pub(crate) failures: u64,
    pub(crate) samples: u64,
}

/// Takes what Alertmanagers are to be told: the rule's expression and its alerts.
pub(crate) type Notify<'a> = &'a (dyn Fn(&Rule, Vec<Notification>) + Send + Sync);

impl Evaluator {
    pub(crate) fn context(&self) -> CallContext {
        CallContext { tenant: self.tenant.clone(), deadline: Deadline::after(self.clock.as_ref(), self.timeout) }
    }

    /// Evaluates all rules of a group at `ts`, in milliseconds.
    pub(crate) async fn evaluate(&self, state: &mut GroupState, ts: i64, notify: Notify<'_>) -> Done {
        let started = self.clock.monotonic();
        let mut done = Done::default();
        let group = Arc::clone(&state.group);
        let at = ts.saturating_sub(group.query_offset_ms.unwrap_or(self.query_offset_ms));
        for (rule, rule_state) in group.rules.iter().zip(&mut state.rules) {
            let rule_started = self.clock.monotonic();
            rule_state.evaluated_at = Some(self.clock.now_ms());
            let result = self.rule(rule, rule_state, &Times { ts, at, interval_ms: state.interval_ms, limit: group.limit }, notify).await;
            done.rules += 1;
            match result {
                Ok(samples) => {
                    done.samples += samples;
                    (rule_state.health, rule_state.last_error) = (Health::Good, None);
                }
                Err(error) => {
                    done.failures += 1;
                    tracing::warn!(tenant = %self.tenant, file = %state.key.file, group = group.name, rule = rule.name, error, "evaluating a rule failed");
                    (rule_state.health, rule_state.last_error) = (Health::Bad, Some(error));
                }
            }
            rule_state.seconds = (self.clock.monotonic() - rule_started).as_secs_f64();
        }
        self.mark_orphans_stale(state, at).await;
        state.last_evaluation = Some(ts);
        state.seconds = (self.clock.monotonic() - started).as_secs_f64();
        done
    }

    /// Evaluates one rule; the number of samples that it gave.
    async fn rule(&self, rule: &Rule, state: &mut RuleState, times: &Times, notify: Notify<'_>) -> Result<u64, String> {
        failpoint::hit(Failpoint::RulerEval).await.map_err(|injected| injected.to_string())?;
        let vector = self.instant(&rule.expr, times.at, None).await?;
        let samples = match &rule.kind {
            RuleKind::Recording => recorded(rule, vector, times.limit)?,
            RuleKind::Alerting(spec) => {
                let mut expander = Expander::new(self, times.ts);
                let mut candidates = Vec::with_capacity(vector.len());
                for sample in &vector {
                    candidates.push(expander.candidate(rule, spec, sample).await);
                }
                let samples = state.alerts.step(rule, spec, candidates, times.ts, times.limit)?;
                let due = state.alerts.due(times.ts, times.interval_ms, self.resend_delay_ms);
                if !due.is_empty() {
                    notify(rule, due);
                }
                samples
            }
        };
        let count = samples.len() as u64;
        self.write_results(samples, &mut state.written, times.at).await.map(|()| count)
    }

    /// Runs an instant query; scalars count as one sample without labels.
    async fn instant(&self, query: &str, t: i64, lookback_ms: Option<i64>) -> Result<Vec<InstantSeries>, String> {
        let result = self.query.instant(&self.context(), query, t, lookback_ms).await.map_err(|e| e.to_string())?;
        match result.value {
            QueryValue::Vector(series) => Ok(series),
            QueryValue::Scalar { t, v } => {
                Ok(vec![InstantSeries { labels: Labels::empty(), point: Point { t, value: PointValue::Float(v) } }])
            }
            QueryValue::Matrix(_) | QueryValue::String { .. } => Err("rule result is not a vector or scalar".to_owned()),
        }
    }
}

/// When and how a rule is evaluated.
struct Times {
    /// The slot.
    ts: i64,
    /// The slot less the query offset: the time of queries and results.
    at: i64,
    interval_ms: i64,
    limit: usize,
}

/// A result under a recording rule's name and labels.
fn recorded(rule: &Rule, vector: Vec<InstantSeries>, limit: usize) -> Result<Vec<RuleSample>, String> {
    let mut samples = Vec::with_capacity(vector.len());
    let mut seen = BTreeSet::new();
    for series in vector {
        let mut labels = LabelsBuilder::from_labels(&series.labels);
        labels.set(METRIC_NAME, &rule.name);
        for (name, value) in &rule.labels {
            labels.set(name, value);
        }
        let labels = labels.build();
        if !seen.insert(labels.hash()) {
            return Err("vector contains metrics with the same labelset after applying rule labels".to_owned());
        }
        samples.push(RuleSample { labels, value: series.point.value });
    }
    if limit > 0 && samples.len() > limit {
        return Err(format!("exceeded limit of {limit} with {} series", samples.len()));
    }
    Ok(samples)
}
