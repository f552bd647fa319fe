//! The API by which tenants store rule groups: that of Cortex and Mimir, YAML.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bucket::BucketError;
use futures::{StreamExt, TryStreamExt};
use limits::Limits;
use model::TenantId;
use proto::convert::rule_group as stored;

use super::{bad_body, bad_data, bad_path, error, yaml};
use crate::rule_file;
use crate::service::Handle;
use crate::store::{Listed, MAX_NAME_BYTES, StoreError};

/// Groups that are read or deleted at a time for one request.
const CONCURRENT: usize = 8;

/// Bytes of groups that one answer may hold: what one group may have, a few hundred times.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// In these words Grafana knows that there is a rules API, and nothing in it.
const NO_GROUPS: &str = "no rule groups found";
const NO_GROUP: &str = "group does not exist";

pub(super) type PathOf<T> = Result<Path<T>, PathRejection>;

/// Why a request is not answered as it was meant.
pub(super) struct Refusal(Box<Response>);

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<StoreError> for Refusal {
    fn from(problem: StoreError) -> Self {
        match problem {
            StoreError::Bucket(problem) => problem.into(),
            damaged @ StoreError::Damaged { .. } => error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &damaged.to_string()).into(),
        }
    }
}

impl From<BucketError> for Refusal {
    fn from(problem: BucketError) -> Self {
        tracing::warn!(error = %problem, "a request about stored rules failed");
        match problem.is_temporary() {
            true => error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &problem.to_string()).into(),
            false => error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &problem.to_string()).into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

pub(super) type Answer = Result<Response, Refusal>;

fn as_yaml(text: Result<String, serde_yaml_ng::Error>) -> Answer {
    match text {
        Ok(text) => Ok(([(header::CONTENT_TYPE, "application/yaml")], text).into_response()),
        Err(problem) => Err(error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &problem.to_string()).into()),
    }
}

