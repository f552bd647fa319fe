//! Failure domains: what is lost at once. Pure.
//!
//! A zone is one; an instance that was given none ([`UNZONED`]) is one of its own. Replicas of a key lie in different domains, whatever the number of these is, so a write
//! that has its quorum is in as many domains as the quorum has replicas, and a read may do without a whole domain ([`crate::ReadQuorum`]).

use std::fmt;

use crate::instance::Instance;

/// The zone of those that were given none: the default of the setting.
pub const UNZONED: &str = "default";

/// What is lost at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain<'a> {
    /// All instances of a zone.
    Zone(&'a str),
    /// One instance, by its id.
    Instance(&'a str),
}

impl<'a> Domain<'a> {
    /// The domain of who has this zone and this id.
    #[must_use]
    pub fn of(zone: &'a str, id: &'a str) -> Self {
        if zone == UNZONED { Self::Instance(id) } else { Self::Zone(zone) }
    }
}

impl fmt::Display for Domain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zone(zone) => write!(f, "zone {zone}"),
            Self::Instance(id) => write!(f, "ingester {id}"),
        }
    }
}

impl Instance {
    /// The failure domain that it is in.
    #[must_use]
    pub fn domain(&self) -> Domain<'_> {
        Domain::of(&self.zone, self.id.as_str())
    }
}

/// How many domains these are in.
pub(crate) fn count<'a>(instances: impl Iterator<Item = &'a Instance>) -> usize {
    distinct(instances).len()
}

/// The domains that these are in, ascending.
pub(crate) fn distinct<'a>(instances: impl Iterator<Item = &'a Instance>) -> Vec<Domain<'a>> {
    let mut domains: Vec<Domain<'a>> = instances.map(Instance::domain).collect();
    domains.sort_unstable();
    domains.dedup();
    domains
}
