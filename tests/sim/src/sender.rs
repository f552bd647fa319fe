//! Two equal senders, and the distributors that elect one of them through the group, with the product's tracker.

use std::sync::Arc;
use std::time::Duration;

use coordinator::machine::{Command, Reply};
use distributor::ha::tracker::{Election, Group, Rules, Tracker, Verdict};
use model::TenantId;
use parking_lot::Mutex;
use rpc::{Swap, Swapped};
use tokio::time::Instant;

use crate::chance;
use crate::client::Client;
use crate::cluster::{Cluster, DISTRIBUTORS, distributor_place};
use crate::history::ELECTION;
use crate::member::{Refused, Running};

const RULES: Rules = Rules { failover: Duration::from_secs(15), max_groups: 0 };

/// A distributor's side.
struct Side {
    tracker: Tracker,
    known: u64,
    began: Instant,
}

fn senders() -> Group {
    Group { tenant: TenantId::anonymous(), cluster: "c".into() }
}

/// Starts distributors and senders.
pub(crate) fn start(cluster: &Arc<Cluster>) {
    let side = || Side { tracker: Tracker::default(), known: 0, began: Instant::now() };
    let sides: Vec<Arc<Mutex<Side>>> = (0..DISTRIBUTORS).map(|_| Arc::new(Mutex::new(side()))).collect();
    for (d, side) in sides.iter().enumerate() {
        tokio::spawn(follow(Arc::clone(cluster), d, Arc::clone(side)));
        tokio::spawn(renew(Arc::clone(cluster), d, Arc::clone(side)));
        tokio::spawn(count(Arc::clone(cluster), d));
    }
    for replica in ["a", "b"] {
        tokio::spawn(send(Arc::clone(cluster), sides.clone(), replica));
    }
}

impl Side {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn learn(&mut self, version: u64, replica: &str) {
        let election = Election { tenant: String::new(), cluster: "c".to_owned(), replica: replica.to_owned(), elected_ms: 0, heard_ms: 0 };
        let now = self.now();
        self.tracker.stored(&senders(), &election, version, RULES.failover, version, now);
        self.known = self.known.max(version);
    }
}

/// Hears from any member, which may be behind, who is elected.
async fn follow(cluster: Arc<Cluster>, d: usize, side: Arc<Mutex<Side>>) {
    loop {
        tokio::time::sleep(chance::ms(200, 500)).await;
        let Some(member) = chance::pick(&cluster.members()).and_then(|id| cluster.net.process(id)) else { continue };
        let elected = member.state(|state| state.keys().get(ELECTION).cloned());
        if cluster.net.travel_or_give_up(member.id, distributor_place(d), Duration::from_secs(1)).await.is_none() {
            continue;
        }
        if let Some((version, Some(replica))) = elected.map(|entry| (entry.version, entry.value)) {
            side.lock().learn(version, &replica);
        }
    }
}

/// Samples of one sender, one a second, to any distributor.
async fn send(cluster: Arc<Cluster>, sides: Vec<Arc<Mutex<Side>>>, replica: &'static str) {
    let mut clients: Vec<Client> = (0..DISTRIBUTORS).map(|d| Client::new(distributor_place(d))).collect();
    loop {
        // Now and then a sender is silent for a while.
        let silent = if chance::one_in(40) { 25_000 } else { 0 };
        tokio::time::sleep(chance::ms(900 + silent, 1_100 + silent)).await;
        let d = chance::below(DISTRIBUTORS as u64) as usize;
        let (side, client) = (&sides[d], &mut clients[d]);
        let verdict = {
            let mut side = side.lock();
            let now = side.now();
            side.tracker.check(&senders(), replica, RULES, now)
        };
        let taken = match verdict {
            Verdict::Take => true,
            Verdict::Drop | Verdict::TooMany => false,
            Verdict::Propose { expected } => {
                let swapped = swap(&cluster, client, expected, replica).await;
                let mut side = side.lock();
                let now = side.now();
                match swapped {
                    Some((version, elected)) => {
                        side.learn(version, &elected);
                        side.tracker.check(&senders(), replica, RULES, now) == Verdict::Take
                    }
                    None => side.tracker.unreachable(&senders(), &Arc::from(replica), RULES, now, 0),
                }
            }
        };
        let known = side.lock().known;
        cluster.history.note(&(replica, taken, known));
        if let Some(elected) = cluster.history.elected(known) {
            assert!(!taken || elected == replica, "of version {known} {elected} is elected, and {replica} was taken");
        }
    }
}

/// Renews what is due.
async fn renew(cluster: Arc<Cluster>, d: usize, side: Arc<Mutex<Side>>) {
    let mut client = Client::new(distributor_place(d));
    loop {
        tokio::time::sleep(chance::ms(900, 1_100)).await;
        let due = {
            let side = side.lock();
            let now = side.now();
            side.tracker.renewals(10, now, 0)
        };
        for renewal in due {
            let Some(election) = renewal.election else { continue };
            if let Some((version, elected)) = swap(&cluster, &mut client, renewal.expected, &election.replica).await {
                side.lock().learn(version, &elected);
            }
        }
    }
}

/// Counts in a small value of its own, several times a second: what it was told is never taken back.
async fn count(cluster: Arc<Cluster>, d: usize) {
    let mut client = Client::new(distributor_place(d));
    let (mut known, mut told, mut counted) = (0, 0, 0_u64);
    loop {
        tokio::time::sleep(chance::ms(100, 400)).await;
        counted += 1;
        let call = |member: Arc<Running>| {
            let swap = Swap { key: format!("count/{d}"), expected: known, value: Some(counted.to_string()) };
            async move { one_swap(&member, swap).await }
        };
        match client.ask(&cluster, call).await {
            Some(Ok(Swapped::Done { version })) => (known, told) = (version, version),
            Some(Ok(Swapped::Conflict { current })) => {
                assert!(current.version >= told, "version {told} was acknowledged, and now it is {}", current.version);
                known = current.version;
            }
            _ => {}
        }
    }
}

/// Has one small value changed.
async fn one_swap(member: &Running, swap: Swap) -> Result<Swapped, Refused> {
    match member.propose(Command::Swap { swaps: vec![swap] }).await? {
        Reply::Swapped { outcomes } => outcomes.into_iter().next().ok_or(Refused::Other),
        _ => Err(Refused::Other),
    }
}

/// The version and who is elected by it, be it this one or not; `None` if the group did not say.
async fn swap(cluster: &Cluster, client: &mut Client, expected: u64, replica: &str) -> Option<(u64, String)> {
    let call = |member: Arc<Running>| {
        let swap = Swap { key: ELECTION.to_owned(), expected, value: Some(replica.to_owned()) };
        async move { one_swap(&member, swap).await }
    };
    match client.ask(cluster, call).await?.ok()? {
        Swapped::Done { version } => Some((version, replica.to_owned())),
        Swapped::Conflict { current } => Some((current.version, current.value?)),
        Swapped::Full => None,
    }
}
