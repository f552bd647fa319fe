//! Which roles run in this process.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One role, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Consensus and membership.
    Coordinator,
    /// Recent samples.
    Ingester,
    /// The way in.
    Distributor,
    /// The way out.
    Querier,
    /// Merges blocks in the object store.
    Compactor,
    /// Rules and alerts.
    Ruler,
}

impl Target {
    /// Every role, in the order in which they are started.
    pub const EVERY: [Self; 6] = [Self::Coordinator, Self::Ingester, Self::Distributor, Self::Querier, Self::Compactor, Self::Ruler];

    /// The name in `--target`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Ingester => "ingester",
            Self::Distributor => "distributor",
            Self::Querier => "querier",
            Self::Compactor => "compactor",
            Self::Ruler => "ruler",
        }
    }
}

/// A set of roles, as `--target` gives it: `all`, or names separated by commas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Targets(Vec<Target>);

impl Targets {
    /// Every role.
    #[must_use]
    pub fn all() -> Self {
        Self(Target::EVERY.to_vec())
    }

    /// Whether a role is among them.
    #[must_use]
    pub fn has(&self, target: Target) -> bool {
        self.0.contains(&target)
    }

    /// Whether every role is.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.len() == Target::EVERY.len()
    }

    /// The roles, in the order in which they are started.
    pub fn iter(&self) -> impl Iterator<Item = Target> + '_ {
        self.0.iter().copied()
    }
}

/// A name that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown target {0:?}: a target is `all` or a comma-separated list of coordinator, ingester, distributor, querier, compactor, ruler"
)]
pub struct UnknownTarget(String);

impl FromStr for Targets {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "all" {
            return Ok(Self::all());
        }
        let mut targets = Vec::new();
        for name in text.split(',').map(str::trim) {
            let target = Target::EVERY.into_iter().find(|t| t.as_str() == name).ok_or_else(|| UnknownTarget(name.to_owned()))?;
            targets.push(target);
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(Self(targets))
    }
}

impl TryFrom<String> for Targets {
    type Error = UnknownTarget;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Targets> for String {
    fn from(targets: Targets) -> Self {
        targets.to_string()
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all");
        }
        let names: Vec<&str> = self.iter().map(Target::as_str).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, Targets};

    #[test]
    fn lists_are_read() {
        assert!("all".parse::<Targets>().unwrap().is_all());
        let two: Targets = "querier, distributor,querier".parse().unwrap();
        assert_eq!(two.to_string(), "distributor,querier");
        assert!(two.has(Target::Querier) && !two.has(Target::Ingester));
        assert!("".parse::<Targets>().is_err());
        assert!("querier,store-gateway".parse::<Targets>().is_err());
    }
}
