//! Each role with what it needs.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use bucket::{BlockCache, Bucket};
use prometheus_client::registry::Registry;
use ring::InstanceState;
use rpc::{ClusterWatch, IngesterPool, KeyStore};
use runtime::{CpuPool, ShutdownTrigger};
use tonic::service::RoutesBuilder;

use super::{Parts, Stage};
use crate::http::readiness::State;
use crate::target::Target;

/// A number that outsiders do not know: the standard library's hash keys come from the system.
fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

pub(super) async fn coordinator(
    parts: &Parts,
    registry: &mut Registry,
    services: &mut RoutesBuilder,
) -> anyhow::Result<coordinator::Coordinator> {
    let deps = coordinator::Deps {
        data_dir: parts.config.data_dir.clone(),
        address: parts.identity.advertise.clone(),
        members: parts.config.coordinator_addresses(),
        replication_factor: parts.config.replicas(),
        entropy: (u128::from(random()) << 64) | u128::from(random()),
        clock: Arc::clone(&parts.clock),
        tasks: parts.tasks.clone(),
        channels: parts.channels.clone(),
        cluster: parts.cluster.clone(),
        shutdown: parts.last.clone(),
    };
    let coordinator = coordinator::Coordinator::start(&parts.config.coordinator, deps, registry).await.context("start the coordinator")?;
    let (members, raft, operator) = coordinator.grpc();
    services.add_service(members).add_service(raft).add_service(operator);
    let (failures, handle, mut last) = (parts.failures.clone(), coordinator.handle(), parts.last.clone());
    parts.tasks.spawn("coordinator failure", async move {
        // A full channel means that another failure already ends the process.
        tokio::select! {
            error = handle.failed() => drop(failures.try_send(anyhow::Error::new(error).context("coordinator"))),
            () = last.requested() => {}
        }
    });
    let (readiness, handle) = (parts.readiness.clone(), coordinator.handle());
    // A member of a group is ready when it has heard of the others: the watch below tells.
    parts.tasks.spawn("coordinator readiness", async move {
        let mut snapshots = Box::pin(handle.watch());
        while let Some(snapshot) = futures::StreamExt::next(&mut snapshots).await {
            if !snapshot.cluster_id.is_empty() {
                readiness.set(Target::Coordinator.as_str(), State::Ready);
                return;
            }
        }
    });
    Ok(coordinator)
}

pub(super) fn ingester(
    parts: &Parts,
    registry: &mut Registry,
    services: &mut RoutesBuilder,
    bucket: Bucket,
) -> anyhow::Result<(ingester::Ingester, Stage)> {
    let config = &parts.config;
    if config.object_store.url.is_empty() && !(config.target.is_all() && config.coordinator_addresses().len() <= 1) {
        tracing::warn!(%bucket, "no object_store.url: blocks go to a folder of this process alone, where other processes do not find them, and stay on the disk too");
    }
    let deps = ingester::Deps {
        data_dir: parts.config.data_dir.clone(),
        fs: Arc::new(tsdb::fs::RealFs),
        clock: Arc::clone(&parts.clock),
        tasks: parts.tasks.clone(),
        // Neither pool is the engine's: an engine that waits for its ingester must not hold what the ingester waits for.
        push_pool: CpuPool::new(cores(), parts.tasks.clone()),
        query_pool: CpuPool::new(cores(), parts.tasks.clone()),
        bucket,
        limits: parts.limits.clone(),
        wal_salt: random(),
    };
    let service = ingester::Service::build(&parts.config.ingester, deps, registry).context("start the ingester")?;
    let ingester = service.ingester();
    services.add_service(ingester::grpc::server(ingester.clone(), parts.cluster.clone()));
    let (trigger, shutdown) = ShutdownTrigger::new();
    let failures = parts.failures.clone();
    let task = parts.tasks.spawn("ingester", async move {
        if let Err(error) = service.run(shutdown).await {
            // A full channel means that another failure already ends the process.
            let _ = failures.try_send(anyhow::Error::new(error).context("ingester"));
        }
    });
    // It takes pushes from now on; queries wait for the end of the replay by themselves.
    parts.readiness.set(Target::Ingester.as_str(), State::Ready);
    Ok((ingester, Stage { trigger, task }))
}

pub(super) fn distributor(
    parts: &Parts,
    registry: &mut Registry,
    watch: &ClusterWatch,
    pool: Arc<dyn IngesterPool>,
    keys: Arc<dyn KeyStore>,
) -> anyhow::Result<distributor::Handle> {
    let deps = distributor::Deps {
        clock: Arc::clone(&parts.clock),
        tasks: parts.tasks.clone(),
        limits: parts.limits.clone(),
        keys,
        ingesters: pool,
        cluster: watch.receiver(),
        replication_factor: parts.config.replicas(),
        registry,
    };
    let service = distributor::build(&parts.config.distributor, deps).context("start the distributor")?;
    let handle = service.handle();
    parts.tasks.spawn("distributor", service.run(parts.last.clone()));
    ready_when_ingesters_are_known(parts, watch, Target::Distributor);
    Ok(handle)
}

