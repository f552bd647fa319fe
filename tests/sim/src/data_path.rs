//! Distributors and a reader: they follow the ring, and write and read by it with the product's quorums.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ring::{Reach, ReadQuorum, Role, Verdict};

use crate::chance;
use crate::cluster::{Cluster, DISTRIBUTORS, READER, distributor_place, ingester_place};
use crate::ingester::Mode;
use crate::samples::{Read, Write};

/// How long a reader waits for an ingester.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Starts all of them.
pub(crate) fn start(cluster: &Arc<Cluster>) {
    for w in 0..=READER {
        tokio::spawn(follow(Arc::clone(cluster), w));
    }
    for d in 0..DISTRIBUTORS {
        let cluster = Arc::clone(cluster);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(chance::ms(700, 875)).await;
                write(&cluster, d);
            }
        });
    }
    let cluster = Arc::clone(cluster);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(chance::ms(1_500, 1_875)).await;
            read(&cluster);
        }
    });
}

/// Sees what any member says, which may be behind. What is not newer is not taken, as `ClusterWatch` has it.
async fn follow(cluster: Arc<Cluster>, w: usize) {
    loop {
        tokio::time::sleep(chance::ms(300, 375)).await;
        let Some(member) = chance::pick(&cluster.members()).and_then(|id| cluster.net.process(id)) else { continue };
        let snapshot = member.state(|state| state.snapshot());
        if cluster.net.travel_or_give_up(member.id, distributor_place(w), Duration::from_secs(1)).await.is_none() {
            continue;
        }
        let town = &mut *cluster.town.lock();
        // All who see a version see the same ring, which takes some time to make.
        let known = town.rings.get(&snapshot.version).cloned();
        let ring = known.unwrap_or_else(|| town.watchers[w].ring.updated(&snapshot, Role::Ingester));
        town.rings.insert(ring.version(), ring.clone());
        town.watchers[w].see(ring);
    }
}

fn place(id: &str) -> usize {
    id.trim_start_matches("i-").parse().expect("our own names")
}

fn write(cluster: &Arc<Cluster>, d: usize) {
    let town = &mut *cluster.town.lock();
    let ring = &town.watchers[d].ring;
    let count = 1 + chance::below(4);
    let tokens: Vec<u64> = (0..count).map(|_| chance::next()).collect();
    let plan = ring.plan_write(tokens);
    if plan.quorum.verdict() != Verdict::Pending {
        return;
    }
    let to: Vec<usize> = plan.targets.iter().map(|t| place(ring.instances()[t.instance as usize].id.as_str())).collect();
    let version = ring.version();
    let samples = town.samples.make(count);
    let write = Arc::new(Mutex::new(Write { quorum: plan.quorum, samples: samples.clone(), version, acked: false }));
    for (target, (wanted, ingester)) in plan.targets.iter().zip(to).enumerate() {
        let of = |series: &u32| samples[*series as usize];
        let part = wanted.series.as_ref().map_or_else(|| samples.clone(), |picked| picked.iter().map(of).collect());
        tokio::spawn(push(Arc::clone(cluster), d, Arc::clone(&write), target, ingester, part));
    }
}

async fn push(cluster: Arc<Cluster>, d: usize, write: Arc<Mutex<Write>>, target: usize, ingester: usize, samples: Vec<u64>) {
    cluster.net.travel(distributor_place(d), ingester_place(ingester)).await;
    let now = cluster.now_ms();
    let ok = {
        let to = &mut cluster.town.lock().ingesters[ingester];
        let ok = to.up && to.mode == Mode::Normal;
        if ok {
            to.data.extend(samples.into_iter().map(|sample| (sample, now)));
        }
        ok
    };
    cluster.net.travel(ingester_place(ingester), distributor_place(d)).await;
    let mut write = write.lock();
    let verdict = if ok { write.quorum.succeeded(target) } else { write.quorum.failed(target) };
    if verdict == Verdict::Reached && !std::mem::replace(&mut write.acked, true) {
        cluster.town.lock().samples.acknowledged(&write);
    }
}

fn read(cluster: &Arc<Cluster>) {
    let town = &mut *cluster.town.lock();
    let ring = &town.watchers[READER].ring;
    let (mut quorum, version) = (ReadQuorum::new(ring), ring.version());
    let turn = usize::try_from(chance::below(6)).unwrap_or(0);
    let home = chance::pick(&ring.domains());
    let reach = if chance::one_in(3) { Reach::Everyone } else { Reach::Enough { home, turn } };
    let asked = quorum.first_choice(ring, ring.members(), reach, |_| false);
    let all: Vec<(u32, usize)> = (0..).zip(ring.instances().iter().map(|i| place(i.id.as_str()))).collect();
    for (index, _) in all.iter().filter(|(index, _)| !asked.contains(index)) {
        quorum.failed(*index);
    }
    let owed = town.samples.owed_to(version, cluster.now_ms());
    let read = Arc::new(Mutex::new(Read { quorum, version, owed, found: BTreeSet::new() }));
    for (index, ingester) in all.into_iter().filter(|(index, _)| asked.contains(index)) {
        tokio::spawn(select(Arc::clone(cluster), Arc::clone(&read), index, ingester));
    }
}

async fn select(cluster: Arc<Cluster>, read: Arc<Mutex<Read>>, index: u32, ingester: usize) {
    // What is not asked about is not looked at: it is in the store for long.
    let oldest = read.lock().owed.first().copied().unwrap_or(u64::MAX);
    let answer = async {
        cluster.net.travel(distributor_place(READER), ingester_place(ingester)).await;
        let found: Option<Vec<u64>> = {
            let from = &cluster.town.lock().ingesters[ingester];
            (from.up && from.complete_at <= cluster.now_ms()).then(|| from.data.range(oldest..).map(|(sample, _)| *sample).collect())
        };
        cluster.net.travel(ingester_place(ingester), distributor_place(READER)).await;
        found
    };
    let found = tokio::time::timeout(ANSWERS_WITHIN, answer).await.ok().flatten();
    let read = &mut *read.lock();
    if read.quorum.verdict() != Verdict::Pending {
        return;
    }
    match found {
        Some(found) => {
            read.found.extend(found);
            read.quorum.succeeded(index);
        }
        None => {
            read.quorum.failed(index);
        }
    }
    cluster.town.lock().samples.check(read, cluster.now_ms());
}
