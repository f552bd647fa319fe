//! Reading an index, version 2.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;
use model::Labels;
use model::labels::{LabelBlock, append_pair};

use super::cursor::Cursor;
use super::file::BlockFile;
use super::{BlockError, ChunkMeta, INDEX_FILE, INDEX_HEADER, MAX_SERIES_BYTES};
use crate::fs::Fs;

/// Six offsets and a checksum at the end of the file.
const TOC_BYTES: u64 = 6 * 8 + 4;

/// Offsets of sections.
#[derive(Debug, Clone, Copy)]
struct Toc {
    symbols: u64,
    series: u64,
    /// Where what follows the series begins, as far as is known.
    series_end: u64,
    postings_table: u64,
}

/// The index of a block.
///
/// A file on the disk is mapped. Opening reads the header and the table of contents. The symbol table and the postings table are checked when they
/// are first needed; from then on four bytes for each symbol and each label pair are in memory. Series and postings are read when asked for. Their
/// checksums are checked with every read.
#[derive(Debug)]
pub struct IndexReader {
    file: BlockFile,
    toc: Toc,
    symbols: OnceLock<Symbols>,
    table: OnceLock<PostingsTable>,
}

/// The symbol table: strings in order.
#[derive(Debug)]
struct Symbols {
    bytes: Bytes,
    /// Where each symbol's length stands.
    offsets: Vec<u32>,
}

/// The postings table: where the list of each label pair lies.
#[derive(Debug)]
struct PostingsTable {
    bytes: Bytes,
    /// By name: where each entry's value stands, ascending by value.
    names: BTreeMap<Box<str>, Vec<u32>>,
}

/// A series of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexSeries {
    /// Its number within the block; numbers ascend with the labels.
    pub id: u32,
    /// Its labels.
    pub labels: Labels,
    /// Its chunks, ascending.
    pub chunks: Vec<ChunkMeta>,
}

impl IndexReader {
    /// Opens `dir`/`index`.
    pub fn open(fs: &dyn Fs, dir: &Path) -> Result<Self, BlockError> {
        let file = BlockFile::open(fs, dir, INDEX_FILE)?;
        if *file.read(0, INDEX_HEADER.len() as u64)? != INDEX_HEADER {
            return Err(file.corrupt(0, "not an index of version 2"));
        }
        let toc = read_toc(&file)?;
        Ok(Self { file, toc, symbols: OnceLock::new(), table: OnceLock::new() })
    }

