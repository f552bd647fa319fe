use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{ChunkEncoding, SeriesHash};

use super::{ChunkFile, ChunkKey, HeadChunks, Records, Removed};
use crate::fs::{FaultyFs, Fs};

mod damage;
mod faults;

const DIR: &str = "/chunks_head";

fn open(fs: &FaultyFs) -> HeadChunks {
    HeadChunks::open(Arc::new(fs.clone()), PathBuf::from(DIR)).unwrap()
}

fn key(n: u128) -> ChunkKey {
    ChunkKey { series: SeriesHash(n), min_t: 1_000 * n as i64, max_t: 1_000 * n as i64 + 999, encoding: ChunkEncoding::Xor }
}

fn data(n: u128) -> Vec<u8> {
    vec![n as u8 | 1; 2 + n as usize * 7 % 300]
}

/// Writes chunks as one batch; their places.
fn write(chunks: &HeadChunks, numbers: impl Iterator<Item = u128>) -> Vec<(Arc<ChunkFile>, u32, u128)> {
    let mut records = Records::default();
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.iter().all(|n| records.push(&key(*n), &data(*n))));
    let written = chunks.write(&records).unwrap();
    let place = |(i, n): (usize, &u128)| written.place(&records, i).map(|(file, at)| (file, at, *n)).unwrap();
    numbers.iter().enumerate().map(place).collect()
}

fn check(places: &[(Arc<ChunkFile>, u32, u128)]) {
    for (file, at, n) in places {
        assert_eq!(file.read(*at, &key(*n)).unwrap(), data(*n));
    }
}

#[test]
fn what_was_written_is_read_while_the_file_grows() {
    let chunks = open(&FaultyFs::new());
    let mut places = Vec::new();
    for batch in 0..20 {
        places.extend(write(&chunks, batch * 10..batch * 10 + 10));
        check(&places);
    }
    assert!(places.iter().all(|(file, ..)| file.number() == 1 && !file.is_synced()));
    chunks.sync().unwrap();
    assert!(places.iter().all(|(file, ..)| file.is_synced()));
    places.extend(write(&chunks, 200..210));
    check(&places);
    assert_eq!(places.last().unwrap().0.number(), 2, "a file that a snapshot may name does not grow");
    assert_eq!((chunks.stats().files, chunks.stats().written_chunks), (2, 210));
}

#[test]
fn files_go_when_nobody_needs_them() {
    let fs = FaultyFs::new();
    let chunks = open(&fs);
    let first = write(&chunks, 0..10);
    chunks.sync().unwrap();
    let second = write(&chunks, 10..20);
    chunks.sync().unwrap();
    assert_eq!(chunks.remove_unused(), Removed::default());
    let (file, at, n) = &first[3];
    let bytes = file.read(*at, &key(*n)).unwrap();
    drop(first);
    assert_eq!(chunks.remove_unused(), Removed { files: 1, failed: 0 });
    assert_eq!(fs.paths(), [Path::new(DIR).join("000002")]);
    assert_eq!(bytes, data(3), "a query that has a part of the file keeps it");
    check(&second);
}

#[test]
fn a_start_finds_what_a_snapshot_names_and_deletes_the_rest() {
    let fs = FaultyFs::new();
    let chunks = open(&fs);
    let mut places = Vec::new();
    for batch in 0..3 {
        places.extend(write(&chunks, batch * 10..batch * 10 + 10));
        chunks.sync().unwrap();
    }
    let unsynced = write(&chunks, 100..110);
    fs.edit(&Path::new(DIR).join("notes.txt"), |bytes| bytes.extend(b"not ours"));

    let fs = fs.after_power_cut();
    let chunks = open(&fs);
    let file = chunks.file(2).unwrap();
    assert!(file.is_synced() && chunks.file(9).is_err());
    assert_eq!(chunks.remove_unused(), Removed { files: 3, failed: 0 }, "the first, the third, and the one that was not finished");
    assert_eq!(fs.paths(), [Path::new(DIR).join("000002"), Path::new(DIR).join("notes.txt")]);
    for (_, at, n) in places.iter().filter(|(old, ..)| old.number() == 2) {
        assert_eq!(file.read(*at, &key(*n)).unwrap(), data(*n));
    }
    drop(unsynced);
    let new = write(&chunks, 0..5);
    assert_eq!(new[0].0.number(), 5, "numbers are not used again");
    check(&new);
}

/// The format page, byte by byte.
#[test]
fn a_file_has_the_bytes_of_the_format_page() {
    let fs = FaultyFs::new();
    let key = ChunkKey {
        series: SeriesHash(0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100),
        min_t: 1_000,
        max_t: 16_000,
        encoding: ChunkEncoding::Xor,
    };
    let golden = golden(&[0x00, 0x01, 0xd0, 0x0f]);

    let chunks = open(&fs);
    let mut records = Records::default();
    assert!(records.push(&key, &[0x00, 0x01, 0xd0, 0x0f]));
    drop(chunks.write(&records).unwrap());
    fs.edit(&Path::new(DIR).join("000001"), |bytes| assert_eq!(*bytes, golden));

    // And the other way round, through the real file system.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("000001"), &golden).unwrap();
    let fs: Arc<dyn Fs> = Arc::new(crate::fs::RealFs);
    let chunks = HeadChunks::open(fs, dir.path().to_owned()).unwrap();
    assert_eq!(chunks.file(1).unwrap().read(20, &key).unwrap(), [0x00, 0x01, 0xd0, 0x0f].as_slice());
}

fn golden(data: &[u8]) -> Vec<u8> {
    let mut file = b"PLIMHCK\n\x01\x00\x00\x00\x01\x00\x00\x00".to_vec();
    file.extend(crc32c::crc32c(&file).to_le_bytes());
    let mut covered: Vec<u8> = (0..16).collect();
    covered.extend([0xe8, 3, 0, 0, 0, 0, 0, 0, 0x80, 0x3e, 0, 0, 0, 0, 0, 0, 1]);
    covered.extend(data);
    file.extend(crc32c::crc32c(&covered).to_le_bytes());
    file.extend([data.len() as u8, 0, 0, 0]);
    file.extend(data);
    file
}
