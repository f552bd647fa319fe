//! The sections of a snapshot back into a head.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use model::{ChunkEncoding, LabelBlock, SeriesHash};
use parking_lot::RwLock;

use super::{PLACE, SEALED};
use crate::block::recode::decode;
use crate::head::Head;
use crate::head::hash_table::NONE;
use crate::head::replay::Replayer;
use crate::head::series::{ClosedChunk, Hot, Late};
use crate::head::stripe::stripe_of;
use crate::head_chunks::{ChunkFile, HeadChunks};
use crate::wal::Generation;
use crate::wal::record::{Cursor, ExemplarReader, Malformed};

/// The largest label block that is read, in bytes; far above what the limits on labels let in.
const MAX_BLOCK_BYTES: usize = 1 << 20;

/// Bytes of the shortest chunk: times, kind, and the length of its data.
const MIN_CHUNK_BYTES: usize = 4;

/// Restores one tenant's head, which nobody else uses meanwhile. Several threads may restore sections of series at a time.
#[derive(Debug)]
pub(crate) struct Restorer {
    head: Arc<Head>,
    files: Arc<HeadChunks>,
    /// Held for writing while a section of symbols is read, which is before the sections of series that use them.
    symbols: RwLock<Symbols>,
}

#[derive(Debug, Default)]
struct Symbols {
    texts: Vec<Bytes>,
    /// The pair ids of the head.
    pairs: Vec<u32>,
}

/// A series as it was read.
struct Series {
    hash: SeriesHash,
    chunks: Vec<ClosedChunk>,
    late: Option<Box<Late>>,
    hot: Hot,
    min_t: i64,
    max_t: i64,
}

/// What is used again and again while a section is read.
#[derive(Default)]
struct Scratch {
    labels: Vec<u32>,
    pairs: Vec<u32>,
    block: Vec<u8>,
    t: i64,
    /// The head chunk file that was named last.
    file: Option<Arc<ChunkFile>>,
}

impl Restorer {
    pub(crate) fn new(head: Arc<Head>, files: Arc<HeadChunks>) -> Self {
        Self { head, files, symbols: RwLock::default() }
    }

    /// Reads a section of symbols.
    pub(crate) fn symbols(&self, content: &Bytes) -> Result<(), Malformed> {
        let mut symbols = self.symbols.write();
        let mut index = self.head.index.write();
        let mut cursor = Cursor::new(content);
        while !cursor.is_empty() {
            let wire = cursor.bytes()?;
            if wire.is_empty() || LabelBlock::validate(wire).is_err() {
                return Err(Malformed);
            }
            symbols.pairs.push(index.intern(wire).ok_or(Malformed)?);
            symbols.texts.push(content.slice_ref(wire));
        }
        Ok(())
    }

    /// Reads a section of series; how many.
    pub(crate) fn series(&self, content: &[u8]) -> Result<u64, Malformed> {
        let symbols = self.symbols.read();
        let mut cursor = Cursor::new(content);
        let count = cursor.u32()?;
        let mut scratch = Scratch::default();
        let mut postings = Vec::new();
        let (mut min_t, mut max_t) = (i64::MAX, i64::MIN);
        for _ in 0..count {
            let series = self.read_series(&mut cursor, &symbols, &mut scratch)?;
            (min_t, max_t) = (min_t.min(series.min_t), max_t.max(series.max_t));
            let id = self.insert(series, &scratch.pairs)?;
            postings.extend(scratch.pairs.iter().map(|pair| (*pair, id)));
        }
        if !cursor.is_empty() {
            return Err(Malformed);
        }
        self.head.totals.note_times(min_t, max_t);
        // Sorted here, so that the other workers wait less.
        postings.sort_unstable();
        self.head.index.write().add_series(&mut postings);
        Ok(u64::from(count))
    }

    fn insert(&self, series: Series, pairs: &[u32]) -> Result<u32, Malformed> {
        let mut stripe = self.head.stripes[stripe_of(series.hash, self.head.stripes.len())].write();
        if stripe.find(series.hash) != NONE {
            return Err(Malformed);
        }
        let slot = stripe.insert(series.hash, pairs, self.head.max_slots()).ok_or(Malformed)?;
        if let Some(hot) = stripe.hot.get_mut(slot) {
            *hot = series.hot;
        }
        if let Some(cold) = stripe.cold.get_mut(slot) {
            cold.chunks = series.chunks;
            cold.late = series.late;
        }
        self.head.series.fetch_add(1, Relaxed);
        Ok(self.head.id(series.hash, slot))
    }

    fn read_series(&self, cursor: &mut Cursor<'_>, symbols: &Symbols, scratch: &mut Scratch) -> Result<Series, Malformed> {
        let hash = read_labels(cursor, symbols, scratch)?;
        let chunks = self.read_chunks(cursor, scratch)?;
        let hot = match cursor.u8()? {
            0 => Hot::closed(hash, cursor.zigzag()?),
            encoding => {
                let encoding = ChunkEncoding::from_wire(encoding).ok_or(Malformed)?;
                Hot::resume(hash, encoding, cursor.bytes()?, self.head.config.chunk_range_ms).map_err(|_| Malformed)?
            }
        };
        let late = self.read_late(cursor, scratch, hash)?;
        let open_first = hot.open_first();
        if let (Some(first), Some(last)) = (open_first, chunks.last())
            && first <= last.max_t()
        {
            return Err(Malformed);
        }
        let first = |t: Option<i64>| t.unwrap_or(i64::MAX);
        let late_first =
            late.as_ref().and_then(|late| late.chunks.first().map(ClosedChunk::min_t).into_iter().chain(late.first_waiting()).min());
        let min_t = first(chunks.first().map(ClosedChunk::min_t).or(open_first)).min(first(late_first));
        let max_t = hot.newest().or(chunks.last().map(ClosedChunk::max_t)).unwrap_or(i64::MIN);
        Ok(Series { hash, chunks, late, hot, min_t, max_t })
    }

