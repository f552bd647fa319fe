//! Blocks of Prometheus read by us, and ours read by Prometheus's own tool: the same series, the same samples.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, Sample};
use tsdb::block::recode::{Point, decode, encode};
use tsdb::block::{Block, BlockMeta, BlockSpec, Tombstones, Ulid, dump, inspect, verify, write_block, write_sealed_range};
use tsdb::compact::{MergeSpec, merge_blocks};
use tsdb::fs::RealFs;
use tsdb::head::HeadConfig;
use tsdb::{AppendOutcome, Generation, Head, HeadLimits, Selection};

const T0: i64 = 1_600_000_000_000;

type Series = Vec<(Labels, Vec<(i64, f64)>)>;

#[allow(clippy::print_stderr, reason = "what was not compared must be seen")]
fn not_there() {
    eprintln!("!!! promtool is not on the PATH: blocks are NOT compared with those of Prometheus");
}

/// What promtool prints; `None`, loudly, if there is no promtool.
fn promtool(args: &[&str], paths: &[&Path]) -> Option<String> {
    match Command::new("promtool").arg("tsdb").args(args).args(paths).output() {
        Ok(run) => {
            assert!(run.status.success(), "promtool tsdb {args:?}: {}", String::from_utf8_lossy(&run.stderr));
            Some(String::from_utf8(run.stdout).expect("promtool prints text"))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            not_there();
            None
        }
        Err(e) => panic!("promtool: {e}"),
    }
}

