//! The symbol table of a remote-write 2.0 request, and label blocks made of its symbols.

use super::budget::Budget;
use super::wire::{Walker, Wire, WireError, WireFault};
use crate::error::RequestError;
use crate::validate::labels::RawPair;

/// Where a symbol lies in the body, which is shorter than 4 GiB.
#[derive(Debug, Clone, Copy, Default)]
struct Symbol {
    start: u32,
    len: u32,
}

/// The strings that a request refers to by number. Nothing is copied.
#[derive(Debug)]
pub(super) struct Symbols<'a> {
    body: &'a [u8],
    symbols: Vec<Symbol>,
}

/// Tags of the fields 1 and 2 of a label, and of a label in a block.
const TAG_FIRST: u8 = 0x0a;
const TAG_SECOND: u8 = 0x12;

impl<'a> Symbols<'a> {
    /// Collects the table (field 4 of the request), which may lie anywhere in it.
    pub(super) fn collect(body: &'a [u8], budget: &mut Budget) -> Result<Self, RequestError> {
        let mut symbols: Vec<Symbol> = Vec::new();
        let mut top = Walker::new(body);
        while let Some(field) = top.field()? {
            match (field.number, field.wire) {
                (4, Wire::Bytes) => {
                    let span = top.span()?;
                    if symbols.is_empty() && !span.is_empty() {
                        return Err(top.error(WireFault::FirstSymbol).into());
                    }
                    budget.charge(size_of::<Symbol>())?;
                    symbols.push(Symbol { start: span.start as u32, len: (span.end - span.start) as u32 });
                }
                (4, _) => return Err(top.mismatch(field).into()),
                _ => top.skip(field)?,
            }
        }
        Ok(Self { body, symbols })
    }

    #[inline]
    fn get(&self, at: &Walker<'_>, number: u64) -> Result<Symbol, WireError> {
        let symbol = usize::try_from(number).ok().and_then(|i| self.symbols.get(i));
        symbol.copied().ok_or_else(|| at.error(WireFault::Reference(number)))
    }

    fn bytes(&self, symbol: Symbol) -> &'a [u8] {
        let start = symbol.start as usize;
        self.body.get(start..start + symbol.len as usize).unwrap_or_default()
    }

    /// The symbol of this number.
    pub(super) fn text(&self, at: &Walker<'_>, number: u64) -> Result<&'a [u8], WireError> {
        self.get(at, number).map(|symbol| self.bytes(symbol))
    }

    /// The label of two references.
    pub(super) fn pair(&self, at: &Walker<'_>, name: u64, value: u64) -> Result<RawPair<'a>, WireError> {
        Ok((self.text(at, name)?, self.text(at, value)?))
    }

    /// Appends the block that packed references describe, in their order: canonical if they are in order and the symbols well-formed,
    /// which only a check or the cache of known series tells. The arena grows by what is charged.
    #[inline]
    pub(super) fn append_block(&self, mut refs: Walker<'_>, out: &mut Vec<u8>, budget: &mut Budget) -> Result<(), RequestError> {
        while refs.peek().is_some() {
            let name = refs.varint()?;
            if refs.peek().is_none() {
                return Err(refs.error(WireFault::OddReferences).into());
            }
            let value = refs.varint()?;
            let (name, value) = (self.get(&refs, name)?, self.get(&refs, value)?);
            // Before the copy: a symbol may be large and be named often.
            budget.charge(MAX_PAIR_HEAD + name.len as usize + value.len as usize)?;
            self.append_pair(name, value, out);
        }
        Ok(())
    }

    #[inline]
    fn append_pair(&self, name: Symbol, value: Symbol, out: &mut Vec<u8>) {
        let inner = u64::from(name.len) + u64::from(value.len) + 4;
        if inner < 0x80 {
            out.extend_from_slice(&[TAG_FIRST, inner as u8, TAG_FIRST, name.len as u8]);
            self.append_short(name, out);
            out.extend_from_slice(&[TAG_SECOND, value.len as u8]);
            self.append_short(value, out);
        } else {
            append_long_pair(self.bytes(name), self.bytes(value), out);
        }
    }

    /// Copies a symbol of less than 128 bytes. Copies of a fixed length are a few instructions; the surplus is cut off again.
    #[inline]
    fn append_short(&self, symbol: Symbol, out: &mut Vec<u8>) {
        let (start, len) = (symbol.start as usize, symbol.len as usize);
        let end = out.len() + len;
        if len <= 16
            && let Some(chunk) = self.body.get(start..start + 16)
        {
            out.extend_from_slice(chunk);
            out.truncate(end);
        } else if len <= 32
            && let Some(chunk) = self.body.get(start..start + 32)
        {
            out.extend_from_slice(chunk);
            out.truncate(end);
        } else {
            out.extend_from_slice(self.bytes(symbol));
        }
    }
}

/// Two tags, and lengths of at most five bytes each, beside the pair's own.
const MAX_PAIR_HEAD: usize = 18;

fn append_long_pair(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let inner = 2 + varint_len(name.len()) + name.len() + varint_len(value.len()) + value.len();
    out.push(TAG_FIRST);
    append_varint(inner, out);
    for (tag, text) in [(TAG_FIRST, name), (TAG_SECOND, value)] {
        out.push(tag);
        append_varint(text.len(), out);
        out.extend_from_slice(text);
    }
}

fn varint_len(n: usize) -> usize {
    ((usize::BITS - (n | 1).leading_zeros()) as usize).div_ceil(7)
}

fn append_varint(n: usize, out: &mut Vec<u8>) {
    prost::encoding::encode_varint(n as u64, out);
}
