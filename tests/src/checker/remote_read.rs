//! Remote read: the only way to read that shows every bit of a value.

use anyhow::{Context, ensure};
use loadtest::ledger::{Answer, Row, Selection};
use model::Labels;
use prost::Message;
use proto::remote_read as wire;

use crate::client::Client;

/// Every sample of the selection.
pub(super) async fn read(client: &Client, asked: &Selection) -> anyhow::Result<Answer> {
    let request = wire::ReadRequest {
        queries: vec![wire::Query {
            start_timestamp_ms: *asked.times.start(),
            end_timestamp_ms: *asked.times.end(),
            matchers: asked.equal.iter().map(|(name, value)| matcher(name, value)).collect(),
        }],
        accepted_response_types: vec![wire::read_request::ResponseType::Samples as i32],
    };
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec())?;
    let post = client.request(reqwest::Method::POST, "/api/v1/read").header("Content-Type", "application/x-protobuf");
    let post = post.header("Content-Encoding", "snappy").header("X-Prometheus-Remote-Read-Version", "0.1.0").body(body);
    let response = post.send().await?;
    let status = response.status();
    let body = response.bytes().await?;
    ensure!(status == 200, "remote read answered {status}: {}", String::from_utf8_lossy(&body));
    decode(&snap::raw::Decoder::new().decompress_vec(&body)?)
}

fn matcher(name: &str, value: &str) -> wire::LabelMatcher {
    wire::LabelMatcher { r#type: wire::label_matcher::Type::Eq as i32, name: name.to_owned(), value: value.to_owned() }
}

/// An answer to one query.
pub(super) fn decode(body: &[u8]) -> anyhow::Result<Answer> {
    let mut response = wire::ReadResponse::decode(body)?;
    let result = response.results.pop().context("a result")?;
    ensure!(response.results.is_empty(), "one query has one result");
    let row = |series: wire::TimeSeries| {
        ensure!(series.histograms.is_empty(), "a histogram where only floats were sent");
        let labels = Labels::from_pairs(series.labels.iter().map(|label| (&label.name, &label.value)));
        Ok(Row { labels, points: series.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect() })
    };
    Ok(Answer::bits(result.timeseries.into_iter().map(row).collect::<anyhow::Result<_>>()?))
}