    /// The size of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.file.len()
    }

    /// Bytes of memory that its tables take now.
    pub(super) fn table_bytes(&self) -> u64 {
        let symbols = self.symbols.get().map_or(0, |symbols| symbols.offsets.len());
        let pairs = self.table.get().map_or(0, |table| table.names.values().map(Vec::len).sum());
        (symbols + pairs) as u64 * 4
    }

    /// Names of labels, ascending.
    pub fn label_names(&self) -> Result<Vec<String>, BlockError> {
        Ok(self.table()?.names.keys().filter(|name| !name.is_empty()).map(|name| name.clone().into_string()).collect())
    }

    /// Values of a label, ascending.
    pub fn label_values(&self, name: &str) -> Result<Vec<String>, BlockError> {
        Ok(self.values(name)?.map(|(value, _)| value.to_owned()).collect())
    }

    /// The number of values of each label.
    pub fn cardinality(&self) -> Result<Vec<(String, usize)>, BlockError> {
        let names = self.table()?.names.iter().filter(|(name, _)| !name.is_empty());
        Ok(names.map(|(name, entries)| (name.clone().into_string(), entries.len())).collect())
    }

    /// The ids of the series with a label pair, ascending; of all series for two empty strings.
    pub fn postings(&self, name: &str, value: &str) -> Result<Vec<u32>, BlockError> {
        let table = self.table()?;
        let Some(entries) = table.names.get(name) else { return Ok(Vec::new()) };
        let found = entries.binary_search_by(|at| table.entry(*at).map_or("", |(v, _)| v).cmp(value));
        match found.ok().and_then(|i| entries.get(i)).and_then(|at| table.entry(*at)) {
            Some((_, offset)) => self.postings_at(offset),
            None => Ok(Vec::new()),
        }
    }

    /// The values of a label from `from` on, each with the offset of its list.
    pub(super) fn values_from(&self, name: &str, from: &str) -> Result<impl Iterator<Item = (&str, u64)>, BlockError> {
        let table = self.table()?;
        let entries = table.names.get(name).map(Vec::as_slice).unwrap_or_default();
        let first = entries.partition_point(|at| table.entry(*at).is_some_and(|(v, _)| v < from));
        Ok(entries.get(first..).unwrap_or_default().iter().filter_map(|at| table.entry(*at)))
    }

    /// The values of a label, each with the offset of its list.
    pub(super) fn values(&self, name: &str) -> Result<impl Iterator<Item = (&str, u64)>, BlockError> {
        self.values_from(name, "")
    }

    /// The list at an offset of the postings table.
    pub(super) fn postings_at(&self, offset: u64) -> Result<Vec<u32>, BlockError> {
        let section = self.file.section(offset)?;
        let wrong = || self.file.corrupt(offset, "a postings list does not have the length that it says");
        let mut cursor = Cursor(&section);
        let count = cursor.u32().ok_or_else(wrong)?;
        if u64::from(count) * 4 != cursor.0.len() as u64 {
            return Err(wrong());
        }
        let ids: Vec<u32> = cursor.0.as_chunks().0.iter().map(|b| u32::from_be_bytes(*b)).collect();
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err(self.file.corrupt(offset, "a postings list does not ascend"));
        }
        Ok(ids)
    }

    /// Fetches series that will be read, where that has to be done. `ids` gives each with the one that follows it in the index, if there is one.
    pub(super) fn prefetch_series(&self, ids: impl Iterator<Item = (u32, Option<u32>)>) -> Result<(), BlockError> {
        if !self.file.is_paged() {
            return Ok(());
        }
        let end = |next: Option<u32>| next.map_or(self.toc.series_end, |next| u64::from(next) * 16);
        let ranges: Vec<_> = ids.map(|(id, next)| u64::from(id) * 16..end(next)).collect();
        self.file.prefetch(&ranges)
    }

    /// Whether parts of it must be fetched before they can be read.
    pub(super) fn is_paged(&self) -> bool {
        self.file.is_paged()
    }

    /// Reads series.
    pub(super) fn series_cursor(&self) -> SeriesCursor<'_> {
        SeriesCursor { index: self, block: Vec::new() }
    }

    fn symbols(&self) -> Result<&Symbols, BlockError> {
        if let Some(symbols) = self.symbols.get() {
            return Ok(symbols);
        }
        let wrong = || self.file.corrupt(self.toc.symbols, "the symbol table is malformed");
        let symbols = Symbols::parse(self.file.kept_section(self.toc.symbols)?.into_bytes()).ok_or_else(wrong)?;
        Ok(self.symbols.get_or_init(|| symbols))
    }

    fn table(&self) -> Result<&PostingsTable, BlockError> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let wrong = || self.file.corrupt(self.toc.postings_table, "the postings table is malformed or out of order");
        let table = PostingsTable::parse(self.file.kept_section(self.toc.postings_table)?.into_bytes()).ok_or_else(wrong)?;
        Ok(self.table.get_or_init(|| table))
    }

    /// Checks what no lookup checks: that symbols ascend.
    pub(super) fn check_symbols(&self) -> Result<(), BlockError> {
        let symbols = self.symbols()?;
        let ascend = (1..symbols.offsets.len() as u32).all(|n| symbols.get(n - 1) < symbols.get(n));
        if ascend { Ok(()) } else { Err(self.file.corrupt(self.toc.symbols, "symbols do not ascend")) }
    }
}

fn read_toc(file: &BlockFile) -> Result<Toc, BlockError> {
    let at = file.len().checked_sub(TOC_BYTES).ok_or_else(|| file.corrupt(0, "the index has no table of contents"))?;
    let toc = file.read(at, TOC_BYTES)?;
    let (bytes, sum) = toc.split_at_checked(TOC_BYTES as usize - 4).unwrap_or_default();
    if crc32c::crc32c(bytes).to_be_bytes() != *sum {
        return Err(file.corrupt(at, "the checksum of the table of contents is wrong"));
    }
    let mut cursor = Cursor(bytes);
    let mut offset = || cursor.u64().ok_or_else(|| file.corrupt(at, "the table of contents is cut"));
    let (symbols, series) = (offset()?, offset()?);
    let (label_indices, _label_table, postings) = (offset()?, offset()?, offset()?);
    let postings_table = offset()?;
    if symbols < INDEX_HEADER.len() as u64 || series < symbols || postings_table < series || postings_table > at {
        return Err(file.corrupt(at, "the table of contents points outside of the index"));
    }
    // Sections may be missing (0), and label indices come before postings.
    let series_end = [label_indices, postings, postings_table].into_iter().filter(|at| *at > series).min().unwrap_or(postings_table);
    Ok(Toc { symbols, series, series_end, postings_table })
}

