//! Metrics of the coordinator role.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What a command was, or a renewal, which is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Operation {
    /// An instance joined.
    Register,
    /// A lease was renewed.
    Renew,
    /// An instance changed its state.
    SetState,
    /// An instance left.
    Deregister,
    /// Small values were changed.
    Swap,
    /// A person had an instance forgotten.
    Forget,
    /// A person made an instance READ_ONLY, or took that back.
    Order,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// Done.
    Ok,
    /// The epoch was old.
    Fenced,
    /// Another member leads.
    NotLeader,
    /// Anything else.
    Error,
}

/// Labels of `plimsoll_coordinator_requests`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// What was asked.
    pub operation: Operation,
    /// How it ended.
    pub outcome: Outcome,
}

/// Metrics of one member. Clones share the values.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Requests of members.
    pub requests: Family<RequestLabels, Counter>,
    /// Leases that ran out.
    pub expired_leases: Counter,
    /// Ingesters that were forgotten without being told to.
    pub forgotten: Counter,
    /// Small values.
    pub keys: Gauge,
    /// Running watches.
    pub watches: Gauge,
    /// 1 if this member leads.
    pub leader: Gauge,
    /// The Raft term.
    pub term: Gauge,
    /// The last log entry applied.
    pub applied_index: Gauge,
    /// The version of the cluster's state.
    pub cluster_version: Gauge,
    /// Leases held by this member, if it leads.
    pub leases: Gauge,
}

impl Metrics {
    /// Registers everything.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("plimsoll_coordinator");
        registry.register("requests", "Requests of members, by what was asked and how it ended", metrics.requests.clone());
        registry.register("expired_leases", "Leases that ran out while this member led", metrics.expired_leases.clone());
        registry.register("forgotten_ingesters", "Dead ingesters that this member, leading, forgot by itself", metrics.forgotten.clone());
        registry.register("keys", "Small values kept, removed ones that are still remembered among them", metrics.keys.clone());
        registry.register("watches", "Watches of the cluster served by this member now", metrics.watches.clone());
        registry.register("leader", "1 if this member leads the group, else 0", metrics.leader.clone());
        registry.register("term", "The Raft term that this member is in", metrics.term.clone());
        registry.register("applied_index", "Index of the last log entry applied by this member", metrics.applied_index.clone());
        registry.register("cluster_version", "Version of the cluster's state at this member", metrics.cluster_version.clone());
        registry.register("leases", "Leases kept by this member; 0 unless it leads", metrics.leases.clone());
        metrics
    }

    pub(crate) fn request(&self, operation: Operation, outcome: Outcome) {
        self.requests.get_or_create(&RequestLabels { operation, outcome }).inc();
    }
}
