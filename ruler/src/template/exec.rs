//! Walking a tree and writing what it says.

mod call;

use super::ast::{Branch, Command, Node, Operand, Pipe, Word, show_template};
use super::parser::Parsed;
use super::value::Value;
use super::{Expansion, MAX_OUTPUT, MAX_STEPS, Surroundings};

/// Actions within actions and templates within templates: the walker recurses, and must not take the stack.
const MAX_DEPTH: usize = 200;

/// Expands a parsed template.
pub(super) fn execute(name: &str, text: &str, parsed: &Parsed, data: Value, surroundings: Surroundings<'_>) -> Result<String, Expansion> {
    let mut state = State {
        name,
        text,
        template: name,
        parsed,
        surroundings,
        at: At::Start,
        variables: vec![("$", data.clone())],
        depth: 0,
        steps: 0,
        out: String::new(),
    };
    match state.walk(&data, &parsed.root) {
        Ok(()) | Err(Stop::Break | Stop::Continue) => Ok(state.out),
        Err(Stop::Needs(query)) => Err(Expansion::Needs(query)),
        Err(Stop::Error(message)) => Err(Expansion::Failed(format!("error executing template {name}: {message}"))),
    }
}

/// Why walking stops.
enum Stop {
    Error(String),
    Needs(String),
    Break,
    Continue,
}

type Walk<T> = Result<T, Stop>;

