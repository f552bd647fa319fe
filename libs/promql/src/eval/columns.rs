//! The columns of a selector's series, several at a time.
//!
//! Decoding a series and going over its windows depends on that series alone. A batch is cut into pieces of some ten microseconds' work,
//! which this thread and those that help it take one after the other; what comes of them is put in order again. So everything behind it
//! sees the same series in the same order as without help.

use std::sync::{Arc, Mutex, PoisonError};

use model::{Labels, SeriesChunks, SeriesHash};

use super::column::StepVector;
use super::decode::Decoder;
use super::selector::look_back;
use super::series::Series;
use super::{QueryState, column_bytes};
use crate::error::QueryError;
use crate::functions::range::{RangeCall, RangeNotes, RangeScratch};
use crate::limits::Charge;
use crate::parallel::{self, Workers};
use crate::plan::{SampleRead, SelectorPlan};

/// A piece of a batch has at least so many bytes of chunks: some 5,000 samples, which take about 50 microseconds.
const PIECE_BYTES: usize = 8 << 10;

/// What is computed of each series.
pub(super) enum Kernel {
    /// A range function.
    Range(Arc<RangeCall>),
    /// The latest sample at each step.
    Latest(SelectorPlan, SampleRead),
}

/// One series with its column, which may be empty.
pub(super) struct Computed {
    pub(super) labels: Labels,
    /// The identity of the series, of whose labels `labels` may be a part.
    pub(super) hash: SeriesHash,
    pub(super) column: StepVector,
    pub(super) notes: RangeNotes,
    /// [`RangeScratch::invalid_quantiles`].
    pub(super) invalid_quantiles: Vec<usize>,
    charge: Charge,
}

/// Computes columns, with the help of other threads where that is worth it.
pub(super) struct Columns {
    workers: Arc<dyn Workers>,
    shared: Arc<Shared>,
}

struct Shared {
    kernel: Kernel,
    plan: SelectorPlan,
    /// Buffers that nobody uses.
    benches: Mutex<Vec<Bench>>,
    state: Arc<QueryState>,
}

/// The buffers of one thread.
struct Bench {
    decoder: Decoder,
    scratch: RangeScratch,
}

impl Columns {
    /// `None` if the query has nobody who could help.
    pub(super) fn new(kernel: Kernel, plan: &SelectorPlan, state: &Arc<QueryState>) -> Option<Self> {
        let workers = state.workers.clone()?;
        let shared = Shared { kernel, plan: plan.clone(), benches: Mutex::default(), state: Arc::clone(state) };
        Some(Self { workers, shared: Arc::new(shared) })
    }

    /// The columns of a batch, in its order, without series that have no sample.
    pub(super) fn compute(&self, batch: Vec<SeriesChunks>) -> Result<Vec<Computed>, QueryError> {
        let len = batch.len();
        let shared = Arc::clone(&self.shared);
        let pieces = parallel::map(self.workers.as_ref(), pieces(batch), move |piece| shared.piece(piece))?;
        let mut all = Vec::with_capacity(len);
        for piece in pieces {
            all.extend(piece?);
        }
        Ok(all)
    }
}

impl Computed {
    /// The series; `in_flight` accounts for it from now on.
    pub(super) fn into_series(mut self, drop_name: bool, in_flight: &mut Charge) -> Result<Series, QueryError> {
        let bytes = self.charge.bytes();
        self.charge.shrink(bytes);
        in_flight.grow(bytes)?;
        Ok(Series { labels: self.labels, drop_name, first: None, column: self.column })
    }
}

/// Cuts a batch.
fn pieces(batch: Vec<SeriesChunks>) -> Vec<Vec<SeriesChunks>> {
    let mut all: Vec<Vec<SeriesChunks>> = Vec::new();
    let mut bytes = PIECE_BYTES;
    for series in batch {
        if bytes >= PIECE_BYTES {
            all.push(Vec::new());
            bytes = 0;
        }
        bytes += series.chunks.iter().map(|chunk| chunk.data.len()).sum::<usize>() + 64;
        if let Some(piece) = all.last_mut() {
            piece.push(series);
        }
    }
    all
}

impl Shared {
    fn piece(&self, series: Vec<SeriesChunks>) -> Result<Vec<Computed>, QueryError> {
        self.state.check()?;
        let benches = || self.benches.lock().unwrap_or_else(PoisonError::into_inner);
        let known = benches().pop();
        let mut bench = known.unwrap_or_else(|| Bench { decoder: Decoder::new(&self.plan, &self.state), scratch: RangeScratch::default() });
        let mut out = Vec::with_capacity(series.len());
        for series in series {
            out.extend(self.one(series, &mut bench)?);
        }
        benches().push(bench);
        Ok(out)
    }

    fn one(&self, series: SeriesChunks, bench: &mut Bench) -> Result<Option<Computed>, QueryError> {
        let Some(samples) = bench.decoder.decode(&series, None)? else { return Ok(None) };
        let steps = self.plan.grid.count();
        let mut charge = Charge::none(&self.state.budget);
        charge.grow(column_bytes(steps))?;
        let mut column = StepVector::absent(steps);
        let notes = match &self.kernel {
            Kernel::Range(call) => {
                samples.drop_stale();
                call.evaluate(samples, &mut bench.scratch, &mut column)?
            }
            Kernel::Latest(plan, read) => {
                look_back(plan, samples, *read, &mut column);
                RangeNotes::default()
            }
        };
        charge.grow(column.histogram_bytes())?;
        let invalid_quantiles = std::mem::take(&mut bench.scratch.invalid_quantiles);
        Ok(Some(Computed { labels: series.labels, hash: series.hash, column, notes, invalid_quantiles, charge }))
    }
}
