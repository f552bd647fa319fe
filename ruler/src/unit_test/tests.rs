use std::path::Path;

use super::run_file;

const RULES: &str = "groups:\n- name: g\n  rules:\n  - {record: job:up:sum, expr: sum by (job) (up)}\n  - alert: Down\n    expr: up == 0\n    for: 2m\n    \
                     labels: {severity: page}\n    annotations: {summary: '{{ $labels.instance }} of {{ $externalLabels.cluster }} is down'}\n";

async fn failures(tests: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("rules.yml"), RULES).expect("written");
    let path = dir.path().join("test.yml");
    std::fs::write(&path, tests).expect("written");
    run_file(&path).await.failures
}

const SERIES: &str = "rule_files: [rules.yml]\ntests:\n- interval: 1m\n  external_labels: {cluster: eu}\n  input_series:\n  \
                      - {series: 'up{job=\"a\",instance=\"x\"}', values: '1 0x10'}\n  - {series: 'up{job=\"a\",instance=\"y\"}', values: '1x10'}\n";

#[tokio::test]
async fn passing_tests_pass() {
    let tests = format!(
        "{SERIES}  alert_rule_test:\n  - {{eval_time: 2m, alertname: Down}}\n  - eval_time: 3m30s\n    alertname: Down\n    exp_alerts:\n    \
         - exp_labels: {{severity: page, job: a, instance: x}}\n      exp_annotations: {{summary: 'x of eu is down'}}\n  \
         promql_expr_test:\n  - {{expr: 'job:up:sum', eval_time: 1m, exp_samples: [{{labels: 'job:up:sum{{job=\"a\"}}', value: 1}}]}}\n  \
         - {{expr: 'count(ALERTS{{alertstate=\"pending\"}})', eval_time: 2m, exp_samples: [{{value: 1}}]}}\n"
    );
    assert_eq!(failures(&tests).await, [""; 0]);
}

#[tokio::test]
async fn failing_tests_say_what_differs() {
    let tests = format!(
        "{SERIES}  name: wrong\n  alert_rule_test:\n  - eval_time: 3m\n    alertname: Down\n    exp_alerts:\n    \
         - exp_labels: {{severity: page, job: a, instance: x}}\n      exp_annotations: {{summary: other}}\n    - exp_labels: {{severity: none}}\n  \
         promql_expr_test:\n  - {{expr: 'job:up:sum', eval_time: 1m, exp_samples: [{{labels: 'job:up:sum{{job=\"a\"}}', value: 2}}]}}\n  \
         - {{expr: 'up +', eval_time: 1m}}\n"
    );
    assert_eq!(
        failures(&tests).await,
        [
            "    name: wrong,\n    alertname: Down, time: 3m,\n          \
             {alertname=\"Down\", instance=\"x\", job=\"a\", severity=\"page\"}\n        -   summary: \"other\"\n        \
             +   summary: \"x of eu is down\"\n        - {alertname=\"Down\", severity=\"none\"}\n",
            "    expr: \"job:up:sum\", time: 1m,\n        - job:up:sum{job=\"a\"} 2\n        + job:up:sum{job=\"a\"} 1\n",
            "    expr: \"up +\", time: 1m, err: 1:5: parse error: unexpected end of input",
        ]
    );
}

#[tokio::test]
async fn files_that_are_no_tests_are_refused() {
    for (text, problem) in [
        ("rule_file: [x]", "line 1: field rule_file not found in test file"),
        ("tests: [{input_series: [{series: 'up{', values: 1}]}]", "series \"up{\""),
        ("tests: [{alert_rule_test: [{eval_time: 5m}]}]", "misses required attribute alertname at eval_time 5m"),
        ("group_eval_order: [a, a]", "group name repeated in evaluation order: a"),
        ("tests: [{start_timestamp: soon}]", "cannot parse \"soon\" to a valid timestamp"),
        ("tests: [{promql_expr_test: [{expr: up, eval_time: 99999d}]}]", "evaluations"),
        ("tests: [{input_series: [{series: a, values: 0x1000000 0x1000000}]}]", "at most 1000000 values"),
    ] {
        let failures = failures(text).await;
        assert!(failures.iter().any(|f| f.contains(problem)), "{text}: {failures:?}");
    }
    assert!(run_file(Path::new("/nowhere/test.yml")).await.failures[0].contains("/nowhere/test.yml"));
}
