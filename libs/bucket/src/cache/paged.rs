//! A file of the bucket, fetched in pages into a local file without a name.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use fixedbitset::FixedBitSet;
use futures::{StreamExt, TryStreamExt};
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tsdb::fs::{Fs, PagedFile, RealFs};

use super::space::Space;
use crate::error::BucketError;
use crate::layout::Key;
use crate::store::Bucket;

/// What is fetched at least. A request to a store takes tens of milliseconds, in which it could send a megabyte; most reads want less than a kilobyte, and few their
/// neighbours.
pub(super) const PAGE_BYTES: u64 = 16 << 10;
/// Pages between two wanted ones that are fetched along, rather than in a request of their own.
const MAX_GAP_PAGES: usize = 8;
/// The most pages of one request: 1 MiB. That, times `object_store.max_concurrent_requests`, is what fetching holds in memory.
const MAX_RUN_PAGES: usize = 64;
/// Requests of one call at a time.
const CONCURRENT_REQUESTS: usize = 8;

/// The file.
#[derive(Debug)]
pub(super) struct CachedFile {
    bucket: Bucket,
    key: Key,
    len: u64,
    runtime: Handle,
    space: Weak<Space>,
    local: File,
    /// Bytes that are accounted for in the space.
    held: AtomicU64,
    pages: Mutex<Pages>,
    /// Pages have come, or will not come.
    changed: Condvar,
}

#[derive(Debug)]
struct Pages {
    present: FixedBitSet,
    /// Somebody fetches them.
    coming: FixedBitSet,
}

impl CachedFile {
    pub(super) fn new(bucket: Bucket, key: Key, len: u64, runtime: Handle, space: Weak<Space>) -> io::Result<Self> {
        let (local, path) = alive(&space)?.create()?;
        std::fs::remove_file(path)?;
        let count = usize::try_from(len.div_ceil(PAGE_BYTES)).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
        let pages = Mutex::new(Pages { present: FixedBitSet::with_capacity(count), coming: FixedBitSet::with_capacity(count) });
        Ok(Self { bucket, key, len, runtime, space, local, held: AtomicU64::new(0), pages, changed: Condvar::new() })
    }

    /// Returns when all pages of these ranges, which ascend, are there.
    fn ensure(&self, wanted: &[Range<usize>]) -> io::Result<()> {
        loop {
            let mut pages = self.pages.lock();
            let missing = || wanted.iter().cloned().flatten();
            let mine: Vec<usize> = missing().filter(|page| !pages.present[*page] && !pages.coming[*page]).collect();
            if mine.is_empty() {
                if missing().all(|page| pages.present[page]) {
                    return Ok(());
                }
                // Whoever fetches them says when they are there, or that they will not come.
                self.changed.wait(&mut pages);
                continue;
            }
            mine.iter().for_each(|page| pages.coming.insert(*page));
            drop(pages);
            let claim = Claim { file: self, pages: mine };
            self.fetch(&runs(&claim.pages))?;
        }
    }

    fn fetch(&self, runs: &[Range<usize>]) -> io::Result<()> {
        let bytes = |run: &Range<usize>| run.start as u64 * PAGE_BYTES..(run.end as u64 * PAGE_BYTES).min(self.len);
        let total: u64 = runs.iter().map(|run| bytes(run).end - bytes(run).start).sum();
        let space = alive(&self.space)?;
        space.reserve(total)?;
        let new = AtomicU64::new(0);
        let fetches = futures::stream::iter(runs.iter().cloned()).map(|run| async {
            let range = bytes(&run);
            let fetched = self.bucket.get_range(&self.key, range.clone()).await.map_err(io_error)?;
            new.fetch_add(self.keep(run, range, &fetched)?, Relaxed);
            Ok(())
        });
        // The caller is a thread for blocking work.
        let result = self.runtime.block_on(fetches.buffer_unordered(CONCURRENT_REQUESTS).try_collect::<()>());
        let new = new.into_inner();
        self.held.fetch_add(new, Relaxed);
        space.metrics.fetched.inc_by(new);
        space.free(total.saturating_sub(new));
        result
    }

