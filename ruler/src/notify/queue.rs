//! Alerts that wait: in the order of their coming, each alert once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use model::SeriesHash;

/// An alert that waits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waiting {
    /// Which alert it is: the hash of its labels.
    pub(crate) alert: SeriesHash,
    /// Until when it is true, in milliseconds; `None` for a resolved one, which stays resolved.
    pub(crate) expires_at: Option<i64>,
    /// The alert as JSON.
    pub(crate) json: Arc<str>,
}

/// A queue of at most `capacity` alerts.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: usize,
    order: VecDeque<SeriesHash>,
    waiting: HashMap<SeriesHash, Waiting>,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), order: VecDeque::new(), waiting: HashMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Adds an alert, or replaces what waits of it; how many were dropped for it, 0 or 1.
    pub(crate) fn push(&mut self, waiting: Waiting) -> u64 {
        if self.waiting.insert(waiting.alert, waiting.clone()).is_some() {
            return 0;
        }
        self.order.push_back(waiting.alert);
        self.trim()
    }

    fn trim(&mut self) -> u64 {
        if self.order.len() <= self.capacity {
            return 0;
        }
        let oldest = self.order.pop_front();
        oldest.map_or(0, |oldest| u64::from(self.waiting.remove(&oldest).is_some()))
    }

    /// Takes the oldest alerts; those that are out of date are forgotten.
    pub(crate) fn take(&mut self, count: usize, now: i64) -> Vec<Waiting> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let Some(alert) = self.order.pop_front() else { break };
            let waiting = self.waiting.remove(&alert);
            taken.extend(waiting.filter(|w| w.expires_at.is_none_or(|at| at > now)));
        }
        taken
    }

    /// Puts back what was taken, before the others; what was said since of the same alert stays.
    pub(crate) fn put_back(&mut self, taken: Vec<Waiting>) {
        for waiting in taken.into_iter().rev() {
            if self.order.len() < self.capacity && !self.waiting.contains_key(&waiting.alert) {
                self.order.push_front(waiting.alert);
                self.waiting.insert(waiting.alert, waiting);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::SeriesHash;

    use super::{Queue, Waiting};

    fn waiting(alert: u128, text: &str, expires_at: Option<i64>) -> Waiting {
        Waiting { alert: SeriesHash(alert), expires_at, json: text.into() }
    }

    fn texts(taken: &[Waiting]) -> Vec<String> {
        taken.iter().map(|w| w.json.to_string()).collect()
    }

    #[test]
    fn later_words_replace_earlier_ones() {
        let mut queue = Queue::new(10);
        queue.push(waiting(1, "firing", Some(100)));
        queue.push(waiting(2, "other", Some(100)));
        queue.push(waiting(1, "resolved", None));
        assert_eq!(queue.len(), 2);
        let taken = queue.take(1, 0);
        assert_eq!(texts(&taken), ["resolved"]);
        queue.push(waiting(1, "firing again", Some(100)));
        queue.put_back(taken);
        assert_eq!(texts(&queue.take(9, 0)), ["other", "firing again"]);
    }

    #[test]
    fn the_oldest_goes_and_the_outdated_is_forgotten() {
        let mut queue = Queue::new(2);
        assert_eq!((1..=3).map(|i| queue.push(waiting(i, &i.to_string(), Some(i as i64 * 10)))).sum::<u64>(), 1);
        assert_eq!(texts(&queue.take(9, 20)), ["3"]);
        assert_eq!(queue.len(), 0);
        let many: Vec<_> = (1..=3).map(|i| waiting(i, "x", None)).collect();
        queue.put_back(many);
        assert_eq!(queue.len(), 2);
    }
}
