//! Rule groups in object storage: one object each, bounded before it is read.

use bucket::{Bucket, BucketError, Key, ObjectInfo};
use model::TenantId;
use proto::convert::rule_group as stored;

/// The longest group that is stored or read. A rule takes some hundred bytes.
pub(crate) const MAX_GROUP_BYTES: usize = 1 << 20;

/// The most groups of all tenants that are listed.
const MAX_GROUPS: usize = 200_000;

/// The longest name of a namespace or group. In base64 it is below the 255 bytes that file systems take.
pub(crate) const MAX_NAME_BYTES: usize = 180;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The store failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// What lies there is not a rule group.
    #[error("rule group {namespace:?}/{group:?} cannot be read: {problem}")]
    Damaged { namespace: String, group: String, problem: String },
}

/// An object that holds a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub(crate) tenant: TenantId,
    pub(crate) namespace: String,
    pub(crate) group: String,
    pub(crate) info: ObjectInfo,
}

/// The groups of all tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RuleStore {
    bucket: Bucket,
}

impl RuleStore {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    /// The groups of a tenant, or of all; objects with other names are left out.
    pub(crate) async fn list(&self, tenant: Option<&TenantId>) -> Result<Vec<Listed>, BucketError> {
        self.list_under(&tenant.map_or_else(Key::all_rules, Key::rules)).await
    }

    /// The groups of a namespace.
    pub(crate) async fn list_namespace(&self, tenant: &TenantId, namespace: &str) -> Result<Vec<Listed>, BucketError> {
        self.list_under(&Key::rule_namespace(tenant, namespace)).await
    }

    async fn list_under(&self, prefix: &Key) -> Result<Vec<Listed>, BucketError> {
        let objects = self.bucket.list(prefix, MAX_GROUPS).await?;
        let listed = |info: ObjectInfo| {
            let (tenant, namespace, group) = info.key.to_rule_group()?;
            Some(Listed { tenant, namespace, group, info })
        };
        Ok(objects.into_iter().filter_map(listed).collect())
    }

    /// A group; `None` if there is none.
    pub(crate) async fn get(&self, tenant: &TenantId, namespace: &str, group: &str) -> Result<Option<stored::RuleGroup>, StoreError> {
        let bytes = match self.bucket.get(&Key::rule_group(tenant, namespace, group), MAX_GROUP_BYTES as u64).await {
            Ok(bytes) => bytes,
            Err(e) if e.is_not_found() => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let damaged = |problem: String| StoreError::Damaged { namespace: namespace.to_owned(), group: group.to_owned(), problem };
        let read = stored::decode(&bytes).map_err(|e| damaged(e.to_string()))?;
        // The name is in two places, and by the object's it is listed, owned and deleted.
        if read.name != group {
            return Err(damaged(format!("it says that its name is {:?}", read.name)));
        }
        Ok(Some(read))
    }

    /// Stores a group under its tenant, namespace and name, whatever was there.
    pub(crate) async fn put(&self, tenant: &TenantId, namespace: &str, mut group: stored::RuleGroup) -> Result<(), BucketError> {
        tenant.as_str().clone_into(&mut group.tenant);
        namespace.clone_into(&mut group.namespace);
        let key = Key::rule_group(tenant, namespace, &group.name);
        let bytes = stored::encode(&group);
        if bytes.len() > MAX_GROUP_BYTES {
            return Err(BucketError::TooLarge { key, len: bytes.len() as u64, max: MAX_GROUP_BYTES as u64 });
        }
        self.bucket.put(&key, bytes).await
    }

    /// Whether there is such a group.
    pub(crate) async fn exists(&self, tenant: &TenantId, namespace: &str, group: &str) -> Result<bool, BucketError> {
        self.bucket.exists(&Key::rule_group(tenant, namespace, group)).await
    }

    /// Deletes a group; fine if it is not there.
    pub(crate) async fn delete(&self, tenant: &TenantId, namespace: &str, group: &str) -> Result<(), BucketError> {
        self.bucket.delete(&Key::rule_group(tenant, namespace, group)).await
    }
}
