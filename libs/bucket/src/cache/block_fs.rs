//! A block of the bucket as a read-only file system.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use model::TenantId;
use tokio::runtime::Handle;
use tsdb::block::{CHUNKS_DIR, INDEX_FILE, Ulid};
use tsdb::fs::{AppendFile, Fs, PagedFile, ReadFile};

use super::paged::{CachedFile, io_error};
use super::space::Space;
use crate::layout::Key;
use crate::store::{Bucket, ObjectInfo};

/// The block. Paths are `<tenant>/<ULID>/<file>`.
#[derive(Debug)]
pub(super) struct BlockFs {
    bucket: Bucket,
    /// By path: names and lengths of the objects.
    files: BTreeMap<PathBuf, (Key, u64)>,
    runtime: Handle,
    space: Weak<Space>,
}

impl BlockFs {
    pub(super) fn new(bucket: Bucket, tenant: &TenantId, block: Ulid, objects: &[ObjectInfo], runtime: Handle, space: Weak<Space>) -> Self {
        let prefix = Key::block(tenant, block);
        let inside = objects.iter().filter(|object| object.key.as_str().starts_with(prefix.as_str()));
        let files = inside.map(|object| (PathBuf::from(object.key.as_str()), (object.key.clone(), object.len))).collect();
        Self { bucket, files, runtime, space }
    }

    fn file(&self, path: &Path) -> io::Result<(Key, u64)> {
        let missing = || io::Error::new(ErrorKind::NotFound, format!("object {} is not in the bucket", path.display()));
        self.files.get(path).cloned().ok_or_else(missing)
    }

    fn cached(&self, path: &Path) -> io::Result<CachedFile> {
        let (key, len) = self.file(path)?;
        CachedFile::new(self.bucket.clone(), key, len, self.runtime.clone(), self.space.clone())
    }
}

impl Fs for BlockFs {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let inside = self.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let (key, len) = self.file(path)?;
        Ok(Box::new(Object { bucket: self.bucket.clone(), key, len, runtime: self.runtime.clone() }))
    }

    /// Only small tables are mapped whole: the sidecar.
    fn map(&self, path: &Path) -> io::Result<Bytes> {
        let file = self.cached(path)?;
        file.read_kept(0..file.len())
    }

    fn paged(&self, path: &Path) -> io::Result<Option<Arc<dyn PagedFile>>> {
        let is_chunks = path.parent().and_then(Path::file_name).is_some_and(|name| name == CHUNKS_DIR);
        let is_index = path.file_name().is_some_and(|name| name == INDEX_FILE);
        Ok(if is_chunks || is_index { Some(Arc::new(self.cached(path)?)) } else { None })
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn AppendFile>> {
        Err(read_only())
    }

    fn sync_file(&self, _: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn set_len(&self, _: &Path, _: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn remove_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Err(read_only())
    }
}

fn read_only() -> io::Error {
    io::Error::new(ErrorKind::ReadOnlyFilesystem, "a block of the bucket is only read")
}

/// A small object that is read whole, and not kept.
#[derive(Debug)]
struct Object {
    bucket: Bucket,
    key: Key,
    len: u64,
    runtime: Handle,
}

impl ReadFile for Object {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let end = offset.saturating_add(into.len() as u64).min(self.len);
        if offset >= end {
            return Ok(0);
        }
        // The caller is a thread for blocking work.
        let bytes = self.runtime.block_on(self.bucket.get_range(&self.key, offset..end)).map_err(io_error)?;
        let n = bytes.len().min(into.len());
        into.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
        Ok(n)
    }
}
