//! One series: closed chunks and an open one.

use bytes::Bytes;
use model::{Chunk, ChunkEncoding, FloatHistogram, Labels, SeriesChunks};
use tsdb::chunk::{AppendOutcome, FloatHistogramAppender, XorAppender};

use super::MemoryError;
use crate::value::{Point, PointValue};

/// Samples per chunk, as Prometheus's head cuts them.
const SAMPLES_PER_CHUNK: u16 = 120;

/// Writes the chunks of one series.
#[derive(Debug, Clone)]
pub(super) struct SeriesWriter {
    /// What queries see: the closed chunks, then a copy of the open one if it is published.
    chunks: SeriesChunks,
    open: Option<OpenChunk>,
    /// Whether the last of `chunks` is the open one's copy.
    published: bool,
    last_t: Option<i64>,
    /// Times of samples and when their counters began, where that is known. They lie beside the chunks, whose encodings are those of
    /// Prometheus's heads before start times were stored.
    starts: Vec<(i64, i64)>,
}

#[derive(Debug, Clone)]
struct OpenChunk {
    appender: Appender,
    min_t: i64,
    max_t: i64,
}

#[derive(Debug, Clone)]
enum Appender {
    Floats(XorAppender),
    Histograms(FloatHistogramAppender),
}

impl SeriesWriter {
    pub(super) fn new(labels: Labels) -> Self {
        let hash = labels.hash();
        Self {
            chunks: SeriesChunks { labels, hash, chunks: Vec::new(), newest: None },
            open: None,
            published: false,
            last_t: None,
            starts: Vec::new(),
        }
    }

    /// What queries see.
    pub(super) fn published(&self) -> &SeriesChunks {
        &self.chunks
    }

    /// Times of samples and when their counters began.
    pub(super) fn starts(&self) -> &[(i64, i64)] {
        &self.starts
    }

    /// Appends a sample; queries see it after [`Self::publish`].
    pub(super) fn append(&mut self, point: &Point, start: Option<i64>) -> Result<(), MemoryError> {
        if let Some(last) = self.last_t.filter(|last| point.t <= *last) {
            return Err(MemoryError::OutOfOrder { labels: self.chunks.labels.clone(), t: point.t, last });
        }
        match &point.value {
            PointValue::Float(v) => self.append_float(point.t, *v),
            PointValue::Histogram(h) => self.append_histogram(point.t, h)?,
        }
        self.last_t = Some(point.t);
        self.starts.extend(start.map(|start| (point.t, start)));
        Ok(())
    }

    /// Shows the open chunk to queries.
    pub(super) fn publish(&mut self) {
        if self.published {
            self.chunks.chunks.pop();
        }
        self.chunks.chunks.extend(self.open.as_ref().map(OpenChunk::to_chunk));
        self.published = self.open.is_some();
    }

    fn append_float(&mut self, t: i64, v: f64) {
        let fits = self.open.as_mut().is_some_and(|open| open.append_float(t, v));
        if !fits {
            let mut appender = XorAppender::new();
            appender.append(t, v);
            self.replace_open(OpenChunk { appender: Appender::Floats(appender), min_t: t, max_t: t });
        }
    }

    fn append_histogram(&mut self, t: i64, h: &FloatHistogram) -> Result<(), MemoryError> {
        let refused = |cause| MemoryError::Histogram { labels: self.chunks.labels.clone(), t, cause };
        let mut next = FloatHistogramAppender::new();
        if let Some(OpenChunk { appender: Appender::Histograms(appender), max_t, .. }) = &mut self.open {
            next = appender.successor(h);
            if appender.count() < SAMPLES_PER_CHUNK {
                match appender.append(t, h) {
                    AppendOutcome::Appended | AppendOutcome::Recoded => {
                        *max_t = t;
                        return Ok(());
                    }
                    AppendOutcome::NeedsNewChunk(_) => {}
                    AppendOutcome::Refused(cause) => return Err(refused(cause)),
                }
            }
        }
        // An empty chunk takes every histogram that is well formed.
        if let AppendOutcome::Refused(cause) = next.append(t, h) {
            return Err(refused(cause));
        }
        self.replace_open(OpenChunk { appender: Appender::Histograms(next), min_t: t, max_t: t });
        Ok(())
    }

    fn replace_open(&mut self, next: OpenChunk) {
        if self.open.is_some() {
            self.publish();
        }
        self.open = Some(next);
        self.published = false;
    }
}

impl OpenChunk {
    /// Whether the sample is in the chunk now.
    fn append_float(&mut self, t: i64, v: f64) -> bool {
        let Appender::Floats(appender) = &mut self.appender else { return false };
        if appender.count() >= SAMPLES_PER_CHUNK {
            return false;
        }
        appender.append(t, v);
        self.max_t = t;
        true
    }

    fn to_chunk(&self) -> Chunk {
        let (encoding, data) = match &self.appender {
            Appender::Floats(a) => (ChunkEncoding::Xor, a.bytes()),
            Appender::Histograms(a) => (ChunkEncoding::FloatHistogram, a.bytes()),
        };
        Chunk { encoding, min_t: self.min_t, max_t: self.max_t, data: Bytes::copy_from_slice(data) }
    }
}
