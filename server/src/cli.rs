//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A horizontally scalable, multi-tenant, Prometheus-compatible metrics store.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version = runtime::build_info::VERSION)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run roles: all of them in one process, or those of `--target`.
    Run(Box<RunArgs>),
    /// Look at settings without starting anything.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look into a block: a folder with meta.json, index and chunks, written by us or by Prometheus.
    #[command(subcommand)]
    Block(BlockCommand),
    /// Check and test rule files.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Check limits of tenants.
    #[command(subcommand)]
    Limits(LimitsCommand),
    /// Look at the coordinator group and change its members.
    #[command(subcommand)]
    Coordinator(CoordinatorCommand),
    /// Work with PromQL: run test scripts, format and parse expressions.
    #[command(subcommand)]
    Promql(PromqlCommand),
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the reference of all settings as Markdown: docs/configuration.md.
    Reference,
    /// Read the settings as `run` does with the same flags, file and environment, and print those in force. Exit code 1 if `run` would refuse them.
    Check(Box<RunArgs>),
}

/// Settings that are flags of `run` as well: the setting and the flag.
pub const FLAGS: [(&str, &str); 11] = [
    ("target", "target"),
    ("data_dir", "data-dir"),
    ("http_listen", "http-listen"),
    ("grpc_listen", "grpc-listen"),
    ("object_store.url", "object-store"),
    ("coordinators", "coordinators"),
    ("instance_id", "instance-id"),
    ("zone", "zone"),
    ("advertise", "advertise"),
    ("replication_factor", "replication-factor"),
    ("multitenancy", "multitenancy"),
];

/// What to do with rule files.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Read rule files and tell all that is wrong with them. Exit code 1 if anything is.
    Check {
        /// Rule files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Exit with code 3 if two rules write the same series, which is otherwise only told.
        #[arg(long)]
        lint_fatal: bool,
    },
    /// Run unit tests of rules, in promtool's format. Exit code 1 if one fails.
    Test {
        /// Test files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// What to do with limits.
#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Read an overrides file as `limits_overrides_file` is read. Exit code 1 if it could not be used.
    Check {
        /// The overrides file.
        file: PathBuf,
    },
}

/// Which coordinator group.
#[derive(Debug, Args)]
pub struct GroupArgs {
    /// gRPC addresses of any of its members, comma separated.
    #[arg(long, default_value = "127.0.0.1:9095")]
    pub coordinators: String,
}

/// What to do with the coordinator group.
#[derive(Debug, Subcommand)]
pub enum CoordinatorCommand {
    /// Show all members: leader, term, log, lag of each, the cluster's id.
    Status {
        /// The group.
        #[command(flatten)]
        group: GroupArgs,
        /// As JSON: what each member says of itself.
        #[arg(long)]
        json: bool,
    },
    /// Make a running coordinator with an empty data directory a member: a learner first, a voter when it has caught up.
    Add {
        /// The group.
        #[command(flatten)]
        group: GroupArgs,
        /// host:port of the new member's gRPC listener, as the others reach it.
        #[arg(long)]
        address: String,
    },
    /// Take a member out of the group. Refused where most of those left do not answer.
    Remove {
        /// The group.
        #[command(flatten)]
        group: GroupArgs,
        /// The member's address, as `status` shows it.
        #[arg(long)]
        address: String,
        /// Also if most of those left do not answer now.
        #[arg(long)]
        force: bool,
    },
    /// Make another voter the leader. Changes of the cluster wait for about two seconds.
    Transfer {
        /// The group.
        #[command(flatten)]
        group: GroupArgs,
        /// The address of the next leader.
        #[arg(long)]
        address: String,
    },
}

/// What to do with PromQL.
#[derive(Debug, Subcommand)]
pub enum PromqlCommand {
    /// Run test scripts in the language of Prometheus's own promqltest. Fails if any evaluation does, or if a script cannot be read.
    Test {
        /// The scripts.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print an expression over several lines where it is long.
    Format {
        /// The expression.
        expression: String,
    },
    /// Print the syntax tree of an expression as JSON, in the shape of Prometheus's parse_query, or say what is wrong and where.
    Parse {
        /// The expression.
        expression: String,
    },
}

/// What to do with a block.
#[derive(Debug, Subcommand)]
pub enum BlockCommand {
    /// Count series, samples, chunks, bytes per sample and the values of labels.
    Inspect {
        /// The block's folder.
        dir: PathBuf,
    },
    /// Read every byte: checksums, order, references, counts. Fails if anything is wrong.
    Verify {
        /// The block's folder.
        dir: PathBuf,
    },
    /// Print one line for each sample: {labels} value timestamp.
    Dump {
        /// The block's folder.
        dir: PathBuf,
    },
}

/// Flags of `run`. Every other setting is a key of the config file and an environment variable: see the configuration reference.
#[derive(Debug, Args, Default)]
pub struct RunArgs {
    /// YAML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Roles in this process: all, or a list of coordinator, ingester, distributor, querier, compactor, ruler [default: all]
    #[arg(long)]
    pub target: Option<String>,
    /// Everything local: WAL, Raft store [default: ./data]
    #[arg(long)]
    pub data_dir: Option<String>,
    /// HTTP listener; port 0 picks one and logs it [default: 127.0.0.1:9009]
    #[arg(long)]
    pub http_listen: Option<String>,
    /// gRPC listener; port 0 picks one and logs it [default: 127.0.0.1:9095]
    #[arg(long)]
    pub grpc_listen: Option<String>,
    /// Where blocks are kept: file://, memory://, s3://bucket/prefix?endpoint=…&region=…, gs:// or az:// [default: file://<data-dir>/bucket]
    #[arg(long, value_name = "URL")]
    pub object_store: Option<String>,
    /// gRPC addresses of the Raft group, comma separated [default: this process]
    #[arg(long)]
    pub coordinators: Option<String>,
    /// Name in the ring, stable over restarts [default: the host's name]
    #[arg(long)]
    pub instance_id: Option<String>,
    /// Failure domain [default: default]
    #[arg(long)]
    pub zone: Option<String>,
    /// host:port at which others reach the gRPC listener [default: the listen address]
    #[arg(long)]
    pub advertise: Option<String>,
    /// Copies of each series: 1 or 3 [default: 1 for a single process, else 3]
    #[arg(long)]
    pub replication_factor: Option<String>,
    /// Require X-Scope-OrgID; without it every request belongs to the tenant "anonymous"
    #[arg(long)]
    pub multitenancy: bool,
}

impl RunArgs {
    /// The flags that were given, as paths and values of settings.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let given = [
            ("target", &self.target),
            ("data_dir", &self.data_dir),
            ("http_listen", &self.http_listen),
            ("grpc_listen", &self.grpc_listen),
            ("object_store.url", &self.object_store),
            ("coordinators", &self.coordinators),
            ("instance_id", &self.instance_id),
            ("zone", &self.zone),
            ("advertise", &self.advertise),
            ("replication_factor", &self.replication_factor),
        ];
        let mut settings: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        if self.multitenancy {
            settings.push(("multitenancy", "true".to_owned()));
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_a_setting() {
        let command = super::Cli::command();
        let run = command.find_subcommand("run").unwrap();
        let mut flags: Vec<&str> = run.get_arguments().filter_map(clap::Arg::get_long).filter(|flag| *flag != "config").collect();
        let mut named = super::FLAGS.map(|(_, flag)| flag).to_vec();
        flags.sort_unstable();
        named.sort_unstable();
        assert_eq!(flags, named);
    }
}
