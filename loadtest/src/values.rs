//! Values that move as a series' motion says, the same in every run.

use crate::series::Motion;

/// Seconds between scrapes.
pub(crate) const SCRAPE_SECONDS: i64 = 15;

/// The current value of a series.
#[derive(Debug, Clone)]
pub(crate) struct Walker {
    motion: Motion,
    value: f64,
    state: u64,
}

impl Walker {
    pub(crate) fn new(motion: Motion, seed: usize) -> Self {
        let mut walker = Self { motion, value: 0.0, state: seed as u64 ^ 0x9e37_79b9_7f4a_7c15 };
        walker.value = match motion {
            Motion::Counter(rate) => (walker.uniform() * 100_000.0 * rate).round(),
            Motion::Hundredths(rate) => (walker.uniform() * 10_000_000.0 * rate).round() / 100.0,
            Motion::Walk => (walker.uniform() * 1e9).round(),
            Motion::Gauge => (walker.uniform() * 100.0).round(),
            Motion::Constant(value) => value,
        };
        walker
    }

    /// The value of the next scrape.
    pub(crate) fn next(&mut self) -> f64 {
        let seconds = SCRAPE_SECONDS as f64;
        match self.motion {
            Motion::Counter(rate) => self.value += (self.uniform() * 2.0 * rate * seconds).round(),
            Motion::Hundredths(rate) => {
                self.value = (self.value * 100.0 + (self.uniform() * 200.0 * rate * seconds).round()).round() / 100.0;
            }
            Motion::Walk => self.value = (self.value + (self.uniform() - 0.5) * 8_192.0 * 64.0).round().max(0.0),
            Motion::Gauge => {
                if self.uniform() < 0.3 {
                    self.value = (self.uniform() * 100.0).round();
                }
            }
            Motion::Constant(_) => {}
        }
        self.value
    }

    /// SplitMix64, 0 to 1.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
