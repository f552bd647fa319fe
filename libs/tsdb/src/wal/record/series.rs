//! Definitions of series. Most labels of a series are also those of its neighbours, so each label is written once per record.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::{Cursor, Malformed, Section, put_bytes, put_varint, put_zigzag, reference_delta};
use crate::head::wire_pairs;

/// The largest label block that is read, in bytes; far above what the limits on labels let in.
const MAX_BLOCK_BYTES: usize = 1 << 20;

/// The labels that a record has written so far. One record at a time: [`Dictionary::clear`].
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// Where each lies in the record.
    literals: Vec<Literal>,
    by_bytes: HashTable<u32>,
    /// The literals of the series before.
    last: Vec<u32>,
    next: Vec<u32>,
    reference: u32,
}

#[derive(Debug, Clone, Copy)]
struct Literal {
    hash: u64,
    start: u32,
    len: u32,
}

impl Literal {
    fn bytes(self, record: &[u8]) -> &[u8] {
        record.get(self.start as usize..self.start as usize + self.len as usize).unwrap_or_default()
    }
}

impl Dictionary {
    pub(crate) fn clear(&mut self) {
        self.literals.clear();
        self.by_bytes.clear();
        self.last.clear();
        self.reference = 0;
    }

    /// The literal with these bytes; `at` is where it would be among the literals of the series before.
    fn find(&self, wire: &[u8], at: &mut usize, record: &[u8]) -> Result<u32, u64> {
        let near = self.last.get(*at..).unwrap_or_default().iter().take(2);
        for (skipped, id) in near.enumerate() {
            if self.literals[*id as usize].bytes(record) == wire {
                *at += skipped + 1;
                return Ok(*id);
            }
        }
        *at += 1;
        let hash = xxh3_64(wire);
        let found = self.by_bytes.find(hash, |id| self.literals[*id as usize].bytes(record) == wire);
        found.copied().ok_or(hash)
    }

    fn add(&mut self, hash: u64, start: usize, len: usize) -> u32 {
        let id = self.literals.len() as u32;
        self.literals.push(Literal { hash, start: start as u32, len: len as u32 });
        let literals = &self.literals;
        self.by_bytes.insert_unique(hash, id, |id| literals[*id as usize].hash);
        id
    }
}

/// Writes one definition into a section that was begun with a clear dictionary. `block` is canonical.
pub(crate) fn write_series(out: &mut Vec<u8>, section: &mut Section, dictionary: &mut Dictionary, reference: u32, block: &[u8]) {
    put_zigzag(out, reference_delta(dictionary.reference, reference));
    dictionary.reference = reference;
    put_varint(out, wire_pairs(block).count() as u64);
    dictionary.next.clear();
    let mut at = 0;
    for wire in wire_pairs(block) {
        let id = match dictionary.find(wire, &mut at, out) {
            Ok(id) => {
                put_varint(out, u64::from(id) + 1);
                id
            }
            Err(hash) => {
                out.push(0);
                put_bytes(out, wire);
                dictionary.add(hash, out.len() - wire.len(), wire.len())
            }
        };
        dictionary.next.push(id);
    }
    std::mem::swap(&mut dictionary.last, &mut dictionary.next);
    section.add();
}

/// Reads definitions.
#[derive(Debug)]
pub(crate) struct SeriesReader<'a> {
    content: Cursor<'a>,
    left: u32,
    reference: u32,
    literals: Vec<&'a [u8]>,
}

impl<'a> SeriesReader<'a> {
    pub(crate) fn new(count: u32, content: Cursor<'a>) -> Self {
        Self { content, left: count, reference: 0, literals: Vec::new() }
    }

    /// The next definition: its label block is put into `block`. Nothing is promised about the bytes of the block.
    pub(crate) fn next(&mut self, block: &mut Vec<u8>) -> Result<Option<u32>, Malformed> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.reference = self.reference.wrapping_add(self.content.zigzag()? as u32);
        let labels = self.content.count(1)?;
        block.clear();
        for _ in 0..labels {
            let wire = match self.content.varint()? {
                0 => {
                    let wire = self.content.bytes()?;
                    self.literals.push(wire);
                    wire
                }
                n => *usize::try_from(n - 1).ok().and_then(|n| self.literals.get(n)).ok_or(Malformed)?,
            };
            if block.len() + wire.len() > MAX_BLOCK_BYTES {
                return Err(Malformed);
            }
            block.extend_from_slice(wire);
        }
        Ok(Some(self.reference))
    }
}
