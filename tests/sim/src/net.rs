//! Messages: they take time, are lost, come twice, and do not pass where a link is cut, in one direction or both.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{InstallSnapshotError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode};
use parking_lot::Mutex;

use crate::chance;
use crate::member::Running;
use crate::types::{Raft, Types};

/// As the coordinator's network waits.
const BACKOFF: Duration = Duration::from_millis(250);

type Failure<E = openraft::error::Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

/// Everybody's network. Places are members by their numbers, and others by numbers above all of these.
#[derive(Default)]
pub(crate) struct Net(Mutex<Links>);

#[derive(Default)]
struct Links {
    /// From where to where nothing passes.
    cut: BTreeSet<(u64, u64)>,
    /// Whether messages are lost now and then.
    lossy: bool,
    processes: BTreeMap<u64, Arc<Running>>,
}

impl Net {
    pub(crate) fn cut(&self, from: u64, to: u64) {
        self.0.lock().cut.insert((from, to));
    }

    pub(crate) fn heal(&self) {
        self.0.lock().cut.clear();
    }

    pub(crate) fn set_lossy(&self, lossy: bool) {
        self.0.lock().lossy = lossy;
    }

    /// A process listens at its place.
    pub(crate) fn listen(&self, process: Arc<Running>) {
        self.0.lock().processes.insert(process.id, process);
    }

    /// Nobody listens there any more.
    pub(crate) fn close(&self, place: u64) -> Option<Arc<Running>> {
        self.0.lock().processes.remove(&place)
    }

    /// Who listens there.
    pub(crate) fn process(&self, place: u64) -> Option<Arc<Running>> {
        self.0.lock().processes.get(&place).cloned()
    }

    /// Returns when a message has arrived; never if it is lost.
    pub(crate) async fn travel(&self, from: u64, to: u64) {
        let passes = |links: &Links| !links.cut.contains(&(from, to));
        let lost = {
            let links = self.0.lock();
            !passes(&links) || (links.lossy && chance::one_in(30))
        };
        let slow = if chance::one_in(40) { 2_000 } else { 20 };
        tokio::time::sleep(chance::ms(1, slow)).await;
        if lost || !passes(&self.0.lock()) {
            std::future::pending::<()>().await;
        }
    }

    /// The same for a client that waits so long and then gives up.
    pub(crate) async fn travel_or_give_up(&self, from: u64, to: u64, within: Duration) -> Option<()> {
        tokio::time::timeout(within, self.travel(from, to)).await.ok()
    }
}

/// Makes connections for a member.
pub(crate) struct Network {
    pub(crate) member: u64,
    pub(crate) net: Arc<Net>,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _: &BasicNode) -> Peer {
        Peer { from: self.member, to: target, net: Arc::clone(&self.net) }
    }
}

/// The connection to a member.
pub(crate) struct Peer {
    from: u64,
    to: u64,
    net: Arc<Net>,
}

impl Peer {
    async fn call<Q, A, E, F>(
        &self,
        message: Q,
        option: &RPCOption,
        deliver: impl Fn(Raft, Q) -> F + Send + Sync + 'static,
    ) -> Result<A, Failure<E>>
    where
        Q: Clone + Send + Sync + 'static,
        A: Send + 'static,
        E: std::error::Error + Send + 'static,
        F: Future<Output = Result<A, RaftError<u64, E>>> + Send,
    {
        let unreachable = |why: &str| RPCError::Unreachable(Unreachable::new(&AnyError::error(why)));
        let (from, to, net) = (self.from, self.to, Arc::clone(&self.net));
        // On its way it goes on, also when nobody waits for the answer any more.
        let exchange = tokio::spawn(async move {
            net.travel(from, to).await;
            let target = net.process(to)?;
            let answer = deliver(target.raft.clone(), message.clone()).await;
            if chance::one_in(50) {
                net.travel(from, to).await;
                // It came a second time; what is said to that, nobody hears.
                drop(deliver(target.raft.clone(), message).await);
            }
            net.travel(to, from).await;
            Some(answer)
        });
        match tokio::time::timeout(option.hard_ttl(), exchange).await {
            Err(_) => Err(unreachable("no answer in time")),
            Ok(Ok(Some(answer))) => answer.map_err(|error| RPCError::RemoteError(RemoteError::new(to, error))),
            Ok(_) => Err(unreachable("nobody listens")),
        }
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        message: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failure> {
        self.call(message, &option, |raft, message| async move { raft.append_entries(message).await }).await
    }

    async fn install_snapshot(
        &mut self,
        message: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failure<InstallSnapshotError>> {
        self.call(message, &option, |raft, message| async move { raft.install_snapshot(message).await }).await
    }

    async fn vote(&mut self, message: VoteRequest<u64>, option: RPCOption) -> Result<VoteResponse<u64>, Failure> {
        self.call(message, &option, |raft, message| async move { raft.vote(message).await }).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}
