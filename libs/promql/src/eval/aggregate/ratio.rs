//! `limit_ratio`: a share of the series, chosen by their labels, so that a ratio and its complement make the whole.

use super::Aggregation;
use crate::error::QueryError;
use crate::eval::column::{ABSENT, ScalarColumn, is_absent};
use crate::eval::series::{Series, Stream};
use crate::functions::number;

/// The operator.
pub(in crate::eval) struct Ratio {
    aggregation: Aggregation,
    ratios: Option<ScalarColumn>,
}

impl Ratio {
    pub(in crate::eval) fn new(aggregation: Aggregation) -> Self {
        Self { aggregation, ratios: None }
    }

    /// Evaluates and checks the ratios.
    fn prepare(&mut self) -> Result<ScalarColumn, QueryError> {
        let (ratios, span) = self.aggregation.take_param()?;
        let steps = self.aggregation.steps;
        let (min, max) = ratios.over(steps).fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), v| (min.min(v), max.max(v)));
        if ratios.over(steps).any(f64::is_nan) {
            return Err(QueryError::Execution("Ratio value is NaN".into()));
        }
        for (value, cap) in [(max, 1.0), (min, -1.0)] {
            if (cap > 0.0 && value > cap) || (cap < 0.0 && value < cap) {
                let text = format!("ratio value should be between -1 and 1, got {}, capping to {cap}", number::general(value));
                self.aggregation.state.annotations.warn(&text, span);
            }
        }
        Ok(ratios)
    }

    fn limit(series: &mut Series, ratios: &ScalarColumn) {
        let offset = (series.labels.hash().0 as u64) as f64 / u64::MAX as f64;
        let keeps = |step: usize| {
            let ratio = ratios.at(step).clamp(-1.0, 1.0);
            if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
        };
        for (step, v) in series.column.values.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
            if !keeps(step) {
                *v = ABSENT;
            }
        }
        series.column.retain_histograms(keeps);
    }
}

impl Stream for Ratio {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        let ratios = match self.ratios.take() {
            Some(ratios) => ratios,
            None => self.prepare()?,
        };
        let mut out = None;
        while let Some(mut batch) = self.aggregation.input.next_batch()? {
            self.aggregation.state.check()?;
            batch.iter_mut().for_each(|series| Self::limit(series, &ratios));
            batch.retain(|series| !series.column.is_empty());
            if !batch.is_empty() {
                out = Some(batch);
                break;
            }
        }
        self.ratios = Some(ratios);
        Ok(out)
    }

    fn whole(&self) -> bool {
        self.aggregation.input.whole()
    }
}
