//! Small operators between others.

use model::Labels;

use super::column::{ScalarColumn, StepVector};
use super::scalar::ScalarSource;
use super::series::{BoxStream, Series, Stream};
use crate::error::QueryError;

/// `vector(s)`: one series without labels.
pub(super) struct FromScalar {
    scalar: Option<ScalarSource>,
    steps: usize,
}

impl FromScalar {
    pub(super) fn new(scalar: ScalarSource, steps: usize) -> Self {
        Self { scalar: Some(scalar), steps }
    }
}

impl Stream for FromScalar {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        let Some(scalar) = self.scalar.take() else { return Ok(None) };
        let column = StepVector::of(match scalar.evaluate(self.steps)? {
            ScalarColumn::Constant(v) => vec![v; self.steps],
            ScalarColumn::Steps(all) => all,
        });
        Ok(Some(vec![Series { labels: Labels::empty(), drop_name: false, first: None, column }]))
    }

    fn whole(&self) -> bool {
        true
    }
}

/// Leaves histograms out.
pub(super) struct FloatsOnly(pub(super) BoxStream);

impl Stream for FloatsOnly {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        while let Some(mut batch) = self.0.next_batch()? {
            batch.retain_mut(|series| {
                series.column.drop_histograms();
                !series.column.is_empty()
            });
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn whole(&self) -> bool {
        self.0.whole()
    }
}

/// Evaluates the input and yields nothing of it.
pub(super) struct Drained(pub(super) BoxStream);

impl Stream for Drained {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        self.0.drain()?;
        Ok(None)
    }

    fn whole(&self) -> bool {
        true
    }
}
