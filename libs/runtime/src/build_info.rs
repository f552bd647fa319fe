//! What this binary is.

/// The version of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, or `unknown` outside a checkout. Set by the Makefile as `PLIMSOLL_REVISION` at compile time.
pub const REVISION: &str = match option_env!("PLIMSOLL_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
