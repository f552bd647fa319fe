//! The test file's format.

use std::collections::BTreeMap;

use crate::yaml::{self, Node, Shape};

/// Prometheus's default.
const DEFAULT_INTERVAL_MS: i64 = 60_000;

/// A test file. Times are milliseconds.
#[derive(Debug, Default)]
pub(super) struct TestFile {
    pub(super) rule_files: Vec<String>,
    pub(super) evaluation_interval_ms: i64,
    /// Groups in the order in which they are evaluated; those that are not named come first.
    pub(super) group_order: Vec<String>,
    /// Whether numbers may differ in their last bit.
    pub(super) fuzzy_compare: bool,
    pub(super) tests: Vec<Test>,
}

/// One test: its data and what is expected of it.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) name: String,
    /// Between samples.
    pub(super) interval_ms: i64,
    pub(super) start_ms: i64,
    /// Labels and values, as written.
    pub(super) input_series: Vec<(String, String)>,
    pub(super) alerts: Vec<AlertTest>,
    pub(super) expressions: Vec<ExpressionTest>,
    pub(super) external_labels: BTreeMap<String, String>,
    pub(super) external_url: String,
}

/// Which alerts of a name fire at a time.
#[derive(Debug)]
pub(super) struct AlertTest {
    pub(super) eval_time_ms: i64,
    pub(super) alertname: String,
    /// Labels and annotations of each.
    pub(super) expected: Vec<(BTreeMap<String, String>, BTreeMap<String, String>)>,
}

/// What an expression gives at a time.
#[derive(Debug)]
pub(super) struct ExpressionTest {
    pub(super) expr: String,
    pub(super) eval_time_ms: i64,
    pub(super) expected: Vec<ExpectedSample>,
}

/// As written.
#[derive(Debug)]
pub(super) struct ExpectedSample {
    pub(super) labels: String,
    pub(super) value: f64,
    /// If there is one, the value does not count.
    pub(super) histogram: String,
}

/// Reads a test file.
pub(super) fn read(text: &str) -> Result<TestFile, String> {
    let mut file = TestFile { evaluation_interval_ms: DEFAULT_INTERVAL_MS, ..TestFile::default() };
    let Some(root) = yaml::read(text)? else { return Ok(file) };
    let mut shape = Shape::default();
    let mut problem = None;
    let mut fields = shape.fields(&root, "test file");
    file.rule_files = fields.take("rule_files").map(|n| shape.texts(n)).unwrap_or_default();
    file.group_order = fields.take("group_eval_order").map(|n| shape.texts(n)).unwrap_or_default();
    file.fuzzy_compare = fields.take("fuzzy_compare").is_some_and(|n| shape.boolean(n));
    let interval = fields.take("evaluation_interval").map(|n| shape.duration(n)).unwrap_or_default();
    file.evaluation_interval_ms = if interval > 0 { interval } else { DEFAULT_INTERVAL_MS };
    let tests = fields.take("tests").map(|n| shape.items(n)).unwrap_or_default();
    fields.finish(&mut shape);
    file.tests = tests.iter().map(|n| test(&mut shape, n, file.evaluation_interval_ms, &mut problem)).collect();
    shape.finish()?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    for (i, name) in file.group_order.iter().enumerate() {
        if file.group_order.iter().take(i).any(|earlier| earlier == name) {
            return Err(format!("group name repeated in evaluation order: {name}"));
        }
    }
    Ok(file)
}

fn test(shape: &mut Shape, node: &Node, default_interval_ms: i64, problem: &mut Option<String>) -> Test {
    let mut fields = shape.fields(node, "test");
    let interval = fields.take("interval").map(|n| shape.duration(n)).unwrap_or_default();
    let mut items = |shape: &mut Shape, name: &str| fields.take(name).map(|n| shape.items(n)).unwrap_or_default();
    let (series, alerts, expressions) = (items(shape, "input_series"), items(shape, "alert_rule_test"), items(shape, "promql_expr_test"));
    let start = fields.take("start_timestamp").map(|n| shape.text(n)).unwrap_or_default();
    let start_ms = start_time(&start).unwrap_or_else(|| {
        *problem = Some(format!("cannot parse {start:?} to a valid timestamp"));
        0
    });
    let test = Test {
        name: fields.take("name").map(|n| shape.text(n)).unwrap_or_default(),
        interval_ms: if interval > 0 { interval } else { default_interval_ms },
        start_ms,
        input_series: series.iter().map(|n| input_series(shape, n)).collect(),
        alerts: alerts.iter().map(|n| alert_test(shape, n)).collect(),
        expressions: expressions.iter().map(|n| expression_test(shape, n)).collect(),
        external_labels: fields.take("external_labels").map(|n| shape.text_map(n)).unwrap_or_default(),
        external_url: fields.take("external_url").map(|n| shape.text(n)).unwrap_or_default(),
    };
    fields.finish(shape);
    test
}

/// Seconds since the epoch, or `2024-01-01T00:00:00Z`; nothing is the epoch.
fn start_time(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() < 9.0e12).then_some((seconds * 1_000.0) as i64);
    }
    crate::template::parse_rfc3339(text)
}

fn input_series(shape: &mut Shape, node: &Node) -> (String, String) {
    let mut fields = shape.fields(node, "series");
    let mut text = |name| fields.take(name).map(|n| shape.text(n)).unwrap_or_default();
    let series = (text("series"), text("values"));
    fields.finish(shape);
    series
}

fn alert_test(shape: &mut Shape, node: &Node) -> AlertTest {
    let mut fields = shape.fields(node, "alert test");
    let test = AlertTest {
        eval_time_ms: fields.take("eval_time").map(|n| shape.duration(n)).unwrap_or_default(),
        alertname: fields.take("alertname").map(|n| shape.text(n)).unwrap_or_default(),
        expected: {
            let nodes = fields.take("exp_alerts").map(|n| shape.items(n)).unwrap_or_default();
            nodes.iter().map(|n| expected_alert(shape, n)).collect()
        },
    };
    fields.finish(shape);
    test
}

fn expected_alert(shape: &mut Shape, node: &Node) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let mut fields = shape.fields(node, "expected alert");
    let mut map = |name| fields.take(name).map(|n| shape.text_map(n)).unwrap_or_default();
    let alert = (map("exp_labels"), map("exp_annotations"));
    fields.finish(shape);
    alert
}

fn expression_test(shape: &mut Shape, node: &Node) -> ExpressionTest {
    let mut fields = shape.fields(node, "expression test");
    let test = ExpressionTest {
        expr: fields.take("expr").map(|n| shape.text(n)).unwrap_or_default(),
        eval_time_ms: fields.take("eval_time").map(|n| shape.duration(n)).unwrap_or_default(),
        expected: {
            let nodes = fields.take("exp_samples").map(|n| shape.items(n)).unwrap_or_default();
            nodes.iter().map(|n| expected_sample(shape, n)).collect()
        },
    };
    fields.finish(shape);
    test
}

fn expected_sample(shape: &mut Shape, node: &Node) -> ExpectedSample {
    let mut fields = shape.fields(node, "expected sample");
    let sample = ExpectedSample {
        labels: fields.take("labels").map(|n| shape.text(n)).unwrap_or_default(),
        value: fields.take("value").map(|n| shape.number(n)).unwrap_or_default(),
        histogram: fields.take("histogram").map(|n| shape.text(n)).unwrap_or_default(),
    };
    fields.finish(shape);
    sample
}
