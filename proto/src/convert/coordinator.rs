//! Instances and snapshots of the cluster.

use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};

use crate::convert::InvalidMessage;
use crate::coordinator as wire;

/// The longest address, in bytes: a DNS name, a colon and a port.
pub const MAX_ADDRESS_BYTES: usize = 260;
/// The longest name of a zone, in bytes.
pub const MAX_ZONE_BYTES: usize = 128;
/// More instances than any cluster has; what is beyond is refused before it is converted.
pub const MAX_INSTANCES: usize = 20_000;

/// The role of this name.
pub fn role_from_wire(name: &str) -> Result<Role, InvalidMessage> {
    Role::from_name(name).ok_or_else(|| InvalidMessage::new(format!("{name:?} is not a role")))
}

/// The state of this name.
pub fn state_from_wire(name: &str) -> Result<InstanceState, InvalidMessage> {
    InstanceState::from_name(name).ok_or_else(|| InvalidMessage::new(format!("{name:?} is not a state of an instance")))
}

/// The checked id.
pub fn id_from_wire(id: &str) -> Result<InstanceId, InvalidMessage> {
    InstanceId::new(id).map_err(|e| InvalidMessage::new(e.to_string()))
}

/// The address, if it can be one: not empty, not longer than [`MAX_ADDRESS_BYTES`], printable.
pub fn address_from_wire(address: String) -> Result<String, InvalidMessage> {
    printable(address, "address", MAX_ADDRESS_BYTES)
}

/// The zone, if it can be one: not empty, not longer than [`MAX_ZONE_BYTES`], printable.
pub fn zone_from_wire(zone: String) -> Result<String, InvalidMessage> {
    printable(zone, "zone", MAX_ZONE_BYTES)
}

fn printable(text: String, what: &str, limit: usize) -> Result<String, InvalidMessage> {
    if text.is_empty() || text.len() > limit || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(InvalidMessage::new(format!("the {what} of an instance is 1 to {limit} printable ASCII characters without spaces")));
    }
    Ok(text)
}

/// Of an instance.
#[must_use]
pub fn instance_to_wire(instance: &Instance) -> wire::Instance {
    wire::Instance {
        id: instance.id.as_str().to_owned(),
        role: instance.role.as_str().to_owned(),
        address: instance.address.clone(),
        zone: instance.zone.clone(),
        state: instance.state.as_str().to_owned(),
        epoch: instance.epoch,
        registered_at_ms: instance.registered_at_ms,
        moved_at_ms: instance.moved_at_ms,
        emptied_at_ms: instance.emptied_at_ms,
    }
}

/// To an instance.
pub fn instance_from_wire(message: wire::Instance) -> Result<Instance, InvalidMessage> {
    Ok(Instance {
        id: id_from_wire(&message.id)?,
        role: role_from_wire(&message.role)?,
        address: address_from_wire(message.address)?,
        zone: zone_from_wire(message.zone)?,
        state: state_from_wire(&message.state)?,
        epoch: message.epoch,
        registered_at_ms: message.registered_at_ms,
        moved_at_ms: message.moved_at_ms,
        emptied_at_ms: message.emptied_at_ms,
    })
}

/// Of a snapshot.
#[must_use]
pub fn snapshot_to_wire(snapshot: &ClusterSnapshot) -> wire::WatchResponse {
    wire::WatchResponse {
        cluster_id: snapshot.cluster_id.clone(),
        version: snapshot.version,
        instances: snapshot.instances.iter().map(instance_to_wire).collect(),
    }
}

/// To a snapshot.
pub fn snapshot_from_wire(message: wire::WatchResponse) -> Result<ClusterSnapshot, InvalidMessage> {
    if message.instances.len() > MAX_INSTANCES {
        return Err(InvalidMessage::new(format!("{} instances, more than {MAX_INSTANCES}", message.instances.len())));
    }
    let instances = message.instances.into_iter().map(instance_from_wire).collect::<Result<_, _>>()?;
    Ok(ClusterSnapshot { cluster_id: message.cluster_id, version: message.version, instances })
}

#[cfg(test)]
mod tests {
    use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};

    use super::{instance_from_wire, snapshot_from_wire, snapshot_to_wire};

    fn snapshot() -> ClusterSnapshot {
        let states = [InstanceState::Joining, InstanceState::Active, InstanceState::Leaving, InstanceState::Unhealthy];
        let instances = states.into_iter().zip(1u64..).map(|(state, epoch)| Instance {
            id: InstanceId::new(&format!("ingester-{epoch}")).unwrap(),
            role: Role::Ingester,
            address: "127.0.0.1:9095".to_owned(),
            zone: "zone-a".to_owned(),
            state,
            epoch,
            registered_at_ms: 1_700_000_000_000,
            moved_at_ms: 1_600_000_000_000,
            emptied_at_ms: 1_500_000_000_000,
        });
        ClusterSnapshot { cluster_id: "c".to_owned(), version: 9, instances: instances.collect() }
    }

    #[test]
    fn snapshots_survive_the_wire() {
        assert_eq!(snapshot_from_wire(snapshot_to_wire(&snapshot())), Ok(snapshot()));
    }

    #[test]
    fn what_is_not_an_instance_is_refused() {
        let good = || snapshot_to_wire(&snapshot()).instances.remove(0);
        assert!(instance_from_wire(good()).is_ok());
        for spoil in [
            (|i| i.id = "a b".to_owned()) as fn(&mut crate::coordinator::Instance),
            |i| i.role = "king".to_owned(),
            |i| i.state = "active".to_owned(),
            |i| i.address = String::new(),
            |i| i.address = "x".repeat(300),
            |i| i.zone = "a zone".to_owned(),
        ] {
            let mut bad = good();
            spoil(&mut bad);
            assert!(instance_from_wire(bad.clone()).is_err(), "{bad:?}");
        }
    }
}
