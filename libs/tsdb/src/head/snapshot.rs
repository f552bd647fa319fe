//! A head as the sections of a snapshot (`docs/formats/snapshot.md`).
//!
//! The walk goes over the slots of all stripes side by side, so that the series come in about the order of their ids: whoever restores them gives them
//! ids in the order in which they come, and postings grow at their ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::SeriesHash;

use super::index::Index;
use super::series::{ChunkData, ClosedChunk, Hot};
use super::stripe::Stripe;
use super::{Head, HeadError};
use crate::block::recode::{self, Point};
use crate::head_chunks::ChunkFile;
use crate::wal::record::{ExemplarOwner, ExemplarWriter, Section, Tag, put_bytes, put_varint, put_zigzag, write_metadata};

mod restore;

pub(crate) use restore::Restorer;

/// A section ends when it has this many bytes: many sections for the workers that read them, few frames.
const SECTION_BYTES: usize = 256 << 10;

/// Slots of a stripe that are looked at under one hold of it and of the index.
const SLOTS: u32 = 64;

/// In the byte of a chunk's kind: a place follows instead of the data.
const PLACE: u8 = 1 << 4;
/// Likewise: the chunk is sealed.
const SEALED: u8 = 1 << 5;

/// A label that has no number yet.
const UNNUMBERED: u32 = u32::MAX;

/// The content of one or two sections.
#[derive(Debug)]
pub(crate) enum HeadPart<'w> {
    /// Series, and before them the labels that they are the first to have; those may be none.
    Series {
        symbols: &'w [u8],
        series: &'w [u8],
        count: u32,
    },
    Exemplars(&'w [u8]),
    Metadata(&'w [u8]),
}

/// Goes over a head once. Appends go on meanwhile.
#[derive(Debug)]
pub(crate) struct HeadWalk<'h> {
    head: &'h Head,
    /// By pair id: the hash of the label's text, and its number. Ids are given to other labels when series are collected; the hash tells.
    numbers: Vec<(u64, u32)>,
    next_number: u32,
    next_slot: u32,
    /// Those that places are in.
    pub(crate) files: BTreeMap<u32, Arc<ChunkFile>>,
    symbols: Vec<u8>,
    series: SeriesSection,
    /// Sections that are ready, the last first.
    tail: Option<Vec<Vec<u8>>>,
    sent: Vec<u8>,
}

/// A section of series under construction, and what its differences are to.
#[derive(Debug, Default)]
struct SeriesSection {
    bytes: Vec<u8>,
    count: u32,
    labels: Vec<u32>,
    labels_before: Vec<u32>,
    t: i64,
}

impl<'h> HeadWalk<'h> {
    pub(crate) fn new(head: &'h Head) -> Self {
        let series = SeriesSection::default();
        Self {
            head,
            numbers: Vec::new(),
            next_number: 0,
            next_slot: 0,
            files: BTreeMap::new(),
            symbols: Vec::new(),
            series,
            tail: None,
            sent: Vec::new(),
        }
    }

    /// The next part; `None` at the end. An error if a chunk of a file that is not on the disk for good cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<HeadPart<'_>>, HeadError> {
        if self.fill_series()? {
            let Self { symbols, series, .. } = self;
            return Ok(Some(HeadPart::Series { symbols, series: &series.bytes, count: series.count }));
        }
        let head = self.head;
        let tail = self.tail.get_or_insert_with(|| tail(head));
        let Some(section) = tail.pop() else { return Ok(None) };
        self.sent = section;
        let content = self.sent.get(TAIL_SKIPPED..).unwrap_or_default();
        Ok(match self.sent.first() {
            Some(tag) if *tag == Tag::Exemplars as u8 => Some(HeadPart::Exemplars(content)),
            _ => Some(HeadPart::Metadata(content)),
        })
    }

    /// Fills a section with series; whether there were any.
    fn fill_series(&mut self) -> Result<bool, HeadError> {
        self.symbols.clear();
        self.series.begin();
        while self.series.bytes.len() < SECTION_BYTES {
            let from = self.next_slot;
            let mut more = false;
            for stripe in 0..self.head.stripes.len() {
                more |= self.slots(stripe, from)?;
            }
            if !more {
                break;
            }
            self.next_slot = from.saturating_add(SLOTS);
        }
        self.series.end();
        Ok(self.series.count > 0)
    }

    /// Writes the series of some slots of a stripe; whether it has slots from there on.
    fn slots(&mut self, stripe: usize, from: u32) -> Result<bool, HeadError> {
        let index = self.head.index.read();
        let stripe = self.head.stripes[stripe].read();
        let to = stripe.slots().min(from.saturating_add(SLOTS));
        for slot in from..to {
            self.series(&index, &stripe, slot)?;
        }
        Ok(from < stripe.slots())
    }

    fn series(&mut self, index: &Index, stripe: &Stripe, slot: u32) -> Result<(), HeadError> {
        let (Some(hot), Some(cold)) = (stripe.hot.get(slot), stripe.cold.get(slot)) else { return Ok(()) };
        if cold.pairs_len == 0 {
            return Ok(());
        }
        self.series.labels.clear();
        for pair in stripe.pairs_of(cold) {
            let Some((hash, wire)) = index.pair(*pair) else { return Ok(()) };
            let at = *pair as usize;
            if self.numbers.len() <= at {
                self.numbers.resize(at + 1, (0, UNNUMBERED));
            }
            if self.numbers[at].1 == UNNUMBERED || self.numbers[at].0 != hash {
                self.numbers[at] = (hash, self.next_number);
                self.next_number += 1;
                put_bytes(&mut self.symbols, wire);
            }
            self.series.labels.push(self.numbers[at].1);
        }
        self.series.put_labels();
        self.series.put_chunks(&cold.chunks, hot.hash(), &mut self.files)?;
        self.series.put_open(hot);
        let (late, waiting) = match &cold.late {
            Some(late) => (&late.chunks[..], as_chunks(late.waiting_in(i64::MIN, i64::MAX))),
            None => (&[][..], Vec::new()),
        };
        self.series.put_chunks(late, hot.hash(), &mut self.files)?;
        self.series.put_chunks(&waiting, hot.hash(), &mut self.files)
    }
}

