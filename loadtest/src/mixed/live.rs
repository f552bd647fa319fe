//! Every series gets one sample a second, its requests spread over the second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::sync::Mutex;

use crate::server::Server;
use crate::write::{Batch, Load, Sender, batches, now_ms};

/// What was written live.
pub(super) struct Live {
    pub(super) samples: u64,
    pub(super) latencies: Vec<Duration>,
}

/// Writes to the load's series until the time is over.
pub(super) async fn write(server: &Server, load: &Load, until: Instant) -> anyhow::Result<Live> {
    let batches = batches(load);
    let sender = Sender::new(server, load)?;
    let pace = Pace { started: Instant::now(), start_ms: now_ms()?, batches: batches.len() as u64, until };
    let next = AtomicU64::new(0);
    let connections = (0..load.connections).map(|_| connection(&sender, &batches, &pace, &next));
    let all = try_join_all(connections).await?;
    let samples = all.iter().map(|live| live.samples).sum();
    Ok(Live { samples, latencies: all.into_iter().flat_map(|live| live.latencies).collect() })
}

/// When which request is due.
struct Pace {
    started: Instant,
    start_ms: i64,
    batches: u64,
    until: Instant,
}

/// One request.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    /// Since the start.
    after: Duration,
    /// The time of its samples: the whole second.
    t: i64,
    batch: usize,
}

impl Pace {
    fn due(&self, number: u64) -> Due {
        let (second, batch) = (number / self.batches, number % self.batches);
        let after = Duration::from_secs(second) + Duration::from_secs(1) * batch as u32 / self.batches as u32;
        Due { after, t: self.start_ms + second as i64 * 1_000, batch: batch as usize }
    }
}

async fn connection(sender: &Sender, batches: &[Mutex<Batch>], pace: &Pace, next: &AtomicU64) -> anyhow::Result<Live> {
    let mut live = Live { samples: 0, latencies: Vec::new() };
    loop {
        let due = pace.due(next.fetch_add(1, Ordering::Relaxed));
        let at = pace.started + due.after;
        if at >= pace.until || Instant::now() >= pace.until {
            return Ok(live);
        }
        let Some(batch) = batches.get(due.batch) else { return Ok(live) };
        tokio::time::sleep_until(at.into()).await;
        // Timers round up to the next millisecond; that is not the server's.
        let from = if at.elapsed() < Duration::from_millis(2) { Instant::now() } else { at };
        let mut batch = batch.lock().await;
        sender.send(&mut batch, due.t, 0).await?;
        live.latencies.push(from.elapsed());
        live.samples += batch.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Due, Pace};

    #[test]
    fn requests_are_spread_over_each_second() {
        let pace = Pace { started: Instant::now(), start_ms: 5_000, batches: 4, until: Instant::now() };
        assert_eq!(pace.due(1), Due { after: Duration::from_millis(250), t: 5_000, batch: 1 });
        assert_eq!(pace.due(11), Due { after: Duration::from_millis(2_750), t: 7_000, batch: 3 });
    }
}
