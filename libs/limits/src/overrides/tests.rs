use model::TenantId;
use proptest::prelude::*;

use super::{MAX_BYTES, Overrides};
use crate::Limits;

fn parse(text: &str) -> Result<Overrides, String> {
    Overrides::parse(text, &Limits::default()).map_err(|e| e.to_string())
}

fn limits(overrides: &Overrides, tenant: &str) -> Limits {
    (**overrides.get(&TenantId::new(tenant).unwrap()).unwrap()).clone()
}

#[test]
fn parts_are_laid_over_the_defaults() {
    let defaults = Limits { max_query_series: 11, ..Limits::default() };
    let text = "overrides:\n  a:\n    max_series: 5\n    promql: {experimental_functions: true}\n  b: {}\n  c:\n";
    let overrides = Overrides::parse(text, &defaults).unwrap();
    assert_eq!(overrides.len(), 3);
    let a = limits(&overrides, "a");
    assert_eq!((a.max_series, a.max_query_series), (5, 11));
    assert!(a.promql.experimental_functions && a.promql.duration_expressions, "what is not named stays");
    assert_eq!((limits(&overrides, "b"), limits(&overrides, "c")), (defaults.clone(), defaults));
    assert!(overrides.get(&TenantId::new("d").unwrap()).is_none());
}

#[test]
fn nothing_is_nothing() {
    for text in ["", "# nothing\n", "overrides:\n", "overrides: {}\n", "{}"] {
        assert!(parse(text).unwrap().is_empty(), "{text:?}");
    }
}

#[test]
fn anchors_and_merge_keys_are_resolved() {
    let text =
        "overrides:\n  small: &small\n    max_series: 5\n    max_query_series: 6\n  a:\n    <<: *small\n    max_series: 7\n  b: *small\n";
    let overrides = parse(text).unwrap();
    assert_eq!((limits(&overrides, "a").max_series, limits(&overrides, "a").max_query_series), (7, 6));
    assert_eq!(limits(&overrides, "b"), limits(&overrides, "small"));
}

#[test]
fn what_is_wrong_is_named_with_tenant_key_and_line() {
    for (text, parts) in [
        ("overrides:\n  team-a:\n    max_serie: 5\n", &["overrides.team-a", "unknown field `max_serie`", "line 3"][..]),
        ("overrides:\n  team-a:\n    max_series: many\n", &["overrides.team-a.max_series", "\"many\"", "line 3"]),
        ("overrides:\n  team-a:\n    max_series: -1\n", &["overrides.team-a.max_series", "-1", "line 3"]),
        ("overrides:\n  team-a:\n    promql: {nonsense: true}\n", &["overrides.team-a.promql", "nonsense", "line 3"]),
        ("overrides:\n  team-a:\n    max_query_length_ms: -5\n", &["overrides.team-a", "max_query_length_ms is -5", "line 2"]),
        ("overrides:\n  team-a:\n    ingestion_burst_size: 0\n", &["overrides.team-a", "ingestion_burst_size is 0", "line 2"]),
        ("overrides:\n  a/b: {}\n", &["overrides.a/b"]),
        ("overrides:\n  a: {}\n  a: {}\n", &["duplicate", "\"a\""]),
        ("overrides: [1]\n", &["overrides", "line 1"]),
        ("overridess: {}\n", &["overridess"]),
        ("overrides: {a: {max_series: 1}\n", &["line"]),
        ("overrides:\n  s: &s {max_serie: 5}\n  a: {<<: *s}\n", &["max_serie"]),
    ] {
        let error = parse(text).expect_err(text);
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "overrides:\n  a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..12 {
        let refs = vec![format!("*a{}", i - 1); 10].join(",");
        bomb.push_str(&format!("  a{i}: &a{i} [{refs}]\n"));
    }
    assert!(parse(&bomb).is_err());
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse(&" ".repeat(MAX_BYTES + 1)).unwrap_err().contains("bytes"));
}

#[test]
fn a_part_that_is_good_alone_may_contradict_the_defaults() {
    let defaults = Limits { ingestion_rate: 0, ingestion_burst_size: 0, ..Limits::default() };
    let error = Overrides::parse("overrides: {a: {ingestion_rate: 5}}", &defaults).unwrap_err().to_string();
    assert!(error.contains("overrides.a") && error.contains("ingestion_burst_size is 0"), "{error}");
}

#[test]
fn what_is_shown_is_what_was_read() {
    let defaults = Limits::default();
    let overrides = parse("overrides: {b: {max_series: 5, promql: {start_timestamps: true}}, a: {}}").unwrap();
    let diff = serde_yaml_ng::to_string(&overrides.to_value(Some(&defaults))).unwrap();
    assert_eq!(diff, "overrides:\n  a: {}\n  b:\n    max_series: 5\n    promql:\n      start_timestamps: true\n");
    for value in [overrides.to_value(None), overrides.to_value(Some(&defaults))] {
        assert_eq!(parse(&serde_yaml_ng::to_string(&value).unwrap()).unwrap(), overrides);
    }
}

proptest! {
    /// Whatever subset a tenant overrides: those limits are as given, the others as in the defaults.
    #[test]
    fn exactly_what_is_named_changes(series in proptest::option::of(0_usize..1 << 40), rate in proptest::option::of(0_u64..1 << 40), length in proptest::option::of(0_i64..1 << 40), default_series in 0_usize..1 << 40) {
        let defaults = Limits { max_series: default_series, ..Limits::default() };
        let mut text = "overrides:\n  t:\n    max_metadata: 1\n".to_owned();
        for (name, value) in [("max_series", series.map(|v| v as i64)), ("ingestion_rate", rate.map(|v| v as i64)), ("max_query_length_ms", length)] {
            if let Some(value) = value {
                text.push_str(&format!("    {name}: {value}\n"));
            }
        }
        let overrides = Overrides::parse(&text, &defaults).unwrap();
        let want = Limits {
            max_metadata: 1,
            max_series: series.unwrap_or(default_series),
            ingestion_rate: rate.unwrap_or(defaults.ingestion_rate),
            max_query_length_ms: length.unwrap_or(defaults.max_query_length_ms),
            ..defaults.clone()
        };
        prop_assert_eq!(limits(&overrides, "t"), want);
    }

    #[test]
    fn no_text_is_too_much(text in "\\PC*|overrides:\n  [a-z]{0,3}: ?[{\\[&*<a-z0-9:, }\\]\n-]{0,40}") {
        let _ = parse(&text);
    }
}
