//! Holding an answer against the ledger.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::is_stale_nan;

use super::{Answer, Fate, Fidelity, Findings, Ledger, Mark, Selection, Series};

impl Fidelity {
    /// Whether a value that has these bits is shown at all.
    fn shows(self, bits: u64) -> bool {
        self == Self::Bits || !is_stale_nan(f64::from_bits(bits))
    }

    /// Whether what is shown may be what was sent.
    fn is_same(self, sent: u64, shown: u64) -> bool {
        let both_nan = || f64::from_bits(sent).is_nan() && f64::from_bits(shown).is_nan();
        sent == shown || (self == Self::Text && self.shows(sent) && both_nan())
    }
}

impl Ledger {
    /// Holds an answer against all that was sent. For answers to questions asked when nothing was on its way any more.
    #[must_use]
    pub fn check(&self, asked: &Selection, answer: &Answer) -> Findings {
        self.check_since(Mark::END, asked, answer)
    }

    /// The same of an answer to a question that was asked at this moment: what was acknowledged later may be there or not.
    #[must_use]
    pub fn check_since(&self, mark: Mark, asked: &Selection, answer: &Answer) -> Findings {
        let mut findings = Findings::default();
        let mut seen: HashMap<Series, HashSet<i64>> = HashMap::new();
        for row in &answer.rows {
            let series = Series { tenant: Arc::clone(&asked.tenant), labels: row.labels.clone() };
            if !series.has(&asked.equal) {
                findings.strange += row.points.len().max(1);
                findings.example(|| format!("{series} was not asked for"));
                continue;
            }
            let times = seen.entry(series.clone()).or_default();
            let mut previous = i64::MIN;
            for (t, v) in row.points.iter().filter(|(t, _)| asked.times.contains(t)) {
                if *t <= previous || !times.insert(*t) {
                    findings.doubled += 1;
                    findings.example(|| format!("{series} at {t} comes after {previous}"));
                    continue;
                }
                previous = *t;
                self.judge(&series, *t, v.to_bits(), answer.fidelity, &mut findings);
            }
        }
        if !answer.marked {
            self.look_for_lost(mark, asked, answer.fidelity, &seen, &mut findings);
        }
        findings
    }

    fn look_for_lost(
        &self,
        mark: Mark,
        asked: &Selection,
        fidelity: Fidelity,
        seen: &HashMap<Series, HashSet<i64>>,
        findings: &mut Findings,
    ) {
        for (series, samples) in self.series.iter().filter(|(series, _)| series.tenant == asked.tenant && series.has(&asked.equal)) {
            let there = seen.get(series);
            let range = (!asked.times.is_empty()).then(|| samples.range(asked.times.clone()));
            let owed = range.into_iter().flatten().filter(|(_, e)| e.fate == Fate::Acked && Mark(e.order) < mark && fidelity.shows(e.bits));
            for (t, _) in owed.filter(|(t, _)| !there.is_some_and(|times| times.contains(t))) {
                findings.lost += 1;
                findings.example(|| format!("{series} at {t} was acknowledged and is not there"));
            }
        }
    }

    fn judge(&self, series: &Series, t: i64, bits: u64, fidelity: Fidelity, findings: &mut Findings) {
        let sent = self.series.get(series).and_then(|samples| samples.get(&t));
        let (count, what) = match sent {
            Some(entry) if fidelity.is_same(entry.bits, bits) => match entry.fate {
                Fate::Acked => {
                    findings.found += 1;
                    return;
                }
                Fate::Sent | Fate::Unknown => return,
                Fate::Refused => (&mut findings.refused, "was refused"),
            },
            _ if self.is_foreign(series, t, bits, fidelity) => (&mut findings.foreign, "was sent by another tenant"),
            Some(_) => (&mut findings.wrong, "was sent with another value"),
            None => (&mut findings.strange, "was never sent"),
        };
        *count += 1;
        findings.example(|| format!("{series} at {t} is {} ({bits:#x}) and {what}", f64::from_bits(bits)));
    }

    /// Whether another tenant sent this to a series of the same labels.
    fn is_foreign(&self, series: &Series, t: i64, bits: u64, fidelity: Fidelity) -> bool {
        let others = self.tenants().into_iter().filter(|tenant| *tenant != series.tenant);
        let mut of_others = others.filter_map(|tenant| self.series.get(&Series { tenant, labels: series.labels.clone() })?.get(&t));
        of_others.any(|entry| fidelity.is_same(entry.bits, bits))
    }
}
