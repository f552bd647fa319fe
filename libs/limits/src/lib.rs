//! What one tenant may ask of the cluster.
//!
//! Every limit has a safe default, a unit in its type or name, and is named in the error of whoever hits it. A limit is data: it is
//! read by the role that enforces it at the moment of enforcement, so a change is live at once.
//!
//! In reading order: `limits` (the limits of a tenant), [`overrides`] (what the overrides file gives single tenants), `provider` (where the roles look a tenant up), `shard_sizes` (what a change of a tenant's number of ingesters means for a while), [`reload`]
//! (the file, read again when it has changed).
//!
//! Never here: enforcement (the role that can refuse), and when the file is looked at (the server's timer and SIGHUP).

mod limits;
pub mod overrides;
mod provider;
pub mod reload;
mod shard_sizes;

pub use crate::limits::{Limits, PromqlFeatures};
pub use overrides::{Overrides, OverridesError};
pub use provider::LimitsProvider;
pub use reload::{OverridesFile, Reload};
pub use shard_sizes::MAX_LOOKBACK_MS;

/// How a refusal names the limit behind it: `limit: max_series = 5 series; change limits.max_series or the tenant's override`.
#[must_use]
pub fn named(name: &str, value: impl std::fmt::Display, unit: &str) -> String {
    format!("limit: {name} = {value} {unit}; change limits.{name} or the tenant's override")
}
