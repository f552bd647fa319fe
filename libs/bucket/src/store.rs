//! Calls to the store: each with a deadline, a place among those that may run, and metrics.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use prometheus_client::registry::Registry;
use runtime::clock::SharedClock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::error::BucketError;
use crate::layout::Key;
use crate::metrics::Metrics;

mod transfer;

/// How the store is called. In YAML: `object_store:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `file://PATH`, `memory://`, `s3://BUCKET/PREFIX` with options `endpoint`, `region`, `virtual_hosted_style`, `anonymous`, `sse_kms_key_id`; `gs://BUCKET/PREFIX` with
    /// `endpoint`, `service_account_file`; `az://CONTAINER/PREFIX` with `account`, `endpoint`. Empty: `bucket` in the data directory.
    pub url: String,
    /// How long one call may take, its retries included, in seconds. 60; 1 to 3,600. A part of an upload or download is a call of its own.
    pub timeout_seconds: u64,
    /// How often a request that failed on the way or with 429 or 5xx is repeated. 5; 0 to 20.
    pub retries: usize,
    /// Calls at a time, all roles of the process together; further ones wait. 64; 1 to 4,096.
    pub max_concurrent_requests: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { url: String::new(), timeout_seconds: 60, retries: 5, max_concurrent_requests: 64 }
    }
}

impl Settings {
    /// Checks what types cannot.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=3_600).contains(&self.timeout_seconds) {
            return Err("object_store.timeout_seconds must be 1 to 3600".to_owned());
        }
        if self.retries > 20 {
            return Err("object_store.retries must be 0 to 20".to_owned());
        }
        if !(1..=4_096).contains(&self.max_concurrent_requests) {
            return Err("object_store.max_concurrent_requests must be 1 to 4096".to_owned());
        }
        Ok(())
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// An object as a listing or [`Bucket::head`] shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub key: Key,
    /// Its length in bytes.
    pub len: u64,
    /// When it was written, in milliseconds since the Unix epoch, by the store's clock.
    pub modified_ms: i64,
    version: Version,
}

/// Which version of an object was seen, for [`Bucket::replace`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Version {
    e_tag: Option<String>,
    version: Option<String>,
}

impl ObjectInfo {
    /// The version that was seen.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }
}

/// A store. Cheap to clone; clones share the bound on calls.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// What all names begin with: the path of the URL.
    prefix: Path,
    settings: Settings,
    gate: Arc<Semaphore>,
    metrics: Metrics,
    clock: SharedClock,
    shown: Arc<str>,
    /// The folder, if the store is one of this machine.
    folder: Option<PathBuf>,
}

impl Bucket {
    /// A store under a prefix. `shown` is how logs and pages name it. See also [`crate::open`].
    #[must_use]
    pub fn new(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        shown: &str,
        settings: Settings,
        clock: SharedClock,
        registry: &mut Registry,
    ) -> Self {
        let gate = Arc::new(Semaphore::new(settings.max_concurrent_requests));
        let metrics = Metrics::register(registry);
        Self { store, prefix, settings, gate, metrics, clock, shown: shown.into(), folder: None }
    }

    /// The same store, which is a folder of this machine.
    pub(crate) fn in_folder(self, folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// Where an object or a prefix lies on this machine, if the store is a folder and the name stands there as it is.
    #[must_use]
    pub fn local_path(&self, key: &Key) -> Option<PathBuf> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        let folder = self.folder.as_ref()?;
        key.as_str().bytes().all(plain).then(|| folder.join(key.as_str()))
    }

    /// Reads an object of at most `max` bytes.
    pub async fn get(&self, key: &Key, max: u64) -> Result<Bytes, BucketError> {
        self.get_versioned(key, max).await.map(|(bytes, _)| bytes)
    }

    /// Reads an object of at most `max` bytes, and which version it is.
    pub async fn get_versioned(&self, key: &Key, max: u64) -> Result<(Bytes, Version), BucketError> {
        let read = self.get_unless(key, max, None).await?;
        read.ok_or_else(|| BucketError::NotFound { key: key.clone() })
    }

