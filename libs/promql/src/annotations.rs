//! Warnings and infos that accompany an answer, in Prometheus's words.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};

use model::matcher::quote;

use crate::functions::buckets::Correction;
use crate::functions::{date, number};
use crate::parser::ast::TextSpan;

mod histograms;

pub(crate) use histograms::HistogramOperation;

/// How many different annotations one query keeps of each kind. The HTTP API shows ten; the rest is counted.
const MAX_KEPT: usize = 1_000;

/// The annotations of one query; the same text is kept once. It points where Prometheus points: to the last place that evaluation passes, operands before what they are
/// operands of.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    warnings: Vec<Note>,
    infos: Vec<Note>,
}

#[derive(Debug)]
struct Note {
    text: String,
    span: TextSpan,
    detail: Detail,
}

/// What is merged over all occurrences of a text, and told with it.
#[derive(Debug, Clone, Copy)]
enum Detail {
    None,
    Monotonicity(ForcedMonotonicity),
    Occurrences(u64),
}

/// Where, when and how much buckets had to be corrected; merged over all samples.
#[derive(Debug, Clone, Copy)]
struct ForcedMonotonicity {
    correction: Correction,
    min_t: i64,
    max_t: i64,
    samples: u64,
}

impl Annotations {
    /// Adds a warning. `text` goes without the prefix `PromQL warning: `.
    pub(crate) fn warn(&self, text: &str, span: TextSpan) {
        self.add(true, text, span, Detail::None);
    }

    /// Adds an info. `text` goes without the prefix `PromQL info: `.
    pub(crate) fn info(&self, text: &str, span: TextSpan) {
        self.add(false, text, span, Detail::None);
    }

    /// The warning about a quantile outside 0 to 1.
    pub(crate) fn invalid_quantile(&self, q: f64, span: TextSpan) {
        self.warn(&format!("quantile value should be between 0 and 1, got {}", number::general(q)), span);
    }

    /// The info that buckets did not ascend at time `t`.
    pub(crate) fn forced_monotonicity(&self, metric: &str, correction: Correction, t: i64, span: TextSpan) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity \
                    (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let note = ForcedMonotonicity { correction, min_t: t, max_t: t, samples: 1 };
        self.add(false, &with_metric(text, metric), span, Detail::Monotonicity(note));
    }

    /// The warning that counters, by their start times, cover the same time twice, in so many windows.
    pub(crate) fn start_overlaps(&self, metric: &str, windows: u64, span: TextSpan) {
        let text = format!("sample has start time that overlaps with previous sample timestamp for metric {}", quote(metric));
        self.add(true, &text, span, Detail::Occurrences(windows));
    }

    /// Adds those of `other`, which stand `shift` bytes further back in the expression than they say.
    pub(crate) fn add_all(&self, other: &Self, shift: i64) {
        let other = other.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |position: u32| u32::try_from(i64::from(position).saturating_add(shift)).unwrap_or_default();
        for (warning, notes) in [(true, &other.warnings), (false, &other.infos)] {
            for Note { text, span, detail } in notes {
                self.add(warning, text, TextSpan { start: at(span.start), end: at(span.end) }, *detail);
            }
        }
    }

    fn add(&self, warning: bool, text: &str, span: TextSpan, detail: Detail) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let notes = if warning { &mut kept.warnings } else { &mut kept.infos };
        if let Some(known) = notes.iter_mut().find(|n| n.text == text) {
            known.detail.merge(detail);
            if passed_later(span, known.span) {
                known.span = span;
            }
        } else if notes.len() < MAX_KEPT {
            notes.push(Note { text: text.to_owned(), span, detail });
        }
    }

    /// Warnings and infos as Prometheus's API gives them, with line and column in `query`; without a text, with columns in one line.
    pub(crate) fn render(&self, query: Option<&str>) -> (Vec<String>, Vec<String>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let render = |notes: &[Note], prefix: &str| notes.iter().map(|n| n.render(prefix, query)).collect();
        (render(&kept.warnings, "PromQL warning: "), render(&kept.infos, "PromQL info: "))
    }
}