pub(super) fn querier(
    parts: &Parts,
    registry: &mut Registry,
    watch: &ClusterWatch,
    pool: Arc<dyn IngesterPool>,
    bucket: Bucket,
) -> anyhow::Result<querier::Querier> {
    let config = &parts.config;
    let dir = config.data_dir.join("blocks-cache");
    let blocks = BlockCache::open(bucket, &dir, config.querier.block_cache_bytes, parts.tasks.clone(), registry)?;
    let deps = querier::Deps {
        clock: Arc::clone(&parts.clock),
        tasks: parts.tasks.clone(),
        snapshot: watch.receiver(),
        ingesters: pool,
        home: querier::Home { zone: config.zone.clone(), id: parts.identity.id.to_string() },
        replication_factor: config.replicas(),
        limits: parts.limits.clone(),
        blocks: Some(blocks),
    };
    let querier = querier::Querier::build(config.querier.clone(), deps, registry);
    ready_when_ingesters_are_known(parts, watch, Target::Querier);
    Ok(querier)
}

/// The ruler begins to evaluate when the ingesters are there: before that every rule would fail.
pub(super) fn ruler(
    parts: &Parts,
    registry: &mut Registry,
    services: &mut RoutesBuilder,
    watch: &ClusterWatch,
    bucket: Bucket,
    distributor: &distributor::Handle,
    querier: &querier::Querier,
) -> anyhow::Result<(ruler::Handle, Stage)> {
    let (trigger, shutdown) = ShutdownTrigger::new();
    let parser = querier.clone();
    let deps = ruler::Deps {
        clock: Arc::clone(&parts.clock),
        tasks: parts.tasks.clone(),
        query: querier.query_runner(),
        write: distributor.write_path(),
        shutdown: shutdown.clone(),
        parse: Arc::new(move |tenant| parser.parse_options(tenant)),
        bucket,
        limits: parts.limits.clone(),
        id: parts.identity.id.clone(),
        snapshot: watch.receiver(),
        rulers: Arc::new(rpc::GrpcRulerPool::new(parts.channels.clone(), Arc::clone(&parts.clock), parts.cluster.clone())),
        multitenancy: parts.config.multitenancy,
        registry,
    };
    let service = ruler::build(&parts.config.ruler, deps).context("start the ruler")?;
    let handle = service.handle();
    services.add_service(ruler::grpc::server(handle.clone(), parts.cluster.clone()));
    let reloaded = handle.clone();
    parts.tasks.spawn("reload", crate::signals::on_reload(parts.last.clone(), move || reloaded.reload()));
    ready_when_ingesters_are_known(parts, watch, Target::Ruler);
    let (known, mut stopped) = (ingesters_known(parts, watch), shutdown);
    let task = parts.tasks.spawn("ruler", async move {
        tokio::select! {
            () = stopped.requested() => return,
            known = known => if !known { return },
        }
        service.run().await;
    });
    Ok((handle, Stage { trigger, task }))
}

/// The object store, one for all roles of the process, so that they share its bound on calls. Nothing is asked of it yet.
pub(super) fn bucket(parts: &Parts, registry: &mut Registry) -> anyhow::Result<Bucket> {
    let config = &parts.config;
    let bucket = bucket::open(&config.object_store_url(), config.object_store.clone(), Arc::clone(&parts.clock), registry)?;
    tracing::info!(%bucket, "object store opened");
    Ok(bucket)
}

pub(super) fn compactor(parts: &Parts, registry: &mut Registry, watch: &ClusterWatch, bucket: Bucket) -> anyhow::Result<Router> {
    let config = &parts.config;
    let deps = compactor::Deps {
        bucket,
        dir: config.data_dir.join("compactor"),
        id: parts.identity.id.clone(),
        snapshot: watch.receiver(),
        limits: parts.limits.clone(),
        clock: Arc::clone(&parts.clock),
        tasks: parts.tasks.clone(),
        random: Arc::new(|| (u128::from(random()) << 64) | u128::from(random())),
        shutdown: parts.last.clone(),
    };
    let service = compactor::Service::build(config.compactor.clone(), deps, registry).context("start the compactor")?;
    let router = compactor::http::router(service.compactor());
    parts.tasks.spawn("compactor", service.run());
    parts.readiness.set(Target::Compactor.as_str(), State::Ready);
    Ok(router)
}

/// A role that works through ingesters is ready when it knows as many that take pushes as a quorum needs.
fn ready_when_ingesters_are_known(parts: &Parts, watch: &ClusterWatch, target: Target) {
    // A ruler has a distributor and a querier of its own where these are not roles of the process.
    if !parts.config.target.has(target) {
        return;
    }
    let (readiness, known) = (parts.readiness.clone(), ingesters_known(parts, watch));
    readiness.set(target.as_str(), State::Starting(format!("waiting for {} ingesters", quorum(parts))));
    parts.tasks.spawn("ingesters known", async move {
        if known.await {
            readiness.set(target.as_str(), State::Ready);
        }
    });
}

fn quorum(parts: &Parts) -> usize {
    parts.config.replicas() / 2 + 1
}

/// Waits until a quorum of ingesters takes pushes; `false` if nobody tells any more.
fn ingesters_known(parts: &Parts, watch: &ClusterWatch) -> impl Future<Output = bool> + use<> {
    let (needed, mut snapshots) = (quorum(parts), watch.receiver());
    async move {
        let enough = |snapshot: &Arc<ring::ClusterSnapshot>| {
            let takes_pushes = |state| matches!(state, InstanceState::Joining | InstanceState::Active);
            snapshot.of_role(ring::Role::Ingester).filter(|i| takes_pushes(i.state)).count() >= needed
        };
        snapshots.wait_for(enough).await.is_ok()
    }
}
