//! Remote write 1.0: `prometheus.WriteRequest`, read in place.
//!
//! Series are taken in runs, each in three passes: find and hash the label blocks; probe the cache of known series, where the probes of a
//! run are cache misses that overlap; read the samples and end the series. No byte is visited twice.

use bytes::Bytes;
use model::{Exemplar, MetricType, Sample, SeriesHash};

use super::histogram;
use super::sink::{Block, Sink};
use super::wire::{Field, Walker, Wire, WireError, compact_varint};
use crate::error::RequestError;
use crate::validate::exemplar;
use crate::validate::labels::{RawPair, canonicalise, pairs_to_text, too_many};

/// Series of a run. Their bodies (some 80 KB) and cache lines stay in the level-2 cache between the passes.
const RUN: usize = 256;

/// Tags of the length-delimited fields 1 and 2.
const TAG_LABEL: u8 = 0x0a;
const TAG_SAMPLE: u8 = 0x12;

/// A series whose first labels were found. Offsets into the body, which is shorter than 4 GiB.
#[derive(Debug, Clone, Copy)]
struct Found {
    hash: SeriesHash,
    start: u32,
    labels_end: u32,
    end: u32,
    known: bool,
}

/// Reads a request.
pub(super) fn read(body: &Bytes, sink: &mut Sink<'_>) -> Result<(), RequestError> {
    let mut top = Walker::new(body);
    let mut run: Vec<Found> = Vec::with_capacity(RUN);
    let mut expected = false;
    while let Some(field) = top.field()? {
        match (field.number, field.wire) {
            (1, Wire::Bytes) => {
                let found = find(body, top.message()?, top.at())?;
                if !expected {
                    expected = true;
                    // As if all series were as long as the first one, but never more than the body could honestly hold.
                    sink.expect((body.len() / (found.end - found.start).max(64) as usize).max(1));
                }
                run.push(found);
                if run.len() == RUN {
                    finish_run(body, &mut run, sink)?;
                }
            }
            (3, Wire::Bytes) => metadata(top.message()?, sink)?,
            (1 | 3, _) => return Err(top.mismatch(field).into()),
            _ => top.skip(field)?,
        }
    }
    finish_run(body, &mut run, sink)
}

/// Finds the labels that a series begins with and hashes them as they lie there.
#[inline]
fn find(body: &[u8], mut series: Walker<'_>, end: usize) -> Result<Found, WireError> {
    let start = series.at();
    while series.peek() == Some(TAG_LABEL) {
        series.varint()?;
        series.span()?;
    }
    let hash = SeriesHash::of(body.get(start..series.at()).unwrap_or_default());
    Ok(Found { hash, start: start as u32, labels_end: series.at() as u32, end: end as u32, known: false })
}

fn finish_run(body: &Bytes, run: &mut Vec<Found>, sink: &mut Sink<'_>) -> Result<(), RequestError> {
    let (table, key) = (&sink.rules.known, sink.rules.key);
    for found in run.iter_mut() {
        found.known = table.contains(key, found.hash);
    }
    for found in run.drain(..) {
        finish_series(body, found, sink)?;
    }
    Ok(())
}

#[inline]
fn finish_series(body: &Bytes, found: Found, sink: &mut Sink<'_>) -> Result<(), RequestError> {
    let (start, labels_end, end) = (found.start as usize, found.labels_end as usize, found.end as usize);
    let labels_again = read_values(Walker::within(body, labels_end..end), sink)?;
    if sink.series_is_empty() {
        // Prometheus's receiver takes a 1.0 series without samples and writes nothing.
        return Ok(());
    }
    let block = Block::Body(start..labels_end);
    if !labels_again && sink.admits(found.hash, &block, found.known) {
        return sink.end_series(found.hash, &block);
    }
    finish_unusual(Walker::within(body, start..end), sink)
}

/// Ends a series whose labels are not canonical, not all in front, or not acceptable.
#[cold]
fn finish_unusual(series: Walker<'_>, sink: &mut Sink<'_>) -> Result<(), RequestError> {
    let mut pairs = Vec::new();
    let complete = split_series(series, &mut pairs, sink.rules.limits.max_label_names_per_series)?;
    end_with_pairs(&mut pairs, complete, sink)
}

