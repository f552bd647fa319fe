//! Log records back into a head.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hashbrown::HashSet;
use model::{LabelBlock, Sample, SeriesHash};

use super::create::{CREATE_BATCH, Creator};
use super::series::{Cold, Finder, Found, Hot, Value, Verdict};
use super::stripe::stripe_of;
use super::{Head, append};
use crate::block::recode::Point;
use crate::wal::Generation;
use crate::wal::record::{
    Cursor, ExemplarOwner, ExemplarReader, FloatReader, HistogramReader, Malformed, SeriesReader, Tag, next_section, read_metadata,
};
use references::{Defined, OTHERS, PAGE, References, UNDEFINED};

pub(super) mod absorb;
mod references;

/// Samples that are resolved, sorted by stripe, and appended at a time.
const SAMPLE_BATCH: usize = 4096;

/// What a replay brought back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayStats {
    /// Series made.
    pub series: u64,
    /// Float samples.
    pub samples: u64,
    /// Histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// Metadata entries.
    pub metadata: u64,
    /// Samples that the head had already or that are older than what it keeps.
    pub skipped: u64,
    /// Samples whose series is not defined: the definition was in a damaged part, or is older than the log.
    pub orphans: u64,
    /// Records of which a part could not be decoded.
    pub malformed: u64,
}

impl ReplayStats {
    /// Adds what another worker did.
    pub fn add(&mut self, other: &Self) {
        self.series += other.series;
        self.samples += other.samples;
        self.histograms += other.histograms;
        self.exemplars += other.exemplars;
        self.metadata += other.metadata;
        self.skipped += other.skipped;
        self.orphans += other.orphans;
        self.malformed += other.malformed;
    }
}

/// Replays one tenant's records into its head. Several workers may replay the same records at once: each takes the stripes
/// whose number modulo `workers` is its own.
#[derive(Debug)]
pub(crate) struct Replayer {
    head: Arc<Head>,
    worker: usize,
    workers: usize,
    references: References,
    pub(crate) stats: ReplayStats,
    samples: Vec<Pending>,
    order: Vec<u32>,
    /// Histograms of the record, and floats of the same series.
    mixed: Vec<(Defined, Point)>,
    with_histograms: HashSet<u32>,
}

/// A sample whose series is known.
#[derive(Debug, Clone, Copy)]
struct Pending {
    series: Defined,
    sample: Sample,
}

/// Takes a sample that is older than the newest of its series, whatever the window is now: the log has it, so it was accepted. False if the series has
/// a sample of that time.
#[cold]
fn restore_late(hot: &Hot, cold: &mut Cold, value: Value<'_>, range: i64) -> bool {
    if Finder::default().find(hot, cold, value) != Found::Nothing {
        return false;
    }
    let Ok(point) = append::accepted(value) else { return false };
    cold.add_late(hot.hash(), vec![point], range);
    true
}

impl Replayer {
    pub(crate) fn new(head: Arc<Head>, worker: usize, workers: usize) -> Self {
        Self {
            head,
            worker,
            workers,
            references: References::default(),
            stats: ReplayStats::default(),
            samples: Vec::new(),
            order: Vec::new(),
            mixed: Vec::new(),
            with_histograms: HashSet::new(),
        }
    }

    /// Replays a record. What does not decode is dropped with all that follows in the record.
    pub(crate) fn apply(&mut self, generation: Generation, body: &[u8]) {
        if self.sections(generation, Cursor::new(body)).is_err() {
            self.stats.malformed += u64::from(self.worker == 0);
        }
        self.append_mixed();
    }

