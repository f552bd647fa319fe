//! The functions that `text/template` brings.

use std::cmp::Ordering;

use super::{Call, Failure};
use crate::template::value::{Value, compare, is_basic};
use crate::template::{links, printf};

pub(super) fn call(name: &str, args: &[Value]) -> Call {
    match (name, args) {
        ("print", values) => Ok(Value::text(&printf::print(values))),
        ("println", values) => Ok(Value::text(&printf::println(values))),
        ("printf", [Value::Text(format), values @ ..]) => Ok(Value::text(&printf::printf(format, values))),
        ("html", values) => Ok(Value::text(&links::html(&joined(values)))),
        ("js", values) => Ok(Value::text(&links::js(&joined(values)))),
        ("urlquery", values) => Ok(Value::text(&links::escape(&joined(values)))),
        ("not", [value]) => Ok(Value::Bool(!value.is_true())),
        ("len", [value]) => length(value),
        ("index", [value, keys @ ..]) => keys.iter().try_fold(value.clone(), |value, key| index(&value, key)),
        ("slice", [value, bounds @ ..]) => slice(value, bounds),
        ("eq", [first, others @ ..]) => equal(first, others).map(Value::Bool),
        ("ne", [a, b]) => equal(a, std::slice::from_ref(b)).map(|equal| Value::Bool(!equal)),
        ("lt" | "le" | "gt" | "ge", [a, b]) => ordered(name, a, b),
        _ => Err(Failure::Wrong(format!("wrong arguments for {name}"))),
    }
}

fn joined(values: &[Value]) -> String {
    match values {
        [Value::Text(text)] => text.to_string(),
        values => printf::print(values),
    }
}

fn length(value: &Value) -> Call {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Texts(map) => map.len(),
        Value::Args(map, _) => map.len(),
        Value::Samples(samples) => samples.len(),
        Value::Missing => return Err(Failure::Wrong("len of nil pointer".to_owned())),
        other => return Err(Failure::Wrong(format!("len of type {}", other.type_name()))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn position(key: &Value, length: usize) -> Result<usize, String> {
    match key {
        Value::Int(n) => usize::try_from(*n).ok().filter(|i| *i < length).ok_or_else(|| format!("index out of range: {n}")),
        Value::Missing => Err("cannot index slice/array with nil".to_owned()),
        other => Err(format!("cannot index slice/array with type {}", other.type_name())),
    }
}

fn index(value: &Value, key: &Value) -> Call {
    let wrong_key = |key: &Value| Failure::Wrong(format!("value has type {}; should be string", key.type_name()));
    match (value, key) {
        (Value::Texts(map), Value::Text(key)) => Ok(Value::text(map.get(&**key).map_or("", String::as_str))),
        (Value::Args(map, _), Value::Text(key)) => Ok(map.get(&**key).cloned().unwrap_or(Value::Missing)),
        (Value::Texts(_) | Value::Args(..), key) => Err(wrong_key(key)),
        (Value::Samples(samples), key) => {
            let at = position(key, samples.len())?;
            Ok(samples.get(at).map_or(Value::Missing, |sample| Value::Sample(sample.clone())))
        }
        (Value::Text(text), key) => {
            let at = position(key, text.len())?;
            Ok(text.as_bytes().get(at).map_or(Value::Missing, |byte| Value::Int(i64::from(*byte))))
        }
        (Value::Missing, _) => Err(Failure::Wrong("index of untyped nil".to_owned())),
        (other, _) => Err(Failure::Wrong(format!("can't index item of type {}", other.type_name()))),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Call {
    let Value::Text(text) = value else { return Err(Failure::Wrong(format!("can't slice item of type {}", value.type_name()))) };
    if bounds.len() > 2 {
        return Err(Failure::Wrong("cannot 3-index slice a string".to_owned()));
    }
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(Value::Int(n)) => usize::try_from(*n).ok().filter(|i| *i <= text.len()).ok_or_else(|| format!("index out of range: {n}")),
        Some(other) => Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    let (from, to) = (bound(0, 0)?, bound(1, text.len())?);
    if from > to {
        return Err(Failure::Wrong(format!("invalid slice index: {from} > {to}")));
    }
    let bytes = text.as_bytes().get(from..to).unwrap_or_default();
    Ok(Value::text(&String::from_utf8_lossy(bytes)))
}

/// Whether the first equals any of the others.
fn equal(first: &Value, others: &[Value]) -> Result<bool, Failure> {
    if others.is_empty() {
        return Err(Failure::Wrong("missing argument for comparison".to_owned()));
    }
    for other in others {
        let equal = match (first, other) {
            (Value::Missing, Value::Missing) => true,
            (Value::Missing, other) | (other, Value::Missing) if !is_basic(other) => false,
            (first, other) if is_basic(first) != is_basic(other) => {
                return Err(Failure::Wrong("incompatible types for comparison".to_owned()));
            }
            (first, other) => compare(first, other)? == Some(Ordering::Equal),
        };
        if equal {
            return Ok(true);
        }
    }
    Ok(false)
}

fn ordered(name: &str, a: &Value, b: &Value) -> Call {
    if matches!((a, b), (Value::Bool(_), Value::Bool(_))) || !is_basic(a) || !is_basic(b) {
        return Err(Failure::Wrong("invalid type for comparison".to_owned()));
    }
    let order = compare(a, b)?;
    // Nothing is less than, equal to or greater than a NaN; `gt` and `ge` are the negations of the others in Go.
    let (less, equal) = (order == Some(Ordering::Less), order == Some(Ordering::Equal));
    Ok(Value::Bool(match name {
        "lt" => less,
        "le" => less || equal,
        "gt" => !(less || equal),
        _ => !less,
    }))
}
