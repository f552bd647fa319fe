//! What of a request was not taken: counted in full, told in part.

use model::RejectReason;

/// How many refusals an answer tells in words.
pub const TOLD: usize = 10;

/// The longest text of a series in an answer, in bytes.
const MAX_SERIES_TEXT: usize = 512;

/// Numbers of things in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Float samples.
    pub samples: u64,
    /// Histogram samples.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

impl Counts {
    /// Sum, kind by kind.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            samples: self.samples.saturating_add(other.samples),
            histograms: self.histograms.saturating_add(other.histograms),
            exemplars: self.exemplars.saturating_add(other.exemplars),
        }
    }

    /// Difference, kind by kind, not below zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            samples: self.samples.saturating_sub(other.samples),
            histograms: self.histograms.saturating_sub(other.histograms),
            exemplars: self.exemplars.saturating_sub(other.exemplars),
        }
    }

    /// Whether all are zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// One refusal in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RejectReason,
    /// The series, shortened, or the metric family.
    pub series: String,
    /// What is wrong with it, and the limit.
    pub detail: String,
}

/// All refusals of a request: numbers by reason, and the first [`TOLD`] in words.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    by_reason: Vec<(RejectReason, Counts)>,
    told: Vec<Refusal>,
    series: u64,
}

impl Refusals {
    /// Adds one. `series` is called only if it will be told.
    pub fn add(&mut self, reason: RejectReason, counts: Counts, detail: impl Into<String>, series: impl FnOnce() -> String) {
        match self.by_reason.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, sum)) => *sum = sum.plus(counts),
            None => self.by_reason.push((reason, counts)),
        }
        self.series += 1;
        if self.told.len() < TOLD {
            self.told.push(Refusal { reason, series: shortened(series()), detail: detail.into() });
        }
    }

    /// Sum over all reasons.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.by_reason.iter().fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts))
    }

    /// Numbers by reason; each reason once.
    pub fn by_reason(&self) -> impl Iterator<Item = (RejectReason, Counts)> {
        self.by_reason.iter().copied()
    }

    /// Whether anything was refused for this reason.
    #[must_use]
    pub fn has(&self, reason: RejectReason) -> bool {
        self.by_reason.iter().any(|(r, _)| *r == reason)
    }

    /// The first few in words.
    #[must_use]
    pub fn told(&self) -> &[Refusal] {
        &self.told
    }

    /// Whether nothing was refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_reason.is_empty()
    }

    /// The text for the sender.
    #[must_use]
    pub fn to_text(&self, received: Counts) -> String {
        use std::fmt::Write as _;

        let refused = self.total();
        let mut text = format!(
            "rejected {} of {} samples, {} of {} histograms and {} of {} exemplars; everything else was written. ",
            refused.samples, received.samples, refused.histograms, received.histograms, refused.exemplars, received.exemplars
        );
        if self.series > self.told.len() as u64 {
            let _ = write!(text, "The first {} of {} rejections:", self.told.len(), self.series);
        } else {
            text.push_str("Rejections:");
        }
        for Refusal { reason, series, detail } in &self.told {
            let _ = write!(text, "\n{reason}: {detail}: series {series}");
        }
        text
    }
}

/// Cuts a text at a character boundary.
#[must_use]
fn shortened(mut text: String) -> String {
    if text.len() > MAX_SERIES_TEXT {
        let cut = (0..=MAX_SERIES_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use model::RejectReason;

    use super::{Counts, Refusals};

    #[test]
    fn counts_all_and_tells_ten() {
        let mut refusals = Refusals::default();
        for i in 0..25 {
            let one = Counts { samples: 2, ..Counts::default() };
            refusals.add(RejectReason::TooOld, one, format!("sample {i} is old"), || "é".repeat(1000));
        }
        assert_eq!(refusals.total().samples, 50);
        assert_eq!(refusals.told().len(), 10);
        assert!(refusals.told().iter().all(|r| r.series.len() <= 515 && r.series.ends_with('…')));
        let text = refusals.to_text(Counts { samples: 100, ..Counts::default() });
        assert!(text.starts_with("rejected 50 of 100 samples, 0 of 0 histograms"), "{text}");
        assert!(text.contains("The first 10 of 25 rejections:\ntoo_old: sample 0 is old: series é"), "{text}");
    }
}
