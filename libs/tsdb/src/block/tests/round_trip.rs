use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(series in any_series(), segment_bytes in prop_oneof![Just(SEGMENT_BYTES), 200_u64..5000]) {
        let fs = FaultyFs::new();
        let dir = write_at(&fs, Ulid::new(1, 2), (0, i64::MAX), &series, segment_bytes);
        let block = open(&fs, &dir);
        prop_assert_eq!(format!("{:?}", read(&block)), format!("{series:?}"));
        let found = verify(&block);
        prop_assert!(found.is_sound(), "{:?}", found.problems);
        prop_assert_eq!(found.stats, block.meta().stats);
        prop_assert_eq!(found.unreferenced_chunks, 0);
        let seen = inspect(&block).unwrap();
        prop_assert_eq!((seen.series, seen.chunks, seen.samples), (found.stats.num_series, found.stats.num_chunks, found.stats.num_samples));
        prop_assert!(fs.paths().iter().all(|p| p.starts_with(&dir) && !p.ends_with("series.tmp")), "{:?}", fs.paths());
    }

    #[test]
    fn ranges_give_the_chunks_that_touch_them(series in any_series(), from in 0_i64..6_000_000, len in 0_i64..3_000_000) {
        let fs = FaultyFs::new();
        let block = open(&fs, &write_at(&fs, Ulid::new(1, 2), (0, i64::MAX), &series, SEGMENT_BYTES));
        let to = from + len;
        let inside = |points: Vec<Point>| points.into_iter().filter(|p| p.t() >= from && p.t() <= to).collect::<Vec<_>>();
        let got: Series = block.select(&[], from, to).unwrap().map(|s| s.unwrap())
            .inspect(|s| assert!(s.chunks.iter().all(|c| c.max_t >= from && c.min_t <= to)))
            .map(|s| (s.labels.clone(), inside(samples(&s.chunks)))).filter(|(_, p)| !p.is_empty()).collect();
        let want: Series = series.into_iter().map(|(l, p)| (l, inside(p))).filter(|(_, p)| !p.is_empty()).collect();
        prop_assert_eq!(format!("{got:?}"), format!("{want:?}"));
    }
}

fn one(n: i64) -> (Labels, Vec<Chunk>) {
    (Labels::from_pairs([("n", format!("{n:04}"))]), encode(vec![float(n, 1.0)]).unwrap())
}

#[test]
fn order_and_ranges_are_enforced() {
    let fs = FaultyFs::new();
    let write = |series: Vec<(Labels, Vec<Chunk>)>| {
        let spec = BlockSpec::level_1(Ulid::new(1, 2), 0, 100);
        write_block(Arc::new(fs.clone()), &parent(), spec, series.into_iter().map(Ok))
    };
    assert!(matches!(write(vec![one(2), one(1)]), Err(BlockError::SeriesOrder(_))));
    assert!(matches!(write(vec![one(2), one(2)]), Err(BlockError::SeriesOrder(_))));
    assert!(matches!(write(vec![one(100)]), Err(BlockError::ChunkRange(_))));
    let (labels, chunks) = one(5);
    assert!(matches!(write(vec![(labels, [chunks.clone(), chunks].concat())]), Err(BlockError::ChunkRange(_))));
    assert_eq!(write(vec![]).unwrap(), None);
    assert_eq!(fs.paths(), Vec::<PathBuf>::new());
}

#[test]
fn a_block_is_there_whole_or_not_at_all() {
    let write = |fs: &FaultyFs| {
        let series = (1..50).map(|n| Ok(one(n)));
        write_block(Arc::new(fs.clone()), &parent(), BlockSpec::level_1(Ulid::new(1, 2), 0, 100), series)
    };
    let fs = FaultyFs::new();
    write(&fs).unwrap().unwrap();
    let total: usize = fs.paths().iter().map(|p| fs.edit(p, |b| b.len())).sum();
    let dir = parent().join(Ulid::new(1, 2).to_string());
    for space in (0..total).step_by(37) {
        let fs = FaultyFs::new();
        fs.set_space(Some(space));
        assert!(write(&fs).is_err());
        assert!(fs.paths().is_empty(), "{:?}", fs.paths());
        fs.set_space(None);
        write(&fs).unwrap().unwrap();
        assert_eq!(read(&open(&fs.after_power_cut(), &dir)).len(), 49);
    }
    for syncs in 1..4 {
        let fs = FaultyFs::new();
        fs.fail_syncs(syncs);
        assert!(write(&fs).is_err());
        assert!(fs.paths().is_empty());
    }
}

#[test]
fn meta_keeps_what_others_wrote() {
    let text = r#"{"ulid":"01M84A6W88PBGF287ZJ0QQFTJQ","minTime":1,"maxTime":2,"stats":{"numSamples":6,"numSeries":6,"numChunks":6},
        "compaction":{"level":2,"sources":["01M84A6W88PBGF287ZJ0QQFTJQ"],"parents":[{"ulid":"01M84A6W88PBGF287ZJ0QQFTJQ","minTime":1,"maxTime":2}],"hints":["from-out-of-order"]},
        "version":1,"thanos":{"version":1,"labels":{"__org_id__":"t"},"downsample":{"resolution":300000},"source":"receive",
        "files":[{"rel_path":"index","size_bytes":5}],"index_stats":{}},"outOfOrder":true}"#;
    let meta = BlockMeta::parse(text.as_bytes()).unwrap();
    assert_eq!(meta.thanos.as_ref().unwrap().downsample.resolution, 300_000);
    let again: serde_json::Value = serde_json::from_slice(&meta.to_json().unwrap()).unwrap();
    assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).unwrap());
    assert!(BlockMeta::parse(text.replace("\"version\":1,\"thanos\"", "\"version\":2,\"thanos\"").as_bytes()).is_err());
    assert!(BlockMeta::parse(text.replace("\"minTime\":1", "\"minTime\":3").as_bytes()).is_err());
}
