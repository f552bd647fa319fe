//! Leaving for good without loss: `POST /ingester/prepare-shutdown`.
//!
//! ```text
//! asked for ── READ_ONLY ── pushes end ── everything becomes blocks ── these are shipped ── the bucket index shows them ── every querier has seen that index ── GONE: safe to remove
//! ```
//!
//! It is remembered by a file in the data directory, so a restart goes on. [`plan`] decides, purely; this drives.

mod marker;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ring::InstanceState;
use serde::Serialize;
use tokio::sync::Notify;

use crate::error::Error;
use crate::service::{Ingester, Shared};
pub(crate) use marker::Marker;
pub use plan::Phase;
use plan::{Facts, phase};

/// How often it is looked whether the next step can be done. The compactor writes the index every minute.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DepartureStatus {
    /// Whether it was asked for.
    pub requested: bool,
    /// The ingester's state.
    pub state: InstanceState,
    /// What it is at.
    pub phase: Phase,
    /// Whether the process may be stopped and its disk thrown away.
    pub safe_to_remove: bool,
    /// Blocks that are not in the object store.
    pub blocks_to_ship: u64,
    /// Blocks that the bucket index does not show.
    pub blocks_not_indexed: u64,
    /// When it will be safe, in milliseconds since the epoch, once everything is in the index.
    pub safe_at_ms: Option<i64>,
    /// What went wrong last; it is tried again.
    pub last_error: Option<String>,
}

/// What is known of it between steps.
#[derive(Debug)]
pub(crate) struct Departure {
    marker: Marker,
    state: Mutex<Progress>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Progress {
    requested: bool,
    /// Since it was last asked for: everything that was in memory is in blocks.
    flushed: bool,
    /// Grows whenever it is asked for or taken back, so that a flush of before does not count.
    turn: u64,
    last_error: Option<String>,
}

impl Departure {
    /// As the marker has it.
    pub(crate) fn new(marker: Marker) -> Self {
        let requested = marker.is_set();
        Self { marker, state: Mutex::new(Progress { requested, ..Progress::default() }), changed: Notify::new() }
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.state.lock().requested
    }
}

impl Ingester {
    /// Begins to leave for good; again is no error. Returns when that is on the disk.
    pub async fn prepare_shutdown(&self) -> Result<(), Error> {
        self.set_departure(true).await
    }

    /// Takes that back: ACTIVE again, with everything it has.
    pub async fn cancel_shutdown(&self) -> Result<(), Error> {
        self.set_departure(false).await
    }

    async fn set_departure(&self, requested: bool) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let departure = &self.shared.departure;
        let written = self.shared.tasks.spawn_blocking(move || shared.departure.marker.set(requested)).await;
        written.map_err(|_| Error::Panicked)?.map_err(|e| Error::Marker(e.to_string()))?;
        {
            let mut state = departure.state.lock();
            if state.requested != requested {
                *state = Progress { requested, turn: state.turn + 1, ..Progress::default() };
            }
        }
        match requested {
            true => self.shared.lifecycle.read_only(),
            false => self.shared.lifecycle.read_write(),
        }
        departure.changed.notify_one();
        Ok(())
    }

    /// How far it has come.
    #[must_use]
    pub fn departure(&self) -> DepartureStatus {
        let facts = self.shared.departure_facts();
        // Safe only when the loop has said so: then the coordinator is told as well, and a stop is for good.
        let state = self.shared.lifecycle.state();
        let phase = match phase(&facts) {
            Phase::Safe if state != InstanceState::Gone => Phase::Settling,
            phase => phase,
        };
        let stages = || facts.stages.iter();
        DepartureStatus {
            requested: facts.requested,
            state,
            safe_to_remove: phase == Phase::Safe,
            blocks_to_ship: stages().filter(|stage| stage.is_waiting()).count() as u64,
            blocks_not_indexed: stages().filter(|stage| stage.shown_at().is_none()).count() as u64,
            safe_at_ms: facts.safe_at(),
            phase,
            last_error: self.shared.departure.state.lock().last_error.clone(),
        }
    }
}

impl Shared {
    fn departure_facts(&self) -> Facts {
        let state = self.departure.state.lock();
        let blocks = self.tenants.all().into_iter().flat_map(|(_, tenant)| tenant.blocks.set().blocks().to_vec());
        Facts {
            requested: state.requested,
            complete: self.lifecycle.is_complete(),
            pushes: self.lifecycle.pushes(),
            flushed: state.flushed,
            stages: blocks.map(|block| block.on_its_way().stage).collect(),
            settle_ms: self.settle_ms,
            now_ms: self.clock.now_ms(),
        }
    }

    /// One step; what it was.
    pub(crate) async fn departure_step(self: &Arc<Self>) -> Phase {
        let at = phase(&self.departure_facts());
        let result = match at {
            Phase::NotRequested | Phase::Replaying | Phase::Settling => Ok(()),
            Phase::Draining => {
                self.lifecycle.drained().await;
                Ok(())
            }
            Phase::Flushing => {
                let turn = self.departure.state.lock().turn;
                let flushed = Ingester { shared: Arc::clone(self) }.flush(None).await.map(|_| ()).map_err(|e| e.to_string());
                let mut state = self.departure.state.lock();
                state.flushed = flushed.is_ok() && state.turn == turn;
                drop(state);
                flushed
            }
            Phase::Shipping | Phase::Indexing => {
                self.look_now(self.tenants.all()).await.map_err(|(tenant, e)| format!("tenant {tenant}: {e}"))
            }
            Phase::Safe => {
                self.lifecycle.gone();
                Ok(())
            }
        };
        let mut state = self.departure.state.lock();
        // Of the last step that had something to do.
        match (result, at) {
            (Err(error), _) => {
                tracing::warn!(error, phase = ?at, "not ready to be removed yet; trying again");
                state.last_error = Some(error);
            }
            (Ok(()), Phase::Flushing | Phase::Shipping | Phase::Indexing | Phase::Safe) => state.last_error = None,
            (Ok(()), _) => {}
        }
        drop(state);
        phase(&self.departure_facts())
    }
}

/// Runs until it is dropped.
pub(crate) async fn run(shared: &Arc<Shared>) {
    let mut before = Phase::NotRequested;
    loop {
        let now = shared.departure_step().await;
        if now != before {
            tracing::info!(phase = ?now, "preparing to be removed");
            // The next step may be there already.
            before = now;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shared.departure.changed.notified() => {}
        }
    }
}
