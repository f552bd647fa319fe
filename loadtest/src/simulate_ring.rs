//! A large cluster on paper: who holds what, what moves, who is hit, what it costs. Nothing runs but the ring's own code.
//!
//! Tenants' sizes fall with their rank (the first of 10,000 has a tenth of all series), and each has as many ingesters as its series need. Series are sampled: so many keys
//! per tenant, weighted with the tenant's size.

mod blast;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use ring::{Instance, InstanceId, InstanceState, Ring, Role};

/// What to simulate.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Ingesters, dealt over the zones; at most 3,000.
    #[arg(long, default_value_t = 1_000)]
    ingesters: usize,
    /// Zones.
    #[arg(long, default_value_t = 3)]
    zones: usize,
    /// Copies of a series.
    #[arg(long, default_value_t = 3)]
    replication_factor: usize,
    /// Tenants; at most 100,000.
    #[arg(long, default_value_t = 10_000)]
    tenants: usize,
    /// Active series of all tenants together.
    #[arg(long, default_value_t = 1_000_000_000)]
    series: u64,
    /// Series (copies) of one tenant that one ingester may have: from it follow the sizes of shards. 0: no shards.
    #[arg(long, default_value_t = 100_000)]
    series_per_ingester: u64,
    /// Ingesters that a tenant has at least.
    #[arg(long, default_value_t = 9)]
    min_shard: usize,
    /// Keys that are looked at per tenant.
    #[arg(long, default_value_t = 200)]
    keys: u64,
    /// Losses that are drawn for each line of the last table.
    #[arg(long, default_value_t = 40)]
    trials: u64,
    /// Ids without numbers, as pods of a Deployment have them.
    #[arg(long)]
    unnumbered: bool,
}

/// A tenant and the ring of its ingesters.
struct Tenant {
    name: String,
    series: f64,
    size: usize,
    ring: Ring,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    ensure!((1..=3_000).contains(&args.ingesters), "--ingesters must be 1 to 3,000");
    ensure!((1..=100_000).contains(&args.tenants), "--tenants must be 1 to 100,000");
    ensure!(
        args.zones >= 1 && args.replication_factor >= 1 && args.keys >= 1,
        "--zones, --replication-factor and --keys must be at least 1"
    );
    let all: Vec<Instance> = (0..=args.ingesters).map(|i| args.instance(i)).collect::<anyhow::Result<_>>()?;
    let (_, instances) = all.split_last().context("there is at least one")?;
    let (ring, built) = timed(|| Ring::build(instances.to_vec(), args.replication_factor));
    let tokens: Vec<u64> = (0..200_000).map(key).collect();
    let (_, looked_up) = timed(|| tokens.iter().map(|token| ring.replicas(*token).instances.len()).sum::<usize>());
    println!(
        "{} ingesters in {} zones, {} copies, {} tenants with {} series",
        args.ingesters, args.zones, args.replication_factor, args.tenants, args.series
    );
    println!("\n## The whole ring");
    row("built in", format!("{built:.1?}"));
    row("virtual nodes", format!("{} ({:.1} MB)", ring.node_count(), mb(ring.node_count())));
    row("replica sets", ring.set_count());
    row("lookup", format!("{:.0} ns", looked_up.as_secs_f64() * 1e9 / 200_000.0));
    row("deviation of shares from the mean", deviation(ring.ownership().iter().copied()));

    let (tenants, drawn) = timed(|| args.shards(&ring));
    println!("\n## Shards");
    let own = || tenants.iter().filter(|t| t.size != 0);
    let nodes: usize = own().map(|t| t.ring.node_count()).sum();
    row(
        "tenants with a shard",
        format!("{} of {}, of {} ingesters in the middle", own().count(), tenants.len(), median(own().map(|t| t.ring.members().len()))),
    );
    row("all made in", format!("{drawn:.1?} ({:.0} µs each)", drawn.as_secs_f64() * 1e6 / own().count().max(1) as f64));
    row("virtual nodes", format!("{nodes} ({:.1} MB)", mb(nodes)));
    let (mut tenants_of, mut series_of) = (vec![0.0; args.ingesters], vec![0.0; args.ingesters]);
    for tenant in &tenants {
        for (member, share) in tenant.ring.members().iter().zip(tenant.ring.ownership()) {
            tenants_of[*member as usize] += 1.0;
            series_of[*member as usize] += share * tenant.series * args.replication_factor as f64;
        }
    }
    row("tenants of an ingester", summary(&tenants_of, 1.0));
    row("series of an ingester, thousands", summary(&series_of, 1e3));

