//! A real Alertmanager, someone whom it tells, and an alert's way there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::Labels;
use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Client, PushSample};
use crate::ledger::now_ms;
use crate::process::{Process, eventually, free_port, installed};

/// Takes webhooks and remembers them.
pub struct Webhook {
    address: String,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    /// Listens on loopback until the test ends.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let all = Arc::clone(&all);
                tokio::spawn(async move {
                    if let Some(message) = take(stream).await {
                        all.lock().push(message);
                    }
                });
            }
        });
        Ok(Self { address, taken })
    }

    /// `status alertname` of every notification so far, in order.
    pub fn told(&self) -> Vec<String> {
        let name = |message: &Value| {
            let label = |alert: &Value| alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned();
            let names: Vec<String> = message["alerts"].as_array().into_iter().flatten().map(label).collect();
            format!("{} {}", message["status"].as_str().unwrap_or_default(), names.join(","))
        };
        self.taken.lock().iter().map(name).collect()
    }

    /// The last notification.
    pub fn last(&self) -> Option<Value> {
        self.taken.lock().last().cloned()
    }
}

/// Reads one request with a body of a known length and answers 200.
async fn take(mut stream: TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(bytes.get(..at)?).to_ascii_lowercase();
            let length: usize = head.lines().find_map(|l| l.strip_prefix("content-length:"))?.trim().parse().ok()?;
            let body = bytes.get(at + 4..)?;
            if body.len() >= length {
                let message = serde_json::from_slice(body.get(..length)?).ok();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.ok()?;
                return message;
            }
        }
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(part.get(..read)?);
    }
}

/// State and `activeAt` of the first alert of a server, if there is one.
pub async fn alert(client: &Client) -> Option<(String, String)> {
    let alerts = client.api("alerts", &[]).await.ok()?;
    let alert = alerts["alerts"].as_array()?.first()?.clone();
    Some((alert["state"].as_str()?.to_owned(), alert["activeAt"].as_str()?.to_owned()))
}

/// Since when, in seconds, the alert is active, by a sample of its series that is no older than `after`, in seconds.
pub async fn active_since(client: &Client, after: i64) -> Option<f64> {
    let query = format!("ALERTS_FOR_STATE and timestamp(ALERTS_FOR_STATE) >= {after}");
    let data = client.query(&query, &(now_ms() / 1_000).to_string()).await.ok()?;
    data["result"].as_array()?.first()?["value"][1].as_str()?.parse().ok()
}

/// Waits until the alert is in this state.
pub async fn wait_for_state(client: &Client, state: &str, within: Duration) -> anyhow::Result<()> {
    eventually(&format!("the alert is {state}"), within, || async { alert(client).await.is_some_and(|(s, _)| s == state) }).await
}

/// Pushes `target_up` every second for ever; pushes that fail are those of a server that is dead.
pub async fn push_target(client: Client, up: Arc<AtomicBool>) {
    loop {
        let v = if up.load(Ordering::Relaxed) { 1.0 } else { 0.0 };
        let labels = Labels::from_pairs([("__name__", "target_up"), ("instance", "a:1"), ("job", "x")]);
        let _ = client.push(&[PushSample { labels, t: now_ms(), v }]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Debian's `prometheus-alertmanager`, which tells a webhook.
pub struct Alertmanager {
    /// Its base URL.
    pub url: String,
    _process: Process,
    _dir: TempDir,
}

impl Alertmanager {
    /// Starts it on loopback. It tells at once, tells of changes after a second, and repeats nothing for an hour.
    pub async fn start(webhook: &Webhook) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let at = format!("127.0.0.1:{}", free_port()?);
        let config = format!(
            "route: {{receiver: test, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
             receivers:\n- name: test\n  webhook_configs: [{{url: 'http://{}/', send_resolved: true}}]\n",
            webhook.address
        );
        let path = dir.path().join("alertmanager.yml");
        std::fs::write(&path, config)?;
        let args = [
            format!("--config.file={}", path.display()),
            format!("--storage.path={}", dir.path().join("data").display()),
            format!("--web.listen-address={at}"),
            "--cluster.listen-address=".to_owned(),
        ];
        let process = Process::start("alertmanager", &installed("prometheus-alertmanager")?, &args, dir.path())?;
        let url = format!("http://{at}");
        let client = Client::new(&url);
        eventually("Alertmanager is ready", Duration::from_secs(60), || async { client.is_ready().await }).await?;
        Ok(Self { url, _process: process, _dir: dir })
    }
}
