//! The group's own members come and go.

use rpc::operator_grpc::group_status;
use rpc::{CoordinatorOperator, GroupStatus, KeyStore, Swap, Swapped};

use super::*;

/// Members that may be stopped and started.
pub(super) struct Group {
    pub(super) addresses: Vec<String>,
    pub(super) dirs: Vec<TempDir>,
    pub(super) nodes: Vec<Option<Node>>,
}

impl Group {
    /// Three that have formed a group.
    pub(super) async fn of_three() -> Self {
        let dirs: Vec<TempDir> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let listeners = [listen().await, listen().await, listen().await];
        let addresses: Vec<String> = listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
        let mut nodes: Vec<Option<Node>> = Vec::new();
        for (dir, listener) in dirs.iter().zip(listeners) {
            nodes.push(Some(Node::start(dir, listener, addresses.clone()).await));
        }
        for node in nodes.iter().flatten() {
            node.coordinator.wait_until_formed(SOON).await.unwrap();
        }
        Self { addresses, dirs, nodes }
    }

    fn live(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    async fn leader(&self) -> usize {
        eventually("somebody leads", async || {
            let leads = |node: &Option<Node>| node.as_ref().is_some_and(|node| node.handle().is_leader());
            self.nodes.iter().position(leads)
        })
        .await
    }

    async fn settled(&self) -> (usize, GroupStatus) {
        let leader = self.leader().await;
        let handle = self.nodes[leader].as_ref().unwrap().handle();
        let status = eventually("the leader has met everybody, and they have everything", async || {
            let status = handle.status();
            let all = self.live().all(|node| {
                let theirs = node.handle().status();
                status.met.contains(&theirs.node) && theirs.applied == status.last_log
            });
            let matched = status.members.iter().filter(|m| m.node != status.node).all(|m| m.matched == Some(status.last_log));
            (all && matched).then_some(status)
        })
        .await;
        (leader, status)
    }

    async fn stop(self) {
        for node in self.nodes.into_iter().flatten() {
            node.stop().await;
        }
    }
}

async fn asked(address: &str) -> GroupStatus {
    group_status(address, &Channels::new(SystemClock::shared()), &ClusterIdentity::new(), SOON).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_member_is_replaced_by_one_with_an_empty_disk_elsewhere() {
    let mut group = Group::of_three().await;
    let (leader, before) = group.settled().await;
    let dead = (leader + 1) % 3;
    group.nodes[dead].take().unwrap().stop().await;
    let client = client(&group.addresses);
    let lease = client.register(ingester("i-0")).await.unwrap();

    // It is told of the group, and that it is one of it: it joins rather than forms.
    let listener = listen().await;
    let address = listener.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let members: Vec<String> = group.addresses.iter().cloned().chain([address.clone()]).collect();
    let newcomer = Node::start(&dir, listener, members).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let alone = asked(&address).await;
    assert_eq!((alone.cluster_id.as_str(), alone.members.len()), ("", 0), "nothing of its own");

    client.add_member(&address).await.unwrap();
    client.add_member(&address).await.unwrap();
    client.remove_member(&group.addresses[dead], false).await.unwrap();
    newcomer.coordinator.wait_until_formed(SOON).await.unwrap();
    eventually("the newcomer has everything", async || state_of(&newcomer.handle().snapshot(), "i-0")).await;
    let status = newcomer.handle().status();
    assert_eq!(status.cluster_id, before.cluster_id);
    let mut voters: Vec<String> = status.members.iter().filter(|m| m.voter).map(|m| m.address.clone()).collect();
    let mut expected: Vec<String> = group.addresses.iter().filter(|a| **a != group.addresses[dead]).cloned().collect();
    expected.push(address.clone());
    voters.sort();
    expected.sort();
    assert_eq!(voters, expected);

    // It counts: with another one gone, two of three are a quorum.
    let leader = group.leader().await;
    let other = (0..3).find(|i| *i != leader && *i != dead).unwrap();
    let gone = group.nodes[other].take().unwrap();
    gone.stop().await;
    let again = client.register(ingester("i-0")).await.unwrap();
    assert!(again.epoch > lease.epoch);
    // With that many gone no more can be taken out.
    let refused = client.remove_member(&address, false).await.unwrap_err();
    assert!(refused.message.contains("no quorum"), "{refused}");
    newcomer.stop().await;
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lost_its_store_comes_back_as_somebody_else() {
    let mut group = Group::of_three().await;
    let (leader, before) = group.settled().await;
    let lost = (leader + 1) % 3;
    let address = group.addresses[lost].clone();
    let old = before.members.iter().find(|m| m.address == address).unwrap().node;
    group.nodes[lost].take().unwrap().stop().await;
    group.dirs[lost] = tempfile::tempdir().unwrap();
    group.nodes[lost] = Some(Node::start(&group.dirs[lost], listen_again(&address).await, group.addresses.clone()).await);
    let back = asked(&address).await;
    assert_ne!(back.node, old, "what it had promised is forgotten");
    let client = client(&group.addresses);
    let refused = client.add_member(&address).await.unwrap_err();
    assert!(refused.message.contains("remove it first"), "{refused}");
    client.remove_member(&address, false).await.unwrap();
    client.add_member(&address).await.unwrap();
    let (_, after) = group.settled().await;
    assert_eq!((after.cluster_id, after.members.len()), (before.cluster_id, 3));
    assert!(after.members.iter().all(|member| member.voter));
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_goes_to_who_is_named() {
    let group = Group::of_three().await;
    let client = client(&group.addresses);
    for _ in 0..2 {
        let (leader, status) = group.settled().await;
        let next = (leader + 1) % 3;
        let started = Instant::now();
        client.transfer(&group.addresses[next]).await.unwrap();
        println!("leadership handed over in {:?}", started.elapsed());
        let (now, after) = group.settled().await;
        assert_eq!(now, next);
        assert!(after.term > status.term);
        client.register(ingester("i-0")).await.unwrap();
    }
    let leader = group.leader().await;
    let refused = client.remove_member(&group.addresses[leader], true).await.unwrap_err();
    assert!(refused.message.contains("transfer"), "{refused}");
    assert!(client.transfer("nobody:1").await.is_err());
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_another_cluster_is_refused() {
    let group = Group::of_three().await;
    group.settled().await;
    let dir = tempfile::tempdir().unwrap();
    let listener = listen().await;
    let address = listener.local_addr().unwrap().to_string();
    let other = Node::start(&dir, listener, Vec::new()).await;
    let refused = client(&group.addresses).add_member(&address).await.unwrap_err();
    assert!(refused.message.contains("belongs to cluster"), "{refused}");
    // A client that knows its cluster is refused by the other one, and its registration changes nothing.
    let mine = ClusterIdentity::new();
    assert!(mine.learn(&group.live().next().unwrap().handle().snapshot().cluster_id));
    let clock = SystemClock::shared();
    let lost = GrpcCoordinatorClient::new(vec![address], Channels::new(Arc::clone(&clock)), clock, mine);
    let error = lost.register(ingester("i-0")).await.unwrap_err();
    assert!(error.kind == RpcErrorKind::Fenced && error.message.contains("cluster"), "{error}");
    assert_eq!(state_of(&other.handle().snapshot(), "i-0"), None);
    other.stop().await;
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_values_are_swapped_and_followed_at_any_member() {
    let mut group = Group::of_three().await;
    let (leader, _) = group.settled().await;
    let at_leader = client(&group.addresses);
    let follower = (leader + 1) % 3;
    let at_follower = client(&group.addresses[follower..=follower]);
    let swap = |key: &str, expected, value: &str| Swap { key: key.to_owned(), expected, value: Some(value.to_owned()) };
    let done = at_follower.swap(vec![swap("ha/a", 0, "1"), swap("other", 0, "1"), swap("ha/a", 0, "2")]).await.unwrap();
    assert!(matches!(done[..], [Swapped::Done { version: 1 }, Swapped::Done { version: 2 }, Swapped::Conflict { .. }]), "{done:?}");
    let mut updates = at_follower.watch_keys("ha/").await.unwrap();
    let first = tokio::time::timeout(SOON, updates.next()).await.unwrap().unwrap().unwrap();
    // It may be a moment behind the leader.
    let first = if first.entries.is_empty() { updates.next().await.unwrap().unwrap() } else { first };
    assert_eq!(first.entries[0].1.value.as_deref(), Some("1"));
    at_leader.swap(vec![swap("ha/a", 1, "3")]).await.unwrap();
    let next = tokio::time::timeout(SOON, updates.next()).await.unwrap().unwrap().unwrap();
    assert_eq!((next.reset, next.entries[0].1.value.as_deref()), (false, Some("3")));
    drop(updates);
    assert_eq!(at_leader.swap(vec![swap(&"k".repeat(600), 0, "")]).await.unwrap_err().kind, RpcErrorKind::InvalidRequest);

    // A restart of everybody keeps them.
    for place in 0..3 {
        group.nodes[place].take().unwrap().stop().await;
        let listener = listen_again(&group.addresses[place]).await;
        group.nodes[place] = Some(Node::start(&group.dirs[place], listener, group.addresses.clone()).await);
    }
    let store: Arc<dyn KeyStore> = Arc::new(client(&group.addresses));
    let again = store.swap(vec![swap("ha/a", 0, "x")]).await.unwrap();
    assert!(matches!(&again[0], Swapped::Conflict { current } if current.value.as_deref() == Some("3")), "{again:?}");
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_and_forget_instances() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listen().await;
    let address = listener.local_addr().unwrap().to_string();
    let node = Node::start(&dir, listener, Vec::new()).await;
    let client = client(&[address]);
    for (name, zone) in [("a", "a"), ("a-1", "a"), ("b", "b"), ("c", "c")] {
        client.register(Registration { zone: zone.to_owned(), ..ingester(name) }).await.unwrap();
    }
    let infos = client.instances().await.unwrap();
    assert!(infos.iter().all(|info| info.silence_ms.is_some() && info.version == runtime::build_info::VERSION), "{infos:?}");
    let id = ingester("a").id;
    let refused = client.forget(Role::Ingester, &id, false).await.unwrap_err();
    assert!(refused.message.contains("ACTIVE"), "{refused}");
    client.order(Role::Ingester, &id, true).await.unwrap();
    assert_eq!(state_of(&node.handle().snapshot(), "a"), Some(InstanceState::ReadOnly));
    assert!(client.order(Role::Querier, &id, true).await.is_err());
    // Nobody renews: all three are dead, and each may have what the others have lost.
    eventually("all are dead", async || {
        node.handle().snapshot().instances.iter().all(|i| i.state == InstanceState::Unhealthy).then_some(())
    })
    .await;
    assert!(client.forget(Role::Ingester, &id, false).await.unwrap_err().message.contains("may have what is missing"));
    client.forget(Role::Ingester, &id, true).await.unwrap();
    assert_eq!(state_of(&node.handle().snapshot(), "a"), None);
    node.stop().await;
}
