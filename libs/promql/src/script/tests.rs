use super::{MAX_REASON_BYTES, MAX_SCRIPT_BYTES, ScriptReport, run_script};

const LOAD: &str = "load 1m\n  a{l=\"x\"} 0+60x10\n  a{l=\"y\"} 5x10\n\n";

fn run(evals: &str) -> ScriptReport {
    run_script("test", &format!("{LOAD}{evals}"))
}

/// The reason for which the only evaluation failed.
fn failure(evals: &str) -> String {
    let report = run(evals);
    assert_eq!((report.evals.len(), &report.error), (1, &None), "{evals}");
    report.evals[0].failure.clone().unwrap_or_else(|| panic!("passed: {evals}"))
}

fn passes(evals: &str) {
    let report = run(evals);
    assert!(report.is_success(), "{report:?}");
    assert!(!report.evals.is_empty());
}

#[test]
fn right_expectations_pass() {
    passes("eval instant at 5m a\n a{l=\"x\"} 300\n a{l=\"y\"} 5\n");
    passes("eval range from 0 to 2m step 1m sum(a)\n {} 5 65 125\n");
    passes("eval instant at 5m scalar(a{l=\"y\"})\n 5\n");
    passes("eval instant at 5m \"text\"\n expect string \"text\"\n");
    passes("eval instant at 2m a{l=\"x\"}[2m]\n expect range vector from 1m to 2m step 1m\n a{l=\"x\"} 60 120\n");
    passes("eval instant at 5m sort_desc(a)\n expect ordered\n a{l=\"x\"} 300\n a{l=\"y\"} 5\n");
    passes("eval instant at 5m a + on() a\n expect fail\n");
    passes("eval instant at 5m missing\n");
}

#[test]
fn wrong_expectations_fail() {
    for (evals, reason) in [
        ("eval instant at 5m a\n a{l=\"x\"} 301\n a{l=\"y\"} 5\n", "expected 301, got 300"),
        ("eval instant at 5m a\n a{l=\"x\"} 300\n", "unexpected series"),
        ("eval instant at 5m a{l=\"x\"}\n a{l=\"x\"} 300\n a{l=\"z\"} 5\n", "missing"),
        ("eval instant at 5m a\n", "unexpected series"),
        ("eval range from 0 to 2m step 1m sum(a)\n {} 5 65\n", "expected 2 float points, got 3"),
        ("eval instant at 5m scalar(a{l=\"y\"})\n 6\n", "expected 6, got 5"),
        ("eval instant at 5m \"text\"\n expect string \"other\"\n", "expected the string"),
        ("eval instant at 5m sort(a)\n expect ordered\n a{l=\"x\"} 300\n a{l=\"y\"} 5\n", "position"),
        ("eval instant at 5m a\n expect fail\n", "expected the query to fail"),
        ("eval instant at 5m a + on() a\n expect fail msg: something else\n", "another message"),
        ("eval instant at 5m a + on() a\n", "the query failed"),
        ("eval instant at 5m quantile(2, a)\n expect no_warn\n {} Inf\n", "expected no warning"),
        ("eval instant at 5m sum(a)\n expect info\n {} 305\n", "expected info"),
        ("eval instant at 5m sum(\n", "parse error"),
    ] {
        let got = failure(evals);
        assert!(got.contains(reason), "{evals}: {got}");
    }
}

/// `start()` in a range query is not the time of the instant query, and no comparison of the two is made; `a @ start()` likewise.
#[test]
fn what_depends_on_the_range_is_run_once() {
    passes("eval instant at 5m a{l=\"x\"} @ start()\n a{l=\"x\"} 300\n");
}

#[test]
fn clear_and_additive_loads() {
    let report = run(
        "load 1m\n  b 1\n\neval instant at 0 sum({__name__=~\"a|b\"})\n {} 6\n\nclear\n\neval instant at 0 a\n\nload 1m\n a 1\n\neval instant at 0 a\n a 1\n",
    );
    assert!(report.is_success(), "{report:?}");
    assert_eq!((report.evals.len(), report.passed()), (3, 3));
    assert_eq!(report.evals.iter().map(|e| e.line).collect::<Vec<_>>(), [8, 13, 18]);
}

#[test]
fn unreadable_lines_end_the_script() {
    let report = run("eval instant at 0 missing\n\nnonsense\n\neval instant at 0 missing\n");
    assert_eq!((report.evals.len(), report.passed()), (1, 1));
    assert_eq!(report.error.as_ref().map(ToString::to_string).as_deref(), Some("line 7: unknown command \"nonsense\""));
    assert!(!report.is_success());

    let out_of_order = run("load 1m\n  a{l=\"x\"} 1\n\n");
    assert!(out_of_order.error.is_some_and(|e| e.line == 6 && e.message.contains("not after the last one")));
}

#[test]
fn classic_histograms_are_loaded_twice() {
    let script = "load_with_nhcb 1m\n h_bucket{le=\"1\"} 1\n h_bucket{le=\"+Inf\"} 3\n h_count 3\n h_sum 4\n\neval instant at 0 h_count\n h_count 3\n\neval instant at 0 h\n h {{schema:-53 count:3 sum:4 custom_values:[1] buckets:[1 2]}}\n";
    let report = run_script("nhcb", script);
    assert!(report.is_success(), "{report:?}");
}

#[test]
fn bounds() {
    let long = "# ".repeat(MAX_SCRIPT_BYTES);
    assert!(run_script("long", &long).error.is_some_and(|e| e.message.contains("at most")));
    let values = run_script("values", "load 1s\n a 1x99999999\n");
    assert!(values.error.is_some_and(|e| e.message.contains("limit")));
    let reason = failure(&format!("eval instant at 0 \"{}\"\n expect string \"\"\n", "é".repeat(MAX_REASON_BYTES)));
    assert!(reason.len() <= MAX_REASON_BYTES + '…'.len_utf8());
}

/// Whatever the bytes, the runner answers.
#[test]
fn garbage_is_an_error_or_a_failure() {
    for garbage in [
        "{{{{",
        "load 1s\n {{}}",
        "eval instant at 0 {",
        "eval range from 0 to 1 step",
        "load 1s\n a{\"",
        "\u{0}",
        "eval instant at 1y1y a",
        "load 99999999y\n a 1x9",
    ] {
        let report = run_script("garbage", garbage);
        assert!(!report.is_success(), "{garbage}");
    }
}
