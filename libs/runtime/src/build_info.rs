//! What this binary is.

/// The version of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
