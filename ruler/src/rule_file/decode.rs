//! The shape of a rule file: which keys there are and what stands at them.

use std::collections::BTreeMap;

use crate::yaml::{Node, Shape};

/// A group as written.
pub(super) struct RawGroup {
    pub(super) at: Position,
    pub(super) name: String,
    pub(super) interval_ms: i64,
    pub(super) query_offset_ms: Option<i64>,
    pub(super) limit: i64,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) rules: Vec<RawRule>,
}

/// A rule as written.
pub(super) struct RawRule {
    pub(super) at: Position,
    pub(super) record: Placed,
    pub(super) alert: Placed,
    pub(super) expr: Placed,
    pub(super) for_ms: i64,
    pub(super) keep_firing_for_ms: i64,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// Line and column; both are 0 for what was never text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position(pub(super) usize, pub(super) usize);

impl Position {
    /// What begins a complaint.
    pub(super) fn prefix(self) -> String {
        if self.0 == 0 { String::new() } else { format!("{}:{}: ", self.0, self.1) }
    }
}

/// A text and where it stands; an absent one stands where its rule does.
pub(super) struct Placed {
    pub(super) at: Position,
    pub(super) text: String,
}

pub(super) fn groups(root: &Node) -> Result<Vec<RawGroup>, String> {
    let mut shape = Shape::default();
    let mut fields = shape.fields(root, "rule file");
    let nodes = fields.take("groups").map(|node| shape.items(node)).unwrap_or_default();
    fields.finish(&mut shape);
    let groups = nodes.iter().map(|node| group(&mut shape, node)).collect();
    shape.finish().map(|()| groups)
}

/// A group without a file around it.
pub(super) fn lone_group(root: &Node) -> Result<RawGroup, String> {
    let mut shape = Shape::default();
    let group = group(&mut shape, root);
    shape.finish().map(|()| group)
}

fn group(shape: &mut Shape, node: &Node) -> RawGroup {
    let mut fields = shape.fields(node, "rule group");
    let group = RawGroup {
        at: position(node),
        name: fields.take("name").map(|n| shape.text(n)).unwrap_or_default(),
        interval_ms: fields.take("interval").map(|n| shape.duration(n)).unwrap_or_default(),
        query_offset_ms: fields.take("query_offset").map(|n| shape.duration(n)),
        limit: fields.take("limit").map(|n| shape.integer(n)).unwrap_or_default(),
        labels: fields.take("labels").map(|n| shape.text_map(n)).unwrap_or_default(),
        rules: {
            let nodes = fields.take("rules").map(|n| shape.items(n)).unwrap_or_default();
            nodes.iter().map(|n| rule(shape, n)).collect()
        },
    };
    fields.finish(shape);
    group
}

fn rule(shape: &mut Shape, node: &Node) -> RawRule {
    let mut fields = shape.fields(node, "rule");
    let mut placed = |shape: &mut Shape, name: &str| match fields.take(name) {
        Some(at) => Placed { at: position(at), text: shape.text(at) },
        None => Placed { at: position(node), text: String::new() },
    };
    let (record, alert, expr) = (placed(shape, "record"), placed(shape, "alert"), placed(shape, "expr"));
    let rule = RawRule {
        at: position(node),
        record,
        alert,
        expr,
        for_ms: fields.take("for").map(|n| shape.duration(n)).unwrap_or_default(),
        keep_firing_for_ms: fields.take("keep_firing_for").map(|n| shape.duration(n)).unwrap_or_default(),
        labels: fields.take("labels").map(|n| shape.text_map(n)).unwrap_or_default(),
        annotations: fields.take("annotations").map(|n| shape.text_map(n)).unwrap_or_default(),
    };
    fields.finish(shape);
    rule
}

fn position(node: &Node) -> Position {
    Position(node.line, node.column)
}
