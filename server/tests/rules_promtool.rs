//! `plimsoll rules check` and `plimsoll rules test` beside promtool: the same files, the same verdicts.
#![allow(clippy::print_stderr, reason = "a test that is not run says so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use server::cli::RulesCommand;
use server::rules_command;
use tempfile::TempDir;

/// promtool's exit code; `None` if it is not installed.
fn promtool(kind: &str, file: &Path) -> Option<i32> {
    let arguments = if kind == "check" { ["check", "rules"] } else { ["test", "rules"] };
    let status = Command::new("promtool").args(arguments).arg(file).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match status {
        Ok(status) => status.code(),
        Err(error) => {
            eprintln!("NOT TESTED: promtool cannot be run ({error}), so no verdict was compared");
            None
        }
    }
}

/// Our exit code and what we say.
fn ours(kind: &str, file: &Path) -> (i32, String) {
    let files = vec![file.to_owned()];
    let command = if kind == "check" { RulesCommand::Check { files, lint_fatal: false } } else { RulesCommand::Test { files } };
    let mut out = Vec::new();
    let code = rules_command::run(&command, &mut out).expect("output in memory");
    (i32::from(code), String::from_utf8(out).expect("text"))
}

/// Compares the verdicts; ours.
fn compare(kind: &str, file: &Path) -> Option<i32> {
    let (code, said) = ours(kind, file);
    let theirs = promtool(kind, file)?;
    assert_eq!(code, theirs, "{kind} {}: {said}", file.display());
    Some(code)
}

fn write(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("written");
    path
}

#[test]
fn rule_files_of_the_field_are_as_good_as_promtool_says() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/rules");
    let Ok(entries) = std::fs::read_dir(dir) else {
        eprintln!("NOT TESTED: {dir} is not here, so no rule file of the field was compared");
        return;
    };
    let files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    assert!(files.len() > 40, "{} files", files.len());
    for file in files {
        if compare("check", &file).is_some() {
            assert_eq!(ours("check", &file).0, 0, "{}", file.display());
        }
    }
}

/// A rule, and whether it is good.
const RULES: [(&str, bool); 26] = [
    ("{record: a, expr: up}", true),
    ("{record: 'a:b', expr: 'sum by (x) (rate(up[5m]))', labels: {x: y}}", true),
    ("{record: a, expr: up, labels: {x: 5, y: true}}", true),
    ("{record: a, expr: 1}", true),
    ("{alert: A, expr: up == 0, for: 5m, keep_firing_for: 1m}", true),
    ("{alert: 'any name', expr: up, annotations: {a: '{{ $labels.x }} {{ $value | humanize }}'}}", true),
    ("{alert: A, expr: up, annotations: {a: '{{ range query \"up\" }}{{ .Value }}{{ else }}-{{ end }}'}}", true),
    ("{alert: A, expr: up, annotations: {a: '{{ if (gt $value 1.0) }}a{{ end }}{{- /* c */ -}}'}}", true),
    ("{alert: A, expr: up, labels: {severity: '{{ with $x := 5 }}{{ $x }}{{ end }}'}}", true),
    ("{alert: A, expr: up, annotations: {a: '{{ define \"t\" }}x{{ end }}{{ template \"t\" }}'}}", true),
    ("{record: a}", false),
    ("{record: a, expr: ''}", false),
    ("{expr: up}", false),
    ("{record: a, alert: b, expr: up}", false),
    ("{record: a, expr: up +}", false),
    ("{record: a, expr: up, for: 5m}", false),
    ("{record: a, expr: up, annotations: {a: b}}", false),
    ("{record: 'a{b=\"c\"}', expr: up}", false),
    ("{record: a, expr: up, fro: 5m}", false),
    ("{alert: A, expr: up, for: 5}", false),
    ("{alert: A, expr: up, labels: {__name__: x}}", false),
    ("{alert: A, expr: up, labels: [a]}", false),
    ("{alert: A, expr: up, annotations: {a: '{{ $label.x }}'}}", false),
    ("{alert: A, expr: up, annotations: {a: '{{ nope }}'}}", false),
    ("{alert: A, expr: up, annotations: {a: '{{ if }}{{ end }}'}}", false),
    ("{alert: A, expr: up, annotations: {a: '{{ range }}'}}", false),
];

