//! What several places of a plan read and is evaluated once.

use std::sync::{Arc, Mutex, PoisonError};

use super::QueryState;
use super::series::{BoxStream, Series, Stream};
use crate::error::QueryError;
use crate::limits::Charge;

/// The result of an operator for all that read it.
pub(super) struct SharedResult {
    whole: bool,
    /// Held while the operator is evaluated. It reads no other shared result, so nobody waits for oneself.
    progress: Mutex<Progress>,
    /// The state of the evaluation, whose annotations are its own.
    state: Arc<QueryState>,
}

enum Progress {
    Waiting(BoxStream),
    Done(Result<Held, QueryError>),
}

/// All series, and what they take.
#[derive(Clone)]
struct Held {
    series: Arc<[Series]>,
    _charge: Arc<Charge>,
}

impl SharedResult {
    /// `state` is that of the operator `input`.
    pub(super) fn new(input: BoxStream, state: Arc<QueryState>) -> Self {
        Self { whole: input.whole(), progress: Mutex::new(Progress::Waiting(input)), state }
    }

    /// The series; whoever asks first evaluates.
    fn get(&self) -> Result<Held, QueryError> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Progress::Waiting(input) = &mut *progress {
            *progress = Progress::Done(read(input, &self.state));
        }
        match &*progress {
            Progress::Done(result) => result.clone(),
            // Was replaced above.
            Progress::Waiting(_) => Ok(Held { series: Arc::from([]), _charge: Arc::new(Charge::none(&self.state.budget)) }),
        }
    }
}

fn read(input: &mut BoxStream, state: &QueryState) -> Result<Held, QueryError> {
    let mut charge = Charge::none(&state.budget);
    let mut series = Vec::new();
    while let Some(batch) = input.next_batch()? {
        charge.grow(batch.iter().map(Series::heap_bytes).sum())?;
        series.extend(batch);
    }
    Ok(Held { series: series.into(), _charge: Arc::new(charge) })
}

/// One place that reads a shared result.
pub(super) struct SharedReader {
    result: Arc<SharedResult>,
    /// How much further back in the expression it stands than the plan that was evaluated.
    shift: i64,
    held: Option<Held>,
    at: usize,
    in_flight: Charge,
    state: Arc<QueryState>,
}

impl SharedReader {
    pub(super) fn new(result: Arc<SharedResult>, shift: i64, state: &Arc<QueryState>) -> Self {
        let in_flight = Charge::none(&state.budget);
        Self { result, shift, held: None, at: 0, in_flight, state: Arc::clone(state) }
    }
}

impl Stream for SharedReader {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        self.state.check()?;
        let held = match &self.held {
            Some(held) => held.clone(),
            None => {
                let held = self.result.get()?;
                // As if it had been evaluated here.
                self.state.annotations.add_all(&self.result.state.annotations, self.shift);
                self.held.insert(held).clone()
            }
        };
        let rest = held.series.get(self.at..).unwrap_or_default();
        let steps = rest.first().map_or(1, |series| series.column.values.len());
        let next = rest.get(..super::batch_len(steps).min(rest.len())).unwrap_or_default();
        self.in_flight.set(next.iter().map(Series::heap_bytes).sum())?;
        self.at += next.len();
        Ok((!next.is_empty()).then(|| next.to_vec()))
    }

    fn whole(&self) -> bool {
        self.result.whole
    }
}
