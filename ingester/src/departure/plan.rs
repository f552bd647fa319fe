//! How far an ingester that leaves has come: a pure function of what is there.

use serde::Serialize;

use crate::ship::Stage;

/// What it is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nobody asked for it.
    NotRequested,
    /// The log is being replayed.
    Replaying,
    /// Pushes that were let in before are in progress.
    Draining,
    /// What is in memory becomes blocks, and these are shipped.
    Flushing,
    /// Blocks are not in the object store.
    Shipping,
    /// The bucket index does not show all blocks.
    Indexing,
    /// Queriers may not have seen that index.
    Settling,
    /// Everything is in the object store and is found there.
    Safe,
}

/// What is there.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) requested: bool,
    /// Whether the heads hold everything that was acknowledged.
    pub(super) complete: bool,
    /// In progress.
    pub(super) pushes: usize,
    pub(super) flushed: bool,
    /// Of all blocks.
    pub(super) stages: Vec<Stage>,
    /// How long after the index showed a block every querier knows.
    pub(super) settle_ms: i64,
    pub(super) now_ms: i64,
}

impl Facts {
    /// When everything will have settled; `None` while the index does not show all blocks.
    pub(super) fn safe_at(&self) -> Option<i64> {
        let ready = self.requested && self.complete && self.pushes == 0 && self.flushed;
        let shown = self.stages.iter().map(|stage| stage.shown_at()).collect::<Option<Vec<i64>>>().filter(|_| ready)?;
        // Without any block there is nothing that a querier could miss.
        Some(shown.into_iter().max().map_or(self.now_ms, |last| last.saturating_add(self.settle_ms)))
    }
}

pub(super) fn phase(facts: &Facts) -> Phase {
    match facts {
        Facts { requested: false, .. } => Phase::NotRequested,
        Facts { complete: false, .. } => Phase::Replaying,
        Facts { pushes: 1.., .. } => Phase::Draining,
        Facts { flushed: false, .. } => Phase::Flushing,
        Facts { stages, .. } if stages.iter().any(|stage| stage.is_waiting()) => Phase::Shipping,
        facts => match facts.safe_at() {
            None => Phase::Indexing,
            Some(at_ms) if facts.now_ms < at_ms => Phase::Settling,
            Some(_) => Phase::Safe,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Phase, phase};
    use crate::ship::Stage;

    #[test]
    fn it_is_safe_only_when_all_of_it_is_found_in_the_store() {
        let mut facts =
            Facts { requested: false, complete: false, pushes: 1, flushed: false, stages: Vec::new(), settle_ms: 100, now_ms: 1_000 };
        assert_eq!(phase(&facts), Phase::NotRequested);
        facts.requested = true;
        assert_eq!(phase(&facts), Phase::Replaying);
        facts.complete = true;
        assert_eq!(phase(&facts), Phase::Draining);
        facts.pushes = 0;
        assert_eq!((phase(&facts), facts.safe_at()), (Phase::Flushing, None));
        facts.flushed = true;
        assert_eq!(phase(&facts), Phase::Safe, "nothing was there");
        facts.stages = vec![Stage::Shown { at_ms: 950 }, Stage::Waiting { tried: true }];
        assert_eq!(phase(&facts), Phase::Shipping);
        facts.stages[1] = Stage::Stored { at_ms: 990 };
        assert_eq!((phase(&facts), facts.safe_at()), (Phase::Indexing, None));
        facts.stages[1] = Stage::Shown { at_ms: 990 };
        assert_eq!((phase(&facts), facts.safe_at()), (Phase::Settling, Some(1_090)));
        facts.now_ms = 1_090;
        assert_eq!(phase(&facts), Phase::Safe);
    }
}
