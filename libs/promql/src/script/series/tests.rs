use model::{Labels, is_stale_nan};

use super::{MAX_VALUES_PER_LINE, ScriptValue, ValueBudget, parse_series_line};

fn labels(text: &str) -> Result<Labels, String> {
    parse_series_line(text, &mut ValueBudget::new()).map(|line| line.labels)
}

/// The floats of a line, `None` for gaps.
fn floats(values: &str) -> Result<Vec<Option<f64>>, String> {
    let line = parse_series_line(&format!("{{}} {values}"), &mut ValueBudget::new())?;
    let float = |v: ScriptValue| match v {
        ScriptValue::Float(f) => Ok(f),
        ScriptValue::Histogram(h) => Err(format!("{h:?}")),
    };
    line.values.into_iter().map(|v| v.map(float).transpose()).collect()
}

#[test]
fn label_sets() {
    let pairs = |p: &[(&str, &str)]| Ok(Labels::from_pairs(p.iter().copied()));
    assert_eq!(labels("up 1"), pairs(&[("__name__", "up")]));
    assert_eq!(labels("a:b{}"), pairs(&[("__name__", "a:b")]));
    assert_eq!(labels("{} 1"), pairs(&[]));
    assert_eq!(labels("sum{by=\"x\", a='y' ,}"), pairs(&[("__name__", "sum"), ("by", "x"), ("a", "y")]));
    assert_eq!(labels(r#"{"my.metric", "my label"=`\d`} 1"#), pairs(&[("__name__", "my.metric"), ("my label", r"\d")]));
    for bad in ["", "9x 1", "{a} 1", "{a=b} 1", "{a=\"b\"", "{a=\"b\" c=\"d\"}", "{a=\"1\",a=\"2\"}", "up{a=\"b\"}1", "{9=\"b\"}"] {
        assert!(labels(bad).is_err(), "{bad}");
    }
}

#[test]
fn sequences() {
    let some = |v: &[f64]| Ok(v.iter().copied().map(Some).collect());
    assert_eq!(floats("1 2 3"), some(&[1.0, 2.0, 3.0]));
    assert_eq!(floats("-2+4x3"), some(&[-2.0, 2.0, 6.0, 10.0]));
    assert_eq!(floats("1-2x4"), some(&[1.0, -1.0, -3.0, -5.0, -7.0]));
    assert_eq!(floats("1x4"), some(&[1.0; 5]));
    assert_eq!(floats("5 -Inf +Inf 1e3x0"), some(&[5.0, f64::NEG_INFINITY, f64::INFINITY, 1000.0]));
    assert_eq!(floats("1 _x3 _ 2"), Ok(vec![Some(1.0), None, None, None, None, Some(2.0)]));
    assert_eq!(floats(""), Ok(vec![]));
    assert!(floats("stalex1").is_ok_and(|v| v.len() == 2 && v.iter().all(|v| v.is_some_and(is_stale_nan))));
}

#[test]
fn refuses_what_has_no_meaning() {
    for bad in ["_-2", "3+3x4-4", "1+1", "1_2", "0x1f", "1x", "1x-1", "_x", "foo", "1,2", "1+x2", "{{}}+1x2", "1+{{}}x2", "{{}}{{}}"] {
        assert!(floats(bad).is_err(), "{bad}");
    }
}

/// In `0x1` the x repeats: two zeros, not the number one.
#[test]
fn x_always_repeats() {
    assert_eq!(floats("0x1"), Ok(vec![Some(0.0); 2]));
}

#[test]
fn expansion_is_bounded() {
    assert!(floats(&format!("1x{}", MAX_VALUES_PER_LINE + 1)).is_err());
    assert!(floats(&format!("1x{MAX_VALUES_PER_LINE} 1x{MAX_VALUES_PER_LINE}")).is_err());
    let mut budget = ValueBudget::new();
    let line = format!("a 1x{}", MAX_VALUES_PER_LINE - 1);
    let fitting = (0..20).take_while(|_| parse_series_line(&line, &mut budget).is_ok()).count();
    assert_eq!(fitting, 10);
}

#[test]
fn histograms_step() {
    let line = parse_series_line("h {{sum:1 count:1}}+{{sum:2 count:3}}x2 {{sum:5}}-{{sum:1}}x1", &mut ValueBudget::new()).expect("valid");
    let sums: Vec<_> = line
        .values
        .iter()
        .map(|v| match v {
            Some(ScriptValue::Histogram(h)) => (h.histogram.sum, h.histogram.count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sums, [(1.0, 1.0), (3.0, 4.0), (5.0, 7.0), (5.0, 0.0), (4.0, 0.0)]);
}
