//! Why a query has no answer.

/// The kinds of Prometheus's HTTP API; each has its `errorType` and status there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The expression or a parameter is wrong (`bad_data`, 400). The text is Prometheus's, position included.
    #[error("{0}")]
    BadData(String),
    /// Evaluation failed (`execution`, 422): many-to-many matching, duplicate series, a limit. A limit names itself.
    #[error("{0}")]
    Execution(String),
    /// The server has more queries than it may take (`too_many_requests`, 429). The text names the setting.
    #[error("{0}")]
    TooManyRequests(String),
    /// The deadline passed (`timeout`, 503).
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// The caller went away (`canceled`, 499).
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// The data could not be read (`internal`, 500): an incomplete answer is never given.
    #[error("{0}")]
    Storage(String),
}
