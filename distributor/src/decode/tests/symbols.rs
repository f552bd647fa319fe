//! Faults that only remote write 2.0 can have.

use super::*;
use crate::decode::WireFault;

/// A request with these symbols and these series.
fn request(symbols: &[&[u8]], series: &[Vec<u8>]) -> Vec<u8> {
    let table: Vec<u8> = symbols.iter().flat_map(|s| field(4, s)).collect();
    [table, series.iter().flat_map(|s| field(5, s)).collect()].concat()
}

const UP: [&[u8]; 3] = [b"", b"__name__", b"up"];

#[test]
fn references_are_checked() {
    let fault = |body: Vec<u8>| match decode_once(Protocol::V2, &body) {
        Err(RequestError::Malformed(e)) => Some(e.fault),
        other => panic!("{:?}", other.map(|d| d.received)),
    };
    assert_eq!(fault(request(&[b"x", b"y"], &[])), Some(WireFault::FirstSymbol));
    assert_eq!(fault(request(&UP, &[[field(1, &[1, 3]), sample(1)].concat()])), Some(WireFault::Reference(3)));
    assert_eq!(fault(request(&UP, &[[field(1, &[1]), sample(1)].concat()])), Some(WireFault::OddReferences));
    assert_eq!(fault(request(&UP, &[[vec![0x08, 1], sample(1)].concat()])), Some(WireFault::OddReferences));
    assert_eq!(fault(request(&[], &[[field(1, &[0, 0]), sample(1)].concat()])), Some(WireFault::Reference(0)));
    let huge = field(1, &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert_eq!(fault(request(&UP, &[[huge, sample(1)].concat()])), Some(WireFault::Reference(u64::MAX)));
    assert_eq!(fault(request(&UP, &[[field(1, &[1, 2]), sample(1), field(5, &[0x18, 9])].concat()])), Some(WireFault::Reference(9)));
}

#[test]
fn references_need_not_be_packed_or_together() {
    let body = request(&[b"", b"__name__", b"up", b"a", b"1"], &[[vec![0x08, 3, 0x08, 4], sample(1), field(1, &[1, 2])].concat()]);
    assert_eq!(written(&decode_once(Protocol::V2, &body).unwrap().batch), [("{__name__=\"up\", a=\"1\"}".to_owned(), 1)]);
}

#[test]
fn bad_series_cost_only_themselves() {
    let symbols: [&[u8]; 6] = [b"", b"__name__", b"up", b"a", b"\xff", b"1"];
    let good = [field(1, &[1, 2]), sample(1)].concat();
    let cases: [(&[u8], RejectReason); 5] = [
        (&[3, 5], RejectReason::MissingMetricName),
        (&[1, 2, 3, 5, 3, 5], RejectReason::DuplicateLabelName),
        (&[1, 2, 3, 4], RejectReason::InvalidUtf8),
        (&[1, 2, 0, 5], RejectReason::InvalidLabelName),
        (&[], RejectReason::MissingMetricName),
    ];
    for (refs, reason) in cases {
        let body = request(&symbols, &[good.clone(), [field(1, refs), sample(1), sample(2)].concat(), good.clone()]);
        let decoded = decode_once(Protocol::V2, &body).unwrap();
        assert_eq!(refused(&decoded), [(reason, 2)]);
        assert_eq!(written(&decoded.batch).len(), 2);
    }
    let body = request(&symbols, &[field(1, &[1, 2]), good]);
    let decoded = decode_once(Protocol::V2, &body).unwrap();
    assert_eq!(refused(&decoded), [(RejectReason::EmptySeries, 0)]);
    assert_eq!(written(&decoded.batch).len(), 1);
}

#[test]
fn a_large_symbol_named_often_is_bounded() {
    let large = vec![b'x'; 2_000];
    let refs: Vec<u8> = [1, 2].repeat(20);
    let series = [field(1, &refs), sample(1)].concat();
    let result = decode_once(Protocol::V2, &request(&[b"", b"__name__", &large], &vec![series; 1_000]));
    assert!(matches!(result, Err(RequestError::TooLarge { setting: "max_batch_bytes", .. })));
}
