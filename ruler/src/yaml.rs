//! YAML with positions.
//!
//! Rule files and test files are read into a tree of [`Node`]s first, so that every later complaint can say where. Aliases are resolved and
//! merge keys (`<<`) applied while the tree is built; size and depth are bounded, so that a document that refers to itself a million times
//! costs no memory.

mod decode;

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

pub(crate) use decode::Shape;

/// The longest document: many thousand rules.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// Nodes of one document, those that aliases repeat included.
const MAX_NODES: usize = 1_000_000;

/// Mappings and sequences within each other. Rule files need five.
const MAX_DEPTH: usize = 64;

/// One value and where it stands; line and column count from 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A value. Scalars stay text: what they mean depends on where they stand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `plain` is without quotes, so that it may be null.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Whether it is a plain `null`, `~` or nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn count(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 1,
            Value::Sequence(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Value::Mapping(pairs) => 1 + pairs.iter().map(|(k, v)| k.count() + v.count()).sum::<usize>(),
        }
    }

    fn depth(&self) -> usize {
        let deepest = |depths: &mut dyn Iterator<Item = usize>| depths.max().unwrap_or(0);
        match &self.value {
            Value::Scalar { .. } => 1,
            Value::Sequence(items) => 1 + deepest(&mut items.iter().map(Self::depth)),
            Value::Mapping(pairs) => 1 + deepest(&mut pairs.iter().map(|(_, v)| v.depth())),
        }
    }
}

/// Reads the first document; `None` if there is none.
pub(crate) fn read(text: &str) -> Result<Option<Node>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("the file has {} bytes, at most {MAX_BYTES} are read", text.len()));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| format!("yaml: line {}: {}", e.marker().line(), e.info()))?;
        match event {
            Event::DocumentEnd | Event::StreamEnd => break,
            event => builder.take(event, span).map_err(|e| format!("yaml: line {}: {e}", span.start.line()))?,
        }
    }
    Ok(builder.root)
}

/// What has been begun and not ended.
enum Open {
    Sequence { node: Node, items: Vec<Node>, anchor: usize },
    Mapping { node: Node, pairs: Vec<(Node, Node)>, key: Option<Node>, anchor: usize },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), String> {
        let node = |value| Node { value, line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let scalar = node(Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain });
                self.end(scalar, anchor)
            }
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned().ok_or("an alias within its own anchor")?;
                self.nodes += target.count();
                if self.open.len() + target.depth() > MAX_DEPTH {
                    return Err(too_deep());
                }
                self.end(target, 0)
            }
            Event::SequenceStart(anchor, _) => {
                self.open.push(Open::Sequence { node: node(Value::Sequence(Vec::new())), items: Vec::new(), anchor });
                self.check_depth()
            }
            Event::MappingStart(anchor, _) => {
                self.open.push(Open::Mapping { node: node(Value::Mapping(Vec::new())), pairs: Vec::new(), key: None, anchor });
                self.check_depth()
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
        }
    }

    fn check_depth(&self) -> Result<(), String> {
        if self.open.len() > MAX_DEPTH { Err(too_deep()) } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), String> {
        match self.open.pop() {
            Some(Open::Sequence { node, items, anchor }) => self.end(Node { value: Value::Sequence(items), ..node }, anchor),
            Some(Open::Mapping { node, pairs, anchor, .. }) => self.end(Node { value: Value::Mapping(merged(pairs)?), ..node }, anchor),
            None => Err("an end without a start".to_owned()),
        }
    }

    /// A whole node: into what is open, or the root.
    fn end(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("the document has more than {MAX_NODES} values"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping { pairs, key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(known) => pairs.push((known, node)),
            },
        }
        Ok(())
    }
}

fn too_deep() -> String {
    format!("values are nested more than {MAX_DEPTH} deep")
}

/// Puts the pairs of merged mappings (`<<: *other`) behind the own ones, which win.
fn merged(pairs: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, String> {
    let is_merge = |key: &Node| matches!(&key.value, Value::Scalar { text, plain: true } if text == "<<");
    if !pairs.iter().any(|(key, _)| is_merge(key)) {
        return Ok(pairs);
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| is_merge(key));
    for (_, value) in merges {
        let sources = match value.value {
            Value::Sequence(items) => items,
            _ => vec![value],
        };
        for source in sources {
            let Value::Mapping(more) = source.value else {
                return Err("map merge requires map or sequence of maps as the value".to_owned());
            };
            for (key, value) in more {
                if !own.iter().any(|(k, _)| k.value == key.value) {
                    own.push((key, value));
                }
            }
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, Value, read};

    #[test]
    fn positions_and_merges() {
        let text = "base: &b\n  x: 1\nuser:\n  <<: *b\n  y: \"2\"\n";
        let root = read(text).unwrap().unwrap();
        let Value::Mapping(pairs) = root.value else { panic!("a mapping") };
        let (key, user) = &pairs[1];
        assert_eq!((key.line, key.column, user.line, user.column), (3, 1, 4, 3));
        let Value::Mapping(user) = &user.value else { panic!("a mapping") };
        let names: Vec<_> = user.iter().map(|(k, _)| k.value.clone()).collect();
        assert_eq!(names, [Value::Scalar { text: "y".into(), plain: true }, Value::Scalar { text: "x".into(), plain: true }]);
        assert_eq!(read("# nothing\n").unwrap(), None);
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..9 {
            let refs = vec![format!("*a{}", i - 1); 10].join(",");
            bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(read(&bomb).unwrap_err().contains("more than 1000000 values"));
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert!(read(&deep).is_err());
        assert!(read("a: [1\nb: 2").unwrap_err().starts_with("yaml: line "));
    }
}
