//! A batch without the samples of replicas that are not elected, and without the label that tells replicas apart.

use std::collections::HashMap;
use std::sync::Arc;

use limits::Limits;
use model::labels::append_pair;
use model::{LabelBlock, RejectReason, Rewrite, TenantId, WriteBatch};

use super::tracker::Group;
use super::{Fate, Ha, rules};
use crate::refusals::{Counts, Refusals};

impl Ha {
    /// Takes out of a batch what is not the elected replicas'; how much that was. Series without both labels are left as they are. What belongs to a group beyond the
    /// tenant's limit is added to the refusals.
    pub(crate) async fn dedupe(
        &self,
        tenant: &TenantId,
        limits: &Limits,
        batch: WriteBatch,
        refusals: &mut Refusals,
    ) -> (WriteBatch, Counts) {
        let Found { replicas, of_series } = find(&batch, &limits.ha_cluster_label, &limits.ha_replica_label);
        if replicas.is_empty() {
            return (batch, Counts::default());
        }
        let rules = rules(limits);
        let mut fates = Vec::with_capacity(replicas.len());
        // One after the other, so that the limit of groups holds within a request, too.
        for (cluster, replica) in replicas {
            let group = Group { tenant: tenant.clone(), cluster };
            fates.push(self.fate(&group, &replica, rules).await);
        }
        let mut dropped = Counts::default();
        let mut fates_of_series = of_series.into_iter().map(|replica| replica.and_then(|r| fates.get(r as usize).copied()));
        let batch = batch.rewritten(|series, labels, out| {
            let counts = || Counts {
                samples: series.samples.len() as u64,
                histograms: series.histograms.len() as u64,
                exemplars: series.exemplars.len() as u64,
            };
            match fates_of_series.next().flatten() {
                None => Rewrite::Keep,
                Some(Fate::Take) => {
                    without(labels, &limits.ha_replica_label, out);
                    Rewrite::Replace
                }
                Some(Fate::Drop) => {
                    dropped = dropped.plus(counts());
                    Rewrite::Drop
                }
                Some(Fate::Refuse) => {
                    let detail = limits::named("ha_max_clusters", limits.ha_max_clusters, "groups of replicas");
                    refusals.add(RejectReason::TooManyHaClusters, counts(), detail, || format!("{labels:?}"));
                    Rewrite::Drop
                }
            }
        });
        (batch, dropped)
    }
}

/// The replicas of a batch.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// Each once: group and replica.
    replicas: Vec<(Arc<str>, Arc<str>)>,
    /// For each series, whose it is, by place in `replicas`.
    of_series: Vec<Option<u32>>,
}

fn find(batch: &WriteBatch, cluster_label: &str, replica_label: &str) -> Found {
    let mut known: HashMap<(&str, &str), u32> = HashMap::new();
    // A sender's series mostly have the same two values, one after the other.
    let mut last: Option<((&str, &str), u32)> = None;
    let of_series = batch.series.iter().map(|series| {
        let labels = batch.labels(series);
        let both = (labels.get(cluster_label)?, labels.get(replica_label)?);
        if let Some((_, place)) = last.filter(|(seen, _)| *seen == both) {
            return Some(place);
        }
        let next = known.len() as u32;
        let place = *known.entry(both).or_insert(next);
        last = Some((both, place));
        Some(place)
    });
    let of_series = of_series.collect();
    let mut replicas: Vec<_> = known.into_iter().collect();
    replicas.sort_unstable_by_key(|(_, place)| *place);
    Found { replicas: replicas.into_iter().map(|((cluster, replica), _)| (cluster.into(), replica.into())).collect(), of_series }
}

fn without(labels: LabelBlock<'_>, name: &str, out: &mut Vec<u8>) {
    for (n, value) in labels.iter().filter(|(n, _)| *n != name) {
        append_pair(out, n, value);
    }
}
