//! Writing an index, version 2.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use model::Labels;

use super::cursor::{Cursor, put_str, put_uvarint, put_varint};
use super::file::BlockFile;
use super::out_file::OutFile;
use super::{BlockError, ChunkMeta, INDEX_HEADER, MAX_SERIES_BYTES};
use crate::fs::Fs;

/// Series as they come, before the order of symbols is known; gone when the index is done.
const STAGING: &str = "series.tmp";

/// Writes the `index` of a block from series in label order.
///
/// Symbols are numbered in their order, which is known only after the last series. So series are first written to a file
/// beside the index with preliminary numbers, and then copied. In memory are the symbols, and at the end the postings: four bytes
/// for each label of each series.
#[derive(Debug)]
pub struct IndexWriter {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    staging: OutFile,
    symbols: HashMap<Arc<str>, u32>,
    last: Option<Labels>,
    scratch: Vec<u8>,
}

/// What of the index has been written.
struct Sections {
    out: OutFile,
    symbols: u64,
    series: u64,
    /// Ascending ids by pair of symbols.
    postings: HashMap<(u32, u32), Vec<u32>>,
    all: Vec<u32>,
}

impl IndexWriter {
    /// A writer of `dir`/`index`, which must not be there.
    pub fn create(fs: Arc<dyn Fs>, dir: &Path) -> Result<Self, BlockError> {
        let staging = OutFile::create(&*fs, &dir.join(STAGING))?;
        Ok(Self { fs, dir: dir.to_owned(), staging, symbols: HashMap::new(), last: None, scratch: Vec::new() })
    }

    /// Adds a series with its chunks, which ascend.
    pub fn put(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), BlockError> {
        if self.last.as_ref().is_some_and(|last| last >= labels) {
            return Err(BlockError::SeriesOrder(labels.to_string()));
        }
        self.scratch.clear();
        put_uvarint(&mut self.scratch, labels.len() as u64);
        for (name, value) in labels.iter() {
            for text in [name, value] {
                let symbol = symbol_of(&mut self.symbols, text)?;
                put_uvarint(&mut self.scratch, u64::from(symbol));
            }
        }
        put_chunks(&mut self.scratch, chunks);
        // Final symbols may be longer than preliminary ones, by at most four bytes each.
        if self.scratch.len() as u64 + 8 * labels.len() as u64 > MAX_SERIES_BYTES {
            return Err(BlockError::TooLarge { what: "bytes of a series", limit: MAX_SERIES_BYTES });
        }
        self.last = Some(labels.clone());
        let mut len = Vec::with_capacity(10);
        put_uvarint(&mut len, self.scratch.len() as u64);
        self.staging.put(&len)?;
        self.staging.put(&self.scratch)
    }

    /// Writes the index and makes it durable. Gives the ids of the series, in the order in which they came.
    pub fn finish(self) -> Result<Vec<u32>, BlockError> {
        let Self { fs, dir, staging, symbols, .. } = self;
        staging.finish_scratch()?;
        let mut names: Vec<(Arc<str>, u32)> = symbols.into_iter().collect();
        names.sort_unstable();
        let mut rank = vec![0_u32; names.len()];
        for (at, (_, preliminary)) in names.iter().enumerate() {
            if let Some(slot) = rank.get_mut(*preliminary as usize) {
                *slot = at as u32;
            }
        }
        let names: Vec<Arc<str>> = names.into_iter().map(|(name, _)| name).collect();

        let mut out = OutFile::create(&*fs, &dir.join(super::INDEX_FILE))?;
        out.put(&INDEX_HEADER)?;
        let symbols = out.position();
        put_symbols(&mut out, &names)?;
        let series = out.position();
        let mut sections = Sections { out, symbols, series, postings: HashMap::new(), all: Vec::new() };
        sections.copy_series(&BlockFile::open(&*fs, &dir, STAGING)?, &rank)?;
        let ids = sections.put_postings(&names)?;
        let staging = dir.join(STAGING);
        fs.remove(&staging).map_err(BlockError::io(&staging))?;
        Ok(ids)
    }
}

fn symbol_of(symbols: &mut HashMap<Arc<str>, u32>, text: &str) -> Result<u32, BlockError> {
    if let Some(symbol) = symbols.get(text) {
        return Ok(*symbol);
    }
    let next = u32::try_from(symbols.len()).map_err(|_| BlockError::TooLarge { what: "symbols", limit: u64::from(u32::MAX) })?;
    symbols.insert(text.into(), next);
    Ok(next)
}

