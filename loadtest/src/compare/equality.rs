//! Whether two servers answer the same. Pure.

use anyhow::Context;
use serde_json::Value;

use super::measure::{Answer, Answers, Plan};
use crate::answers::{Series, same_series, series};
use crate::server::Kind;

/// Differences that are kept.
const EXAMPLES: usize = 50;
/// The range of every `rate` and `increase` in the list, and one interval between samples.
const WINDOW_MS: i64 = 315_000;

/// How a server's answers to the list compare with Plimsoll's.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) shape: &'static str,
    pub(super) kind: Kind,
    /// Asked beside the samples' times, where everything must be equal.
    pub(super) beside: Count,
    /// Asked at a sample's time, where 2.x ranges hold one sample more: left-closed there, left-open in 3.x.
    pub(super) on_border: Count,
}

/// A list of answers compared.
#[derive(Debug, Clone, Default)]
pub(super) struct Count {
    pub(super) equal: usize,
    /// Points in those that are equal.
    pub(super) points: usize,
    /// Points that are not compared: of `rate` and `increase` where the data begins within the range. 2.51 changed how far it is extrapolated there.
    pub(super) left_out: usize,
    /// Queries whose answers differ, with the first difference.
    pub(super) different: Vec<String>,
    /// Queries that one of the two did not answer.
    pub(super) unanswered: Vec<String>,
}

impl Verdict {
    /// Prometheus must answer the same; others are only counted.
    pub(super) fn is_good(&self) -> bool {
        self.kind != Kind::Prometheus || (self.beside.different.is_empty() && self.beside.unanswered.is_empty())
    }
}

pub(super) fn compare(shape: &'static str, kind: Kind, plan: &Plan, ours: &Answers, theirs: &Answers) -> Verdict {
    let full_from = plan.last_t - plan.load.milliseconds() + WINDOW_MS;
    Verdict {
        shape,
        kind,
        beside: count(&ours.beside, &theirs.beside, full_from),
        on_border: count(&ours.on_border, &theirs.on_border, full_from),
    }
}

fn count(ours: &[Answer], theirs: &[Answer], full_from: i64) -> Count {
    let mut count = Count::default();
    for (ours, theirs) in ours.iter().zip(theirs) {
        let bodies = match (&ours.body, &theirs.body) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(error), _) => {
                count.unanswered.push(format!("{}: Plimsoll: {error}", ours.what));
                continue;
            }
            (_, Err(error)) => {
                count.unanswered.push(format!("{}: {error}", ours.what));
                continue;
            }
        };
        let from = ours.expr.filter(|expr| expr.contains("rate(") || expr.contains("increase(")).map(|_| full_from);
        match same(bodies.0, bodies.1, ours.expr.is_some(), from) {
            Ok((points, left_out)) => {
                count.equal += 1;
                count.points += points;
                count.left_out += left_out;
            }
            Err(difference) if count.different.len() < EXAMPLES => count.different.push(format!("{}: {difference:#}", ours.what)),
            Err(_) => {}
        }
    }
    count
}

/// Equal points, and points before `from`, which are left out.
fn same(ours: &[u8], theirs: &[u8], query: bool, from: Option<i64>) -> anyhow::Result<(usize, usize)> {
    let data = |body: &[u8]| -> anyhow::Result<Value> { Ok(serde_json::from_slice::<Value>(body)?["data"].take()) };
    let (ours, theirs) = (data(ours)?, data(theirs)?);
    if !query {
        let (ours, theirs) = (sorted(&ours)?, sorted(&theirs)?);
        anyhow::ensure!(ours == theirs, "{} entries, the other has {}", ours.len(), theirs.len());
        return Ok((ours.len(), 0));
    }
    let (mut ours, mut theirs) = (series(&ours)?, series(&theirs)?);
    let mut left_out = 0;
    // An instant answer is at the end of the data.
    if let Some(from) = from {
        left_out = cut(&mut ours, from);
        cut(&mut theirs, from);
    }
    Ok((same_series(&ours, &theirs)?, left_out))
}

/// Removes points before `from`, and series that have no others.
fn cut(all: &mut Series, from: i64) -> usize {
    let mut removed = 0;
    all.retain(|_, points| {
        let before = points.len();
        points.retain(|(t, _)| *t >= from);
        removed += before - points.len();
        !points.is_empty()
    });
    removed
}

/// Lists of names and of label sets come in any order.
fn sorted(data: &Value) -> anyhow::Result<Vec<String>> {
    let mut all: Vec<String> = data.as_array().context("a list")?.iter().map(Value::to_string).collect();
    all.sort_unstable();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Answer, count, same};

    fn matrix(points: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"a":"b"}},"values":{points}}}]}}}}"#)
    }

    #[test]
    fn points_before_the_first_full_window_are_left_out() {
        let (ours, theirs) = (matrix(r#"[[1,"7"],[2,"8"],[3,"9"]]"#), matrix(r#"[[1,"70"],[2,"8"],[3,"9"]]"#));
        assert_eq!(same(ours.as_bytes(), theirs.as_bytes(), true, Some(2_000)).unwrap(), (2, 1));
        assert!(same(ours.as_bytes(), theirs.as_bytes(), true, None).is_err());
    }

    #[test]
    fn metadata_comes_in_any_order() {
        let (ours, theirs) = (br#"{"data":["a","b"]}"#, br#"{"data":["b","a"]}"#);
        assert_eq!(same(ours, theirs, false, None).unwrap(), (2, 0));
        assert!(same(ours, br#"{"data":["b"]}"#, false, None).is_err());
    }

    #[test]
    fn everything_is_counted_once() {
        let answer = |body: Result<String, String>| Answer { what: "q".to_owned(), expr: Some("a"), body: body.map(Bytes::from) };
        let one = || matrix(r#"[[1,"7"]]"#);
        let ours = [answer(Ok(one())), answer(Ok(one())), answer(Ok(one()))];
        let theirs = [answer(Ok(one())), answer(Ok(matrix(r#"[[1,"8"]]"#))), answer(Err("too much".to_owned()))];
        let count = count(&ours, &theirs, 0);
        assert_eq!((count.equal, count.points, count.different.len(), count.unanswered.len()), (1, 1, 1, 1));
        assert!(count.different[0].contains("the other says 8"), "{}", count.different[0]);
    }
}
