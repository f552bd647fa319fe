//! The places and the lines, without futures.

use std::collections::{HashMap, VecDeque};

use model::TenantId;

/// A query that waits.
pub(super) type Ticket = u64;

/// What becomes of a query that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It computes.
    Place,
    /// It waits; of another tenant one that waited is put out for it.
    Line { put_out: Option<Ticket> },
    /// Nobody else may wait.
    Full,
}

#[derive(Debug)]
pub(super) struct Lines {
    places: usize,
    max_waiting: usize,
    taken: usize,
    waiting: usize,
    /// Tenants that compute or wait.
    lines: HashMap<TenantId, Line>,
    /// Tenants that wait, whose turn is next first.
    turns: VecDeque<TenantId>,
}

#[derive(Debug, Default)]
struct Line {
    taken: usize,
    /// The most that it may take.
    share: usize,
    waiting: VecDeque<Ticket>,
}

impl Line {
    fn may_take(&self) -> bool {
        self.taken < self.share
    }
}

impl Lines {
    pub(super) fn new(places: usize, max_waiting: usize) -> Self {
        Self { places: places.max(1), max_waiting, taken: 0, waiting: 0, lines: HashMap::new(), turns: VecDeque::new() }
    }

    /// A query comes. `share` is the most places that the tenant may have from now on; 0 is all but one.
    pub(super) fn enter(&mut self, tenant: &TenantId, share: usize, ticket: Ticket) -> Entry {
        let share = if share == 0 { self.places.saturating_sub(1).max(1) } else { share };
        let longest = self.longest();
        let line = self.lines.entry(tenant.clone()).or_default();
        line.share = share;
        // A free place beside a line means that those in it have their share.
        if self.taken < self.places && line.may_take() && line.waiting.is_empty() {
            line.taken += 1;
            self.taken += 1;
            return Entry::Place;
        }
        let own = line.waiting.len();
        let put_out = if self.waiting < self.max_waiting {
            None
        } else {
            match longest.filter(|(other, len)| other != tenant && *len > own + 1).and_then(|(other, _)| self.put_out(&other)) {
                Some(ticket) => Some(ticket),
                None => {
                    self.forget_if_idle(tenant);
                    return Entry::Full;
                }
            }
        };
        if let Some(line) = self.lines.get_mut(tenant) {
            line.waiting.push_back(ticket);
            self.waiting += 1;
            if own == 0 {
                self.turns.push_back(tenant.clone());
            }
        }
        Entry::Line { put_out }
    }

    /// A query has ended.
    pub(super) fn leave(&mut self, tenant: &TenantId) {
        if let Some(line) = self.lines.get_mut(tenant) {
            line.taken = line.taken.saturating_sub(1);
            self.taken = self.taken.saturating_sub(1);
        }
        self.forget_if_idle(tenant);
    }

    /// A query does not wait any more.
    pub(super) fn give_up(&mut self, tenant: &TenantId, ticket: Ticket) {
        let Some(line) = self.lines.get_mut(tenant) else { return };
        let before = line.waiting.len();
        line.waiting.retain(|t| *t != ticket);
        let emptied = line.waiting.is_empty();
        self.waiting -= before - line.waiting.len();
        if emptied {
            self.turns.retain(|t| t != tenant);
        }
        self.forget_if_idle(tenant);
    }

    /// The query that computes next, if there is a place for one; it has the place from now on.
    pub(super) fn call_next(&mut self) -> Option<(TenantId, Ticket)> {
        if self.taken >= self.places {
            return None;
        }
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let Some(line) = self.lines.get_mut(&tenant) else { continue };
            let ticket = if line.may_take() { line.waiting.pop_front() } else { None };
            if !line.waiting.is_empty() {
                self.turns.push_back(tenant.clone());
            }
            if let Some(ticket) = ticket {
                line.taken += 1;
                self.taken += 1;
                self.waiting -= 1;
                return Some((tenant, ticket));
            }
        }
        None
    }

    fn longest(&self) -> Option<(TenantId, usize)> {
        // Only looked for when it matters: it walks all lines.
        if self.waiting < self.max_waiting {
            return None;
        }
        // Of lines as long as each other the one that somebody joined last.
        let longest = self.lines.iter().max_by_key(|(_, line)| (line.waiting.len(), line.waiting.back().copied()))?;
        Some((longest.0.clone(), longest.1.waiting.len()))
    }

    /// Takes the newest out of a line.
    fn put_out(&mut self, tenant: &TenantId) -> Option<Ticket> {
        let ticket = self.lines.get_mut(tenant)?.waiting.pop_back()?;
        self.waiting -= 1;
        Some(ticket)
    }

    fn forget_if_idle(&mut self, tenant: &TenantId) {
        if self.lines.get(tenant).is_some_and(|line| line.taken == 0 && line.waiting.is_empty()) {
            self.lines.remove(tenant);
        }
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        assert!(self.taken <= self.places && self.waiting <= self.max_waiting);
        assert_eq!(self.taken, self.lines.values().map(|line| line.taken).sum::<usize>());
        assert_eq!(self.waiting, self.lines.values().map(|line| line.waiting.len()).sum::<usize>());
        let waiting = self.lines.iter().filter(|(_, line)| !line.waiting.is_empty());
        assert!(waiting.clone().all(|(tenant, _)| self.turns.iter().filter(|t| *t == tenant).count() == 1), "each line has one turn");
        assert_eq!(waiting.count(), self.turns.len());
        assert!(self.lines.values().all(|line| line.taken > 0 || !line.waiting.is_empty()), "idle tenants are forgotten");
    }
}
