//! Telling Alertmanagers: a bounded queue and a task for each.
//!
//! An alert that waits is replaced by what is said later of the same alert, so that an Alertmanager that was away learns how things are,
//! not how they were. What fails is tried again, ever more slowly, until it is out of date: evaluation goes on meanwhile. Tenants take turns,
//! a request is of one tenant, and who has the most waiting loses what does not fit.

mod payload;
mod queue;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use parking_lot::Mutex;
use runtime::Shutdown;
use runtime::clock::SharedClock;
use runtime::failpoint::{self, Failpoint};
use tokio::sync::Notify as Wake;

use crate::alert::Notification;
use crate::config::Config;
use crate::metrics::{AlertmanagerLabels, Metrics};
use crate::rule_file::Rule;
use queue::{Queue, Waiting};

/// Alerts in one request.
const MAX_BATCH: usize = 256;

/// The first and the longest wait before a request is tried again.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// What an answer means.
enum Sent {
    Taken,
    /// Trying again would not help.
    Refused,
    /// Try again.
    Failed,
}

/// One Alertmanager.
pub(crate) struct Alertmanager {
    /// Where alerts are posted to.
    url: String,
    labels: AlertmanagerLabels,
    queue: Mutex<Queue>,
    wake: Wake,
}

/// All Alertmanagers. Clones share them.
#[derive(Clone)]
pub(crate) struct Notifier {
    alertmanagers: Arc<[Alertmanager]>,
    client: reqwest::Client,
    external_labels: Arc<BTreeMap<String, String>>,
    external_url: Arc<str>,
    /// Whether requests say whose alerts they carry.
    names_tenant: bool,
    clock: SharedClock,
    metrics: Metrics,
}

/// The header of Cortex, Loki and Mimir.
const TENANT_HEADER: &str = "X-Scope-OrgID";

