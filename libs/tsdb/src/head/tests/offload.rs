use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::fs::FaultyFs;
use crate::head::HeadError;
use crate::head_chunks::HeadChunks;

const DIR: &str = "/chunks_head";

fn files(fs: &FaultyFs) -> HeadChunks {
    HeadChunks::open(Arc::new(fs.clone()), PathBuf::from(DIR)).unwrap()
}

/// A head of `series` series with two finished chunks each.
fn filled(series: usize) -> Head {
    let head = head();
    let samples: Vec<_> = (0..300).map(|i| (T0 + i * 1_000, (i * i) as f64)).collect();
    for n in 0..series {
        push(&head, &batch(&[(labels(&[("__name__", "m"), ("n", &n.to_string())]), &samples)]));
    }
    head
}

#[test]
fn finished_chunks_leave_memory_and_answers_stay() {
    let (fs, head) = (FaultyFs::new(), filled(700));
    let files = files(&fs);
    let before = (floats(&head), head.stats());
    assert!(before.1.memory.closed_chunks > 700 * 200);
    let moved = head.offload(&files).unwrap();
    assert_eq!((moved.chunks, moved.bytes), (1_400, before.1.memory.closed_chunks as u64));
    let stats = head.stats();
    assert_eq!((stats.memory.closed_chunks, stats.chunks), (0, before.1.chunks));
    assert_eq!(floats(&head), before.0);
    assert_eq!(head.offload(&files).unwrap(), crate::head::Offloaded::default(), "nothing is written twice");

    // A part of the time range, and a block, come from the files as well.
    let series = head.select(&[Matcher::equal("n", "7")], T0, T0 + 5_000).unwrap();
    assert_eq!(series[0].chunks.len(), 1);
    files.sync().unwrap();
    head.truncate(T0 + 120_000);
    assert_eq!(files.remove_unused().files, 0, "the second chunks are in it");
    head.truncate(T0 + 240_000);
    assert_eq!(files.remove_unused().files, 1);
    assert!(fs.paths().is_empty());
    assert!(floats(&head).iter().all(|(_, samples)| samples.len() == 60));
}

#[test]
fn a_full_disk_leaves_chunks_in_memory_until_there_is_space() {
    let (fs, head) = (FaultyFs::new(), filled(300));
    let files = files(&fs);
    let before = floats(&head);
    fs.set_space(Some(30_000));
    assert!(head.offload(&files).is_err());
    assert_eq!(floats(&head), before);
    fs.set_space(None);
    head.offload(&files).unwrap();
    assert_eq!(head.stats().memory.closed_chunks, 0);
    assert_eq!(floats(&head), before);
}

#[test]
fn a_damaged_chunk_is_an_error_of_its_series_alone() {
    let (fs, head) = (FaultyFs::new(), filled(10));
    let files = files(&fs);
    head.offload(&files).unwrap();
    fs.edit(&Path::new(DIR).join("000001"), |bytes| {
        let at = bytes.len() - 1;
        bytes[at] ^= 1;
    });
    let error = head.select(&[], i64::MIN, i64::MAX).unwrap_err();
    let HeadError::Stored(stored) = &error else { panic!("{error}") };
    assert!(stored.is_damage());
    assert!(error.to_string().contains("/chunks_head/000001 is damaged at byte "), "{error}");
    let whole = (0..10).filter(|n| head.select(&[Matcher::equal("n", &n.to_string())], i64::MIN, i64::MAX).is_ok());
    assert_eq!(whole.count(), 9);
    assert_eq!(head.series(&[], i64::MIN, i64::MAX, 100).len(), 10, "labels need no chunks");
}

/// Appends, truncations, reads and offloads at the same time.
#[test]
fn offloading_beside_pushes_and_queries() {
    let (fs, head) = (FaultyFs::new(), head());
    let files = files(&fs);
    let a = labels(&[("__name__", "a")]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                head.offload(&files).unwrap();
                files.sync().unwrap();
                files.remove_unused();
            }
        });
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for (_, samples) in floats(&head) {
                    assert!(samples.windows(2).all(|w| w[1].0 - w[0].0 == 1_000 && w[1].1 == w[0].1 + 1.0));
                }
            }
        });
        for i in 0..20_000_i64 {
            let mut out = AppendOutcome::new();
            let sample = [(T0 + i * 1_000, i as f64)];
            head.append(&batch(&[(a.clone(), &sample)]), Selection::All, Generation(1), T0 + i * 1_000, &mut out);
            assert_eq!(out.samples, 1);
            if i % 1_000 == 999 {
                head.truncate(T0 + (i - 600) * 1_000);
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(files.stats().written_chunks > 0);
}
