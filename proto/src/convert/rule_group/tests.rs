use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;

use super::{Rule, RuleGroup, decode, encode, wire};

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-zé]{1,4}", "\\PC{0,6}", 0..3)
}

prop_compose! {
    fn rule()(
        record in "[a-z:]{0,4}", alert in "[A-Z]{0,4}", expr in "\\PC{0,9}", for_ms in 0_i64..1 << 40, keep_firing_for_ms in 0_i64..1 << 40, labels in labels(), annotations in labels()
    ) -> Rule {
        Rule { record, alert, expr, for_ms, keep_firing_for_ms, labels, annotations }
    }
}

prop_compose! {
    fn group()(
        name in "\\PC{0,9}", namespace in "\\PC{0,9}", interval_ms in 0_i64..1 << 40, query_offset_ms in 0_i64..1 << 40, limit in 0_i64..1 << 20, labels in labels(),
        source_tenants in prop::collection::vec("[a-z]{1,4}", 0..2), rules in prop::collection::vec(rule(), 0..4)
    ) -> RuleGroup {
        RuleGroup { name, namespace, tenant: "t".to_owned(), interval_ms, query_offset_ms, limit, labels, source_tenants, rules }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(group in group()) {
        prop_assert_eq!(decode(&encode(&group)), Ok(group));
    }

    #[test]
    fn nothing_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn groups_of_cortex_are_read(group in group()) {
        let cortex = wire::CortexRuleGroup {
            name: group.name.clone(),
            namespace: group.namespace.clone(),
            interval: Some(super::duration(group.interval_ms)),
            rules: group.rules.iter().map(super::rule_to_wire).collect(),
            user: "t".to_owned(),
            limit: group.limit,
            query_offset: Some(super::duration(group.query_offset_ms)),
            labels: super::labels_to_wire(&group.labels),
            source_tenants: Vec::new(),
        };
        prop_assert_eq!(decode(&cortex.encode_to_vec()), Ok(RuleGroup { source_tenants: Vec::new(), ..group }));
    }
}

/// Bytes written by hand from the formats of both: name `g`, an interval of a minute, one rule `r` of `up`.
#[test]
fn bytes_are_those_of_both() {
    let rule = b"\x22\x07\x0a\x02up\x12\x01r";
    let start = [b"\x0a\x01g\x12\x01n\x1a\x02\x08\x3c".as_slice(), rule, b"\x32\x01t"].concat();
    let read = |more: &[u8]| decode(&[&start, more].concat()).expect("a group");
    let plain = read(b"");
    assert_eq!((plain.interval_ms, plain.rules[0].expr.as_str(), plain.rules[0].record.as_str()), (60_000, "up", "r"));
    // Mimir: a query offset of two minutes is field 13, labels are field 14, the limit is field 15; empty durations are written.
    let mimir = read(b"\x5a\x00\x6a\x02\x08\x78\x72\x06\x0a\x01a\x12\x01b\x78\x05");
    assert_eq!((mimir.query_offset_ms, mimir.labels["a"].as_str(), mimir.limit), (120_000, "b", 5));
    // Cortex: the limit is field 10, a query offset field 11, labels are field 12, tenants to query field 13.
    let cortex = read(b"\x50\x05\x5a\x02\x08\x78\x62\x06\x0a\x01a\x12\x01b");
    assert_eq!((cortex.query_offset_ms, cortex.labels["a"].as_str(), cortex.limit), (120_000, "b", 5));
    assert_eq!(read(b"\x6a\x06team-a").source_tenants, ["team-a"]);
    assert_eq!(read(b"\x52\x06team-a").source_tenants, ["team-a"]);
    assert!(decode(b"\x0a\xffgarbage").is_err());
}
