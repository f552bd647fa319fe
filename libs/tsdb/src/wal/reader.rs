//! Reading one segment, over damage.

use std::io;
use std::ops::Range;

use super::frame::{FRAME_BYTES, HEADER_BYTES, Header, MARKER, open_record, record_len};
use crate::fs::ReadFile;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// How many times a segment's length may be checksummed while searching for the next whole record. Without a bound, markers that
/// a sender placed in its samples, each claiming a long record, would make the search quadratic.
const SEARCH_FACTOR: u64 = 8;

/// Reads the records of a segment.
#[derive(Debug)]
pub(super) struct SegmentReader {
    file: Box<dyn ReadFile>,
    len: u64,
    seed: u32,
    /// Bytes of the file from `base` on.
    buffer: Vec<u8>,
    base: u64,
    /// Where the next record begins in `buffer`.
    at: usize,
    search_budget: u64,
}

/// What comes next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A whole record; its rest is `reader.rest(range)`.
    Record(Range<usize>),
    /// No record at these offsets of the file.
    Damage(Range<u64>),
    /// The end, after the last whole record.
    End,
}

/// The header of a segment; `None` if there is none that this version reads.
pub(super) fn read_header(file: &dyn ReadFile) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    let mut read = 0;
    while read < HEADER_BYTES {
        match file.read_at(read as u64, &mut bytes[read..])? {
            0 => break,
            n => read += n,
        }
    }
    Ok(Header::decode(&bytes[..read]))
}

impl SegmentReader {
    pub(super) fn new(file: Box<dyn ReadFile>, header: &Header) -> io::Result<Self> {
        let len = file.len()?;
        let search_budget = len.saturating_mul(SEARCH_FACTOR);
        let base = HEADER_BYTES as u64;
        Ok(Self { file, len, seed: header.seed(), buffer: Vec::new(), base, at: 0, search_budget })
    }

    /// Reads on until `need` bytes from `from` (in the buffer) are there; whether they are.
    fn fill(&mut self, from: usize, need: usize) -> io::Result<bool> {
        while self.buffer.len() - from < need {
            let end = self.base + self.buffer.len() as u64;
            let missing = need - (self.buffer.len() - from);
            let want = missing.max(READ_BYTES).min(usize::try_from(self.len.saturating_sub(end)).unwrap_or(usize::MAX));
            if want < missing {
                return Ok(false);
            }
            let old = self.buffer.len();
            self.buffer.resize(old + want, 0);
            let read = self.file.read_at(end, &mut self.buffer[old..]);
            self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The range of the rest of a whole record that begins at `from` in the buffer.
    fn record_at(&mut self, from: usize) -> io::Result<Option<Range<usize>>> {
        if !self.fill(from, FRAME_BYTES)? {
            return Ok(None);
        }
        let Some(len) = record_len(&self.buffer[from..]) else { return Ok(None) };
        if !self.fill(from, len)? {
            return Ok(None);
        }
        let whole = open_record(self.seed, &self.buffer[from..from + len]).is_some();
        Ok(whole.then(|| from + FRAME_BYTES..from + len))
    }

    /// Lets go of what was read, now and then: moving the rest to the front costs.
    fn compact(&mut self) {
        if self.at >= READ_BYTES {
            self.buffer.drain(..self.at);
            self.base += self.at as u64;
            self.at = 0;
        }
    }

    /// The next record or what is there instead.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        self.compact();
        if !self.fill(self.at, 1)? {
            return Ok(Next::End);
        }
        if let Some(rest) = self.record_at(self.at)? {
            self.at = rest.end;
            return Ok(Next::Record(rest));
        }
        let start = self.position();
        self.skip_damage()?;
        Ok(Next::Damage(start..self.position()))
    }

    /// Moves to the next whole record, or to the end of the file.
    fn skip_damage(&mut self) -> io::Result<()> {
        loop {
            self.at += 1;
            self.compact();
            if self.search_budget == 0 || !self.fill(self.at, MARKER.len())? {
                self.base = self.len;
                self.buffer.clear();
                self.at = 0;
                return Ok(());
            }
            let Some(skip) = self.buffer[self.at..].windows(MARKER.len()).position(|w| w == MARKER) else {
                self.at = self.buffer.len() - MARKER.len();
                continue;
            };
            self.at += skip;
            let claimed = if self.fill(self.at, FRAME_BYTES)? { record_len(&self.buffer[self.at..]) } else { None };
            // What does not fit the file costs nothing: it is not read.
            let Some(claimed) = claimed.map(|len| len as u64).filter(|len| *len <= self.len - self.position()) else { continue };
            self.search_budget = self.search_budget.saturating_sub(claimed);
            if self.record_at(self.at)?.is_some() {
                return Ok(());
            }
        }
    }

    /// The bytes of a [`Next::Record`], until the next call.
    pub(super) fn rest(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// The length of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Where the reader is in the file.
    pub(super) fn position(&self) -> u64 {
        self.base + self.at as u64
    }
}
