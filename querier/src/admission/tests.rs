use std::collections::HashMap;
use std::time::Duration;

use model::TenantId;
use promql::QueryError;
use proptest::prelude::*;

use super::Admission;
use super::lines::{Entry, Lines};

const LONG: Duration = Duration::from_secs(60);

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

#[test]
fn a_tenant_leaves_a_place_for_others() {
    let (a, b) = (tenant("a"), tenant("b"));
    let mut lines = Lines::new(3, 10);
    assert_eq!([1, 2, 3].map(|t| lines.enter(&a, 0, t)), [Entry::Place, Entry::Place, Entry::Line { put_out: None }]);
    assert_eq!(lines.enter(&b, 0, 4), Entry::Place);
    assert_eq!(lines.call_next(), None);
    lines.leave(&b);
    assert_eq!(lines.call_next(), None, "the place that is left is not for a");
    lines.leave(&a);
    assert_eq!(lines.call_next(), Some((a.clone(), 3)));
    // A single place is for all.
    assert_eq!(Lines::new(1, 10).enter(&a, 0, 1), Entry::Place);
    // A share of its own.
    let mut lines = Lines::new(3, 10);
    assert_eq!([1, 2].map(|t| lines.enter(&a, 1, t)), [Entry::Place, Entry::Line { put_out: None }]);
    let mut lines = Lines::new(3, 10);
    assert_eq!([1, 2, 3].map(|t| lines.enter(&a, 9, t)), [Entry::Place; 3]);
}

#[test]
fn lines_are_served_in_turn() {
    let [a, b, c] = ["a", "b", "c"].map(tenant);
    let mut lines = Lines::new(1, 100);
    assert_eq!(lines.enter(&a, 0, 0), Entry::Place);
    for ticket in 1..=5 {
        lines.enter(&a, 0, ticket);
    }
    lines.enter(&b, 0, 6);
    lines.enter(&b, 0, 7);
    lines.enter(&c, 0, 8);
    let mut running = a.clone();
    let mut order = Vec::new();
    for _ in 0..8 {
        lines.leave(&running);
        let (tenant, ticket) = lines.call_next().unwrap();
        order.push(ticket);
        running = tenant;
        lines.check();
    }
    assert_eq!(order, [1, 6, 8, 2, 7, 3, 4, 5]);
}

#[test]
fn a_full_line_makes_room_for_a_shorter_one() {
    let [a, b, c] = ["a", "b", "c"].map(tenant);
    let mut lines = Lines::new(1, 4);
    for ticket in 0..=4 {
        lines.enter(&a, 0, ticket);
    }
    assert_eq!(lines.enter(&a, 0, 5), Entry::Full);
    assert_eq!(lines.enter(&b, 0, 6), Entry::Line { put_out: Some(4) });
    assert_eq!(lines.enter(&b, 0, 7), Entry::Line { put_out: Some(3) });
    assert_eq!(lines.enter(&b, 0, 8), Entry::Full, "both have two");
    assert_eq!(lines.enter(&c, 0, 9), Entry::Line { put_out: Some(7) }, "it has none, and others have two");
    assert_eq!(lines.enter(&c, 0, 10), Entry::Full, "two for it and one for another would be no better");
    lines.check();
    assert_eq!(Lines::new(1, 0).enter(&a, 0, 1), Entry::Place);
}

proptest! {
    /// Whatever comes and goes: places and lines keep their bounds, nobody has more than its share, nobody waits beside a place that it may have.
    #[test]
    fn bounds_hold(places in 1_usize..5, max in 0_usize..8, share in 0_usize..4, events in proptest::collection::vec((0_u8..4, 0_usize..4), 1..200)) {
        let tenants = ["a", "b", "c", "d"].map(tenant);
        let mut lines = Lines::new(places, max);
        let mut running: HashMap<usize, usize> = HashMap::new();
        let mut waiting: Vec<(usize, u64)> = Vec::new();
        let most = if share == 0 { (places - 1).max(1) } else { share };
        for (ticket, (event, who)) in (0_u64..).zip(events) {
            match event {
                0 | 1 => match lines.enter(&tenants[who], share, ticket) {
                    Entry::Place => *running.entry(who).or_default() += 1,
                    Entry::Line { put_out } => {
                        waiting.push((who, ticket));
                        waiting.retain(|(_, t)| Some(*t) != put_out);
                    }
                    Entry::Full => prop_assert!(waiting.len() == max),
                },
                2 if running.get(&who).is_some_and(|n| *n > 0) => {
                    lines.leave(&tenants[who]);
                    *running.entry(who).or_default() -= 1;
                }
                3 if !waiting.is_empty() => {
                    let (who, ticket) = waiting.remove(who % waiting.len());
                    lines.give_up(&tenants[who], ticket);
                }
                _ => {}
            }
            while let Some((tenant, ticket)) = lines.call_next() {
                let at = waiting.iter().position(|(_, t)| *t == ticket).unwrap();
                let (who, _) = waiting.remove(at);
                prop_assert_eq!(&tenants[who], &tenant);
                *running.entry(who).or_default() += 1;
            }
            lines.check();
            prop_assert!(running.values().sum::<usize>() <= places && running.values().all(|n| *n <= most));
            let free = running.values().sum::<usize>() < places;
            prop_assert!(!free || waiting.iter().all(|(who, _)| running.get(who).is_some_and(|n| *n >= most)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_admitted_put_out_or_times_out() {
    let (a, b) = (tenant("a"), tenant("b"));
    let admission = Admission::new(1, 2);
    let place = admission.admit(&a, 0, LONG).await.unwrap();
    let waits = |tenant: &TenantId, within| {
        let (admission, tenant) = (admission.clone(), tenant.clone());
        async move { admission.admit(&tenant, 0, within).await }
    };
    let timed_out = waits(&a, Duration::from_secs(1)).await;
    assert!(matches!(timed_out, Err(QueryError::Timeout("query queue"))), "{timed_out:?}");
    assert_eq!(admission.waiting(), 0);
    let (mut first, mut second) = (Box::pin(waits(&a, LONG)), Box::pin(waits(&a, LONG)));
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
    let refused = waits(&a, LONG).await;
    assert!(matches!(&refused, Err(QueryError::TooManyRequests(text)) if text.contains("querier.max_queued = 2")), "{refused:?}");
    let mut of_b = Box::pin(waits(&b, LONG));
    assert!(futures::poll!(&mut of_b).is_pending());
    assert!(matches!(second.await, Err(QueryError::TooManyRequests(_))), "put out for b");
    // Who goes away gives its turn to the next.
    drop(first);
    drop(place);
    drop(of_b.await.unwrap());
    assert_eq!(admission.waiting(), 0);
    assert!(admission.admit(&a, 0, Duration::ZERO).await.is_ok());
}

#[tokio::test]
async fn a_place_for_somebody_who_has_just_gone_is_not_lost() {
    let a = tenant("a");
    let admission = Admission::new(1, 2);
    let place = admission.admit(&a, 0, LONG).await.unwrap();
    let mut waiting = Box::pin(admission.admit(&a, 0, LONG));
    assert!(futures::poll!(&mut waiting).is_pending());
    // The place is given to it, and it never looks.
    drop(place);
    drop(waiting);
    assert!(admission.admit(&a, 0, LONG).await.is_ok());
}