#[test]
fn rules_are_refused_where_promtool_refuses() {
    let dir = tempfile::tempdir().expect("a directory");
    for (i, (rule, good)) in RULES.iter().enumerate() {
        let rule = if rule.contains("keep_firing_for") { rule.replace(", keep_firing_for: 1m", "") } else { (*rule).to_owned() };
        let file = write(&dir, &format!("{i}.yml"), &format!("groups:\n- name: g\n  rules:\n  - {rule}\n"));
        assert_eq!(ours("check", &file).0 == 0, *good, "{rule}");
        compare("check", &file);
    }
    for (i, text) in [
        "groups: [{name: g, rules: []}, {name: g, rules: []}]",
        "groups: [{rules: []}]",
        "groups: {}",
        "group: []",
        "",
        "groups: [{name: g, interval: 1m, limit: 5, rules: [{record: a, expr: up}, {record: a, expr: up}]}]",
        "groups: [{name: g, interval: 1x, rules: []}]",
        "a: &a {record: r, expr: up}\ngroups: []",
        "groups:\n- name: g\n  rules:\n  - &r {record: r, expr: up}\n  - {<<: *r, record: s}\n",
        "groups: [{name: g, name: h, rules: []}]",
        "groups: [",
    ]
    .iter()
    .enumerate()
    {
        compare("check", &write(&dir, &format!("file-{i}.yml"), text));
    }
}

const TESTED: &str = "groups:\n- name: alerts\n  rules:\n  - alert: InstanceDown\n    expr: up == 0\n    for: 5m\n    labels: {severity: page}\n    \
    annotations:\n      summary: 'Instance {{ $labels.instance }} down'\n      text: '{{ $value }} {{ printf \"%.2f\" $value }} {{ humanize 12345.0 }} {{ $externalLabels.cluster }} {{ $externalURL }}'\n  \
    - {alert: AlwaysFiring, expr: 1}\n- name: rules\n  interval: 1m\n  rules:\n  - record: 'job:test:count_over_time1m'\n    expr: sum without(instance) (count_over_time(test[1m]))\n  \
    - {record: fixed_data, expr: 1}\n  - {record: interval, expr: 'count_over_time(up[5m:])'}\n  - {record: joined, expr: join_1 + on(a) join_2}\n";

