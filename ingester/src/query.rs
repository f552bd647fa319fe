//! Reading the heads and the blocks.
//!
//! All work on them is done on the query pool, in pieces of some milliseconds; between two pieces nothing is held but the list of what is
//! still to be read. A stream is pulled by its consumer: one that is slow holds no thread, and one that is dropped ends the query.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use model::{Labels, Matcher, Metadata};
use rpc::{CallContext, ExemplarSeries, HELD_FOR, LabelValuesRequest, SelectStream, SeriesRequest, StreamSelectRequest};

use crate::error::Error;
use crate::service::Ingester;

mod cardinality;
mod merged;
mod sources;
mod stream;

use sources::Sources;
pub(crate) use stream::MAX_OPEN_QUERIES;

impl Ingester {
    /// See [`rpc::IngesterClient::select`].
    pub(crate) async fn select_stream(&self, ctx: &CallContext, request: StreamSelectRequest) -> Result<SelectStream, Error> {
        self.complete(ctx).await?;
        match self.shared.tenants.get(&ctx.tenant) {
            Some(tenant) if request.min_t <= request.max_t => stream::open(&self.shared, ctx, &tenant, request).await,
            _ => Ok(Box::pin(futures::stream::empty())),
        }
    }

    /// See [`rpc::IngesterClient::series`].
    pub(crate) async fn list_series(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<Labels>, Error> {
        let bound = self.bound(ctx, request.limit, "series");
        self.read(ctx, move |sources| {
            let (wanted, min_t, max_t) = (bound.ask(), request.min_t, request.max_t);
            let mut all = HashSet::new();
            for matchers in conjunctions(&request.selectors) {
                let found = sources.series(matchers, min_t, max_t, wanted)?;
                if request.selectors.len() <= 1 {
                    return bound.check(found);
                }
                all.extend(found);
                if all.len() >= wanted {
                    break;
                }
            }
            bound.check(all.into_iter().take(wanted).collect())
        })
        .await
    }

    /// See [`rpc::IngesterClient::label_names`].
    pub(crate) async fn list_label_names(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<String>, Error> {
        let bound = self.bound(ctx, request.limit, "label names");
        self.read(ctx, move |sources| {
            let SeriesRequest { min_t, max_t, .. } = request;
            let names = |matchers: &[Matcher], wanted| sources.label_names(matchers, min_t, max_t, wanted);
            bound.check(union(&request.selectors, bound.ask(), names)?)
        })
        .await
    }

    /// See [`rpc::IngesterClient::label_values`].
    pub(crate) async fn list_label_values(&self, ctx: &CallContext, request: LabelValuesRequest) -> Result<Vec<String>, Error> {
        let bound = self.bound(ctx, request.series.limit, "label values");
        self.read(ctx, move |sources| {
            let SeriesRequest { min_t, max_t, .. } = request.series;
            let values = |matchers: &[Matcher], wanted| sources.label_values(&request.name, matchers, min_t, max_t, wanted);
            bound.check(union(&request.series.selectors, bound.ask(), values)?)
        })
        .await
    }

    /// See [`rpc::IngesterClient::metadata`].
    pub(crate) async fn list_metadata(&self, ctx: &CallContext, family: Option<String>) -> Result<Vec<Metadata>, Error> {
        // The head holds at most `max_metadata` of them.
        self.read(ctx, move |sources| Ok(sources.head.metadata(family.as_deref(), usize::MAX))).await
    }

    /// See [`rpc::IngesterClient::exemplars`].
    pub(crate) async fn list_exemplars(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<ExemplarSeries>, Error> {
        self.read(ctx, move |sources| {
            let sets: Vec<Vec<Matcher>> = conjunctions(&request.selectors).map(<[Matcher]>::to_vec).collect();
            // The head holds at most `max_exemplars` of them.
            let found = sources.head.exemplars(&sets, request.min_t, request.max_t).into_iter();
            let wanted = if request.limit == 0 { usize::MAX } else { request.limit };
            Ok(found.take(wanted).map(|s| ExemplarSeries { labels: s.labels, exemplars: s.exemplars }).collect())
        })
        .await
    }

    /// See [`rpc::IngesterClient::held_blocks`].
    pub(crate) async fn list_held_blocks(&self, ctx: &CallContext, min_t: i64, max_t: i64) -> Result<Vec<u128>, Error> {
        self.complete(ctx).await?;
        let Some(tenant) = self.shared.tenants.get(&ctx.tenant) else { return Ok(Vec::new()) };
        let held_for = i64::try_from(HELD_FOR.as_millis()).unwrap_or(i64::MAX);
        let until_ms = self.shared.clock.now_ms().saturating_add(held_for);
        Ok(tenant.blocks.set().held(min_t, max_t, until_ms, self.shared.retention_ms))
    }

    /// Waits until the heads hold everything that was acknowledged, at most until the deadline: an answer before would lack samples.
    async fn complete(&self, ctx: &CallContext) -> Result<(), Error> {
        self.shared.lifecycle.complete(ctx.deadline.remaining(&*self.shared.clock)).await
    }

    /// Runs a question on the query pool, at most until the deadline. A tenant without a head has nothing.
    async fn read<T: Default + Send + 'static>(
        &self,
        ctx: &CallContext,
        question: impl FnOnce(&Sources) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = &self.shared;
        self.complete(ctx).await?;
        let Some(tenant) = shared.tenants.get(&ctx.tenant) else { return Ok(T::default()) };
        let sources = Sources::of(shared, &tenant);
        let _permit = stream::admit(shared)?;
        let answer = shared.query_pool.run(move || question(&sources));
        match tokio::time::timeout(ctx.deadline.remaining(&*shared.clock), answer).await {
            Ok(answer) => answer.ok_or(Error::Panicked)?,
            Err(_) => Err(Error::DeadlineExceeded),
        }
    }

    fn bound(&self, ctx: &CallContext, limit: usize, what: &'static str) -> Bound {
        Bound { limit, max: self.shared.limits.of(&ctx.tenant).max_query_series, what }
    }
}

/// How large an answer may be: what was asked for, and never more than the tenant's limit.
#[derive(Debug, Clone, Copy)]
struct Bound {
    /// 0 is everything.
    limit: usize,
    max: usize,
    what: &'static str,
}

impl Bound {
    /// How many to look for: one more than allowed tells too many from enough.
    fn ask(self) -> usize {
        let too_many = self.max.saturating_add(1);
        if self.limit == 0 { too_many } else { self.limit.min(too_many) }
    }

    fn check<T>(self, found: Vec<T>) -> Result<Vec<T>, Error> {
        if found.len() > self.max { Err(Error::TooLargeAnswer { what: self.what, max: self.max }) } else { Ok(found) }
    }
}

/// The alternatives; none at all is the one that everything matches.
fn conjunctions(selectors: &[Arc<[Matcher]>]) -> impl Iterator<Item = &[Matcher]> {
    let everything: Option<&[Matcher]> = selectors.is_empty().then_some(&[]);
    everything.into_iter().chain(selectors.iter().map(|matchers| &**matchers))
}

/// The first `wanted` of the sorted union of what each alternative gives.
fn union(
    selectors: &[Arc<[Matcher]>],
    wanted: usize,
    mut ask: impl FnMut(&[Matcher], usize) -> Result<Vec<String>, Error>,
) -> Result<Vec<String>, Error> {
    let mut all = BTreeSet::new();
    for matchers in conjunctions(selectors) {
        let found = ask(matchers, wanted)?;
        if selectors.len() <= 1 {
            return Ok(found);
        }
        all.extend(found);
        while all.len() > wanted {
            all.pop_last();
        }
    }
    Ok(all.into_iter().collect())
}
