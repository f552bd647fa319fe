//! One tenant's blocks on their way to the store.

use std::sync::Arc;

use bucket::BucketError;
use model::TenantId;
use tokio::sync::{Mutex, MutexGuard};
use tsdb::block::{BlockMeta, ThanosMeta};

use super::note;
use super::plan::{Effort, Plan, Stage, after_look, plan};
use crate::backoff::Backoff;
use crate::blocks::LocalBlock;
use crate::service::Shared;
use crate::tenants::Tenant;

/// What wrote a block, in the words of Thanos, which Cortex and Mimir use for their ingesters' blocks too.
const SOURCE: &str = "receive";

/// Whose turn it is to ship a tenant's blocks, and what is remembered from one turn to the next.
#[derive(Debug, Default)]
pub(crate) struct TenantShipping(Mutex<Turn>);

#[derive(Debug, Default)]
struct Turn {
    /// After errors of the store.
    backoff: Backoff,
    /// When the index was read.
    looked_ms: Option<i64>,
}

/// Why a block is not in the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The store; what is left of the tenant's blocks is not tried either.
    #[error("{0}")]
    Store(#[from] BucketError),
    /// The block's own files. It is set aside, others go on.
    #[error("block {dir} cannot be read: {cause}")]
    Block {
        /// Where it lies.
        dir: String,
        /// What the system said.
        cause: String,
    },
}

impl Failure {
    fn of(block: &LocalBlock, cause: impl ToString) -> Self {
        Self::Block { dir: block.dir().display().to_string(), cause: cause.to_string() }
    }

    /// Whether others would meet it too.
    pub(crate) fn is_of_store(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

impl TenantShipping {
    /// The turn; `None` if somebody has it and there is no hurry.
    async fn turn(&self, effort: Effort) -> Option<MutexGuard<'_, Turn>> {
        match effort {
            Effort::Due => self.0.try_lock().ok(),
            Effort::Now | Effort::Look => Some(self.0.lock().await),
        }
    }
}

impl Shared {
    /// Brings the tenant's blocks a step further. The error is the first of several.
    pub(super) async fn ship_tenant(&self, id: &TenantId, tenant: &Tenant, effort: Effort) -> Result<(), Failure> {
        let Some(mut turn) = tenant.shipping.turn(effort).await else { return Ok(()) };
        if effort == Effort::Due && !turn.backoff.is_over(self.clock.now_ms()) {
            return Ok(());
        }
        let result = self.ship_in_turn(id, tenant, &mut turn, effort).await;
        match &result {
            Err(error) if error.is_of_store() => {
                self.metrics.ship_failed("store");
                turn.backoff.failed(self.clock.now_ms());
                tracing::warn!(tenant = %id, %error, "blocks could not be shipped: they stay here, and it is tried again");
            }
            _ => turn.backoff = Backoff::default(),
        }
        result
    }

    async fn ship_in_turn(&self, id: &TenantId, tenant: &Tenant, turn: &mut Turn, effort: Effort) -> Result<(), Failure> {
        // The blocks and not the set: who holds that counts as a query.
        let blocks = tenant.blocks.set().blocks().to_vec();
        let on_their_way: Vec<_> = blocks.iter().map(|block| block.on_its_way()).collect();
        let Plan { ship, look } = plan(&on_their_way, turn.looked_ms, effort, self.clock.now_ms());
        let mut first = Ok(());
        for block in ship.into_iter().filter_map(|i| blocks.get(i)) {
            let shipped = self.ship_block(id, block).await;
            match shipped {
                Err(error) if error.is_of_store() => return Err(error),
                Err(error) => {
                    self.metrics.ship_failed("block");
                    block.not_readable(self.clock.now_ms());
                    tracing::error!(tenant = %id, %error, "a block is set aside and not shipped (docs/runbooks/unshipped-blocks.md)");
                    first = first.and(Err(error));
                }
                Ok(()) => {}
            }
        }
        if look {
            self.look(id, &blocks, turn).await?;
        }
        first
    }

    async fn ship_block(&self, tenant: &TenantId, block: &Arc<LocalBlock>) -> Result<(), Failure> {
        let tried = block.on_its_way().stage == Stage::Waiting { tried: true };
        // From here on it may be there.
        block.set_stage(Stage::Waiting { tried: true });
        if !(tried && self.is_stored(tenant, block).await?) {
            let started = self.clock.monotonic();
            let bytes = self.upload(tenant, block).await?;
            let seconds = self.clock.monotonic().saturating_sub(started).as_secs_f64();
            self.metrics.block_shipped(bytes);
            tracing::info!(%tenant, block = %block.ulid(), bytes, seconds, "block shipped");
        }
        self.note(block, Stage::Stored { at_ms: self.clock.now_ms() }).await;
        Ok(())
    }

    /// Whether the store has the whole block.
    async fn is_stored(&self, tenant: &TenantId, block: &LocalBlock) -> Result<bool, Failure> {
        match self.shipper.bucket.block_meta(tenant, block.ulid()).await {
            Ok(_) => Ok(true),
            // Damaged: written anew.
            Err(BucketError::NotFound { .. } | BucketError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn upload(&self, tenant: &TenantId, block: &Arc<LocalBlock>) -> Result<u64, Failure> {
        let (fs, reading) = (Arc::clone(&self.blocks.fs), Arc::clone(block));
        let read = self.tasks.spawn_blocking(move || BlockMeta::read(&*fs, reading.dir())).await;
        let mut meta = read.map_err(|e| Failure::of(block, e))?.map_err(|e| Failure::of(block, e))?;
        meta.thanos.get_or_insert_with(|| ThanosMeta { source: SOURCE.to_owned(), ..ThanosMeta::default() });
        match self.shipper.bucket.upload_block(tenant, &self.blocks.fs, block.dir(), &meta).await {
            Ok(uploaded) => Ok(uploaded.bytes),
            Err(error @ BucketError::Local { .. }) => Err(Failure::of(block, error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the index, and notes which blocks it shows.
    async fn look(&self, tenant: &TenantId, blocks: &[Arc<LocalBlock>], turn: &mut Turn) -> Result<(), Failure> {
        turn.looked_ms = Some(self.clock.now_ms());
        let index = self.shipper.bucket.index(tenant).await?;
        let before: Vec<_> = blocks.iter().map(|block| (block.ulid(), block.on_its_way().stage)).collect();
        let after = after_look(&before, index.as_ref(), self.clock.now_ms());
        for ((block, (_, before)), after) in blocks.iter().zip(before).zip(after) {
            match after {
                after if after == before => {}
                Stage::Waiting { .. } => {
                    tracing::error!(%tenant, block = %block.ulid(), "a block that was shipped is not in the bucket index: it is shipped again");
                    block.set_stage(after);
                }
                after => self.note(block, after).await,
            }
        }
        Ok(())
    }

    /// Remembers how far a block has come, also over a restart if that can be done.
    async fn note(&self, block: &Arc<LocalBlock>, stage: Stage) {
        block.set_stage(stage);
        let (fs, noting) = (Arc::clone(&self.blocks.fs), Arc::clone(block));
        let noted = self.tasks.spawn_blocking(move || note::write(&*fs, noting.dir(), stage)).await;
        if let Ok(Err(error)) = noted {
            tracing::warn!(%error, dir = %block.dir().display(), "how far a block has come could not be noted: after a restart the store is asked");
        }
    }
}
