//! Random senders, random cuts, kills: the answers never change.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{BatchBuilder, Sample, WriteBatch};
use rpc::LabelValuesRequest;

use super::super::rig::labels;
use super::*;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

const SERIES: usize = 40;
const STEP_MS: i64 = 60_000;

struct World {
    rig: Arc<Rig>,
    random: Random,
    model: Contents,
    /// The next sample of each series: some senders lag by hours.
    next: Vec<i64>,
}

fn config() -> Config {
    Config { block_retention_seconds: 10 * 86_400, ..Config::default() }
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut random = Random(seed | 1);
        let next = (0..SERIES).map(|_| NOW - if random.below(4) == 0 { random.below(8 * 3_600_000) as i64 } else { 0 }).collect();
        let rig = Rig::with(Options { config: config(), ..Options::default() }).await;
        Self { rig: Arc::new(rig), random, model: BTreeMap::new(), next }
    }

    /// Every sender goes on, but for those that pause; laggards catch up in part.
    async fn push(&mut self) {
        let now = runtime::Clock::now_ms(&self.rig.clock);
        let mut builder = BatchBuilder::new(Bytes::new());
        for n in 0..SERIES {
            if self.random.below(3) == 0 {
                continue;
            }
            let labels = labels(if n % 2 == 0 { "even" } else { "odd" }, n);
            let end = now - if self.random.below(5) == 0 { 2 * 3_600_000 } else { 0 };
            while self.next[n] <= end {
                let (t, v) = (self.next[n], self.random.below(1_000) as f64 / 7.0);
                builder.sample(Sample { t, v });
                self.model.entry(labels.to_string()).or_default().push((t, v));
                self.next[n] += STEP_MS * (1 + self.random.below(3) as i64);
            }
            builder.end_series_with(labels.hash(), labels.as_block());
        }
        let batch: WriteBatch = builder.finish();
        let report = self.rig.push("a", batch).await.unwrap();
        assert!(report.rejected.is_empty(), "{report:?}");
    }

    /// Cuts while others ask.
    async fn cut(&mut self, flush: bool) {
        let queries: Vec<_> = (0..3)
            .map(|_| {
                let (rig, model) = (Arc::clone(&self.rig), self.model.clone());
                tokio::spawn(async move {
                    for _ in 0..4 {
                        assert!(whole(&rig).await == model, "while it is cut");
                    }
                })
            })
            .collect();
        let rig = Arc::clone(&self.rig);
        if flush {
            rig.ingester.flush(None).await.unwrap();
        } else {
            tokio::task::spawn_blocking(move || rig.ingester.shared.block_round()).await.unwrap();
        }
        for query in queries {
            query.await.unwrap();
        }
    }

    async fn kill(&mut self) {
        let now = runtime::Clock::now_ms(&self.rig.clock);
        let next = Rig::with(Options { config: config(), fs: self.rig.fs.after_kill(), ..Options::default() }).await;
        next.clock.advance(Duration::from_millis((now - NOW) as u64));
        self.rig = Arc::new(next);
    }

    async fn check(&self) {
        let got = whole(&self.rig).await;
        for (series, want) in &self.model {
            assert_eq!(got.get(series), Some(want), "{series}");
        }
        assert_eq!(got.len(), self.model.len());
        let ctx = self.rig.ctx("a");
        let odd = select(&self.rig.ingester, &ctx, &[Matcher::equal("__name__", "odd")]).await.unwrap();
        assert_eq!(odd.len(), self.model.keys().filter(|name| name.contains("odd")).count());
        let request = LabelValuesRequest { name: "instance".into(), series: everything() };
        assert_eq!(self.rig.ingester.label_values(&ctx, request).await.unwrap().len(), self.model.len());
        assert_eq!(self.rig.ingester.series(&ctx, everything()).await.unwrap().len(), self.model.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_during_and_after_cuts_and_kills() {
    for seed in 1..=12_u64 {
        let mut world = World::new(seed * 7_919).await;
        for _ in 0..25 {
            world.rig.clock.advance(Duration::from_secs(60 * (5 + world.random.below(60))));
            world.push().await;
            match world.random.below(8) {
                0 => world.cut(true).await,
                1 | 2 => world.kill().await,
                _ => world.cut(false).await,
            }
            world.check().await;
        }
        assert!(!folders(&world.rig.fs, "a").is_empty());
    }
}
