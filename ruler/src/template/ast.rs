//! The tree of a template. `Display` writes what Go's does, because error messages quote it.

use std::fmt;

use model::matcher::quote;

/// One piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Text that stands for itself.
    Text(String),
    /// `{{ pipeline }}`
    Action(Pipe),
    If(Box<Branch>),
    With(Box<Branch>),
    Range(Box<Branch>),
    /// `{{ template "name" pipeline }}`
    Template {
        pos: usize,
        name: String,
        pipe: Option<Pipe>,
    },
    Break,
    Continue,
}

/// A condition and what depends on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) list: Vec<Node>,
    pub(super) otherwise: Option<Vec<Node>>,
}

/// `$x, $y := a b | c`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipe {
    pub(super) pos: usize,
    pub(super) variables: Vec<String>,
    /// `=` rather than `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// `function argument argument`; never empty.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) pos: usize,
    pub(super) args: Vec<Operand>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) pos: usize,
    pub(super) word: Word,
}

/// What a word is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Dot,
    Nil,
    Bool(bool),
    Number {
        text: String,
        value: Number,
    },
    Text {
        quoted: String,
        value: String,
    },
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`
    Variable {
        name: String,
        fields: Vec<String>,
    },
    Function(String),
    /// `(pipeline).A.B`
    Chain {
        node: Box<Operand>,
        fields: Vec<String>,
    },
    Pipe(Box<Pipe>),
}

/// A number as far as its notation tells; a whole number may stand for either.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    pub(super) int: Option<i64>,
    pub(super) float: Option<f64>,
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        separated(f, &self.commands, " | ")
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        separated(f, &self.args, " ")
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, names: &[String]| names.iter().try_for_each(|name| write!(f, ".{name}"));
        match &self.word {
            Word::Dot => f.write_str("."),
            Word::Nil => f.write_str("nil"),
            Word::Bool(value) => write!(f, "{value}"),
            Word::Number { text, .. } => f.write_str(text),
            Word::Text { quoted, .. } => f.write_str(quoted),
            Word::Field(names) => fields(f, names),
            Word::Variable { name, fields: names } => f.write_str(name).and_then(|()| fields(f, names)),
            Word::Function(name) => f.write_str(name),
            Word::Chain { node, fields: names } => write!(f, "{node}").and_then(|()| fields(f, names)),
            Word::Pipe(pipe) => write!(f, "({pipe})"),
        }
    }
}

fn separated<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], separator: &str) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// `{{template "name" pipeline}}`
pub(super) fn show_template(name: &str, pipe: Option<&Pipe>) -> String {
    let pipe = pipe.map(|p| format!(" {p}")).unwrap_or_default();
    format!("{{{{template {}{pipe}}}}}", quote(name))
}
