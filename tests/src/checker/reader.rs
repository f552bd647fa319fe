//! A reader that goes on whatever happens: each answer must be right, an error, or say of itself that something is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::ledger::{Findings, Selection};

use super::Checker;
use super::reading::Way;
use crate::client::Client;
use crate::ledger::now_ms;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);
/// As many errors are kept as examples.
const EXAMPLES: usize = 5;

/// What asking came to.
#[derive(Debug, Default)]
pub struct Asked {
    /// Answers that were right.
    pub right: usize,
    /// Of these, how many said that something is missing.
    pub marked: usize,
    /// Samples in them that were acknowledged before.
    pub found: usize,
    /// Questions that were answered with an error.
    pub failed: usize,
    /// What the first of them said.
    pub failures: Vec<String>,
    /// What was wrong with answers.
    pub findings: Findings,
}

/// Asks until told to stop.
pub struct Reader {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Asked>,
}

impl Reader {
    /// Starts asking for the last `window` of `ledger_value` of every client in turn, by every way in turn.
    #[must_use]
    pub fn start(checker: &Checker, clients: Vec<Client>, window: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, checker) = (Arc::clone(&stop), checker.clone());
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let task = tokio::spawn(async move {
            let mut asked = Asked::default();
            let ways = [Way::RemoteRead, Way::PromQl];
            for (client, way) in clients.iter().flat_map(|client| ways.map(|way| (client, way))).cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let now = now_ms();
                let selection = Selection::metric(client.tenant(), "ledger_value", now - window_ms..=now);
                checker.question(client, way, &selection, &mut asked).await;
                tokio::time::sleep(PAUSE).await;
            }
            asked
        });
        Self { stop, task }
    }

    /// Stops; an error if an answer was wrong, or there was none at all.
    pub async fn stop(self) -> anyhow::Result<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let asked = self.task.await.context("the reader ended badly")?;
        ensure!(asked.findings.is_good(), "answers were neither right nor errors: {}", asked.findings);
        ensure!(asked.found > 0, "no answer had anything in it: {asked:?}");
        Ok(asked)
    }
}

impl Checker {
    async fn question(&self, client: &Client, way: Way, selection: &Selection, asked: &mut Asked) {
        let mark = self.ledger.lock().mark();
        match way.ask(client, selection).await {
            Ok(answer) => {
                let findings = self.ledger.lock().check_since(mark, selection, &answer);
                asked.found += findings.found;
                asked.right += usize::from(findings.is_good());
                asked.marked += usize::from(answer.marked);
                asked.findings.add(findings);
            }
            Err(error) => {
                asked.failed += 1;
                if asked.failures.len() < EXAMPLES {
                    asked.failures.push(format!("{error:#}"));
                }
            }
        }
    }
}
