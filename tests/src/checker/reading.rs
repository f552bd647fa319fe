//! Ways to read a selection.

use loadtest::ledger::{Answer, Selection};
use serde_json::Value;

use super::remote_read;
use crate::client::Client;

/// A way to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `/api/v1/read`: every bit.
    RemoteRead,
    /// `/api/v1/query` of a range selector: as numbers.
    PromQl,
}

impl Way {
    /// The answer as the client's tenant; whatever is no answer is an error.
    pub(super) async fn ask(self, client: &Client, asked: &Selection) -> anyhow::Result<Answer> {
        match self {
            Self::RemoteRead => remote_read::read(client, asked).await,
            Self::PromQl => {
                let (first, last) = (*asked.times.start(), *asked.times.end());
                let matchers: Vec<String> =
                    asked.equal.iter().map(|(name, value)| format!("{name}={}", Value::from(value.as_str()))).collect();
                // The range is open at its left end.
                let query = format!("{{{}}}[{}ms]", matchers.join(","), last - first + 1);
                let body = client.api_answer("query", &[("query", &query), ("time", &seconds(last))]).await?;
                let marked = body.get("warnings").and_then(Value::as_array).is_some_and(|warnings| !warnings.is_empty());
                Answer::text(&body["data"], marked)
            }
        }
    }
}

/// Milliseconds as seconds with decimals.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
}
