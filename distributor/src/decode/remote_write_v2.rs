//! Remote write 2.0: `io.prometheus.write.v2.Request`.
//!
//! Labels are references to a table of symbols, so the label block, which is hashed and stored, is put together in the batch's arena.
//! From there on it goes as in 1.0: runs of series, three passes, no check of labels that are known.
//!
//! Start timestamps (of samples and histograms; earlier drafts had one per series) are accepted and passed over.

use bytes::Bytes;
use hashbrown::HashSet;
use model::labels::METRIC_NAME;
use model::{Exemplar, MetricType, SeriesHash};

use super::histogram;
use super::remote_write_v1::{end_with_pairs, read_sample};
use super::sink::{Block, Sink, empty_series};
use super::symbols::Symbols;
use super::wire::{Field, Walker, Wire, WireError, WireFault};
use crate::error::RequestError;
use crate::validate::exemplar;
use crate::validate::labels::RawPair;
use crate::validate::metadata::family_of;

/// As in 1.0.
const RUN: usize = 256;

/// Tag of packed label references.
const TAG_REFS: u8 = 0x0a;

/// A series whose first label references were found. Offsets into the body and the arena, both shorter than 4 GiB.
#[derive(Debug, Clone, Copy)]
struct Found {
    hash: SeriesHash,
    block: (u32, u32),
    start: u32,
    refs_end: u32,
    end: u32,
    known: bool,
}

/// What a series says about its metric family, by reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct MetadataRefs {
    metric_type: u64,
    help: u64,
    unit: u64,
}

struct Reader<'a, 's, 'r> {
    body: &'a [u8],
    symbols: Symbols<'a>,
    sink: &'s mut Sink<'r>,
    /// Metadata already in the batch: series of one family repeat it.
    described: HashSet<(SeriesHash, MetadataRefs)>,
}

/// Reads a request.
pub(super) fn read(body: &Bytes, sink: &mut Sink<'_>) -> Result<(), RequestError> {
    let symbols = Symbols::collect(body, &mut sink.budget)?;
    let mut reader = Reader { body, symbols, sink, described: HashSet::new() };
    let mut top = Walker::new(body);
    let mut run: Vec<Found> = Vec::with_capacity(RUN);
    let mut expected = false;
    while let Some(field) = top.field()? {
        match (field.number, field.wire) {
            (5, Wire::Bytes) => {
                let found = reader.find(top.message()?, top.at())?;
                if !expected {
                    expected = true;
                    reader.expect(found, body.len() - found.start as usize);
                }
                run.push(found);
                if run.len() == RUN {
                    reader.finish_run(&mut run)?;
                }
            }
            (5, _) => return Err(top.mismatch(field).into()),
            _ => top.skip(field)?,
        }
    }
    reader.finish_run(&mut run)
}

impl<'a> Reader<'a, '_, '_> {
    /// Makes room as if all series were like the first one.
    fn expect(&mut self, first: Found, bytes_left: usize) {
        let series = (bytes_left / (first.end - first.start).max(32) as usize).max(1);
        self.sink.expect(series);
        // An eighth more, for longer names; never more than a few megabytes on a guess.
        let arena = series.saturating_mul((first.block.1 - first.block.0) as usize);
        self.sink.arena().reserve((arena + arena / 8).min(4 << 20));
    }

    /// Puts together and hashes the block of the label references that a series begins with.
    #[inline]
    fn find(&mut self, mut series: Walker<'a>, end: usize) -> Result<Found, RequestError> {
        let start = series.at();
        let block_start = self.sink.arena().len();
        if series.peek() == Some(TAG_REFS) {
            series.varint()?;
            let refs = series.message()?;
            self.sink.append_block(&self.symbols, refs)?;
        }
        let arena = self.sink.arena();
        let block = (block_start as u32, arena.len() as u32);
        let hash = SeriesHash::of(arena.get(block_start..).unwrap_or_default());
        Ok(Found { hash, block, start: start as u32, refs_end: series.at() as u32, end: end as u32, known: false })
    }

    fn finish_run(&mut self, run: &mut Vec<Found>) -> Result<(), RequestError> {
        let (table, key) = (&self.sink.rules.known, self.sink.rules.key);
        for found in run.iter_mut() {
            found.known = table.contains(key, found.hash);
        }
        for found in run.drain(..) {
            self.finish_series(found)?;
        }
        Ok(())
    }

    #[inline]
    fn finish_series(&mut self, found: Found) -> Result<(), RequestError> {
        let mut metadata = None;
        let range = found.refs_end as usize..found.end as usize;
        let refs_again = self.read_values(Walker::within(self.body, range), &mut metadata)?;
        let block = Block::Arena(found.block.0 as usize..found.block.1 as usize);
        if refs_again || self.sink.series_is_empty() || !self.sink.admits(found.hash, &block, found.known) {
            return self.finish_unusual(found, metadata);
        }
        self.describe(&block, metadata)?;
        self.sink.end_series(found.hash, &block)
    }

    /// Ends a series whose references are not canonical, not all in front, or not acceptable, or that has no samples.
    #[cold]
    fn finish_unusual(&mut self, found: Found, metadata: Option<MetadataRefs>) -> Result<(), RequestError> {
        let series = Walker::within(self.body, found.start as usize..found.end as usize);
        let limits = std::sync::Arc::clone(&self.sink.rules.limits);
        let mut pairs = Vec::new();
        let complete = split(series, &self.symbols, &mut pairs, limits.max_label_names_per_series, |walker, field| walker.skip(field))?;
        if self.sink.series_is_empty() {
            self.sink.refuse_series(empty_series(), || crate::validate::labels::pairs_to_text(&pairs));
            return Ok(());
        }
        let start = self.sink.arena().len();
        end_with_pairs(&mut pairs, complete, self.sink)?;
        let end = self.sink.arena().len();
        if end > start { self.describe(&Block::Arena(start..end), metadata) } else { Ok(()) }
    }