/// The part of the tree that a message would point at.
#[derive(Clone, Copy)]
enum At<'a> {
    Start,
    Pipe(&'a Pipe),
    Command(&'a Command),
    Operand(&'a Operand),
    Template { pos: usize, name: &'a str, pipe: Option<&'a Pipe> },
}

struct State<'a> {
    /// The outermost template.
    name: &'a str,
    text: &'a str,
    /// The template at hand.
    template: &'a str,
    parsed: &'a Parsed,
    surroundings: Surroundings<'a>,
    at: At<'a>,
    variables: Vec<(&'a str, Value)>,
    depth: usize,
    steps: usize,
    out: String,
}

impl<'a> State<'a> {
    fn error<T>(&self, message: impl std::fmt::Display) -> Walk<T> {
        let (pos, context) = match self.at {
            At::Start => (0, String::new()),
            At::Pipe(pipe) => (pipe.pos, pipe.to_string()),
            At::Command(command) => (command.pos, command.to_string()),
            At::Operand(operand) => (operand.pos, operand.to_string()),
            At::Template { pos, name, pipe } => (pos, show_template(name, pipe)),
        };
        let before = self.text.get(..pos).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rfind('\n').map_or(pos, |newline| pos - newline - 1);
        let (name, template) = (self.name, model::matcher::quote(self.template));
        Err(Stop::Error(format!("template: {name}:{line}:{column}: executing {template} at <{context}>: {message}")))
    }

    fn step(&mut self) -> Walk<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS { self.error(format!("the template takes more than {MAX_STEPS} steps")) } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> Walk<()> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return self.error(format!("the expansion is longer than {MAX_OUTPUT} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn enter(&mut self) -> Walk<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.error(format!("exceeded maximum template depth ({MAX_DEPTH})")) } else { Ok(()) }
    }

    fn walk(&mut self, dot: &Value, list: &'a [Node]) -> Walk<()> {
        self.enter()?;
        for node in list {
            self.step()?;
            self.node(dot, node)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn node(&mut self, dot: &Value, node: &'a Node) -> Walk<()> {
        match node {
            Node::Text(text) => self.write(text),
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                self.at = At::Pipe(pipe);
                match (pipe.variables.is_empty(), value) {
                    (true, Value::Missing) => self.write("<no value>"),
                    (true, value) => self.write(&value.show()),
                    (false, _) => Ok(()),
                }
            }
            Node::If(branch) => self.branch(dot, branch, false),
            Node::With(branch) => self.branch(dot, branch, true),
            Node::Range(branch) => self.range(dot, branch),
            Node::Template { pos, name, pipe } => self.invoke(dot, *pos, name, pipe.as_ref()),
            Node::Break => Err(Stop::Break),
            Node::Continue => Err(Stop::Continue),
        }
    }

    fn branch(&mut self, dot: &Value, branch: &'a Branch, sets_dot: bool) -> Walk<()> {
        let known = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        match (value.is_true(), &branch.otherwise) {
            (true, _) => self.walk(if sets_dot { &value } else { dot }, &branch.list)?,
            (false, Some(otherwise)) => self.walk(dot, otherwise)?,
            (false, None) => {}
        }
        self.variables.truncate(known);
        Ok(())
    }

    fn range(&mut self, dot: &Value, branch: &'a Branch) -> Walk<()> {
        let known = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let items: Vec<(Value, Value)> = match &value {
            Value::Samples(samples) => samples.iter().enumerate().map(|(i, s)| (Value::Int(i as i64), Value::Sample(s.clone()))).collect(),
            Value::Texts(map) => map.iter().map(|(k, v)| (Value::text(k), Value::text(v))).collect(),
            Value::Args(map, _) => map.iter().map(|(k, v)| (Value::text(k), v.clone())).collect(),
            Value::Int(n) if *n > MAX_STEPS as i64 => return self.error(format!("the template takes more than {MAX_STEPS} steps")),
            Value::Int(n) => (0..*n).map(|i| (Value::Int(i), Value::Int(i))).collect(),
            Value::Missing => Vec::new(),
            other => return self.error(format!("range can't iterate over {}", other.show())),
        };
        if let (true, Some(otherwise)) = (items.is_empty(), &branch.otherwise) {
            self.walk(dot, otherwise)?;
        }
        let mark = self.variables.len();
        for (index, item) in items {
            self.step()?;
            self.set_loop_variables(&branch.pipe, index, &item)?;
            let depth = self.depth;
            match self.walk(&item, &branch.list) {
                Err(Stop::Break) => {
                    self.depth = depth;
                    break;
                }
                Err(Stop::Continue) => self.depth = depth,
                result => result?,
            }
            self.variables.truncate(mark);
        }
        self.variables.truncate(known);
        Ok(())
    }

    /// One variable is the item; of two the first is its index or key.
    fn set_loop_variables(&mut self, pipe: &'a Pipe, index: Value, item: &Value) -> Walk<()> {
        match pipe.variables.as_slice() {
            [] => Ok(()),
            [one] => self.assign(one, item.clone()),
            [first, second, ..] => {
                self.assign(first, index)?;
                self.assign(second, item.clone())
            }
        }
    }

    fn invoke(&mut self, dot: &Value, pos: usize, name: &'a str, pipe: Option<&'a Pipe>) -> Walk<()> {
        self.at = At::Template { pos, name, pipe };
        let Some(list) = self.parsed.defined.get(name) else {
            return self.error(format!("template {} not defined", model::matcher::quote(name)));
        };
        let dot = pipe.map_or(Ok(Value::Missing), |pipe| self.pipeline(dot, pipe))?;
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let template = std::mem::replace(&mut self.template, name);
        self.walk(&dot, list)?;
        (self.variables, self.template) = (variables, template);
        Ok(())
    }

    fn pipeline(&mut self, dot: &Value, pipe: &'a Pipe) -> Walk<Value> {
        self.enter()?;
        self.at = At::Pipe(pipe);
        let mut value = None;
        for command in &pipe.commands {
            self.step()?;
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or(Value::Missing);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        self.depth -= 1;
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Value) -> Walk<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    fn variable(&self, name: &str) -> Walk<Value> {
        match self.variables.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    fn command(&mut self, dot: &Value, command: &'a Command, last: Option<Value>) -> Walk<Value> {
        let Some((first, args)) = command.args.split_first() else { return Ok(Value::Missing) };
        match &first.word {
            Word::Field(_) | Word::Variable { .. } | Word::Chain { .. } => self.chain(dot, first, args, last),
            Word::Function(name) => {
                self.at = At::Operand(first);
                self.function(dot, At::Command(command), name, args, last)
            }
            Word::Pipe(pipe) => {
                self.takes_no_arguments(first, args, last.as_ref())?;
                self.pipeline(dot, pipe)
            }
            _ => {
                self.at = At::Operand(first);
                self.takes_no_arguments(first, args, last.as_ref())?;
                if first.word == Word::Nil { self.error("nil is not a command") } else { self.literal(dot, first) }
            }
        }
    }

    fn takes_no_arguments(&self, first: &Operand, args: &[Operand], last: Option<&Value>) -> Walk<()> {
        if args.is_empty() && last.is_none() { Ok(()) } else { self.error(format!("can't give argument to non-function {first}")) }
    }

    /// What a word stands for by itself.
    fn literal(&mut self, dot: &Value, operand: &'a Operand) -> Walk<Value> {
        match &operand.word {
            Word::Bool(value) => Ok(Value::Bool(*value)),
            Word::Dot => Ok(dot.clone()),
            Word::Number { text, value } => match (value.int, value.float) {
                (_, Some(float)) if !text.starts_with('\'') && !text.starts_with("0x") && text.contains(['.', 'e', 'E']) => {
                    Ok(Value::Float(float))
                }
                (Some(int), _) => Ok(Value::Int(int)),
                _ => self.error(format!("{text} overflows int")),
            },
            Word::Text { value, .. } => Ok(Value::text(value)),
            Word::Nil => Ok(Value::Missing),
            Word::Field(_) | Word::Variable { .. } | Word::Chain { .. } => self.chain(dot, operand, &[], None),
            Word::Function(name) => self.function(dot, At::Operand(operand), name, &[], None),
            Word::Pipe(pipe) => self.pipeline(dot, pipe),
        }
    }
}
