//! What reading back found.

use std::fmt;

/// Findings that are kept as examples; beyond this they are only counted.
const EXAMPLES: usize = 20;

/// Numbers of samples.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Acknowledged ones that are there as they were sent.
    pub found: usize,
    /// Acknowledged ones that are not there (I1, I5).
    pub lost: usize,
    /// Ones that are there with another value (I1).
    pub wrong: usize,
    /// Ones that are there more than once, or out of order (I1).
    pub doubled: usize,
    /// Refused ones that are there (I2).
    pub refused: usize,
    /// Ones that were never sent (I3).
    pub strange: usize,
    /// Ones that another tenant sent (I4).
    pub foreign: usize,
    /// The first few of what is not as it must be.
    pub examples: Vec<String>,
}

impl Findings {
    /// Whether everything is as it must be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.lost + self.wrong + self.doubled + self.refused + self.strange + self.foreign == 0
    }

    /// Adds what another look found.
    pub fn add(&mut self, other: Self) {
        self.found += other.found;
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.doubled += other.doubled;
        self.refused += other.refused;
        self.strange += other.strange;
        self.foreign += other.foreign;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }

    pub(super) fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, lost, wrong, doubled, refused, strange, foreign, examples } = self;
        write!(
            f,
            "{found} acknowledged samples found, {lost} lost, {wrong} wrong, {doubled} doubled, {refused} refused but there, {strange} never sent, \
             {foreign} of another tenant"
        )?;
        examples.iter().try_for_each(|example| write!(f, "\n  {example}"))
    }
}
