//! Alerts that wait: in the order of their coming, each alert once, tenants in turn.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use model::{SeriesHash, TenantId};

/// An alert that waits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waiting {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// Which alert it is: the hash of its labels.
    pub(crate) alert: SeriesHash,
    /// Until when it is true, in milliseconds; `None` for a resolved one, which stays resolved.
    pub(crate) expires_at: Option<i64>,
    /// The alert as JSON.
    pub(crate) json: Arc<str>,
}

/// A tenant's alerts, none of them twice.
#[derive(Debug, Default)]
struct OfTenant {
    order: VecDeque<SeriesHash>,
    waiting: HashMap<SeriesHash, Waiting>,
}

/// A queue of at most `capacity` alerts.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: usize,
    length: usize,
    /// Those with alerts that wait.
    tenants: BTreeMap<TenantId, OfTenant>,
    /// Whose turn was last.
    served: Option<TenantId>,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), length: 0, tenants: BTreeMap::new(), served: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Adds an alert, or replaces what waits of it; how many were dropped for it, 0 or 1.
    pub(crate) fn push(&mut self, waiting: Waiting) -> u64 {
        let alert = waiting.alert;
        let queue = self.tenants.entry(waiting.tenant.clone()).or_default();
        if queue.waiting.insert(alert, waiting).is_some() {
            return 0;
        }
        queue.order.push_back(alert);
        self.length += 1;
        if self.length <= self.capacity {
            return 0;
        }
        self.drop_oldest();
        1
    }

    /// Drops the oldest alert of the tenant that has the most, so that the flood of one is not the loss of others.
    fn drop_oldest(&mut self) {
        let Some(tenant) = self.tenants.iter().max_by_key(|(_, queue)| queue.order.len()).map(|(tenant, _)| tenant.clone()) else { return };
        self.pop(&tenant);
    }

    fn pop(&mut self, tenant: &TenantId) -> Option<Waiting> {
        let queue = self.tenants.get_mut(tenant)?;
        let oldest = queue.order.pop_front();
        let waiting = oldest.and_then(|alert| queue.waiting.remove(&alert));
        self.length -= usize::from(oldest.is_some());
        if queue.order.is_empty() {
            self.tenants.remove(tenant);
        }
        waiting
    }

    /// Takes the oldest alerts of the tenant whose turn it is; those that are out of date are forgotten. Empty only if nothing waits.
    pub(crate) fn take(&mut self, count: usize, now: i64) -> Vec<Waiting> {
        let mut taken = Vec::new();
        while taken.is_empty() {
            let Some(tenant) = self.next_tenant() else { break };
            self.served = Some(tenant.clone());
            while taken.len() < count && self.tenants.contains_key(&tenant) {
                taken.extend(self.pop(&tenant).filter(|w| w.expires_at.is_none_or(|at| at > now)));
            }
        }
        taken
    }

    /// The one after who was served last.
    fn next_tenant(&self) -> Option<TenantId> {
        let after = self.served.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut later = self.tenants.range((after, Bound::Unbounded));
        later.next().or_else(|| self.tenants.first_key_value()).map(|(tenant, _)| tenant.clone())
    }

    /// Puts back what was taken, before the others; what was said since of the same alert stays.
    pub(crate) fn put_back(&mut self, taken: Vec<Waiting>) {
        for waiting in taken.into_iter().rev() {
            let known = self.tenants.get(&waiting.tenant).is_some_and(|queue| queue.waiting.contains_key(&waiting.alert));
            if self.length < self.capacity && !known {
                let queue = self.tenants.entry(waiting.tenant.clone()).or_default();
                queue.order.push_front(waiting.alert);
                queue.waiting.insert(waiting.alert, waiting);
                self.length += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{SeriesHash, TenantId};

    use super::{Queue, Waiting};

    fn of(tenant: &str, alert: u128, text: &str, expires_at: Option<i64>) -> Waiting {
        Waiting { tenant: TenantId::new(tenant).expect("a tenant"), alert: SeriesHash(alert), expires_at, json: text.into() }
    }

    fn waiting(alert: u128, text: &str, expires_at: Option<i64>) -> Waiting {
        of("t", alert, text, expires_at)
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

    #[test]
    fn tenants_take_turns_and_a_flood_drowns_its_own() {
        let mut queue = Queue::new(4);
        queue.push(of("quiet", 1, "q1", None));
        let dropped: u64 = (1..=5).map(|i| queue.push(of("loud", i, &format!("l{i}"), None))).sum();
        assert_eq!((dropped, queue.len()), (2, 4));
        assert_eq!(texts(&queue.take(2, 0)), ["l3", "l4"]);
        assert_eq!(texts(&queue.take(2, 0)), ["q1"]);
        assert_eq!(texts(&queue.take(2, 0)), ["l5"]);
        assert_eq!(queue.take(2, 0), []);
        // The same labels of two tenants are two alerts.
        queue.push(of("a", 7, "a", Some(1)));
        queue.push(of("b", 7, "b", None));
        assert_eq!(texts(&queue.take(2, 5)), ["b"], "what is out of date does not end the round");
        assert_eq!(queue.len(), 0);
    }
}