impl Notifier {
    /// Alertmanagers of the settings. `names_tenant`: requests carry `X-Scope-OrgID`.
    pub(crate) fn new(config: &Config, names_tenant: bool, clock: SharedClock, metrics: Metrics) -> Result<Self, reqwest::Error> {
        runtime::tls::install();
        let alertmanager = |url: &String| Alertmanager {
            url: format!("{}/api/v2/alerts", url.trim_end_matches('/')),
            labels: AlertmanagerLabels { alertmanager: url.clone() },
            queue: Mutex::new(Queue::new(config.notification_queue_capacity)),
            wake: Wake::new(),
        };
        Ok(Self {
            alertmanagers: config.alertmanager_urls.iter().map(alertmanager).collect(),
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(config.notification_timeout_seconds))
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            external_labels: Arc::new(config.external_labels.clone()),
            external_url: config.external_url.as_str().into(),
            names_tenant,
            clock,
            metrics,
        })
    }

    /// Where alerts are posted to.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.alertmanagers.iter().map(|a| a.url.as_str())
    }

    /// Queues what a tenant's rule has to tell. Never waits.
    pub(crate) fn tell(&self, tenant: &TenantId, rule: &Rule, notifications: &[Notification]) {
        if self.alertmanagers.is_empty() {
            return;
        }
        let waiting: Vec<Waiting> =
            notifications.iter().map(|n| payload::waiting(tenant, rule, n, &self.external_labels, &self.external_url)).collect();
        for alertmanager in self.alertmanagers.iter() {
            let (dropped, length) = {
                let mut queue = alertmanager.queue.lock();
                (waiting.iter().map(|w| queue.push(w.clone())).sum::<u64>(), queue.len())
            };
            self.count_queue(alertmanager, length);
            if dropped > 0 {
                self.metrics.alerts_dropped.get_or_create(&alertmanager.labels).inc_by(dropped);
                tracing::warn!(url = alertmanager.url, dropped, "too many alerts wait (limit: ruler.notification_queue_capacity)");
            }
            alertmanager.wake.notify_one();
        }
    }

    fn count_queue(&self, alertmanager: &Alertmanager, length: usize) {
        self.metrics.queue.get_or_create(&alertmanager.labels).set(i64::try_from(length).unwrap_or(i64::MAX));
    }

    /// The number of Alertmanagers, each of which needs a [`Self::run`].
    pub(crate) fn len(&self) -> usize {
        self.alertmanagers.len()
    }

    /// Sends what waits for one Alertmanager until shutdown is requested, and then, once, what is left.
    pub(crate) async fn run(self, which: usize, mut shutdown: Shutdown) {
        let Some(alertmanager) = self.alertmanagers.get(which) else { return };
        let mut wait = FIRST_RETRY;
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                () = alertmanager.wake.notified() => {}
            }
            while !self.send_next(alertmanager).await {
                tokio::select! {
                    () = shutdown.requested() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                wait = (wait * 2).min(LONGEST_RETRY);
            }
            wait = FIRST_RETRY;
        }
        self.send_next(alertmanager).await;
    }

    /// Sends batches until nothing waits; `false` if one failed, which waits again then.
    async fn send_next(&self, alertmanager: &Alertmanager) -> bool {
        loop {
            let batch = alertmanager.queue.lock().take(MAX_BATCH, self.clock.now_ms());
            if batch.is_empty() {
                self.count_queue(alertmanager, 0);
                return true;
            }
            let count = batch.len() as u64;
            match self.post(alertmanager, &batch).await {
                Sent::Taken => drop(self.metrics.alerts_sent.get_or_create(&alertmanager.labels).inc_by(count)),
                Sent::Refused => drop(self.metrics.alerts_dropped.get_or_create(&alertmanager.labels).inc_by(count)),
                Sent::Failed => {
                    self.metrics.send_failures.get_or_create(&alertmanager.labels).inc();
                    let mut queue = alertmanager.queue.lock();
                    queue.put_back(batch);
                    let length = queue.len();
                    drop(queue);
                    self.count_queue(alertmanager, length);
                    return false;
                }
            }
        }
    }

    async fn post(&self, alertmanager: &Alertmanager, batch: &[Waiting]) -> Sent {
        let url = alertmanager.url.as_str();
        if let Err(injected) = failpoint::hit(Failpoint::RulerSend).await {
            tracing::warn!(url, error = %injected, alerts = batch.len(), "alerts were not sent and wait");
            return Sent::Failed;
        }
        let mut request = self.client.post(url).header("Content-Type", "application/json").body(payload::body(batch));
        if let (true, Some(first)) = (self.names_tenant, batch.first()) {
            request = request.header(TENANT_HEADER, first.tenant.as_str());
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Sent::Taken,
            Ok(answer) if answer.status().is_client_error() && answer.status() != reqwest::StatusCode::TOO_MANY_REQUESTS => {
                tracing::error!(url, status = %answer.status(), alerts = batch.len(), "an Alertmanager refused alerts");
                Sent::Refused
            }
            Ok(answer) => {
                tracing::warn!(url, status = %answer.status(), alerts = batch.len(), "an Alertmanager failed; alerts wait");
                Sent::Failed
            }
            Err(error) => {
                tracing::warn!(url, %error, alerts = batch.len(), "an Alertmanager cannot be reached; alerts wait");
                Sent::Failed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use prometheus_client::registry::Registry;
    use runtime::{ManualClock, ShutdownTrigger, Tasks};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::rule_file::parse;

    /// The request that an Alertmanager gets, its header names in lower case, of an alert of the tenant `team-a`.
    async fn request(names_tenant: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let config = Config { alertmanager_urls: vec![url], ..Config::default() };
        let metrics = Metrics::register(&mut Registry::default());
        let notifier = Notifier::new(&config, names_tenant, Arc::new(ManualClock::at(0)), metrics).expect("a client");
        let (_trigger, shutdown) = ShutdownTrigger::new();
        Tasks::new().spawn("alertmanager", notifier.clone().run(0, shutdown));
        let text = "groups: [{name: g, rules: [{alert: A, expr: up}]}]";
        let rule = parse(text, &promql::ParseOptions::default()).expect("a rule").remove(0).rules.remove(0);
        let labels = Labels::from_pairs([("alertname", "A")]);
        let n = Notification { labels, annotations: Vec::new(), starts_at: Some(0), ends_at: None, resolved: true };
        notifier.tell(&TenantId::new("team-a").expect("a tenant"), &rule, &[n]);
        let (mut stream, _) = listener.accept().await.expect("a request");
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"]") {
            assert!(stream.read_buf(&mut bytes).await.expect("a request") > 0);
        }
        String::from_utf8(bytes).expect("text").to_lowercase()
    }

    #[tokio::test]
    async fn a_request_says_whose_alerts_it_carries() {
        let with = request(true).await;
        assert!(with.starts_with("post /api/v2/alerts ") && with.contains("\r\nx-scope-orgid: team-a\r\n"), "{with}");
        assert!(!request(false).await.contains("x-scope-orgid"));
    }
}