    /// Reads what came late; `None` if nothing did.
    fn read_late(&self, cursor: &mut Cursor<'_>, scratch: &mut Scratch, hash: SeriesHash) -> Result<Option<Box<Late>>, Malformed> {
        let chunks = self.read_chunks(cursor, scratch)?;
        let waiting = self.read_chunks(cursor, scratch)?;
        if chunks.is_empty() && waiting.is_empty() {
            return Ok(None);
        }
        let mut late: Box<Late> = Box::default();
        late.chunks = chunks;
        for chunk in waiting {
            let points = chunk.to_chunk(hash).ok().and_then(|chunk| decode(&chunk).ok()).ok_or(Malformed)?;
            late.add(hash, points, self.head.config.chunk_range_ms);
        }
        Ok(Some(late))
    }

    /// Reads chunks, which must ascend without overlap.
    fn read_chunks(&self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<Vec<ClosedChunk>, Malformed> {
        let count = cursor.count(MIN_CHUNK_BYTES)?;
        let mut chunks: Vec<ClosedChunk> = Vec::with_capacity(count);
        for _ in 0..count {
            let min_t = scratch.t.wrapping_add(cursor.zigzag()?);
            let span = u32::try_from(cursor.varint()?).map_err(|_| Malformed)?;
            let max_t = min_t.checked_add_unsigned(u64::from(span)).ok_or(Malformed)?;
            let kind = cursor.u8()?;
            let encoding = ChunkEncoding::from_wire(kind & 0x0F).ok_or(Malformed)?;
            if kind & !(0x0F | PLACE | SEALED) != 0 || chunks.last().is_some_and(|before| before.max_t() >= min_t) {
                return Err(Malformed);
            }
            let mut chunk = if kind & PLACE == 0 {
                ClosedChunk::new(encoding, min_t, max_t, cursor.bytes()?.to_vec())
            } else {
                let (file, at) = self.read_place(cursor, scratch)?;
                let mut chunk = ClosedChunk::new(encoding, min_t, max_t, Vec::new());
                chunk.set_stored(file, at);
                chunk
            };
            if kind & SEALED != 0 {
                chunk.seal();
            }
            scratch.t = max_t;
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    /// Reads a place in a head chunk file, which must be there. Whether the chunk is, is seen when somebody reads it.
    fn read_place(&self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(Arc<ChunkFile>, u32), Malformed> {
        let number = u32::try_from(cursor.varint()?).map_err(|_| Malformed)?;
        let at = u32::try_from(cursor.varint()?).map_err(|_| Malformed)?;
        let file = match scratch.file.take().filter(|file| file.number() == number) {
            Some(file) => file,
            None => self.files.file(number).map_err(|_| Malformed)?,
        };
        scratch.file = Some(Arc::clone(&file));
        Ok((file, at))
    }

    /// Reads a section of exemplars.
    pub(crate) fn exemplars(&self, content: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(content);
        let count = cursor.u32()?;
        // Without references: the generation does not matter.
        Replayer::new(Arc::clone(&self.head), 0, 1).exemplars(Generation(0), ExemplarReader::new(count, cursor))
    }

    /// Reads a section of metadata.
    pub(crate) fn metadata(&self, content: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(content);
        let count = cursor.u32()?;
        Replayer::new(Arc::clone(&self.head), 0, 1).metadata(count, cursor)
    }
}

/// Reads labels into `scratch.pairs`; their hash.
fn read_labels(cursor: &mut Cursor<'_>, symbols: &Symbols, scratch: &mut Scratch) -> Result<SeriesHash, Malformed> {
    let count = cursor.count(1)?;
    if count == 0 || count > usize::from(u16::MAX) {
        return Err(Malformed);
    }
    scratch.pairs.clear();
    scratch.block.clear();
    for place in 0..count {
        let before = scratch.labels.get(place).copied().unwrap_or(0);
        let number = u32::try_from(i64::from(before).checked_add(cursor.zigzag()?).ok_or(Malformed)?).map_err(|_| Malformed)?;
        match scratch.labels.get_mut(place) {
            Some(label) => *label = number,
            None => scratch.labels.push(number),
        }
        let text = symbols.texts.get(number as usize).ok_or(Malformed)?;
        if scratch.block.len() + text.len() > MAX_BLOCK_BYTES {
            return Err(Malformed);
        }
        scratch.block.extend_from_slice(text);
        scratch.pairs.push(*symbols.pairs.get(number as usize).ok_or(Malformed)?);
    }
    scratch.labels.truncate(count);
    Ok(LabelBlock::validate(&scratch.block).map_err(|_| Malformed)?.hash())
}
