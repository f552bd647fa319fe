//! The functions of templates: Go's and Prometheus's.

mod go;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value::{Sample, Value};
use super::{MAX_OUTPUT, Surroundings, humanize, links, time, to_sample};
use crate::duration;

/// `args` within `args`.
const MAX_NESTING: usize = 8;

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Param {
    Any,
    Text,
    Int,
    Samples,
    Sample,
    Duration,
    Time,
}

impl Param {
    pub(super) fn can_be_nil(self) -> bool {
        matches!(self, Self::Any | Self::Samples | Self::Sample)
    }

    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::Int => "int",
            Self::Samples => "template.queryResult",
            Self::Sample => "*template.sample",
            Self::Duration => "time.Duration",
            Self::Time => "time.Time",
        }
    }
}

/// What a function takes.
pub(super) struct Function {
    pub(super) params: &'static [Param],
    pub(super) variadic: Option<Param>,
}

/// Why a function gives nothing.
pub(super) enum Failure {
    Needs(String),
    Wrong(String),
}

impl From<String> for Failure {
    fn from(problem: String) -> Self {
        Self::Wrong(problem)
    }
}

/// A function's result.
pub(super) type Call = Result<Value, Failure>;

/// The function of this name.
pub(super) fn find(name: &str) -> Option<Function> {
    use Param::{Any, Int, Sample, Samples, Text};
    let (params, variadic): (&'static [Param], _) = match name {
        "query" | "title" | "toUpper" | "toLower" | "graphLink" | "tableLink" | "stripPort" | "stripDomain" | "safeHtml"
        | "parseDuration" | "urlQueryEscape" => (&[Text], None),
        "first" => (&[Samples], None),
        "label" => (&[Text, Sample], None),
        "value" | "strvalue" => (&[Sample], None),
        "sortByLabel" => (&[Text, Samples], None),
        "args" | "print" | "println" | "html" | "js" | "urlquery" => (&[], Some(Any)),
        "reReplaceAll" => (&[Text, Text, Text], None),
        "match" => (&[Text, Text], None),
        "humanize" | "humanize1024" | "humanizeDuration" | "humanizePercentage" | "humanizeTimestamp" | "toTime" | "toDuration" | "len"
        | "not" => (&[Any], None),
        "now" | "pathPrefix" | "externalURL" => (&[], None),
        "and" | "or" | "eq" | "index" => (&[Any], Some(Any)),
        "ne" | "lt" | "le" | "gt" | "ge" => (&[Any, Any], None),
        "slice" => (&[Any], Some(Int)),
        "printf" => (&[Text], Some(Any)),
        _ => return None,
    };
    Some(Function { params, variadic })
}

/// Calls a function with arguments that fit it.
pub(super) fn call(name: &str, args: &[Value], surroundings: &Surroundings<'_>) -> Call {
    match (name, args) {
        ("query", [Value::Text(query)]) => run_query(query, surroundings),
        ("now", []) => Ok(Value::Float(surroundings.now_ms as f64 / 1000.0)),
        ("externalURL", []) => Ok(Value::text(surroundings.external_url)),
        ("pathPrefix", []) => Ok(Value::text(links::path(surroundings.external_url))),
        ("args", values) => {
            let depth = 1 + values.iter().map(Value::nesting).max().unwrap_or(0);
            if depth > MAX_NESTING {
                return Err(Failure::Wrong(format!("args are nested more than {MAX_NESTING} deep")));
            }
            let named = values.iter().enumerate().map(|(i, value)| (format!("arg{i}"), value.clone()));
            Ok(Value::Args(Arc::new(named.collect::<BTreeMap<_, _>>()), depth))
        }
        ("first" | "value" | "strvalue" | "label" | "sortByLabel", _) => of_samples(name, args),
        (_, [Value::Text(text)])
            if !matches!(name, "len" | "not") && !name.starts_with("humanize") && !matches!(name, "toTime" | "toDuration") =>
        {
            match of_text(name, text) {
                Some(result) => result,
                None => go::call(name, args),
            }
        }
        ("reReplaceAll", [Value::Text(pattern), Value::Text(replacement), Value::Text(text)]) => {
            // Prometheus panics with what its regular expressions say.
            let regex = regex(pattern).map_err(|e| format!("regexp: Compile(`{pattern}`): {e}"))?;
            replace(&regex, replacement, text)
        }
        ("match", [Value::Text(pattern), Value::Text(text)]) => Ok(Value::Bool(regex(pattern)?.is_match(text))),
        (
            "humanize" | "humanize1024" | "humanizeDuration" | "humanizePercentage" | "humanizeTimestamp" | "toTime" | "toDuration",
            [value],
        ) => of_number(name, value),
        _ => go::call(name, args),
    }
}