    /// The same, or `None` if it is the version that was `seen`. Stores without versions give it every time.
    pub async fn get_unless(&self, key: &Key, max: u64, seen: Option<&Version>) -> Result<Option<(Bytes, Version)>, BucketError> {
        let path = self.path(key);
        let options = || GetOptions { if_none_match: seen.and_then(|version| version.e_tag.clone()), ..GetOptions::default() };
        let read = self.call("get", key, async {
            let got = match self.store.get_opts(&path, options()).await {
                Err(object_store::Error::NotModified { .. }) => return Ok(None),
                got => got.map_err(|e| BucketError::of_store("get", key, e))?,
            };
            if got.meta.size > max {
                return Err(BucketError::TooLarge { key: key.clone(), len: got.meta.size, max });
            }
            let version = Version { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
            let bytes = got.bytes().await.map_err(|e| BucketError::of_store("get", key, e))?;
            Ok(Some((bytes, version)))
        });
        let read = read.await?;
        self.metrics.received(read.as_ref().map_or(0, |(bytes, _)| bytes.len() as u64));
        Ok(read)
    }

    /// Reads a part of an object. A range that reaches beyond its end is an error of the store or gives fewer bytes.
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, BucketError> {
        let path = self.path(key);
        let bytes = self
            .call("get_range", key, async { self.store.get_range(&path, range).await.map_err(|e| BucketError::of_store("read", key, e)) })
            .await?;
        self.metrics.received(bytes.len() as u64);
        Ok(bytes)
    }

    /// Reads parts of an object, in the order of `ranges`. Neighbouring ones are fetched together.
    pub async fn get_ranges(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, BucketError> {
        let path = self.path(key);
        let parts = self
            .call("get_range", key, async { self.store.get_ranges(&path, ranges).await.map_err(|e| BucketError::of_store("read", key, e)) })
            .await?;
        self.metrics.received(parts.iter().map(|part| part.len() as u64).sum());
        Ok(parts)
    }

    /// What is known of an object without reading it.
    pub async fn head(&self, key: &Key) -> Result<ObjectInfo, BucketError> {
        let path = self.path(key);
        let meta = self.call("head", key, async { self.store.head(&path).await.map_err(|e| BucketError::of_store("find", key, e)) });
        Ok(info(key.clone(), &meta.await?))
    }

    /// Whether an object is there.
    pub async fn exists(&self, key: &Key) -> Result<bool, BucketError> {
        match self.head(key).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Writes an object, whatever was there.
    pub async fn put(&self, key: &Key, bytes: impl Into<Bytes>) -> Result<(), BucketError> {
        self.put_if(key, bytes.into(), PutMode::Overwrite).await
    }

    /// Writes an object that is not there: of several who try, one succeeds.
    pub async fn create(&self, key: &Key, bytes: impl Into<Bytes>) -> Result<(), BucketError> {
        self.put_if(key, bytes.into(), PutMode::Create).await
    }

    /// Writes an object if it still is the version that was seen; else [`BucketError::Changed`].
    pub async fn replace(&self, key: &Key, bytes: impl Into<Bytes>, seen: &Version) -> Result<(), BucketError> {
        let seen = UpdateVersion { e_tag: seen.e_tag.clone(), version: seen.version.clone() };
        self.put_if(key, bytes.into(), PutMode::Update(seen)).await
    }

    async fn put_if(&self, key: &Key, bytes: Bytes, mode: PutMode) -> Result<(), BucketError> {
        let path = self.path(key);
        let len = bytes.len() as u64;
        self.call("put", key, async {
            let options = PutOptions { mode, ..PutOptions::default() };
            let put = self.store.put_opts(&path, PutPayload::from_bytes(bytes), options).await;
            put.map(|_| ()).map_err(|e| BucketError::of_store("write", key, e))
        })
        .await?;
        self.metrics.sent(len);
        Ok(())
    }

    /// Deletes an object; fine if it is not there.
    pub async fn delete(&self, key: &Key) -> Result<(), BucketError> {
        let path = self.path(key);
        let deleted = self.call("delete", key, async {
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(e) => Err(BucketError::of_store("delete", key, e)),
            }
        });
        deleted.await
    }

    /// All objects under a prefix (which ends with `/` or is the root), in the order of their names; more than `max` are an error.
    pub async fn list(&self, prefix: &Key, max: usize) -> Result<Vec<ObjectInfo>, BucketError> {
        let path = self.path(prefix);
        let listed = self.call("list", prefix, async {
            let objects = self.store.list(Some(&path)).take(max.saturating_add(1)).try_collect::<Vec<ObjectMeta>>().await;
            objects.map_err(|e| BucketError::of_store("list", prefix, e))
        });
        let objects = listed.await?;
        if objects.len() > max {
            return Err(BucketError::TooMany { prefix: prefix.clone(), max });
        }
        let mut objects: Vec<_> = objects.iter().filter_map(|meta| Some(info(self.key(&meta.location)?, meta))).collect();
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// The names directly under a prefix that have objects below them, ascending, without `/`.
    pub async fn list_folders(&self, prefix: &Key) -> Result<Vec<String>, BucketError> {
        let path = self.path(prefix);
        let listed = self.call("list", prefix, async {
            self.store.list_with_delimiter(Some(&path)).await.map_err(|e| BucketError::of_store("list", prefix, e))
        });
        let mut names: Vec<_> = listed.await?.common_prefixes.iter().filter_map(|p| p.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Runs a call when there is a place for it, for as long as it may take.
    async fn call<T>(
        &self,
        operation: &'static str,
        key: &Key,
        call: impl Future<Output = Result<T, BucketError>>,
    ) -> Result<T, BucketError> {
        let started = self.clock.monotonic();
        let timeout = || BucketError::Timeout { operation, key: key.clone(), seconds: self.settings.timeout_seconds };
        let gated = async {
            // Never closed.
            let _place = self.gate.acquire().await.map_err(|_| timeout())?;
            let _running = self.metrics.begin();
            call.await
        };
        let result = tokio::time::timeout(self.settings.timeout(), gated).await.unwrap_or_else(|_| Err(timeout()));
        let seconds = self.clock.monotonic().saturating_sub(started).as_secs_f64();
        let failed = result.as_ref().is_err_and(|e| !e.is_not_found());
        self.metrics.done(operation, seconds, failed);
        result
    }

    fn path(&self, key: &Key) -> Path {
        self.prefix.parts().chain(key.as_str().split('/').filter(|part| !part.is_empty()).map(Into::into)).collect()
    }

    fn key(&self, path: &Path) -> Option<Key> {
        let rest = path.prefix_match(&self.prefix)?;
        Some(Key::from_store(rest.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")))
    }
}

fn info(key: Key, meta: &ObjectMeta) -> ObjectInfo {
    let version = Version { e_tag: meta.e_tag.clone(), version: meta.version.clone() };
    ObjectInfo { key, len: meta.size, modified_ms: meta.last_modified.timestamp_millis(), version }
}

fn io_error(action: &'static str, path: &FilePath) -> impl FnOnce(std::io::Error) -> BucketError {
    BucketError::local(action, path)
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.shown)
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
