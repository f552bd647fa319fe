//! `series`, `labels`, `label/<name>/values`, `metadata`, `query_exemplars`.

use std::collections::BTreeMap;

use axum::extract::{Extension, Path, Request, State};
use axum::response::Response;
use model::{Exemplar, Labels};
use promql::QueryError;
use promql::parser::{self, Expr};
use rpc::{LabelValuesRequest, SeriesRequest};
use serde_json::{Value, json};

use super::query::cut;
use super::selectors::{series_request, time_range};
use super::{ApiError, Call, Name, Querying, Tenant, format, handle, json as write};

const TRUNCATED: &str = "results truncated due to limit";

pub(super) async fn series(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "series", run_series).await
}

pub(super) async fn labels(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "labels", run_labels).await
}

pub(super) async fn label_values(State(querier): Querying, Extension(tenant): Tenant, Path(name): Name, request: Request) -> Response {
    handle(querier, tenant, request, "label_values", async |call: &Call| run_label_values(call, &name).await).await
}

pub(super) async fn metadata(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "metadata", run_metadata).await
}

pub(super) async fn exemplars(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "exemplars", run_exemplars).await
}

/// How many results there may be.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    /// What the caller wants at most; 0 for all.
    wanted: usize,
    /// What the caller may have at most.
    allowed: usize,
    /// The limit that says so.
    limit: &'static str,
}

impl Bound {
    pub(super) fn of(call: &Call) -> Result<Self, ApiError> {
        let limits = call.querier.limits.of(&call.tenant);
        let results = (limits.max_label_results, "max_label_results");
        let (allowed, limit) = results.min((limits.max_query_series, "max_query_series"));
        Ok(Self { wanted: call.params.limit("limit")?, allowed, limit })
    }

    /// One more than there may be, to see whether there are more.
    pub(super) fn ask_for(self) -> usize {
        let most = if self.wanted == 0 { self.allowed } else { self.wanted.min(self.allowed) };
        most.saturating_add(1)
    }

    /// Cuts to what is wanted, with a warning; more than what is allowed is an error.
    pub(super) fn apply<T>(self, items: &mut Vec<T>) -> Result<Vec<String>, ApiError> {
        if cut(items, self.wanted) {
            return Ok(vec![TRUNCATED.to_owned()]);
        }
        if items.len() > self.allowed {
            let limit = limits::named(self.limit, self.allowed, "entries");
            let text = format!("the result has too many entries ({limit}); narrow match[] or the time range, or give limit");
            return Err(QueryError::Execution(text).into());
        }
        Ok(Vec::new())
    }
}

async fn run_series(call: &Call) -> Result<Vec<u8>, ApiError> {
    let bound = Bound::of(call)?;
    if call.params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (request, mut warnings) = series_request(call, bound.ask_for(), |e| ApiError::parameter("match[]", &e))?;
    let ctx = call.context()?;
    let mut sets = call.querier.directory.series(&ctx, request).await?;
    warnings.extend(bound.apply(&mut sets)?);
    Ok(write::label_sets(&sets, &warnings))
}

async fn run_labels(call: &Call) -> Result<Vec<u8>, ApiError> {
    let bound = Bound::of(call)?;
    let (request, warnings) = series_request(call, bound.ask_for(), ApiError::bad_data)?;
    let ctx = call.context()?;
    strings(call.querier.directory.label_names(&ctx, request).await?, bound, warnings)
}

async fn run_label_values(call: &Call, name: &str) -> Result<Vec<u8>, ApiError> {
    let bound = Bound::of(call)?;
    let name = unescape(name);
    if name.is_empty() {
        return Err(ApiError::bad_data("invalid label name: \"\""));
    }
    let (series, warnings) = series_request(call, bound.ask_for(), ApiError::bad_data)?;
    let ctx = call.context()?;
    strings(call.querier.directory.label_values(&ctx, LabelValuesRequest { name, series }).await?, bound, warnings)
}

fn strings(mut texts: Vec<String>, bound: Bound, mut warnings: Vec<String>) -> Result<Vec<u8>, ApiError> {
    warnings.extend(bound.apply(&mut texts)?);
    Ok(write::success(&Value::from(texts), &warnings))
}

