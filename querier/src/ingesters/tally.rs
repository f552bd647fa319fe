//! Who has answered, who need not, and when others are asked. Pure.

use ring::{InstanceIndex, ReadQuorum, Ring, Verdict};
use rpc::RpcError;

/// What an answer that is waited for is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The result is complete without it.
    Needless,
    /// The result can be complete without it if the reserve is asked.
    Replaceable,
    /// There is no result without it.
    Needed,
}

/// What was heard so far.
pub(super) struct Tally<'a> {
    ring: &'a Ring,
    quorum: ReadQuorum,
    /// Who may have series, too, and was not asked yet.
    reserve: Vec<InstanceIndex>,
}

impl<'a> Tally<'a> {
    /// Nobody has answered yet.
    pub(super) fn new(ring: &'a Ring, quorum: ReadQuorum, reserve: Vec<InstanceIndex>) -> Self {
        Self { ring, quorum, reserve }
    }

    pub(super) fn ring(&self) -> &'a Ring {
        self.ring
    }

    /// It has given all it has.
    pub(super) fn succeeded(&mut self, index: InstanceIndex) {
        self.quorum.succeeded(index);
    }

    /// Counts a failure. Errors that any ingester would give end the query; others do when too many are missing, the reserve not being counted.
    pub(super) fn failed(&mut self, index: InstanceIndex, error: RpcError) -> Result<(), RpcError> {
        if !error.is_retriable_elsewhere() {
            return Err(error);
        }
        let name = self.ring.instances().get(index as usize).map_or("?", |instance| instance.id.as_str());
        tracing::warn!(ingester = name, %error, "ingester did not answer a query");
        match self.quorum.failed(index) {
            Verdict::Impossible => Err(RpcError::new(
                error.kind,
                format!("too many ingesters did not answer for the result to be complete; the last was {name}: {error}"),
            )),
            Verdict::Reached | Verdict::Pending => Ok(()),
        }
    }

    /// Whether the result cannot be complete any more without the reserve.
    pub(super) fn needs_reserve(&self) -> bool {
        !self.reserve.is_empty() && !self.quorum.can_do_without(&self.reserve)
    }

    /// Those of the reserve, who are asked now.
    pub(super) fn take_reserve(&mut self) -> Vec<InstanceIndex> {
        std::mem::take(&mut self.reserve)
    }

    /// What the answers of these are worth, who were asked and have not answered.
    pub(super) fn waiting_for(&self, unheard: &[InstanceIndex]) -> Waiting {
        if self.quorum.can_do_without(unheard.iter().chain(&self.reserve)) {
            Waiting::Needless
        } else if !self.reserve.is_empty() && self.quorum.can_do_without(unheard) {
            Waiting::Replaceable
        } else {
            Waiting::Needed
        }
    }
}