fn put_chunks(out: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    put_uvarint(out, chunks.len() as u64);
    let mut previous: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match previous {
            None => put_varint(out, chunk.min_t),
            Some(p) => put_uvarint(out, chunk.min_t.wrapping_sub(p.max_t) as u64),
        }
        put_uvarint(out, chunk.max_t.wrapping_sub(chunk.min_t) as u64);
        match previous {
            None => put_uvarint(out, chunk.reference),
            Some(p) => put_varint(out, chunk.reference.wrapping_sub(p.reference) as i64),
        }
        previous = Some(chunk);
    }
}

fn put_symbols(out: &mut OutFile, names: &[Arc<str>]) -> Result<(), BlockError> {
    let mut section = (names.len() as u32).to_be_bytes().to_vec();
    names.iter().for_each(|name| put_str(&mut section, name));
    out.put_section(&section, "bytes of symbols")
}

impl Sections {
    /// Copies the series with their final symbols, and notes their postings.
    fn copy_series(&mut self, staging: &BlockFile, rank: &[u32]) -> Result<(), BlockError> {
        let staged = staging.window(0, staging.len())?;
        let mut staged = Cursor(&staged);
        let mut record = Vec::new();
        while !staged.0.is_empty() {
            let at = staging.len() - staged.0.len() as u64;
            let lost = || staging.corrupt(at, "the staged series do not read back");
            let len = staged.uvarint().and_then(|len| usize::try_from(len).ok()).ok_or_else(lost)?;
            let (body, rest) = staged.0.split_at_checked(len).ok_or_else(lost)?;
            staged = Cursor(rest);
            let mut body = Cursor(body);

            self.out.align(16)?;
            let id = u32::try_from(self.out.position() / 16);
            let id = id.map_err(|_| BlockError::TooLarge { what: "bytes of series", limit: 16 << 32 })?;
            record.clear();
            let labels = body.uvarint().ok_or_else(lost)?;
            put_uvarint(&mut record, labels);
            for _ in 0..labels {
                let mut symbol = || body.uvarint32().and_then(|s| rank.get(s as usize).copied()).ok_or_else(lost);
                let pair = (symbol()?, symbol()?);
                put_uvarint(&mut record, u64::from(pair.0));
                put_uvarint(&mut record, u64::from(pair.1));
                self.postings.entry(pair).or_default().push(id);
            }
            record.extend_from_slice(body.0);
            self.all.push(id);
            let mut head = Vec::with_capacity(10);
            put_uvarint(&mut head, record.len() as u64);
            self.out.put(&head)?;
            self.out.put(&record)?;
            self.out.put_checksum(&record)?;
        }
        Ok(())
    }

    /// Writes the postings, their table, and the table of contents. Gives the ids of all series.
    fn put_postings(mut self, names: &[Arc<str>]) -> Result<Vec<u32>, BlockError> {
        let mut lists: Vec<((u32, u32), Vec<u32>)> = std::mem::take(&mut self.postings).into_iter().collect();
        // Symbols are in order, so pairs of symbols are too.
        lists.sort_unstable_by_key(|(pair, _)| *pair);
        // Prometheus no longer reads label indices, which lay here: an empty section, and below an empty table.
        let label_indices = self.out.position();
        let postings = self.out.position();
        let entries = u32::try_from(lists.len() + 1);
        let entries = entries.map_err(|_| BlockError::TooLarge { what: "label pairs", limit: u64::from(u32::MAX) })?;
        let mut table = entries.to_be_bytes().to_vec();
        let all = std::mem::take(&mut self.all);
        self.put_list(&mut table, "", "", &all)?;
        for ((name, value), ids) in lists {
            let text = |symbol: u32| names.get(symbol as usize).map_or("", |text| &**text);
            self.put_list(&mut table, text(name), text(value), &ids)?;
        }
        let mut out = self.out;
        let label_table = out.position();
        out.put_section(&0_u32.to_be_bytes(), "label indices")?;
        let postings_table = out.position();
        out.put_section(&table, "bytes of the postings table")?;
        let toc: Vec<u8> = [self.symbols, self.series, label_indices, label_table, postings, postings_table]
            .iter()
            .flat_map(|offset| offset.to_be_bytes())
            .collect();
        out.put(&toc)?;
        out.put_checksum(&toc)?;
        out.finish()?;
        Ok(all)
    }

    fn put_list(&mut self, table: &mut Vec<u8>, name: &str, value: &str, ids: &[u32]) -> Result<(), BlockError> {
        self.out.align(4)?;
        put_uvarint(table, 2);
        put_str(table, name);
        put_str(table, value);
        put_uvarint(table, self.out.position());
        let mut list = Vec::with_capacity(4 + ids.len() * 4);
        list.extend_from_slice(&(ids.len() as u32).to_be_bytes());
        ids.iter().for_each(|id| list.extend_from_slice(&id.to_be_bytes()));
        self.out.put_section(&list, "bytes of a postings list")
    }
}
