//! Exemplars.

use crate::labels::Labels;

/// A pointer from a sample to something outside, usually a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// The exemplar's own labels (not its series'); may be empty.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// Milliseconds since the Unix epoch.
    pub t: i64,
}
