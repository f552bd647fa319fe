//! `cardinality/…` in Mimir's shapes, and `status/tsdb` in Prometheus's. Both are of what ingesters hold in memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use model::Matcher;
use rpc::{CardinalityRequest, SeriesRequest};
use serde_json::{Value, json};

use super::metadata::Bound;
use super::selectors::selector;
use super::time::{MAX_TIME, MIN_TIME};
use super::{ApiError, Call, Querying, Tenant, handle, json as write};
use crate::cardinality::SeriesCounts;

/// Items of a list, unless `limit` says otherwise, and at most: Mimir's numbers.
const DEFAULT_ITEMS: usize = 20;
const MAX_ITEMS: usize = 500;

/// Labels that one request may ask for.
const MAX_LABEL_NAMES: usize = 100;

/// A series is active that has had a sample within this time: Mimir's default.
const ACTIVE_MS: i64 = 20 * 60 * 1_000;

/// `limit` of `status/tsdb`: Prometheus's default and bound.
const DEFAULT_STATISTICS: usize = 10;
const MAX_STATISTICS: usize = 10_000;

pub(super) async fn label_names(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "cardinality", run_label_names).await
}

pub(super) async fn label_values(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "cardinality", run_label_values).await
}

pub(super) async fn active_series(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "cardinality", run_active_series).await
}

pub(super) async fn tsdb(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "status", run_tsdb).await
}

async fn run_label_names(call: &Call) -> Result<Vec<u8>, ApiError> {
    let limit = items(call)?;
    let counts = count(call, Vec::new()).await?;
    let mut names: Vec<(String, usize)> = counts.labels.into_iter().map(|(name, values)| (name, values.len())).collect();
    names.sort_by_key(|(_, values)| Reverse(*values));
    let shown: Vec<Value> =
        names.iter().take(limit).map(|(name, values)| json!({"label_name": name, "label_values_count": values})).collect();
    let total: usize = names.iter().map(|(_, values)| values).sum();
    Ok(json!({"label_values_count_total": total, "label_names_count": names.len(), "cardinality": shown}).to_string().into_bytes())
}

async fn run_label_values(call: &Call) -> Result<Vec<u8>, ApiError> {
    let limit = items(call)?;
    let mut names: Vec<String> = call.params.all("label_names[]").map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() || names.iter().any(String::is_empty) {
        return Err(ApiError::parameter("label_names[]", "at least one label name is needed, and none may be empty"));
    }
    if names.len() > MAX_LABEL_NAMES {
        return Err(ApiError::parameter("label_names[]", &format!("at most {MAX_LABEL_NAMES} names may be given")));
    }
    let mut counts = count(call, names.clone()).await?;
    let mut labels: Vec<(u64, Value)> =
        names.into_iter().map(|name| label(counts.labels.remove(&name).unwrap_or_default(), &name, limit)).collect();
    labels.sort_by_key(|(series, _)| Reverse(*series));
    let labels: Vec<Value> = labels.into_iter().map(|(_, label)| label).collect();
    Ok(json!({"series_count_total": counts.total_series, "labels": labels}).to_string().into_bytes())
}

/// A label and its values, the frequent ones first, with the number of its series.
fn label(values: BTreeMap<String, u64>, name: &str, limit: usize) -> (u64, Value) {
    let (count, total) = (values.len(), values.values().sum());
    let shown: Vec<Value> =
        most(values, limit).into_iter().map(|(value, series)| json!({"label_value": value, "series_count": series})).collect();
    (total, json!({"label_name": name, "label_values_count": count, "series_count": total, "cardinality": shown}))
}

async fn run_active_series(call: &Call) -> Result<Vec<u8>, ApiError> {
    let matchers = matchers(call)?.ok_or_else(|| ApiError::parameter("selector", "a selector is needed"))?;
    let bound = Bound::of(call)?;
    let request = SeriesRequest { selectors: vec![matchers], min_t: active_since(call), max_t: MAX_TIME, limit: bound.ask_for() };
    let mut sets = call.querier.directory.series(&call.context()?, request).await?;
    // Mimir has no warnings here: what is cut is what `limit` asked for.
    bound.apply(&mut sets)?;
    Ok(write::bare_label_sets(&sets))
}

async fn run_tsdb(call: &Call) -> Result<Vec<u8>, ApiError> {
    let limit = match call.params.limit("limit")? {
        0 if call.params.get("limit").is_none() => DEFAULT_STATISTICS,
        limit @ 1..=MAX_STATISTICS => limit,
        _ => return Err(ApiError::bad_data(format!("limit must be between 1 and {MAX_STATISTICS}"))),
    };
    let everything = CardinalityRequest { names: Vec::new(), matchers: [].into(), min_t: MIN_TIME, max_t: MAX_TIME };
    let counts = call.querier.counter.count(&call.context()?, &everything).await?;
    Ok(write::success(&statistics(counts, limit), &[]))
}

