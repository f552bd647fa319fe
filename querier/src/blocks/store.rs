//! Reading the blocks of the object store.

use std::collections::{BTreeSet, HashSet};
use std::future::Future;
use std::sync::Arc;

use bucket::BlockCache;
use limits::LimitsProvider;
use model::{Labels, Matcher};
use rpc::{CallContext, LabelValuesRequest, RpcError, SelectStream, SeriesRequest, StreamSelectRequest};
use runtime::CpuPool;
use tsdb::block::{BlockError, HashedBlock, Ulid};

use super::catalog::Catalog;
use super::find::{self, Failure, Wanted};
use super::{plan, stream};
use crate::ingesters::Ingesters;

/// The object store as a source of series. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    catalog: Catalog,
    cache: BlockCache,
    /// Threads that read blocks; most of the time they wait for the store.
    pool: CpuPool,
    limits: LimitsProvider,
}

impl Store {
    /// A store that reads blocks through `cache` on threads of `pool`, which nothing else should use that must not wait.
    #[must_use]
    pub fn new(catalog: Catalog, cache: BlockCache, pool: CpuPool, limits: LimitsProvider) -> Self {
        Self { catalog, cache, pool, limits }
    }

    /// The series that blocks have beyond what the ingesters hold, ascending by hash; `None` if there are no such blocks.
    pub async fn select(
        &self,
        ctx: &CallContext,
        ingesters: &Ingesters,
        request: &StreamSelectRequest,
    ) -> Result<Option<SelectStream>, RpcError> {
        let StreamSelectRequest { matchers, min_t, max_t, .. } = request;
        let max_series = self.limits.of(&ctx.tenant).max_query_series;
        let wanted = Wanted { matchers: Arc::clone(matchers), min_t: *min_t, max_t: *max_t, max_series };
        let found = self.over_blocks(ctx, ingesters, *min_t, *max_t, |blocks| {
            let (this, tenant, wanted) = (self.clone(), ctx.tenant.clone(), wanted.clone());
            async move { find::find(&this.cache, &this.pool, &tenant, &blocks, &wanted).await }
        });
        let found = found.await?;
        Ok(found.filter(|union| !union.is_empty()).map(|union| stream::read(union, max_series, self.pool.clone())))
    }

    /// As [`rpc::IngesterClient::series`].
    pub async fn series(&self, ctx: &CallContext, ingesters: &Ingesters, request: &SeriesRequest) -> Result<Vec<Labels>, RpcError> {
        let limit = self.bound(ctx, request);
        let (min_t, max_t) = (request.min_t, request.max_t);
        let found = self.visit(ctx, ingesters, request, move |block, matchers, all: &mut HashSet<Labels>| {
            block.visit_labels(matchers, min_t, max_t, &mut |labels| {
                all.insert(labels);
                all.len() < limit
            })
        });
        Ok(found.await?.into_iter().collect())
    }

    /// As [`rpc::IngesterClient::label_names`].
    pub async fn label_names(&self, ctx: &CallContext, ingesters: &Ingesters, request: &SeriesRequest) -> Result<Vec<String>, RpcError> {
        let (min_t, max_t) = (request.min_t, request.max_t);
        let found = self.visit(ctx, ingesters, request, move |block, matchers, all: &mut BTreeSet<String>| {
            block.add_label_names(matchers, min_t, max_t, all)
        });
        Ok(found.await?.into_iter().take(self.bound(ctx, request)).collect())
    }

    /// As [`rpc::IngesterClient::label_values`].
    pub async fn label_values(
        &self,
        ctx: &CallContext,
        ingesters: &Ingesters,
        request: &LabelValuesRequest,
    ) -> Result<Vec<String>, RpcError> {
        let name = request.name.clone();
        let (min_t, max_t, limit) = (request.series.min_t, request.series.max_t, self.bound(ctx, &request.series));
        let found = self.visit(ctx, ingesters, &request.series, move |block, matchers, all: &mut BTreeSet<String>| {
            block.add_label_values(&name, matchers, min_t, max_t, all)?;
            while all.len() > limit {
                all.pop_last();
            }
            Ok(())
        });
        Ok(found.await?.into_iter().collect())
    }

    /// One more than a caller may have, who sees by that that there are more.
    fn bound(&self, ctx: &CallContext, request: &SeriesRequest) -> usize {
        let max = self.limits.of(&ctx.tenant).max_query_series.saturating_add(1);
        if request.limit == 0 { max } else { request.limit.min(max) }
    }

