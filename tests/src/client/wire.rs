//! Remote write and remote read with every bit of a value: generated code leaves a value out that equals zero, and minus zero does.

use proto::remote_write_v1::Label;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Sample {
    #[prost(double, optional, tag = "1")]
    pub(crate) value: Option<f64>,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}
