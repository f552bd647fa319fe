use super::*;

fn block() -> (FaultyFs, PathBuf, Series) {
    let fs = FaultyFs::new();
    let series: Series = (0..12)
        .map(|n| {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("n", format!("{n:02}")), ("odd", (n % 2).to_string())]);
            let points = (0..150).map(|i| match n % 3 {
                0 => float(i * 1000, (i % 7) as f64),
                1 => int(i * 1000, i as u64),
                _ => float_histogram(i * 1000, i as f64),
            });
            (labels, points.collect())
        })
        .collect();
    let dir = write_at(&fs, Ulid::new(1, 2), (0, 1_000_000), &series, 3000);
    let mut stones = Tombstones::default();
    stones.add(u32::MAX, 0, 5);
    stones.write(&fs, &dir).unwrap();
    (fs, dir, series)
}

/// Everything that can be asked of a block, or the first error.
fn read_all(fs: &FaultyFs, dir: &Path) -> Result<Series, BlockError> {
    let block = Block::open(Arc::new(fs.clone()), dir)?;
    // Neither panics, whatever it finds.
    let _ = (verify(&block), inspect(&block));
    let odd = [Matcher::equal("odd", "1")];
    let odd = block.select(&odd, i64::MIN, i64::MAX)?.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(odd.len(), 6);
    block.label_values("n")?;
    let all = block.select(&[], i64::MIN, i64::MAX)?;
    all.map(|s| s.and_then(|s| Ok((s.labels, s.chunks.iter().map(decode).collect::<Result<Vec<_>, _>>()?.concat())))).collect()
}

fn check(fs: &FaultyFs, dir: &Path, series: &Series, what: &str) -> bool {
    match read_all(fs, dir) {
        Ok(got) => {
            let got: Series = got.into_iter().map(|(l, p)| (l, without_hints(p))).collect();
            assert!(got == *series, "{what}: other data is read");
            true
        }
        Err(error) => {
            assert!(error.is_damage(), "{what}: {error}");
            false
        }
    }
}

/// The sidecar says nothing that the index does not, and is not read here.
fn without_sidecar(fs: &FaultyFs) -> Vec<PathBuf> {
    fs.paths().into_iter().filter(|path| !path.ends_with(SIDECAR_FILE)).collect()
}

#[test]
fn a_flipped_bit_is_an_error_or_does_no_harm() {
    let (fs, dir, series) = block();
    let (mut harmless, mut total) = (0, 0);
    for path in without_sidecar(&fs) {
        let len = fs.edit(&path, |b| b.len());
        for at in 0..len {
            // Every bit of every byte over the course of the file.
            let bit = 1 << (at % 8);
            fs.edit(&path, |b| b[at] ^= bit);
            if path.ends_with(META_FILE) {
                // It has no checksum; what it says is not needed to read series within its range.
                let _ = read_all_of_damaged_meta(&fs, &dir);
            } else {
                harmless += u32::from(check(&fs, &dir, &series, &format!("{} byte {at}", path.display())));
                total += 1;
            }
            fs.edit(&path, |b| b[at] ^= bit);
        }
    }
    assert!(check(&fs, &dir, &series, "repaired"));
    // Padding, the table of label indices, and the bytes of headers that say nothing.
    assert!(harmless * 10 < total, "{harmless} of {total}");
}

fn read_all_of_damaged_meta(fs: &FaultyFs, dir: &Path) -> Result<usize, BlockError> {
    let block = Block::open(Arc::new(fs.clone()), dir)?;
    let found = verify(&block);
    Ok(block.select(&[], i64::MIN, i64::MAX)?.count() + found.problems.len())
}

#[test]
fn a_file_that_is_cut_is_an_error() {
    let (fs, dir, series) = block();
    for path in without_sidecar(&fs).into_iter().filter(|p| !p.ends_with(META_FILE)) {
        let whole = fs.edit(&path, |b| b.clone());
        for len in (0..whole.len()).step_by(3) {
            fs.edit(&path, |b| b.truncate(len));
            assert!(!check(&fs, &dir, &series, &format!("{} cut to {len}", path.display())));
            fs.edit(&path, |b| b.clone_from(&whole));
        }
    }
}

#[test]
fn a_missing_segment_is_damage() {
    let (fs, dir, series) = block();
    let last = fs.paths().into_iter().rfind(|p| p.starts_with(dir.join(CHUNKS_DIR))).unwrap();
    Fs::remove(&fs, &last).unwrap();
    assert!(!check(&fs, &dir, &series, "segment"));
    assert!(!verify(&open(&fs, &dir)).is_sound());
}

proptest! {
    #[test]
    fn sections_of_random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..2000_usize, mend in any::<bool>()) {
        let (fs, dir, _) = block();
        fs.edit(&dir.join(INDEX_FILE), |index| {
            let end = index.len() - 52;
            for (i, byte) in bytes.iter().enumerate() {
                if let Some(slot) = index.get_mut(5 + at + i) { *slot = *byte; }
            }
            // A sound checksum over a nonsensical table of contents.
            if mend {
                let sum = crc32c::crc32c(&index[end..end + 48]).to_be_bytes();
                index[end + 48..].copy_from_slice(&sum);
            }
        });
        let _ = read_all_of_damaged_meta(&fs, &dir);
    }
}
