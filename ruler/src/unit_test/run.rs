//! One test: data and evaluations in the order of time, then what is expected.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, TenantId};
use promql::script::SeriesReader;
use promql::{ParseOptions, Point};
use rpc::QueryRunner;
use runtime::ManualClock;

use super::compare;
use super::file::{Test, TestFile};
use super::store::Store;
use crate::duration;
use crate::evaluate::Evaluator;
use crate::evaluate::state::GroupState;
use crate::group::GroupKey;
use crate::rule_file;

/// Evaluations of one test: eight years of minutes.
const MAX_EVALUATIONS: i64 = 5_000_000;

/// Runs a test; what is not as expected.
pub(super) async fn run(test: &Test, file: &TestFile, rule_files: &[PathBuf]) -> Vec<String> {
    match Runner::new(test, file, rule_files) {
        Ok(mut runner) => runner.run().await,
        Err(failures) => failures,
    }
}

/// Samples of a series that are not yet in the store.
struct Pending {
    labels: Labels,
    points: std::iter::Peekable<std::vec::IntoIter<Point>>,
}

struct Runner<'a> {
    test: &'a Test,
    file: &'a TestFile,
    store: Store,
    evaluator: Evaluator,
    pending: Vec<Pending>,
    groups: Vec<GroupState>,
}

impl<'a> Runner<'a> {
    fn new(test: &'a Test, file: &'a TestFile, rule_files: &[PathBuf]) -> Result<Self, Vec<String>> {
        if let Some(nameless) = test.alerts.iter().find(|t| t.alertname.is_empty()) {
            let place = if test.name.is_empty() { String::new() } else { format!(" (in TestGroup {})", test.name) };
            let at = duration::show(nameless.eval_time_ms);
            return Err(vec![format!("an item under alert_rule_test misses required attribute alertname at eval_time {at}{place}")]);
        }
        let pending = input(test).map_err(|e| vec![e])?;
        let groups = load(test, file, rule_files)?;
        let store = Store::new(file.evaluation_interval_ms);
        let evaluator = Evaluator {
            tenant: TenantId::anonymous(),
            query: Arc::new(store.clone()),
            write: Arc::new(store.clone()),
            clock: Arc::new(ManualClock::at(test.start_ms)),
            timeout: Duration::from_secs(100),
            query_offset_ms: 0,
            resend_delay_ms: 0,
            external_labels: Arc::new(test.external_labels.clone()),
            external_url: test.external_url.as_str().into(),
        };
        Ok(Self { test, file, store, evaluator, pending, groups })
    }

    async fn run(&mut self) -> Vec<String> {
        let times = self.test.alerts.iter().map(|t| t.eval_time_ms).chain(self.test.expressions.iter().map(|t| t.eval_time_ms));
        let (last, step) = (times.max().unwrap_or(0), self.file.evaluation_interval_ms);
        if last / step > MAX_EVALUATIONS {
            return vec![format!("the test would take {} evaluations, at most {MAX_EVALUATIONS} are made", last / step)];
        }
        let mut failures = Vec::new();
        for since in (0..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let ts = self.test.start_ms.saturating_add(since);
            let errors = self.evaluate(ts).await;
            if !errors.is_empty() {
                failures.extend(errors);
                return failures;
            }
            let due = |at: i64| since <= at && at < since.saturating_add(step);
            for expected in self.test.alerts.iter().filter(|t| due(t.eval_time_ms)) {
                failures.extend(compare::alerts(&self.test.name, expected, &self.groups));
            }
        }
        for expected in &self.test.expressions {
            let at = self.test.start_ms.saturating_add(expected.eval_time_ms);
            let result = self.store.instant(&self.evaluator.context(), &expected.expr, at, None).await;
            failures.extend(compare::expression(expected, result, self.file.fuzzy_compare));
        }
        failures
    }

    /// Brings the data up to `ts` and evaluates all groups; what rules complain of.
    async fn evaluate(&mut self, ts: i64) -> Vec<String> {
        for series in &mut self.pending {
            while let Some(point) = series.points.next_if(|point| point.t <= ts) {
                if let Err((_, problem)) = self.store.append(&series.labels, &point) {
                    return vec![format!("    series: {}, err: {problem}", series.labels)];
                }
            }
        }
        let mut errors = Vec::new();
        for group in &mut self.groups {
            self.evaluator.evaluate(group, ts, &|_, _| {}).await;
            for (rule, state) in group.group.rules.iter().zip(&group.rules) {
                if let Some(error) = &state.last_error {
                    errors.push(format!("    rule: {}, time: {}, err: {error}", rule.name, duration::show(ts)));
                }
            }
        }
        errors
    }
}

fn input(test: &Test) -> Result<Vec<Pending>, String> {
    let mut reader = SeriesReader::default();
    let mut all: Vec<Pending> = Vec::with_capacity(test.input_series.len());
    for (series, values) in &test.input_series {
        let (labels, values) = reader.series(series, values).map_err(|e| format!("series {series:?}: {e}"))?;
        let time = |i: usize| i64::try_from(i).ok()?.checked_mul(test.interval_ms)?.checked_add(test.start_ms);
        let mut points = Vec::with_capacity(values.len());
        for (i, value) in values.into_iter().enumerate() {
            let t = time(i).ok_or_else(|| format!("series {series:?}: the values reach beyond the end of time"))?;
            points.extend(value.map(|value| Point { t, value }));
        }
        // The last of two lines of one series counts, as in promtool.
        all.retain(|known| known.labels != labels);
        all.push(Pending { labels, points: points.into_iter().peekable() });
    }
    Ok(all)
}

fn load(test: &Test, file: &TestFile, rule_files: &[PathBuf]) -> Result<Vec<GroupState>, Vec<String>> {
    let mut groups = Vec::new();
    for path in rule_files {
        let name = path.display().to_string();
        let parsed = read_rules(path).map_err(|errors| errors.into_iter().map(|e| format!("{name}: {e}")).collect::<Vec<_>>())?;
        groups.extend(parsed.into_iter().map(|group| {
            let key = GroupKey::new(&TenantId::anonymous(), &name, &group.name);
            GroupState::new(key, Arc::new(group), test.interval_ms, true)
        }));
    }
    groups.sort_by_key(|state| file.group_order.iter().position(|name| *name == state.group.name).unwrap_or(0));
    Ok(groups)
}

fn read_rules(path: &Path) -> Result<Vec<rule_file::RuleGroup>, Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|e| vec![e.to_string()])?;
    rule_file::parse(&text, &ParseOptions::default())
}
