//! Ingesters that are left out of writes because of how earlier ones went.

use std::sync::Arc;
use std::time::Duration;

use limits::LimitsProvider;
use model::{PushReport, TenantId};
use prometheus_client::registry::Registry;
use rpc::{CallContext, RpcErrorKind};
use runtime::{Deadline, Tasks};
use tokio::sync::watch;

use super::{Behaviour, MANY, Rig, batch, cluster, rig};
use crate::metrics::Metrics;
use crate::push::Distributor;
use crate::push::view::View;

/// One that hangs is waited for by no write, and after a while hardly gets any; what it was sent is given back.
#[tokio::test(start_paused = true)]
async fn a_hanging_ingester_is_left_out_and_taken_back() {
    let (pool, snapshot) = cluster(&[Behaviour::Take, Behaviour::Take, Behaviour::Hang]);
    let (tasks, metrics) = (Tasks::new(), Metrics::new(&mut Registry::default()));
    let (sender, view) = watch::channel(Arc::new(View::new(&snapshot, 3, &*pool, MANY, &metrics.suspended_ingesters)));
    let clock = Arc::new(runtime::ManualClock::at(0));
    let distributor =
        Distributor::new(view, Arc::clone(&clock) as _, tasks.clone(), metrics.clone(), LimitsProvider::default(), Duration::from_secs(10));
    let rig = Rig { pool, distributor, tasks, metrics, view: sender };
    let ctx = || CallContext { tenant: TenantId::anonymous(), deadline: Deadline::after(&*clock, Duration::from_secs(60)) };
    let step = Duration::from_millis(20);
    let mut most = 0;
    let push_for = async |seconds: u64, most: &mut i64| {
        for _ in 0..seconds * 50 {
            assert_eq!(rig.distributor.push(&ctx(), &batch(10)).await, Ok(PushReport::default()));
            tokio::time::sleep(step).await;
            clock.advance(step);
            *most = (*most).max(rig.metrics.background_pushes.get());
        }
    };
    push_for(30, &mut most).await;
    assert_eq!(rig.metrics.suspended_ingesters.get(), 1);
    // Those of two seconds at fifty a second, and a few that tried.
    assert!((100..110).contains(&most), "{most}");
    assert!(rig.metrics.background_pushes.get() <= 2, "{}", rig.metrics.background_pushes.get());
    *rig.pool.0["ingester-2"].behaviour.lock() = Behaviour::Take;
    push_for(9, &mut most).await;
    let before = rig.series_of(2);
    push_for(1, &mut most).await;
    assert_eq!(rig.series_of(2) - before, 500, "it has every push again");
    assert_eq!(rig.metrics.suspended_ingesters.get(), 0);
}

#[tokio::test]
async fn who_is_suspended_is_counted_until_the_cluster_forgets_it() {
    let behaviours = [Behaviour::Take, Behaviour::Take, Behaviour::Fail(RpcErrorKind::Unavailable)];
    let rig = rig(&behaviours, 3, MANY);
    while rig.metrics.suspended_ingesters.get() == 0 {
        assert_eq!(rig.push(10).await, Ok(PushReport::default()));
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.metrics.suspended_ingesters.get(), 1);
    let (_, mut snapshot) = cluster(&behaviours);
    snapshot.version += 1;
    let same = rig.view.borrow().updated(&snapshot, &*rig.pool, MANY);
    rig.view.send_replace(Arc::new(same));
    assert_eq!(rig.metrics.suspended_ingesters.get(), 1, "a change elsewhere");
    snapshot.version += 1;
    snapshot.instances.pop();
    let without = rig.view.borrow().updated(&snapshot, &*rig.pool, MANY);
    rig.view.send_replace(Arc::new(without));
    while rig.metrics.background_pushes.get() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.metrics.suspended_ingesters.get(), 0);
}

/// Two that are ill are still asked: the third alone is no quorum.
#[tokio::test]
async fn ill_ingesters_are_asked_when_they_are_needed() {
    let fail = || Behaviour::Fail(RpcErrorKind::Unavailable);
    let rig = rig(&[Behaviour::Take, fail(), fail()], 3, MANY);
    for _ in 0..10 {
        assert!(rig.push(10).await.is_err());
    }
    for ill in ["ingester-1", "ingester-2"] {
        *rig.pool.0[ill].behaviour.lock() = Behaviour::Take;
    }
    assert_eq!(rig.push(10).await, Ok(PushReport::default()));
}
