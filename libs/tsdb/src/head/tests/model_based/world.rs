//! The real head and log beside the model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::TenantId;

use super::naive::{Fate, Naive, same_point};
use super::*;
use crate::block::recode::{OverlapStats, merge_overlaps};
use crate::block::{Block, BlockSpec, Ulid, verify, write_sealed_range};
use crate::compact::plan::{BlockRange, Levels, plan};
use crate::compact::{MergeSpec, merge_blocks};
use crate::fs::{FaultyFs, Fs};
use crate::head_chunks::HeadChunks;
use crate::wal::{Wal, WalConfig};

pub(super) struct World {
    fs: FaultyFs,
    wal: Wal,
    files: HeadChunks,
    head: Arc<Head>,
    model: Naive,
    now: i64,
    /// The oldest first.
    blocks: Vec<Block>,
    /// Blocks that were ever written.
    made: i64,
    /// The parts of the last push, with their times.
    last: Vec<(usize, Vec<Point>)>,
}

const FIRST_WINDOW: i64 = 600_000;

fn limits(window: i64) -> HeadLimits {
    HeadLimits { creation_grace_ms: GRACE * GRID, out_of_order_time_window_ms: window, ..HeadLimits::default() }
}

fn wal_config() -> WalConfig {
    WalConfig { segment_bytes: 2_000, ..WalConfig::default() }
}

fn name(series: usize) -> Labels {
    labels(&[("__name__", "m"), ("group", &(series % GROUPS).to_string()), ("series", &series.to_string())])
}

impl World {
    pub(super) fn new() -> Self {
        let fs = FaultyFs::new();
        let (wal, _) = Wal::open("wal", wal_config(), Arc::new(fs.clone())).unwrap();
        let model =
            Naive { series: BTreeMap::new(), blocks: BTreeMap::new(), cut: BTreeMap::new(), oldest: i64::MIN, window: FIRST_WINDOW };
        let files = HeadChunks::open(Arc::new(fs.clone()), "chunks_head".into()).unwrap();
        Self { fs, wal, files, head: Self::empty_head(FIRST_WINDOW), model, now: T0, blocks: Vec::new(), made: 0, last: Vec::new() }
    }

