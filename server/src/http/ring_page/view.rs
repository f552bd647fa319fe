//! The cluster as `/ring` shows it.

use std::collections::HashMap;
use std::time::Duration;

use ring::{ClusterSnapshot, Instance, InstanceId, Ring, Role};
use rpc::InstanceInfo;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct RingView {
    pub(super) cluster_id: String,
    pub(super) version: u64,
    pub(super) replication_factor: usize,
    /// Seconds since the coordinator was lost; 0 while it is being followed.
    pub(super) snapshot_age_seconds: f64,
    /// Why leases and versions are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coordinator_error: Option<String>,
    pub(super) instances: Vec<InstanceView>,
}

#[derive(Debug, Serialize)]
pub(super) struct InstanceView {
    #[serde(flatten)]
    pub(super) instance: Instance,
    /// Share of all replicas of all series that this ingester holds, 0 to 1; absent for other roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ownership: Option<f64>,
    /// Since the leader last heard of it; absent if its lease has run out, or the leader cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) heartbeat_age_seconds: Option<f64>,
    /// Version of its program, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) program_version: Option<String>,
    /// Whether it is READ_ONLY because a person said so.
    pub(super) ordered_read_only: bool,
}

pub(super) fn view(
    snapshot: &ClusterSnapshot,
    age: Duration,
    known: Result<Vec<InstanceInfo>, String>,
    replication_factor: usize,
) -> RingView {
    let ring = Ring::of_role(snapshot, Role::Ingester, replication_factor);
    let shares: HashMap<&InstanceId, f64> = ring.instances().iter().map(|i| &i.id).zip(ring.ownership().iter().copied()).collect();
    let (known, error) = match known {
        Ok(known) => (known, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let infos: HashMap<(Role, &InstanceId, u64), &InstanceInfo> =
        known.iter().map(|info| ((info.role, &info.id, info.epoch), info)).collect();
    let instance = |instance: &Instance| {
        let info = infos.get(&(instance.role, &instance.id, instance.epoch));
        InstanceView {
            ownership: shares.get(&instance.id).copied().filter(|_| instance.role == Role::Ingester),
            heartbeat_age_seconds: info.and_then(|info| info.silence_ms).map(|ms| ms as f64 / 1_000.0),
            program_version: info.map(|info| info.version.clone()).filter(|version| !version.is_empty()),
            ordered_read_only: info.is_some_and(|info| info.read_only),
            instance: instance.clone(),
        }
    };
    RingView {
        cluster_id: snapshot.cluster_id.clone(),
        version: snapshot.version,
        replication_factor,
        snapshot_age_seconds: age.as_secs_f64(),
        coordinator_error: error,
        instances: snapshot.instances.iter().map(instance).collect(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};
    use rpc::InstanceInfo;

    use super::{RingView, view};

    pub(in super::super) fn example(known: bool) -> RingView {
        let instance = |id: &str, role, state| Instance {
            id: InstanceId::new(id).unwrap(),
            role,
            address: "127.0.0.1:9095".to_owned(),
            zone: "<a>".to_owned(),
            state,
            epoch: 7,
            registered_at_ms: 0,
            moved_at_ms: 0,
            emptied_at_ms: 0,
        };
        let instances = vec![
            instance("i-0", Role::Ingester, InstanceState::Active),
            instance("i-1", Role::Ingester, InstanceState::Unhealthy),
            instance("i-0", Role::Querier, InstanceState::Active),
        ];
        let info = |i: &Instance| InstanceInfo {
            role: i.role,
            id: i.id.clone(),
            epoch: 7,
            silence_ms: (i.state == InstanceState::Active).then_some(1_500),
            version: "1.2.3".to_owned(),
            read_only: false,
        };
        let infos = instances.iter().map(info).collect();
        let snapshot = ClusterSnapshot { cluster_id: "c".to_owned(), version: 9, instances };
        view(&snapshot, Duration::from_secs(90), if known { Ok(infos) } else { Err("no quorum".to_owned()) }, 1)
    }

    #[test]
    fn what_the_leader_knows_is_there_if_it_answers() {
        let view = example(true);
        assert_eq!(view.instances[0].heartbeat_age_seconds, Some(1.5));
        assert_eq!(view.instances[1].heartbeat_age_seconds, None);
        assert_eq!(view.instances[2].program_version.as_deref(), Some("1.2.3"));
        assert_eq!(view.instances.iter().filter_map(|i| i.ownership).count(), 2);
        let view = example(false);
        assert_eq!(view.coordinator_error.as_deref(), Some("no quorum"));
        assert_eq!((view.instances.len(), view.instances[0].heartbeat_age_seconds), (3, None));
    }
}
