//! Whether a series has a sample of some time, anywhere: what tells a sample that is sent again from one that is late.
//!
//! One binary search finds the only chunk in order that may have the time, another the only late one; of each at most that chunk is decoded, to its times,
//! and those are remembered, because a sender that catches up asks for many times of one chunk. A value is decoded only where a time is found.

use model::{ChunkEncoding, HistogramSample, Sample, SeriesHash};

use super::histogram::same;
use super::{ClosedChunk, Cold, Hot};
use crate::block::recode::Point;
use crate::chunk::{ChunkError, XorIterator, find_histogram, visit_histogram_times};

/// A sample that is offered.
#[derive(Debug, Clone, Copy)]
pub(in crate::head) enum Value<'a> {
    Float(Sample),
    Histogram(&'a HistogramSample),
}

impl<'a> Value<'a> {
    pub(in crate::head) fn t(&self) -> i64 {
        match self {
            Self::Float(sample) => sample.t,
            Self::Histogram(sample) => sample.t,
        }
    }

    /// The float, if it is one.
    pub(in crate::head) fn float(&self) -> Option<f64> {
        match self {
            Self::Float(sample) => Some(sample.v),
            Self::Histogram(_) => None,
        }
    }

    pub(in crate::head) fn of(point: &'a Point) -> Self {
        match point {
            Point::Float(sample) => Self::Float(*sample),
            Point::Histogram(sample) => Self::Histogram(sample),
        }
    }

    /// What a sample of the same time says about this one.
    pub(in crate::head) fn compare(&self, there: &Point) -> Found {
        match (self, there) {
            (Self::Float(a), Point::Float(b)) if a.v.to_bits() == b.v.to_bits() => Found::Same,
            (Self::Histogram(a), Point::Histogram(b)) if same(&a.value, &b.value) => Found::Same,
            (_, Point::Float(b)) => Found::Other(Some(b.v)),
            (_, Point::Histogram(_)) => Found::Other(None),
        }
    }
}

/// What a series has at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::head) enum Found {
    Nothing,
    /// The same value.
    Same,
    /// Another value; the float, if it is one.
    Other(Option<f64>),
}

/// Looks into one series while it does not change but at its end. Chunks that cannot be read are taken to have nothing: readers report them.
#[derive(Debug, Default)]
pub(in crate::head) struct Finder {
    in_order: Times,
    late: Times,
}

/// The times of the chunk that was looked at last.
#[derive(Debug, Default)]
struct Times {
    /// The chunk's first time; chunks of a list differ in it.
    of: Option<i64>,
    times: Vec<i64>,
}

impl Finder {
    /// What the series has at the time of `value`, compared to it.
    pub(in crate::head) fn find(&mut self, hot: &Hot, cold: &Cold, value: Value<'_>) -> Found {
        let found = match hot.open_first().filter(|first| *first <= value.t()) {
            Some(first) => {
                let (encoding, data) = hot.open_data();
                self.in_order.find(first, encoding, data, value)
            }
            None => self.in_order.find_closed(hot.hash(), &cold.chunks, value),
        };
        if found != Found::Nothing {
            return found;
        }
        let Some(late) = &cold.late else { return Found::Nothing };
        match late.waiting_at(value.t()) {
            Some(there) => value.compare(&there),
            None => self.late.find_closed(hot.hash(), &late.chunks, value),
        }
    }
}

impl Times {
    fn find_closed(&mut self, series: SeriesHash, chunks: &[ClosedChunk], value: Value<'_>) -> Found {
        let at = chunks.partition_point(|c| c.max_t() < value.t());
        let Some(chunk) = chunks.get(at).filter(|c| c.min_t() <= value.t()) else { return Found::Nothing };
        chunk.look(series, |data| self.find(chunk.min_t(), chunk.encoding(), data, value)).unwrap_or(Found::Nothing)
    }

    fn find(&mut self, first: i64, encoding: ChunkEncoding, data: &[u8], value: Value<'_>) -> Found {
        if self.of != Some(first) {
            self.of = Some(first);
            self.times.clear();
            // What was read before damage is there.
            let _ = read_times(encoding, data, &mut self.times);
        }
        if self.times.binary_search(&value.t()).is_err() {
            return Found::Nothing;
        }
        match sample_at(encoding, data, value.t()) {
            Ok(Some(there)) => value.compare(&there),
            _ => Found::Nothing,
        }
    }
}

fn read_times(encoding: ChunkEncoding, data: &[u8], out: &mut Vec<i64>) -> Result<(), ChunkError> {
    if encoding != ChunkEncoding::Xor {
        return visit_histogram_times(encoding, data, |t| out.push(t));
    }
    let mut it = XorIterator::new(data)?;
    while let Some(sample) = it.next()? {
        out.push(sample.t);
    }
    Ok(())
}

fn sample_at(encoding: ChunkEncoding, data: &[u8], t: i64) -> Result<Option<Point>, ChunkError> {
    if encoding != ChunkEncoding::Xor {
        return Ok(find_histogram(encoding, data, t)?.map(Point::Histogram));
    }
    let mut it = XorIterator::new(data)?;
    while let Some(sample) = it.next()? {
        if sample.t >= t {
            return Ok((sample.t == t).then_some(Point::Float(sample)));
        }
    }
    Ok(None)
}
