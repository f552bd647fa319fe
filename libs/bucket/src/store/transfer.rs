//! Whole files, in parts: what is in memory is a few parts, whatever the file's length.

use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::io::AsyncWriteExt;
use tsdb::fs::{Fs, ReadFile};

use super::{Bucket, io_error};
use crate::error::BucketError;
use crate::layout::Key;

/// Length of a part. S3 asks for at least 5 MiB, and takes 10,000 parts: 80 GB.
const PART_BYTES: usize = 8 << 20;

impl Bucket {
    /// Writes an object from a local file. The object is there whole or not at all. How many bytes it has.
    pub async fn upload(&self, key: &Key, fs: &Arc<dyn Fs>, file: &FilePath) -> Result<u64, BucketError> {
        let mut input = Parts::open(fs, file).await?;
        let first = input.next().await?;
        if first.len() < PART_BYTES {
            let len = first.len() as u64;
            self.put(key, first).await?;
            return Ok(len);
        }
        let path = self.path(key);
        let failed = |e| BucketError::of_store("write", key, e);
        let mut upload = self.call("upload", key, async { self.store.put_multipart(&path).await.map_err(failed) }).await?;
        match self.upload_parts(key, &mut *upload, first, &mut input).await {
            Ok(len) => Ok(len),
            Err(error) => {
                // The first error is the one that matters; what stays behind is never visible as an object.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    async fn upload_parts(&self, key: &Key, upload: &mut dyn MultipartUpload, first: Bytes, input: &mut Parts) -> Result<u64, BucketError> {
        let failed = |e| BucketError::of_store("write", key, e);
        let (mut part, mut len) = (first, 0);
        while !part.is_empty() {
            let bytes = part.len() as u64;
            let put = upload.put_part(PutPayload::from_bytes(part));
            self.call("upload", key, async { put.await.map_err(failed) }).await?;
            self.metrics.sent(bytes);
            len += bytes;
            part = input.next().await?;
        }
        self.call("upload", key, async { upload.complete().await.map_err(failed) }).await?;
        Ok(len)
    }

    /// Copies an object into a local file, which must not be there. How many bytes it has. After an error a part of it may be there.
    pub async fn download(&self, key: &Key, file: &FilePath) -> Result<u64, BucketError> {
        let info = self.head(key).await?;
        let mut options = tokio::fs::OpenOptions::new();
        let mut output = options.write(true).create_new(true).open(file).await.map_err(io_error("create", file))?;
        let path = self.path(key);
        let mut at = 0;
        while at < info.len {
            let end = info.len.min(at + PART_BYTES as u64);
            let failed = |e| BucketError::of_store("read", key, e);
            let part = self.call("download", key, async { self.store.get_range(&path, at..end).await.map_err(failed) }).await?;
            if part.len() as u64 != end - at {
                let what = format!("{} bytes at offset {at} instead of {}", part.len(), end - at);
                return Err(BucketError::Damaged { key: key.clone(), what });
            }
            output.write_all(&part).await.map_err(io_error("write", file))?;
            self.metrics.received(part.len() as u64);
            at = end;
        }
        output.flush().await.map_err(io_error("write", file))?;
        output.sync_all().await.map_err(io_error("sync", file))?;
        Ok(at)
    }
}

/// A local file, read part by part on the threads for blocking work.
struct Parts {
    /// Away while it is read.
    file: Option<Box<dyn ReadFile>>,
    path: Arc<FilePath>,
    at: u64,
}

impl Parts {
    async fn open(fs: &Arc<dyn Fs>, path: &FilePath) -> Result<Self, BucketError> {
        let (fs, path): (_, Arc<FilePath>) = (Arc::clone(fs), path.into());
        let opening = Arc::clone(&path);
        let file = blocking(move || fs.open(&opening)).await.map_err(io_error("open", &path))?;
        Ok(Self { file: Some(file), path, at: 0 })
    }

    /// The next part; shorter only at the end of the file. After an error there is none.
    async fn next(&mut self) -> Result<Bytes, BucketError> {
        let Some(file) = self.file.take() else { return Ok(Bytes::new()) };
        let at = self.at;
        let read = move || read_part(&*file, at).map(|part| (file, part));
        let (file, part) = blocking(read).await.map_err(io_error("read", &self.path))?;
        self.file = Some(file);
        self.at += part.len() as u64;
        Ok(part)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    // It is not waited for by those who go away; what it reads is dropped then.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(io::Error::other("the reading thread panicked")))
}

fn read_part(file: &dyn ReadFile, at: u64) -> io::Result<Bytes> {
    let left = usize::try_from(file.len()?.saturating_sub(at)).unwrap_or(usize::MAX);
    let mut part = vec![0; left.min(PART_BYTES)];
    let mut filled = 0;
    while let Some(rest) = part.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(at + filled as u64, rest) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(part.into())
}
