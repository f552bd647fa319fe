//! What happens to everybody.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::chance;
use crate::cluster::{Cluster, INGESTERS, READER, distributor_place, ingester_place};
use crate::ingester::{self, Mode, key};

/// Nothing stays cut for longer, and nobody stays away for longer where trouble is dense.
const LONGEST_CUT_MS: u64 = 30_000;

/// Makes trouble for so long, and then sees to it that all is well again.
pub(crate) async fn make(cluster: &Arc<Cluster>, lasts: Duration) {
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        cluster.net.set_lossy(chance::one_in(2));
        tokio::time::sleep(chance::ms(200, 4_000)).await;
        let what = chance::below(16);
        cluster.history.note(&what);
        match what {
            0 | 1 => crash(cluster),
            2 => crash_leader(cluster),
            3 => crash_all(cluster),
            4 | 5 => crash_ingester(cluster),
            6 => replace(cluster),
            7 => elect(cluster).await,
            8 => divide(cluster, true),
            9 => divide(cluster, false),
            10 => cut_one(cluster),
            11 => cut_leader_one_way(cluster),
            12 => cluster.net.heal(),
            13 => order(cluster, chance::below(INGESTERS as u64) as usize, chance::one_in(2)),
            14 => depart(cluster),
            _ => {}
        }
    }
    cluster.net.heal();
    cluster.net.set_lossy(false);
    // Somebody leads again soon.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(8)).await;
        (0..INGESTERS).for_each(|i| order(cluster, i, false));
    }
}

/// In how long something is back: mostly soon.
fn back(longest_ms: u64) -> Duration {
    let longest = if chance::one_in(3) { longest_ms } else { 2_000 };
    chance::ms(50, longest)
}

fn order(cluster: &Arc<Cluster>, i: usize, read_only: bool) {
    let cluster = Arc::clone(cluster);
    tokio::spawn(async move { cluster.order(i, read_only).await });
}

fn depart(cluster: &Arc<Cluster>) {
    let i = chance::below(INGESTERS as u64) as usize;
    // Not the last one of a zone: then copies would come to lie in fewer zones.
    let partner = leader(cluster).and_then(|id| cluster.net.process(id));
    let partner = partner.is_some_and(|leader| leader.state(|state| state.get(&key((i + 3) % INGESTERS)).is_some()));
    let can = {
        let town = cluster.town.lock();
        partner && town.ingesters[i].up && town.ingesters.iter().all(|other| other.mode == Mode::Normal)
    };
    if can {
        tokio::spawn(ingester::depart(Arc::clone(cluster), i));
    }
}

/// What is cut passes again after a while.
fn heal_later(cluster: &Arc<Cluster>) {
    let (cluster, after) = (Arc::clone(cluster), chance::ms(500, LONGEST_CUT_MS));
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        cluster.net.heal();
    });
}

fn crash_member(cluster: &Arc<Cluster>, id: u64) {
    if !cluster.crash(id, chance::one_in(2)) {
        return;
    }
    let (cluster, after) = (Arc::clone(cluster), back(15_000));
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        // It may have been replaced meanwhile.
        if cluster.members().contains(&id) && cluster.net.process(id).is_none() {
            cluster.boot(id).await.expect("a member starts on what is on its disk");
        }
    });
}

fn crash(cluster: &Arc<Cluster>) {
    if let Some(id) = chance::pick(&cluster.members()) {
        crash_member(cluster, id);
    }
}

fn leader(cluster: &Cluster) -> Option<u64> {
    cluster.members().into_iter().find(|id| cluster.net.process(*id).is_some_and(|member| member.is_leader()))
}

fn crash_leader(cluster: &Arc<Cluster>) {
    if let Some(id) = leader(cluster) {
        crash_member(cluster, id);
    }
}

fn crash_all(cluster: &Arc<Cluster>) {
    for id in cluster.members() {
        crash_member(cluster, id);
    }
}

fn crash_ingester(cluster: &Arc<Cluster>) {
    let i = chance::below(INGESTERS as u64) as usize;
    let Some(epoch) = cluster.crash_ingester(i) else { return };
    if let Some(epoch) = epoch.filter(|_| chance::one_in(4)) {
        tokio::spawn(ingester::haunt(Arc::clone(cluster), i, epoch));
    }
    // Sometimes so long that it is forgotten.
    let (cluster, after) = (Arc::clone(cluster), back(100_000));
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        cluster.start_ingester(i);
    });
}

fn replace(cluster: &Arc<Cluster>) {
    // Not before the group is formed: until then there is nobody to take a new one.
    let formed = leader(cluster).is_some();
    if let Some(id) = chance::pick(&cluster.members()).filter(|_| formed) {
        tokio::spawn(Arc::clone(cluster).replace(id));
    }
}

/// A member stands for election although there may be a leader.
async fn elect(cluster: &Cluster) {
    if let Some(member) = chance::pick(&cluster.members()).and_then(|id| cluster.net.process(id)) {
        drop(tokio::time::timeout(Duration::from_secs(1), member.raft.trigger().elect()).await);
    }
}

fn places(cluster: &Cluster) -> Vec<u64> {
    let others = (0..INGESTERS).map(ingester_place).chain((0..=READER).map(distributor_place));
    cluster.members().into_iter().chain(others).collect()
}

/// The network falls into two parts; nothing passes between them, or only from the second to the first.
fn divide(cluster: &Arc<Cluster>, both_ways: bool) {
    heal_later(cluster);
    let (one, other): (Vec<u64>, Vec<u64>) = places(cluster).into_iter().partition(|_| chance::one_in(3));
    for a in &one {
        for b in &other {
            cluster.net.cut(*a, *b);
            if both_ways {
                cluster.net.cut(*b, *a);
            }
        }
    }
}

/// One link between members, in one direction.
fn cut_one(cluster: &Arc<Cluster>) {
    heal_later(cluster);
    let members = cluster.members();
    if let (Some(a), Some(b)) = (chance::pick(&members), chance::pick(&members)) {
        cluster.net.cut(a, b);
    }
}

/// The leader is heard and hears nobody, or the other way round.
fn cut_leader_one_way(cluster: &Arc<Cluster>) {
    let Some(id) = leader(cluster) else { return };
    heal_later(cluster);
    let heard = chance::one_in(2);
    for other in places(cluster).into_iter().filter(|other| *other != id) {
        match heard {
            true => cluster.net.cut(other, id),
            false => cluster.net.cut(id, other),
        }
    }
}
