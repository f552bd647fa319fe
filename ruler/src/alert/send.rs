//! What Alertmanagers are told, and when again.

use model::Labels;

use super::{Alert, AlertState, Alerts};

/// An alert as it is told. Times are milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notification {
    pub(crate) labels: Labels,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) starts_at: Option<i64>,
    pub(crate) ends_at: Option<i64>,
    pub(crate) resolved: bool,
}

/// How far ahead an alert is declared to be firing: two evaluations or two deliveries may fail.
fn resend_after(interval_ms: i64, resend_delay_ms: i64) -> i64 {
    interval_ms.max(resend_delay_ms).saturating_mul(4)
}

impl Alerts {
    /// The alerts to be told at `ts`; they count as told.
    pub(crate) fn due(&mut self, ts: i64, interval_ms: i64, resend_delay_ms: i64) -> Vec<Notification> {
        let mut due = Vec::new();
        for alert in self.active.values_mut().filter(|alert| alert.is_due(ts, resend_delay_ms)) {
            alert.last_sent_at = Some(ts);
            alert.valid_until = Some(ts.saturating_add(resend_after(interval_ms, resend_delay_ms)));
            due.push(Notification {
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at: alert.fired_at,
                ends_at: alert.resolved_at.or(alert.valid_until),
                resolved: alert.resolved_at.is_some(),
            });
        }
        due
    }
}

impl Alert {
    fn is_due(&self, ts: i64, resend_delay_ms: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(last) = self.last_sent_at else { return true };
        self.resolved_at.is_some_and(|at| at > last) || last.saturating_add(resend_delay_ms) < ts
    }
}
