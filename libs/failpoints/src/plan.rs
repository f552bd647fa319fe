//! What is to happen at which failpoint: `name=action;name=action`. An action is `off`, `error`, `delay(MILLISECONDS)` or `abort`; `N*action` is for the first N times, and
//! `->` goes on with the next one after these: `wal.append=3*off->1*error->off`. The grammar is that of the `fail` crate.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::Failpoint;

/// The longest delay: a mistyped number shall not look like a process that hangs for ever.
const MAX_DELAY: Duration = Duration::from_secs(600);

/// What happens when a failpoint is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Off,
    Error,
    Delay(Duration),
    Abort,
}

/// What is to happen at which failpoint.
#[derive(Debug, Default)]
pub struct Plan(HashMap<Failpoint, Vec<Step>>);

#[derive(Debug)]
struct Step {
    action: Action,
    /// How many times more; `None`: always.
    left: Option<AtomicU32>,
}

/// Why a text is not a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It has no `=`.
    #[error("{0:?} is not name=action")]
    Shape(String),
    /// No failpoint has this name.
    #[error("there is no failpoint {0:?}")]
    Name(String),
    /// It is named twice.
    #[error("failpoint {0} is there twice")]
    Twice(&'static str),
    /// Not an action.
    #[error("{0:?} is not an action: off, error, delay(milliseconds, 600000 at most) or abort, with N* before it for N times")]
    Action(String),
}

impl Plan {
    /// Whether nothing is to happen anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What happens now.
    pub(crate) fn next(&self, point: Failpoint) -> Action {
        let steps = self.0.get(&point).map(Vec::as_slice).unwrap_or_default();
        steps.iter().find(|step| step.take()).map_or(Action::Off, |step| step.action)
    }
}

impl Step {
    /// Whether it is its turn.
    fn take(&self) -> bool {
        let Some(left) = &self.left else { return true };
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

impl FromStr for Plan {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut plan = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, actions) = part.split_once('=').ok_or_else(|| ParseError::Shape(part.to_owned()))?;
            let known = Failpoint::ALL.iter().find(|point| point.as_str() == name.trim());
            let point = *known.ok_or_else(|| ParseError::Name(name.trim().to_owned()))?;
            let steps = actions.split("->").map(|text| step(text.trim())).collect::<Result<_, _>>()?;
            if plan.0.insert(point, steps).is_some() {
                return Err(ParseError::Twice(point.as_str()));
            }
        }
        Ok(plan)
    }
}

fn step(text: &str) -> Result<Step, ParseError> {
    let parsed = match text.split_once('*') {
        None => action(text).map(|action| Step { action, left: None }),
        Some((times, rest)) => times.parse().ok().zip(action(rest)).map(|(n, action)| Step { action, left: Some(AtomicU32::new(n)) }),
    };
    parsed.ok_or_else(|| ParseError::Action(text.to_owned()))
}

fn action(text: &str) -> Option<Action> {
    match text {
        "off" => Some(Action::Off),
        "error" => Some(Action::Error),
        "abort" => Some(Action::Abort),
        _ => {
            let delay = Duration::from_millis(text.strip_prefix("delay(")?.strip_suffix(')')?.parse().ok()?);
            (delay <= MAX_DELAY).then_some(Action::Delay(delay))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str, point: Failpoint, count: usize) -> Vec<Action> {
        let plan: Plan = text.parse().unwrap();
        (0..count).map(|_| plan.next(point)).collect()
    }

    #[test]
    fn actions_take_turns() {
        use Action::{Abort, Delay, Error, Off};
        let text = " wal.append = 2*off -> 1*error->abort ; ship.meta=1*delay(250);rw.ack=error";
        assert_eq!(actions(text, Failpoint::WalAppend, 5), [Off, Off, Error, Abort, Abort]);
        assert_eq!(actions(text, Failpoint::ShipMeta, 2), [Delay(Duration::from_millis(250)), Off]);
        assert_eq!(actions(text, Failpoint::RwAck, 2), [Error, Error]);
        assert_eq!(actions(text, Failpoint::WalFsync, 1), [Off]);
        assert!("".parse::<Plan>().unwrap().is_empty() && " ; ".parse::<Plan>().unwrap().is_empty());
    }

    #[test]
    fn what_is_not_a_plan_is_told() {
        let error = |text: &str| text.parse::<Plan>().unwrap_err();
        assert_eq!(error("wal.append"), ParseError::Shape("wal.append".to_owned()));
        assert_eq!(error("wal=off"), ParseError::Name("wal".to_owned()));
        assert_eq!(error("rw.ack=off;rw.ack=off"), ParseError::Twice("rw.ack"));
        for text in ["", "panic", "x*error", "-1*error", "4294967296*off", "delay", "delay()", "delay(x)", "delay(600001)", "error->", "2*"]
        {
            assert!(matches!(error(&format!("rw.ack={text}")), ParseError::Action(_)), "{text}");
        }
    }

    #[test]
    fn names_are_told_apart() {
        let names: std::collections::BTreeSet<_> = Failpoint::ALL.iter().map(|point| point.as_str()).collect();
        assert_eq!(names.len(), Failpoint::ALL.len());
    }
}