/// Stored, and taken up in a moment.
fn accepted() -> Response {
    let body = r#"{"status":"success","data":null,"errorType":"","error":""}"#;
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn not_found(problem: &str) -> Refusal {
    error(StatusCode::NOT_FOUND, "not_found", problem).into()
}

pub(super) async fn all(State(handle): State<Handle>, Extension(tenant): Extension<TenantId>) -> Answer {
    show(&handle, &tenant, handle.store.list(Some(&tenant)).await?).await
}

pub(super) async fn namespace(State(handle): State<Handle>, Extension(tenant): Extension<TenantId>, path: PathOf<String>) -> Answer {
    let Path(namespace) = path.map_err(|e| bad_path(&e))?;
    show(&handle, &tenant, handle.store.list_namespace(&tenant, &namespace).await?).await
}

/// Groups as YAML by namespace. One that cannot be read is an error: what is shown may be what somebody stores again.
async fn show(handle: &Handle, tenant: &TenantId, listed: Vec<Listed>) -> Answer {
    let bytes: u64 = listed.iter().map(|l| l.info.len).sum();
    if bytes > MAX_ANSWER_BYTES as u64 {
        let problem = format!("the groups have {bytes} bytes, one answer holds {MAX_ANSWER_BYTES}; ask for one namespace");
        return Err(error(StatusCode::UNPROCESSABLE_ENTITY, "execution", &problem).into());
    }
    let reads = listed.into_iter().map(|l| async move {
        let group = handle.store.get(tenant, &l.namespace, &l.group).await?;
        Ok::<_, StoreError>(group.map(|group| (l.namespace, group)))
    });
    let groups: Vec<_> = futures::stream::iter(reads).buffered(CONCURRENT).try_filter_map(async |group| Ok(group)).try_collect().await?;
    if groups.is_empty() {
        return Err(not_found(NO_GROUPS));
    }
    as_yaml(yaml::namespaces(&groups))
}

pub(super) async fn group(State(handle): State<Handle>, Extension(tenant): Extension<TenantId>, path: PathOf<(String, String)>) -> Answer {
    let Path((namespace, group)) = path.map_err(|e| bad_path(&e))?;
    let group = handle.store.get(&tenant, &namespace, &group).await?.ok_or_else(|| not_found(NO_GROUP))?;
    as_yaml(yaml::group(&group))
}

pub(super) async fn store(
    State(handle): State<Handle>,
    Extension(tenant): Extension<TenantId>,
    path: PathOf<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let Path(namespace) = path.map_err(|e| bad_path(&e))?;
    let body = body.map_err(|e| bad_body(&e))?;
    let text = std::str::from_utf8(&body).map_err(|_| bad_data("the rule group is not UTF-8"))?;
    let (group, _) = rule_file::parse_group(text, &(handle.parse)(&tenant)).map_err(|problems| bad_data(&problems.join("\n")))?;
    let limits = handle.limits.of(&tenant);
    check(&namespace, &group, &limits).map_err(|problem| bad_data(&problem))?;
    check_count(&handle, &tenant, &namespace, &group.name, limits.ruler_max_rule_groups_per_tenant).await?;
    handle.store.put(&tenant, &namespace, group).await?;
    handle.changed(&tenant);
    Ok(accepted())
}

/// What can be said without the store.
fn check(namespace: &str, group: &stored::RuleGroup, limits: &Limits) -> Result<(), String> {
    for (what, name) in [("namespace", namespace), ("group", &group.name)] {
        if name.len() > MAX_NAME_BYTES {
            return Err(format!("the name of the {what} has {} bytes, at most {MAX_NAME_BYTES} are taken", name.len()));
        }
    }
    let (rules, max) = (group.rules.len(), limits.ruler_max_rules_per_rule_group);
    if max > 0 && rules > max {
        return Err(format!(
            "group {:?} has {rules} rules, the limit of a tenant's rule group is {max} (limits.ruler_max_rules_per_rule_group)",
            group.name
        ));
    }
    Ok(())
}

/// Whether there is room for the group. Of several who ask at a time each may be let in: the limit is there to stop floods, not the last group.
async fn check_count(handle: &Handle, tenant: &TenantId, namespace: &str, group: &str, max: usize) -> Result<(), Refusal> {
    if max == 0 || handle.store.exists(tenant, namespace, group).await? {
        return Ok(());
    }
    let groups = handle.store.list(Some(tenant)).await?.len();
    if groups >= max {
        let problem =
            format!("the tenant has {groups} rule groups, the limit of a tenant is {max} (limits.ruler_max_rule_groups_per_tenant)");
        return Err(bad_data(&problem).into());
    }
    Ok(())
}

pub(super) async fn delete_group(
    State(handle): State<Handle>,
    Extension(tenant): Extension<TenantId>,
    path: PathOf<(String, String)>,
) -> Answer {
    let Path((namespace, group)) = path.map_err(|e| bad_path(&e))?;
    if !handle.store.exists(&tenant, &namespace, &group).await? {
        return Err(not_found(NO_GROUP));
    }
    handle.store.delete(&tenant, &namespace, &group).await?;
    handle.changed(&tenant);
    Ok(accepted())
}

pub(super) async fn delete_namespace(State(handle): State<Handle>, Extension(tenant): Extension<TenantId>, path: PathOf<String>) -> Answer {
    let Path(namespace) = path.map_err(|e| bad_path(&e))?;
    let listed = handle.store.list_namespace(&tenant, &namespace).await?;
    if listed.is_empty() {
        return Err(not_found(NO_GROUPS));
    }
    let deletes = listed.into_iter().map(|l| {
        let store = handle.store.clone();
        async move { store.delete(&l.tenant, &l.namespace, &l.group).await }
    });
    let deleted: Result<Vec<()>, BucketError> = futures::stream::iter(deletes).buffer_unordered(CONCURRENT).try_collect().await;
    // Also when not all could be deleted: some may have been.
    handle.changed(&tenant);
    deleted?;
    Ok(accepted())
}