impl Symbols {
    fn parse(bytes: Bytes) -> Option<Self> {
        let mut cursor = Cursor(&bytes);
        let count = cursor.u32()?;
        // A symbol takes a byte at least: a count that lies allocates no more than the table itself.
        let mut offsets = Vec::with_capacity((count as usize).min(cursor.0.len()));
        for _ in 0..count {
            offsets.push((bytes.len() - cursor.0.len()) as u32);
            cursor.str()?;
        }
        cursor.0.is_empty().then_some(())?;
        Some(Self { bytes, offsets })
    }

    fn get(&self, symbol: u32) -> Option<&str> {
        Cursor(self.bytes.get(*self.offsets.get(symbol as usize)? as usize..)?).str()
    }
}

impl PostingsTable {
    fn parse(bytes: Bytes) -> Option<Self> {
        let mut cursor = Cursor(&bytes);
        let count = cursor.u32()?;
        let mut names: BTreeMap<Box<str>, Vec<u32>> = BTreeMap::new();
        let mut last: Option<(&str, &str)> = None;
        let mut open: Vec<u32> = Vec::new();
        for _ in 0..count {
            (cursor.uvarint()? == 2).then_some(())?;
            let name = cursor.str()?;
            let at = (bytes.len() - cursor.0.len()) as u32;
            let value = cursor.str()?;
            cursor.uvarint()?;
            last.is_none_or(|last| last < (name, value)).then_some(())?;
            if let Some((before, _)) = last.filter(|(before, _)| *before != name) {
                names.insert(before.into(), std::mem::take(&mut open));
            }
            open.push(at);
            last = Some((name, value));
        }
        if let Some((before, _)) = last {
            names.insert(before.into(), open);
        }
        cursor.0.is_empty().then_some(())?;
        Some(Self { bytes, names })
    }

    /// The value and the list's offset of the entry at this place.
    fn entry(&self, at: u32) -> Option<(&str, u64)> {
        let mut cursor = Cursor(self.bytes.get(at as usize..)?);
        Some((cursor.str()?, cursor.uvarint()?))
    }
}

/// Reads series of one index.
#[derive(Debug)]
pub(super) struct SeriesCursor<'a> {
    index: &'a IndexReader,
    block: Vec<u8>,
}

impl SeriesCursor<'_> {
    /// The series of an id, which the caller need not trust.
    pub(super) fn read(&mut self, id: u32) -> Result<IndexSeries, BlockError> {
        let file = &self.index.file;
        let at = u64::from(id) * 16;
        if at < self.index.toc.series || at >= self.index.toc.postings_table {
            return Err(file.corrupt(at, "a series reference points outside of the series"));
        }
        let start = file.window(at, 10)?;
        let mut head = Cursor(&start);
        let len = head.uvarint().filter(|len| *len <= MAX_SERIES_BYTES);
        let len = len.ok_or_else(|| file.corrupt(at, "a series has no length, or one beyond 32 MiB"))? as usize;
        let prefix = start.len() - head.0.len();
        let record = file.read(at + prefix as u64, len as u64 + 4)?;
        let (body, sum) = record.split_at_checked(len).unwrap_or_default();
        if crc32c::crc32c(body).to_be_bytes() != *sum {
            return Err(file.corrupt(at, "a series' checksum is wrong"));
        }
        self.block.clear();
        let symbols = self.index.symbols()?;
        let parsed = parse_series(body, symbols, &mut self.block);
        let chunks = parsed.ok_or_else(|| file.corrupt(at, "a series is malformed or names symbols that are not there"))?;
        let labels = LabelBlock::validate(&self.block).map_err(|_| file.corrupt(at, "labels of a series are not in order"))?.to_labels();
        Ok(IndexSeries { id, labels, chunks })
    }
}

fn parse_series(body: &[u8], symbols: &Symbols, block: &mut Vec<u8>) -> Option<Vec<ChunkMeta>> {
    let mut cursor = Cursor(body);
    for _ in 0..cursor.uvarint()? {
        let (name, value) = (symbols.get(cursor.uvarint32()?)?, symbols.get(cursor.uvarint32()?)?);
        append_pair(block, name, value);
    }
    let count = cursor.uvarint()?;
    // A chunk takes three bytes at least.
    let mut chunks: Vec<ChunkMeta> = Vec::with_capacity(usize::try_from(count).ok()?.min(cursor.0.len() / 3));
    for _ in 0..count {
        let previous = chunks.last();
        let min_t = match previous {
            None => cursor.varint()?,
            Some(p) => p.max_t.wrapping_add(cursor.uvarint()? as i64),
        };
        let max_t = min_t.wrapping_add(cursor.uvarint()? as i64);
        let reference = match previous {
            None => cursor.uvarint()?,
            Some(p) => p.reference.wrapping_add(cursor.varint()? as u64),
        };
        chunks.push(ChunkMeta { min_t, max_t, reference });
    }
    cursor.0.is_empty().then_some(chunks)
}
