//! Why there is no ruler.

/// Why the ruler does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong; the text names it.
    #[error("{0}")]
    Config(String),
    /// The rules cannot be loaded; all that is wrong, a line each.
    #[error("rules could not be loaded:\n{0}")]
    Rules(String),
    /// There is no HTTP client.
    #[error("no HTTP client for alertmanagers: {0}")]
    Client(String),
}
