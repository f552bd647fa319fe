//! Fields, methods and functions.

use std::sync::Arc;

use super::{At, MAX_OUTPUT, State, Stop, Walk};
use crate::template::ast::{Operand, Word};
use crate::template::functions::{self, Failure, Param};
use crate::template::time;
use crate::template::value::Value;

impl<'a> State<'a> {
    /// `.A.B`, `$x.A.B`, `(pipeline).A.B`; the last may be a method with arguments.
    pub(super) fn chain(&mut self, dot: &Value, operand: &'a Operand, args: &'a [Operand], last: Option<Value>) -> Walk<Value> {
        self.at = At::Operand(operand);
        let (mut receiver, fields) = match &operand.word {
            Word::Field(fields) => (dot.clone(), fields),
            Word::Variable { name, fields } => (self.variable(name)?, fields),
            Word::Chain { node, fields } => (self.argument(dot, None, node)?, fields),
            _ => return self.literal(dot, operand),
        };
        let Some((method, path)) = fields.split_last() else {
            self.takes_no_arguments(operand, args, last.as_ref())?;
            return Ok(receiver);
        };
        for field in path {
            receiver = self.field(dot, operand, field, &[], None, &receiver)?;
        }
        self.field(dot, operand, method, args, last, &receiver)
    }

    fn field(
        &mut self,
        dot: &Value,
        operand: &'a Operand,
        name: &str,
        args: &'a [Operand],
        last: Option<Value>,
        receiver: &Value,
    ) -> Walk<Value> {
        if let Some(params) = time::method(receiver, name) {
            let values = self.arguments(dot, name, params, None, args, last)?;
            return match time::call(receiver, name, &values) {
                Ok(value) => Ok(value),
                Err(problem) => {
                    self.at = At::Operand(operand);
                    self.error(format!("error calling {name}: {problem}"))
                }
            };
        }
        let found = match (receiver, name) {
            (Value::Missing, _) => return Ok(Value::Missing),
            (Value::Texts(map), _) => Some(Value::text(map.get(name).map_or("", String::as_str))),
            (Value::Args(map, _), _) => Some(map.get(name).cloned().unwrap_or(Value::Missing)),
            (Value::Alert(data), "Labels") => Some(Value::Texts(Arc::clone(&data.labels))),
            (Value::Alert(data), "ExternalLabels") => Some(Value::Texts(Arc::clone(&data.external_labels))),
            (Value::Alert(data), "ExternalURL") => Some(Value::Text(Arc::clone(&data.external_url))),
            (Value::Alert(data), "Value") => Some(data.value.clone()),
            (Value::Sample(sample), "Labels") => Some(Value::Texts(Arc::clone(&sample.labels))),
            (Value::Sample(sample), "Value") => Some(sample.value.clone()),
            (Value::Histogram(h), "Count") => Some(Value::Float(h.count)),
            (Value::Histogram(h), "Sum") => Some(Value::Float(h.sum)),
            _ => None,
        };
        let is_map = matches!(receiver, Value::Texts(_) | Value::Args(..));
        match found {
            None => self.error(format!("can't evaluate field {name} in type {}", receiver.type_name())),
            Some(_) if (!args.is_empty() || last.is_some()) && is_map => self.error(format!("{name} is not a method but has arguments")),
            Some(_) if !args.is_empty() || last.is_some() => self.error(format!("{name} has arguments but cannot be invoked as function")),
            Some(value) => Ok(value),
        }
    }

    pub(super) fn function(&mut self, dot: &Value, whole: At<'a>, name: &'a str, args: &'a [Operand], last: Option<Value>) -> Walk<Value> {
        let Some(function) = functions::find(name) else { return self.error(format!("{name:?} is not a defined function")) };
        if name == "and" || name == "or" {
            return self.short_circuit(dot, name, args, last);
        }
        let values = self.arguments(dot, name, function.params, function.variadic, args, last)?;
        match functions::call(name, &values, &self.surroundings) {
            // What is too long to be printed is not carried on, or texts would double in every step.
            Ok(Value::Text(text)) if text.len() > MAX_OUTPUT => {
                self.at = whole;
                self.error(format!("a text is longer than {MAX_OUTPUT} bytes"))
            }
            Ok(value) => Ok(value),
            Err(Failure::Needs(query)) => Err(Stop::Needs(query)),
            Err(Failure::Wrong(problem)) => {
                self.at = whole;
                self.error(format!("error calling {name}: {problem}"))
            }
        }
    }

