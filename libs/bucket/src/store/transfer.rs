//! Whole files, in parts: what is in memory is a few parts, whatever the file's length.

use std::path::Path as FilePath;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Bucket, io_error};
use crate::error::BucketError;
use crate::layout::Key;

/// Length of a part. S3 asks for at least 5 MiB, and takes 10,000 parts: 80 GB.
const PART_BYTES: usize = 8 << 20;

impl Bucket {
    /// Writes an object from a local file. The object is there whole or not at all. How many bytes it has.
    pub async fn upload(&self, key: &Key, file: &FilePath) -> Result<u64, BucketError> {
        let mut input = tokio::fs::File::open(file).await.map_err(io_error("open", file))?;
        let first = read_part(&mut input, file).await?;
        if first.len() < PART_BYTES {
            let len = first.len() as u64;
            self.put(key, first).await?;
            return Ok(len);
        }
        let path = self.path(key);
        let failed = |e| BucketError::of_store("write", key, e);
        let mut upload = self.call("upload", key, async { self.store.put_multipart(&path).await.map_err(failed) }).await?;
        match self.upload_parts(key, &mut *upload, first, &mut input, file).await {
            Ok(len) => Ok(len),
            Err(error) => {
                // The first error is the one that matters; what stays behind is never visible as an object.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    async fn upload_parts(
        &self,
        key: &Key,
        upload: &mut dyn MultipartUpload,
        first: Bytes,
        input: &mut tokio::fs::File,
        file: &FilePath,
    ) -> Result<u64, BucketError> {
        let failed = |e| BucketError::of_store("write", key, e);
        let (mut part, mut len) = (first, 0);
        while !part.is_empty() {
            let bytes = part.len() as u64;
            let put = upload.put_part(PutPayload::from_bytes(part));
            self.call("upload", key, async { put.await.map_err(failed) }).await?;
            self.metrics.sent(bytes);
            len += bytes;
            part = read_part(input, file).await?;
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

/// The next part of a file; shorter only at its end.
async fn read_part(input: &mut tokio::fs::File, file: &FilePath) -> Result<Bytes, BucketError> {
    let mut part = Vec::new();
    input.take(PART_BYTES as u64).read_to_end(&mut part).await.map_err(io_error("read", file))?;
    Ok(part.into())
}
