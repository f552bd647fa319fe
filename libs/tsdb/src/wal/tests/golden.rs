//! The bytes of version 1, which later versions must read.

use super::*;

/// Two pushes of `a` and `b`: the first with definitions.
const SEGMENT: &str = concat!(
    "504c494d57414c0a010000000100000001000000000000003f7c4a7fb979379e0d19f6d1",
    "f5504c5273000000b7d244680109616e6f6e796d6f757301000000001047d08b010000013a000000020000000002000f0a0d0a085f5f6e",
    "616d655f5f120161000d0a0b0a036a6f621204746573740202000f0a0d0a085f5f6e616d655f5f120162020218000000020000003480c0",
    "b884fa6200208ea017033100208ea01703",
    "f5504c5234000000ae04c8f10109616e6f6e796d6f757301000000984a47d08b01000002180000000200000034b0aaba84fa6230958ea0",
    "17033130958ea01703",
);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn segments_are_written_as_the_format_says() {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, always());
    node.push(&["a", "b"], T0).unwrap();
    node.push(&["a", "b"], T0 + 15_000).unwrap();
    assert_eq!(fs.edit(&segment(1), |bytes| hex(bytes)), SEGMENT);
}

#[test]
fn the_golden_segment_is_read() {
    let bytes: Vec<u8> = SEGMENT.as_bytes().chunks(2).map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 16).unwrap()).collect();
    let fs = FaultyFs::new();
    fs.edit(&segment(1), |file| *file = bytes);
    let (node, report) = Node::start(&fs, always());
    let samples = vec![(T0, T0 as f64), (T0 + 15_000, (T0 + 15_000) as f64)];
    let series = ["a", "b"].map(|name| (labels(&[("__name__", name), ("job", "test")]), samples.clone()));
    assert_eq!((node.floats(), report.records, report.quarantined), (series.to_vec(), 2, 0));
}