/// Series of several characters, over more than one block range of two hours.
fn world() -> Series {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 11
    };
    let mut all = Series::new();
    for n in 0..60_i64 {
        let odd = ["plain", "with \"quotes\"", "back\\slash", "new\nline", "ünï", ""][n as usize % 6];
        let labels = [("__name__", format!("metric_{}", n % 7)), ("instance", format!("host-{n}:9100")), ("odd", odd.to_owned())];
        let (mut t, mut walk) = (T0 + n * 137, 0.0);
        let samples = (0..700).map(|i| {
            t += if n % 3 == 0 { 15_000 } else { 14_990 + (random() % 21) as i64 };
            walk += (random() % 2001) as f64 / 1000.0 - 1.0;
            let v = match n % 6 {
                0 => f64::from(i),
                1 => walk,
                2 => 1e-7 * f64::from(i * i),
                3 => 1e19 * walk,
                4 if i % 9 == 0 => [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0][i as usize / 9 % 4],
                _ => (walk * 100.0).round() / 100.0,
            };
            (t, v)
        });
        all.push((Labels::from_pairs(labels), samples.collect()));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn openmetrics(world: &Series) -> String {
    let mut by_name: Vec<_> = world.iter().collect();
    by_name.sort_by_key(|(labels, _)| labels.get("__name__"));
    let mut out = String::new();
    for (labels, samples) in by_name {
        let escaped = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let name = labels.get("__name__").expect("a name");
        let pairs: Vec<_> = labels.iter().filter(|(n, _)| *n != "__name__").map(|(n, v)| format!("{n}=\"{}\"", escaped(v))).collect();
        for (t, v) in samples {
            let v = if v.is_infinite() { format!("{}Inf", if *v > 0.0 { '+' } else { '-' }) } else { format!("{v:?}") };
            writeln!(out, "{name}{{{}}} {v} {}.{:03}", pairs.join(","), t / 1000, t % 1000).expect("strings grow");
        }
    }
    out.push_str("# EOF\n");
    out
}

fn blocks(dir: &Path) -> Vec<Block> {
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(dir).expect("blocks").map(|e| e.expect("an entry").path()).collect();
    dirs.retain(|d| d.join("meta.json").exists());
    dirs.sort();
    dirs.iter().map(|d| Block::open(Arc::new(RealFs), d).expect("a sound block")).collect()
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn our_dump(blocks: &[Block]) -> Vec<String> {
    let mut out = Vec::new();
    blocks.iter().for_each(|block| dump(block, &mut out).expect("a sound block"));
    sorted(&String::from_utf8(out).expect("text"))
}

/// promtool wants the folder of a log beside the blocks.
fn their_dump(dir: &Path) -> Vec<String> {
    std::fs::create_dir_all(dir.join("wal")).expect("make a folder");
    sorted(&promtool(&["dump"], &[dir]).expect("promtool was there a moment ago"))
}

fn assert_same(ours: &[String], theirs: &[String]) {
    let differ = ours.iter().zip(theirs).find(|(a, b)| a != b);
    assert!(ours == theirs, "{} and {} lines, first difference {differ:?}", ours.len(), theirs.len());
}

fn check_samples(blocks: &[Block], world: &Series) {
    for (labels, want) in world {
        let matchers: Vec<_> = labels.iter().map(|(n, v)| model::Matcher::equal(n, v)).collect();
        let mut got = Vec::new();
        for block in blocks {
            for series in block.select(&matchers, i64::MIN, i64::MAX).expect("a sound block") {
                let series = series.expect("a sound block");
                assert_eq!(series.labels, *labels);
                got.extend(series.chunks.iter().flat_map(|c| decode(c).expect("a sound chunk")));
            }
        }
        got.sort_by_key(Point::t);
        let floats: Vec<_> = got.iter().map(|p| if let Point::Float(s) = p { (s.t, s.v) } else { panic!("{p:?}") }).collect();
        assert!(
            floats.len() == want.len() && floats.iter().zip(want).all(|(a, b)| a.0 == b.0 && (a.1 == b.1 || a.1.is_nan() && b.1.is_nan()))
        );
    }
}

#[test]
fn blocks_of_prometheus_are_read_and_merged() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (input, output, merged) = (dir.path().join("in.om"), dir.path().join("theirs"), dir.path().join("merged"));
    let world = world();
    std::fs::write(&input, openmetrics(&world)).expect("write input");
    if promtool(&["create-blocks-from", "openmetrics"], &[&input, &output]).is_none() {
        return;
    }
    let theirs = blocks(&output);
    assert!(theirs.len() > 1, "one block only");
    for block in &theirs {
        let found = verify(block);
        assert!(found.is_sound(), "{:?}", found.problems);
        assert_eq!(found.unreferenced_chunks, 0);
        assert_eq!(inspect(block).expect("a sound block").samples, block.meta().stats.num_samples);
    }
    check_samples(&theirs, &world);
    let text = their_dump(&output);
    assert_same(&our_dump(&theirs), &text);

    std::fs::create_dir_all(&merged).expect("make a folder");
    let spec = MergeSpec { ulid: Ulid::new(T0, 7), thanos: None };
    let outcome = merge_blocks(Arc::new(RealFs), &merged, &theirs.iter().collect::<Vec<_>>(), spec).expect("merge");
    assert_eq!(outcome.overlaps.recoded_chunks, 0);
    assert_same(&their_dump(&merged), &text);
}

#[test]
fn our_blocks_are_read_by_prometheus() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let world = world();
    let end = T0 + 4 * 3_600_000;
    let series = world.iter().map(|(labels, samples)| {
        let points = samples.iter().map(|(t, v)| Point::Float(Sample { t: *t, v: *v }));
        encode(points.collect()).map(|chunks| (labels.clone(), chunks))
    });
    let spec = BlockSpec::level_1(Ulid::new(T0, 1), T0, end);
    let meta = write_block(Arc::new(RealFs), dir.path(), spec, series).expect("write").expect("a block");
    let ours = blocks(dir.path());
    assert_eq!(ours.len(), 1);
    check_samples(&ours, &world);

    let Some(list) = promtool(&["list"], &[dir.path()]) else { return };
    let line = list.lines().find(|l| l.contains(&meta.ulid.to_string())).expect("our block is listed");
    let columns: Vec<_> = line.split_whitespace().collect();
    let stats = meta.stats;
    let counts = [stats.num_samples, stats.num_chunks, stats.num_series].map(|n| n.to_string());
    assert!(counts.iter().all(|n| columns.contains(&n.as_str())), "{line}");
    let analysis = promtool(&["analyze"], &[dir.path()]).expect("promtool was there a moment ago");
    assert!(analysis.contains("Series: 60\n") && analysis.contains("Label names: 3\n"), "{analysis}");
    assert_same(&our_dump(&ours), &their_dump(dir.path()));
}

fn write_world(dir: &Path, world: &Series, ulid: Ulid) {
    let series = world.iter().map(|(labels, samples)| {
        let points = samples.iter().map(|(t, v)| Point::Float(Sample { t: *t, v: *v }));
        encode(points.collect()).map(|chunks| (labels.clone(), chunks))
    });
    let spec = BlockSpec::level_1(ulid, T0, T0 + 4 * 3_600_000);
    write_block(Arc::new(RealFs), dir, spec, series).expect("write").expect("a block");
}

#[test]
fn what_we_delete_is_deleted_for_prometheus() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut world = world();
    write_world(dir.path(), &world, Ulid::new(T0, 1));
    let block = &blocks(dir.path())[0];
    let mut stones = Tombstones::default();
    let ids = block.index().postings("", "").expect("a list");
    // All of some series, the middle of others, single samples, and times at which there is nothing.
    for (n, id) in ids.iter().enumerate() {
        match n % 5 {
            0 => stones.add(*id, i64::MIN / 2, i64::MAX / 2),
            1 => stones.add(*id, T0 + 1_000_000, T0 + 5_000_000),
            2 => (0..5).for_each(|i| stones.add(*id, world[n].1[i * 30].0, world[n].1[i * 30].0)),
            3 => stones.add(*id, 0, 5),
            _ => {}
        }
    }
    for (n, (_, samples)) in world.iter_mut().enumerate() {
        let stones = stones.of(ids[n]);
        samples.retain(|(t, _)| !stones.iter().any(|(from, to)| t >= from && t <= to));
    }
    stones.write(&RealFs, block.dir()).expect("write");
    let ours = blocks(dir.path());
    check_samples(&ours, &world);
    if promtool(&["list"], &[dir.path()]).is_some() {
        assert_same(&our_dump(&ours), &their_dump(dir.path()));
    }
}

