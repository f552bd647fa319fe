//! An ingester: registers, renews and tells its state; has samples, ships them, leaves when it is told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coordinator::machine::{Command, MemberKey, Reply};
use ring::{InstanceId, InstanceState, Role, UNZONED};
use tokio::time::Instant;

use crate::chance;
use crate::client::Client;
use crate::cluster::{Cluster, ingester_place};
use crate::member::{LEASE, Refused, Running};
use crate::samples::Samples;

/// How long samples stay where they came to at least.
const KEPT_MS: u64 = 40_000;
/// Longer than any reader's lag behind the store.
const SETTLE_MS: u64 = 2 * crate::samples::INDEX_LAG_MS;
/// Samples this old are shipped.
const SHIPPED_AFTER_MS: u64 = 10_000;
/// How long a fenced process may go on without noticing that there is another one.
const HAUNTS: Duration = Duration::from_secs(40);

/// Whether it takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Normal,
    /// It leaves; since when everything is shipped.
    ReadOnly {
        shipped_at: Option<u64>,
    },
    Gone,
}

/// What there is of it. Times in milliseconds.
#[derive(Debug)]
pub(crate) struct Ingester {
    pub(crate) up: bool,
    /// Until then it replays.
    pub(crate) complete_at: u64,
    pub(crate) epoch: Option<u64>,
    told: Option<InstanceState>,
    pub(crate) mode: Mode,
    /// Samples and when they came.
    pub(crate) data: BTreeMap<u64, u64>,
    /// Thousandths of its clock's speed.
    rate: u64,
    zone: &'static str,
}

pub(crate) fn key(ingester: usize) -> MemberKey {
    (Role::Ingester, InstanceId::new(&format!("i-{ingester}")).expect("a good name"))
}

impl Ingester {
    pub(crate) fn new(zone: &'static str) -> Self {
        let rate = 950 + chance::below(101);
        Self { up: false, complete_at: 0, epoch: None, told: None, mode: Mode::Normal, data: BTreeMap::new(), rate, zone }
    }

    fn own_state(&self, now: u64) -> InstanceState {
        match self.mode {
            Mode::ReadOnly { .. } => InstanceState::ReadOnly,
            Mode::Gone => InstanceState::Gone,
            Mode::Normal if self.complete_at <= now => InstanceState::Active,
            Mode::Normal => InstanceState::Joining,
        }
    }

    /// Ships what is older than this; whether that is everything.
    fn ship(&mut self, samples: &mut Samples, older_than: u64, now: u64) -> bool {
        let can = self.up && self.complete_at <= now;
        if can {
            samples.ship(self.data.iter().filter(|(_, at)| **at + older_than <= now).map(|(sample, _)| *sample), now);
            // As an ingester does it: only what everybody finds in the store goes.
            self.data.retain(|sample, at| *at + KEPT_MS > now || !samples.is_stored(*sample, now));
        }
        can
    }
}

/// The process, until it is aborted.
pub(crate) async fn run(cluster: Arc<Cluster>, i: usize) {
    let mut client = Client::new(ingester_place(i));
    let rate = {
        let mut town = cluster.town.lock();
        let ingester = &mut town.ingesters[i];
        (ingester.up, ingester.epoch, ingester.told) = (true, None, None);
        ingester.complete_at = cluster.now_ms() + chance::below(5_000);
        // Somebody gives it another zone, or its disk is carried there.
        if chance::one_in(12) {
            ingester.zone = chance::pick(&[UNZONED, "a", "b", "c"]).unwrap_or(UNZONED);
            cluster.history.moved();
        }
        ingester.rate
    };
    loop {
        tick(&cluster, &mut client, i).await;
        let registered = cluster.town.lock().ingesters[i].epoch.is_some();
        let every = if registered { LEASE.mul_f64(0.33 * 1_000.0 / rate as f64) } else { Duration::from_millis(500) };
        tokio::time::sleep(every).await;
    }
}

async fn tick(cluster: &Cluster, client: &mut Client, i: usize) {
    let (epoch, told, own) = {
        let town = cluster.town.lock();
        let ingester = &town.ingesters[i];
        (ingester.epoch, ingester.told, ingester.own_state(cluster.now_ms()))
    };
    let now = match epoch {
        None => register(cluster, client, i, own).await.map(|epoch| (Some(epoch), Some(own))),
        Some(epoch) if told != Some(own) => match set_state(cluster, client, i, epoch, own).await {
            Some(Ok(())) => Some((Some(epoch), Some(own))),
            Some(Err(_)) => Some((None, None)),
            None => None,
        },
        Some(epoch) => match renew(cluster, client, i, epoch).await {
            Some(Err(_)) => Some((None, None)),
            _ => None,
        },
    };
    if let Some((epoch, told)) = now {
        let mut town = cluster.town.lock();
        (town.ingesters[i].epoch, town.ingesters[i].told) = (epoch, told);
    }
}

