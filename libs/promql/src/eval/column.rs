//! The values of one series at all steps.

use std::sync::Arc;

use model::{FloatHistogram, STALE_NAN_BITS};

use crate::histogram;

/// Marks a step without a value. It is the stale marker's bit pattern, which selectors never let through and arithmetic never
/// makes (it is a signalling NaN: any operation on it yields a quiet one), so no value is mistaken for it.
pub const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether a slot of a column has no value.
#[inline]
#[must_use]
pub fn is_absent(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// A histogram and its step.
pub type HistogramAtStep = (u32, Arc<FloatHistogram>);

/// One slot per step, plus native histograms at the few steps that have one (whose slot is then [`ABSENT`]).
#[derive(Debug, Clone, Default)]
pub struct StepVector {
    /// Floats.
    pub values: Vec<f64>,
    /// Histograms by step, ascending.
    histograms: Vec<HistogramAtStep>,
}

impl StepVector {
    /// A column without any value.
    #[must_use]
    pub fn absent(steps: usize) -> Self {
        Self { values: vec![ABSENT; steps], histograms: Vec::new() }
    }

    /// A column of these floats.
    #[must_use]
    pub fn of(values: Vec<f64>) -> Self {
        Self { values, histograms: Vec::new() }
    }

    /// Histograms by step, ascending.
    #[must_use]
    pub fn histograms(&self) -> &[HistogramAtStep] {
        &self.histograms
    }

    /// The histogram at a step.
    #[must_use]
    pub fn histogram_at(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        let at = self.histograms.binary_search_by_key(&step, |(s, _)| *s as usize).ok()?;
        Some(&self.histograms[at].1)
    }

    /// Sets the histogram at a step; the float there must be absent.
    pub fn put_histogram(&mut self, step: usize, histogram: Arc<FloatHistogram>) {
        let step = step as u32;
        match self.histograms.binary_search_by_key(&step, |(s, _)| *s) {
            Ok(i) => self.histograms[i].1 = histogram,
            Err(i) => self.histograms.insert(i, (step, histogram)),
        }
    }

    /// Replaces each histogram by what `f` makes of it, if anything.
    pub fn map_histograms(&mut self, mut f: impl FnMut(usize, &Arc<FloatHistogram>) -> Option<Arc<FloatHistogram>>) {
        self.histograms.retain_mut(|(step, histogram)| match f(*step as usize, histogram) {
            Some(result) => {
                *histogram = result;
                true
            }
            None => false,
        });
    }

    /// Forgets all histograms.
    pub fn drop_histograms(&mut self) {
        self.histograms.clear();
    }

    /// Keeps only the histograms at steps for which `keep` says so.
    pub fn retain_histograms(&mut self, keep: impl Fn(usize) -> bool) {
        self.histograms.retain(|(step, _)| keep(*step as usize));
    }

    /// Whether there is a value of either kind at a step.
    #[inline]
    #[must_use]
    pub fn is_present(&self, step: usize) -> bool {
        self.values.get(step).is_some_and(|v| !is_absent(*v)) || self.histogram_at(step).is_some()
    }

    /// Whether there is no value at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.histograms().is_empty() && self.values.iter().all(|v| is_absent(*v))
    }

    /// Takes over the values of `other`, which has none where this column has one.
    pub fn absorb(&mut self, other: Self) {
        for (mine, theirs) in self.values.iter_mut().zip(&other.values) {
            if !is_absent(*theirs) {
                *mine = *theirs;
            }
        }
        for (step, histogram) in other.histograms {
            self.put_histogram(step as usize, histogram);
        }
    }

    /// Bytes held. A histogram counts with its buckets, although series may share it; one that stays for several steps counts once.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.values.capacity() * size_of::<f64>() + self.histogram_bytes()
    }

    /// Bytes of the histograms.
    #[must_use]
    pub fn histogram_bytes(&self) -> usize {
        let first = self.histograms.first().map_or(0, |(_, h)| histogram::bytes(h));
        let next = |pair: &[HistogramAtStep]| match pair {
            [(_, a), (_, b)] if !Arc::ptr_eq(a, b) => histogram::bytes(b),
            _ => 0,
        };
        size_of::<HistogramAtStep>() * self.histograms.capacity() + first + self.histograms.windows(2).map(next).sum::<usize>()
    }
}

/// One number per step.
#[derive(Debug, Clone)]
pub enum ScalarColumn {
    /// The same at every step.
    Constant(f64),
    /// One per step.
    Steps(Vec<f64>),
}

impl ScalarColumn {
    /// The number at a step; NaN beyond the end.
    #[inline]
    #[must_use]
    pub fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(v) => *v,
            Self::Steps(all) => all.get(step).copied().unwrap_or(f64::NAN),
        }
    }

    /// The distinct numbers over `steps` steps, at least those that a check of the whole needs.
    pub fn over(&self, steps: usize) -> impl Iterator<Item = f64> + '_ {
        let steps = if matches!(self, Self::Constant(_)) { steps.min(1) } else { steps };
        (0..steps).map(|i| self.at(i))
    }
}
