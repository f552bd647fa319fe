//! Whose query computes next.
//!
//! A querier has a number of places. A tenant takes at most its share of them, so that a place is left for others; who waits does so in a line per tenant, and the lines
//! are served in turn. When no more may wait, the newest query of the longest line makes room for a tenant that has fewer waiting. So neither many queries nor
//! long ones of one tenant keep another's from their turn for longer than one query takes.
//!
//! The decisions are pure (`lines`); here are the waiting futures.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use parking_lot::Mutex;
use promql::QueryError;
use tokio::sync::oneshot;

mod lines;

use lines::{Entry, Lines, Ticket};

/// The places and the lines. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    places: usize,
    max_waiting: usize,
    /// Held for a decision, never while a sender is told of it.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lines: Lines,
    waiters: HashMap<Ticket, oneshot::Sender<Result<Place, QueryError>>>,
    tickets: Ticket,
}

/// The right to compute. Given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Admission,
    tenant: TenantId,
}

/// A place in a line. Given up on drop.
struct Waiting<'a> {
    admission: &'a Admission,
    tenant: &'a TenantId,
    ticket: Ticket,
}

impl Admission {
    pub(crate) fn new(places: usize, max_waiting: usize) -> Self {
        let state = State { lines: Lines::new(places, max_waiting), waiters: HashMap::new(), tickets: 0 };
        Self { shared: Arc::new(Shared { places, max_waiting, state: Mutex::new(state) }) }
    }

    /// Waits for a place, at most `within`. `share` is the most places that the tenant may have; 0 is all but one.
    pub(crate) async fn admit(&self, tenant: &TenantId, share: usize, within: Duration) -> Result<Place, QueryError> {
        let (ticket, told) = {
            let mut state = self.shared.state.lock();
            state.tickets += 1;
            let ticket = state.tickets;
            let put_out = match state.lines.enter(tenant, share, ticket) {
                Entry::Place => return Ok(self.place(tenant)),
                Entry::Full => return Err(self.full()),
                Entry::Line { put_out } => put_out,
            };
            let (tell, told) = oneshot::channel();
            state.waiters.insert(ticket, tell);
            let put_out = put_out.and_then(|ticket| state.waiters.remove(&ticket));
            drop(state);
            if let Some(waiter) = put_out {
                // One that has gone away meanwhile need not be told.
                let _ = waiter.send(Err(self.full()));
            }
            (ticket, told)
        };
        let _waiting = Waiting { admission: self, tenant, ticket };
        match tokio::time::timeout(within, told).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => Err(QueryError::Canceled("query queue")),
            Err(_) => Err(QueryError::Timeout("query queue")),
        }
    }

    fn place(&self, tenant: &TenantId) -> Place {
        Place { admission: self.clone(), tenant: tenant.clone() }
    }

    fn full(&self) -> QueryError {
        let Shared { places, max_waiting, .. } = *self.shared;
        QueryError::TooManyRequests(format!(
            "too many queries: {places} compute (limit: querier.max_concurrent, or the tenant's max_concurrent_queries), and as many wait as may \
             (limit: querier.max_queued = {max_waiting})"
        ))
    }

    /// Gives free places to those whose turn it is.
    fn serve(&self) {
        loop {
            let mut state = self.shared.state.lock();
            let Some((tenant, ticket)) = state.lines.call_next() else { return };
            let waiter = state.waiters.remove(&ticket);
            drop(state);
            let place = self.place(&tenant);
            if let Some(waiter) = waiter {
                // One that has gone away drops the place, which goes to the next.
                let _ = waiter.send(Ok(place));
            }
        }
    }

    /// Queries that wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.shared.state.lock().waiters.len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.shared.state.lock().lines.leave(&self.tenant);
        self.admission.serve();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.admission.shared.state.lock();
        if state.waiters.remove(&self.ticket).is_some() {
            state.lines.give_up(self.tenant, self.ticket);
        }
    }
}

#[cfg(test)]
mod tests;
