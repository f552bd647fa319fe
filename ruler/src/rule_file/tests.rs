use promql::ParseOptions;

use super::{duplicates, parse};

fn errors(text: &str) -> Vec<String> {
    parse(text, &ParseOptions::default()).expect_err("the file is wrong")
}

#[test]
fn a_whole_file_is_read() {
    let text = "groups:\n- name: g\n  interval: 30s\n  query_offset: 1m\n  limit: 5\n  labels: {team: a, tier: b}\n  rules:\n\
                \x20 - record: job:up:sum\n    expr: sum  by(job)(up)\n    labels: {tier: c}\n\
                \x20 - alert: Down\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1m\n    annotations: {summary: '{{ $labels.job }}'}\n";
    let groups = parse(text, &ParseOptions::default()).expect("a file");
    let group = &groups[0];
    assert_eq!((group.interval_ms, group.query_offset_ms, group.limit), (Some(30_000), Some(60_000), 5));
    let recording = &group.rules[0];
    assert_eq!((recording.name.as_str(), recording.expr.as_str()), ("job:up:sum", "sum by (job) (up)"));
    assert_eq!(recording.labels["tier"], "c");
    assert_eq!(recording.labels["team"], "a");
    let alert = group.rules[1].alert().expect("an alert");
    assert_eq!((alert.for_ms, alert.keep_firing_for_ms, alert.annotations.len(), alert.labels.len()), (300_000, 60_000, 1, 2));
    assert_eq!(parse("", &ParseOptions::default()), Ok(Vec::new()));
}

#[test]
fn unknown_keys_and_wrong_shapes_are_refused_with_their_lines() {
    let text = "groups:\n- name: g\n  intervall: 1m\n  rules:\n  - record: a\n    expr: 1\n    fro: 5m\nother: 1\n";
    assert_eq!(
        errors(text),
        ["yaml: unmarshal errors:\n  line 3: field intervall not found in rule group\n  line 7: field fro not found in rule\n  \
             line 8: field other not found in rule file"]
    );
    let text = "groups:\n- name: g\n  interval: 5\n  rules:\n  - record: [a]\n    expr: 1\n    labels: x\n  - record: a\n    record: b\n    expr: 1";
    let [error] = &errors(text)[..] else { panic!("one error") };
    for part in [
        "line 3: not a valid duration string: \"5\"",
        "line 5: cannot unmarshal a sequence into a text",
        "line 7: cannot unmarshal \"x\" into a mapping of texts",
        "line 9: mapping key \"record\" already defined",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_prometheus_refuses_is_refused_in_its_words() {
    let rule = |rule: &str| errors(&format!("groups:\n- name: g\n  rules:\n  - {}\n", rule.replace('\n', "\n    ")));
    for (text, error) in [
        ("expr: 1", "4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set"),
        ("record: a\nalert: b\nexpr: 1", "4:13: 5:12: group \"g\", rule 1, \"b\": only one of 'record' and 'alert' must be set"),
        ("record: a", "4:5: group \"g\", rule 1, \"a\": field 'expr' must be set in rule"),
        ("record: a\nexpr: 1 +", "5:11: group \"g\", rule 1, \"a\": could not parse expression: 1:4: parse error: unexpected end of input"),
        ("record: a\nexpr: 1\nfor: 1m", "4:13: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule"),
        ("record: a\nexpr: 1\nkeep_firing_for: 1m", "4:13: group \"g\", rule 1, \"a\": invalid field 'keep_firing_for' in recording rule"),
        ("record: a\nexpr: 1\nannotations: {a: b}", "4:13: group \"g\", rule 1, \"a\": invalid field 'annotations' in recording rule"),
        (
            "record: up{a=\"b\"}\nexpr: 1",
            "4:13: group \"g\", rule 1, \"up{a=\\\"b\\\"}\": braces present in the recording rule name; should it be in expr?: up{a=\"b\"}",
        ),
        ("alert: a\nexpr: 1\nlabels: {__name__: x}", "4:5: group \"g\", rule 1, \"a\": invalid label name: __name__"),
        (
            "alert: a\nexpr: 1\nannotations: {s: '{{ $label.foo }}'}",
            "4:5: group \"g\", rule 1, \"a\": annotation \"s\": template: __alert_a:1: undefined variable \"$label\"",
        ),
        (
            "alert: a\nexpr: 1\nlabels: {s: '{{ nope }}'}",
            "4:5: group \"g\", rule 1, \"a\": label \"s\": template: __alert_a:1: function \"nope\" not defined",
        ),
    ] {
        assert_eq!(rule(text), [error], "{text}");
    }
    let twice = "groups:\n- name: g\n- name: g\n- rules: []\n";
    assert_eq!(errors(twice), ["3:3: groupname: \"g\" is repeated in the same file", "4:3: Groupname must not be empty"]);
}

#[test]
fn duplicates_are_found_once() {
    let rule = "  - record: a\n    expr: 1\n    labels: {x: y}\n";
    let text = format!("groups:\n- name: g\n  rules:\n{rule}{rule}{rule}  - record: a\n    expr: 1\n");
    let groups = parse(&text, &ParseOptions::default()).expect("a file");
    let found = duplicates(&groups);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0.as_str(), found[0].1["x"].as_str()), ("a", "y"));
}

/// Kubernetes' and Prometheus's own rules, where the collection is at hand.
#[test]
fn rules_of_the_field_are_accepted() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/rules");
    let Ok(entries) = std::fs::read_dir(dir) else {
        eprintln!("NOT TESTED: {dir} is not here, so no rule file of the field was read");
        return;
    };
    let mut rules = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let groups = parse(&text, &ParseOptions::default()).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
        rules += groups.iter().map(|g| g.rules.len()).sum::<usize>();
    }
    assert!(rules > 200, "{rules} rules");
}
