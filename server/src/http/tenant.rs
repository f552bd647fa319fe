//! Whose request it is.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use model::TenantId;

use super::api_error;

/// The header of Cortex, Loki and Mimir.
const TENANT_HEADER: &str = "X-Scope-OrgID";

/// Puts the tenant into the request's extensions, or refuses. A header that is not a tenant name is refused also when it would not count.
pub(super) async fn require(State(multitenancy): State<bool>, mut request: Request, next: Next) -> Response {
    let mut headers = request.headers().get_all(TENANT_HEADER).iter();
    let named = match (headers.next(), headers.next()) {
        (None, _) => None,
        (Some(_), Some(_)) => return api_error(StatusCode::BAD_REQUEST, "bad_data", "more than one X-Scope-OrgID header"),
        (Some(value), None) => {
            let tenant =
                value.to_str().map_err(|_| "not visible ASCII".to_owned()).and_then(|v| TenantId::new(v).map_err(|e| e.to_string()));
            match tenant {
                Ok(tenant) => Some(tenant),
                Err(problem) => return api_error(StatusCode::BAD_REQUEST, "bad_data", &format!("invalid X-Scope-OrgID: {problem}")),
            }
        }
    };
    let tenant = match (multitenancy, named) {
        (false, _) => TenantId::anonymous(),
        (true, Some(tenant)) => tenant,
        (true, None) => {
            let message = "no tenant: send X-Scope-OrgID (multitenancy is on)";
            return api_error(StatusCode::UNAUTHORIZED, "unauthorized", message);
        }
    };
    request.extensions_mut().insert(tenant);
    next.run(request).await
}