    /// `and` and `or` evaluate no more than they need.
    fn short_circuit(&mut self, dot: &Value, name: &str, args: &'a [Operand], last: Option<Value>) -> Walk<Value> {
        if args.is_empty() && last.is_none() {
            return self.error(format!("wrong number of args for {name}: want at least 1 got 0"));
        }
        let mut value = Value::Missing;
        for arg in args {
            value = self.argument(dot, Some(Param::Any), arg)?;
            if value.is_true() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// Evaluates and checks the arguments of a call; `last` is what the pipeline brings.
    fn arguments(
        &mut self,
        dot: &Value,
        name: &str,
        params: &[Param],
        variadic: Option<Param>,
        args: &'a [Operand],
        last: Option<Value>,
    ) -> Walk<Vec<Value>> {
        let given = args.len() + usize::from(last.is_some());
        match variadic {
            Some(_) if given < params.len() => {
                return self.error(format!("wrong number of args for {name}: want at least {} got {}", params.len(), args.len()));
            }
            None if given != params.len() => {
                return self.error(format!("wrong number of args for {name}: want {} got {given}", params.len()));
            }
            _ => {}
        }
        let param = |i: usize| params.get(i).copied().or(variadic);
        let mut values = Vec::with_capacity(given);
        for (i, arg) in args.iter().enumerate() {
            values.push(self.argument(dot, param(i), arg)?);
        }
        if let Some(last) = last {
            values.push(self.fits(last, param(args.len()))?);
        }
        Ok(values)
    }

    /// One argument; without a parameter anything goes.
    fn argument(&mut self, dot: &Value, param: Option<Param>, arg: &'a Operand) -> Walk<Value> {
        self.step()?;
        self.at = At::Operand(arg);
        match (&arg.word, param) {
            (Word::Nil, Some(param)) if !param.can_be_nil() => self.error(format!("cannot assign nil to {}", param.type_name())),
            (Word::Nil, _) => Ok(Value::Missing),
            (Word::Bool(_) | Word::Number { .. } | Word::Text { .. }, Some(param)) => self.constant(dot, param, arg),
            _ => {
                let value = self.literal(dot, arg)?;
                self.fits(value, param)
            }
        }
    }

    /// A constant takes the type of its parameter.
    fn constant(&mut self, dot: &Value, param: Param, arg: &'a Operand) -> Walk<Value> {
        match (param, &arg.word) {
            (Param::Any, _) => self.literal(dot, arg),
            (Param::Text, Word::Text { value, .. }) => Ok(Value::text(value)),
            (Param::Text, _) => self.error(format!("expected string; found {arg}")),
            (Param::Int, Word::Number { value, .. }) if value.int.is_some() => Ok(Value::Int(value.int.unwrap_or_default())),
            (Param::Int, _) => self.error(format!("expected integer; found {arg}")),
            _ => self.error(format!("can't handle {arg} for arg of type {}", param.type_name())),
        }
    }

    fn fits(&self, value: Value, param: Option<Param>) -> Walk<Value> {
        let Some(param) = param else { return Ok(value) };
        let fits = match (param, &value) {
            (Param::Any, _)
            | (Param::Text, Value::Text(_))
            | (Param::Int, Value::Int(_))
            | (Param::Samples, Value::Samples(_))
            | (Param::Sample, Value::Sample(_))
            | (Param::Duration, Value::Duration(_))
            | (Param::Time, Value::Time(_)) => true,
            (_, Value::Missing) if param.can_be_nil() => true,
            (_, Value::Missing) => return self.error(format!("invalid value; expected {}", param.type_name())),
            _ => false,
        };
        if fits {
            Ok(value)
        } else {
            self.error(format!("wrong type for value; expected {}; got {}", param.type_name(), value.type_name()))
        }
    }
}
