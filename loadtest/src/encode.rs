//! Remote write requests, encoded without building messages: a generator must not cost more than what it measures.

use prost::Message;
use proto::remote_write_v2 as v2;

/// Which remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// 1.0
    V1,
    /// 2.0
    V2,
}

impl Protocol {
    /// Headers that tell the receiver.
    pub(crate) fn headers(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::V1 => [("Content-Type", "application/x-protobuf"), ("X-Prometheus-Remote-Write-Version", "0.1.0")],
            Self::V2 => [
                ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
                ("X-Prometheus-Remote-Write-Version", "2.0.0"),
            ],
        }
    }
}

/// A request of one sample per series, snappy compressed: label blocks, time and values.
pub(crate) fn request<'a>(protocol: Protocol, t: i64, samples: impl Iterator<Item = (&'a model::Labels, f64)>) -> anyhow::Result<Vec<u8>> {
    let body = match protocol {
        Protocol::V1 => v1_body(t, samples),
        Protocol::V2 => v2_body(t, samples),
    };
    Ok(snap::raw::Encoder::new().compress_vec(&body)?)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A label block is the encoding of a series' labels in remote write 1.0.
fn v1_body<'a>(t: i64, samples: impl Iterator<Item = (&'a model::Labels, f64)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    let mut sample = Vec::with_capacity(24);
    for (labels, value) in samples {
        sample.clear();
        sample.push(0x09);
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(0x10);
        varint(&mut sample, t as u64);
        let block = labels.as_bytes();
        out.push(0x0a);
        varint(&mut out, (block.len() + 2 + sample.len()) as u64);
        out.extend_from_slice(block);
        out.push(0x12);
        varint(&mut out, sample.len() as u64);
        out.extend_from_slice(&sample);
    }
    out
}

fn v2_body<'a>(t: i64, samples: impl Iterator<Item = (&'a model::Labels, f64)>) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut known: std::collections::HashMap<String, u32> = std::collections::HashMap::new();
    let mut refer = |text: &str| match known.get(text) {
        Some(at) => *at,
        None => {
            let at = symbols.len() as u32;
            symbols.push(text.to_owned());
            known.insert(text.to_owned(), at);
            at
        }
    };
    let timeseries = samples
        .map(|(labels, value)| v2::TimeSeries {
            labels_refs: labels.iter().flat_map(|(name, value)| [name, value]).map(&mut refer).collect(),
            samples: vec![v2::Sample { value, timestamp: t, start_timestamp: 0 }],
            ..v2::TimeSeries::default()
        })
        .collect();
    v2::Request { symbols, timeseries }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    #[test]
    fn hand_written_bytes_are_remote_write() {
        let labels = model::Labels::from_pairs([("__name__", "up"), ("job", "x")]);
        let body = super::v1_body(1_700_000_000_123, std::iter::once((&labels, 1.5)));
        let read = proto::remote_write_v1::WriteRequest::decode(body.as_slice()).unwrap();
        assert_eq!(read.timeseries[0].labels[1].value, "x");
        assert_eq!((read.timeseries[0].samples[0].value, read.timeseries[0].samples[0].timestamp), (1.5, 1_700_000_000_123));
    }
}
