//! Which ingester gets which series of a batch. Pure.

use std::sync::Arc;

use model::hash::TenantSeed;
use model::{SeriesHash, TenantId, WriteBatch};
use ring::{InstanceIndex, Ring, WriteQuorum};
use rpc::PushSlice;

/// One push per ingester, and what tells when enough of them succeeded.
#[derive(Debug)]
pub struct ShardedBatch {
    /// Ascending by ingester; each gets one.
    pub slices: Vec<(InstanceIndex, PushSlice)>,
    /// Told of the outcomes by place in `slices`.
    pub quorum: WriteQuorum,
}

/// Splits a batch; `spare` names ingesters to leave out if that is possible. Metadata belongs to no series; all of a tenant's goes to the replicas of one key made of the tenant's name.
#[must_use]
pub fn shard(ring: &Ring, tenant: &TenantId, batch: &Arc<WriteBatch>, spare: impl FnMut(InstanceIndex) -> bool) -> ShardedBatch {
    let seed = TenantSeed::of(tenant);
    let series = batch.series.len();
    let tokens = batch.series.iter().map(|s| s.hash.token(seed));
    // The metadata stands as one more series after the last.
    let metadata = (!batch.metadata.is_empty()).then(|| SeriesHash(0).token(seed));
    let plan = ring.plan_write_sparing(tokens.chain(metadata), spare);
    let slices = plan.targets.into_iter().map(|target| {
        let (picked, metadata) = match target.series {
            None => (None, metadata.is_some()),
            Some(picked) => without_metadata(picked, series),
        };
        (target.instance, PushSlice { batch: Arc::clone(batch), series: picked, metadata })
    });
    ShardedBatch { slices: slices.collect(), quorum: plan.quorum }
}

/// Takes the place that stands for the metadata off the end.
fn without_metadata(picked: Arc<[u32]>, series: usize) -> (Option<Arc<[u32]>>, bool) {
    match picked.split_last() {
        Some((last, rest)) if *last as usize == series => (Some(rest.into()), true),
        // All series, but not the metadata.
        _ if picked.len() == series => (None, false),
        _ => (Some(picked), false),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use model::{BatchBuilder, Labels, Metadata, MetricType, Sample, TenantId};
    use ring::{Instance, InstanceId, InstanceState, Ring, Role};

    use super::shard;

    fn ring(instances: usize, replication_factor: usize) -> Ring {
        let instance = |i| Instance {
            id: InstanceId::new(&format!("ingester-{i}")).unwrap(),
            role: Role::Ingester,
            address: String::new(),
            zone: format!("zone-{}", i % 3),
            state: InstanceState::Active,
            epoch: 1,
            registered_at_ms: 0,
            moved_at_ms: 0,
            emptied_at_ms: 0,
        };
        Ring::build((0..instances).map(instance).collect(), replication_factor)
    }

    fn batch(series: usize, metadata: bool) -> Arc<model::WriteBatch> {
        let mut builder = BatchBuilder::new(Bytes::new());
        for i in 0..series {
            builder.sample(Sample { t: 1, v: 1.0 });
            let labels = Labels::from_pairs([("__name__", "up"), ("i", &i.to_string())]);
            builder.end_series_with(labels.hash(), labels.as_block());
        }
        if metadata {
            builder.metadata(Metadata { family: "up".into(), metric_type: MetricType::Gauge, help: String::new(), unit: String::new() });
        }
        Arc::new(builder.finish())
    }

    #[test]
    fn every_series_goes_to_its_replicas_and_metadata_to_some() {
        let tenant = TenantId::anonymous();
        for (instances, factor) in [(1, 1), (3, 3), (6, 3), (4, 1)] {
            let sharded = shard(&ring(instances, factor), &tenant, &batch(500, true), |_| false);
            let mut copies = vec![0; 500];
            for (_, slice) in &sharded.slices {
                match &slice.series {
                    None => copies.iter_mut().for_each(|n| *n += 1),
                    Some(picked) => picked.iter().for_each(|i| copies[*i as usize] += 1),
                }
            }
            assert!(copies.iter().all(|n| *n == factor), "{instances} {factor} {copies:?}");
            assert_eq!(sharded.slices.iter().filter(|(_, slice)| slice.metadata).count(), factor);
        }
        let whole = shard(&ring(3, 3), &tenant, &batch(10, false), |_| false);
        assert!(whole.slices.iter().all(|(_, slice)| slice.series.is_none() && !slice.metadata));
    }

    #[test]
    fn metadata_alone_is_a_push() {
        let sharded = shard(&ring(5, 3), &TenantId::anonymous(), &batch(0, true), |_| false);
        assert_eq!(sharded.slices.len(), 3);
        assert!(sharded.slices.iter().all(|(_, slice)| slice.metadata && slice.series.as_deref().unwrap_or_default().is_empty()));
    }
}
