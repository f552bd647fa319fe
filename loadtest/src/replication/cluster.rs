//! A coordinator, one ingester in each zone, and a distributor, each a process on loopback.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::bail;
use tempfile::TempDir;

use crate::server::{Kind, Usage, free_port, start_process};

/// How long the processes may take to find each other.
const SOON: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The processes. They end when it is dropped.
pub(super) struct Cluster {
    distributor: Member,
    ingesters: Vec<Member>,
    coordinator: Member,
    _dir: TempDir,
}

impl Cluster {
    /// Starts all of them and waits until they are ready.
    pub(super) async fn start(binary: Option<&Path>, copies: usize) -> anyhow::Result<Self> {
        let binary = match binary {
            // Each is started in a directory of its own.
            Some(binary) => std::path::absolute(binary)?,
            None => Kind::Plimsoll.binary()?,
        };
        let dir = tempfile::Builder::new().prefix("plimsoll-loadtest-").tempdir()?;
        let plan = Plan { binary, group: format!("127.0.0.1:{}", free_port()?), dir: dir.path(), copies };
        let coordinator = plan.start("coordinator", "coordinator", &plan.group)?;
        let ingesters =
            (0..copies).map(|n| plan.start(&format!("ingester-{n}"), "ingester", &any_port()?)).collect::<anyhow::Result<_>>()?;
        let distributor = plan.start("distributor", "distributor", &any_port()?)?;
        let cluster = Self { distributor, ingesters, coordinator, _dir: dir };
        for member in cluster.members() {
            member.wait_ready().await?;
        }
        Ok(cluster)
    }

    /// Where the distributor takes pushes.
    pub(super) fn url(&self) -> &str {
        &self.distributor.url
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.members().map(|member| member.process.id()).collect()
    }

    /// What the distributor, all ingesters together and the coordinator have used.
    pub(super) fn usage(&self) -> anyhow::Result<[Usage; 3]> {
        let ingesters = self.ingesters.iter().try_fold(Usage::default(), |sum, member| anyhow::Ok(sum + member.usage()?))?;
        Ok([self.distributor.usage()?, ingesters, self.coordinator.usage()?])
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        [&self.coordinator].into_iter().chain(&self.ingesters).chain([&self.distributor])
    }
}

/// What all members have in common.
struct Plan<'a> {
    binary: PathBuf,
    group: String,
    dir: &'a Path,
    copies: usize,
}

impl Plan<'_> {
    fn start(&self, name: &str, target: &str, grpc: &str) -> anyhow::Result<Member> {
        let own = self.dir.join(name);
        std::fs::create_dir(&own)?;
        let http = any_port()?;
        let flags = [
            "run".to_owned(),
            format!("--target={target}"),
            format!("--data-dir={}", own.join("data").display()),
            format!("--http-listen={http}"),
            format!("--grpc-listen={grpc}"),
            format!("--object-store=file://{}", self.dir.join("bucket").display()),
            format!("--coordinators={}", self.group),
            format!("--instance-id={name}"),
            format!("--zone=of-{name}"),
            format!("--replication-factor={}", self.copies),
        ];
        Ok(Member { process: start_process(&self.binary, &flags, &own)?, url: format!("http://{http}"), name: name.to_owned() })
    }
}

struct Member {
    process: Child,
    url: String,
    name: String,
}

impl Member {
    fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.process.id())
    }

    async fn wait_ready(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < SOON {
            if reqwest::get(format!("{}/ready", self.url)).await.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        bail!("{} was not ready within {SOON:?}", self.name)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn any_port() -> anyhow::Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}
