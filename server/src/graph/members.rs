//! This process's places in the cluster.

use std::sync::Arc;
use std::time::Duration;

use rpc::Registration;
use tokio::sync::watch;

use super::{Built, InstanceState, Membership, Parts, Role};
use crate::target::Target;

/// One membership per role.
pub(super) struct Members {
    ingester: Option<Arc<Membership>>,
    others: Vec<Membership>,
}

impl Members {
    /// Registers every role. An ingester's state follows its life; the others are active at once.
    pub(super) fn register(parts: &Parts, built: &Built) -> anyhow::Result<Self> {
        let join = |role: Role, state: InstanceState| {
            let registration = Registration {
                id: parts.identity.id.clone(),
                role,
                address: parts.identity.advertise.clone(),
                zone: parts.config.zone.clone(),
                state,
                empty: role == Role::Ingester && built.ingester.as_ref().is_some_and(ingester::Ingester::began_empty),
            };
            Membership::start(Arc::clone(&built.client), registration, Arc::clone(&parts.clock), &parts.tasks, parts.last.clone())
        };
        let mut others = Vec::new();
        for target in parts.config.target.iter() {
            let role = match target {
                Target::Coordinator => Role::Coordinator,
                Target::Distributor => Role::Distributor,
                Target::Querier => Role::Querier,
                Target::Ruler => Role::Ruler,
                Target::Compactor => Role::Compactor,
                Target::Ingester => continue,
            };
            others.push(join(role, InstanceState::Active));
        }
        let ingester = built.ingester.as_ref().map(|ingester| {
            let membership = Arc::new(join(Role::Ingester, ingester.state()));
            parts.tasks.spawn("ingester state", follow(Arc::clone(&membership), ingester.watch_state()));
            membership
        });
        Ok(Self { ingester, others })
    }

    /// Tells the coordinator, waiting at most `within`.
    pub(super) async fn set_ingester_state(&self, state: InstanceState, within: Duration) {
        if let Some(ingester) = &self.ingester
            && let Err(error) = ingester.set_state(state, within).await
        {
            tracing::warn!(%error, state = state.as_str(), "the coordinator was not told");
        }
    }

    /// Leaves for good where nothing stays behind. An ingester keeps its place: its data is on its disk, and it comes back; unless it is `gone`.
    pub(super) async fn leave(self, gone: bool, within: Duration) {
        let ingester = self.ingester.filter(|_| gone);
        let goodbyes = self.others.iter().chain(ingester.as_deref()).map(|member| member.leave(within));
        for result in futures::future::join_all(goodbyes).await {
            if let Err(error) = result {
                tracing::debug!(%error, "left without goodbye");
            }
        }
    }
}

/// Tells the coordinator what the ingester says of itself; until it stops, which is said in order, by the drain.
async fn follow(membership: Arc<Membership>, mut states: watch::Receiver<InstanceState>) {
    loop {
        let state = *states.borrow_and_update();
        if state == InstanceState::Leaving {
            return;
        }
        tokio::select! {
            // Ends only with the membership.
            told = membership.set_state(state, Duration::MAX) => if told.is_err() { return },
            _ = states.changed() => continue,
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}
