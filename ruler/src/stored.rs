//! The stored groups that this ruler evaluates: a listing of all, and what was read of its own.
//!
//! A group is read when its object changes or when it becomes this ruler's; what cannot be read stays as it was read last.

use std::collections::BTreeMap;
use std::sync::Arc;

use bucket::{BucketError, ObjectInfo};
use futures::StreamExt;
use model::TenantId;
use promql::ParseOptions;

use crate::group::GroupKey;
use crate::rule_file::{self, RuleGroup};
use crate::store::{Listed, RuleStore, StoreError};

/// Groups that are read at a time.
const CONCURRENT_READS: usize = 16;

/// How the expressions of a tenant are parsed: as the query path does.
pub type ParseFor = Arc<dyn Fn(&TenantId) -> ParseOptions + Send + Sync>;

/// A group that was read.
struct Read {
    seen: ObjectInfo,
    /// `None` if it was never right.
    group: Option<Arc<RuleGroup>>,
    /// Whether what was seen is wrong.
    wrong: bool,
}

/// What is known of the stored groups.
pub(crate) struct Stored {
    store: RuleStore,
    parse: ParseFor,
    /// Whose groups are looked at; `None` for everyone's.
    tenant: Option<TenantId>,
    listed: BTreeMap<GroupKey, ObjectInfo>,
    read: BTreeMap<GroupKey, Read>,
}

impl Stored {
    pub(crate) fn new(store: RuleStore, parse: ParseFor, tenant: Option<TenantId>) -> Self {
        Self { store, parse, tenant, listed: BTreeMap::new(), read: BTreeMap::new() }
    }

    /// All groups of the last listing, whoever evaluates them.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &GroupKey> {
        self.listed.keys()
    }

    /// Looks which groups there are.
    pub(crate) async fn list(&mut self) -> Result<(), BucketError> {
        let key = |l: &Listed| GroupKey::new(&l.tenant, &l.namespace, &l.group);
        self.listed = self.store.list(self.tenant.as_ref()).await?.into_iter().map(|l| (key(&l), l.info)).collect();
        Ok(())
    }

    /// Reads what is not known of the groups that `owns` names, forgets the others; how many of them could not be read or are wrong.
    pub(crate) async fn read(&mut self, owns: impl Fn(&GroupKey) -> bool) -> usize {
        let wanted: BTreeMap<&GroupKey, &ObjectInfo> = self.listed.iter().filter(|(key, _)| owns(key)).collect();
        self.read.retain(|key, _| wanted.contains_key(key));
        let unknown = |key: &GroupKey, info: &ObjectInfo| self.read.get(key).is_none_or(|read| read.seen != *info);
        let unknown: Vec<_> = wanted.into_iter().filter(|(key, info)| unknown(key, info)).map(|(k, i)| (k.clone(), i.clone())).collect();
        let store = &self.store;
        let reads = futures::stream::iter(unknown).map(|(key, info)| async move {
            let got = store.get(&key.tenant, &key.file, &key.name).await;
            (key, info, got)
        });
        let done: Vec<_> = reads.buffer_unordered(CONCURRENT_READS).collect().await;
        let mut failed = 0;
        for (key, info, got) in done {
            match got {
                // Deleted since it was listed; the next listing says so.
                Ok(None) => {}
                Ok(Some(group)) => {
                    let checked = rule_file::check_stored(&group, &(self.parse)(&key.tenant));
                    self.keep(key, info, checked.map_err(|errors| errors.join("; ")));
                }
                Err(StoreError::Bucket(error)) if error.is_temporary() => {
                    failed += 1;
                    tracing::warn!(tenant = %key.tenant, namespace = %key.file, group = %key.name, %error, "a rule group could not be read; what was read before stays in force");
                }
                Err(error) => self.keep(key, info, Err(error.to_string())),
            }
        }
        failed + self.read.values().filter(|read| read.wrong).count()
    }

    fn keep(&mut self, key: GroupKey, seen: ObjectInfo, checked: Result<RuleGroup, String>) {
        let before = self.read.remove(&key).and_then(|read| read.group);
        let read = match checked {
            Ok(group) => Read { seen, group: Some(Arc::new(group)), wrong: false },
            Err(error) => {
                tracing::error!(tenant = %key.tenant, namespace = %key.file, group = %key.name, error, "a stored rule group is wrong; what was read before stays in force");
                Read { seen, group: before, wrong: true }
            }
        };
        self.read.insert(key, read);
    }

    /// The groups that are read and that `owns` names.
    pub(crate) fn groups(&self, owns: impl Fn(&GroupKey) -> bool) -> impl Iterator<Item = (GroupKey, Arc<RuleGroup>)> {
        let owned = self.read.iter().filter(move |(key, _)| owns(key));
        owned.filter_map(|(key, read)| Some((key.clone(), Arc::clone(read.group.as_ref()?))))
    }
}

#[cfg(test)]
mod tests;