    println!("\n## Movement");
    println!("| change | tenants whose shard changes | series copies that move | fair share |\n|---|---|---|---|");
    let joined = Ring::build(all.clone(), args.replication_factor);
    args.movement("one joins", &tenants, &joined);
    let gone = instances.len() / 2;
    let without = |i: usize| instances.iter().enumerate().filter(|(place, _)| *place != i).map(|(_, i)| i.clone()).collect::<Vec<_>>();
    args.movement("the last leaves", &tenants, &Ring::build(without(instances.len() - 1), args.replication_factor));
    args.movement("one from the middle leaves", &tenants, &Ring::build(without(gone), args.replication_factor));
    drop(joined);

    blast::print(args, &ring, &tenants);
    Ok(())
}

impl Args {
    fn instance(&self, i: usize) -> anyhow::Result<Instance> {
        let (zone, number) = (i % self.zones, i / self.zones);
        let name = if self.unnumbered { format!("ingester-{:x}x", key(i as u64)) } else { format!("ingester-zone-{zone}-{number}") };
        Ok(Instance {
            id: InstanceId::new(&name)?,
            role: Role::Ingester,
            address: String::new(),
            zone: format!("zone-{zone}"),
            state: InstanceState::Active,
            epoch: 1,
            registered_at_ms: 0,
            moved_at_ms: 0,
            emptied_at_ms: 0,
        })
    }

    /// Sizes by rank, and from them shards.
    fn shards(&self, ring: &Ring) -> Vec<Tenant> {
        let weights: f64 = (1..=self.tenants).map(|rank| 1.0 / rank as f64).sum();
        let tenant = |rank: usize| {
            let (name, series) = (format!("tenant-{rank}"), self.series as f64 / rank as f64 / weights);
            let size = match self.series_per_ingester {
                0 => 0,
                most => ((series * self.replication_factor as f64 / most as f64).ceil() as usize).max(self.min_shard),
            };
            let shard = ring.shard_of(&name, size);
            let size = if shard.members().len() == self.ingesters { 0 } else { size };
            Tenant { ring: shard, name, series, size }
        };
        (1..=self.tenants).map(tenant).collect()
    }

    /// Compares with another ring.
    fn movement(&self, what: &str, tenants: &[Tenant], after: &Ring) {
        let (mut changed, mut moved, mut all) = (0usize, 0.0, 0.0);
        for tenant in tenants {
            let new = after.shard_of(&tenant.name, tenant.size);
            let ids = |ring: &Ring, members: &[u32]| {
                members.iter().filter_map(|i| ring.instances().get(*i as usize)).map(|i| i.id.clone()).collect::<Vec<_>>()
            };
            let same = ids(&tenant.ring, tenant.ring.members()) == ids(&new, new.members());
            changed += usize::from(tenant.size != 0 && !same);
            let weight = tenant.series / self.keys as f64;
            all += tenant.series * self.replication_factor as f64;
            // Who keeps its shard keeps everything.
            for token in (0..if same { 0 } else { self.keys }).map(key) {
                let old = ids(&tenant.ring, &tenant.ring.replicas(token).instances);
                let elsewhere = ids(&new, &new.replicas(token).instances).iter().filter(|id| !old.contains(id)).count();
                moved += elsewhere as f64 * weight;
            }
        }
        println!(
            "| {what} | {changed} ({:.1} %) | {:.3} % | {:.3} % |",
            changed as f64 * 100.0 / tenants.len() as f64,
            moved * 100.0 / all,
            100.0 / self.ingesters as f64
        );
    }
}

/// Spreads numbers over the ring.
fn key(n: u64) -> u64 {
    (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed())
}

fn row(what: &str, value: impl std::fmt::Display) {
    println!("{what:<36}{value}");
}

fn mb(nodes: usize) -> f64 {
    nodes as f64 * 24.0 / 1e6
}

fn deviation(shares: impl ExactSizeIterator<Item = f64> + Clone) -> String {
    let mean = 1.0 / shares.len() as f64;
    let most = shares.map(|share| (share / mean - 1.0).abs()).fold(0.0, f64::max);
    format!("{:.2} %", most * 100.0)
}

fn median(numbers: impl Iterator<Item = usize>) -> usize {
    let mut sorted: Vec<usize> = numbers.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

fn summary(values: &[f64], unit: f64) -> String {
    let mut sorted: Vec<f64> = values.iter().map(|v| v / unit).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |part: usize| sorted.get((sorted.len() * part / 100).min(sorted.len() - 1)).copied().unwrap_or(0.0);
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    format!("{:.0} to {:.0}, mean {mean:.0}, 99 % below {:.0} (+{:.1} %)", at(0), at(100), at(99), (at(99) / mean - 1.0) * 100.0)
}
