//! `absent` and `absent_over_time`.

use std::sync::Arc;

use model::Labels;

use super::QueryState;
use super::column::{ABSENT, StepVector};
use super::meter::Meter;
use super::presence::Presence;
use super::range::WindowFeed;
use super::series::{BoxStream, Series, Stream};
use crate::error::QueryError;
use crate::functions::range::Windows;

/// What must be absent.
pub(super) enum Watched {
    /// A vector.
    Vector(BoxStream),
    /// Windows of samples.
    Windows(Box<WindowFeed>, Windows, Meter),
}

/// Yields one series with 1 at every step at which nothing is there.
pub(super) struct Absent {
    watched: Option<Watched>,
    labels: Labels,
    steps: usize,
    state: Arc<QueryState>,
}

impl Absent {
    pub(super) fn new(watched: Watched, labels: Labels, steps: usize, state: &Arc<QueryState>) -> Self {
        Self { watched: Some(watched), labels, steps, state: Arc::clone(state) }
    }

    fn present(&self, watched: Watched) -> Result<Presence, QueryError> {
        let mut present = Presence::empty(self.steps);
        match watched {
            Watched::Vector(mut stream) => {
                while let Some(batch) = stream.next_batch()? {
                    self.state.check()?;
                    batch.iter().for_each(|series| present.add(&Presence::of(&series.column)));
                }
            }
            Watched::Windows(mut feed, windows, meter) => {
                while let Some((_, _, samples)) = feed.next()? {
                    meter.windows(&windows, None, samples);
                    windows.each(&samples.ts, |w| present.insert(w.step));
                    let histograms: Vec<i64> = samples.histograms.iter().map(|(t, _)| *t).collect();
                    windows.each(&histograms, |w| present.insert(w.step));
                }
            }
        }
        Ok(present)
    }
}

impl Stream for Absent {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        let Some(watched) = self.watched.take() else { return Ok(None) };
        let present = self.present(watched)?;
        let column = StepVector::of((0..self.steps).map(|step| if present.contains(step) { ABSENT } else { 1.0 }).collect());
        if column.is_empty() {
            return Ok(None);
        }
        Ok(Some(vec![Series { labels: self.labels.clone(), drop_name: false, first: None, column }]))
    }

    fn whole(&self) -> bool {
        true
    }
}
