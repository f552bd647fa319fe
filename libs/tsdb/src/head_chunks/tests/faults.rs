use super::*;

#[test]
fn a_full_disk_leaves_what_is_there_and_writing_goes_on_by_itself() {
    let fs = FaultyFs::new();
    let chunks = open(&fs);
    let mut places = write(&chunks, 0..10);
    for space in [0, 1, 7, 8, 9, 500] {
        fs.set_space(Some(space));
        let mut records = Records::default();
        assert!((50..60).all(|n| records.push(&key(n), &data(n))));
        assert!(chunks.write(&records).is_err());
        check(&places);
        fs.set_space(None);
        places.extend(write(&chunks, 10..20));
        check(&places);
    }
    assert!(places.iter().all(|(file, ..)| file.number() == 1));
}

#[test]
fn a_disk_that_is_full_from_the_start_uses_no_half_file() {
    let fs = FaultyFs::new();
    let chunks = open(&fs);
    for space in [0, 5] {
        fs.set_space(Some(space));
        let mut records = Records::default();
        assert!(records.push(&key(1), &data(1)));
        assert!(chunks.write(&records).is_err());
        assert!(fs.paths().is_empty());
    }
    fs.set_space(None);
    check(&write(&chunks, 0..3));
}

#[test]
fn a_file_that_could_not_be_synced_is_never_named() {
    let fs = FaultyFs::new();
    let chunks = open(&fs);
    let lost = write(&chunks, 0..10);
    fs.fail_syncs(1);
    assert!(chunks.sync().is_err());
    let safe = write(&chunks, 10..20);
    chunks.sync().unwrap();
    assert!(!lost[0].0.is_synced() && safe[0].0.is_synced());
    check(&lost);
    check(&safe);
}
