//! Queries over a window of what was sent, and what they must answer. Pure.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use anyhow::Context;
use serde_json::Value;

use super::curve::Curve;
use super::sent::Window;
use crate::answers;
use crate::ledger::{Answer, Fate, Findings, Ledger, Selection, Series, labels};
use crate::query::encoded;

/// A way to read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// The samples as they are stored: finds what is lost, doubled, or was never sent.
    Raw,
    /// The newest acknowledged time.
    Instant,
    /// The series step by step.
    Range,
    /// An aggregation over all series, step by step: `sum`, `min`, `max`, `count`.
    Aggregate(&'static str),
    /// The number of samples in the window.
    Count,
}

pub(super) const CHECKS: [Check; 8] = [
    Check::Raw,
    Check::Instant,
    Check::Range,
    Check::Aggregate("sum"),
    Check::Aggregate("min"),
    Check::Aggregate("max"),
    Check::Aggregate("count"),
    Check::Count,
];

impl Check {
    /// What comes after `/api/v1/`; `None` if the window has nothing that this could check.
    pub(super) fn call(self, run: &str, curve: Curve, window: &Window) -> Option<String> {
        let (first, last) = (*window.0.keys().next()?, *window.0.keys().next_back()?);
        let selector = format!("ledger_value{{run=\"{run}\"}}");
        // Half an interval beside the samples: it does not matter whether ranges are open or closed.
        let half = curve.interval_ms / 2;
        let instant = |query: &str, t: i64| format!("query?query={}&time={}", encoded(query), seconds(t));
        let range = |query: &str| {
            let step = seconds(curve.interval_ms);
            format!("query_range?query={}&start={}&end={}&step={step}", encoded(query), seconds(first), seconds(last))
        };
        let length = last - first + curve.interval_ms;
        match self {
            Self::Raw => Some(instant(&format!("{selector}[{length}ms]"), last + half)),
            Self::Count if window.0.values().any(|fate| *fate == Fate::Unknown) => None,
            Self::Count => Some(instant(&format!("sum(count_over_time({selector}[{length}ms]))"), last + half)),
            Self::Instant => newest_acked(window).map(|t| instant(&selector, t)),
            Self::Range => newest_acked(window).map(|_| range(&selector)),
            Self::Aggregate(by) => newest_acked(window).map(|_| range(&format!("{by}({selector})"))),
        }
    }

    /// Holds an answer's `data` against what was sent.
    pub(super) fn judge(self, run: &str, curve: Curve, window: &Window, data: &Value) -> anyhow::Result<Findings> {
        match self {
            Self::Raw => Ok(ledger(run, curve, window).check(&asked(run, i64::MIN..=i64::MAX), &Answer::text(data, false)?)),
            Self::Instant => {
                let t = newest_acked(window).context("nothing was acknowledged")?;
                Ok(ledger(run, curve, window).check(&asked(run, t..=t), &Answer::text(data, false)?))
            }
            Self::Range => {
                // Where nothing was acknowledged, the sample before may show.
                let acked = Window(window.0.iter().filter(|(_, fate)| **fate == Fate::Acked).map(|(t, fate)| (*t, *fate)).collect());
                let mut answer = Answer::text(data, false)?;
                answer.rows.iter_mut().for_each(|row| row.points.retain(|(t, _)| acked.0.contains_key(t)));
                Ok(ledger(run, curve, &acked).check(&asked(run, i64::MIN..=i64::MAX), &answer))
            }
            Self::Aggregate(by) => aggregated(by, curve, window, data),
            Self::Count => {
                let want = acked(window).count() * curve.series;
                let got = single(data)?.into_values().next().unwrap_or(0.0);
                let mut findings = Findings::default();
                compare(&mut findings, "count_over_time", *window.0.keys().next_back().context("a window")?, Some(got), want as f64);
                Ok(findings)
            }
        }
    }
}

fn aggregated(by: &str, curve: Curve, window: &Window, data: &Value) -> anyhow::Result<Findings> {
    let points = single(data)?;
    let mut findings = Findings::default();
    for t in acked(window) {
        let values = curve.values(t);
        let want = match by {
            "sum" => values.sum(),
            "min" => values.fold(f64::INFINITY, f64::min),
            "max" => values.fold(f64::NEG_INFINITY, f64::max),
            _ => curve.series as f64,
        };
        compare(&mut findings, by, t, points.get(&t).copied(), want);
    }
    Ok(findings)
}

fn compare(findings: &mut Findings, what: &str, t: i64, got: Option<f64>, want: f64) {
    if got != Some(want) {
        findings.wrong += 1;
        findings.examples.push(format!("{what} at {t} is {got:?}, but must be {want}"));
    }
}

/// The points of a result of one series, or of none.
fn single(data: &Value) -> anyhow::Result<BTreeMap<i64, f64>> {
    let all = answers::series(data)?;
    anyhow::ensure!(all.len() <= 1, "an aggregation has {} series", all.len());
    Ok(all.into_values().flatten().collect())
}

fn acked(window: &Window) -> impl Iterator<Item = i64> {
    window.0.iter().filter(|(_, fate)| **fate == Fate::Acked).map(|(t, _)| *t)
}

fn newest_acked(window: &Window) -> Option<i64> {
    acked(window).last()
}

fn ledger(run: &str, curve: Curve, window: &Window) -> Ledger {
    let mut ledger = Ledger::default();
    let all: Vec<Series> = (0..curve.series).map(|n| Series::of_nobody(labels(run, n))).collect();
    for (t, fate) in &window.0 {
        for (series, v) in all.iter().zip(curve.values(*t)) {
            ledger.record(*fate, series, [(*t, v)]);
        }
    }
    ledger
}

/// The run's series. Whose they are does not matter: there is one tenant in a run.
fn asked(run: &str, times: RangeInclusive<i64>) -> Selection {
    Selection { equal: vec![("run".to_owned(), run.to_owned())], ..Selection::metric("", "ledger_value", times) }
}

/// Milliseconds as seconds with decimals.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests;
