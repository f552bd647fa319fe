//! `count_values`: per group, how often each value occurs.

use model::LabelsBuilder;

use super::Aggregation;
use crate::error::QueryError;
use crate::eval::column::{StepVector, is_absent};
use crate::eval::identity::SeriesMap;
use crate::eval::series::{Ready, Series, Stream};
use crate::functions::number;
use crate::histogram;
use crate::limits::Charge;

/// The operator.
pub(in crate::eval) struct CountValues {
    aggregation: Aggregation,
    label: String,
    charge: Charge,
    ready: Option<Ready>,
}

impl CountValues {
    /// `aggregation.grouping` holds `label` if it is a `by`.
    pub(in crate::eval) fn new(aggregation: Aggregation, label: String) -> Self {
        let charge = Charge::none(&aggregation.state.budget);
        Self { aggregation, label, charge, ready: None }
    }

    fn run(&mut self) -> Result<Vec<Series>, QueryError> {
        let mut index: SeriesMap<usize> = SeriesMap::default();
        let mut out: Vec<Series> = Vec::new();
        while let Some(batch) = self.aggregation.input.next_batch()? {
            self.aggregation.state.check()?;
            for series in batch {
                self.count(&series, &mut index, &mut out)?;
            }
        }
        Ok(out)
    }

    fn count(&mut self, series: &Series, index: &mut SeriesMap<usize>, out: &mut Vec<Series>) -> Result<(), QueryError> {
        let mut last: Option<(u64, usize)> = None;
        for (step, v) in series.column.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            let at = match last {
                Some((bits, at)) if bits == v.to_bits() => at,
                _ => self.find(series, &number::fixed(*v), index, out)?,
            };
            last = Some((v.to_bits(), at));
            let slot = &mut out[at].column.values[step];
            *slot = if is_absent(*slot) { 1.0 } else { *slot + 1.0 };
        }
        for (step, h) in series.column.histograms() {
            let at = self.find(series, &histogram::to_text(h), index, out)?;
            let slot = &mut out[at].column.values[*step as usize];
            *slot = if is_absent(*slot) { 1.0 } else { *slot + 1.0 };
        }
        Ok(())
    }

    /// The result series of a value in a series' group.
    fn find(&mut self, series: &Series, value: &str, index: &mut SeriesMap<usize>, out: &mut Vec<Series>) -> Result<usize, QueryError> {
        let mut labels = LabelsBuilder::from_labels(&series.labels);
        labels.set(&self.label, value);
        let labels = self.aggregation.grouping.of(&labels.build());
        if let Some(at) = index.get(&labels.hash()) {
            return Ok(*at);
        }
        let steps = self.aggregation.steps;
        self.charge.grow(8 * steps + labels.as_bytes().len() + size_of::<Series>() + 32)?;
        index.insert(labels.hash(), out.len());
        out.push(Series { labels, drop_name: false, first: None, column: StepVector::absent(steps) });
        Ok(out.len() - 1)
    }
}

impl Stream for CountValues {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if self.ready.is_none() {
            let series = self.run()?;
            let charge = std::mem::replace(&mut self.charge, Charge::none(&self.aggregation.state.budget));
            self.ready = Some(Ready::new(series, charge));
        }
        Ok(self.ready.as_mut().and_then(Ready::next_batch))
    }

    fn whole(&self) -> bool {
        true
    }
}
