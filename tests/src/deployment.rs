//! Plimsoll as one process or as six.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tempfile::TempDir;

use crate::client::Client;
use crate::process::{Process, eventually, free_port, installed, workspace_binary};

/// How long a process may take until it is ready, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// SIGKILL.
const KILLED: i32 = 9;

/// One `plimsoll run`; keeps its ports and directory over restarts.
pub struct Node {
    name: String,
    /// What is put before the command.
    prefix: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    dir: PathBuf,
    /// Where it serves HTTP.
    pub http: String,
    /// Where it serves gRPC.
    pub grpc: String,
    process: Option<Process>,
}

impl Node {
    /// A node that is not started; `args` come after `run`.
    pub fn new(name: &str, dir: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let (http, grpc) = (format!("127.0.0.1:{}", free_port()?), format!("127.0.0.1:{}", free_port()?));
        Ok(Self::listening(name, dir, &http, &grpc, args))
    }

    /// A node that listens there.
    #[must_use]
    pub fn listening(name: &str, dir: &Path, http: &str, grpc: &str, args: &[&str]) -> Self {
        let dir = dir.join(name);
        let mut all: Vec<String> = ["run", "--http-listen", http, "--grpc-listen", grpc, "--instance-id", name].map(str::to_owned).to_vec();
        all.extend(["--data-dir".to_owned(), dir.join("data").display().to_string()]);
        all.extend(args.iter().map(|a| (*a).to_owned()));
        let (http, grpc) = (http.to_owned(), grpc.to_owned());
        Self { name: name.to_owned(), prefix: Vec::new(), args: all, env: Vec::new(), dir, http, grpc, process: None }
    }

    /// The node started by another command, which gets its command as arguments and becomes it.
    #[must_use]
    pub fn under(mut self, prefix: Vec<String>) -> Self {
        self.prefix = prefix;
        self
    }

    /// The node with another address for gRPC, and these arguments as well.
    #[must_use]
    pub fn at(mut self, grpc: &str, args: &[&str]) -> Self {
        for arg in self.args.iter_mut().filter(|arg| **arg == self.grpc) {
            grpc.clone_into(arg);
        }
        grpc.clone_into(&mut self.grpc);
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// The node with a further environment variable.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets an environment variable for its next start; `None` takes it away.
    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        self.env.retain(|(known, _)| known != name);
        self.env.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Starts it.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        let plimsoll = workspace_binary("plimsoll")?;
        let process = match self.prefix.split_first() {
            None => Process::start_with_env(&self.name, &plimsoll, &self.args, &self.env, &self.dir)?,
            Some((program, rest)) => {
                let args = [rest, &[plimsoll.display().to_string()], &self.args].concat();
                Process::start_with_env(&self.name, &installed(program)?, &args, &self.env, &self.dir)?
            }
        };
        self.process = Some(process);
        Ok(())
    }

    /// Waits until it is ready.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let client = self.client();
        eventually(&format!("{} is ready", self.name), READY_WITHIN, || async { client.is_ready().await }).await
    }

    /// Starts it again with these failpoints, or with none.
    pub async fn restart(&mut self, failpoints: Option<&str>) -> anyhow::Result<()> {
        self.kill()?;
        self.set_env("PLIMSOLL_FAILPOINTS", failpoints);
        self.start().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process().status()? {
                return Ok(status);
            }
            ensure!(started.elapsed() < within, "{} has not ended within {within:?}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a failpoint has killed it.
    pub async fn killed_itself(&mut self, within: Duration) -> anyhow::Result<()> {
        let status = self.ended(within).await?;
        ensure!(status.signal() == Some(KILLED), "{} ended with {status}", self.name);
        Ok(())
    }

    /// A client of its HTTP API.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.http))
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the test started this node")
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }
}

/// Everything in one process.
pub struct Single {
    /// The process.
    pub node: Node,
    _dir: TempDir,
}

impl Single {
    /// Starts `plimsoll run` with further flags.
    pub async fn start(args: &[&str]) -> anyhow::Result<Self> {
        Self::start_with_env(args, &[]).await
    }

    /// The same with environment variables.
    pub async fn start_with_env(args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let node = Node::new("plimsoll", dir.path(), args)?;
        let mut node = env.iter().fold(node, |node, (name, value)| node.with_env(name, value));
        node.start().await?;
        Ok(Self { node, _dir: dir })
    }
}

/// A coordinator, three ingesters, a distributor and a querier, each in a process of its own, replication factor 3.
pub struct Six {
    /// The Raft group of one.
    pub coordinator: Node,
    /// Three.
    pub ingesters: Vec<Node>,
    /// The way in.
    pub distributor: Node,
    /// The way out.
    pub querier: Node,
    _dir: TempDir,
}

impl Six {
    /// Starts all six.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with_env(&[]).await
    }

    /// Starts all six, each with these environment variables.
    pub async fn start_with_env(env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let node = |name: &str, args: &[&str]| {
            let node = Node::new(name, dir.path(), args)?;
            anyhow::Ok(env.iter().fold(node, |node, (name, value)| node.with_env(name, value)))
        };
        let mut coordinator = node("coordinator", &["--target=coordinator"])?;
        coordinator.start().await?;
        let group = coordinator.grpc.clone();
        let member = |name: &str, target: &str| {
            let (target, group) = (format!("--target={target}"), format!("--coordinators={group}"));
            node(name, &[&target, &group, "--replication-factor=3"])
        };
        let mut ingesters = Vec::new();
        for i in 0..3 {
            ingesters.push(member(&format!("ingester-{i}"), "ingester")?);
        }
        let mut distributor = member("distributor", "distributor")?;
        let mut querier = member("querier", "querier")?;
        for node in ingesters.iter_mut().chain([&mut distributor, &mut querier]) {
            node.launch()?;
        }
        for node in ingesters.iter().chain([&distributor, &querier]) {
            node.ready().await?;
        }
        let six = Self { coordinator, ingesters, distributor, querier, _dir: dir };
        six.wait_active(3).await?;
        Ok(six)
    }

    /// All six, in the order of their start.
    pub fn nodes(&mut self) -> impl Iterator<Item = &mut Node> {
        std::iter::once(&mut self.coordinator).chain(&mut self.ingesters).chain([&mut self.distributor, &mut self.querier])
    }

    /// Waits until distributor and querier see this many active ingesters.
    pub async fn wait_active(&self, count: usize) -> anyhow::Result<()> {
        for node in [&self.distributor, &self.querier] {
            let client = node.client();
            let what = format!("{count} active ingesters at {}", node.name);
            eventually(&what, READY_WITHIN, || async { client.active_ingesters().await.is_ok_and(|n| n == count) }).await?;
        }
        Ok(())
    }
}