    fn empty_head(window: i64) -> Arc<Head> {
        Arc::new(Head::new(HeadConfig { stripes: 4, ..limited(limits(window)) }))
    }

    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Push(parts) => {
                let out = self.push(parts, true);
                self.log(out);
            }
            Op::PushUnlogged(parts) => drop(self.push(parts, false)),
            Op::Retry => {
                let last = self.last.clone();
                let out = self.append(last, true);
                self.log(out);
            }
            Op::Crossed(first, second) => {
                let first = self.push(first, true);
                let second = self.push(second, true);
                self.log(second);
                self.log(first);
            }
            Op::Window(window) => {
                self.model.window = *window;
                self.head.set_limits(&limits(*window));
            }
            Op::Truncate(back) => {
                let before = self.oldest(*back);
                self.head.truncate(before);
                self.model.truncate(before);
                self.wal.truncate(self.now, before).unwrap();
            }
            Op::Oldest(back) => drop(self.oldest(*back)),
            Op::Query { group, from, to } => self.query(*group, self.now + from * GRID, self.now + to * GRID),
            Op::NewGeneration => {
                self.wal.truncate(self.now, i64::MIN).unwrap();
                self.wal.truncate(self.now + wal_config().generation_ms, i64::MIN).unwrap();
            }
            Op::Seal(back) => drop(self.head.seal(self.now - back * GRID)),
            Op::Cut(back) => self.cut(self.now - back * GRID),
            Op::Merge => self.merge(),
            Op::Offload(space) => {
                self.fs.set_space(*space);
                let done = self.head.offload(&self.files);
                assert!(space.is_some() || done.is_ok());
                self.fs.set_space(None);
                self.files.remove_unused();
            }
            Op::Restart => self.restart(),
        }
    }

    /// As an ingester: aligned ranges that are over become blocks and leave the head.
    fn cut(&mut self, before: i64) {
        let width = self.head.chunk_range_ms();
        let border = before.div_euclid(width) * width;
        let ranges = self.head.seal(border);
        for start in &ranges {
            self.made += 1;
            let spec = BlockSpec::level_1(Ulid::new(self.made, 0), *start, start + width);
            let meta = write_sealed_range(self.fs(), Path::new("blocks"), &self.head, spec, &|| true).unwrap().unwrap();
            self.open_block(meta.ulid);
        }
        self.head.drop_sealed(&ranges);
        self.model.cut(border);
    }

    /// As a compactor: whatever the planner says, until it says nothing more.
    fn merge(&mut self) {
        loop {
            let ranges: Vec<BlockRange> = self.blocks.iter().map(|block| block.meta().into()).collect();
            let Some(job) = plan(&ranges, &Levels::default(), i64::MAX).into_iter().next() else { return };
            let (sources, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.blocks).into_iter().partition(|block| job.blocks.contains(&block.meta().ulid));
            self.blocks = rest;
            self.made += 1;
            let spec = MergeSpec { ulid: Ulid::new(self.made, 0), thanos: None };
            let done = merge_blocks(self.fs(), Path::new("blocks"), &sources.iter().collect::<Vec<_>>(), spec).unwrap();
            self.open_block(done.meta.unwrap().ulid);
        }
    }

    fn fs(&self) -> Arc<dyn Fs> {
        Arc::new(self.fs.clone())
    }

    fn open_block(&mut self, ulid: Ulid) {
        let block = Block::open(self.fs(), &Path::new("blocks").join(ulid.to_string())).unwrap();
        let found = verify(&block);
        assert!(found.is_sound(), "{:?}", found.problems);
        self.blocks.push(block);
    }

    fn oldest(&mut self, back: i64) -> i64 {
        self.model.oldest = self.model.oldest.max(self.now - back * GRID);
        self.head.set_oldest_accepted(self.model.oldest);
        self.model.oldest
    }

    fn push(&mut self, parts: &[Part], logged: bool) -> AppendOutcome {
        self.now += TICK;
        let at = |(steps, value): &(i64, Value)| value.at((self.now / GRID + steps) * GRID);
        let parts = parts.iter().map(|part| (part.series, part.samples.iter().map(at).collect())).collect();
        self.append(parts, logged)
    }

    /// Appends to the head and to the model, which must agree about every sample.
    fn append(&mut self, parts: Vec<(usize, Vec<Point>)>, logged: bool) -> AppendOutcome {
        let mut builder = BatchBuilder::new(Bytes::new());
        for (series, points) in &parts {
            for point in points {
                match point {
                    Point::Float(s) => builder.sample(*s),
                    Point::Histogram(h) => builder.histogram(h.clone()),
                }
            }
            builder.end_series_with(name(*series).hash(), name(*series).as_block());
        }
        let mut out = AppendOutcome::new();
        self.head.append(&builder.finish(), Selection::All, self.wal.generation(), self.now, &mut out);
        let got: BTreeMap<(u32, RejectReason), u32> =
            out.rejected.iter().map(|r| ((r.series, r.reason), r.samples + r.histograms)).collect();
        let (mut want, mut taken, mut duplicates) = (BTreeMap::new(), 0, 0);
        for (position, (series, points)) in parts.iter().enumerate() {
            for fate in self.model.push(*series, points, self.now, logged) {
                match fate {
                    Fate::Taken => taken += 1,
                    Fate::Duplicate => duplicates += 1,
                    Fate::Refused(reason) => *want.entry((position as u32, reason)).or_default() += 1,
                }
            }
        }
        self.model.series.retain(|_, samples| !samples.is_empty());
        assert_eq!((got, out.samples + out.histograms, out.duplicates), (want, taken, duplicates), "{parts:?}");
        self.last = parts;
        out
    }

    fn log(&self, mut out: AppendOutcome) {
        if !out.is_empty() {
            self.wal.append(&TenantId::anonymous(), out.take_record()).unwrap();
        }
        self.head.confirm(&out);
    }

    fn restart(&mut self) {
        self.fs = self.fs.after_kill();
        let (wal, replay) = Wal::open("wal", wal_config(), Arc::new(self.fs.clone())).unwrap();
        self.wal = wal;
        self.files = HeadChunks::open(Arc::new(self.fs.clone()), "chunks_head".into()).unwrap();
        self.files.remove_unused();
        for block in std::mem::take(&mut self.blocks) {
            self.open_block(block.meta().ulid);
        }
        self.head = Self::empty_head(self.model.window);
        self.head.set_oldest_accepted(self.model.oldest);
        let head = Arc::clone(&self.head);
        let report = replay.run(&move |_: &TenantId| Some(Arc::clone(&head)), 2).unwrap();
        let heads = report.heads;
        assert_eq!((report.quarantined, report.torn_bytes, heads.orphans, heads.malformed), (0, 0, 0, 0));
        // Series whose samples are all too old were defined by the log; the next truncation takes them.
        self.head.truncate(self.model.oldest);
        self.model.restart();
    }

    fn query(&self, group: usize, min_t: i64, max_t: i64) {
        let got = self.found(&[Matcher::equal("group", &group.to_string())], min_t, max_t);
        let want = self.model.query(min_t, max_t).into_iter().filter(|(series, _)| series % GROUPS == group);
        Self::compare(got, want.collect());
    }

    /// Everything that is not too old, and the number of series.
    pub(super) fn check(&self) {
        let everything = self.found(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX);
        Self::compare(everything, self.model.query(i64::MIN, i64::MAX));
        assert_eq!(self.head.series_count(), self.model.series.len());
    }

    fn found(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> BTreeMap<usize, Vec<Point>> {
        let mut found = BTreeMap::new();
        for series in self.selected(matchers, min_t, max_t) {
            let number = series.labels.get("series").unwrap().parse().unwrap();
            let wanted = |p: &Point| (min_t.max(self.model.oldest)..=max_t).contains(&p.t());
            let points: Vec<Point> = points(&series).into_iter().filter(wanted).collect();
            if !points.is_empty() {
                assert!(found.insert(number, points).is_none());
            }
        }
        found
    }

    /// The head and the blocks, each sample once: the oldest block is right, and the head is asked last.
    fn selected(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Vec<SeriesChunks> {
        let mut all: BTreeMap<Labels, Vec<(usize, Chunk)>> = BTreeMap::new();
        let blocks = self.blocks.iter().map(|block| block.select(matchers, min_t, max_t).unwrap().map(Result::unwrap).collect());
        for (source, found) in blocks.chain([self.head.select(matchers, min_t, max_t).unwrap()]).enumerate() {
            for series in found {
                all.entry(series.labels).or_default().extend(series.chunks.into_iter().map(|chunk| (source, chunk)));
            }
        }
        let merged = all.into_iter().map(|(labels, chunks)| {
            let chunks = merge_overlaps(chunks, &mut OverlapStats::default()).unwrap();
            SeriesChunks { hash: labels.hash(), labels, chunks, newest: None }
        });
        merged.collect()
    }

    fn compare(got: BTreeMap<usize, Vec<Point>>, want: BTreeMap<usize, Vec<Point>>) {
        assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
        for (series, want) in want {
            let got = &got[&series];
            let same = got.len() == want.len() && got.iter().zip(&want).all(|(a, b)| same_point(a, b));
            assert!(same, "series {series}: {got:?} {want:?}");
        }
    }
}
