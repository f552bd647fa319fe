//! What was sent, what came of it, and whether it is there: each acknowledged sample once and with the same bits, unknown ones perhaps, refused ones and others never.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use anyhow::{Context, bail};
use model::Labels;
use serde_json::Value;

use crate::answers::point;

/// Messages and findings that are kept as examples; beyond this they are only counted.
const EXAMPLES: usize = 20;

/// What came of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Answered 2xx: it must be there.
    Acked,
    /// Refused as a whole (4xx): it must not be there.
    Refused,
    /// No answer, an error of the server, or refused in part: it may be there.
    Unknown,
}

/// Samples by series number and time in milliseconds: the bits of their values.
pub type Samples = HashMap<(usize, i64), u64>;

/// What a writer sent. Grows with every sample; writers bound how many they send.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// Acknowledged samples.
    pub acked: Samples,
    /// Samples that were refused.
    pub refused: Samples,
    /// Samples whose push failed or was cut off: they may or may not be there.
    pub unknown: Samples,
    /// What pushes that failed said; the first few.
    pub failures: Vec<String>,
}

/// What reading back found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Acknowledged samples that are there.
    pub found: usize,
    /// Acknowledged samples that are not there.
    pub lost: usize,
    /// Samples that are there with another value.
    pub wrong: usize,
    /// Samples that are there more than once, or out of order.
    pub doubled: usize,
    /// Refused samples that are there.
    pub refused: usize,
    /// Samples that were never sent.
    pub strange: usize,
    /// The first few of what is not as it must be.
    pub examples: Vec<String>,
}

/// One series of an answer: its number, and times and values as they came.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The series' number.
    pub series: usize,
    /// Times in milliseconds and values.
    pub points: Vec<(i64, f64)>,
}

/// Something that answers instant queries.
pub trait Reader {
    /// The answer's `data`; `time` in seconds.
    fn query(&self, query: &str, time: &str) -> impl Future<Output = anyhow::Result<Value>> + Send;
}

/// The labels of the ledger's series with this number; `run` keeps the series of several writers apart.
#[must_use]
pub fn labels(run: &str, number: usize) -> Labels {
    Labels::from_pairs([("__name__", "ledger_value"), ("run", run), ("series", &number.to_string())])
}

impl Ledger {
    /// Notes what came of a push of samples of one time each.
    pub fn record(&mut self, fate: Fate, samples: impl IntoIterator<Item = (usize, i64, f64)>) {
        let to = match fate {
            Fate::Acked => &mut self.acked,
            Fate::Refused => &mut self.refused,
            Fate::Unknown => &mut self.unknown,
        };
        to.extend(samples.into_iter().map(|(series, t, v)| ((series, t), v.to_bits())));
    }

    /// Keeps what a failed push said.
    pub fn fail(&mut self, what: String) {
        if self.failures.len() < EXAMPLES {
            self.failures.push(what);
        }
    }

    /// Samples that were sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.acked.len() + self.refused.len() + self.unknown.len()
    }

    /// First and last time of what was sent; `None`: nothing was.
    #[must_use]
    pub fn times(&self) -> Option<(i64, i64)> {
        let times = || [&self.acked, &self.refused, &self.unknown].into_iter().flat_map(|samples| samples.keys().map(|(_, t)| *t));
        Some((times().min()?, times().max()?))
    }

    /// Holds what was read against what was sent, at these times.
    #[must_use]
    pub fn check(&self, times: RangeInclusive<i64>, rows: &[Row]) -> Findings {
        let mut findings = Findings::default();
        let mut seen = std::collections::HashSet::new();
        for row in rows {
            let mut previous = i64::MIN;
            for (t, v) in row.points.iter().filter(|(t, _)| times.contains(t)) {
                let (at, bits) = ((row.series, *t), v.to_bits());
                if *t <= previous || !seen.insert(at) {
                    findings.doubled += 1;
                    findings.example(|| format!("series {} at {t} comes after {previous}", row.series));
                    continue;
                }
                previous = *t;
                self.judge(at, bits, &mut findings);
            }
        }
        let due: Vec<_> = self.acked.keys().filter(|(_, t)| times.contains(t)).collect();
        for at in &due {
            if !seen.contains(*at) {
                findings.lost += 1;
                findings.example(|| format!("series {} at {} was acknowledged and is not there", at.0, at.1));
            }
        }
        findings
    }

    fn judge(&self, at: (usize, i64), bits: u64, findings: &mut Findings) {
        let acked = self.acked.get(&at);
        let (count, what) = match acked.or_else(|| self.unknown.get(&at)).or_else(|| self.refused.get(&at)) {
            None => (&mut findings.strange, "was never sent"),
            Some(want) if *want != bits => (&mut findings.wrong, "was sent with another value"),
            Some(_) if acked.is_some() => {
                findings.found += 1;
                return;
            }
            Some(_) if self.unknown.contains_key(&at) => return,
            Some(_) => (&mut findings.refused, "was refused"),
        };
        *count += 1;
        findings.example(|| format!("series {} at {} is {} and {what}", at.0, at.1, f64::from_bits(bits)));
    }

    /// Reads everything back: each acknowledged sample once and bit by bit, unknown ones perhaps, nothing else. The number of acknowledged samples found.
    pub async fn verify(&self, reader: &impl Reader, run: &str) -> anyhow::Result<usize> {
        let (first, last) = self.times().context("nothing was written")?;
        let query = format!("ledger_value{{run=\"{run}\"}}[{}s]", (last - first) / 1_000 + 2);
        let answer = reader.query(&query, &format!("{}.{:03}", last / 1_000, last % 1_000)).await?;
        let findings = self.check(i64::MIN..=i64::MAX, &rows(&answer)?);
        if !findings.is_good() {
            bail!("{findings}");
        }
        Ok(findings.found)
    }
}

impl Findings {
    /// Whether everything is as it must be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.lost + self.wrong + self.doubled + self.refused + self.strange == 0
    }

    /// Adds what another look found.
    pub fn add(&mut self, other: Self) {
        self.found += other.found;
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.doubled += other.doubled;
        self.refused += other.refused;
        self.strange += other.strange;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }
}

impl std::fmt::Display for Findings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { found, lost, wrong, doubled, refused, strange, examples } = self;
        write!(
            f,
            "{found} acknowledged samples found, {lost} lost, {wrong} wrong, {doubled} doubled, {refused} refused but there, {strange} never sent"
        )?;
        examples.iter().try_for_each(|example| write!(f, "\n  {example}"))
    }
}

/// The ledger's series in an answer that is a matrix or a vector.
pub fn rows(data: &Value) -> anyhow::Result<Vec<Row>> {
    let row = |series: &Value| -> anyhow::Result<Row> {
        let number = series["metric"]["series"].as_str().context("a series' label")?.parse()?;
        let points = match series["values"].as_array() {
            Some(values) => values.iter().map(point).collect::<anyhow::Result<Vec<_>>>()?,
            None => vec![point(&series["value"])?],
        };
        Ok(Row { series: number, points })
    };
    data["result"].as_array().context("a matrix or a vector")?.iter().map(row).collect()
}

#[cfg(test)]
mod tests;
