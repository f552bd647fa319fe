//! Reading the heads.
//!
//! All work on heads is done on the query pool, in pieces of some milliseconds; between two pieces nothing is held but the list of what is
//! still to be read. A stream is pulled by its consumer: one that is slow holds no thread, and one that is dropped ends the query.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use model::{Labels, Matcher, Metadata};
use rpc::{CallContext, ExemplarSeries, LabelValuesRequest, SelectStream, SeriesRequest, StreamSelectRequest};
use tsdb::Head;

use crate::error::Error;
use crate::service::Ingester;

mod stream;

pub(crate) use stream::MAX_OPEN_QUERIES;

impl Ingester {
    /// See [`rpc::IngesterClient::select`].
    pub(crate) async fn select_stream(&self, ctx: &CallContext, request: StreamSelectRequest) -> Result<SelectStream, Error> {
        self.shared.lifecycle.check_query()?;
        match self.head(ctx) {
            Some(head) if request.min_t <= request.max_t => stream::open(&self.shared, ctx, head, request).await,
            _ => Ok(Box::pin(futures::stream::empty())),
        }
    }

    /// See [`rpc::IngesterClient::series`].
    pub(crate) async fn list_series(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<Labels>, Error> {
        let bound = self.bound(ctx, request.limit, "series");
        self.read(ctx, move |head| {
            let (wanted, min_t, max_t) = (bound.ask(), request.min_t, request.max_t);
            if let [] | [_] = &request.selectors[..] {
                return bound.check(conjunctions(&request.selectors).flat_map(|m| head.series(m, min_t, max_t, wanted)).collect());
            }
            let mut all = HashSet::new();
            for matchers in conjunctions(&request.selectors) {
                all.extend(head.series(matchers, min_t, max_t, wanted));
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
        self.read(ctx, move |head| {
            let SeriesRequest { min_t, max_t, .. } = request;
            let names = |matchers: &[Matcher], wanted| head.label_names(matchers, min_t, max_t, wanted);
            bound.check(union(&request.selectors, bound.ask(), names))
        })
        .await
    }

    /// See [`rpc::IngesterClient::label_values`].
    pub(crate) async fn list_label_values(&self, ctx: &CallContext, request: LabelValuesRequest) -> Result<Vec<String>, Error> {
        let bound = self.bound(ctx, request.series.limit, "label values");
        self.read(ctx, move |head| {
            let SeriesRequest { min_t, max_t, .. } = request.series;
            let values = |matchers: &[Matcher], wanted| head.label_values(&request.name, matchers, min_t, max_t, wanted);
            bound.check(union(&request.series.selectors, bound.ask(), values))
        })
        .await
    }

    /// See [`rpc::IngesterClient::metadata`].
    pub(crate) async fn list_metadata(&self, ctx: &CallContext, family: Option<String>) -> Result<Vec<Metadata>, Error> {
        // The head holds at most `max_metadata` of them.
        self.read(ctx, move |head| Ok(head.metadata(family.as_deref(), usize::MAX))).await
    }

    /// See [`rpc::IngesterClient::exemplars`].
    pub(crate) async fn list_exemplars(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<ExemplarSeries>, Error> {
        self.read(ctx, move |head| {
            let sets: Vec<Vec<Matcher>> = conjunctions(&request.selectors).map(<[Matcher]>::to_vec).collect();
            // The head holds at most `max_exemplars` of them.
            let found = head.exemplars(&sets, request.min_t, request.max_t).into_iter();
            let wanted = if request.limit == 0 { usize::MAX } else { request.limit };
            Ok(found.take(wanted).map(|s| ExemplarSeries { labels: s.labels, exemplars: s.exemplars }).collect())
        })
        .await
    }

    fn head(&self, ctx: &CallContext) -> Option<Arc<Head>> {
        self.shared.tenants.get(&ctx.tenant).map(|tenant| Arc::clone(&tenant.head))
    }

    /// Runs a question on the query pool, at most until the deadline. A tenant without a head has nothing.
    async fn read<T: Default + Send + 'static>(
        &self,
        ctx: &CallContext,
        question: impl FnOnce(&Head) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = &self.shared;
        shared.lifecycle.check_query()?;
        let Some(head) = self.head(ctx) else { return Ok(T::default()) };
        let _permit = stream::admit(shared)?;
        let answer = shared.query_pool.run(move || question(&head));
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
fn union(selectors: &[Arc<[Matcher]>], wanted: usize, mut ask: impl FnMut(&[Matcher], usize) -> Vec<String>) -> Vec<String> {
    if let [] | [_] = selectors {
        return conjunctions(selectors).flat_map(|matchers| ask(matchers, wanted)).collect();
    }
    let mut all = BTreeSet::new();
    for matchers in conjunctions(selectors) {
        all.extend(ask(matchers, wanted));
        while all.len() > wanted {
            all.pop_last();
        }
    }
    all.into_iter().collect()
}
