//! From nodes to values: what is not known or of another shape is a complaint with its line, and all complaints are collected.

use std::collections::BTreeMap;

use super::{Node, Value};
use crate::duration;

/// Collects complaints while values are read.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    problems: Vec<(usize, String)>,
}

impl Shape {
    /// All complaints as one error, as YAML readers word it.
    pub(crate) fn finish(self) -> Result<(), String> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let mut problems = self.problems;
        problems.sort_by_key(|(line, _)| *line);
        let texts: Vec<String> = problems.into_iter().map(|(line, what)| format!("line {line}: {what}")).collect();
        Err(format!("yaml: unmarshal errors:\n  {}", texts.join("\n  ")))
    }

    fn problem(&mut self, node: &Node, what: &str) {
        self.problems.push((node.line, what.to_owned()));
    }

    fn mismatch(&mut self, node: &Node, wanted: &str) {
        let found = match &node.value {
            Value::Scalar { text, .. } => format!("{:?}", text.chars().take(40).collect::<String>()),
            Value::Sequence(_) => "a sequence".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        };
        self.problem(node, &format!("cannot unmarshal {found} into {wanted}"));
    }

    /// A text; null is the empty one, numbers and booleans are taken as written.
    pub(crate) fn text(&mut self, node: &Node) -> String {
        match &node.value {
            Value::Scalar { .. } if node.is_null() => String::new(),
            Value::Scalar { text, .. } => text.clone(),
            _ => {
                self.mismatch(node, "a text");
                String::new()
            }
        }
    }

    /// Milliseconds.
    pub(crate) fn duration(&mut self, node: &Node) -> i64 {
        if node.is_null() {
            return 0;
        }
        let text = self.text(node);
        duration::parse(&text).unwrap_or_else(|e| {
            self.problem(node, &e);
            0
        })
    }

    pub(crate) fn integer(&mut self, node: &Node) -> i64 {
        self.parsed(node, "an integer", |text| text.replace('_', "").parse().ok()).unwrap_or(0)
    }

    pub(crate) fn number(&mut self, node: &Node) -> f64 {
        let read = |text: &str| match text {
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Some(f64::NEG_INFINITY),
            ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
            _ if text.starts_with("0x") => i64::from_str_radix(text.trim_start_matches("0x"), 16).ok().map(|n| n as f64),
            _ if text.bytes().any(|b| b.is_ascii_alphabetic() && !b"eE".contains(&b)) => None,
            _ => text.replace('_', "").parse().ok(),
        };
        self.parsed(node, "a number", read).unwrap_or(0.0)
    }

    pub(crate) fn boolean(&mut self, node: &Node) -> bool {
        let read = |text: &str| match text {
            "true" | "True" | "TRUE" | "yes" | "on" => Some(true),
            "false" | "False" | "FALSE" | "no" | "off" => Some(false),
            _ => None,
        };
        self.parsed(node, "true or false", read).unwrap_or(false)
    }

    fn parsed<T>(&mut self, node: &Node, wanted: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = match &node.value {
            _ if node.is_null() => return None,
            Value::Scalar { text, .. } => read(text),
            _ => None,
        };
        if value.is_none() {
            self.mismatch(node, wanted);
        }
        value
    }

    /// The items of a sequence; null is an empty one.
    pub(crate) fn items<'a>(&mut self, node: &'a Node) -> &'a [Node] {
        match &node.value {
            Value::Sequence(items) => items,
            _ if node.is_null() => &[],
            _ => {
                self.mismatch(node, "a sequence");
                &[]
            }
        }
    }

    pub(crate) fn texts(&mut self, node: &Node) -> Vec<String> {
        self.items(node).iter().map(|item| self.text(item)).collect()
    }

    /// A mapping of texts.
    pub(crate) fn text_map(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        match &node.value {
            Value::Mapping(pairs) => {
                for (key, value) in pairs {
                    let name = self.text(key);
                    if map.insert(name.clone(), self.text(value)).is_some() {
                        self.problem(key, &format!("mapping key {name:?} already defined"));
                    }
                }
            }
            _ if node.is_null() => {}
            _ => self.mismatch(node, "a mapping of texts"),
        }
        map
    }

    /// The fields of a mapping that stands for a `what`. Ask for every field that it may have; [`Fields::finish`] complains of the others.
    pub(crate) fn fields<'a>(&mut self, node: &'a Node, what: &'static str) -> Fields<'a> {
        let pairs = match &node.value {
            Value::Mapping(pairs) => pairs.as_slice(),
            _ => {
                if !node.is_null() {
                    self.mismatch(node, what);
                }
                &[]
            }
        };
        let mut fields = Fields { pairs: Vec::with_capacity(pairs.len()), what };
        for (key, value) in pairs {
            let name = self.text(key);
            if fields.pairs.iter().any(|(known, _, _)| *known == name) {
                self.problem(key, &format!("mapping key {name:?} already defined"));
            }
            fields.pairs.push((name, key, value));
        }
        fields
    }
}

/// Fields that nobody has asked for yet.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pairs: Vec<(String, &'a Node, &'a Node)>,
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// Takes a field.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a Node> {
        let at = self.pairs.iter().position(|(known, _, _)| known == name)?;
        let (_, _, value) = self.pairs.swap_remove(at);
        Some(value)
    }

    /// Complains of what is left.
    pub(crate) fn finish(mut self, shape: &mut Shape) {
        self.pairs.sort_by_key(|(_, key, _)| key.line);
        for (name, key, _) in self.pairs {
            shape.problem(key, &format!("field {name} not found in {}", self.what));
        }
    }
}
