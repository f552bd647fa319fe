//! All rulers of the cluster, asked as one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use model::TenantId;
use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};
use rpc::{CallContext, RpcError, RulerPool, RulesGroup, RulesRequest};
use runtime::clock::SharedClock;
use runtime::{Deadline, Tasks};
use tokio::sync::watch;

/// How long rulers may take to say what they have. They only look into their memory.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The other rulers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) me: InstanceId,
    pub(crate) snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
    pub(crate) pool: Arc<dyn RulerPool>,
    pub(crate) clock: SharedClock,
    pub(crate) tasks: Tasks,
}

impl Cluster {
    pub(crate) fn context(&self, tenant: &TenantId) -> CallContext {
        CallContext { tenant: tenant.clone(), deadline: Deadline::after(&*self.clock, ANSWER_WITHIN) }
    }

    fn others(&self) -> Vec<Instance> {
        let snapshot = self.snapshot.borrow();
        let active = snapshot.of_role(Role::Ruler).filter(|ruler| ruler.state == InstanceState::Active);
        active.filter(|ruler| ruler.id != self.me).cloned().collect()
    }

    /// The groups that the others have. One that does not answer is an error: without its groups the answer would look complete and not be.
    pub(crate) async fn ask_others(&self, ctx: &CallContext, request: &RulesRequest) -> Result<Vec<Vec<RulesGroup>>, RpcError> {
        let others = self.others();
        try_join_all(others.iter().map(|ruler| {
            let client = self.pool.client(ruler);
            async move { client.rules(ctx, request.clone()).await }
        }))
        .await
    }

    /// Tells the others that stored groups have changed. Who cannot be told finds out by itself.
    pub(crate) fn tell_others(&self, tenant: &TenantId) {
        for ruler in self.others() {
            let (client, ctx) = (self.pool.client(&ruler), self.context(tenant));
            self.tasks.spawn("tell ruler", async move {
                if let Err(error) = client.sync(&ctx).await {
                    tracing::warn!(ruler = %ruler.id, %error, "a ruler was not told of changed rules; it finds out at its next look");
                }
            });
        }
    }
}

/// The groups of all answers, ordered by file and name. Of one that changes hands and is in two answers, the one that was evaluated later.
pub(crate) fn merge(answers: impl IntoIterator<Item = Vec<RulesGroup>>) -> Vec<RulesGroup> {
    let mut merged: BTreeMap<(String, String), RulesGroup> = BTreeMap::new();
    for group in answers.into_iter().flatten() {
        let key = (group.file.clone(), group.name.clone());
        match merged.get(&key) {
            Some(known) if known.evaluated_at_ms >= group.evaluated_at_ms => {}
            _ => drop(merged.insert(key, group)),
        }
    }
    merged.into_values().collect()
}

#[cfg(test)]
mod tests {
    use rpc::RulesGroup;

    use super::merge;

    fn group(file: &str, name: &str, evaluated_at_ms: i64) -> RulesGroup {
        RulesGroup { file: file.to_owned(), name: name.to_owned(), evaluated_at_ms, json: "{}".into() }
    }

    #[test]
    fn each_group_is_there_once() {
        let merged = merge([vec![group("a", "x", 5), group("b", "y", 0)], vec![group("a", "w", 1), group("a", "x", 7)]]);
        assert_eq!(merged, [group("a", "w", 1), group("a", "x", 7), group("b", "y", 0)]);
    }
}