/// What Prometheus says about its head.
fn statistics(mut counts: SeriesCounts, limit: usize) -> Value {
    // As Prometheus: without samples, the least is the greatest of all times.
    let (min_t, max_t) = counts.times.unwrap_or((i64::MAX, i64::MIN));
    let labels = |of: fn(&BTreeMap<String, u64>) -> u64| counts.labels.iter().map(move |(name, values)| (name.clone(), of(values)));
    let pairs = counts.labels.iter().flat_map(|(name, values)| values.iter().map(move |(value, n)| (format!("{name}={value}"), *n)));
    let head = json!({
        "numSeries": counts.total_series,
        "numLabelPairs": counts.labels.values().map(BTreeMap::len).sum::<usize>(),
        "chunkCount": counts.chunks,
        "minTime": min_t,
        "maxTime": max_t,
    });
    let mut data = json!({
        "headStats": head,
        "labelValueCountByLabelName": named(most(labels(|values| values.len() as u64), limit)),
        "memoryInBytesByLabelName":
            named(most(labels(|values| values.iter().map(|(value, series)| value.len() as u64 * series).sum()), limit)),
        "seriesCountByLabelValuePair": named(most(pairs, limit)),
    });
    let metrics = counts.labels.remove(model::labels::METRIC_NAME).unwrap_or_default();
    data["seriesCountByMetricName"] = named(most(metrics, limit));
    data
}

fn named(items: Vec<(String, u64)>) -> Value {
    items.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// The largest, in descending order; equal ones in the order of their names.
fn most(items: impl IntoIterator<Item = (String, u64)>, limit: usize) -> Vec<(String, u64)> {
    let mut items: Vec<(String, u64)> = items.into_iter().collect();
    items.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    items.truncate(limit);
    items
}

/// Counts the series of the request's `selector`, by labels of these names; without names, by all.
async fn count(call: &Call, names: Vec<String>) -> Result<SeriesCounts, ApiError> {
    let min_t = match call.params.get("count_method") {
        None | Some("inmemory") => MIN_TIME,
        Some("active") => active_since(call),
        Some(_) => return Err(ApiError::parameter("count_method", "it must be inmemory or active")),
    };
    let matchers = matchers(call)?.unwrap_or_else(|| [].into());
    let request = CardinalityRequest { names, matchers, min_t, max_t: MAX_TIME };
    Ok(call.querier.counter.count(&call.context()?, &request).await?)
}

fn active_since(call: &Call) -> i64 {
    call.querier.clock.now_ms().saturating_sub(ACTIVE_MS)
}

fn matchers(call: &Call) -> Result<Option<Arc<[Matcher]>>, ApiError> {
    call.params.get("selector").map(selector).transpose().map_err(|e| ApiError::parameter("selector", &e))
}

fn items(call: &Call) -> Result<usize, ApiError> {
    if call.params.get("limit").is_none() {
        return Ok(DEFAULT_ITEMS);
    }
    match call.params.limit("limit")? {
        limit @ 0..=MAX_ITEMS => Ok(limit),
        _ => Err(ApiError::parameter("limit", &format!("it may be at most {MAX_ITEMS}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{SeriesCounts, label, statistics};

    fn values(values: &[(&str, u64)]) -> BTreeMap<String, u64> {
        values.iter().map(|(value, n)| ((*value).to_owned(), *n)).collect()
    }

    #[test]
    fn a_label_as_mimir_shows_it() {
        let (series, shown) = label(values(&[("a", 1), ("b", 5), ("c", 5)]), "job", 2);
        assert_eq!(series, 11);
        let want = json!({"label_name": "job", "label_values_count": 3, "series_count": 11, "cardinality": [
            {"label_value": "b", "series_count": 5}, {"label_value": "c", "series_count": 5},
        ]});
        assert_eq!(shown, want);
    }

    #[test]
    fn statistics_as_prometheus_shows_them() {
        let labels = [("__name__", values(&[("up", 2), ("down", 1)])), ("job", values(&[("x", 3)]))];
        let counts = SeriesCounts {
            series: 3,
            total_series: 3,
            chunks: 4,
            times: Some((5, 9)),
            labels: labels.map(|(name, values)| (name.to_owned(), values)).into(),
        };
        let shown = statistics(counts, 1);
        assert_eq!(shown["headStats"], json!({"numSeries": 3, "numLabelPairs": 3, "chunkCount": 4, "minTime": 5, "maxTime": 9}));
        assert_eq!(shown["seriesCountByMetricName"], json!([{"name": "up", "value": 2}]));
        assert_eq!(shown["labelValueCountByLabelName"], json!([{"name": "__name__", "value": 2}]));
        assert_eq!(shown["memoryInBytesByLabelName"], json!([{"name": "__name__", "value": 8}]));
        assert_eq!(shown["seriesCountByLabelValuePair"], json!([{"name": "job=x", "value": 3}]));
        assert_eq!(statistics(SeriesCounts::default(), 10)["headStats"]["minTime"], i64::MAX);
    }
}
