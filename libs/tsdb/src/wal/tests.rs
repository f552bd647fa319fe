#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, TenantId};

use super::{Replay, ReplayReport, SyncPolicy, Wal, WalConfig, WalError};
use crate::fs::FaultyFs;
use crate::head::tests::{T0, batch, floats, labels};
use crate::{AppendOutcome, Head, HeadConfig, Selection};

mod damage;
mod faults;
mod generations;
mod golden;

/// A log with one head.
struct Node {
    fs: FaultyFs,
    wal: Wal,
    head: Arc<Head>,
}

type Floats = Vec<(Labels, Vec<(i64, f64)>)>;

fn tenant() -> TenantId {
    TenantId::anonymous()
}

fn always() -> WalConfig {
    WalConfig { sync: SyncPolicy::Always, salt: 42, ..WalConfig::default() }
}

fn open(fs: &FaultyFs, config: WalConfig) -> (Wal, Replay) {
    Wal::open("wal", config, Arc::new(fs.clone())).unwrap()
}

fn replay_into(replay: Replay, head: &Arc<Head>) -> ReplayReport {
    let head = Arc::clone(head);
    replay.run(&move |_: &TenantId| Some(Arc::clone(&head)), 2).unwrap()
}

impl Node {
    fn start(fs: &FaultyFs, config: WalConfig) -> (Self, ReplayReport) {
        let (wal, replay) = open(fs, config);
        let head = Arc::new(Head::new(HeadConfig::default()));
        let report = replay_into(replay, &head);
        (Self { fs: fs.clone(), wal, head }, report)
    }

    /// Pushes one sample to each of some series, as the ingester does.
    fn push(&self, series: &[&str], t: i64) -> Result<(), WalError> {
        let sample = [(t, t as f64)];
        let series: Vec<_> = series.iter().map(|name| (labels(&[("__name__", name), ("job", "test")]), sample.as_slice())).collect();
        let mut out = AppendOutcome::new();
        self.head.append(&batch(&series), Selection::All, self.wal.generation(), T0, &mut out);
        assert!(out.rejected.is_empty(), "{:?}", out.rejected);
        let record = out.take_record();
        self.wal.append(&tenant(), record)?;
        self.head.confirm(&out);
        Ok(())
    }

    fn floats(&self) -> Floats {
        floats(&self.head)
    }
}

fn segment(number: u64) -> PathBuf {
    super::files::path(Path::new("wal"), number)
}
