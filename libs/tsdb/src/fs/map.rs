//! Mapping files into memory: the one place of this crate with `unsafe` (`docs/adr/0004-mapped-files.md`).

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

/// The contents of a file, as long as it is now.
pub(super) fn map(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        // The kernel maps no empty files.
        return Ok(Bytes::new());
    }
    // SAFETY: the bytes must not change and the file must not become shorter while it is mapped. `Fs::map` asks that of its callers, whose files are written
    // once, grow at most, and are deleted but never cut or overwritten. The data directory belongs to one process.
    #[allow(unsafe_code, reason = "mapping a file is unsafe; the conditions are stated above")]
    let map = unsafe { Mmap::map(&file) }?;
    Ok(Bytes::from_owner(map))
}