    fn sections(&mut self, generation: Generation, body: Cursor<'_>) -> Result<(), Malformed> {
        let mut ahead = body;
        while let Some((tag, count, content)) = next_section(&mut ahead)? {
            match tag {
                Tag::Series => self.series(generation, SeriesReader::new(count, content))?,
                // Ahead of the floats, so that those of the same series are held back for their turn.
                Tag::Histograms => self.histograms(generation, HistogramReader::new(count, content))?,
                _ => {}
            }
        }
        let mut again = body;
        while let Some((tag, count, content)) = next_section(&mut again)? {
            match tag {
                Tag::Floats => self.floats(generation, FloatReader::new(count, content))?,
                Tag::Exemplars => self.exemplars(generation, ExemplarReader::new(count, content))?,
                Tag::Metadata if self.worker == 0 => self.metadata(count, content)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn is_mine(&self, hash: SeriesHash) -> bool {
        stripe_of(hash, self.head.stripes.len()) % self.workers == self.worker
    }

    fn series(&mut self, generation: Generation, mut reader: SeriesReader<'_>) -> Result<(), Malformed> {
        let (mut blocks, mut batch, mut block) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let next = reader.next(&mut block);
            if let Ok(Some(reference)) = next {
                let hash = SeriesHash::of(&block);
                if self.is_mine(hash) {
                    batch.push((reference, hash, blocks.len()..blocks.len() + block.len()));
                    blocks.extend_from_slice(&block);
                } else {
                    self.references.of(generation).set(reference, OTHERS);
                }
            }
            if batch.len() >= CREATE_BATCH || !matches!(next, Ok(Some(_))) {
                self.create(generation, &batch, &blocks);
                batch.clear();
                blocks.clear();
            }
            if next?.is_none() {
                return Ok(());
            }
        }
    }

    fn create(&mut self, generation: Generation, batch: &[(u32, SeriesHash, std::ops::Range<usize>)], blocks: &[u8]) {
        let head = Arc::clone(&self.head);
        let pages = self.references.of(generation);
        let mut creator: Option<Creator<'_, '_>> = None;
        for (reference, hash, range) in batch {
            let there = head.stripes[stripe_of(*hash, head.stripes.len())].read().find(*hash);
            let slot = if there != super::hash_table::NONE {
                there
            } else {
                let creator = creator.get_or_insert_with(|| Creator::new(&head));
                let block = LabelBlock::from_validated(blocks.get(range.clone()).unwrap_or_default());
                // Another worker cannot have made it, but a push may have, since the look above.
                match creator.find(*hash).map_or_else(|| creator.create(*hash, block, usize::MAX), Ok) {
                    Ok(slot) => {
                        self.stats.series += 1;
                        slot
                    }
                    Err(_) => continue,
                }
            };
            pages.set(*reference, Defined { id: head.id(*hash, slot), hash: hash.0 as u64 });
        }
    }

    fn floats(&mut self, generation: Generation, mut reader: FloatReader<'_>) -> Result<(), Malformed> {
        let oldest = self.head.oldest.load(Relaxed);
        let mut page = (u32::MAX, [].as_slice());
        loop {
            self.samples.clear();
            let references = self.references.of(generation);
            let next = loop {
                let next = reader.next();
                let Ok(Some((reference, sample))) = next else { break next };
                if page.0 != reference / PAGE {
                    page = (reference / PAGE, references.page(reference));
                }
                let series = page.1.get((reference % PAGE) as usize).copied().unwrap_or(UNDEFINED);
                if series.id == u32::MAX {
                    self.stats.orphans += u64::from(series.hash == UNDEFINED.hash && self.worker == 0);
                } else if sample.t < oldest {
                    self.stats.skipped += 1;
                } else if !self.with_histograms.is_empty() && self.with_histograms.contains(&series.id) {
                    self.mixed.push((series, Point::Float(sample)));
                } else {
                    self.samples.push(Pending { series, sample });
                }
                if self.samples.len() >= SAMPLE_BATCH {
                    break next;
                }
            };
            page = (u32::MAX, &[]);
            self.append();
            if next?.is_none() {
                return Ok(());
            }
        }
    }

    /// Appends `samples`, stripe by stripe, each in passes as [`append`] does.
    fn append(&mut self) {
        let stripes = self.head.stripes.len() as u32;
        let mut ends = [0_u32; super::stripe::MAX_STRIPES];
        self.samples.iter().for_each(|s| ends[(s.series.id & (stripes - 1)) as usize] += 1);
        let mut total = 0;
        ends.iter_mut().for_each(|end| total += std::mem::replace(end, total));
        self.order.clear();
        self.order.resize(self.samples.len(), 0);
        for (i, pending) in (0..).zip(&self.samples) {
            let at = &mut ends[(pending.series.id & (stripes - 1)) as usize];
            self.order[*at as usize] = i;
            *at += 1;
        }
        let mut start = 0;
        for (number, end) in ends.into_iter().enumerate() {
            if end > start {
                self.append_to_stripe(number, start as usize..end as usize);
            }
            start = end;
        }
    }

    fn append_to_stripe(&mut self, number: usize, group: std::ops::Range<usize>) {
        let mut stripe = self.head.stripes[number].write();
        let stripe = &mut *stripe;
        let range = self.head.config.chunk_range_ms;
        let (mut min_t, mut max_t) = (i64::MAX, i64::MIN);
        for window in self.order[group].chunks(append::WINDOW) {
            let pending = |i: &u32| &self.samples[*i as usize];
            let slot = |i: &u32| self.head.locate(pending(i).series.id).1;
            black_box(window.iter().fold(0, |sink, i| sink ^ stripe.hot.get(slot(i)).map_or(0, Hot::touch)));
            black_box(window.iter().fold(0, |sink, i| sink ^ stripe.hot.get(slot(i)).map_or(0, Hot::touch_chunk)));
            for i in window {
                let (Pending { series, sample }, slot) = (pending(i), slot(i));
                let Some(hot) = stripe.hot.get_mut(slot).filter(|hot| hot.hash().0 as u64 == series.hash) else {
                    self.stats.orphans += 1;
                    continue;
                };
                let mut closed = None;
                let taken = match hot.append_float(*sample, range, &mut closed) {
                    Verdict::Taken => true,
                    Verdict::Late => stripe.cold.get_mut(slot).is_some_and(|cold| restore_late(hot, cold, Value::Float(*sample), range)),
                    Verdict::Duplicate | Verdict::Conflict(_) => false,
                };
                *(if taken { &mut self.stats.samples } else { &mut self.stats.skipped }) += 1;
                if let (Some(chunk), Some(cold)) = (closed, stripe.cold.get_mut(slot)) {
                    cold.push(chunk);
                }
                (min_t, max_t) = (min_t.min(sample.t), max_t.max(sample.t));
            }
        }
        self.head.totals.note_times(min_t, max_t);
    }

    /// Reads histograms into `mixed`.
    fn histograms(&mut self, generation: Generation, mut reader: HistogramReader<'_>) -> Result<(), Malformed> {
        while let Some((reference, sample)) = reader.next()? {
            let series = self.references.of(generation).get(reference);
            if series.id == u32::MAX {
                self.stats.orphans += u64::from(series.hash == UNDEFINED.hash && self.worker == 0);
            } else {
                self.with_histograms.insert(series.id);
                self.mixed.push((series, Point::Histogram(sample)));
            }
        }
        Ok(())
    }

    /// Appends histograms, and the floats of the same record and series, in the order of time, which was that of the push.
    fn append_mixed(&mut self) {
        let oldest = self.head.oldest.load(Relaxed);
        let range = self.head.config.chunk_range_ms;
        self.mixed.sort_by_key(|(_, value)| value.t());
        self.with_histograms.clear();
        for (series, value) in self.mixed.drain(..) {
            let (stripe, slot) = self.head.locate(series.id);
            let mut stripe = self.head.stripes[stripe].write();
            let stripe = &mut *stripe;
            let hot = stripe.hot.get_mut(slot).filter(|hot| value.t() >= oldest && hot.hash().0 as u64 == series.hash);
            let (Some(hot), Some(cold)) = (hot, stripe.cold.get_mut(slot)) else {
                self.stats.skipped += 1;
                continue;
            };
            let mut closed = None;
            let verdict = match &value {
                Point::Histogram(sample) => hot.append_histogram(sample, range, &mut closed),
                Point::Float(sample) => Ok(hot.append_float(*sample, range, &mut closed)),
            };
            if let Some(chunk) = closed {
                cold.push(chunk);
            }
            let taken = match verdict {
                Ok(Verdict::Taken) => true,
                Ok(Verdict::Late) => restore_late(hot, cold, Value::of(&value), range),
                Ok(Verdict::Duplicate | Verdict::Conflict(_)) | Err(_) => false,
            };
            match &value {
                _ if !taken => self.stats.skipped += 1,
                Point::Histogram(_) => self.stats.histograms += 1,
                Point::Float(_) => self.stats.samples += 1,
            }
            self.head.totals.note_times(value.t(), value.t());
        }
    }

    pub(super) fn exemplars(&mut self, generation: Generation, mut reader: ExemplarReader<'_>) -> Result<(), Malformed> {
        let mut block = Vec::new();
        while let Some((owner, exemplar)) = reader.next()? {
            let (hash, labels) = match owner {
                ExemplarOwner::Reference(reference) => {
                    let series = self.references.of(generation).get(reference);
                    let index = self.head.index.read();
                    let (stripe, slot) = self.head.locate(series.id);
                    let stripe = self.head.stripes[stripe].read();
                    let (Some(hot), Some(cold)) = (stripe.hot.get(slot), stripe.cold.get(slot)) else { continue };
                    if hot.hash().0 as u64 != series.hash {
                        continue;
                    }
                    (hot.hash(), index.labels(stripe.pairs_of(cold), &mut block))
                }
                ExemplarOwner::Block(bytes) => {
                    let hash = SeriesHash::of(bytes);
                    if !self.is_mine(hash) {
                        continue;
                    }
                    (hash, LabelBlock::validate(bytes).map_err(|_| Malformed)?.to_labels())
                }
            };
            // Whatever the window is now: it was accepted when it came.
            let max = self.head.limits.max_exemplars.load(Relaxed);
            if self.head.exemplars.lock().offer(hash, || labels, &exemplar, i64::MAX, max) == super::exemplars::Offered::Taken {
                self.stats.exemplars += 1;
            }
        }
        Ok(())
    }

    pub(super) fn metadata(&mut self, count: u32, mut content: Cursor<'_>) -> Result<(), Malformed> {
        for _ in 0..count {
            let metadata = read_metadata(&mut content)?;
            // Not known to the generation that is written now.
            self.head.metadata.lock().set(&metadata, 0, self.head.limits.max_metadata.load(Relaxed));
            self.stats.metadata += 1;
        }
        Ok(())
    }
}