    /// Calls `look` with every block and each of the alternatives, one after the other.
    async fn visit<T: Default + Send + 'static>(
        &self,
        ctx: &CallContext,
        ingesters: &Ingesters,
        request: &SeriesRequest,
        look: impl Fn(&HashedBlock, &[Matcher], &mut T) -> Result<(), BlockError> + Send + Sync + 'static,
    ) -> Result<T, RpcError> {
        let look = Arc::new(look);
        let looked = self.over_blocks(ctx, ingesters, request.min_t, request.max_t, |blocks| {
            let (this, tenant) = (self.clone(), ctx.tenant.clone());
            let (look, selectors) = (Arc::clone(&look), request.selectors.clone());
            async move {
                let opened = find::open(&this.cache, &tenant, &blocks).await?;
                let all = move || look_at_all(&opened, &selectors, &*look);
                this.pool.run(all).await.unwrap_or_else(|| Err(Failure::panicked()))
            }
        });
        Ok(looked.await?.unwrap_or_default())
    }

    /// Does something with the blocks that have to be read for a time range; `None` if there are none. If one of them has gone meanwhile, the index is read anew, and
    /// it is done once more with what that shows.
    async fn over_blocks<T, Fut>(
        &self,
        ctx: &CallContext,
        ingesters: &Ingesters,
        min_t: i64,
        max_t: i64,
        work: impl Fn(Vec<Ulid>) -> Fut,
    ) -> Result<Option<T>, RpcError>
    where
        Fut: Future<Output = Result<T, Failure>> + Send,
    {
        let all = async {
            let blocks = self.blocks(ctx, ingesters, min_t, max_t, false).await?;
            if blocks.is_empty() {
                return Ok(None);
            }
            match work(blocks.clone()).await {
                Err(Failure::Gone(block, text)) => {
                    self.cache.forget(&ctx.tenant, block);
                    let newer = self.blocks(ctx, ingesters, min_t, max_t, true).await?;
                    if newer == blocks {
                        return Err(Failure::Gone(block, text).into());
                    }
                    tracing::info!(%block, text, "a block has gone while it was read; reading what replaced it");
                    if newer.is_empty() { Ok(None) } else { work(newer).await.map(Some).map_err(RpcError::from) }
                }
                done => done.map(Some).map_err(RpcError::from),
            }
        };
        self.in_time(ctx, all).await
    }

    /// The blocks that have to be read beside what the ingesters hold.
    async fn blocks(&self, ctx: &CallContext, ingesters: &Ingesters, min_t: i64, max_t: i64, newest: bool) -> Result<Vec<Ulid>, RpcError> {
        let index = if newest { self.catalog.newest(&ctx.tenant).await } else { self.catalog.index(&ctx.tenant).await };
        let index = index.map_err(|error| RpcError::unavailable(error.to_string()))?;
        let candidates = plan::candidates(&index, min_t, max_t);
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        // Those of a zone that is not read are worth knowing, too: they need not be read from the store.
        let held = ingesters.ask_everyone(&ctx.tenant, |client| {
            let ctx = ctx.clone();
            async move { client.held_blocks(&ctx, min_t, max_t).await }
        });
        let held: HashSet<u128> = held.await?.into_iter().flatten().collect();
        Ok(plan::unheld(&candidates, &held))
    }

    async fn in_time<T>(&self, ctx: &CallContext, work: impl Future<Output = Result<T, RpcError>>) -> Result<T, RpcError> {
        match tokio::time::timeout(ctx.deadline.remaining(self.catalog.clock()), work).await {
            Ok(result) => result,
            Err(_) => Err(RpcError::new(rpc::RpcErrorKind::DeadlineExceeded, "the object store took too long")),
        }
    }
}

fn look_at_all<T: Default>(
    blocks: &[Arc<HashedBlock>],
    selectors: &[Arc<[Matcher]>],
    look: impl Fn(&HashedBlock, &[Matcher], &mut T) -> Result<(), BlockError>,
) -> Result<T, Failure> {
    let mut all = T::default();
    for block in blocks {
        let failed = |error: BlockError| Failure::of_read(block.block().meta().ulid, &error);
        if selectors.is_empty() {
            look(block, &[], &mut all).map_err(failed)?;
        }
        for matchers in selectors {
            look(block, matchers, &mut all).map_err(failed)?;
        }
    }
    Ok(all)
}
