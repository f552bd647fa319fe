//! Annotations about histograms.

use model::matcher::quote;

use super::{Annotations, with_metric};
use crate::functions::range::RangeNotes;
use crate::histogram::NanNote;
use crate::parser::ast::TextSpan;

/// What two or more histograms were combined for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HistogramOperation {
    Addition,
    Subtraction,
    Aggregation,
}

/// An annotation that names the metric.
type NamingMetric = fn(&Annotations, &str, TextSpan);

impl HistogramOperation {
    fn name(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

impl Annotations {
    /// All that a function of windows has to say about one series.
    pub(crate) fn of_range(&self, metric: &str, notes: RangeNotes, span: TextSpan) {
        if notes.start_overlaps > 0 {
            self.start_overlaps(metric, notes.start_overlaps, span);
        }
        let naming: [(bool, NamingMetric); 5] = [
            (notes.ignored_histograms, Self::ignored_in_window),
            (notes.mixed, Self::mixed_samples),
            (notes.mixed_buckets, Self::mixed_buckets),
            (notes.not_counter, Self::not_a_counter),
            (notes.not_gauge, Self::not_a_gauge),
        ];
        naming.iter().filter(|(told, _)| *told).for_each(|(_, annotate)| annotate(self, metric, span));
        if notes.collision {
            self.reset_collision(HistogramOperation::Aggregation, span);
        }
        let reconciled = [
            (notes.reconciled_in_aggregation, HistogramOperation::Aggregation),
            (notes.reconciled_in_subtraction, HistogramOperation::Subtraction),
            (notes.reconciled_in_addition, HistogramOperation::Addition),
        ];
        reconciled.iter().filter(|(told, _)| *told).for_each(|(_, operation)| self.reconciled_bounds(*operation, span));
    }

    /// A window has floats and histograms: the function has no value there.
    fn mixed_samples(&self, metric: &str, span: TextSpan) {
        self.warn(&format!("encountered a mix of histograms and floats for metric name {}", quote(metric)), span);
    }

    /// A group has floats and histograms: the aggregation has no value there.
    pub(crate) fn mixed_samples_in_aggregation(&self, span: TextSpan) {
        self.warn("encountered a mix of histograms and floats for aggregation", span);
    }

    /// A window has floats and histograms, of which the function took the floats.
    fn ignored_in_window(&self, metric: &str, span: TextSpan) {
        self.info(&format!("ignored histograms in a range containing both floats and histograms for metric name {}", quote(metric)), span);
    }

    /// Exponential and custom buckets do not add up.
    pub(crate) fn mixed_buckets(&self, metric: &str, span: TextSpan) {
        let text =
            format!("vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}", quote(metric));
        self.warn(&text, span);
    }

    /// A counter's function was given gauges.
    fn not_a_counter(&self, metric: &str, span: TextSpan) {
        self.warn(&format!("this native histogram metric is not a counter: {}", quote(metric)), span);
    }

    /// A gauge's function was given counters.
    fn not_a_gauge(&self, metric: &str, span: TextSpan) {
        self.warn(&format!("this native histogram metric is not a gauge: {}", quote(metric)), span);
    }

    /// One histogram was marked as after a counter reset, another as not.
    pub(crate) fn reset_collision(&self, operation: HistogramOperation, span: TextSpan) {
        self.warn(&format!("conflicting counter resets during histogram {}", operation.name()), span);
    }

    /// Custom bounds differed.
    pub(crate) fn reconciled_bounds(&self, operation: HistogramOperation, span: TextSpan) {
        self.info(&format!("mismatched custom buckets were reconciled during {}", operation.name()), span);
    }

    /// A histogram has native and classic buckets at one time. Without a metric none is named.
    pub(crate) fn mixed_classic_and_native(&self, metric: &str, span: TextSpan) {
        self.warn(&with_metric("vector contains a mix of classic and native histograms", metric), span);
    }

    /// A histogram counts NaNs. Without a metric none is named.
    pub(crate) fn nan_observations(&self, note: NanNote, metric: &str, span: TextSpan) {
        let text = match note {
            NanNote::QuantileIsNan => "input to histogram_quantile has NaN observations, result is NaN",
            NanNote::QuantileIsSkewed => "input to histogram_quantile has NaN observations, result is skewed higher",
            NanNote::NotInFraction => "input to histogram_fraction has NaN observations, which are excluded from all fractions",
        };
        self.info(&with_metric(text, metric), span);
    }

    /// An operator has no result for two kinds of samples.
    pub(crate) fn incompatible_samples(&self, op: &str, lhs: &str, rhs: &str, span: TextSpan) {
        self.info(&format!("incompatible sample types encountered for binary operator {op:?}: {lhs} {op} {rhs}"), span);
    }

    /// An operator has no result for exponential and custom buckets.
    pub(crate) fn incompatible_buckets(&self, op: &str, span: TextSpan) {
        self.warn(&format!("incompatible bucket layout encountered for binary operator {op}"), span);
    }
}
