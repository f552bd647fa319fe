//! What a sample belongs to, and what came of it.

use std::fmt;
use std::sync::Arc;

use model::Labels;

/// A series of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Series {
    /// Whose it is; empty where the server knows no tenants.
    pub tenant: Arc<str>,
    /// Its labels, with the metric's name among them.
    pub labels: Labels,
}

impl Series {
    /// The series with these labels where the server knows no tenants.
    #[must_use]
    pub fn of_nobody(labels: Labels) -> Self {
        Self { tenant: Arc::from(""), labels }
    }

    /// Whether all of these labels are as given.
    pub(super) fn has(&self, equal: &[(String, String)]) -> bool {
        equal.iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, labels } = self;
        if tenant.is_empty() { write!(f, "{labels}") } else { write!(f, "{labels} of {tenant}") }
    }
}

/// What came of sending a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way: it may be there.
    Sent,
    /// Answered 2xx: it must be there.
    Acked,
    /// Refused as a whole (4xx): it must not be there.
    Refused,
    /// No answer, an error of the server, or refused in part: it may be there.
    Unknown,
}

/// A sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) bits: u64,
    pub(super) fate: Fate,
    /// How many were acknowledged before this one.
    pub(super) order: u64,
}

/// The labels of a writer's series with this number; `run` keeps the series of several writers apart.
#[must_use]
pub fn labels(run: &str, number: usize) -> Labels {
    Labels::from_pairs([("__name__", "ledger_value"), ("run", run), ("series", &number.to_string())])
}
