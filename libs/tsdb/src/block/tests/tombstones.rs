use super::*;

#[test]
fn intervals_join_and_survive_the_file() {
    let fs = FaultyFs::new();
    let mut stones = Tombstones::default();
    for (series, from, to) in [(7, 10, 20), (7, 30, 40), (7, 21, 25), (3, -5, 5), (3, 9, 8), (7, i64::MAX - 1, i64::MAX)] {
        stones.add(series, from, to);
    }
    assert_eq!(stones.of(7), [(10, 25), (30, 40), (i64::MAX - 1, i64::MAX)]);
    assert_eq!(stones.count(), 4);
    for _ in 0..2 {
        stones.write(&fs, &parent()).unwrap();
        assert_eq!(Tombstones::read(&fs, &parent()).unwrap(), stones);
    }
    Tombstones::default().write(&fs, &parent()).unwrap();
    // What Prometheus 2.42 writes when nothing was deleted.
    fs.edit(&parent().join(TOMBSTONES_FILE), |bytes| assert_eq!(*bytes, [0x01, 0x30, 0xba, 0x30, 1, 0, 0, 0, 0]));
    fs.edit(&parent().join(TOMBSTONES_FILE), |bytes| bytes[8] = 1);
    assert!(Tombstones::read(&fs, &parent()).unwrap_err().is_damage());
}

/// What a Prometheus 2.42 server wrote when a part of one series was deleted through its API.
const PROMETHEUS: [u8; 22] =
    [0x01, 0x30, 0xba, 0x30, 0x01, 0x09, 0xc0, 0x9a, 0x80, 0xf7, 0x90, 0x5d, 0x80, 0x89, 0xee, 0xf7, 0x90, 0x5d, 0x0f, 0xdc, 0xe9, 0xea];

#[test]
fn a_file_of_prometheus_is_read_and_written_alike() {
    let fs = FaultyFs::new();
    let path = parent().join(TOMBSTONES_FILE);
    fs.edit(&path, |bytes| *bytes = PROMETHEUS.to_vec());
    let stones = Tombstones::read(&fs, &parent()).unwrap();
    assert_eq!(stones.of(9), [(1_600_000_100_000, 1_600_001_000_000)]);
    assert_eq!(stones.count(), 1);
    stones.write(&fs, &parent()).unwrap();
    fs.edit(&path, |bytes| assert_eq!(*bytes, PROMETHEUS));
}

proptest! {
    #[test]
    fn deleted_samples_are_not_read(
        series in any_series(),
        deleted in proptest::collection::vec((0..8_usize, 0..6_000_000_i64, 0..3_000_000_i64), 0..6),
    ) {
        let fs = FaultyFs::new();
        let dir = write_at(&fs, Ulid::new(1, 2), (0, i64::MAX), &series, SEGMENT_BYTES);
        let ids = open(&fs, &dir).index().postings("", "").unwrap();
        let mut stones = Tombstones::default();
        let mut want = series;
        for (n, from, len) in deleted {
            let n = n % ids.len();
            stones.add(ids[n], from, from + len);
            want[n].1.retain(|p| p.t() < from || p.t() > from + len);
        }
        want.retain(|(_, points)| !points.is_empty());
        stones.write(&fs, &dir).unwrap();
        let block = open(&fs, &dir);
        prop_assert_eq!(format!("{:?}", read(&block)), format!("{want:?}"));
        prop_assert!(verify(&block).is_sound());
    }
}
