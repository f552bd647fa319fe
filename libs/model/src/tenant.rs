//! Tenant names.

use std::fmt;
use std::sync::Arc;

/// The tenant of every request when multi-tenancy is off.
pub const ANONYMOUS: &str = "anonymous";

/// The longest tenant name, in bytes (the limit of Cortex and Mimir, so that their tenants can move in).
pub const MAX_TENANT_BYTES: usize = 150;

/// Names that mean something else in the bucket layout shared with Cortex, Mimir and Thanos.
const RESERVED: [&str; 5] = [".", "..", "__markers__", "user-index.json.gz", "__mimir_cluster"];

/// A validated tenant name: 1 to 150 bytes of `0-9 a-z A-Z ! - _ . * ' ( )`, and none of the reserved names.
///
/// It is safe as a path component, an object-store prefix, an HTTP header and a log field. Cloning is a reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// Why a tenant name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// The name has no characters.
    #[error("tenant ID is empty")]
    Empty,
    /// The name is longer than [`MAX_TENANT_BYTES`].
    #[error("tenant ID is too long: {0} bytes, max {MAX_TENANT_BYTES}")]
    TooLong(usize),
    /// The name holds a character outside the allowed set.
    #[error("tenant ID contains unsupported character at byte {0}")]
    Character(usize),
    /// The name is reserved by the storage layout.
    #[error("tenant ID is a reserved name")]
    Reserved,
}

impl TenantId {
    /// Checks `name` and makes it a tenant.
    pub fn new(name: &str) -> Result<Self, TenantError> {
        if name.is_empty() {
            return Err(TenantError::Empty);
        }
        if name.len() > MAX_TENANT_BYTES {
            return Err(TenantError::TooLong(name.len()));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!-_.*'()".contains(&b);
        if let Some(at) = name.bytes().position(|b| !allowed(b)) {
            return Err(TenantError::Character(at));
        }
        if RESERVED.contains(&name) {
            return Err(TenantError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// The tenant of a process without multi-tenancy.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(ANONYMOUS.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{TenantError, TenantId};

    #[test]
    fn accepts_what_cortex_accepts() {
        for name in ["a", "team-1", "A.b_c!*'()", &"x".repeat(150)] {
            assert_eq!(TenantId::new(name).map(|t| t.as_str().to_owned()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn refuses_tricks() {
        assert_eq!(TenantId::new(""), Err(TenantError::Empty));
        assert_eq!(TenantId::new(&"x".repeat(151)), Err(TenantError::TooLong(151)));
        for (name, at) in [("../x", 2), ("a/b", 1), ("a|b", 1), ("a\0", 1), ("a\r\nb", 1), ("tenänt", 3), ("..%2f", 2), (" a", 0)] {
            assert_eq!(TenantId::new(name), Err(TenantError::Character(at)), "{name:?}");
        }
        for name in [".", "..", "__markers__", "user-index.json.gz"] {
            assert_eq!(TenantId::new(name), Err(TenantError::Reserved), "{name:?}");
        }
    }
}
