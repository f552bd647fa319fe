//! Bytes in a server's folders.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::kind::Kind;

/// What a server has on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disk {
    /// All of its data directory.
    pub(crate) all_bytes: u64,
    /// The write-ahead log; `None` if it has none.
    pub(crate) log_bytes: Option<u64>,
}

impl Disk {
    pub(super) fn of(kind: Kind, dir: &Path) -> Self {
        let data = kind.data_dir(dir);
        let log_bytes = (kind != Kind::VictoriaMetrics).then(|| tree_bytes(&data.join("wal")));
        Self { all_bytes: tree_bytes(&data), log_bytes }
    }
}

/// A block as Prometheus lays it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) bytes: u64,
    pub(super) samples: u64,
    /// From how many its merges made one; 1: as it was cut.
    pub(super) level: u32,
}

#[derive(Deserialize)]
struct Meta {
    stats: Stats,
    compaction: Compaction,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(rename = "numSamples")]
    samples: u64,
}

#[derive(Deserialize)]
struct Compaction {
    level: u32,
}

/// The blocks in a folder; not those that are marked for deletion, or not complete.
pub(super) fn blocks(dir: &Path) -> Vec<Block> {
    folders(dir).iter().filter_map(|path| block(path)).collect()
}

/// Bytes per sample over all of the blocks; `None` without samples.
pub(super) fn bytes_per_sample(blocks: &[Block]) -> Option<f64> {
    let samples: u64 = blocks.iter().map(|b| b.samples).sum();
    (samples > 0).then(|| blocks.iter().map(|b| b.bytes).sum::<u64>() as f64 / samples as f64)
}

fn block(path: &Path) -> Option<Block> {
    if path.join("deletion-mark.json").exists() {
        return None;
    }
    let meta: Meta = serde_json::from_slice(&std::fs::read(path.join("meta.json")).ok()?).ok()?;
    Some(Block { bytes: tree_bytes(path), samples: meta.stats.samples, level: meta.compaction.level })
}

pub(super) fn folders(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Bytes of all files below; what cannot be read, because the server has just removed it, counts nothing.
pub(super) fn tree_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => tree_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{Block, blocks, bytes_per_sample};

    #[test]
    fn blocks_are_counted_unless_marked_or_incomplete() {
        let dir = tempfile::tempdir().unwrap();
        let meta = r#"{"ulid":"X","stats":{"numSamples":100,"numSeries":2},"compaction":{"level":2}}"#;
        for (name, marked) in [("a", false), ("b", true)] {
            std::fs::create_dir_all(dir.path().join(name).join("chunks")).unwrap();
            std::fs::write(dir.path().join(name).join("meta.json"), meta).unwrap();
            std::fs::write(dir.path().join(name).join("chunks/000001"), [0; 200]).unwrap();
            if marked {
                std::fs::write(dir.path().join(name).join("deletion-mark.json"), "{}").unwrap();
            }
        }
        std::fs::create_dir_all(dir.path().join("c")).unwrap();
        let found = blocks(dir.path());
        assert_eq!(found, [Block { bytes: 200 + meta.len() as u64, samples: 100, level: 2 }]);
        assert_eq!(bytes_per_sample(&found), Some((200 + meta.len()) as f64 / 100.0));
        assert_eq!(bytes_per_sample(&[]), None);
    }
}
