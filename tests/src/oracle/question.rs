//! What both servers are asked.

use std::fmt;

use super::data::SPAN_MS;
use super::expression::Expressions;
use super::random::Random;
use crate::client::Client;

/// A request of the query API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Below `/api/v1/`.
    pub path: String,
    /// Parameters, in order.
    pub params: Vec<(String, String)>,
}

impl Question {
    /// A question.
    #[must_use]
    pub fn new(path: &str, params: &[(&str, &str)]) -> Self {
        Self { path: path.to_owned(), params: params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect() }
    }

    /// A random expression as an instant query or as a range query.
    pub fn random(random: &mut Random, base: i64) -> Self {
        let query = Expressions { random, base, span: SPAN_MS }.any();
        let end = base + time_in(random);
        if random.percent(50) {
            return Self::new("query", &[("query", &query), ("time", &seconds(end))]);
        }
        let step = [1_000, 5_000, 15_000, 30_000, 37_000, 60_000, 61_500, 300_000, 3_600_000][random.below(9) as usize];
        let start = end - step * random.between(0, 25);
        let step = format!("{}", step as f64 / 1_000.0);
        Self::new("query_range", &[("query", &query), ("start", &seconds(start)), ("end", &seconds(end)), ("step", &step)])
    }

    /// A request of the label APIs.
    pub fn random_labels(random: &mut Random, base: i64) -> Self {
        let mut params: Vec<(String, String)> = Vec::new();
        let path = match random.below(3) {
            0 => "series".to_owned(),
            1 => "labels".to_owned(),
            _ => format!(
                "label/{}/values",
                random.pick(&["job", "instance", "__name__", "code", "le", "missing", "text", "U__service_2e_name", "a-b"])
            ),
        };
        let least = u64::from(path == "series");
        for _ in 0..random.below(3).max(least) {
            let selector = Expressions { random, base, span: SPAN_MS }.bare_selector();
            params.push(("match[]".to_owned(), selector));
        }
        if random.percent(30) {
            // All of the data, or none of it: Prometheus looks at whole blocks and chunks.
            let (start, end) = if random.percent(80) { (base, base + SPAN_MS) } else { (base - 90_000_000, base - 80_000_000) };
            params.push(("start".to_owned(), seconds(start)));
            params.push(("end".to_owned(), seconds(end)));
        }
        if random.percent(20) {
            params.push(("limit".to_owned(), random.pick(&["0", "1", "2", "5", "1000"]).to_owned()));
        }
        Self { path, params }
    }

    /// A parameter, or nothing.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// The status and the body of a server's answer.
    pub async fn ask(&self, client: &Client) -> anyhow::Result<(u16, String)> {
        let response = client.http().get(format!("{}/api/v1/{}", client.base(), self.path)).query(&self.params).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }
}

/// A time of evaluation, after the first scrape: at a scrape, at a whole minute, or anywhere, seldom beyond the data.
fn time_in(random: &mut Random) -> i64 {
    match random.below(4) {
        0 => random.between(-4, SPAN_MS / 30_000 + 8) * 30_000,
        1 => random.between(0, SPAN_MS / 60_000) * 60_000,
        2 => random.between(0, SPAN_MS / 1_000) * 1_000,
        _ => random.between(-60_000, SPAN_MS + 400_000),
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        self.params.iter().try_for_each(|(name, value)| write!(f, "  {name}={value}"))
    }
}
