//! Plimsoll and its peers: how each is started, and where it listens to what.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::encode::Protocol;

/// A server that takes remote write and answers Prometheus's queries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// All roles in one process.
    #[default]
    Plimsoll,
    /// Prometheus as a remote write receiver.
    Prometheus,
    /// VictoriaMetrics, single node.
    VictoriaMetrics,
}

impl Kind {
    /// Plimsoll first: the others are compared with it.
    pub(crate) const ALL: [Self; 3] = [Self::Plimsoll, Self::Prometheus, Self::VictoriaMetrics];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plimsoll => "Plimsoll",
            Self::Prometheus => "Prometheus",
            Self::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    /// The program: Plimsoll's beside this one, another's on the PATH.
    pub(crate) fn binary(self) -> anyhow::Result<PathBuf> {
        let program = match self {
            Self::Plimsoll => {
                let beside = std::env::current_exe()?.with_file_name("plimsoll");
                return if beside.exists() { Ok(beside) } else { bail!("{} is not built: run `make build`", beside.display()) };
            }
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|p| p.exists());
        found.with_context(|| format!("{program} is not installed (Debian's package of this name; ci/deps test)"))
    }

    /// Whether it takes this protocol.
    pub(crate) fn takes(self, protocol: Protocol) -> bool {
        self == Self::Plimsoll || protocol == Protocol::V1
    }

    /// Everything on loopback and in `dir`, otherwise default settings.
    pub(super) fn flags(self, dir: &Path, http: &str, grpc: &str) -> anyhow::Result<Vec<String>> {
        let data = self.data_dir(dir);
        Ok(match self {
            Self::Plimsoll => vec![
                "run".to_owned(),
                format!("--http-listen={http}"),
                format!("--grpc-listen={grpc}"),
                format!("--data-dir={}", data.display()),
            ],
            Self::Prometheus => {
                let config = dir.join("prometheus.yml");
                std::fs::write(&config, "global: {scrape_interval: 1m}\n")?;
                vec![
                    format!("--config.file={}", config.display()),
                    format!("--storage.tsdb.path={}", data.display()),
                    format!("--web.listen-address={http}"),
                    "--web.enable-remote-write-receiver".to_owned(),
                    "--web.enable-admin-api".to_owned(),
                    "--log.level=warn".to_owned(),
                ]
            }
            Self::VictoriaMetrics => {
                vec![format!("-storageDataPath={}", data.display()), format!("-httpListenAddr={http}"), "-loggerLevel=WARN".to_owned()]
            }
        })
    }

    pub(super) fn multitenancy(self) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Plimsoll => Ok(vec!["--multitenancy".to_owned()]),
            _ => bail!("{} has one tenant", self.name()),
        }
    }

    /// Its data in the directory that it was given.
    pub(super) fn data_dir(self, dir: &Path) -> PathBuf {
        dir.join("data")
    }

    pub(crate) fn push_path(self) -> &'static str {
        match self {
            Self::Plimsoll => "/api/v1/push",
            Self::Prometheus | Self::VictoriaMetrics => "/api/v1/write",
        }
    }

    pub(crate) fn api_path(self) -> &'static str {
        match self {
            Self::Plimsoll => "/prometheus/api/v1/",
            Self::Prometheus | Self::VictoriaMetrics => "/api/v1/",
        }
    }

    pub(super) fn ready_path(self) -> &'static str {
        match self {
            Self::Plimsoll => "/ready",
            Self::Prometheus => "/-/ready",
            Self::VictoriaMetrics => "/health",
        }
    }

    /// What is added to a query so that it is not answered from a cache of results.
    pub(crate) fn uncached(self) -> &'static str {
        match self {
            Self::VictoriaMetrics => "&nocache=1",
            Self::Plimsoll | Self::Prometheus => "",
        }
    }
}
