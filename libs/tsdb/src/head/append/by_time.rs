//! The series of a push that are not just floats in ascending order: histograms, and samples that are late.

use model::{BatchSeries, HistogramSample, RejectReason};
use smallvec::SmallVec;

use super::{Push, Refused};
use crate::block::recode::Point;
use crate::chunk::ChunkError;
use crate::head::outcome::AppendOutcome;
use crate::head::series::{Cold, Finder, Found, Hot, OpenHistograms, Value, Verdict, without_hint};

/// The late samples of one series in one push.
#[derive(Debug, Default)]
struct Latecomers {
    finder: Finder,
    /// Ascending.
    taken: Vec<Point>,
}

impl Push<'_> {
    /// Appends the samples of one series by time, floats from the `skip`th on: those of one push are taken in the order of time, whatever their order in the
    /// push. So what can be in order is, and what is late is looked up in order, each chunk decoded once.
    #[cold]
    pub(super) fn append_by_time(
        &self,
        hot: &mut Hot,
        cold: Option<&mut Cold>,
        position: u32,
        series: &BatchSeries,
        skip: usize,
        out: &mut AppendOutcome,
    ) {
        let Some(cold) = cold else { return };
        let histograms = self.batch.histograms_of(series).iter().map(Value::Histogram).zip(series.histograms.start..);
        let floats = self.batch.samples_of(series).iter().map(|sample| Value::Float(*sample)).zip(series.samples.start..).skip(skip);
        let mut values: SmallVec<[(Value<'_>, u32); 4]> = histograms.chain(floats).collect();
        // Stable: of two for one time the first counts.
        values.sort_by_key(|(value, _)| value.t());
        let mut late = Latecomers::default();
        for (value, index) in values {
            self.append_value(hot, cold, position, index, value, &mut late, out);
        }
        cold.add_late(hot.hash(), late.taken, self.head.config.chunk_range_ms);
    }

    #[expect(clippy::too_many_arguments, reason = "a sample, its series, and where it is told of")]
    fn append_value(
        &self,
        hot: &mut Hot,
        cold: &mut Cold,
        position: u32,
        index: u32,
        value: Value<'_>,
        late: &mut Latecomers,
        out: &mut AppendOutcome,
    ) {
        if !self.bounds.contain(value.t()) {
            return self.refuse_time(position, Some(index), value.t(), kind(&value), out);
        }
        let range = self.head.config.chunk_range_ms;
        let mut closed = None;
        let verdict = match value {
            Value::Float(sample) => Ok(hot.append_float(sample, range, &mut closed)),
            Value::Histogram(sample) => hot.append_histogram(sample, range, &mut closed),
        };
        if let Some(chunk) = closed {
            cold.push(chunk);
        }
        match verdict {
            Ok(Verdict::Taken) => count(&value, out),
            Ok(Verdict::Duplicate) => {
                out.duplicates += 1;
                out.note_time(value.t());
            }
            Ok(Verdict::Conflict(there)) => self.refuse_conflict(position, index, value, there, out),
            Ok(Verdict::Late) => self.append_late(hot, cold, position, index, value, late, out),
            Err(e) => self.refuse_histogram(position, index, e, out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a sample, its series, and where it is told of")]
    fn append_late(
        &self,
        hot: &Hot,
        cold: &Cold,
        position: u32,
        index: u32,
        value: Value<'_>,
        late: &mut Latecomers,
        out: &mut AppendOutcome,
    ) {
        let found = match late.taken.last().filter(|last| last.t() == value.t()) {
            Some(there) => value.compare(there),
            None => late.finder.find(hot, cold, value),
        };
        match found {
            Found::Same => {
                out.duplicates += 1;
                out.note_time(value.t());
            }
            Found::Other(there) => self.refuse_conflict(position, index, value, there, out),
            Found::Nothing => {
                let newest = hot.newest().unwrap_or(i64::MIN);
                if self.bounds.window <= 0 || value.t() < newest.saturating_sub(self.bounds.window) {
                    return self.refuse_late(position, index, &value, newest, out);
                }
                match accepted(value) {
                    Ok(point) => late.taken.push(point),
                    Err(e) => return self.refuse_histogram(position, index, e, out),
                }
                count(&value, out);
                out.out_of_order += 1;
            }
        }
    }

    /// Another value is there.
    #[cold]
    pub(super) fn refuse_conflict(&self, position: u32, index: u32, value: Value<'_>, there: Option<f64>, out: &mut AppendOutcome) {
        let kind = kind(&value);
        self.note_refused(position, index, kind, out);
        let show = |v: Option<f64>| v.map_or_else(|| "a histogram".to_owned(), |v| v.to_string());
        let detail =
            || format!("value {} at timestamp {} differs from the one that is there, {}", show(value.float()), value.t(), show(there));
        out.reject(self.selection.series(position), RejectReason::DuplicateTimestamp, kind, 1, detail);
    }

    /// Beyond the window. With one, Prometheus calls that too old; without, out of order.
    #[cold]
    fn refuse_late(&self, position: u32, index: u32, value: &Value<'_>, newest: i64, out: &mut AppendOutcome) {
        let (kind, t, window) = (kind(value), value.t(), self.bounds.window);
        self.note_refused(position, index, kind, out);
        let series = self.selection.series(position);
        if window > 0 {
            let detail = || {
                format!(
                    "timestamp {t} is more than {window} ms (out_of_order_time_window_ms) older than the newest sample of the series, {newest}"
                )
            };
            out.reject(series, RejectReason::TooOld, kind, 1, detail);
        } else {
            let detail =
                || format!("timestamp {t} is older than the newest sample of the series, {newest}, and out_of_order_time_window_ms is 0");
            out.reject(series, RejectReason::OutOfOrder, kind, 1, detail);
        }
    }

    fn refuse_histogram(&self, position: u32, index: u32, error: ChunkError, out: &mut AppendOutcome) {
        self.note_refused(position, index, Refused::Histogram, out);
        let series = self.selection.series(position);
        out.reject(series, RejectReason::InvalidHistogram, Refused::Histogram, 1, || error.to_string());
    }
}

fn kind(value: &Value<'_>) -> Refused {
    match value {
        Value::Float(_) => Refused::Sample,
        Value::Histogram(_) => Refused::Histogram,
    }
}

fn count(value: &Value<'_>, out: &mut AppendOutcome) {
    match value {
        Value::Float(_) => out.samples += 1,
        Value::Histogram(_) => out.histograms += 1,
    }
    out.note_time(value.t());
}

/// A late sample as it is kept; the error says what is wrong with a histogram.
pub(in crate::head) fn accepted(value: Value<'_>) -> Result<Point, ChunkError> {
    match value {
        Value::Float(sample) => Ok(Point::Float(sample)),
        Value::Histogram(sample) => keep(sample),
    }
}

fn keep(sample: &HistogramSample) -> Result<Point, ChunkError> {
    let sample = without_hint(sample);
    // Merged into a chunk later, when nobody could be told any more.
    OpenHistograms::begin(&sample)?;
    Ok(Point::Histogram(sample))
}
