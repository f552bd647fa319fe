//! Whether each role can do its work.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// What every role of the process says about itself. A role that has said nothing yet is not ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    // Held for a map access only.
    roles: Arc<Mutex<BTreeMap<&'static str, State>>>,
}

/// What a role says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not yet, and why.
    Starting(String),
    /// It works.
    Ready,
    /// No more: it stops.
    Stopping,
}

impl Readiness {
    /// Says something about a role.
    pub fn set(&self, role: &'static str, state: State) {
        self.roles.lock().insert(role, state);
    }

    /// The roles that are not ready, with the reason, a line each; empty when all are.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let roles = self.roles.lock();
        if roles.is_empty() {
            return vec!["starting".to_owned()];
        }
        roles
            .iter()
            .filter_map(|(role, state)| match state {
                State::Ready => None,
                State::Starting(why) => Some(format!("{role}: {why}")),
                State::Stopping => Some(format!("{role}: stopping")),
            })
            .collect()
    }

    /// Every role stops.
    pub fn stop_all(&self) {
        for state in self.roles.lock().values_mut() {
            *state = State::Stopping;
        }
    }
}