/// A test, and whether it passes. Windows end between samples: 2.42 counts both ends, 3.x only the later one.
const TESTS: [(&str, bool); 20] = [
    (
        "input_series: [{series: test_full, values: '0 0'}]\n  promql_expr_test: [{expr: timestamp(test_full), eval_time: 1m, exp_samples: [{value: 60}]}]",
        true,
    ),
    (
        "input_series: [{series: test_full, values: '0 0'}]\n  promql_expr_test: [{expr: timestamp(test_full), eval_time: 1m, exp_samples: [{value: 61}]}]",
        false,
    ),
    (
        "input_series: [{series: t, values: '1+1x2'}]\n  promql_expr_test: [{expr: t, eval_time: 2m, exp_samples: [{value: 3, labels: t}]}]",
        true,
    ),
    ("input_series: [{series: t, values: '0 stale'}]\n  promql_expr_test: [{expr: t, eval_time: 1m, exp_samples: []}]", true),
    (
        "input_series: [{series: t, values: '0 _ _ _ _ _ _ 0'}]\n  promql_expr_test: [{expr: timestamp(t), eval_time: 4m59s, exp_samples: [{value: 0}]}]",
        true,
    ),
    ("input_series: [{series: t, values: 1}]\n  promql_expr_test: [{expr: t, eval_time: 0, exp_samples: [{value: 1, labels: t}]}]", true),
    ("promql_expr_test: [{expr: 'count_over_time(fixed_data[59m30s])', eval_time: 1h, exp_samples: [{value: 60}]}]", true),
    ("promql_expr_test: [{expr: timestamp(fixed_data), eval_time: 1h, exp_samples: [{value: 3600}]}]", true),
    (
        "promql_expr_test: [{expr: fixed_data, eval_time: 1h, exp_samples: [{value: 1, labels: fixed_data}, {value: 1, labels: other}]}]",
        false,
    ),
    (
        "input_series: [{series: 'up{job=\"p\", instance=\"l:90\"}', values: '0+0x1440'}]\n  external_labels: {cluster: eu}\n  external_url: http://x/\n  alert_rule_test:\n  \
         - {eval_time: 1d, alertname: AlwaysFiring, exp_alerts: [{}]}\n  \
         - {eval_time: 4m, alertname: InstanceDown, exp_alerts: []}\n  \
         - eval_time: 1d\n    alertname: InstanceDown\n    exp_alerts:\n    - exp_labels: {severity: page, instance: 'l:90', job: p}\n      \
         exp_annotations: {summary: 'Instance l:90 down', text: '0 0.00 12.35k eu http://x/'}",
        true,
    ),
    (
        "input_series: [{series: 'up{job=\"p\"}', values: 0x10}]\n  alert_rule_test: [{eval_time: 5m, alertname: InstanceDown, exp_alerts: []}]",
        false,
    ),
    (
        "input_series: [{series: 'up{job=\"p\"}', values: 1x10}]\n  alert_rule_test: [{eval_time: 5m, alertname: InstanceDown, exp_alerts: [{exp_labels: {a: b}}]}]",
        false,
    ),
    (
        "promql_expr_test: [{expr: 'count(ALERTS) by (alertname, alertstate)', eval_time: 4m, exp_samples: [{labels: '{alertname=\"AlwaysFiring\",alertstate=\"firing\"}', value: 1}]}]",
        true,
    ),
    (
        "promql_expr_test: [{expr: 'ALERTS_FOR_STATE', eval_time: 4m, exp_samples: [{labels: 'ALERTS_FOR_STATE{alertname=\"AlwaysFiring\"}', value: 0}]}]",
        true,
    ),
    (
        "input_series: [{series: 'join_1{a=\"1\",b=\"2\"}', values: 1}, {series: 'join_2{a=\"1\",b=\"3\"}', values: 2}, {series: 'join_2{a=\"1\",b=\"4\"}', values: 3}]",
        false,
    ),
    ("input_series: [{series: 'up{job=\"p\"', values: '0+0x10'}]", false),
    ("promql_expr_test: [{expr: 'up +', eval_time: 1m}]", false),
    ("promql_expr_test: [{expr: '1 + 1', eval_time: 1m, exp_samples: [{value: 2}]}]", true),
    ("alert_rule_test: [{eval_time: 1m}]", false),
    ("promql_expr_test: [{expr: interval, eval_time: 5m, exp_samples: []}]\n  name: named", true),
];

#[test]
fn tests_pass_where_promtool_lets_them() {
    let dir = tempfile::tempdir().expect("a directory");
    write(&dir, "rules.yml", TESTED);
    for (i, (test, passes)) in TESTS.iter().enumerate() {
        let text = format!("rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  {test}\n");
        let file = write(&dir, &format!("test-{i}.yml"), &text);
        let (code, said) = ours("test", &file);
        assert_eq!(code == 0, *passes, "{test}: {said}");
        compare("test", &file);
    }
    for (i, text) in ["rule_files: [none.yml]\ntests: []\n", "tests: [{unknown: 1}]\n", "group_eval_order: [a, a]\n", "tests: {}\n", "rule_files: [rules.yml]\ngroup_eval_order: [rules, alerts]\ntests: [{promql_expr_test: [{expr: fixed_data, exp_samples: [{labels: fixed_data, value: 1}]}]}]\n"]
        .iter()
        .enumerate()
    {
        compare("test", &write(&dir, &format!("file-{i}.yml"), text));
    }
}
