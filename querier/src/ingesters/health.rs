//! What earlier queries say about ingesters.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use ring::{InstanceId, InstanceIndex, Ring};
use rpc::PeerHealth;

/// One entry per ingester that ever failed, and process of it. Clones share them.
#[derive(Clone)]
pub(super) struct Health {
    /// Held for a look or a note only. By id and epoch: a restarted ingester begins anew.
    peers: Arc<Mutex<HashMap<(InstanceId, u64), PeerHealth>>>,
    suspended: Gauge,
}

impl Health {
    /// `suspended` shows how many are not trusted.
    pub(super) fn new(suspended: Gauge) -> Self {
        Self { peers: Arc::default(), suspended }
    }

    /// Whether to ask it. Once in a while also one that did not answer lately.
    pub(super) fn is_trusted(&self, ring: &Ring, index: InstanceIndex, now: Duration) -> bool {
        let mut peers = self.peers.lock();
        // Nearly always nobody has failed.
        if peers.is_empty() {
            return true;
        }
        let key = ring.instances().get(index as usize).map(|instance| (instance.id.clone(), instance.epoch));
        key.and_then(|key| peers.get_mut(&key)).is_none_or(|peer| peer.is_trusted(now))
    }

    /// Notes an answer, or that none came in time.
    pub(super) fn note(&self, ring: &Ring, index: InstanceIndex, silence: bool, now: Duration) {
        let mut peers = self.peers.lock();
        if peers.is_empty() && !silence {
            return;
        }
        let Some(instance) = ring.instances().get(index as usize) else { return };
        let key = (instance.id.clone(), instance.epoch);
        match silence {
            false => drop(peers.remove(&key)),
            true => {
                let peer = peers.entry(key).or_default();
                let before = peer.is_suspended();
                peer.failed(now);
                if !before && peer.is_suspended() {
                    tracing::warn!(ingester = %instance.id, "ingester does not answer queries: not asked where others are enough");
                }
            }
        }
        self.show(&peers);
    }

    /// Forgets who is gone.
    pub(super) fn keep_those_of(&self, ring: &Ring) {
        let mut peers = self.peers.lock();
        peers.retain(|(id, epoch), _| ring.instances().iter().any(|instance| instance.id == *id && instance.epoch == *epoch));
        self.show(&peers);
    }

    fn show(&self, peers: &HashMap<(InstanceId, u64), PeerHealth>) {
        let suspended = peers.values().filter(|peer| peer.is_suspended()).count();
        self.suspended.set(i64::try_from(suspended).unwrap_or(i64::MAX));
    }
}