fn run_query(query: &str, surroundings: &Surroundings<'_>) -> Call {
    match surroundings.queries.get(query) {
        None => Err(Failure::Needs(query.to_owned())),
        Some(Err(problem)) => Err(Failure::Wrong(problem.clone())),
        Some(Ok(series)) => Ok(Value::Samples(series.iter().map(|s| Arc::new(to_sample(s))).collect())),
    }
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    model::matcher::compile_unanchored(pattern).map_err(|e| e.to_string())
}

fn replace(regex: &regex::Regex, replacement: &str, text: &str) -> Call {
    let (mut out, mut last) = (String::new(), 0);
    for captures in regex.captures_iter(text) {
        let Some(found) = captures.get(0) else { continue };
        out.push_str(text.get(last..found.start()).unwrap_or_default());
        captures.expand(replacement, &mut out);
        last = found.end();
        if out.len() > MAX_OUTPUT {
            return Err(Failure::Wrong(format!("the result is longer than {MAX_OUTPUT} bytes")));
        }
    }
    out.push_str(text.get(last..).unwrap_or_default());
    Ok(Value::text(&out))
}

fn of_samples(name: &str, args: &[Value]) -> Call {
    let nil = || Failure::Wrong("runtime error: invalid memory address or nil pointer dereference".to_owned());
    let label = |sample: &Sample, name: &str| Value::text(sample.labels.get(name).map_or("", String::as_str));
    match (name, args) {
        ("first", [Value::Samples(samples)]) => match samples.first() {
            Some(first) => Ok(Value::Sample(Arc::clone(first))),
            None => Err(Failure::Wrong("first() called on vector with no elements".to_owned())),
        },
        ("first", _) => Err(Failure::Wrong("first() called on vector with no elements".to_owned())),
        ("value", [Value::Sample(sample)]) => Ok(sample.value.clone()),
        ("strvalue", [Value::Sample(sample)]) => Ok(label(sample, "__value__")),
        ("label", [Value::Text(name), Value::Sample(sample)]) => Ok(label(sample, name)),
        ("sortByLabel", [Value::Text(name), Value::Samples(samples)]) => {
            let mut sorted: Vec<_> = samples.iter().cloned().collect();
            sorted.sort_by(|a, b| a.labels.get(&**name).cmp(&b.labels.get(&**name)));
            Ok(Value::Samples(sorted.into()))
        }
        ("sortByLabel", _) => Ok(Value::Missing),
        _ => Err(nil()),
    }
}

fn of_text(name: &str, text: &str) -> Option<Call> {
    let result = match name {
        "title" => humanize::title(text),
        "toUpper" => text.to_uppercase(),
        "toLower" => text.to_lowercase(),
        "graphLink" => links::graph(text, 0),
        "tableLink" => links::graph(text, 1),
        "urlQueryEscape" => links::escape(text),
        "stripPort" => links::strip_port(text).to_owned(),
        "stripDomain" => links::strip_domain(text),
        "safeHtml" => text.to_owned(),
        "parseDuration" => {
            let parsed = duration::parse_signed(text).map(|ms| Value::Float(ms as f64 / 1000.0));
            return Some(parsed.map_err(Failure::Wrong));
        }
        _ => return None,
    };
    Some(Ok(Value::text(&result)))
}

fn of_number(name: &str, value: &Value) -> Call {
    let v = humanize::number(value)?;
    let text = match name {
        "humanize" => humanize::si(v),
        "humanize1024" => humanize::binary(v),
        "humanizeDuration" => humanize::duration(v),
        "humanizePercentage" => humanize::percentage(v),
        "humanizeTimestamp" => humanize::timestamp(v)?,
        "toTime" => return Ok(Value::Time(time::from_seconds(v)?)),
        // What does not fit saturates; Go leaves it undefined.
        _ => return Ok(Value::Duration((v * 1e9) as i64)),
    };
    Ok(Value::text(&text))
}
