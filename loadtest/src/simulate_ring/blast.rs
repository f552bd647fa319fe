//! Who is hit when ingesters are lost in several zones at once.

use ring::{ReadQuorum, ReplicaSet, Ring, Verdict, write_quorum};

use super::{Args, Tenant, key};

/// A kind of loss.
struct Loss {
    what: &'static str,
    zones: usize,
    per_zone: usize,
    /// The same places in every zone, as far as zones are alike.
    alike: bool,
}

const LOSSES: [Loss; 6] = [
    Loss { what: "1 in one zone", zones: 1, per_zone: 1, alike: false },
    Loss { what: "1 in each of two zones", zones: 2, per_zone: 1, alike: false },
    Loss { what: "1 in each of two, the same number", zones: 2, per_zone: 1, alike: true },
    Loss { what: "1 in each of three zones", zones: 3, per_zone: 1, alike: false },
    Loss { what: "2 in each of two zones", zones: 2, per_zone: 2, alike: false },
    Loss { what: "2 in each of three zones", zones: 3, per_zone: 2, alike: false },
];

/// Means over the trials.
pub(super) fn print(args: &Args, ring: &Ring, tenants: &[Tenant]) {
    println!("\n## Blast radius (means of {} draws)", args.trials);
    println!("| lost | tenants with writes refused | series without a write quorum | tenants with reads refused |\n|---|---|---|---|");
    for loss in LOSSES.iter().filter(|loss| loss.zones <= args.zones) {
        let (mut writes, mut series, mut reads) = (0.0, 0.0, 0.0);
        for trial in 0..args.trials {
            let down = lost(args, ring, loss, trial);
            let hit = |set: &ReplicaSet| {
                set.instances.iter().filter(|i| down.contains(i)).count()
                    > set.instances.len() - write_quorum(args.replication_factor).min(set.instances.len())
            };
            let total: f64 = tenants.iter().map(|t| t.series).sum();
            for tenant in tenants {
                let mut read = ReadQuorum::new(&tenant.ring);
                for index in &down {
                    if tenant.ring.members().binary_search(index).is_ok() {
                        read.failed(*index);
                    }
                }
                if read.verdict() != Verdict::Impossible {
                    // Two replicas in different failure domains are never down at once.
                    continue;
                }
                reads += 1.0;
                if tenant.ring.replica_sets().iter().any(hit) {
                    writes += 1.0;
                    let keys = (0..args.keys).filter(|n| hit(tenant.ring.replicas(key(*n)))).count();
                    series += keys as f64 / args.keys as f64 * tenant.series / total;
                }
            }
        }
        let tenant = 100.0 / tenants.len() as f64 / args.trials as f64;
        println!("| {} | {:.2} % | {:.3} % | {:.2} % |", loss.what, writes * tenant, series * 100.0 / args.trials as f64, reads * tenant);
    }
}

/// Who is down in a trial.
fn lost(args: &Args, ring: &Ring, loss: &Loss, trial: u64) -> Vec<u32> {
    let mut down = Vec::new();
    for zone in 0..loss.zones {
        let name = format!("zone-{zone}");
        let mut here: Vec<u32> = (0..).zip(ring.instances()).filter(|(_, i)| i.zone == name).map(|(index, _)| index).collect();
        for nth in 0..loss.per_zone.min(here.len()) {
            let lot = key(trial * 1_000 + nth as u64 * 10 + if loss.alike { 0 } else { zone as u64 });
            // Zones may differ by one in number: drawn among what all of them have.
            let place = (lot % (args.ingesters / args.zones).max(1) as u64) as usize % here.len();
            down.push(here.swap_remove(place));
        }
    }
    down.sort_unstable();
    down
}
