//! Coordinators that are killed, or fail, while they make a snapshot: what was committed stays, in every member.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::deployment::Node;
use cluster::group::Group;
use cluster::process::free_port;

/// A snapshot is made after a thousand commands.
const PER_SNAPSHOT: usize = 1_000;
/// Sent between two looks at the process.
const STEP: usize = 100;
/// On a busy machine.
const SENT_WITHIN: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);

/// Sends commands until the node has ended, or until it must end very soon, for a snapshot was due; how it ended.
async fn send_until_it_ends(node: &mut Node, group: &mut Group) -> anyhow::Result<ExitStatus> {
    let (before, started) = (group.committed(), Instant::now());
    while node.process().is_alive() && group.committed() - before < PER_SNAPSHOT + STEP {
        ensure!(started.elapsed() < SENT_WITHIN, "{} commands in {SENT_WITHIN:?}", group.committed() - before);
        group.send(STEP).await;
    }
    let status = node.ended(SOON).await?;
    ensure!(group.committed() - before >= PER_SNAPSHOT / 2, "it ended before a snapshot was due");
    Ok(status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_killed_while_it_makes_a_snapshot_loses_nothing() -> anyhow::Result<()> {
    let started = Instant::now();
    let dir = tempfile::tempdir()?;
    let mut node = Node::new("coordinator", dir.path(), &["--target=coordinator"])?;
    node.set_env("PLIMSOLL_FAILPOINTS", Some("raft.snapshot=abort"));
    node.start().await?;
    let mut group = Group::of(std::slice::from_ref(&node.grpc)).await?;
    for n in 0..10 {
        group.register(&format!("before-{n}")).await?;
    }
    send_until_it_ends(&mut node, &mut group).await?;
    node.killed_itself(SOON).await?;

    // The snapshot is due at once, and is made this time.
    node.restart(Some("raft.snapshot=delay(1)")).await?;
    group.is_complete_at(0).await.context("after the kill")?;
    group.register("after").await?;
    group.send(3 * PER_SNAPSHOT / 2).await;
    ensure!(node.process().acted("raft.snapshot") > 1, "no snapshot was made after the kill");

    node.restart(None).await?;
    group.is_complete_at(0).await.context("with the snapshot")?;
    println!("{} committed values are there, {:.1} s", group.committed(), started.elapsed().as_secs_f64());
    Ok(())
}

/// Its disk fails as it votes, or some commands later: raft would never go on, and so the process ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_whose_disk_fails_ends_and_comes_back() -> anyhow::Result<()> {
    for point in ["raft.vote=error", "raft.append=60*off->error"] {
        let started = Instant::now();
        let dir = tempfile::tempdir()?;
        let mut node = Node::new("coordinator", dir.path(), &["--target=coordinator"])?;
        node.set_env("PLIMSOLL_FAILPOINTS", Some(point));
        node.launch()?;
        let mut group = None;
        if point.starts_with("raft.append") {
            node.ready().await?;
            group.insert(Group::of(std::slice::from_ref(&node.grpc)).await?).send(PER_SNAPSHOT - STEP).await;
        }
        let status = node.ended(SOON).await.context(point)?;
        ensure!(status.code() == Some(1), "{point}: it ended with {status}");
        println!("{point}: ended after {:.1} s", started.elapsed().as_secs_f64());
        node.restart(None).await?;
        if let Some(group) = group {
            ensure!(group.committed() > 0, "{point}: nothing was committed before");
            group.is_complete_at(0).await?;
        }
    }
    Ok(())
}

/// It comes back to a group that has thrown away the entries that it lacks, and is sent a snapshot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_snapshot_fails_ends_and_the_others_go_on() -> anyhow::Result<()> {
    let started = Instant::now();
    let dir = tempfile::tempdir()?;
    let addresses = (0..3).map(|_| Ok(format!("127.0.0.1:{}", free_port()?))).collect::<anyhow::Result<Vec<String>>>()?;
    let list = addresses.join(",");
    let mut nodes = Vec::new();
    for (n, address) in addresses.iter().enumerate() {
        let node = Node::new(&format!("coordinator-{n}"), dir.path(), &["--target=coordinator"])?;
        nodes.push(node.at(address, &["--coordinators", &list]));
    }
    nodes[0].set_env("PLIMSOLL_FAILPOINTS", Some("raft.snapshot=error"));
    nodes.iter_mut().try_for_each(Node::launch)?;
    for node in &nodes {
        node.ready().await?;
    }
    let mut group = Group::of(&addresses).await?;
    group.transfer(&addresses[0]).await?;
    group.register("before").await?;
    let status = send_until_it_ends(&mut nodes[0], &mut group).await?;
    ensure!(status.code() == Some(1), "it ended with {status}");
    ensure!(nodes[0].process().log().contains("failpoint raft.snapshot"), "it does not say why it ended");

    group.register("after").await.context("the others do not go on")?;
    let before = group.committed();
    group.send(3 * PER_SNAPSHOT).await;
    ensure!(group.committed() - before > 5 * PER_SNAPSHOT / 2, "the others do not go on");
    nodes[0].restart(None).await?;
    for member in 0..3 {
        group.is_complete_at(member).await?;
    }
    println!("{} committed values are in each of three, {:.1} s", group.committed(), started.elapsed().as_secs_f64());
    Ok(())
}