async fn run_metadata(call: &Call) -> Result<Vec<u8>, ApiError> {
    let limit = call.params.plain_limit("limit")?;
    let per_metric = call.params.plain_limit("limit_per_metric")?;
    let family = call.params.get("metric").map(str::to_owned);
    let ctx = call.context()?;
    let families = call.querier.directory.metadata(&ctx, family).await?;
    let shown = if limit == 0 { usize::MAX } else { limit };
    let warnings = if families.len() > shown { vec![TRUNCATED.to_owned()] } else { Vec::new() };
    let shown_each = if per_metric == 0 { usize::MAX } else { per_metric };
    let data: serde_json::Map<String, Value> = families
        .into_iter()
        .take(shown)
        .map(|(name, entries)| {
            let entries: Vec<Value> =
                entries.iter().take(shown_each).map(|m| json!({"type": m.metric_type.as_str(), "help": m.help, "unit": m.unit})).collect();
            (name, Value::from(entries))
        })
        .collect();
    Ok(write::success(&Value::from(data), &warnings))
}

async fn run_exemplars(call: &Call) -> Result<Vec<u8>, ApiError> {
    let now = call.querier.clock.now_ms();
    // Prometheus requires both; Grafana's probe sends milliseconds, which are a valid time in the far future.
    let (min_t, max_t) = time_range(&call.params, 0, now)?;
    if max_t < min_t {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let text = call.params.get("query").unwrap_or_default();
    let expr = parser::parse(text, &call.querier.runner.parse_options(&call.tenant)).map_err(|e| ApiError::bad_data(e.to_string()))?;
    let mut selectors = Vec::new();
    collect_selectors(&expr, &mut selectors);
    if selectors.is_empty() {
        return Ok(write::success(&json!([]), &[]));
    }
    let request = SeriesRequest { selectors, min_t, max_t, limit: 0 };
    let ctx = call.context()?;
    Ok(exemplar_response(&call.querier.directory.exemplars(&ctx, request).await?))
}

/// The matchers of every selector; the depth of the tree is bounded by the parser.
fn collect_selectors(expr: &Expr, out: &mut Vec<std::sync::Arc<[model::Matcher]>>) {
    match expr {
        Expr::Vector(v) => out.push(v.matchers.clone().into()),
        Expr::Matrix(m) => out.push(m.selector.matchers.clone().into()),
        Expr::Subquery(s) => collect_selectors(&s.expr, out),
        Expr::Call(c) => c.args.iter().for_each(|arg| collect_selectors(arg, out)),
        Expr::Aggregate(a) => {
            if let Some(param) = &a.param {
                collect_selectors(param, out);
            }
            collect_selectors(&a.expr, out);
        }
        Expr::Binary(b) => {
            collect_selectors(&b.lhs, out);
            collect_selectors(&b.rhs, out);
        }
        Expr::Unary(u) => collect_selectors(&u.expr, out),
        Expr::Paren(p) => collect_selectors(&p.expr, out),
        Expr::Number(_) | Expr::String(_) => {}
    }
}

/// `[{"seriesLabels":{…},"exemplars":[{"labels":{…},"value":"…","timestamp":…}]}]`.
fn exemplar_response(series: &BTreeMap<Labels, Vec<Exemplar>>) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",\"data\":[".to_vec();
    for (i, (labels, exemplars)) in series.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"{\"seriesLabels\":" } else { b",{\"seriesLabels\":" });
        write::labels(&mut out, labels);
        out.extend_from_slice(b",\"exemplars\":[");
        for (j, exemplar) in exemplars.iter().enumerate() {
            out.extend_from_slice(if j == 0 { b"{\"labels\":" } else { b",{\"labels\":" });
            write::labels(&mut out, &exemplar.labels);
            out.extend_from_slice(b",\"value\":");
            format::float(&mut out, exemplar.value);
            out.extend_from_slice(b",\"timestamp\":");
            format::timestamp(&mut out, exemplar.t);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}");
    out
}

/// A label name in a path may be escaped (`U__http_2e_status` is `http.status`): Prometheus's "values" escaping.
fn unescape(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let tail = tail.strip_prefix('_').unwrap_or(tail);
        if let Some(after) = tail.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let code = tail.split_once('_').and_then(|(hex, after)| Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, after)));
        match code {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            // Not an escape after all: the name is taken as it stands.
            None => return name.to_owned(),
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn names_are_unescaped() {
        for (name, want) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U__bad_zz_", "U__bad_zz_"),
            ("U__", ""),
            ("U__a_", "U__a_"),
        ] {
            assert_eq!(unescape(name), want, "{name}");
        }
    }
}
