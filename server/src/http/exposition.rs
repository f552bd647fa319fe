//! The metrics of the process as text.

use std::fmt;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::process_metrics;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenMetrics for those who accept it, else Prometheus text 0.0.4.
pub(super) fn encode(registry: &Registry, accept: &str) -> Result<(&'static str, String), fmt::Error> {
    let mut out = String::new();
    text::encode_registry(&mut out, registry)?;
    process_metrics::append(&mut out);
    if accept.contains("application/openmetrics-text") {
        text::encode_eof(&mut out)?;
        return Ok((OPENMETRICS, out));
    }
    Ok((PROMETHEUS, to_prometheus_text(&out)))
}

/// The two formats differ here in the names of counter families, in type names, and in units.
fn to_prometheus_text(openmetrics: &str) -> String {
    let counters: std::collections::HashSet<&str> =
        openmetrics.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut out = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (keyword, family, rest) =
            (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let suffix = if counters.contains(family) { "_total" } else { "" };
        let rest = match (keyword, rest) {
            ("UNIT", _) => continue,
            ("TYPE", "unknown") => "untyped",
            ("TYPE", "info" | "stateset") => "gauge",
            (_, rest) => rest,
        };
        out.push_str(&format!("# {keyword} {family}{suffix} {rest}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::registry::Registry;

    #[test]
    fn counters_keep_their_type_in_prometheus_text() {
        let mut registry = Registry::default();
        let counter = Counter::<u64>::default();
        counter.inc();
        registry.register("pushes", "Pushes", counter);
        let (_, text) = super::encode(&registry, "text/plain").unwrap();
        assert!(text.starts_with("# HELP pushes_total Pushes.\n# TYPE pushes_total counter\npushes_total 1\n"), "{text}");
        let (kind, text) = super::encode(&registry, "application/openmetrics-text;version=1.0.0").unwrap();
        assert!(kind.starts_with("application/openmetrics-text") && text.ends_with("# EOF\n"));
    }
}
