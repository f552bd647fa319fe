//! When a write is acknowledged and when a read is complete. Pure: fed with outcomes, asked for verdicts.
//!
//! With replication factor RF a write needs a quorum of RF/2 + 1 replicas of each of its series, and a read may miss RF − quorum
//! replicas of any series. Quorum + quorum > RF, so every such read meets every acknowledged sample:
//!
//! | RF | quorum | may be missing |
//! |---|---|---|
//! | 1 | 1 | 0 |
//! | 3 | 2 | 1 |
//! | 5 | 3 | 2 |
//!
//! The quorum is that of RF, not of the replicas that happen to exist: in two failure domains at RF 3 both must take a write, in one
//! nothing is acknowledged.

pub mod read;
pub mod write;

pub use read::{Reach, ReadQuorum};
pub use write::{WritePlan, WriteQuorum, WriteTarget};

/// How many replicas must take a sample before it is acknowledged.
#[must_use]
pub fn write_quorum(replication_factor: usize) -> usize {
    replication_factor / 2 + 1
}

/// How many replicas of a series a read may do without.
#[must_use]
pub fn tolerated_failures(replication_factor: usize) -> usize {
    replication_factor.saturating_sub(write_quorum(replication_factor))
}

/// What the outcomes so far mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Wait for more outcomes.
    Pending,
    /// Enough succeeded. Final.
    Reached,
    /// Too many failed, whatever comes. Final.
    Impossible,
}
