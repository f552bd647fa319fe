//! Where a decoder puts what it reads: the batch, the refusals, the counts.

use std::sync::Arc;

use bytes::Bytes;
use limits::Limits;
use model::{
    BatchBuilder, BatchSeries, Exemplar, HistogramSample, LabelBlock, Metadata, MetricType, RejectReason, Sample, SeriesHash, WriteBatch,
};

use super::budget::Budget;
use super::known::{Table, VerdictKey};
use super::symbols::Symbols;
use super::wire::Walker;
use crate::error::RequestError;
use crate::inflight::InflightGuard;
use crate::refusals::{Counts, Refusals};
use crate::validate::{Fault, histogram, labels, metadata};

/// What the decoders need to know about a tenant.
#[derive(Debug)]
pub struct Rules {
    /// The tenant's limits.
    pub limits: Arc<Limits>,
    /// Verdicts on label blocks.
    pub known: Arc<Table>,
    /// The tenant's key in it.
    pub key: VerdictKey,
    /// What the decoded request may occupy, in bytes.
    pub max_batch_bytes: u64,
}

/// A decoded request.
#[derive(Debug)]
pub struct Decoded {
    /// What may be written.
    pub batch: WriteBatch,
    /// What may not.
    pub refusals: Refusals,
    /// What was in the request, refused or not.
    pub received: Counts,
    /// Series whose labels were checked before.
    pub known_series: u64,
    /// Series whose labels were checked now.
    pub new_series: u64,
    /// Holds the bytes that the batch occupies beside the body.
    pub inflight: InflightGuard,
}

/// The most series that room is made for on a guess: 1.3 MB.
const MAX_EXPECTED: usize = 1 << 14;

/// Where the canonical block of the series being ended lies.
#[derive(Debug, Clone)]
pub(super) enum Block {
    Body(std::ops::Range<usize>),
    Arena(std::ops::Range<usize>),
}

#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) rules: &'a Rules,
    pub(super) budget: Budget,
    builder: BatchBuilder,
    body: Bytes,
    refusals: Refusals,
    received: Counts,
    /// What was read of the open series, refused or not.
    open: Counts,
    /// Faults of the open series' histograms and exemplars; one entry per reason.
    faults: Vec<(Fault, Counts)>,
    known_series: u64,
    new_series: u64,
}

impl<'a> Sink<'a> {
    pub(super) fn new(body: &Bytes, rules: &'a Rules, inflight: InflightGuard) -> Self {
        Self {
            rules,
            budget: Budget::new(rules.max_batch_bytes, inflight),
            builder: BatchBuilder::new(body.clone()),
            body: body.clone(),
            refusals: Refusals::default(),
            received: Counts::default(),
            open: Counts::default(),
            faults: Vec::new(),
            known_series: 0,
            new_series: 0,
        }
    }

    /// Makes room for about this many series of one sample each. A guess: what is really there is charged as it comes.
    pub(super) fn expect(&mut self, series: usize) {
        let series = series.min(MAX_EXPECTED);
        self.builder.reserve(series, series);
    }

    #[inline]
    pub(super) fn sample(&mut self, sample: Sample) -> Result<(), RequestError> {
        self.budget.charge(size_of::<Sample>())?;
        self.open.samples += 1;
        self.builder.sample(sample);
        Ok(())
    }

    /// Adds a histogram that was charged where it was read.
    pub(super) fn histogram(&mut self, sample: HistogramSample) {
        self.open.histograms += 1;
        match histogram::check(&sample.value, &self.rules.limits) {
            Ok(()) => self.builder.histogram(sample),
            Err(fault) => self.fault(fault, Counts { histograms: 1, ..Counts::default() }),
        }
    }

    pub(super) fn exemplar(&mut self, exemplar: Result<Exemplar, Fault>) -> Result<(), RequestError> {
        self.open.exemplars += 1;
        match exemplar {
            Ok(exemplar) => {
                // The label set is an allocation of its own.
                self.budget.charge(size_of::<Exemplar>() + 16 + exemplar.labels.as_bytes().len())?;
                self.builder.exemplar(exemplar);
            }
            Err(fault) => self.fault(fault, Counts { exemplars: 1, ..Counts::default() }),
        }
        Ok(())
    }

    fn fault(&mut self, fault: Fault, counts: Counts) {
        match self.faults.iter_mut().find(|(f, _)| f.reason == fault.reason) {
            Some((_, sum)) => *sum = sum.plus(counts),
            None => self.faults.push((fault, counts)),
        }
    }

