//! Where the cluster lives: a network and mounts of its own, which nobody else sees and which end with the last process in them.
//!
//! Each zone is a network namespace with one address of 10.99.0.0/24 and a link to a bridge; the run itself, with its load and its checks, is at the bridge. Nothing has a route
//! to anywhere else. A zone is cut off at its link.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::process::installed;

/// Set in the run that is in its place already.
const INSIDE: &str = "PLIMSOLL_RESILIENCE_INSIDE";

/// Where the run is on the bridge.
const BRIDGE_ADDRESS: &str = "10.99.0.254/24";

/// What goes through the link of a zone that is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Both,
    /// Only what the zone sends: others' requests do not come in, and answers from others neither.
    Inward,
    /// Only what is sent to the zone: requests come in, and answers do not get out.
    Outward,
}

/// Zones on a bridge.
#[derive(Debug)]
pub struct Zones {
    names: Vec<&'static str>,
}

/// Moves the run to its place: starts it again there, unless it is there already. Without root it is root of a namespace of users, where the kernel allows that.
pub fn enter() -> anyhow::Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    for tool in ["ip", "nft", "nsenter", "mount", "umount", "strace"] {
        installed(tool)?;
    }
    let mut command = Command::new(installed("unshare")?);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--net", "--propagation", "private", "--"]).arg(std::env::current_exe()?);
    // It returns only if it fails.
    let error = command.args(std::env::args_os().skip(1).collect::<Vec<OsString>>()).env(INSIDE, "1").exec();
    Err(error).context("start again in namespaces of its own")
}

/// Runs a program that takes a moment, and fails with what it said.
pub fn run(program: &str, args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

impl Zones {
    /// Makes them; to be called once [`enter`] has returned.
    pub fn make(names: &[&'static str]) -> anyhow::Result<Self> {
        // `ip netns` keeps its files in /run/netns; those of others stay as they are.
        run("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
        run("ip", &["link", "set", "lo", "up"])?;
        run("ip", &["link", "add", "town", "type", "bridge"])?;
        run("ip", &["addr", "add", BRIDGE_ADDRESS, "dev", "town"])?;
        run("ip", &["link", "set", "town", "up"])?;
        let zones = Self { names: names.to_vec() };
        for name in names {
            let (namespace, link, address) = (namespace(name), link(name), format!("{}/24", zones.address(name)?));
            run("ip", &["netns", "add", &namespace])?;
            run("ip", &["link", "add", &link, "type", "veth", "peer", "name", "up0", "netns", &namespace])?;
            run("ip", &["link", "set", &link, "master", "town", "up"])?;
            run("ip", &["-n", &namespace, "addr", "add", &address, "dev", "up0"])?;
            run("ip", &["-n", &namespace, "link", "set", "lo", "up"])?;
            run("ip", &["-n", &namespace, "link", "set", "up0", "up"])?;
        }
        Ok(zones)
    }

    /// The address of a zone.
    pub fn address(&self, zone: &str) -> anyhow::Result<String> {
        let number = self.names.iter().position(|name| *name == zone).with_context(|| format!("no zone {zone}"))?;
        Ok(format!("10.99.0.{}", number + 1))
    }

    /// What is put before a command to have it run in a zone. It becomes that command, under the same pid.
    #[must_use]
    pub fn prefix(&self, zone: &str) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/run/netns/{}", namespace(zone)), "--".to_owned()]
    }

    /// Cuts a zone off.
    pub fn cut(&self, zone: &str, cut: Cut) -> anyhow::Result<()> {
        match cut {
            Cut::Both => run("ip", &["link", "set", &link(zone), "down"]),
            // What comes in at an end of the link is dropped there, so that nobody who sends is told.
            Cut::Inward => run("ip", &["netns", "exec", &namespace(zone), "nft", &drop_all("up0")]),
            Cut::Outward => run("nft", &[&drop_all(&link(zone))]),
        }
    }

    /// Undoes it.
    pub fn heal(&self, zone: &str, cut: Cut) -> anyhow::Result<()> {
        match cut {
            Cut::Both => run("ip", &["link", "set", &link(zone), "up"]),
            Cut::Inward => run("ip", &["netns", "exec", &namespace(zone), "nft", "delete table netdev cut"]),
            Cut::Outward => run("nft", &["delete table netdev cut"]),
        }
    }
}

fn namespace(zone: &str) -> String {
    format!("zone-{zone}")
}

fn link(zone: &str) -> String {
    format!("to-{zone}")
}

/// A rule for nft that drops whatever comes in at an end of a link.
fn drop_all(device: &str) -> String {
    format!("add table netdev cut; add chain netdev cut arriving {{ type filter hook ingress device {device} priority 0; policy drop; }}")
}
