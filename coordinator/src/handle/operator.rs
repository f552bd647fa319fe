//! What people ask about instances.

use async_trait::async_trait;
use ring::{InstanceId, Role};
use rpc::{CoordinatorOperator, InstanceInfo, RpcError};

use super::{Handle, refusal};
use crate::error::Error;
use crate::machine::{Command, MemberKey, Reply};
use crate::metrics::Operation;

impl Handle {
    /// What this member knows of every instance beside the snapshot. Leader only.
    pub fn instances(&self) -> Result<Vec<InstanceInfo>, Error> {
        self.check_leading()?;
        let now = self.inner.clock.monotonic();
        // Lock order: state before leases.
        let state = self.inner.shared.state.read();
        let leases = self.inner.leases.lock();
        let info = |(member, record): (&MemberKey, &crate::machine::Record)| InstanceInfo {
            role: member.0,
            id: member.1.clone(),
            epoch: record.instance.epoch,
            silence_ms: leases.silence(member, record.instance.epoch, now).map(|s| u64::try_from(s.as_millis()).unwrap_or(u64::MAX)),
            version: record.version.clone(),
            read_only: record.read_only,
        };
        Ok(state.records().map(info).collect())
    }

    /// Forgets an instance, in whichever epoch it is; without `force` only one whose lease has run out, and only if nothing is lost by it. Leader only.
    pub async fn forget(&self, role: Role, id: &InstanceId, force: bool) -> Result<(), Error> {
        let member = (role, id.clone());
        let result = self.try_forget(member, force).await;
        self.count(Operation::Forget, &result);
        result
    }

    async fn try_forget(&self, member: MemberKey, force: bool) -> Result<(), Error> {
        self.check_leading()?;
        let epoch = self.current_epoch(&member)?;
        self.forget_epoch(member, epoch, force).await
    }

    /// Forgets an instance of this epoch.
    pub(crate) async fn forget_epoch(&self, member: MemberKey, epoch: u64, force: bool) -> Result<(), Error> {
        let replication_factor = self.inner.replication_factor;
        match self.propose(Command::Forget { member: member.clone(), epoch, replication_factor, force }).await? {
            Reply::Done => {
                tracing::info!(role = %member.0, id = %member.1, epoch, force, "instance forgotten");
                Ok(())
            }
            Reply::NotSafe { problem } => Err(Error::Refused(format!("{} {} is not forgotten: {problem}", member.0, member.1))),
            other => Err(refusal(&member, epoch, &other)),
        }
    }

    /// Makes an instance READ_ONLY, or takes that back. Leader only.
    pub async fn order(&self, role: Role, id: &InstanceId, read_only: bool) -> Result<(), Error> {
        let member = (role, id.clone());
        let result = async {
            self.check_leading()?;
            if role != Role::Ingester {
                return Err(Error::Invalid(format!("a {role} takes no writes that it would hold: only ingesters are READ_ONLY")));
            }
            let epoch = self.current_epoch(&member)?;
            self.done(Command::Order { member: member.clone(), epoch, read_only }, &member, epoch).await
        }
        .await;
        self.count(Operation::Order, &result);
        result
    }

    fn current_epoch(&self, member: &MemberKey) -> Result<u64, Error> {
        let known = self.inner.shared.state.read().get(member).map(|record| record.instance.epoch);
        known.ok_or_else(|| Error::Invalid(format!("{} {} is not registered", member.0, member.1)))
    }
}

/// Answers by itself if this member leads, and asks the leader if it does not.
#[async_trait]
impl CoordinatorOperator for Handle {
    async fn instances(&self) -> Result<Vec<InstanceInfo>, RpcError> {
        match Self::instances(self) {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).instances().await,
            result => Ok(result?),
        }
    }

    async fn forget(&self, role: Role, id: &InstanceId, force: bool) -> Result<(), RpcError> {
        match Self::forget(self, role, id, force).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).forget(role, id, force).await,
            result => Ok(result?),
        }
    }

    async fn order(&self, role: Role, id: &InstanceId, read_only: bool) -> Result<(), RpcError> {
        match Self::order(self, role, id, read_only).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).order(role, id, read_only).await,
            result => Ok(result?),
        }
    }

    async fn add_member(&self, address: &str) -> Result<(), RpcError> {
        match Self::add_member(self, address).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).add_member(address).await,
            result => Ok(result?),
        }
    }

    async fn remove_member(&self, address: &str, force: bool) -> Result<(), RpcError> {
        match Self::remove_member(self, address, force).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).remove_member(address, force).await,
            result => Ok(result?),
        }
    }

    async fn transfer(&self, address: &str) -> Result<(), RpcError> {
        match Self::transfer(self, address).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).transfer(address).await,
            result => Ok(result?),
        }
    }
}
