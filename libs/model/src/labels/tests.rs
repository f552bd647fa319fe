use proptest::prelude::*;

use super::{LabelBlock, Labels, LabelsBuilder, read_varint};
use crate::rejection::RejectReason;

#[test]
fn canonical_block_is_remote_write_encoding() {
    let labels = Labels::from_pairs([("b", "2"), ("a", "1")]);
    assert_eq!(labels.as_bytes(), b"\x0a\x06\x0a\x01a\x12\x011\x0a\x06\x0a\x01b\x12\x012");
    assert_eq!(labels.to_string(), r#"{a="1", b="2"}"#);
}

#[test]
fn empty_values_are_no_labels() {
    assert_eq!(Labels::from_pairs([("a", ""), ("b", "x")]), Labels::from_pairs([("b", "x")]));
}

#[test]
fn validation_names_the_fault() {
    let block = |parts: &[&[u8]]| parts.concat();
    let a: &[u8] = b"\x0a\x06\x0a\x01a\x12\x011";
    let b: &[u8] = b"\x0a\x06\x0a\x01b\x12\x012";
    let cases: [(Vec<u8>, Result<(), RejectReason>); 8] = [
        (block(&[a, b]), Ok(())),
        (Vec::new(), Ok(())),
        (block(&[b, a]), Err(RejectReason::LabelsNotSorted)),
        (block(&[a, a]), Err(RejectReason::DuplicateLabelName)),
        (b"\x0a\x05\x0a\x00\x12\x011".to_vec(), Err(RejectReason::InvalidLabelName)),
        (b"\x0a\x06\x0a\x01\xff\x12\x011".to_vec(), Err(RejectReason::InvalidUtf8)),
        (b"\x0a\x05\x0a\x01a\x12\x00".to_vec(), Err(RejectReason::LabelsNotSorted)),
        (b"\x0a\x86\x00\x0a\x01a\x12\x011".to_vec(), Err(RejectReason::LabelsNotSorted)),
    ];
    for (bytes, want) in cases {
        assert_eq!(LabelBlock::validate(&bytes).map(|_| ()), want, "{bytes:x?}");
    }
}

#[test]
fn varints_are_bounded() {
    assert_eq!(read_varint(&[0x96, 0x01]), Some((150, 2)));
    assert_eq!(read_varint(&[0xff; 11]), None);
    assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Some((u64::MAX, 10)));
    assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), None);
    assert_eq!(read_varint(&[0x80]), None);
}

proptest! {
    #[test]
    fn round_trip_order_and_filter(pairs in proptest::collection::btree_map("[a-z]{1,8}", "\\PC{1,300}", 0..12)) {
        let labels = Labels::from_pairs(pairs.iter());
        prop_assert!(LabelBlock::validate(labels.as_bytes()).is_ok());
        let back: Vec<_> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        prop_assert_eq!(back, pairs.clone().into_iter().collect::<Vec<_>>());
        for (name, value) in &pairs {
            prop_assert_eq!(labels.get(name), Some(value.as_str()));
        }
        prop_assert_eq!(LabelsBuilder::from_labels(&labels).build(), labels.clone());
        let kept = labels.keeping(|n| n < "m");
        let want = Labels::from_pairs(pairs.iter().filter(|(n, _)| n.as_str() < "m"));
        prop_assert_eq!(&kept, &want);
        prop_assert_eq!(labels.without(|n| n >= "m"), want);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let valid = LabelBlock::validate(&bytes).is_ok();
        let block = LabelBlock::from_validated(&bytes);
        let count = block.iter().count();
        if valid && !bytes.is_empty() { prop_assert!(count > 0); }
    }
}
