//! Means of histograms.

use model::FloatHistogram;

use super::scale;
use super::sum::{Combined, HistogramSum, IncompatibleBuckets};

/// Above this a component may overflow when another is added.
const LARGE: f64 = f64::MAX / 2.0;

/// A running mean: the compensated sum divided by the count as long as nothing overflows; from then on the mean is updated incrementally.
#[derive(Debug, Clone)]
pub struct HistogramMean {
    /// The sum, or the mean once `incremental`.
    state: HistogramSum,
    count: f64,
    incremental: bool,
}

impl HistogramMean {
    /// The mean of one histogram.
    #[must_use]
    pub fn of(value: FloatHistogram) -> Self {
        Self { state: HistogramSum::of(value), count: 1.0, incremental: false }
    }

    /// Takes one more histogram. After an error the mean is worthless.
    pub fn add(&mut self, h: &FloatHistogram) -> Result<Combined, IncompatibleBuckets> {
        self.count += 1.0;
        let mut reconciled = false;
        if !self.incremental {
            if !is_large(self.state.rounded()) && !is_large(h) {
                return self.state.add(h);
            }
            let mut next = self.state.clone();
            let combined = next.add(h)?;
            if !scale::any(next.rounded(), f64::is_infinite) {
                self.state = next;
                return Ok(combined);
            }
            reconciled = combined.reconciled;
            self.incremental = true;
            self.state.divide(self.count - 1.0);
        }
        self.state.multiply((self.count - 1.0) / self.count);
        let mut share = h.clone();
        scale::divide(&mut share, self.count);
        let combined = self.state.add(&share)?;
        Ok(Combined { reconciled: reconciled || combined.reconciled, ..combined })
    }

    /// The mean; buckets as they came together.
    #[must_use]
    pub fn into_value(mut self) -> FloatHistogram {
        if !self.incremental {
            self.state.divide(self.count);
        }
        self.state.into_value()
    }

    /// Bytes outside of the value itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.state.heap_bytes()
    }
}

fn is_large(h: &FloatHistogram) -> bool {
    scale::any(h, |v| v.abs() > LARGE)
}
