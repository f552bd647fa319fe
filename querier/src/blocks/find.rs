//! Finding the series of blocks: opening them, looking up what matches, and fetching what reading it takes.

use std::sync::Arc;

use bucket::cache::{BlockCache, OpenError, is_not_found};
use futures::{StreamExt, TryStreamExt};
use model::{Matcher, TenantId};
use rpc::{RpcError, RpcErrorKind};
use runtime::CpuPool;
use tsdb::block::{BlockError, BlockUnion, HashedBlock, Ulid};

/// Blocks of one query that are looked at at a time.
const CONCURRENT_BLOCKS: usize = 16;

/// Why blocks were not read.
#[derive(Debug)]
pub(super) enum Failure {
    /// One is not there, or a part of it. The index may be old.
    Gone(Ulid, String),
    /// Something else.
    Failed(RpcError),
}

impl From<Failure> for RpcError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Gone(block, text) => {
                Self::new(RpcErrorKind::Internal, format!("block {block} is in the bucket index but not in the bucket: {text}"))
            }
            Failure::Failed(error) => error,
        }
    }
}

impl Failure {
    pub(super) fn of_open(block: Ulid, error: &OpenError) -> Self {
        match error.is_not_found() {
            true => Self::Gone(block, error.to_string()),
            false => Self::Failed(RpcError::unavailable(error.to_string())),
        }
    }

    pub(super) fn of_read(block: Ulid, error: &BlockError) -> Self {
        match is_not_found(error) {
            true => Self::Gone(block, error.to_string()),
            false => Self::Failed(RpcError::new(RpcErrorKind::Internal, format!("block {block} cannot be read: {error}"))),
        }
    }

    pub(super) fn panicked() -> Self {
        Self::Failed(RpcError::internal("reading blocks panicked; the log says where"))
    }
}

/// What is looked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) matchers: Arc<[Matcher]>,
    pub(super) min_t: i64,
    pub(super) max_t: i64,
    pub(super) max_series: usize,
}

/// Opens blocks, in the order in which they are given, leaving out those that are downsampled: their raw samples are in another one.
pub(super) async fn open(cache: &BlockCache, tenant: &TenantId, blocks: &[Ulid]) -> Result<Vec<Arc<HashedBlock>>, Failure> {
    let opened = futures::stream::iter(blocks.iter().copied()).map(|block| async move {
        let opened = cache.block(tenant, block).await;
        opened.map_err(|error| Failure::of_open(block, &error))
    });
    let opened: Vec<_> = opened.buffered(CONCURRENT_BLOCKS).try_collect().await?;
    Ok(opened.into_iter().filter(|block| block.block().meta().thanos.as_ref().is_none_or(|t| t.downsample.resolution == 0)).collect())
}

/// Finds the series, and fetches their chunks.
pub(super) async fn find(
    cache: &BlockCache,
    pool: &CpuPool,
    tenant: &TenantId,
    blocks: &[Ulid],
    wanted: &Wanted,
) -> Result<BlockUnion, Failure> {
    let opened = open(cache, tenant, blocks).await?;
    let found = futures::stream::iter(opened).map(|block| {
        let (wanted, pool) = (wanted.clone(), pool.clone());
        async move { pool.run(move || find_in(block, &wanted)).await.unwrap_or_else(|| Err(Failure::panicked())) }
    });
    let mut found = std::pin::pin!(found.buffered(CONCURRENT_BLOCKS));
    let mut union = BlockUnion::new(wanted.min_t, wanted.max_t);
    while let Some(found) = found.next().await {
        let (block, positions) = found?;
        union.add(block, positions);
    }
    Ok(union)
}

fn find_in(block: Arc<HashedBlock>, wanted: &Wanted) -> Result<(Arc<HashedBlock>, Vec<u32>), Failure> {
    let name = block.block().meta().ulid;
    let failed = |error: BlockError| Failure::of_read(name, &error);
    let positions = block.select(&wanted.matchers, wanted.min_t, wanted.max_t).map_err(failed)?;
    if positions.len() > wanted.max_series {
        return Err(Failure::Failed(too_many_series(wanted.max_series)));
    }
    let mut in_order = positions.clone();
    in_order.sort_unstable();
    block.prefetch(&in_order, wanted.min_t, wanted.max_t).map_err(failed)?;
    Ok((block, positions))
}

pub(super) fn too_many_series(max: usize) -> RpcError {
    RpcError::new(RpcErrorKind::LimitExceeded, format!("the query reads more than {max} series (limit: max_query_series)"))
}
