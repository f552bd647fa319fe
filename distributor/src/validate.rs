//! Whether what was decoded may be stored. Pure: limits come in, verdicts go out.

pub mod exemplar;
pub mod histogram;
pub mod labels;
pub mod metadata;

use model::RejectReason;

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The reason, for counting.
    pub reason: RejectReason,
    /// A lowercase phrase that names the offending value, and the limit and its setting where one is behind it.
    pub detail: String,
}

impl Fault {
    /// A fault.
    pub fn new(reason: RejectReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Bytes as text for an error, shortened, with what is not UTF-8 replaced.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    const MAX: usize = 64;
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(MAX)).unwrap_or_default());
    if bytes.len() > MAX { format!("{text:?}…") } else { format!("{text:?}") }
}