#[test]
fn blocks_that_are_cut_from_a_head_twice_for_one_range_are_read_by_prometheus() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let world = world();
    let head =
        Head::new(HeadConfig { limits: HeadLimits { creation_grace_ms: i64::MAX, ..HeadLimits::default() }, ..HeadConfig::default() });
    let push = |from: usize, to: usize| {
        let mut builder = model::BatchBuilder::new(bytes::Bytes::new());
        for (labels, samples) in &world {
            samples.get(from..to.min(samples.len())).unwrap_or_default().iter().for_each(|(t, v)| builder.sample(Sample { t: *t, v: *v }));
            builder.end_series_with(labels.hash(), labels.as_block());
        }
        let mut out = AppendOutcome::new();
        head.append(&builder.finish(), Selection::All, Generation(1), T0, &mut out);
        assert!(out.rejected.is_empty(), "{:?}", out.rejected);
    };
    let mut made = 0;
    for (from, to) in [(0, 100), (100, 530), (530, 700)] {
        push(from, to);
        // Everything, also what is still being written: the next round's samples of the same range make another block.
        let ranges = head.seal(i64::MAX);
        for start in &ranges {
            made += 1;
            let spec = BlockSpec::level_1(Ulid::new(T0, made), *start, start + head.chunk_range_ms());
            write_sealed_range(Arc::new(RealFs), dir.path(), &head, spec, &|| true).expect("write").expect("a block");
        }
        head.drop_sealed(&ranges);
        assert_eq!(head.series_count(), 0);
    }
    let ours = blocks(dir.path());
    assert!(ours.len() > 3, "{} blocks", ours.len());
    check_samples(&ours, &world);
    if promtool(&["list"], &[dir.path()]).is_some() {
        assert_same(&our_dump(&ours), &their_dump(dir.path()));
    }
}

/// A process that cannot outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Prometheus that scrapes itself into blocks of ten seconds; `None`, loudly, if there is none.
fn scraping_prometheus(dir: &Path) -> Option<Running> {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
         scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    );
    std::fs::write(dir.join("prometheus.yml"), config).expect("write");
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", dir.join("prometheus.yml").display()));
    command.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.args(["--storage.tsdb.min-block-duration=10s", "--storage.tsdb.max-block-duration=1h", "--log.level=error"]);
    match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => Some(Running(child)),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            not_there();
            None
        }
        Err(e) => panic!("prometheus: {e}"),
    }
}

/// The blocks of a Prometheus that still runs, which may delete one while it is looked at.
fn levels(dir: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| BlockMeta::read(&RealFs, &entry.path()).ok()).map(|meta| meta.compaction.level).collect()
}

#[test]
fn what_a_real_prometheus_scraped_and_compacted_is_read_by_us() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = dir.path().join("data");
    let Some(running) = scraping_prometheus(dir.path()) else { return };
    // It looks once a minute whether there is something to compact.
    let compacted = (0..2_400).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        levels(&data).into_iter().any(|level| level > 1)
    });
    drop(running);
    assert!(compacted, "Prometheus has compacted nothing: blocks of levels {:?}", levels(&data));
    // What was not in blocks yet is in its log, which promtool would print as well.
    std::fs::remove_dir_all(data.join("wal")).expect("remove");
    std::fs::remove_dir_all(data.join("chunks_head")).expect("remove");
    let theirs = blocks(&data);
    for block in &theirs {
        let found = verify(block);
        assert!(found.is_sound(), "{:?}", found.problems);
        assert_eq!(found.stats.num_samples, block.meta().stats.num_samples);
    }
    let text = their_dump(&data);
    assert!(text.len() > 10_000, "only {} samples", text.len());
    assert_same(&our_dump(&theirs), &text);

    let merged = dir.path().join("merged");
    std::fs::create_dir_all(&merged).expect("make a folder");
    let spec = MergeSpec { ulid: Ulid::new(T0, 7), thanos: None };
    merge_blocks(Arc::new(RealFs), &merged, &theirs.iter().collect::<Vec<_>>(), spec).expect("merge");
    assert_same(&their_dump(&merged), &text);
}
