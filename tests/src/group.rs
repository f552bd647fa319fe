//! A coordinator group, spoken to as members do: what it said is committed, and whether each of its members has it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use proto::coordinator as wire;
use proto::coordinator::coordinator_client::CoordinatorClient;
use proto::coordinator::operator_client::OperatorClient;
use tonic::transport::{Channel, Endpoint};

/// How long one member may take to answer: longer than an election.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// How long a member that was away may take to hear of everything.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// Values that are sent at the same time.
const AT_ONCE: usize = 16;
/// What the keys begin with.
const PREFIX: &str = "sent/";

/// The group, and what was sent to it.
pub struct Group {
    members: Vec<Channel>,
    /// Values have the numbers below this.
    next: usize,
    committed: BTreeSet<usize>,
    /// Epochs of instances.
    registered: BTreeMap<String, u64>,
    /// The first that was heard of.
    cluster_id: String,
}

impl Group {
    /// Of members at these addresses, which may be dead now and then.
    pub async fn of(addresses: &[String]) -> anyhow::Result<Self> {
        let channel = |address: &String| {
            let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
            anyhow::Ok(endpoint.connect_timeout(Duration::from_secs(1)).timeout(ANSWER_WITHIN).connect_lazy())
        };
        let members = addresses.iter().map(channel).collect::<anyhow::Result<_>>()?;
        let mut group = Self { members, next: 0, committed: BTreeSet::new(), registered: BTreeMap::new(), cluster_id: String::new() };
        group.cluster_id = group.snapshot(0).await?.cluster_id;
        Ok(group)
    }

    /// How many values are committed.
    #[must_use]
    pub fn committed(&self) -> usize {
        self.committed.len()
    }

    /// Sends so many values, each a command of its own. Those that nobody took may be there or not.
    pub async fn send(&mut self, count: usize) {
        let end = self.next + count;
        while self.next < end {
            let numbers = self.next..end.min(self.next + AT_ONCE);
            self.next = numbers.end;
            let mut swaps = tokio::task::JoinSet::new();
            for n in numbers {
                let members = self.members.clone();
                swaps.spawn(async move { swap(&members, n).await.ok().map(|()| n) });
            }
            self.committed.extend(swaps.join_all().await.into_iter().flatten());
        }
    }

    /// Registers an ingester, which is never heard of again, as soon as somebody leads.
    pub async fn register(&mut self, id: &str) -> anyhow::Result<()> {
        let request = wire::RegisterRequest {
            id: id.to_owned(),
            role: "ingester".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            zone: "a".to_owned(),
            state: "ACTIVE".to_owned(),
            ..wire::RegisterRequest::default()
        };
        let started = Instant::now();
        loop {
            for member in &self.members {
                if let Ok(answer) = CoordinatorClient::new(member.clone()).register(request.clone()).await {
                    self.registered.insert(id.to_owned(), answer.into_inner().epoch);
                    return Ok(());
                }
            }
            ensure!(started.elapsed() < KNOWN_WITHIN, "{id} was not registered");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Makes the member at this address the leader.
    pub async fn transfer(&self, address: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < KNOWN_WITHIN {
            for member in &self.members {
                let request = wire::MemberRequest { address: address.to_owned(), force: false };
                if OperatorClient::new(member.clone()).transfer(request).await.is_ok() {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("{address} was not made the leader")
    }

    /// Waits until a member has everything that is committed; it never has what was not sent.
    pub async fn is_complete_at(&self, member: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            match self.look(member).await {
                Ok(()) => return Ok(()),
                Err(error) if started.elapsed() > KNOWN_WITHIN => return Err(error.context(format!("coordinator {member}"))),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn look(&self, member: usize) -> anyhow::Result<()> {
        let snapshot = self.snapshot(member).await?;
        ensure!(snapshot.cluster_id == self.cluster_id, "another cluster: {}", snapshot.cluster_id);
        for (id, epoch) in &self.registered {
            let there = snapshot.instances.iter().any(|i| i.id == *id && i.role == "ingester" && i.epoch == *epoch);
            ensure!(there, "{id} with epoch {epoch} is not among {:?}", snapshot.instances);
        }
        let keys = self.keys(member).await?;
        let wrong: Vec<_> = keys.iter().filter(|(n, value)| **n >= self.next || value_of(**n) != **value).take(5).collect();
        ensure!(wrong.is_empty(), "never sent: {wrong:?}");
        let lost: Vec<_> = self.committed.iter().filter(|n| !keys.contains_key(n)).collect();
        ensure!(lost.is_empty(), "{} of {} committed values are lost, first {:?}", lost.len(), self.committed.len(), lost.first());
        Ok(())
    }

    async fn snapshot(&self, member: usize) -> anyhow::Result<wire::WatchResponse> {
        let mut client = CoordinatorClient::new(self.channel(member)?);
        let mut snapshots = client.watch(wire::WatchRequest {}).await?.into_inner();
        snapshots.message().await?.context("a snapshot")
    }

    /// The values that a member knows, by their numbers.
    async fn keys(&self, member: usize) -> anyhow::Result<BTreeMap<usize, String>> {
        let mut client = CoordinatorClient::new(self.channel(member)?);
        let mut updates = client.watch_keys(wire::WatchKeysRequest { prefix: PREFIX.to_owned() }).await?.into_inner();
        let mut keys = BTreeMap::new();
        loop {
            let update = updates.message().await?.context("an update")?;
            for entry in update.entries {
                let number = entry.key.strip_prefix(PREFIX).context("a key of ours")?.parse()?;
                keys.insert(number, entry.value.context("nothing was removed")?);
            }
            // Only the last piece of an update says up to where everything is known now.
            if update.version > 0 {
                return Ok(keys);
            }
        }
    }

    fn channel(&self, member: usize) -> anyhow::Result<Channel> {
        self.members.get(member).cloned().context("a member")
    }
}

fn value_of(n: usize) -> String {
    format!("{n}{}", "-".repeat(n % 40))
}

/// Has a value committed by whichever member leads.
async fn swap(members: &[Channel], n: usize) -> anyhow::Result<()> {
    let change = wire::Swap { key: format!("{PREFIX}{n}"), expected: 0, value: Some(value_of(n)) };
    for member in members {
        let request = wire::SwapRequest { swaps: vec![change.clone()] };
        let Ok(answer) = CoordinatorClient::new(member.clone()).swap(request).await else { continue };
        let swapped = answer.into_inner().swapped.pop().context("an outcome")?;
        // A conflict with one's own value: the answer to an earlier try was lost.
        ensure!(swapped.outcome() == wire::swapped::Outcome::Done || swapped.value == change.value, "{swapped:?}");
        return Ok(());
    }
    bail!("nobody took it")
}