impl Note {
    fn render(&self, prefix: &str, query: Option<&str>) -> String {
        let details = match self.detail {
            Detail::None | Detail::Occurrences(..=1) => String::new(),
            Detail::Monotonicity(forced) => forced.details(),
            Detail::Occurrences(count) => format!(" ({count} occurrences)"),
        };
        format!("{prefix}{}{details} ({})", self.text, position(self.span, query))
    }
}

impl Detail {
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Monotonicity(mine), Self::Monotonicity(theirs)) => mine.merge(theirs),
            (Self::Occurrences(mine), Self::Occurrences(theirs)) => *mine = mine.saturating_add(theirs),
            _ => {}
        }
    }
}

impl ForcedMonotonicity {
    fn merge(&mut self, other: Self) {
        let (mine, theirs) = (&mut self.correction, other.correction);
        mine.min_bucket = mine.min_bucket.min(theirs.min_bucket);
        mine.max_bucket = mine.max_bucket.max(theirs.max_bucket);
        mine.max_diff = mine.max_diff.max(theirs.max_diff);
        self.min_t = self.min_t.min(other.min_t);
        self.max_t = self.max_t.max(other.max_t);
        self.samples += other.samples;
    }

    fn details(&self) -> String {
        let Correction { min_bucket, max_bucket, max_diff } = self.correction;
        format!(
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            number::general(min_bucket),
            number::general(max_bucket),
            number::general2(max_diff),
            self.samples,
            date::rfc3339(self.min_t / 1000),
            date::rfc3339(self.max_t / 1000),
        )
    }
}

/// Whether evaluation passes `a` after `b`: it stands further right, or around it.
fn passed_later(a: TextSpan, b: TextSpan) -> bool {
    (a.end, Reverse(a.start)) > (b.end, Reverse(b.start))
}

/// Adds the metric to a text, if there is one.
pub(crate) fn with_metric(text: &str, metric: &str) -> String {
    if metric.is_empty() { text.to_owned() } else { format!("{text} for metric name {}", quote(metric)) }
}

/// `line:column` of a span's start, both counted from 1, columns in bytes.
fn position(span: TextSpan, query: Option<&str>) -> String {
    let at = span.start as usize;
    let before = query.and_then(|q| q.as_bytes().get(..at)).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rposition(|b| *b == b'\n').map_or(at + 1, |newline| at - newline);
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_bytes() {
        let span = TextSpan { start: 5, end: 6 };
        assert_eq!(position(span, Some("ab\n\tcd")), "2:3");
        assert_eq!(position(span, Some("abcdef")), "1:6");
        assert_eq!(position(span, None), "1:6");
    }

    #[test]
    fn the_last_place_that_evaluation_passes_is_told() {
        let span = |start, end| TextSpan { start, end };
        // The operands of `(b + c) + d`, and the whole, in any order.
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let notes = Annotations::default();
            order.iter().for_each(|&i| notes.warn("x", [span(1, 6), span(10, 11), span(0, 11)][i]));
            assert_eq!(notes.render(None).0, ["PromQL warning: x (1:1)"]);
        }
        let notes = Annotations::default();
        notes.warn("x", span(9, 12));
        notes.warn("x", span(1, 5));
        assert_eq!(notes.render(None).0, ["PromQL warning: x (1:10)"]);
    }

    #[test]
    fn texts_are_kept_once_and_bounded() {
        let notes = Annotations::default();
        (0..3).for_each(|_| notes.invalid_quantile(2.0, TextSpan::default()));
        (0..2 * MAX_KEPT).for_each(|i| notes.info(&i.to_string(), TextSpan::default()));
        let (warnings, infos) = notes.render(Some("x"));
        assert_eq!(warnings, ["PromQL warning: quantile value should be between 0 and 1, got 2 (1:1)"]);
        assert_eq!(infos.len(), MAX_KEPT);
    }
}
