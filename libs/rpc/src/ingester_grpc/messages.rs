//! Requests and answers of [`crate::ingester`] as messages and back, of parts that `proto::convert` converts. Used by the client here and by the ingester's gRPC service.

use model::Projection;
use proto::convert::InvalidMessage;
use proto::convert::ingester as convert;
use proto::ingester as wire;

use crate::ingester::{
    Cardinality, CardinalityRequest, ExemplarSeries, LabelCounts, LabelValuesRequest, SeriesRequest, StreamSelectRequest,
};

/// The message for a select.
#[must_use]
pub fn select_to_wire(request: &StreamSelectRequest) -> wire::SelectRequest {
    wire::SelectRequest {
        matchers: convert::matchers_to_wire(&request.matchers),
        min_t: request.min_t,
        max_t: request.max_t,
        sorted: request.sorted,
        newest_only: request.projection.newest_only,
        some_labels: request.projection.labels.is_some(),
        labels: request.projection.labels.as_deref().unwrap_or_default().to_vec(),
    }
}

/// The select of a message.
pub fn select_from_wire(message: &wire::SelectRequest) -> Result<StreamSelectRequest, InvalidMessage> {
    Ok(StreamSelectRequest {
        matchers: convert::matchers_from_wire(&message.matchers)?,
        min_t: message.min_t,
        max_t: message.max_t,
        sorted: message.sorted,
        projection: Projection { newest_only: message.newest_only, labels: message.some_labels.then(|| message.labels.as_slice().into()) },
    })
}

/// The message for a question about series.
#[must_use]
pub fn series_to_wire(request: &SeriesRequest) -> wire::SeriesRequest {
    wire::SeriesRequest {
        selectors: convert::selectors_to_wire(&request.selectors),
        min_t: request.min_t,
        max_t: request.max_t,
        limit: request.limit as u64,
    }
}

/// The question about series of a message.
pub fn series_from_wire(message: &wire::SeriesRequest) -> Result<SeriesRequest, InvalidMessage> {
    Ok(SeriesRequest {
        selectors: convert::selectors_from_wire(&message.selectors)?,
        min_t: message.min_t,
        max_t: message.max_t,
        limit: usize::try_from(message.limit).unwrap_or(usize::MAX),
    })
}

/// The message for a question about a label's values.
#[must_use]
pub fn label_values_to_wire(request: &LabelValuesRequest) -> wire::LabelValuesRequest {
    wire::LabelValuesRequest { name: request.name.clone(), series: Some(series_to_wire(&request.series)) }
}

/// The question about a label's values of a message.
pub fn label_values_from_wire(message: wire::LabelValuesRequest) -> Result<LabelValuesRequest, InvalidMessage> {
    let series = message.series.ok_or_else(|| InvalidMessage("label values of which series?".to_owned()))?;
    Ok(LabelValuesRequest { name: message.name, series: series_from_wire(&series)? })
}

/// The message for series with exemplars.
#[must_use]
pub fn exemplars_to_wire(series: &[ExemplarSeries]) -> wire::ExemplarsResponse {
    let series = series.iter().map(|s| wire::ExemplarSeries {
        labels: convert::labels_to_wire(&s.labels),
        exemplars: s.exemplars.iter().map(convert::exemplar_to_wire).collect(),
    });
    wire::ExemplarsResponse { series: series.collect() }
}

/// The series with exemplars of a message.
pub fn exemplars_from_wire(message: wire::ExemplarsResponse) -> Result<Vec<ExemplarSeries>, InvalidMessage> {
    let series = message.series.into_iter().map(|s| {
        let labels = convert::labels_from_wire(&s.labels)?;
        let exemplars = s.exemplars.iter().map(convert::exemplar_from_wire).collect::<Result<_, _>>()?;
        Ok(ExemplarSeries { labels, exemplars })
    });
    series.collect()
}

/// The message for a question about cardinality.
#[must_use]
pub fn cardinality_request_to_wire(request: &CardinalityRequest) -> wire::CardinalityRequest {
    wire::CardinalityRequest {
        names: request.names.clone(),
        matchers: convert::matchers_to_wire(&request.matchers),
        min_t: request.min_t,
        max_t: request.max_t,
    }
}

/// The question about cardinality of a message.
pub fn cardinality_request_from_wire(message: wire::CardinalityRequest) -> Result<CardinalityRequest, InvalidMessage> {
    let matchers = convert::matchers_from_wire(&message.matchers)?;
    Ok(CardinalityRequest { names: message.names, matchers, min_t: message.min_t, max_t: message.max_t })
}

/// The message for numbers of series.
#[must_use]
pub fn cardinality_to_wire(cardinality: Cardinality) -> wire::CardinalityResponse {
    let (min_t, max_t) = cardinality.times.unwrap_or((1, 0));
    let labels = cardinality.labels.into_iter().map(|label| {
        let (values, series) = label.values.into_iter().unzip();
        wire::LabelCounts { name: label.name, values, series }
    });
    wire::CardinalityResponse {
        series: cardinality.series,
        chunks: cardinality.chunks,
        min_t,
        max_t,
        labels: labels.collect(),
        total_series: cardinality.total_series,
    }
}

/// The numbers of series of a message.
pub fn cardinality_from_wire(message: wire::CardinalityResponse) -> Result<Cardinality, InvalidMessage> {
    let wire::CardinalityResponse { series, total_series, chunks, min_t, max_t, labels } = message;
    let labels = labels.into_iter().map(|label| {
        if label.values.len() != label.series.len() {
            return Err(InvalidMessage(format!("{} values of a label with {} numbers of series", label.values.len(), label.series.len())));
        }
        Ok(LabelCounts { name: label.name, values: label.values.into_iter().zip(label.series).collect() })
    });
    let labels = labels.collect::<Result<_, _>>()?;
    let times = (min_t <= max_t).then_some((min_t, max_t));
    Ok(Cardinality { series, total_series, chunks, times, labels })
}

/// The message for names of blocks.
#[must_use]
pub fn held_blocks_to_wire(ulids: &[u128]) -> wire::HeldBlocksResponse {
    wire::HeldBlocksResponse { ulids: ulids.iter().flat_map(|ulid| ulid.to_be_bytes()).collect() }
}

/// The names of blocks of a message.
pub fn held_blocks_from_wire(message: &wire::HeldBlocksResponse) -> Result<Vec<u128>, InvalidMessage> {
    let (ulids, []) = message.ulids.as_chunks() else {
        return Err(InvalidMessage(format!("names of blocks of {} bytes, which is no multiple of 16", message.ulids.len())));
    };
    Ok(ulids.iter().map(|bytes| u128::from_be_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::{held_blocks_from_wire, held_blocks_to_wire, wire};

    #[test]
    fn names_of_blocks_survive_the_wire_and_half_a_name_is_refused() {
        let ulids = [1, 1 << 100, u128::MAX];
        assert_eq!(held_blocks_from_wire(&held_blocks_to_wire(&ulids)), Ok(ulids.to_vec()));
        assert_eq!(held_blocks_from_wire(&held_blocks_to_wire(&[])), Ok(Vec::new()));
        assert!(held_blocks_from_wire(&wire::HeldBlocksResponse { ulids: vec![0; 17].into() }).is_err());
    }
}
