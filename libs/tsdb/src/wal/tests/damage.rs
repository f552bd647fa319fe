//! Torn tails, flipped bits, strange files.

use proptest::prelude::*;

use super::*;
use crate::wal::frame::MARKER;

/// A log of twelve pushes in one segment, and where each record ends.
fn twelve() -> (FaultyFs, Floats, Vec<usize>) {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, always());
    let mut ends = Vec::new();
    for i in 0..12 {
        node.push(&["a", ["b", "c", "d"][i as usize % 3]], T0 + i).unwrap();
        ends.push(fs.edit(&segment(1), |bytes| bytes.len()));
    }
    (fs, node.floats(), ends)
}

/// The samples of pushes before `n`.
fn first(all: &Floats, n: usize) -> Floats {
    let cut = all.iter().map(|(l, s)| (l.clone(), s.iter().copied().filter(|(t, _)| *t < T0 + n as i64).collect::<Vec<_>>()));
    cut.filter(|(_, s)| !s.is_empty()).collect()
}

#[test]
fn a_tail_torn_at_any_byte_is_cut() {
    let (fs, all, ends) = twelve();
    let full = *ends.last().unwrap();
    for len in 0..=full {
        let torn = fs.after_kill();
        torn.edit(&segment(1), |bytes| bytes.truncate(len));
        let (node, report) = Node::start(&torn, always());
        let whole = ends.iter().filter(|end| **end <= len).count();
        assert_eq!(node.floats(), first(&all, whole), "cut at {len}");
        let clean = if whole == 0 { super::super::frame::HEADER_BYTES } else { ends[whole - 1] };
        if len >= super::super::frame::HEADER_BYTES {
            assert_eq!((report.torn_bytes as usize, report.quarantined), (len - clean, 0), "cut at {len}");
            assert_eq!(torn.edit(&segment(1), |bytes| bytes.len()), clean);
        }
        // Life goes on, and the next start finds no damage.
        node.push(&["z"], T0 + 50).unwrap();
        let after = node.floats();
        let (next, report) = Node::start(&torn.after_power_cut(), always());
        if len >= super::super::frame::HEADER_BYTES {
            assert_eq!((report.torn_bytes, report.quarantined, report.heads.orphans), (0, 0, 0));
            assert_eq!(next.floats(), after);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    /// A damaged place costs the records that it touches, and, if it held definitions, the samples that rely on them. What is read is right.
    #[test]
    fn flipped_bits_are_found(at in 0_usize..10_000, bit in 0..8, more in proptest::collection::vec((0_usize..10_000, any::<u8>()), 0..3)) {
        let (fs, all, ends) = twelve();
        let broken = fs.after_kill();
        let mut hurt = std::collections::BTreeSet::new();
        broken.edit(&segment(1), |bytes| {
            let mut change = |at: usize, mask: u8| {
                let at = at % bytes.len();
                bytes[at] ^= mask;
                if mask != 0 {
                    hurt.insert(ends.iter().filter(|end| **end <= at).count() as i64);
                }
            };
            change(at, 1_u8 << bit);
            more.iter().for_each(|(at, mask)| change(*at, *mask));
        });
        let header_hurt = broken.edit(&segment(1), |bytes| super::super::frame::Header::decode(bytes).is_none());
        let (node, report) = Node::start(&broken, always());
        prop_assert!(report.quarantined + u64::from(report.torn_bytes > 0) > 0 || hurt.is_empty() || all == node.floats());
        let found = node.floats();
        for (labels, samples) in &found {
            let (_, all) = all.iter().find(|(l, _)| l == labels).expect("a series that was pushed");
            prop_assert!(samples.iter().all(|s| all.contains(s)));
        }
        // The first three records define the series; what is whole and relies only on whole ones is there.
        let defined = |name: &str| match name { "a" | "b" => !hurt.contains(&0), "c" => !hurt.contains(&1), _ => !hurt.contains(&2) };
        if !header_hurt && !hurt.is_empty() {
            for (labels, samples) in &all {
                let name = labels.get("__name__").unwrap();
                for (t, v) in samples.iter().filter(|(t, _)| defined(name) && !hurt.contains(&(t - T0))) {
                    let there = found.iter().any(|(l, s)| l == labels && s.contains(&(*t, *v)));
                    prop_assert!(there, "{name} {}", t - T0);
                }
            }
        }
    }

    #[test]
    fn any_bytes_can_be_opened(bytes in proptest::collection::vec(any::<u8>(), 0..300), tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (fs, all, _) = twelve();
        let broken = fs.after_kill();
        broken.edit(&segment(1), |segment| segment.extend_from_slice(&tail));
        broken.edit(&segment(2), |segment| *segment = bytes);
        broken.edit(Path::new("wal/notes.txt"), |file| *file = tail.clone());
        let (node, _) = Node::start(&broken, always());
        prop_assert_eq!(node.floats(), all);
        node.push(&["z"], T0 + 99).unwrap();
    }
}

/// A sender can place any bytes in its samples; without the salt it cannot make a record of them.
#[test]
fn a_record_inside_a_sample_is_not_found() {
    let (fs, all, ends) = twelve();
    let broken = fs.after_kill();
    broken.edit(&segment(1), |bytes| {
        // A whole record of a segment with another salt, in the middle of a damaged one.
        let other = FaultyFs::new();
        let (node, _) = Node::start(&other, WalConfig { salt: 43, ..always() });
        node.push(&["forged"], T0).unwrap();
        let forged = other.edit(&segment(1), |bytes| bytes[super::super::frame::HEADER_BYTES..].to_vec());
        assert!(forged.starts_with(&MARKER));
        bytes.splice(ends[5] + 20..ends[5] + 20, forged);
    });
    let (node, report) = Node::start(&broken, always());
    assert_eq!((report.quarantined, report.records), (1, 11));
    assert!(node.floats().iter().all(|(l, _)| all.iter().any(|(other, _)| other == l)));
}

#[test]
fn a_segment_without_a_header_is_left_out_and_kept() {
    let (fs, _, _) = twelve();
    let broken = fs.after_kill();
    broken.edit(&segment(1), |bytes| bytes[3] ^= 1);
    let (node, report) = Node::start(&broken, always());
    assert_eq!((report.quarantined, report.records, node.floats().len()), (1, 0, 0));
    node.push(&["z"], T0).unwrap();
    assert_eq!(broken.paths(), [segment(1), segment(2)]);
}

/// Many markers that claim long records: the search must end soon.
#[test]
fn the_search_is_bounded() {
    let (fs, _, _) = twelve();
    let broken = fs.after_kill();
    broken.edit(&segment(1), |bytes| {
        let claim: Vec<u8> = MARKER.iter().copied().chain(1_000_000_u32.to_le_bytes()).chain([0; 4]).collect();
        bytes.extend(claim.iter().copied().cycle().take(3_000_000));
    });
    let (node, report) = Node::start(&broken, always());
    assert_eq!((report.records, node.floats().len()), (12, 4));
    assert_eq!(report.torn_bytes, 3_000_000);
}
