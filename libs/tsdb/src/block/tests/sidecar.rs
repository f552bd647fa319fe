use super::*;

fn series(names: &[&str]) -> Series {
    names.iter().map(|name| (Labels::from_pairs([("__name__", *name)]), vec![float(5, 1.0)])).collect()
}

fn hashed(fs: &FaultyFs, dir: &Path) -> Result<HashedBlock, BlockError> {
    HashedBlock::open(Arc::new(fs.clone()), dir)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn selects_in_order_of_hashes_what_a_select_in_label_order_finds(series in any_series(), value in "[abz]?") {
        let fs = FaultyFs::new();
        let dir = write_at(&fs, Ulid::new(1, 1), (0, i64::MAX), &series, SEGMENT_BYTES);
        let block = hashed(&fs, &dir).unwrap();
        for matchers in [vec![], vec![Matcher::equal("one", &value)]] {
            let mut want: Vec<_> = block.block().select(&matchers, 0, i64::MAX).unwrap().map(Result::unwrap).collect();
            want.sort_by_key(|s| s.hash);
            let mut reader = block.reader();
            let positions = block.select(&matchers, 0, i64::MAX).unwrap();
            prop_assert_eq!(positions.len(), want.len());
            for (position, want) in positions.into_iter().zip(want) {
                prop_assert_eq!(block.hash(position), want.hash);
                let (labels, chunks) = reader.read(position, 0, i64::MAX).unwrap();
                prop_assert_eq!(&labels, &want.labels);
                prop_assert!(chunks.iter().map(|c| &c.data).eq(want.chunks.iter().map(|c| &c.data)));
                prop_assert_eq!(reader.labels(position, 0, i64::MAX).unwrap(), Some(labels));
                prop_assert_eq!(reader.labels(position, 0, -1 + want.chunks[0].min_t).unwrap(), None);
            }
        }
    }
}

#[test]
fn golden() {
    let fs = FaultyFs::new();
    let dir = write_at(&fs, Ulid::new(1, 2), (0, 100), &series(&["a", "b"]), SEGMENT_BYTES);
    let hash = |name: &str| Labels::from_pairs([("__name__", name)]).hash().0.to_le_bytes();
    let mut want = b"PLSH\x01\0\0\0".to_vec();
    want.extend([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    want.extend([2, 0, 0, 0]);
    want.extend(hash("a"));
    want.extend(hash("b"));
    want.extend([2, 0, 0, 0, 3, 0, 0, 0]);
    want.extend(crc32c::crc32c(&want).to_le_bytes());
    let got = fs.edit(&dir.join(SIDECAR_FILE), |bytes| bytes.clone());
    assert_eq!(got, want);
}

#[test]
fn a_damaged_missing_or_foreign_sidecar_is_made_anew() {
    let fs = FaultyFs::new();
    let dir = write_at(&fs, Ulid::new(1, 1), (0, 100), &series(&["a", "b", "c"]), SEGMENT_BYTES);
    let path = dir.join(SIDECAR_FILE);
    let good = fs.edit(&path, |bytes| bytes.clone());
    let other = write_at(&fs, Ulid::new(2, 2), (0, 100), &series(&["x", "y", "z"]), SEGMENT_BYTES);
    let foreign = fs.edit(&other.join(SIDECAR_FILE), |bytes| bytes.clone());
    let mut bad: Vec<Vec<u8>> = (0..good.len()).map(|at| good[..at].to_vec()).collect();
    bad.extend((0..good.len()).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    }));
    bad.push(foreign);
    for bytes in bad {
        fs.edit(&path, |b| *b = bytes);
        assert!(!verify(&open(&fs, &dir)).is_sound());
        assert_eq!(hashed(&fs, &dir).unwrap().select(&[], 0, 99).unwrap().len(), 3);
        assert_eq!(fs.edit(&path, |b| b.clone()), good, "it is there again");
    }
    Fs::remove(&fs, &path).unwrap();
    assert!(verify(&open(&fs, &dir)).is_sound(), "others write none");
    fs.set_space(Some(0));
    let block = hashed(&fs, &dir).unwrap();
    assert_eq!(block.select(&[], 0, 99).unwrap().len(), 3, "also without room for the file");
    assert!(!fs.paths().contains(&path));
}