/// Ends the open series with labels in any order; `complete` is false if there were too many of them to split.
pub(super) fn end_with_pairs(pairs: &mut [RawPair<'_>], complete: bool, sink: &mut Sink<'_>) -> Result<(), RequestError> {
    let limits = std::sync::Arc::clone(&sink.rules.limits);
    let start = sink.arena().len();
    let checked = if complete { canonicalise(pairs, &limits, sink.arena()) } else { Err(too_many(&limits)) };
    if let Err(fault) = checked {
        sink.refuse_series(fault, || pairs_to_text(pairs));
        return Ok(());
    }
    let arena = sink.arena();
    let end = arena.len();
    let hash = SeriesHash::of(arena.get(start..end).unwrap_or_default());
    sink.budget.charge(end - start)?;
    sink.end_series(hash, &Block::Arena(start..end))
}

/// Reads what belongs to a series beside its first labels; whether there were labels among it.
#[inline]
fn read_values(mut series: Walker<'_>, sink: &mut Sink<'_>) -> Result<bool, RequestError> {
    let mut labels_again = false;
    while let Some(tag) = series.peek() {
        if tag == TAG_SAMPLE {
            series.varint()?;
            let sample = read_sample(series.message()?)?;
            sink.sample(sample)?;
            continue;
        }
        let Some(field) = series.field()? else { break };
        match (field.number, field.wire) {
            (1, Wire::Bytes) => {
                labels_again = true;
                series.skip(field)?;
            }
            (2, Wire::Bytes) => sink.sample(read_sample(series.message()?)?)?,
            (3, Wire::Bytes) => read_exemplar(series.message()?, sink)?,
            (4, Wire::Bytes) => {
                let sample = histogram::read(series.message()?, &mut sink.budget)?;
                sink.histogram(sample);
            }
            (1..=4, _) => return Err(series.mismatch(field).into()),
            _ => series.skip(field)?,
        }
    }
    Ok(labels_again)
}

/// Reads a sample of either version: 2.0 adds a start timestamp (3), which is passed over.
#[inline]
pub(super) fn read_sample(mut message: Walker<'_>) -> Result<Sample, WireError> {
    // As almost every sender writes it: a value and a time between 2004 and 2109, which take 9 and 7 bytes.
    if let Some([0x09, v0, v1, v2, v3, v4, v5, v6, v7, 0x10, t0, t1, t2, t3, t4, t5]) = message.rest_of_16() {
        let t = u64::from_le_bytes([*t0, *t1, *t2, *t3, *t4, *t5, 0, 0]);
        if t & 0x8080_8080_8080 == 0x0080_8080_8080 {
            let v = f64::from_bits(u64::from_le_bytes([*v0, *v1, *v2, *v3, *v4, *v5, *v6, *v7]));
            return Ok(Sample { t: compact_varint(t) as i64, v });
        }
    }
    let mut sample = Sample { t: 0, v: 0.0 };
    while let Some(field) = message.field()? {
        match (field.number, field.wire) {
            (1, Wire::Fixed64) => sample.v = f64::from_bits(message.fixed64()?),
            (2, Wire::Varint) => sample.t = message.varint()? as i64,
            (1 | 2, _) => return Err(message.mismatch(field)),
            _ => message.skip(field)?,
        }
    }
    Ok(sample)
}

fn read_exemplar(message: Walker<'_>, sink: &mut Sink<'_>) -> Result<(), RequestError> {
    let limits = &sink.rules.limits;
    let (mut value, mut t) = (0.0, 0);
    let mut pairs = Vec::new();
    // A name is at least one character, so more labels than characters are too many; those with an empty name are faulty anyway.
    let complete = split(message, &mut pairs, limits.max_exemplar_label_length, |walker, field| {
        match (field.number, field.wire) {
            (2, Wire::Fixed64) => value = f64::from_bits(walker.fixed64()?),
            (3, Wire::Varint) => t = walker.varint()? as i64,
            (2 | 3, _) => return Err(walker.mismatch(field)),
            _ => walker.skip(field)?,
        }
        Ok(())
    })?;
    let labels = if complete { exemplar::checked(&mut pairs, limits) } else { Err(exemplar::too_long(limits)) };
    sink.exemplar(labels.map(|labels| Exemplar { labels, value, t }))
}

/// The labels of a series, wherever in it they are.
fn split_series<'a>(series: Walker<'a>, pairs: &mut Vec<RawPair<'a>>, most: usize) -> Result<bool, WireError> {
    split(series, pairs, most, |walker, field| walker.skip(field))
}

/// Collects the labels (field 1) of a message and hands its other fields to `other`. False if there are more than `most`; then the
/// rest of them is not collected. Labels without a value are no labels, unless they lack a name, too.
fn split<'a>(
    mut message: Walker<'a>,
    pairs: &mut Vec<RawPair<'a>>,
    most: usize,
    mut other: impl FnMut(&mut Walker<'a>, Field) -> Result<(), WireError>,
) -> Result<bool, WireError> {
    let mut complete = true;
    while let Some(field) = message.field()? {
        match (field.number, field.wire) {
            (1, Wire::Bytes) => {
                let (name, value) = read_label(message.message()?)?;
                if pairs.len() > most {
                    complete = false;
                } else if !value.is_empty() || name.is_empty() {
                    pairs.push((name, value));
                }
            }
            (1, _) => return Err(message.mismatch(field)),
            _ => other(&mut message, field)?,
        }
    }
    Ok(complete && pairs.len() <= most)
}

fn read_label(mut label: Walker<'_>) -> Result<RawPair<'_>, WireError> {
    let mut pair: RawPair<'_> = (&[], &[]);
    while let Some(field) = label.field()? {
        match (field.number, field.wire) {
            (1, Wire::Bytes) => pair.0 = label.slice()?,
            (2, Wire::Bytes) => pair.1 = label.slice()?,
            (1 | 2, _) => return Err(label.mismatch(field)),
            _ => label.skip(field)?,
        }
    }
    Ok(pair)
}

fn metadata(mut message: Walker<'_>, sink: &mut Sink<'_>) -> Result<(), RequestError> {
    let (mut metric_type, mut family, mut help, mut unit) = (MetricType::Unknown, &[][..], &[][..], &[][..]);
    while let Some(field) = message.field()? {
        match (field.number, field.wire) {
            (1, Wire::Varint) => metric_type = MetricType::from_wire(i32::try_from(message.varint()?).unwrap_or(0)),
            (2, Wire::Bytes) => family = message.slice()?,
            (4, Wire::Bytes) => help = message.slice()?,
            (5, Wire::Bytes) => unit = message.slice()?,
            (1 | 2 | 4 | 5, _) => return Err(message.mismatch(field).into()),
            _ => message.skip(field)?,
        }
    }
    sink.metadata(family, metric_type, help, unit)
}