    pub(super) fn metadata(&mut self, family: &[u8], metric_type: MetricType, help: &[u8], unit: &[u8]) -> Result<(), RequestError> {
        match metadata::checked(family, metric_type, help, unit, &self.rules.limits) {
            Ok(metadata) => {
                self.budget.charge(size_of::<Metadata>() + metadata.family.len() + metadata.help.len() + metadata.unit.len())?;
                self.builder.metadata(metadata);
            }
            Err(Fault { reason, detail }) => self.refusals.add(reason, Counts::default(), detail, || crate::validate::lossy(family)),
        }
        Ok(())
    }

    /// The arena, to write a block into.
    pub(super) fn arena(&mut self) -> &mut Vec<u8> {
        self.builder.arena_mut()
    }

    /// Writes the block that label references describe into the arena; see [`Symbols::append_block`].
    #[inline]
    pub(super) fn append_block(&mut self, symbols: &Symbols<'_>, refs: Walker<'_>) -> Result<(), RequestError> {
        symbols.append_block(refs, self.builder.arena_mut(), &mut self.budget)
    }

    fn block_bytes(&self, block: &Block) -> &[u8] {
        match block {
            Block::Body(range) => self.body.get(range.clone()),
            Block::Arena(range) => self.builder.arena().get(range.clone()),
        }
        .unwrap_or_default()
    }

    /// Whether the labels are good as they lie there. `known` is what the cache said.
    #[inline]
    pub(super) fn admits(&mut self, hash: SeriesHash, block: &Block, known: bool) -> bool {
        if known {
            self.known_series += 1;
            return true;
        }
        self.new_series += 1;
        let good = labels::is_acceptable(self.block_bytes(block), &self.rules.limits);
        if good {
            self.rules.known.insert(self.rules.key, hash);
        }
        good
    }

    /// Ends the open series. One of which nothing is left to write is not in the batch.
    #[inline]
    pub(super) fn end_series(&mut self, hash: SeriesHash, block: &Block) -> Result<(), RequestError> {
        let mut wanted = self.open;
        if !self.faults.is_empty() {
            wanted = wanted.minus(self.tell_faults(block));
        }
        self.received = self.received.plus(std::mem::take(&mut self.open));
        if wanted.is_zero() {
            return Ok(());
        }
        self.budget.charge(size_of::<BatchSeries>())?;
        match block {
            Block::Body(range) => self.builder.end_series_in_body(hash, range.clone()),
            Block::Arena(range) => self.builder.end_series_in_arena(hash, range.clone()),
        }
        Ok(())
    }

    /// Moves the open series' faults to the refusals; how much they took.
    #[cold]
    fn tell_faults(&mut self, block: &Block) -> Counts {
        let mut taken = Counts::default();
        for (Fault { reason, detail }, counts) in std::mem::take(&mut self.faults) {
            taken = taken.plus(counts);
            let block = match block {
                Block::Body(range) => self.body.get(range.clone()),
                Block::Arena(range) => self.builder.arena().get(range.clone()),
            };
            let text = || format!("{:?}", LabelBlock::from_validated(block.unwrap_or_default()));
            self.refusals.add(reason, counts, detail, text);
        }
        taken
    }

    /// Drops the open series with everything that was read of it.
    #[cold]
    pub(super) fn refuse_series(&mut self, fault: Fault, series: impl FnOnce() -> String) {
        self.builder.discard_series();
        self.faults.clear();
        let counts = std::mem::take(&mut self.open);
        self.received = self.received.plus(counts);
        self.refusals.add(fault.reason, counts, fault.detail, series);
    }

    /// Whether nothing was read of the open series.
    pub(super) fn series_is_empty(&self) -> bool {
        self.open.is_zero()
    }

    /// The block's value of a label.
    pub(super) fn label_of<'b>(&'b self, block: &Block, name: &str) -> Option<&'b str> {
        LabelBlock::from_validated(self.block_bytes(block)).get(name)
    }

    pub(super) fn finish(self) -> Decoded {
        Decoded {
            batch: self.builder.finish(),
            refusals: self.refusals,
            received: self.received,
            known_series: self.known_series,
            new_series: self.new_series,
            inflight: self.budget.into_guard(),
        }
    }
}

/// A refused series that sent nothing at all.
pub(super) fn empty_series() -> Fault {
    Fault::new(RejectReason::EmptySeries, "the series has neither samples nor histograms nor exemplars")
}