    /// Reads what belongs to a series beside its first references; whether there were references among it.
    #[inline]
    fn read_values(&mut self, mut series: Walker<'a>, metadata: &mut Option<MetadataRefs>) -> Result<bool, RequestError> {
        let mut refs_again = false;
        while let Some(field) = series.field()? {
            match (field.number, field.wire) {
                (2, Wire::Bytes) => self.sink.sample(read_sample(series.message()?)?)?,
                (3, Wire::Bytes) => {
                    let sample = histogram::read(series.message()?, &mut self.sink.budget)?;
                    self.sink.histogram(sample);
                }
                (4, Wire::Bytes) => self.read_exemplar(series.message()?)?,
                (5, Wire::Bytes) => *metadata = Some(self.read_metadata(series.message()?)?),
                (1, Wire::Bytes | Wire::Varint) => {
                    refs_again = true;
                    series.skip(field)?;
                }
                (1..=5, _) => return Err(series.mismatch(field).into()),
                _ => series.skip(field)?,
            }
        }
        Ok(refs_again)
    }

    fn read_exemplar(&mut self, message: Walker<'a>) -> Result<(), RequestError> {
        let limits = &self.sink.rules.limits;
        let (mut value, mut t) = (0.0, 0);
        let mut pairs = Vec::new();
        let complete = split(message, &self.symbols, &mut pairs, limits.max_exemplar_label_length, |walker, field| {
            match (field.number, field.wire) {
                (2, Wire::Fixed64) => value = f64::from_bits(walker.fixed64()?),
                (3, Wire::Varint) => t = walker.varint()? as i64,
                (2 | 3, _) => return Err(walker.mismatch(field)),
                _ => walker.skip(field)?,
            }
            Ok(())
        })?;
        let labels = if complete { exemplar::checked(&mut pairs, limits) } else { Err(exemplar::too_long(limits)) };
        self.sink.exemplar(labels.map(|labels| Exemplar { labels, value, t }))
    }

    fn read_metadata(&self, mut message: Walker<'a>) -> Result<MetadataRefs, WireError> {
        let mut refs = MetadataRefs::default();
        while let Some(field) = message.field()? {
            match (field.number, field.wire) {
                (1, Wire::Varint) => refs.metric_type = message.varint()?,
                (3, Wire::Varint) => refs.help = message.varint()?,
                (4, Wire::Varint) => refs.unit = message.varint()?,
                (1 | 3 | 4, _) => return Err(message.mismatch(field)),
                _ => message.skip(field)?,
            }
        }
        for number in [refs.help, refs.unit] {
            if number != 0 {
                self.symbols.text(&message, number)?;
            }
        }
        Ok(refs)
    }

    /// Adds what an accepted series says about its family, once per request.
    fn describe(&mut self, block: &Block, metadata: Option<MetadataRefs>) -> Result<(), RequestError> {
        let Some(refs) = metadata.filter(|refs| *refs != MetadataRefs::default()) else { return Ok(()) };
        let metric_type = MetricType::from_wire(i32::try_from(refs.metric_type).unwrap_or(0));
        let Some(metric) = self.sink.label_of(block, METRIC_NAME) else { return Ok(()) };
        let family = family_of(metric, metric_type);
        if !self.described.insert((SeriesHash::of(family.as_bytes()), refs)) {
            return Ok(());
        }
        let family = family.to_owned();
        self.sink.budget.charge(2 * size_of::<(SeriesHash, MetadataRefs)>())?;
        // Checked when the references were read; the table's first symbol is what 0 stands for.
        let at = Walker::new(self.body);
        let text = |number| if number == 0 { Ok(&[][..]) } else { self.symbols.text(&at, number) };
        let (help, unit) = (text(refs.help)?, text(refs.unit)?);
        self.sink.metadata(family.as_bytes(), metric_type, help, unit)
    }
}

/// Collects the labels (references in field 1, packed or not) of a message and hands its other fields to `other`. False if there are
/// more than `most`; then the rest is not collected. Labels without a value are no labels, unless they lack a name, too.
fn split<'a>(
    mut message: Walker<'a>,
    symbols: &Symbols<'a>,
    pairs: &mut Vec<RawPair<'a>>,
    most: usize,
    mut other: impl FnMut(&mut Walker<'a>, Field) -> Result<(), WireError>,
) -> Result<bool, WireError> {
    let mut open: Option<u64> = None;
    while let Some(field) = message.field()? {
        if field.number != 1 {
            other(&mut message, field)?;
            continue;
        }
        let at = message;
        let mut fault = None;
        message.each_varint(field, |number| match open.take() {
            None => open = Some(number),
            Some(name) => match symbols.pair(&at, name, number) {
                Ok((name, value)) if pairs.len() <= most && (!value.is_empty() || name.is_empty()) => pairs.push((name, value)),
                Ok(_) => {}
                Err(e) => fault = Some(e),
            },
        })?;
        if let Some(e) = fault {
            return Err(e);
        }
    }
    match open {
        Some(_) => Err(message.error(WireFault::OddReferences)),
        None => Ok(pairs.len() <= most),
    }
}
