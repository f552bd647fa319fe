//! The note beside a block that says how far it has come (`docs/formats/shipped-note.md`). It saves questions after a restart: without it, or if it cannot be read, the store
//! is asked.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tsdb::fs::Fs;

use super::plan::Stage;

const FILE: &str = "plimsoll-shipped.json";
const TMP_FILE: &str = "plimsoll-shipped.json.tmp";
const VERSION: u32 = 1;
/// A note takes some 80 bytes.
const MAX_BYTES: usize = 1_024;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    version: u32,
    stored_ms: Option<i64>,
    shown_ms: Option<i64>,
}

/// How far the block in a folder has come, as far as anybody has noted.
pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Stage {
    let note = read_bytes(fs, &dir.join(FILE)).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
    match note {
        Some(Note { version: VERSION, shown_ms: Some(at_ms), .. }) => Stage::Shown { at_ms },
        Some(Note { version: VERSION, stored_ms: Some(at_ms), .. }) => Stage::Stored { at_ms },
        _ => Stage::Waiting { tried: true },
    }
}

fn read_bytes(fs: &dyn Fs, path: &Path) -> io::Result<Vec<u8>> {
    let file = fs.open(path)?;
    let mut bytes = vec![0; MAX_BYTES];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(filled as u64, rest)? {
            0 => break,
            n => filled += n,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Replaces the note.
pub(super) fn write(fs: &dyn Fs, dir: &Path, stage: Stage) -> io::Result<()> {
    let note = match stage {
        Stage::Waiting { .. } => return Ok(()),
        Stage::Stored { at_ms } => Note { version: VERSION, stored_ms: Some(at_ms), shown_ms: None },
        Stage::Shown { at_ms } => Note { version: VERSION, stored_ms: None, shown_ms: Some(at_ms) },
    };
    let tmp = dir.join(TMP_FILE);
    match fs.remove(&tmp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = fs.create(&tmp)?;
    file.append(&serde_json::to_vec(&note)?)?;
    file.sync()?;
    fs.rename(&tmp, &dir.join(FILE))?;
    fs.sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use tsdb::fs::FaultyFs;

    use super::*;

    #[test]
    fn a_note_says_how_far_and_damage_says_nothing() {
        let (fs, dir) = (FaultyFs::new(), Path::new("blocks/a/x"));
        let unknown = Stage::Waiting { tried: true };
        assert_eq!(read(&fs, dir), unknown);
        for stage in [Stage::Stored { at_ms: 5 }, Stage::Shown { at_ms: i64::MAX }] {
            write(&fs, dir, stage).unwrap();
            assert_eq!(read(&fs, dir), stage);
        }
        fs.edit(&dir.join(TMP_FILE), |bytes| bytes.push(b'{'));
        write(&fs, dir, Stage::Stored { at_ms: 5 }).unwrap();
        assert_eq!(read(&fs, dir), Stage::Stored { at_ms: 5 }, "what a kill left is in nobody's way");
        for damage in ["", "{", r#"{"version":2,"stored_ms":1}"#, r#"{"version":1}"#] {
            fs.edit(&dir.join(FILE), |bytes| *bytes = damage.into());
            assert_eq!(read(&fs, dir), unknown, "{damage}");
        }
    }
}
