//! Who this process is in the cluster.

use std::net::SocketAddr;

use anyhow::Context;

use super::InstanceId;
use crate::config::Config;

/// The name of this process: `instance_id`, or else the host's name.
#[must_use]
pub fn instance_name(config: &Config) -> String {
    match config.instance_id.as_str() {
        "" => host_name(),
        given => given.to_owned(),
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Name and address.
pub(super) struct Identity {
    pub(super) id: InstanceId,
    /// `host:port` of the gRPC listener as others reach it.
    pub(super) advertise: String,
}

impl Identity {
    pub(super) fn resolve(config: &Config, grpc: SocketAddr) -> anyhow::Result<Self> {
        let name = instance_name(config);
        let id = InstanceId::new(&name).with_context(|| format!("instance_id {name:?}"))?;
        let advertise = match config.advertise.as_str() {
            // Nobody reaches 0.0.0.0: a listener on all addresses is known by the host's name.
            "" if grpc.ip().is_unspecified() => format!("{}:{}", host_name(), grpc.port()),
            "" => grpc.to_string(),
            given => given.to_owned(),
        };
        Ok(Self { id, advertise })
    }
}
