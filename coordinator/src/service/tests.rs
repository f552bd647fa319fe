#![allow(clippy::disallowed_methods, reason = "real time and real connections are what is tested")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use prometheus_client::registry::Registry;
use ring::{ClusterSnapshot, InstanceId, InstanceState, Role};
use rpc::{Channels, ClusterIdentity, ClusterWatch, CoordinatorClient, GrpcCoordinatorClient, Membership, Registration, RpcErrorKind};
use runtime::{ShutdownTrigger, SystemClock, Tasks};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use super::{Coordinator, Deps};
use crate::config::Config;
use crate::handle::Handle;

const SOON: Duration = Duration::from_secs(10);

/// A member with its gRPC server.
struct Node {
    coordinator: Coordinator,
    server: tokio::task::JoinHandle<()>,
    trigger: ShutdownTrigger,
    tasks: Tasks,
}

impl Node {
    async fn start(dir: &TempDir, listener: TcpListener, members: Vec<String>) -> Self {
        let (trigger, mut shutdown) = ShutdownTrigger::new();
        let tasks = Tasks::new();
        let clock = SystemClock::shared();
        let address = listener.local_addr().unwrap().to_string();
        let deps = Deps {
            data_dir: dir.path().to_owned(),
            entropy: u128::from(listener.local_addr().unwrap().port()),
            address,
            members,
            replication_factor: 3,
            channels: Channels::new(Arc::clone(&clock)),
            clock,
            tasks: tasks.clone(),
            cluster: ClusterIdentity::new(),
            shutdown: shutdown.clone(),
        };
        let config = Config { lease_ttl_seconds: 1, ..Config::default() };
        let coordinator = Coordinator::start(&config, deps, &mut Registry::default()).await.unwrap();
        let (door, raft, operator) = coordinator.grpc();
        let serve = tonic::transport::Server::builder()
            .add_service(door)
            .add_service(raft)
            .add_service(operator)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move { shutdown.requested().await });
        let server = tokio::spawn(async move { serve.await.unwrap() });
        Self { coordinator, server, trigger, tasks }
    }

    fn handle(&self) -> Handle {
        self.coordinator.handle()
    }

    async fn stop(self) {
        self.trigger.fire();
        self.coordinator.stop().await.unwrap();
        self.server.await.unwrap();
        self.tasks.drain(SOON).await.unwrap();
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn listen_again(address: &str) -> TcpListener {
    eventually("the port is free again", async || TcpListener::bind(address).await.ok()).await
}

async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(started.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn ingester(name: &str) -> Registration {
    Registration {
        id: InstanceId::new(name).unwrap(),
        role: Role::Ingester,
        address: "127.0.0.1:9095".to_owned(),
        zone: "a".to_owned(),
        state: InstanceState::Active,
        empty: false,
    }
}

fn state_of(snapshot: &ClusterSnapshot, name: &str) -> Option<InstanceState> {
    snapshot.instances.iter().find(|instance| instance.id.as_str() == name).map(|instance| instance.state)
}

fn client(addresses: &[String]) -> GrpcCoordinatorClient {
    let clock = SystemClock::shared();
    GrpcCoordinatorClient::new(addresses.to_vec(), Channels::new(Arc::clone(&clock)), clock, ClusterIdentity::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_one_keeps_its_state_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(&dir, listen().await, Vec::new()).await;
    let first = node.handle().register(ingester("i-0")).await.unwrap();
    let before = node.handle().snapshot();
    assert!(node.handle().status().leader.is_some());
    node.stop().await;

    // Under another address, as a process whose port was picked for it.
    let node = Node::start(&dir, listen().await, Vec::new()).await;
    assert_eq!(node.handle().snapshot(), before);
    let again = node.handle().register(ingester("i-0")).await.unwrap();
    assert!(again.epoch > first.epoch);
    let late = node.handle().renew(Role::Ingester, &ingester("i-0").id, first.epoch).await;
    assert!(matches!(late, Err(crate::Error::Fenced(_))), "{late:?}");
    assert_eq!(node.handle().snapshot().cluster_id, before.cluster_id);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc_leases_run_out_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listen().await;
    let address = listener.local_addr().unwrap().to_string();
    let node = Node::start(&dir, listener, Vec::new()).await;
    // The first address is nobody's: the client has to look further.
    let client = client(&["127.0.0.1:9".to_owned(), address]);
    let mut watch = client.watch().await.unwrap();
    let id = ingester("i-0").id;
    let lease = client.register(ingester("i-0")).await.unwrap();
    assert_eq!(lease.ttl, Duration::from_secs(1));
    let mut versions = Vec::new();
    let mut seen = async |wanted: Option<InstanceState>| {
        while let Some(Ok(snapshot)) = tokio::time::timeout(SOON, watch.next()).await.unwrap() {
            versions.push(snapshot.version);
            if state_of(&snapshot, "i-0") == wanted {
                break;
            }
        }
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    };
    seen(Some(InstanceState::Active)).await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.renew(Role::Ingester, &id, lease.epoch).await.unwrap();
    }
    assert_eq!(state_of(&node.handle().snapshot(), "i-0"), Some(InstanceState::Active), "who renews does not expire");
    seen(Some(InstanceState::Unhealthy)).await;
    client.renew(Role::Ingester, &id, lease.epoch).await.unwrap();
    seen(Some(InstanceState::Active)).await;
    client.set_state(Role::Ingester, &id, lease.epoch, InstanceState::Leaving).await.unwrap();
    seen(Some(InstanceState::Leaving)).await;
    let fenced = client.set_state(Role::Ingester, &id, lease.epoch + 1, InstanceState::Active).await.unwrap_err();
    assert_eq!(fenced.kind, RpcErrorKind::Fenced);
    client.deregister(Role::Ingester, &id, lease.epoch).await.unwrap();
    client.deregister(Role::Ingester, &id, lease.epoch).await.unwrap();
    seen(None).await;
    let mut bad = ingester("i-1");
    bad.zone = "no zone\n".to_owned();
    assert_eq!(client.register(bad).await.unwrap_err().kind, RpcErrorKind::InvalidRequest);
    // Open watches do not hold up the stop.
    node.stop().await;
    assert!(tokio::time::timeout(SOON, watch.next()).await.unwrap().is_none_or(|end| end.is_err()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_survive_the_loss_of_their_leader() {
    let members::Group { addresses, dirs, mut nodes } = members::Group::of_three().await;
    let names: Vec<String> = nodes.iter().flatten().map(|node| node.handle().snapshot().cluster_id).collect();
    assert!(names.iter().all(|name| *name == names[0]), "one cluster: {names:?}");

    // Through the in-process client of a member that does not lead, which asks the leader.
    let leader = nodes.iter().flatten().position(|node| node.handle().is_leader()).unwrap();
    let follower = (leader + 1) % 3;
    let local: Arc<dyn CoordinatorClient> = Arc::new(nodes[follower].as_ref().unwrap().handle());
    let lease = local.register(ingester("i-0")).await.unwrap();
    local.renew(Role::Ingester, &ingester("i-0").id, lease.epoch).await.unwrap();

    // A member and a watcher, as roles have them.
    let (trigger, shutdown) = ShutdownTrigger::new();
    let tasks = Tasks::new();
    let remote: Arc<dyn CoordinatorClient> = Arc::new(client(&addresses));
    let clock = SystemClock::shared();
    let member = Membership::start(Arc::clone(&remote), ingester("i-1"), Arc::clone(&clock), &tasks, shutdown.clone());
    let watch = ClusterWatch::start(Arc::clone(&remote), ClusterIdentity::new(), clock, &tasks, shutdown);
    let epoch = member.registered().await.unwrap();
    eventually("the watcher sees the member", async || state_of(&watch.current(), "i-1")).await;

    let stopped = Instant::now();
    nodes[leader].take().unwrap().stop().await;
    let later = remote.register(ingester("i-2")).await.unwrap();
    println!("registered with the next leader {:?} after the stop of the old one began", stopped.elapsed());
    assert!(later.epoch > epoch);
    eventually("the watcher sees what the new leader did", async || state_of(&watch.current(), "i-2")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(state_of(&watch.current(), "i-1"), Some(InstanceState::Active), "who goes on renewing does not expire");
    assert_eq!(member.status().borrow().epoch, Some(epoch), "nor is it fenced");

    // The old leader comes back, and catches up.
    let listener = listen_again(&addresses[leader]).await;
    nodes[leader] = Some(Node::start(&dirs[leader], listener, addresses.clone()).await);
    let back = nodes[leader].as_ref().unwrap().handle();
    eventually("the old leader has caught up", async || state_of(&back.snapshot(), "i-2")).await;

    trigger.fire();
    tasks.drain(SOON).await.unwrap();
    drop((local, back));
    for node in nodes.into_iter().flatten() {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_names_the_leader() {
    let dirs: Vec<TempDir> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let listeners = [listen().await, listen().await, listen().await];
    let addresses: Vec<String> = listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
    let mut nodes = Vec::new();
    // The third is late: two are most of three.
    for (dir, listener) in dirs.iter().zip(listeners).take(2) {
        nodes.push(Node::start(dir, listener, addresses.clone()).await);
    }
    for node in &nodes {
        node.coordinator.wait_until_formed(SOON).await.unwrap();
    }
    let (leader, follower) = if nodes[0].handle().is_leader() { (0, 1) } else { (1, 0) };
    let channel = Channels::new(SystemClock::shared()).get(&addresses[follower]).unwrap();
    let mut wire = proto::coordinator::coordinator_client::CoordinatorClient::new(channel);
    let request = proto::coordinator::RenewRequest { role: "ingester".to_owned(), id: "i-0".to_owned(), epoch: 1 };
    let refused = wire.renew(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(refused.metadata().get("x-plimsoll-leader").unwrap().to_str().unwrap(), addresses[leader]);
    // A client that knows only the follower gets through.
    client(&addresses[follower..=follower]).register(ingester("i-0")).await.unwrap();
    // A message of another cluster is refused by raft's door.
    let channel = Channels::new(SystemClock::shared()).get(&addresses[leader]).unwrap();
    let foreign = proto::coordinator::RaftMessage { cluster_id: "another".to_owned(), payload: Vec::new(), node: 0 };
    let refused = proto::coordinator::raft_client::RaftClient::new(channel).vote(foreign).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    for node in nodes {
        node.stop().await;
    }
}

mod members;