    /// Writes what was fetched; how many bytes of it were not there.
    fn keep(&self, run: Range<usize>, range: Range<u64>, fetched: &[u8]) -> io::Result<u64> {
        if fetched.len() as u64 != range.end - range.start {
            let text = format!("object {} gave {} of {} bytes at {}", self.key, fetched.len(), range.end - range.start, range.start);
            return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
        }
        self.local.write_all_at(fetched, range.start)?;
        let mut pages = self.pages.lock();
        let new = run.clone().filter(|page| !pages.present[*page]);
        let bytes = new.map(|page| PAGE_BYTES.min(self.len - page as u64 * PAGE_BYTES)).sum();
        pages.present.insert_range(run);
        Ok(bytes)
    }

    fn page_range(&self, range: &Range<u64>) -> Range<usize> {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        if start == end {
            return 0..0;
        }
        (start / PAGE_BYTES) as usize..end.div_ceil(PAGE_BYTES) as usize
    }
}

impl PagedFile for CachedFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.end > self.len || range.start > range.end {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.ensure(&[self.page_range(&range)])?;
        let len = usize::try_from(range.end - range.start).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
        let mut out = vec![0; len];
        self.local.read_exact_at(&mut out, range.start)?;
        Ok(out.into())
    }

    /// In a file of its own, which is written before it is mapped and has no other name.
    fn read_kept(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.end > self.len || range.start > range.end {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let space = alive(&self.space)?;
        space.reserve(range.end - range.start)?;
        self.held.fetch_add(range.end - range.start, Relaxed);
        space.metrics.fetched.inc_by(range.end - range.start);
        let (file, path) = space.create()?;
        let parts = (range.start..range.end).step_by(MAX_RUN_PAGES * PAGE_BYTES as usize);
        let step = MAX_RUN_PAGES as u64 * PAGE_BYTES;
        let file = &file;
        let fetches = futures::stream::iter(parts).map(|start| async move {
            let part = start..start.saturating_add(step).min(range.end);
            let fetched = self.bucket.get_range(&self.key, part.clone()).await.map_err(io_error)?;
            if fetched.len() as u64 != part.end - part.start {
                return Err(io::Error::from(ErrorKind::UnexpectedEof));
            }
            file.write_all_at(&fetched, part.start - range.start)
        });
        let fetched = self.runtime.block_on(fetches.buffer_unordered(CONCURRENT_REQUESTS).try_collect::<()>());
        let mapped = fetched.and_then(|()| RealFs.map(&path));
        // The map stays when the name goes.
        std::fs::remove_file(&path)?;
        mapped
    }

    fn prefetch(&self, ranges: &[Range<u64>]) -> io::Result<()> {
        let mut wanted: Vec<Range<usize>> = ranges.iter().map(|range| self.page_range(range)).filter(|pages| !pages.is_empty()).collect();
        wanted.sort_unstable_by_key(|pages| (pages.start, pages.end));
        wanted.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        self.ensure(&wanted)
    }
}

impl Drop for CachedFile {
    fn drop(&mut self) {
        if let Some(space) = self.space.upgrade() {
            space.free(self.held.load(Relaxed));
        }
    }
}

/// Pages that somebody fetches; however that ends, others who wait for them look again.
struct Claim<'a> {
    file: &'a CachedFile,
    pages: Vec<usize>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut pages = self.file.pages.lock();
        self.pages.iter().for_each(|page| pages.coming.remove(*page));
        drop(pages);
        self.file.changed.notify_all();
    }
}

/// Ascending pages as few requests.
fn runs(pages: &[usize]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    for page in pages {
        match out.last_mut() {
            Some(last) if *page <= last.end + MAX_GAP_PAGES && page + 1 - last.start <= MAX_RUN_PAGES => last.end = page + 1,
            _ => out.push(*page..page + 1),
        }
    }
    out
}

pub(super) fn alive(space: &Weak<Space>) -> io::Result<std::sync::Arc<Space>> {
    space.upgrade().ok_or_else(|| io::Error::other("the block cache was closed"))
}

/// An error of the store as one of a file.
pub(super) fn io_error(error: BucketError) -> io::Error {
    let kind = if error.is_not_found() { ErrorKind::NotFound } else { ErrorKind::Other };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn neighbours_share_a_request_of_bounded_length() {
        assert!(runs(&[]).is_empty());
        assert_eq!(runs(&[3, 4, 9, 40]), [3..10, 40..41]);
        let many: Vec<usize> = (0..150).collect();
        assert_eq!(runs(&many), [0..64, 64..128, 128..150]);
    }
}
