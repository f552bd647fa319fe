//! Chance, from one number. It belongs to the thread because openraft asks for a generator without being given one; a schedule has one thread.

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Begins anew.
pub(crate) fn seed(seed: u64) {
    STATE.set(seed);
}

/// The next number: SplitMix64.
pub(crate) fn next() -> u64 {
    let state = STATE.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    STATE.set(state);
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Below `n`, which is at least 1.
pub(crate) fn below(n: u64) -> u64 {
    next() % n
}

pub(crate) fn one_in(n: u64) -> bool {
    below(n) == 0
}

pub(crate) fn pick<T: Copy>(of: &[T]) -> Option<T> {
    (!of.is_empty()).then(|| of[below(of.len() as u64) as usize])
}

/// Between these, in milliseconds.
pub(crate) fn ms(from: u64, below_: u64) -> Duration {
    Duration::from_millis(from + below(below_ - from))
}

/// The generator that openraft asks for.
#[derive(Debug)]
pub(crate) struct Chance;

impl rand::RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        next() as u32
    }

    fn next_u64(&mut self) -> u64 {
        next()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&next().to_le_bytes()[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
