use super::*;

/// Damage of any kind anywhere is an error, and the snapshot before is as it was.
#[test]
fn damaged_snapshots_are_refused() {
    let fs = FaultyFs::new();
    let before = rich(1);
    take(&fs, 1, &[("a", &before)]).unwrap();
    take(&fs, 2, &[("a", &before), ("b", &rich(2))]).unwrap();
    let len = fs.edit(&path(2), |bytes| bytes.len());
    let damaged = |damage: &dyn Fn(&mut Vec<u8>)| {
        let copy = fs.after_kill();
        copy.edit(&path(2), damage);
        load(&copy, 2).map(|(report, _)| report)
    };
    assert!(damaged(&|_| {}).is_ok());
    for at in (0..len).step_by(len / 150).chain([0, 9, 13, 20, 28, 29, 33, 37, len - 1, len - 5, len - 13]) {
        assert!(damaged(&|bytes| bytes[at] ^= 1 << (at % 8)).is_err(), "a flipped bit at {at}");
        assert!(damaged(&|bytes| bytes.truncate(at)).is_err(), "cut at {at}");
        assert!(damaged(&|bytes| bytes.insert(at, 0)).is_err(), "a byte too many at {at}");
        assert!(damaged(&|bytes| bytes[at..].fill(0)).is_err(), "zeros from {at}");
    }
    assert_same(&before, &load(&fs, 1).unwrap().1["a"]);
    store(&fs).set_aside(Generation(2)).unwrap();
    assert_eq!(store(&fs).list().unwrap(), [Generation(1)]);
}

/// Content that is nonsense under right checksums: an error, and no allocation for what is only claimed.
#[test]
fn nonsense_with_right_checksums_is_refused() {
    let fs = FaultyFs::new();
    take(&fs, 1, &[("a", &rich(1))]).unwrap();
    let whole = fs.edit(&path(1), |bytes| bytes.clone());
    let mut random = 1_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut refused = 0;
    for _ in 0..400 {
        let mut bytes = whole.clone();
        let (mut at, mut sections) = (28, Vec::new());
        while bytes[at] != 6 {
            let len = u32::from_le_bytes(bytes[at + 1..at + 5].try_into().unwrap()) as usize;
            sections.push((at, len));
            at += 9 + len;
        }
        let (at, len) = sections[next(sections.len())];
        for _ in 0..1 + next(3) {
            bytes[at + 9 + next(len)] = next(256) as u8;
        }
        if bytes == whole {
            bytes[at + 9] ^= 1;
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[at..at + 5]), &bytes[at + 9..at + 9 + len]);
        bytes[at + 5..at + 9].copy_from_slice(&crc.to_le_bytes());
        fs.edit(&path(1), |file| *file = bytes);
        refused += u32::from(load(&fs, 1).is_err());
    }
    assert_eq!(refused, 400, "the end section covers the checksums");
}

#[test]
fn a_full_disk_leaves_the_snapshot_before_and_no_rest() {
    let fs = FaultyFs::new();
    let before = rich(1);
    let whole = take(&fs, 1, &[("a", &before)]).unwrap().bytes as usize;
    for space in (0..whole).step_by(whole / 40) {
        fs.set_space(Some(space));
        let error = take(&fs, 2, &[("a", &before)]).unwrap_err();
        assert!(error.is_full(), "{error}");
        fs.set_space(None);
        assert_eq!(fs.paths(), [path(1)], "after {space} bytes");
    }
    fs.fail_syncs(1);
    take(&fs, 2, &[("a", &before)]).unwrap_err();
    assert_eq!(store(&fs).list().unwrap(), [Generation(1)]);
    assert_same(&before, &load(&fs.after_power_cut(), 1).unwrap().1["a"]);
    take(&fs, 3, &[("a", &before)]).unwrap();
    assert_same(&before, &load(&fs.after_power_cut(), 3).unwrap().1["a"]);
}

#[test]
fn what_an_earlier_process_did_not_finish_goes() {
    let fs = FaultyFs::new();
    fs.edit(Path::new("snapshots/00000007.tmp"), |bytes| bytes.push(1));
    fs.edit(Path::new("snapshots/notes.tmp"), |bytes| bytes.push(1));
    assert!(store(&fs).list().unwrap().is_empty());
    assert_eq!(fs.paths(), [Path::new("snapshots/notes.tmp")], "strangers' files are left alone");
}
