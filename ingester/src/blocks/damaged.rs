//! Blocks that cannot be opened. They stay where they are, and are not shipped; queries over their time range fail, since the answer would lack their samples; all else goes on. When the
//! folder has been mended it is taken back, when it has been moved away the loss is accepted (`docs/runbooks/damaged-block.md`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tsdb::block::{BlockError, BlockMeta, Ulid};
use tsdb::fs::Fs;

use crate::ship::read_note;

/// A block that cannot be opened.
#[derive(Debug, Clone)]
pub(crate) struct Damaged {
    pub(super) dir: PathBuf,
    /// The times that it may have samples of: first, inclusive, and end, exclusive.
    pub(super) range: (i64, i64),
    /// Why.
    pub(super) error: String,
}

impl Damaged {
    /// Sets a block aside, loudly. If nobody can say which times it has, all count up to when it was made and `grace_ms` more, which is how far ahead of the
    /// clock samples may be.
    pub(super) fn new(fs: &dyn Fs, dir: &Path, ulid: Ulid, error: &BlockError, grace_ms: i64) -> Self {
        let range = match BlockMeta::read(fs, dir) {
            Ok(meta) => (meta.min_time, meta.max_time),
            Err(_) => (i64::MIN, ulid.timestamp_ms().saturating_add(grace_ms).saturating_add(1)),
        };
        tracing::error!(
            %error, dir = %dir.display(), min_t = range.0, max_t = range.1,
            "a block cannot be opened: queries over its time range fail until it is mended or moved away (docs/runbooks/damaged-block.md)"
        );
        Self { dir: dir.to_owned(), range, error: error.to_string() }
    }

    /// From when on it need not be here any more: as a whole one, it stays until the object store has it for certain.
    pub(super) fn goes_at(&self, fs: &dyn Fs, retention_ms: i64) -> i64 {
        read_note(fs, &self.dir).goes_at(self.range.1, retention_ms)
    }

    pub(super) fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.range.0 <= max_t && min_t < self.range.1
    }
}

/// Whether a folder is gone.
pub(super) fn is_gone(fs: &dyn Fs, dir: &Path) -> bool {
    match fs.list(dir) {
        Ok(names) => names.is_empty(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}
