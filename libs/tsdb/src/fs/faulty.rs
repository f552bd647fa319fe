//! A file system in memory that runs full, fails to sync, and loses power.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{AppendFile, Fs, ReadFile};
use crash::Undo;

mod crash;

/// A file system for tests. Clones share the files and the faults.
#[derive(Debug, Clone, Default)]
pub struct FaultyFs(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Contents>,
    /// Bytes that may be written before the disk is full.
    space: Option<usize>,
    failing_syncs: usize,
    failing_cuts: usize,
    syncs: usize,
    /// Changes until the machine stops; see [`FaultyFs::stop_after`].
    until_stop: Option<u64>,
    /// How much of the write that is under way then is done, of 256 parts.
    torn_part: u8,
    stopped: bool,
    /// How to undo changes of names that are not durable, in their order.
    names: Vec<Undo>,
}

#[derive(Debug, Default, Clone)]
struct Contents {
    bytes: Vec<u8>,
    durable: usize,
}

impl FaultyFs {
    /// An empty file system without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets this many more bytes be written before the disk is full; `None`: it never is. A write that does not fit writes what fits.
    pub fn set_space(&self, bytes: Option<usize>) {
        self.0.lock().space = bytes;
    }

    /// Fails the next `n` syncs of files; what they should have made durable never will be.
    pub fn fail_syncs(&self, n: usize) {
        self.0.lock().failing_syncs = n;
    }

    /// Fails the next `n` cuts of files that are being written.
    pub fn fail_cuts(&self, n: usize) {
        self.0.lock().failing_cuts = n;
    }

    /// How often files were synced, failures included.
    #[must_use]
    pub fn syncs(&self) -> usize {
        self.0.lock().syncs
    }

    /// What a machine finds after a kill of the process: a copy, without faults.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let state = self.0.lock();
        Self(Arc::new(Mutex::new(State { files: state.files.clone(), ..State::default() })))
    }

    /// What a machine finds after a power cut: of each file only what was synced.
    #[must_use]
    pub fn after_power_cut(&self) -> Self {
        let copy = self.after_kill();
        copy.0.lock().files.values_mut().for_each(|file| file.bytes.truncate(file.durable));
        copy
    }

    /// The paths of all files, ascending.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.0.lock().files.keys().cloned().collect()
    }

    /// The bytes of a file, to be looked at and changed at will; a missing file is made.
    pub fn edit<T>(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut state = self.0.lock();
        edit(&mut state.files.entry(path.to_owned()).or_default().bytes)
    }

    fn sync_contents(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.syncs += 1;
        let failing = state.failing_syncs > 0;
        state.failing_syncs = state.failing_syncs.saturating_sub(1);
        let file = state.files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        if failing {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        file.durable = file.bytes.len();
        Ok(())
    }

    fn cut(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let file = state.files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        file.bytes.truncate(usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?);
        file.durable = file.durable.min(file.bytes.len());
        Ok(())
    }
}

impl Fs for FaultyFs {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        // Folders are there as long as a file is in them.
        let inside = state.files.keys().filter_map(|path| path.strip_prefix(dir).ok()?.iter().next()?.to_str());
        let mut names: Vec<String> = inside.map(str::to_owned).collect();
        names.dedup();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        let mut state = self.0.lock();
        state.step()?;
        if state.space == Some(0) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if state.files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(path.to_owned(), Contents::default());
        state.names.push(Undo::Created(path.to_owned()));
        Ok(Arc::new(FaultyFile { fs: self.clone(), path: path.to_owned() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        if !self.0.lock().files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(FaultyFile { fs: self.clone(), path: path.to_owned() }))
    }

    /// A copy of what is there now.
    fn map(&self, path: &Path) -> io::Result<Bytes> {
        let state = self.0.lock();
        state.files.get(path).map(|file| Bytes::copy_from_slice(&file.bytes)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.sync_contents(path)
    }

    fn set_len(&self, path: &Path, len: u64) -> io::Result<()> {
        self.cut(path, len)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let contents = state.files.remove(path).ok_or(io::ErrorKind::NotFound)?;
        state.names.push(Undo::Removed(path.to_owned(), contents));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let inside: Vec<_> = state.files.keys().filter(|path| path.starts_with(from)).cloned().collect();
        if inside.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for path in inside {
            let rest = path.strip_prefix(from).map_err(io::Error::other)?;
            let name = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            if let Some(contents) = state.files.remove(&path) {
                let replaced = state.files.insert(name.clone(), contents);
                state.names.push(Undo::Renamed { from: path, to: name, name: to.to_owned(), replaced });
            }
        }
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.files.retain(|path, _| !path.starts_with(dir));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.names.retain(|change| change.path().parent() != Some(dir));
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyFile {
    fs: FaultyFs,
    path: PathBuf,
}

impl AppendFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.fs.0.lock();
        let stopping = state.until_stop == Some(0) && !state.stopped;
        let stopped = state.step();
        let torn = if stopping { bytes.len() * usize::from(state.torn_part) / 256 } else { 0 };
        let room = state.space.unwrap_or(usize::MAX).min(if stopped.is_ok() { bytes.len() } else { torn });
        let file = state.files.get_mut(&self.path).ok_or(io::ErrorKind::NotFound)?;
        file.bytes.extend(bytes.iter().take(room));
        if let Some(space) = &mut state.space {
            *space -= room;
        }
        stopped?;
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.fs.0.lock();
        if state.failing_cuts > 0 {
            state.failing_cuts -= 1;
            return Err(io::Error::from_raw_os_error(EIO));
        }
        drop(state);
        self.fs.cut(&self.path, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.fs.sync_contents(&self.path)
    }
}

/// `EIO` of Linux.
const EIO: i32 = 5;

impl ReadFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.fs.0.lock();
        state.files.get(&self.path).map(|file| file.bytes.len() as u64).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.fs.0.lock();
        let file = state.files.get(&self.path).ok_or(io::ErrorKind::NotFound)?;
        let rest = usize::try_from(offset).ok().and_then(|at| file.bytes.get(at..)).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}
