//! `plimsoll coordinator`: looking at the coordinator group and changing its members.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use rpc::operator_grpc::group_status;
use rpc::{Channels, ClusterIdentity, CoordinatorOperator, GroupStatus, GrpcCoordinatorClient};
use runtime::clock::SystemClock;

use crate::cli::{CoordinatorCommand, GroupArgs};

/// How long one member may take to say how it stands.
const PATIENCE: Duration = Duration::from_secs(3);

/// Runs the command against a group that may be anywhere.
pub fn run(command: &CoordinatorCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(act(command, out))
}

async fn act(command: &CoordinatorCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        CoordinatorCommand::Status { group, json } => {
            let all = Group::of(group)?.statuses().await?;
            match json {
                true => writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?,
                false => out.write_all(table(&all).as_bytes())?,
            }
        }
        CoordinatorCommand::Add { group, address } => {
            Group::of(group)?.client().add_member(address).await?;
            writeln!(out, "{address} is a voter")?;
        }
        CoordinatorCommand::Remove { group, address, force } => {
            Group::of(group)?.client().remove_member(address, *force).await?;
            writeln!(out, "{address} is no member any more; its process and its data directory can go")?;
        }
        CoordinatorCommand::Transfer { group, address } => {
            Group::of(group)?.client().transfer(address).await?;
            writeln!(out, "{address} leads")?;
        }
    }
    Ok(())
}

struct Group {
    addresses: Vec<String>,
    channels: Channels,
    cluster: ClusterIdentity,
}

/// What a member says of itself, or why it does not.
type Answer = (String, Result<GroupStatus, String>);

impl Group {
    fn of(args: &GroupArgs) -> anyhow::Result<Self> {
        let addresses: Vec<String> = args.coordinators.split(',').map(str::trim).filter(|a| !a.is_empty()).map(str::to_owned).collect();
        if addresses.is_empty() {
            bail!("--coordinators names nobody");
        }
        Ok(Self { addresses, channels: Channels::new(SystemClock::shared()), cluster: ClusterIdentity::new() })
    }

    fn client(&self) -> GrpcCoordinatorClient {
        GrpcCoordinatorClient::new(self.addresses.clone(), self.channels.clone(), SystemClock::shared(), self.cluster.clone())
    }

    /// Of the addresses given, and of all members that any of them knows.
    async fn statuses(&self) -> anyhow::Result<Vec<Answer>> {
        let mut wanted = self.addresses.clone();
        let mut all: Vec<Answer> = Vec::new();
        while let Some(address) = wanted.iter().find(|address| all.iter().all(|(seen, _)| seen != *address)).cloned() {
            let status = group_status(&address, &self.channels, &self.cluster, PATIENCE).await.map_err(|e| e.to_string());
            if let Ok(status) = &status {
                wanted.extend(status.members.iter().map(|member| member.address.clone()));
            }
            all.push((address, status));
        }
        if all.iter().all(|(_, status)| status.is_err()) {
            let problems: Vec<String> =
                all.iter().filter_map(|(address, status)| status.as_ref().err().map(|e| format!("{address}: {e}"))).collect();
            bail!("no coordinator answers: {}", problems.join("; "));
        }
        Ok(all)
    }
}

fn table(all: &[Answer]) -> String {
    let statuses = || all.iter().filter_map(|(_, status)| status.as_ref().ok());
    // Who leads knows best who is a member and how far behind; the newest term, should two believe that they do.
    let leader = statuses().filter(|status| status.state == "Leader").max_by_key(|status| status.term);
    let view = leader.or_else(|| statuses().max_by_key(|status| (status.term, status.applied)));
    let mut text = String::new();
    if let Some(view) = view {
        let cluster = if view.cluster_id.is_empty() { "not formed yet" } else { &view.cluster_id };
        let leads = leader.map_or("nobody answering", |leader| &leader.address);
        text += &format!("cluster {cluster}\nleader  {leads}\nterm    {}, last log entry {}\n\n", view.term, view.last_log);
    }
    text += &format!(
        "{:<28} {:<20} {:<8} {:<10} {:>8} {:>8} {:>6}  {}\n",
        "address", "number", "kind", "state", "last log", "applied", "lag", "version"
    );
    for (address, status) in all {
        let member = view.and_then(|view| view.members.iter().find(|member| member.address == *address));
        let kind = member.map_or("none", |member| if member.voter { "voter" } else { "learner" });
        match status {
            Ok(status) => {
                let known = member.and_then(|member| member.matched).or_else(|| (status.state == "Leader").then_some(status.last_log));
                let lag = leader.zip(known).map_or_else(|| "?".to_owned(), |(leader, has)| leader.last_log.saturating_sub(has).to_string());
                let GroupStatus { node, state, last_log, applied, version, .. } = status;
                text += &format!("{address:<28} {node:<20} {kind:<8} {state:<10} {last_log:>8} {applied:>8} {lag:>6}  {version}\n");
            }
            Err(problem) => text += &format!("{address:<28} {:<20} {kind:<8} no answer: {problem}\n", member.map_or(0, |m| m.node)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rpc::{GroupMember, GroupStatus};

    use super::table;

    #[test]
    fn the_table_names_leader_lag_and_who_is_silent() {
        let member = |node: u64, matched| GroupMember { node, address: format!("h{node}:1"), voter: node != 3, matched };
        let status = |node: u64, state: &str, last_log| GroupStatus {
            node,
            address: format!("h{node}:1"),
            cluster_id: "c0ffee".to_owned(),
            state: state.to_owned(),
            leader: Some("h1:1".to_owned()),
            term: 4,
            last_log,
            applied: last_log,
            members: vec![member(1, None), member(2, Some(7)), member(3, Some(9))],
            met: Vec::new(),
            version: "1.0".to_owned(),
        };
        let all = [
            ("h1:1".to_owned(), Ok(status(1, "Leader", 9))),
            ("h2:1".to_owned(), Err("gone".to_owned())),
            ("h3:1".to_owned(), Ok(status(3, "Learner", 9))),
        ];
        let text = table(&all);
        assert!(text.contains("cluster c0ffee\nleader  h1:1\nterm    4, last log entry 9\n"), "{text}");
        assert!(text.contains("no answer: gone"), "{text}");
        let learner = text.lines().last().unwrap();
        assert!(learner.contains("learner") && learner.contains(" 0  1.0"), "{learner}");
    }
}
