//! What there is to query: series, labels, metadata and exemplars, of every source that knows some.
//!
//! Sources overlap (replicas do, and what is in an ingester may be in the object store as well): answers here name everything once. An answer is complete or
//! it is an error, as for samples.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use model::{Exemplar, Labels, Metadata};
use rpc::{CallContext, IngesterClient, LabelNamesRequest, LabelValuesRequest, RpcError, SeriesRequest};

use crate::blocks::Store;
use crate::ingesters::Ingesters;

/// All sources as one. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    ingesters: Ingesters,
    store: Option<Store>,
}

impl Directory {
    /// The directory of these sources.
    #[must_use]
    pub fn new(ingesters: Ingesters, store: Option<Store>) -> Self {
        Self { ingesters, store }
    }

    /// Label sets of the series that match, ascending. With a limit of the request there may be more than that: as many from each source.
    pub async fn series(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<Labels>, RpcError> {
        let stored = self.stored(|store| store.series(ctx, &self.ingesters, &request));
        let recent = self.ask(ctx, request.clone(), |client, ctx, request| async move { client.series(&ctx, request).await });
        let (recent, stored) = tokio::try_join!(recent, stored)?;
        let mut sets: Vec<Labels> = recent.into_iter().flatten().chain(stored).collect();
        sets.sort_unstable();
        sets.dedup();
        Ok(sets)
    }

    /// Names of labels of the series that match, ascending. A limit is as in [`Directory::series`].
    pub async fn label_names(&self, ctx: &CallContext, request: LabelNamesRequest) -> Result<Vec<String>, RpcError> {
        let stored = self.stored(|store| store.label_names(ctx, &self.ingesters, &request));
        let recent = self.ask(ctx, request.clone(), |client, ctx, request| async move { client.label_names(&ctx, request).await });
        let (recent, stored) = tokio::try_join!(recent, stored)?;
        Ok(united(recent, stored))
    }

    /// Values of a label of the series that match, ascending. A limit is as in [`Directory::series`].
    pub async fn label_values(&self, ctx: &CallContext, request: LabelValuesRequest) -> Result<Vec<String>, RpcError> {
        let stored = self.stored(|store| store.label_values(ctx, &self.ingesters, &request));
        let recent = self.ask(ctx, request.clone(), |client, ctx, request| async move { client.label_values(&ctx, request).await });
        let (recent, stored) = tokio::try_join!(recent, stored)?;
        Ok(united(recent, stored))
    }

    /// Metadata by family, of one family or of all.
    pub async fn metadata(&self, ctx: &CallContext, family: Option<String>) -> Result<BTreeMap<String, BTreeSet<Metadata>>, RpcError> {
        let answers = self.ask(ctx, family, |client, ctx, family| async move { client.metadata(&ctx, family).await }).await?;
        let mut families: BTreeMap<String, BTreeSet<Metadata>> = BTreeMap::new();
        for entry in answers.into_iter().flatten() {
            families.entry(entry.family.clone()).or_default().insert(entry);
        }
        Ok(families)
    }

    /// Exemplars of the series that match, ascending in time, then by labels.
    pub async fn exemplars(&self, ctx: &CallContext, request: SeriesRequest) -> Result<BTreeMap<Labels, Vec<Exemplar>>, RpcError> {
        let answers = self.ask(ctx, request, |client, ctx, request| async move { client.exemplars(&ctx, request).await }).await?;
        let mut merged: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        for series in answers.into_iter().flatten() {
            merged.entry(series.labels).or_default().extend(series.exemplars);
        }
        for exemplars in merged.values_mut() {
            exemplars.sort_by(|a, b| a.t.cmp(&b.t).then_with(|| a.labels.cmp(&b.labels)));
            exemplars.dedup();
        }
        Ok(merged)
    }

    /// What the object store has beyond the ingesters.
    async fn stored<'a, T, Fut>(&'a self, ask: impl FnOnce(&'a Store) -> Fut) -> Result<Vec<T>, RpcError>
    where
        Fut: Future<Output = Result<Vec<T>, RpcError>>,
    {
        match &self.store {
            Some(store) => ask(store).await,
            None => Ok(Vec::new()),
        }
    }

    /// Asks every ingester the same.
    async fn ask<R, T, F, Fut>(&self, ctx: &CallContext, request: R, call: F) -> Result<Vec<T>, RpcError>
    where
        R: Clone,
        F: Fn(Arc<dyn IngesterClient>, CallContext, R) -> Fut,
        Fut: Future<Output = Result<T, RpcError>> + Send,
        T: Send,
    {
        self.ingesters.ask(&ctx.tenant, |client| call(client, ctx.clone(), request.clone())).await
    }
}

fn united(recent: Vec<Vec<String>>, stored: Vec<String>) -> Vec<String> {
    recent.into_iter().flatten().chain(stored).collect::<BTreeSet<_>>().into_iter().collect()
}
