//! One group's task.

use std::time::Duration;

use tokio::sync::watch;

use super::Shared;
use crate::evaluate::state::GroupState;

/// After how many evaluations the state before a restart is looked up: in the first, series that alerts depend on may not be there yet.
const EVALUATIONS_BEFORE_RESTORE: u64 = 2;

/// Evaluates a group at its slots until it is stopped or the process ends; gives its state. `number` is that of the task.
pub(super) async fn group(shared: Shared, number: u64, mut state: GroupState, mut stop: watch::Receiver<bool>) -> GroupState {
    let slots = state.slots();
    let now = || shared.evaluator.clock.now_ms();
    let mut last = slots.at_or_before(now());
    let restores = state.wants_restoration();
    let mut evaluations = 0_u64;
    loop {
        let (next, missed) = slots.next(last, now());
        if !wait_until(&shared, next, &mut stop).await {
            return state;
        }
        let turn = tokio::select! {
            turn = shared.turns.take(&shared.evaluator.tenant) => turn,
            _ = stop.wait_for(|stop| *stop) => return state,
        };
        last = next;
        evaluate(&shared, &mut state, next).await;
        drop(turn);
        shared.metrics.iterations_missed.inc_by(missed);
        evaluations += 1;
        if restores && evaluations == EVALUATIONS_BEFORE_RESTORE {
            shared.evaluator.restore(&mut state, now(), shared.grace).await;
        }
        shared.views.publish(&state, number);
    }
}

async fn evaluate(shared: &Shared, state: &mut GroupState, ts: i64) {
    let done = shared.evaluator.evaluate(state, ts, &|rule, told| shared.notifier.tell(&shared.evaluator.tenant, rule, &told)).await;
    let metrics = &shared.metrics;
    metrics.iterations.inc();
    metrics.evaluations.inc_by(done.rules);
    metrics.evaluation_failures.inc_by(done.failures);
    metrics.samples.inc_by(done.samples);
    metrics.iteration_seconds.observe(state.seconds);
}

/// Whether the time has come; `false` if the group is stopped first.
async fn wait_until(shared: &Shared, at: i64, stop: &mut watch::Receiver<bool>) -> bool {
    let mut shutdown = shared.shutdown.clone();
    loop {
        let left = at.saturating_sub(shared.evaluator.clock.now_ms());
        if *stop.borrow() || shutdown.is_requested() {
            return false;
        }
        if left <= 0 {
            return true;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(left.unsigned_abs())) => {}
            _ = stop.wait_for(|stop| *stop) => return false,
            () = shutdown.requested() => return false,
        }
    }
}

/// Ends the series of a group that is gone, when nobody else has taken them up.
pub(super) async fn retired(shared: Shared, mut state: GroupState) {
    let mut shutdown = shared.shutdown.clone();
    let wait = Duration::from_millis(state.interval_ms.saturating_mul(2).unsigned_abs());
    // The time of its last evaluation: series that others have taken up since have newer samples, which refuse the marker.
    let at = state.last_evaluation.unwrap_or_else(|| shared.evaluator.clock.now_ms()).saturating_add(1);
    state.abandon();
    tokio::select! {
        () = tokio::time::sleep(wait) => shared.evaluator.mark_orphans_stale(&mut state, at).await,
        () = shutdown.requested() => {}
    }
}
