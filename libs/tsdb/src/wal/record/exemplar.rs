//! Exemplars.

use model::{Exemplar, LabelBlock};

use super::{Cursor, Malformed, Section, Tag, put_bytes, put_zigzag, reference_delta};

/// Whose exemplar it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExemplarOwner<'a> {
    /// A series that the record may refer to.
    Reference(u32),
    /// A series that the head does not have; its canonical block.
    Block(&'a [u8]),
}

/// Writes a section of exemplars.
#[derive(Debug)]
pub(crate) struct ExemplarWriter {
    section: Section,
    reference: u32,
    t: i64,
}

impl ExemplarWriter {
    pub(crate) fn begin(out: &mut Vec<u8>) -> Self {
        Self { section: Section::begin(out, Tag::Exemplars), reference: 0, t: 0 }
    }

    pub(crate) fn put(&mut self, out: &mut Vec<u8>, owner: ExemplarOwner<'_>, exemplar: &Exemplar) {
        match owner {
            ExemplarOwner::Reference(reference) => {
                out.push(1);
                put_zigzag(out, reference_delta(self.reference, reference));
                self.reference = reference;
            }
            ExemplarOwner::Block(block) => {
                out.push(0);
                put_bytes(out, block);
            }
        }
        put_zigzag(out, exemplar.t.wrapping_sub(self.t));
        self.t = exemplar.t;
        out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
        put_bytes(out, exemplar.labels.as_bytes());
        self.section.add();
    }

    pub(crate) fn end(self, out: &mut Vec<u8>) {
        self.section.end(out);
    }
}

/// Reads a section of exemplars.
#[derive(Debug)]
pub(crate) struct ExemplarReader<'a> {
    content: Cursor<'a>,
    left: u32,
    reference: u32,
    t: i64,
}

impl<'a> ExemplarReader<'a> {
    pub(crate) fn new(count: u32, content: Cursor<'a>) -> Self {
        Self { content, left: count, reference: 0, t: 0 }
    }

    /// The next exemplar. Its own labels are canonical; nothing is promised about an owner's block.
    pub(crate) fn next(&mut self) -> Result<Option<(ExemplarOwner<'a>, Exemplar)>, Malformed> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let c = &mut self.content;
        let owner = match c.u8()? {
            0 => ExemplarOwner::Block(c.bytes()?),
            1 => {
                self.reference = self.reference.wrapping_add(c.zigzag()? as u32);
                ExemplarOwner::Reference(self.reference)
            }
            _ => return Err(Malformed),
        };
        self.t = self.t.wrapping_add(c.zigzag()?);
        let value = c.f64()?;
        let labels = LabelBlock::validate(c.bytes()?).map_err(|_| Malformed)?.to_labels();
        Ok(Some((owner, Exemplar { labels, value, t: self.t })))
    }
}
