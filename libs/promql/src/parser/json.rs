//! Syntax tree to JSON, in the shape of Prometheus's `parse_query`.
//!
//! The shape is that of 3.5. What later versions add is there only where an expression uses it: `anchored`, `smoothed`, `fillValues`.
//! Durations that are not constant are 0, as there.

use serde_json::{Value, json};

use super::ast::{
    Aggregate, AtModifier, Binary, Call, DurationExpr, DurationValue, Expr, ExtendedRange, MatchCardinality, MatrixSelector, Subquery,
    ValueType, VectorMatching, VectorSelector,
};
use super::literal::format_number;

impl Expr {
    /// The tree as Prometheus's `parse_query` gives it. Recursion is bounded by the parser's depth limit.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Number(number) => json!({"type": "numberLiteral", "val": format_number(number.value)}),
            Self::String(string) => json!({"type": "stringLiteral", "val": string.value}),
            Self::Vector(selector) => vector(selector),
            Self::Matrix(selector) => matrix(selector),
            Self::Subquery(subquery) => self::subquery(subquery),
            Self::Call(call) => self::call(call),
            Self::Aggregate(aggregate) => self::aggregate(aggregate),
            Self::Binary(binary) => self::binary(binary),
            Self::Unary(unary) => {
                json!({"type": "unaryExpr", "op": if unary.negate { "-" } else { "+" }, "expr": unary.expr.to_json()})
            }
            Self::Paren(paren) => json!({"type": "parenExpr", "expr": paren.expr.to_json()}),
        }
    }
}

fn vector(selector: &VectorSelector) -> Value {
    let mut node = series(selector);
    insert(&mut node, "type", "vectorSelector".into());
    node
}

fn matrix(matrix: &MatrixSelector) -> Value {
    let mut node = series(&matrix.selector);
    insert(&mut node, "type", "matrixSelector".into());
    insert(&mut node, "range", constant(Some(&matrix.range)).into());
    node
}

/// What instant and range selectors have in common.
fn series(selector: &VectorSelector) -> Value {
    let matcher = |m: &model::Matcher| json!({"name": &*m.name, "value": &*m.value, "type": m.op.as_str()});
    let (timestamp, start_or_end) = at(selector.at);
    let mut node = json!({
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": constant(selector.offset.as_ref()),
        "matchers": selector.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
    });
    match selector.extended {
        None => {}
        Some(ExtendedRange::Anchored) => insert(&mut node, "anchored", true.into()),
        Some(ExtendedRange::Smoothed) => insert(&mut node, "smoothed", true.into()),
    }
    node
}

fn subquery(subquery: &Subquery) -> Value {
    let (timestamp, start_or_end) = at(subquery.at);
    json!({
        "type": "subquery",
        "expr": subquery.expr.to_json(),
        "range": constant(Some(&subquery.range)),
        "offset": constant(subquery.offset.as_ref()),
        "step": constant(subquery.step.as_ref()),
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
    })
}

/// Milliseconds, or `start` or `end`.
fn at(at: Option<AtModifier>) -> (Option<i64>, Option<&'static str>) {
    match at {
        None => (None, None),
        Some(AtModifier::Timestamp(millis)) => (Some(millis), None),
        Some(AtModifier::Start) => (None, Some("start")),
        Some(AtModifier::End) => (None, Some("end")),
    }
}

/// Milliseconds, 0 for none and for what only the query's times will tell.
fn constant(duration: Option<&DurationValue>) -> i64 {
    match duration {
        Some(DurationValue::Millis(millis)) => *millis,
        Some(DurationValue::Expr(expr)) => literal(expr).map_or(0, |seconds| (seconds * 1000.0) as i64),
        None => 0,
    }
}

/// A number in parentheses, with or without a sign, is still constant.
fn literal(expr: &DurationExpr) -> Option<f64> {
    match expr {
        DurationExpr::Number(number) => Some(number.value),
        DurationExpr::Paren { expr, .. } => literal(expr),
        DurationExpr::Unary { negate, expr, .. } => literal(expr).map(|v| if *negate { -v } else { v }),
        _ => None,
    }
}

fn call(call: &Call) -> Value {
    let function = call.function;
    json!({
        "type": "call",
        "func": {
            "name": function.name,
            "argTypes": function.args.iter().map(|t| type_name(*t)).collect::<Vec<_>>(),
            "variadic": function.variadic,
            "returnType": type_name(function.returns),
        },
        "args": call.args.iter().map(Expr::to_json).collect::<Vec<_>>(),
    })
}

/// The short names of types; messages to people use [`ValueType::describe`].
fn type_name(t: ValueType) -> &'static str {
    match t {
        ValueType::Scalar => "scalar",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
        ValueType::String => "string",
    }
}

fn aggregate(aggregate: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": aggregate.op.name(),
        "expr": aggregate.expr.to_json(),
        "param": aggregate.param.as_deref().map(Expr::to_json),
        "grouping": aggregate.grouping,
        "without": aggregate.without,
    })
}

fn binary(binary: &Binary) -> Value {
    json!({
        "type": "binaryExpr",
        "op": binary.op.symbol(),
        "lhs": binary.lhs.to_json(),
        "rhs": binary.rhs.to_json(),
        "matching": binary.matching.as_ref().map(matching),
        "bool": binary.return_bool,
    })
}

fn matching(matching: &VectorMatching) -> Value {
    let card = match matching.card {
        MatchCardinality::OneToOne => "one-to-one",
        MatchCardinality::ManyToOne => "many-to-one",
        MatchCardinality::OneToMany => "one-to-many",
        MatchCardinality::ManyToMany => "many-to-many",
    };
    let mut node = json!({"card": card, "labels": matching.labels, "on": matching.on, "include": matching.include});
    if matching.fill_left.is_some() || matching.fill_right.is_some() {
        insert(&mut node, "fillValues", json!({"lhs": matching.fill_left, "rhs": matching.fill_right}));
    }
    node
}

fn insert(node: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = node {
        fields.insert(key.to_owned(), value);
    }
}
