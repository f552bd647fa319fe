//! The log of slow queries: what ran long, and who asked for it from which panel.

use std::time::Duration;

use axum::http::HeaderMap;
use promql::QueryResult;

use super::{ApiError, Call};
use crate::runner::When;

/// Longer texts are cut in the log.
const MAX_QUERY_LOGGED: usize = 2_048;
const MAX_HEADER_LOGGED: usize = 128;

/// Where in Grafana a query comes from, as its headers say; empty where they do not. Anybody may send anything: for reading only.
#[derive(Debug, Default)]
pub(super) struct Origin {
    dashboard: String,
    panel: String,
    org: String,
}

impl Origin {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
            cut(value, MAX_HEADER_LOGGED).to_owned()
        };
        Self { dashboard: text("X-Dashboard-Uid"), panel: text("X-Panel-Id"), org: text("X-Grafana-Org-Id") }
    }
}

/// Logs a query that took at least `querier.slow_query_ms`.
pub(super) fn log(call: &Call, query: &str, when: When, taken: Duration, result: &Result<QueryResult, ApiError>) {
    let threshold = Duration::from_millis(call.querier.config.slow_query_ms);
    if threshold.is_zero() || taken < threshold {
        return;
    }
    let (start, end, step) = match when {
        When::At(t) => (t, t, 0),
        When::Range { start, end, step } => (start, end, step),
    };
    let (outcome, samples, series, peak) = match result {
        Ok(result) => ("success", result.stats.samples_read, result.stats.series_read, result.stats.peak_bytes),
        Err(error) => (error.kind, 0, 0, 0),
    };
    let Origin { dashboard, panel, org } = &call.origin;
    tracing::warn!(
        tenant = %call.tenant, query = cut(query, MAX_QUERY_LOGGED), start_ms = start, end_ms = end, step_ms = step,
        seconds = taken.as_secs_f64(), outcome, samples, series, peak_bytes = peak, dashboard, panel, grafana_org = org, "slow query"
    );
}

/// At most so many bytes of a text, whole characters.
fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::{MAX_HEADER_LOGGED, Origin, cut};

    #[test]
    fn headers_are_taken_as_far_as_they_are_text() {
        let mut headers = HeaderMap::new();
        headers.insert("X-Dashboard-Uid", "abc".parse().unwrap());
        headers.insert("X-Panel-Id", "9".repeat(1_000).parse().unwrap());
        let origin = Origin::of(&headers);
        assert_eq!((origin.dashboard.as_str(), origin.panel.len(), origin.org.as_str()), ("abc", MAX_HEADER_LOGGED, ""));
        assert_eq!((cut("äöü", 3), cut("a", 9)), ("ä", "a"));
    }
}
