//! Requests that change something come from a tool, or from a page of this server: a browser tells.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Lets requests that only read pass, and those that may change something if they are no other site's.
pub(super) async fn require(request: Request, next: Next) -> Response {
    match refusal(request.headers()) {
        Some(refusal) if !request.method().is_safe() => refusal,
        _ => next.run(request).await,
    }
}

/// The refusal of what another site's page has a person's browser send. Tools send neither header and pass; there is no authentication that they could abuse.
fn refusal(headers: &HeaderMap) -> Option<Response> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let foreign = match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        // `none`: typed by the person.
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map_or("", |(_, host)| host);
            host.is_empty() || text(header::HOST.as_str()) != Some(host)
        }
        (None, None) => false,
    };
    foreign.then(|| (StatusCode::FORBIDDEN, "refused: the request comes from a page of another site\n").into_response())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::refusal;

    #[test]
    fn other_sites_are_refused_and_tools_are_not() {
        let passes = |pairs: &[(&'static str, &'static str)]| {
            let headers: HeaderMap =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
            refusal(&headers).is_none()
        };
        assert!(passes(&[]));
        assert!(passes(&[("sec-fetch-site", "same-origin"), ("origin", "http://h:1")]));
        assert!(passes(&[("origin", "http://h:1"), ("host", "h:1")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("sec-fetch-site", "same-site"), ("origin", "http://h:1"), ("host", "h:1")]));
        assert!(!passes(&[("origin", "http://evil"), ("host", "h:1")]));
        assert!(!passes(&[("origin", "null"), ("host", "h:1")]));
    }
}
