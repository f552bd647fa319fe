//! What a sender says it sends.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::error::RequestError;

/// The message in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Remote write 1.0: `prometheus.WriteRequest`.
    V1,
    /// Remote write 2.0: `io.prometheus.write.v2.Request`.
    V2,
}

/// The longest header value quoted in an error, in bytes.
const MAX_QUOTED: usize = 128;

/// The protocol of a request, from `Content-Type` and `Content-Encoding`. As in Prometheus's receiver a missing type is 1.0 and a missing
/// encoding is snappy; anything that is neither is refused (415).
pub fn negotiate(headers: &HeaderMap) -> Result<Protocol, RequestError> {
    let protocol = match headers.get(CONTENT_TYPE) {
        None => Protocol::V1,
        Some(value) => {
            let text = value.to_str().unwrap_or_default();
            of_content_type(text).ok_or_else(|| RequestError::ContentType(quoted(value.as_bytes())))?
        }
    };
    match headers.get(CONTENT_ENCODING) {
        Some(value) if !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"snappy") => {
            Err(RequestError::ContentEncoding(quoted(value.as_bytes())))
        }
        _ => Ok(protocol),
    }
}

fn of_content_type(text: &str) -> Option<Protocol> {
    let mut parts = text.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("application/x-protobuf") {
        return None;
    }
    let mut protocol = Protocol::V1;
    for parameter in parts.filter(|p| !p.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        // Other parameters, such as a character set, change nothing.
        if name.trim().eq_ignore_ascii_case("proto") {
            protocol = match value.trim().trim_matches('"') {
                "prometheus.WriteRequest" => Protocol::V1,
                "io.prometheus.write.v2.Request" => Protocol::V2,
                _ => return None,
            };
        }
    }
    Some(protocol)
}

fn quoted(value: &[u8]) -> String {
    String::from_utf8_lossy(value.get(..value.len().min(MAX_QUOTED)).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{Protocol, negotiate};
    use crate::error::RequestError;

    fn of(content_type: Option<&str>, encoding: Option<&str>) -> Result<Protocol, RequestError> {
        let mut headers = HeaderMap::new();
        content_type.map(|v| headers.insert("content-type", v.parse().unwrap()));
        encoding.map(|v| headers.insert("content-encoding", v.parse().unwrap()));
        negotiate(&headers)
    }

    #[test]
    fn types_and_encodings() {
        for v1 in
            ["application/x-protobuf", "application/x-protobuf;proto=prometheus.WriteRequest", "Application/X-Protobuf; charset=utf-8"]
        {
            assert_eq!(of(Some(v1), Some("snappy")), Ok(Protocol::V1), "{v1}");
        }
        for v2 in [
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"",
        ] {
            assert_eq!(of(Some(v2), None), Ok(Protocol::V2), "{v2}");
        }
        assert_eq!(of(None, None), Ok(Protocol::V1));
        assert_eq!(of(None, Some("Snappy")), Ok(Protocol::V1));
        for bad in ["", "text/plain", "application/json", "application/x-protobuf;proto=other", "application/x-protobuf;proto"] {
            assert!(matches!(of(Some(bad), None), Err(RequestError::ContentType(_))), "{bad}");
        }
        for bad in ["", "gzip", "zstd", "snappy, gzip", "identity"] {
            assert!(matches!(of(None, Some(bad)), Err(RequestError::ContentEncoding(_))), "{bad}");
        }
    }
}
