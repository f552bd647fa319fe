//! The ingester as others in the same process see it: the same trait as over the wire, nothing serialised.

use std::sync::Arc;

use async_trait::async_trait;
use model::{Labels, Metadata, PushReport};
use ring::{Instance, InstanceId, Role};
use rpc::{
    CallContext, Cardinality, CardinalityRequest, ExemplarSeries, IngesterClient, IngesterPool, LabelNamesRequest, LabelValuesRequest,
    PushSlice, RpcError, SelectStream, SeriesRequest, StreamSelectRequest,
};

use crate::service::Ingester;

#[async_trait]
impl IngesterClient for Ingester {
    async fn push(&self, ctx: &CallContext, slice: PushSlice) -> Result<PushReport, RpcError> {
        Ok(self.push_slice(ctx, slice).await?)
    }

    async fn select(&self, ctx: &CallContext, request: StreamSelectRequest) -> Result<SelectStream, RpcError> {
        Ok(self.select_stream(ctx, request).await?)
    }

    async fn series(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<Labels>, RpcError> {
        Ok(self.list_series(ctx, request).await?)
    }

    async fn label_names(&self, ctx: &CallContext, request: LabelNamesRequest) -> Result<Vec<String>, RpcError> {
        Ok(self.list_label_names(ctx, request).await?)
    }

    async fn label_values(&self, ctx: &CallContext, request: LabelValuesRequest) -> Result<Vec<String>, RpcError> {
        Ok(self.list_label_values(ctx, request).await?)
    }

    async fn metadata(&self, ctx: &CallContext, family: Option<String>) -> Result<Vec<Metadata>, RpcError> {
        Ok(self.list_metadata(ctx, family).await?)
    }

    async fn exemplars(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<ExemplarSeries>, RpcError> {
        Ok(self.list_exemplars(ctx, request).await?)
    }

    async fn cardinality(&self, ctx: &CallContext, request: CardinalityRequest) -> Result<Cardinality, RpcError> {
        Ok(self.count_series(ctx, request).await?)
    }

    async fn held_blocks(&self, ctx: &CallContext, min_t: i64, max_t: i64) -> Result<Vec<u128>, RpcError> {
        Ok(self.list_held_blocks(ctx, min_t, max_t).await?)
    }
}

/// The pool of a process that has an ingester itself: calls to that one stay inside, calls to others go out.
#[derive(Clone)]
pub struct InProcessPool {
    own: InstanceId,
    ingester: Arc<dyn IngesterClient>,
    others: Arc<dyn IngesterPool>,
}

impl InProcessPool {
    /// A pool around the ingester of this process, which is registered as `own`.
    #[must_use]
    pub fn new(own: InstanceId, ingester: Ingester, others: Arc<dyn IngesterPool>) -> Self {
        Self { own, ingester: Arc::new(ingester), others }
    }
}

impl IngesterPool for InProcessPool {
    fn client(&self, instance: &Instance) -> Arc<dyn IngesterClient> {
        if instance.role == Role::Ingester && instance.id == self.own { Arc::clone(&self.ingester) } else { self.others.client(instance) }
    }
}

impl std::fmt::Debug for InProcessPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcessPool").field("own", &self.own).finish_non_exhaustive()
    }
}
