//! Following the cluster: the last snapshot, whatever happens to the coordinator.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use ring::ClusterSnapshot;
use runtime::clock::SharedClock;
use runtime::{Shutdown, Tasks};
use tokio::sync::watch;

use crate::coordinator::CoordinatorClient;
use crate::metadata::ClusterIdentity;

/// The pause after the first failed attempt to watch; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The cluster as this process last saw it. Cheap to clone; ends with the shutdown.
#[derive(Clone)]
pub struct ClusterWatch {
    snapshots: watch::Receiver<Arc<ClusterSnapshot>>,
    contact: Arc<Mutex<Contact>>,
    clock: SharedClock,
}

#[derive(Debug, Clone, Copy)]
enum Contact {
    Connected,
    LostAt(Duration),
}

impl ClusterWatch {
    /// Starts to follow. Until the first snapshot arrives the cluster is an empty one of version 0. The first snapshot decides
    /// which cluster this process belongs to (`identity`); those of any other are refused from then on.
    #[must_use]
    pub fn start(
        client: Arc<dyn CoordinatorClient>,
        identity: ClusterIdentity,
        clock: SharedClock,
        tasks: &Tasks,
        mut shutdown: Shutdown,
    ) -> Self {
        let (sender, snapshots) = watch::channel(Arc::default());
        let contact = Arc::new(Mutex::new(Contact::LostAt(clock.monotonic())));
        let follower = Follower { client, identity, clock: Arc::clone(&clock), sender, contact: Arc::clone(&contact) };
        tasks.spawn("cluster watch", async move {
            tokio::select! {
                () = follower.run() => {}
                () = shutdown.requested() => {}
            }
        });
        Self { snapshots, contact, clock }
    }

    /// Follows the snapshots; versions only grow.
    #[must_use]
    pub fn receiver(&self) -> watch::Receiver<Arc<ClusterSnapshot>> {
        self.snapshots.clone()
    }

    /// The last snapshot.
    #[must_use]
    pub fn current(&self) -> Arc<ClusterSnapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// How long ago the coordinator was lost; zero while it is being followed. A snapshot of that age may be out of date, and is used.
    #[must_use]
    pub fn age(&self) -> Duration {
        match *self.contact.lock() {
            Contact::Connected => Duration::ZERO,
            Contact::LostAt(at) => self.clock.monotonic().saturating_sub(at),
        }
    }
}

impl std::fmt::Debug for ClusterWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterWatch").field("version", &self.current().version).field("age", &self.age()).finish()
    }
}

struct Follower {
    client: Arc<dyn CoordinatorClient>,
    identity: ClusterIdentity,
    clock: SharedClock,
    sender: watch::Sender<Arc<ClusterSnapshot>>,
    contact: Arc<Mutex<Contact>>,
}

impl Follower {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let snapshots_seen = self.follow().await;
            if snapshots_seen {
                *self.contact.lock() = Contact::LostAt(self.clock.monotonic());
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Follows one stream to its end; whether anything came.
    async fn follow(&self) -> bool {
        let mut stream = match self.client.watch().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "the coordinator cannot be watched, going on with the last snapshot");
                return false;
            }
        };
        let mut seen = false;
        while let Some(next) = stream.next().await {
            match next {
                Ok(snapshot) if !self.identity.learn(&snapshot.cluster_id) => {
                    tracing::error!(theirs = snapshot.cluster_id, ours = self.identity.get(), "refused a snapshot of another cluster");
                    return seen;
                }
                Ok(snapshot) => {
                    seen = true;
                    *self.contact.lock() = Contact::Connected;
                    self.publish(snapshot);
                }
                Err(error) => {
                    tracing::warn!(%error, "lost the coordinator, going on with the last snapshot");
                    return seen;
                }
            }
        }
        seen
    }

    /// A member that lags behind the one followed before may send older snapshots first.
    fn publish(&self, snapshot: ClusterSnapshot) {
        self.sender.send_if_modified(|current| {
            let newer = snapshot.version > current.version;
            if newer {
                *current = Arc::new(snapshot);
            }
            newer
        });
    }
}

#[cfg(test)]
mod tests;
