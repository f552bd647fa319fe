//! An object store in memory that fails on demand, and a look at what it holds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bucket::index::IndexedBlock;
use bucket::{Bucket, BucketIndex, Key, Settings};
use futures::stream::BoxStream;
use model::TenantId;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use runtime::ManualClock;
use tsdb::block::{Block, Ulid, verify};
use tsdb::fs::FaultyFs;

use super::random::Random;
use super::rig::{Contents, NOW, samples};

/// Clones share objects and faults.
#[derive(Debug, Clone, Default)]
pub(super) struct FaultyStore(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    objects: Arc<InMemory>,
    faults: Mutex<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    /// Calls until all fail.
    until_down: Option<u64>,
    /// Calls fail at random, one in four, half of them after they were done.
    flaky: Option<Random>,
    puts: u64,
}

enum Fault {
    None,
    Before,
    /// Done, but the answer is lost.
    After,
}

impl FaultyStore {
    /// Lets so many more calls through.
    pub(super) fn down_after(&self, calls: u64) {
        self.0.faults.lock().until_down = Some(calls);
    }

    pub(super) fn flaky(&self, random: Random) {
        self.0.faults.lock().flaky = Some(random);
    }

    pub(super) fn heal(&self) {
        let mut faults = self.0.faults.lock();
        (faults.until_down, faults.flaky) = (None, None);
    }

    /// Objects written so far, failures included.
    pub(super) fn puts(&self) -> u64 {
        self.0.faults.lock().puts
    }

    /// The store as an ingester is given it. No call is repeated behind its back.
    pub(super) fn bucket(&self, clock: &ManualClock) -> Bucket {
        let clock = Arc::new(clock.clone());
        Bucket::new(Arc::new(self.clone()), ObjectPath::default(), "memory", Settings::default(), clock, &mut Registry::default())
    }

    /// All whole blocks of a tenant, each read to its last byte. One whose `meta.json` is there and that is not sound is a failure.
    pub(super) async fn blocks(&self, tenant: &str) -> BTreeMap<Ulid, Contents> {
        let (tenant, bucket) = (TenantId::new(tenant).unwrap(), self.without_faults());
        let mut found = BTreeMap::new();
        for folder in bucket.list_folders(&Key::tenant(&tenant)).await.unwrap() {
            let ulid: Ulid = folder.parse().unwrap();
            let (fs, dir) = (FaultyFs::new(), Path::new("block"));
            let prefix = Key::block(&tenant, ulid);
            for object in bucket.list(&prefix, 100).await.unwrap() {
                let name = object.key.as_str().strip_prefix(prefix.as_str()).unwrap();
                let bytes = bucket.get(&object.key, 1 << 30).await.unwrap();
                fs.edit(&dir.join(name), |file| file.extend_from_slice(&bytes));
            }
            if !fs.paths().contains(&dir.join("meta.json")) {
                continue;
            }
            let block = Block::open(Arc::new(fs), dir).unwrap();
            assert_eq!(block.meta().ulid, ulid);
            assert_eq!(verify(&block).problems, Vec::<String>::new(), "{ulid}");
            let series = block.select(&[], i64::MIN, i64::MAX).unwrap().map(|series| {
                let series = series.unwrap();
                (series.labels.to_string(), series.chunks.iter().flat_map(|chunk| samples(&chunk.data)).collect())
            });
            found.insert(ulid, series.collect());
        }
        found
    }

    /// Shows all whole blocks of a tenant in its index, as the compactor does.
    pub(super) async fn show(&self, tenant: &str, now_ms: i64) {
        let blocks = self.blocks(tenant).await;
        let (tenant, bucket) = (TenantId::new(tenant).unwrap(), self.without_faults());
        let mut index = BucketIndex { version: BucketIndex::VERSION, updated_at: now_ms / 1_000, ..BucketIndex::default() };
        for ulid in blocks.into_keys() {
            index.blocks.push(IndexedBlock::new(&bucket.block_meta(&tenant, ulid).await.unwrap(), now_ms / 1_000));
        }
        bucket.put_index(&tenant, &index).await.unwrap();
    }

    /// The names in a tenant's index.
    pub(super) async fn shown(&self, tenant: &str) -> Vec<Ulid> {
        let index = self.without_faults().index(&TenantId::new(tenant).unwrap()).await.unwrap();
        index.map_or_else(Vec::new, |index| index.blocks.iter().map(|block| block.block_id).collect())
    }

    fn without_faults(&self) -> Bucket {
        let store: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&self.0.objects);
        Bucket::new(store, ObjectPath::default(), "plain", Settings::default(), Arc::new(ManualClock::at(NOW)), &mut Registry::default())
    }

    fn step(&self, put: bool) -> Fault {
        let mut faults = self.0.faults.lock();
        faults.puts += u64::from(put);
        match &mut faults.until_down {
            Some(0) => return Fault::Before,
            Some(left) => *left -= 1,
            None => {}
        }
        match faults.flaky.as_mut().map(|random| random.below(8)) {
            Some(0) => Fault::Before,
            Some(1) => Fault::After,
            _ => Fault::None,
        }
    }
}

fn failure() -> Error {
    Error::Generic { store: "faulty", source: "as the test asked for".into() }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &ObjectPath, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let fault = self.step(true);
        if matches!(fault, Fault::Before) {
            return Err(failure());
        }
        let put = self.0.objects.put_opts(location, payload, opts).await;
        if matches!(fault, Fault::After) { Err(failure()) } else { put }
    }

    async fn put_multipart_opts(&self, location: &ObjectPath, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.objects.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        match self.step(false) {
            Fault::None => self.0.objects.get_opts(location, options).await,
            Fault::Before | Fault::After => Err(failure()),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<ObjectPath>>) -> BoxStream<'static, Result<ObjectPath>> {
        self.0.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.0.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, options: CopyOptions) -> Result<()> {
        self.0.objects.copy_opts(from, to, options).await
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}
