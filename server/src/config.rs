//! Settings: every one is a YAML key, an environment variable and, for the common ones, a flag.
//!
//! Precedence is flag > environment > file > default. `querier.timeout_seconds` in YAML is `PLIMSOLL_QUERIER_TIMEOUT_SECONDS` in the
//! environment. Unknown keys in the file are errors; unknown environment variables are not, because Kubernetes sets `PLIMSOLL_PORT` and the
//! like for a Service of this name.

use std::net::SocketAddr;
use std::path::PathBuf;

use limits::Limits;
use runtime::telemetry::LogFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::target::Targets;

mod layers;
pub mod reference;

pub use layers::{ConfigError, flat, load};

/// All settings of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The roles of this process: `all`, or a comma-separated list of `coordinator`, `ingester`, `distributor`, `querier`, `compactor`, `ruler`.
    #[schemars(with = "String")]
    pub target: Targets,
    /// Everything local: write-ahead log, chunks of heads, blocks, Raft store.
    pub data_dir: PathBuf,
    /// Listener of the HTTP API; port 0 picks one and logs it.
    #[schemars(with = "String")]
    pub http_listen: SocketAddr,
    /// Listener for other roles; port 0 picks one and logs it.
    #[schemars(with = "String")]
    pub grpc_listen: SocketAddr,
    /// gRPC addresses of the Raft group, comma separated; empty for this process alone.
    pub coordinators: String,
    /// Name of this instance, unique per role and stable over restarts; empty takes the host's name.
    pub instance_id: String,
    /// What may be lost at once with this instance, as a data centre: copies of a series lie in different zones, and queries ask their own first. `default` is none: the instance counts as a
    /// zone of its own. With fewer zones than copies, writes need more of those there are: `docs/ingester.md`.
    pub zone: String,
    /// `host:port` at which others reach the gRPC listener; empty takes the listen address.
    pub advertise: String,
    /// Copies of each series: 1 or 3. 0 takes 1 for a process with all roles, else 3. The same in every process.
    pub replication_factor: usize,
    /// Off: every request belongs to the tenant `anonymous`. On: `X-Scope-OrgID` is required.
    pub multitenancy: bool,
    /// How long a stopping process waits for work in progress, in seconds. 30; keep it below the pod's termination grace.
    pub shutdown_timeout_seconds: u64,
    /// Logs.
    pub log: LogConfig,
    /// Traces.
    pub otlp: OtlpConfig,
    /// What clients that look for a certain product find.
    pub compat: CompatConfig,
    /// Where blocks are kept.
    pub object_store: bucket::Settings,
    /// Settings of the distributor.
    pub distributor: distributor::Config,
    /// Settings of the ingester.
    pub ingester: ingester::Config,
    /// Settings of the querier.
    pub querier: querier::Config,
    /// Settings of the ruler.
    pub ruler: ruler::Config,
    /// Settings of the coordinator.
    pub coordinator: coordinator::Config,
    /// Settings of the compactor.
    pub compactor: compactor::Config,
    /// Limits of every tenant.
    pub limits: Limits,
    /// YAML file with limits of single tenants, read again when it changes; empty for none. One that is wrong ends the start; later it changes nothing.
    pub limits_overrides_file: PathBuf,
    /// How often the overrides file is looked at, in seconds; SIGHUP looks at once. 10; 1 to 3,600.
    pub limits_reload_interval_seconds: u64,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What is logged: a level, or directives such as `info,ingester=debug`.
    pub filter: String,
    /// `auto` (text on a terminal, JSON otherwise), `text` or `json`.
    #[schemars(with = "String")]
    pub format: LogFormat,
}

/// Traces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// OTLP gRPC endpoint for spans, for example `http://127.0.0.1:4317`; empty exports nothing.
    pub endpoint: String,
}

/// What clients that look for a certain product find.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompatConfig {
    /// What `status/buildinfo` shows, by which Grafana decides what it offers. `mimir` (default): a Mimir, with what of its APIs there is. `prometheus`: a Prometheus, to
    /// be read only; `status/flags` is answered as well. `none`: 404, which Grafana takes for Cortex.
    pub buildinfo: BuildinfoFace,
}

/// See [`CompatConfig::buildinfo`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BuildinfoFace {
    /// A Mimir.
    #[default]
    Mimir,
    /// A Prometheus.
    Prometheus,
    /// Nothing: 404.
    None,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info,openraft=warn".to_owned(), format: LogFormat::Auto }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target: Targets::all(),
            data_dir: PathBuf::from("./data"),
            http_listen: SocketAddr::from(([127, 0, 0, 1], 9009)),
            grpc_listen: SocketAddr::from(([127, 0, 0, 1], 9095)),
            coordinators: String::new(),
            instance_id: String::new(),
            zone: "default".to_owned(),
            advertise: String::new(),
            replication_factor: 0,
            multitenancy: false,
            shutdown_timeout_seconds: 30,
            log: LogConfig::default(),
            otlp: OtlpConfig::default(),
            compat: CompatConfig::default(),
            object_store: bucket::Settings::default(),
            distributor: distributor::Config::default(),
            ingester: ingester::Config::default(),
            querier: querier::Config::default(),
            ruler: ruler::Config::default(),
            coordinator: coordinator::Config::default(),
            compactor: compactor::Config::default(),
            limits: Limits::default(),
            limits_overrides_file: PathBuf::new(),
            limits_reload_interval_seconds: 10,
        }
    }
}

impl Config {
    /// Copies of each series, the default resolved.
    #[must_use]
    pub fn replicas(&self) -> usize {
        match self.replication_factor {
            0 if self.target.is_all() && self.coordinators.is_empty() => 1,
            0 => 3,
            n => n,
        }
    }

    /// Addresses of the Raft group.
    #[must_use]
    pub fn coordinator_addresses(&self) -> Vec<String> {
        self.coordinators.split(',').map(str::trim).filter(|a| !a.is_empty()).map(str::to_owned).collect()
    }

    /// Where blocks are kept, the default resolved.
    #[must_use]
    pub fn object_store_url(&self) -> String {
        match self.object_store.url.as_str() {
            "" => format!("file://{}", self.data_dir.join("bucket").display()),
            url => url.to_owned(),
        }
    }

    /// Checks what types cannot, role by role.
    pub fn validate(&self) -> Result<(), String> {
        if !matches!(self.replication_factor, 0 | 1 | 3) {
            return Err(format!("replication_factor is {}, but must be 1 or 3 (0 for the default)", self.replication_factor));
        }
        if !self.target.has(crate::target::Target::Coordinator) && self.coordinators.is_empty() {
            return Err("coordinators is empty, but this process does not run the coordinator itself: give --coordinators".to_owned());
        }
        if !(1..=3_600).contains(&self.limits_reload_interval_seconds) {
            return Err(format!("limits_reload_interval_seconds is {}, but must be 1 to 3,600", self.limits_reload_interval_seconds));
        }
        self.limits.validate().map_err(|e| format!("limits.{e}"))?;
        self.distributor.validate().map_err(|e| e.to_string())?;
        self.ingester.validate()?;
        self.querier.validate()?;
        self.ruler.validate()?;
        self.object_store.validate()?;
        self.compactor.validate()?;
        self.coordinator.validate().map_err(|e| e.to_string())
    }
}
