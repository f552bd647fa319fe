//! What the ruler counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// An Alertmanager, of which the settings name a few.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AlertmanagerLabels {
    pub(crate) alertmanager: String,
}

/// Metrics of the ruler.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) groups: Gauge,
    pub(crate) rules: Gauge,
    pub(crate) evaluations: Counter,
    pub(crate) evaluation_failures: Counter,
    pub(crate) samples: Counter,
    pub(crate) iterations: Counter,
    pub(crate) iterations_missed: Counter,
    pub(crate) iteration_seconds: Histogram,
    pub(crate) reload_successful: Gauge,
    pub(crate) reloads: Counter,
    pub(crate) sync_successful: Gauge,
    pub(crate) unreadable: Gauge,
    pub(crate) alerts_sent: Family<AlertmanagerLabels, Counter>,
    pub(crate) send_failures: Family<AlertmanagerLabels, Counter>,
    pub(crate) alerts_dropped: Family<AlertmanagerLabels, Counter>,
    pub(crate) queue: Family<AlertmanagerLabels, Gauge>,
}

impl Metrics {
    /// Registers everything as `plimsoll_ruler_…`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("plimsoll_ruler");
        let metrics = Self {
            groups: Gauge::default(),
            rules: Gauge::default(),
            evaluations: Counter::default(),
            evaluation_failures: Counter::default(),
            samples: Counter::default(),
            iterations: Counter::default(),
            iterations_missed: Counter::default(),
            iteration_seconds: Histogram::new([0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
            reload_successful: Gauge::default(),
            reloads: Counter::default(),
            sync_successful: Gauge::default(),
            unreadable: Gauge::default(),
            alerts_sent: Family::default(),
            send_failures: Family::default(),
            alerts_dropped: Family::default(),
            queue: Family::default(),
        };
        registry.register("groups", "Groups that are evaluated", metrics.groups.clone());
        registry.register("rules", "Rules of these groups", metrics.rules.clone());
        registry.register("rule_evaluations", "Evaluations of rules", metrics.evaluations.clone());
        registry.register("rule_evaluation_failures", "Evaluations of rules that failed", metrics.evaluation_failures.clone());
        registry.register("samples", "Samples that rules gave", metrics.samples.clone());
        registry.register("group_iterations", "Evaluations of groups", metrics.iterations.clone());
        registry.register(
            "group_iterations_missed",
            "Evaluations of groups that were left out because the one before took too long",
            metrics.iterations_missed.clone(),
        );
        registry.register("group_duration_seconds", "Time that the evaluation of a group took", metrics.iteration_seconds.clone());
        registry.register(
            "last_reload_successful",
            "Whether the rule files in force are those last found",
            metrics.reload_successful.clone(),
        );
        registry.register("reloads", "Changes of rule files that were taken up", metrics.reloads.clone());
        registry.register("last_sync_successful", "Whether the stored rule groups could be listed", metrics.sync_successful.clone());
        registry.register(
            "unreadable_groups",
            "Stored groups of this ruler that are wrong or could not be read; what was read of them before is evaluated",
            metrics.unreadable.clone(),
        );
        registry.register("alerts_sent", "Alerts that an Alertmanager took", metrics.alerts_sent.clone());
        registry.register(
            "alert_send_failures",
            "Requests to an Alertmanager that failed; they are tried again",
            metrics.send_failures.clone(),
        );
        registry.register(
            "alerts_dropped",
            "Alerts that an Alertmanager was not told of: its queue was full, or it refused them",
            metrics.alerts_dropped.clone(),
        );
        registry.register("alert_queue_length", "Alerts that wait for an Alertmanager", metrics.queue.clone());
        metrics
    }
}