async fn register(cluster: &Cluster, client: &mut Client, i: usize, state: InstanceState) -> Option<u64> {
    let key = key(i);
    let call = |member: Arc<Running>| {
        let (key, zone) = (key.clone(), cluster.town.lock().ingesters[i].zone.to_owned());
        let (address, version) = ("h:1".to_owned(), String::new());
        // Readers do not look at when that was, but at whether it was ever.
        let command = Command::Register { id: key.1.clone(), role: key.0, address, zone, state, empty: false, now_ms: 1, version };
        async move { member.register(command, &key).await }
    };
    let epoch = client.ask(cluster, call).await?.ok()?;
    cluster.history.registered(&key, epoch);
    Some(epoch)
}

async fn set_state(cluster: &Cluster, client: &mut Client, i: usize, epoch: u64, state: InstanceState) -> Option<Result<(), Refused>> {
    let call = |member: Arc<Running>| {
        let command = Command::SetState { member: key(i), epoch, state };
        async move {
            match member.propose(command).await? {
                Reply::Done => Ok(()),
                _ => Err(Refused::Fenced),
            }
        }
    };
    client.ask(cluster, call).await
}

async fn renew(cluster: &Cluster, client: &mut Client, i: usize, epoch: u64) -> Option<Result<(), Refused>> {
    let asked = Instant::now();
    let call = |member: Arc<Running>| async move { member.renew(&key(i), epoch).await };
    let renewed = client.ask(cluster, call).await;
    if renewed == Some(Ok(())) {
        cluster.history.renewed(&key(i), epoch, asked);
    }
    renewed
}

/// A process that should be dead goes on to renew, until it is told that there is another one.
pub(crate) async fn haunt(cluster: Arc<Cluster>, i: usize, epoch: u64) {
    let mut client = Client::new(ingester_place(i));
    let until = Instant::now() + HAUNTS;
    while Instant::now() < until && !matches!(renew(&cluster, &mut client, i, epoch).await, Some(Err(_))) {
        tokio::time::sleep(chance::ms(200, 2_000)).await;
    }
}

/// Ships again and again.
pub(crate) async fn ship(cluster: Arc<Cluster>, i: usize) {
    loop {
        tokio::time::sleep(chance::ms(6_000, 7_500)).await;
        let town = &mut *cluster.town.lock();
        town.ingesters[i].ship(&mut town.samples, SHIPPED_AFTER_MS, cluster.now_ms());
    }
}

/// Leaves for good: takes no more writes, ships everything, says that it is gone, and is. Another one of its name comes later, with an empty disk.
pub(crate) async fn depart(cluster: Arc<Cluster>, i: usize) {
    let mut client = Client::new(ingester_place(i));
    cluster.town.lock().ingesters[i].mode = Mode::ReadOnly { shipped_at: None };
    loop {
        tokio::time::sleep(chance::ms(1_500, 2_500)).await;
        let now = cluster.now_ms();
        let gone = {
            let town = &mut *cluster.town.lock();
            let ingester = &mut town.ingesters[i];
            match ingester.mode {
                Mode::Normal => return,
                Mode::ReadOnly { shipped_at: None } => {
                    if ingester.ship(&mut town.samples, 0, now) {
                        ingester.mode = Mode::ReadOnly { shipped_at: Some(now) };
                    }
                    None
                }
                Mode::ReadOnly { shipped_at: Some(at) } => {
                    if ingester.up && at + SETTLE_MS <= now {
                        ingester.mode = Mode::Gone;
                    }
                    None
                }
                Mode::Gone => ingester.epoch.filter(|_| ingester.up && ingester.told == Some(InstanceState::Gone)),
            }
        };
        if let Some(epoch) = gone {
            let call = |member: Arc<Running>| {
                let command = Command::Deregister { member: key(i), epoch };
                async move { member.propose(command).await }
            };
            // If nobody says so, its lease runs out.
            drop(client.ask(&cluster, call).await);
            break;
        }
    }
    cluster.crash_ingester(i);
    {
        let mut town = cluster.town.lock();
        town.ingesters[i].mode = Mode::Normal;
        town.ingesters[i].data.clear();
    }
    cluster.history.departed();
    tokio::time::sleep(chance::ms(5_000, 35_000)).await;
    cluster.start_ingester(i);
}
