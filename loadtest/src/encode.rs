//! Remote write requests, encoded without building messages: a generator must not cost more than what it measures.

use model::Labels;

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
    pub(crate) fn headers(self) -> [(&'static str, &'static str); 3] {
        let (kind, version) = match self {
            Self::V1 => ("application/x-protobuf", "0.1.0"),
            Self::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
        };
        [("Content-Encoding", "snappy"), ("Content-Type", kind), ("X-Prometheus-Remote-Write-Version", version)]
    }
}

/// What is the same in every request of the same series: their labels, encoded.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    protocol: Protocol,
    /// What comes before the series: in 2.0 the symbols.
    head: Vec<u8>,
    /// Of each series, its labels: in 1.0 the label block, in 2.0 the field of references.
    labels: Vec<Vec<u8>>,
}

impl Template {
    pub(crate) fn new<'a>(protocol: Protocol, series: impl Iterator<Item = &'a Labels>) -> Self {
        match protocol {
            Protocol::V1 => Self { protocol, head: Vec::new(), labels: series.map(|labels| labels.as_bytes().to_vec()).collect() },
            Protocol::V2 => {
                let mut symbols = Symbols::new();
                let labels = series.map(|labels| symbols.references(labels)).collect();
                Self { protocol, head: symbols.encoded, labels }
            }
        }
    }

    /// A request of one sample per series, all at one time in milliseconds, snappy compressed.
    pub(crate) fn request(&self, t: i64, values: impl Iterator<Item = f64>) -> anyhow::Result<Vec<u8>> {
        Ok(snap::raw::Encoder::new().compress_vec(&self.body(t, values))?)
    }

    fn body(&self, t: i64, values: impl Iterator<Item = f64>) -> Vec<u8> {
        // Fields of the messages: series in a request; the sample in a series.
        let (series_tag, sample_tag) = match self.protocol {
            Protocol::V1 => (0x0a, 0x12),
            Protocol::V2 => (0x2a, 0x12),
        };
        let mut time = Vec::with_capacity(11);
        time.push(0x10);
        varint(&mut time, t as u64);
        let sample_len = 9 + time.len();
        let mut out = Vec::with_capacity(self.head.len() + self.labels.iter().map(|l| l.len() + sample_len + 8).sum::<usize>());
        out.extend_from_slice(&self.head);
        for (labels, value) in self.labels.iter().zip(values) {
            out.push(series_tag);
            // A sample is at most 20 bytes long, so its length takes one byte.
            varint(&mut out, (labels.len() + 2 + sample_len) as u64);
            out.extend_from_slice(labels);
            out.push(sample_tag);
            out.push(sample_len as u8);
            out.push(0x09);
            out.extend_from_slice(&value.to_le_bytes());
            out.extend_from_slice(&time);
        }
        out
    }
}

/// The symbol table of remote write 2.0.
struct Symbols {
    known: std::collections::HashMap<String, u32>,
    encoded: Vec<u8>,
}

impl Symbols {
    /// The first symbol is the empty text.
    fn new() -> Self {
        Self { known: std::iter::once((String::new(), 0)).collect(), encoded: vec![0x22, 0] }
    }

    /// The field of references of a series.
    fn references(&mut self, labels: &Labels) -> Vec<u8> {
        let mut packed = Vec::with_capacity(64);
        for (name, value) in labels.iter() {
            for text in [name, value] {
                let at = self.at(text);
                varint(&mut packed, u64::from(at));
            }
        }
        let mut field = vec![0x0a];
        varint(&mut field, packed.len() as u64);
        field.extend_from_slice(&packed);
        field
    }

    fn at(&mut self, text: &str) -> u32 {
        if let Some(at) = self.known.get(text) {
            return *at;
        }
        let at = self.known.len() as u32;
        self.known.insert(text.to_owned(), at);
        self.encoded.push(0x22);
        varint(&mut self.encoded, text.len() as u64);
        self.encoded.extend_from_slice(text.as_bytes());
        at
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use prost::Message;

    use super::{Protocol, Template};

    const T: i64 = 1_700_000_000_123;

    fn two() -> [Labels; 2] {
        let long = "x".repeat(300);
        [Labels::from_pairs([("__name__", "up"), ("job", "x")]), Labels::from_pairs([("__name__", "up"), ("job", long.as_str())])]
    }

    #[test]
    fn hand_written_bytes_are_remote_write_1() {
        let body = Template::new(Protocol::V1, two().iter()).body(T, [1.5, -2.0].into_iter());
        let read = proto::remote_write_v1::WriteRequest::decode(body.as_slice()).unwrap();
        assert_eq!(read.timeseries.len(), 2);
        assert_eq!(read.timeseries[0].labels[1].value, "x");
        assert_eq!((read.timeseries[1].samples[0].value, read.timeseries[1].samples[0].timestamp), (-2.0, T));
    }

    #[test]
    fn hand_written_bytes_are_remote_write_2() {
        let body = Template::new(Protocol::V2, two().iter()).body(T, [1.5, -2.0].into_iter());
        let read = proto::remote_write_v2::Request::decode(body.as_slice()).unwrap();
        // The empty one, which every request begins with, and five.
        assert_eq!(read.symbols.len(), 6);
        assert_eq!(read.timeseries.len(), 2);
        let texts = |i: usize| read.timeseries[i].labels_refs.iter().map(|at| read.symbols[*at as usize].len()).collect::<Vec<_>>();
        assert_eq!((texts(0), texts(1)), (vec![8, 2, 3, 1], vec![8, 2, 3, 300]));
        assert_eq!((read.timeseries[1].samples[0].value, read.timeseries[1].samples[0].timestamp), (-2.0, T));
    }
}
