//! `*`, `+`, `?`, `{n,m}`.

use super::{Atom, Step, Translator, syntax};

/// The largest count, and the largest product of nested counts.
const MAX_REPEAT: usize = 1000;

/// `{n}`, `{n,}`, `{n,m}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of the text.
    pub(super) length: usize,
    min: usize,
    /// `None`: no upper bound.
    max: Option<usize>,
}

/// The bounds at the start of the text; `None` if the brace is a plain character.
pub(super) fn bounds(text: &str) -> Option<Bounds> {
    let (inner, _) = text.strip_prefix('{')?.split_once('}')?;
    let (min, max) = match inner.split_once(',') {
        None => (count(inner)?, Some(count(inner)?)),
        Some((min, "")) => (count(min)?, None),
        Some((min, max)) => (count(min)?, Some(count(max)?)),
    };
    Some(Bounds { length: inner.len() + 2, min, max })
}

/// Digits without leading zeros. What is too large for a count is cut to what is still too large.
fn count(digits: &str) -> Option<usize> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    plain.then(|| digits.parse().unwrap_or(usize::MAX))
}

impl<'p> Translator<'p> {
    /// A repetition that began at `before`; the operator was read, not yet the `?` that makes it lazy.
    pub(super) fn repeat(&mut self, before: &'p str, bounds: Option<Bounds>) -> Step {
        if let Some(Bounds { min, max, .. }) = bounds {
            let largest = max.unwrap_or(min).max(min);
            if largest > MAX_REPEAT || max.is_some_and(|max| min > max) {
                return syntax("invalid repeat count", self.read_since(before));
            }
        }
        if self.rest.starts_with('?') {
            self.skip(1);
        }
        if let Some(previous) = self.repeated {
            return syntax("invalid nested repetition operator", self.read_since(previous));
        }
        let Some(atom) = self.current.last else {
            return syntax("missing argument to repetition operator", self.read_since(before));
        };
        let times = bounds.map_or(1, |b| b.max.unwrap_or(b.min));
        let product = if times >= 2 { atom.product * times } else { atom.product };
        if product > MAX_REPEAT {
            return syntax("invalid repeat count", self.read_since(before));
        }
        let text = self.read_since(before);
        self.out.insert_str(self.flags_at.unwrap_or(self.out.len()), text);
        let cost = atom.cost.saturating_mul(times.max(1)).saturating_add(1);
        self.current.cost = self.current.cost.saturating_sub(atom.cost).saturating_add(cost);
        self.current.product = self.current.product.max(product);
        self.current.last = Some(Atom { cost, product });
        Ok(())
    }
}