impl SeriesSection {
    fn begin(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0; 4]);
        self.labels_before.clear();
        (self.count, self.t) = (0, 0);
    }

    fn end(&mut self) {
        self.bytes[..4].copy_from_slice(&self.count.to_le_bytes());
    }

    fn put_labels(&mut self) {
        put_varint(&mut self.bytes, self.labels.len() as u64);
        for (place, number) in self.labels.iter().enumerate() {
            let before = self.labels_before.get(place).copied().unwrap_or(0);
            put_zigzag(&mut self.bytes, i64::from(*number) - i64::from(before));
        }
        std::mem::swap(&mut self.labels, &mut self.labels_before);
        self.count += 1;
    }

    fn put_chunks(
        &mut self,
        chunks: &[ClosedChunk],
        series: SeriesHash,
        files: &mut BTreeMap<u32, Arc<ChunkFile>>,
    ) -> Result<(), HeadError> {
        put_varint(&mut self.bytes, chunks.len() as u64);
        for chunk in chunks {
            put_zigzag(&mut self.bytes, chunk.min_t().wrapping_sub(self.t));
            put_varint(&mut self.bytes, chunk.max_t().wrapping_sub(chunk.min_t()) as u64);
            self.t = chunk.max_t();
            let kind = chunk.encoding() as u8 | if chunk.is_sealed() { SEALED } else { 0 };
            match chunk.data() {
                ChunkData::Memory(data) => {
                    self.bytes.push(kind);
                    put_bytes(&mut self.bytes, data);
                }
                ChunkData::Stored(file, at) if file.is_synced() => {
                    self.bytes.push(kind | PLACE);
                    put_varint(&mut self.bytes, u64::from(file.number()));
                    put_varint(&mut self.bytes, u64::from(at));
                    files.entry(file.number()).or_insert_with(|| Arc::clone(file));
                }
                ChunkData::Stored(file, at) => {
                    self.bytes.push(kind);
                    put_bytes(&mut self.bytes, &file.read(at, &chunk.key(series))?);
                }
            }
        }
        Ok(())
    }

    fn put_open(&mut self, hot: &Hot) {
        if hot.open_newest().is_some() {
            let (encoding, data) = hot.open_data();
            self.bytes.push(encoding as u8);
            put_bytes(&mut self.bytes, data);
        } else {
            self.bytes.push(0);
            put_zigzag(&mut self.bytes, hot.newest().unwrap_or(i64::MIN));
        }
    }
}

/// Late samples that wait, as chunks.
fn as_chunks(points: Vec<Point>) -> Vec<ClosedChunk> {
    let encoded = recode::encode(points.clone()).or_else(|error| {
        // Each was encoded alone when it was taken.
        tracing::warn!(%error, "late samples are written one by one");
        let alone: Result<Vec<_>, _> = points.into_iter().map(|point| recode::encode(vec![point])).collect();
        alone.map(|chunks| chunks.concat())
    });
    match encoded {
        Ok(chunks) => chunks.into_iter().map(|c| ClosedChunk::new(c.encoding, c.min_t, c.max_t, c.data.to_vec())).collect(),
        Err(error) => {
            tracing::error!(%error, "late samples cannot be encoded and are not in the snapshot");
            Vec::new()
        }
    }
}

/// Tag and length, which the sections of the log begin with and those of a snapshot do not need.
const TAIL_SKIPPED: usize = 5;

/// The sections of exemplars and metadata as the log has them, the last first. Their number is bounded by the head's settings.
fn tail(head: &Head) -> Vec<Vec<u8>> {
    let mut sections = Vec::new();
    let exemplars = head.exemplars.lock();
    let mut exemplars = exemplars.in_order().peekable();
    while exemplars.peek().is_some() {
        let mut out = Vec::new();
        let mut writer = ExemplarWriter::begin(&mut out);
        while out.len() < SECTION_BYTES
            && let Some((_, labels, exemplar)) = exemplars.next()
        {
            writer.put(&mut out, ExemplarOwner::Block(labels.as_bytes()), exemplar);
        }
        writer.end(&mut out);
        sections.push(out);
    }
    let metadata = head.metadata(None, usize::MAX);
    let mut metadata = metadata.iter().peekable();
    while metadata.peek().is_some() {
        let mut out = Vec::new();
        let mut section = Section::begin(&mut out, Tag::Metadata);
        while out.len() < SECTION_BYTES
            && let Some(metadata) = metadata.next()
        {
            write_metadata(&mut out, metadata);
            section.add();
        }
        section.end(&mut out);
        sections.push(out);
    }
    sections.reverse();
    sections
}
