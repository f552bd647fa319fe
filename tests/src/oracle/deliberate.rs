//! Where Plimsoll means to differ from Prometheus 3.5.3, and why. Plimsoll follows later versions where they changed something.

use super::question::Question;

/// A difference that is meant.
struct Deliberate {
    /// What is told about it.
    reason: &'static str,
    /// Whether these answers (ours, theirs) to this question are a case of it.
    applies: fn(&Question, &str, &str) -> bool,
}

/// The errors of evaluation that an expression may have more than one of. Prometheus evaluates operands one after the other, Plimsoll
/// streams them.
const ERRORS: [&str; 9] = [
    "found duplicate series for the match group",
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
    "multiple matches for labels: grouping labels must ensure unique matches",
    "vector cannot contain metrics with the same labelset",
    "invalid trend factor. Expected: 0 ",
    "invalid smoothing factor. Expected: 0 ",
    "Scalar value ",
    "invalid regular expression in label_replace(): ",
    "invalid label name ",
];

const ALL: [Deliberate; 12] = [
    Deliberate {
        reason: "a parameter of topk, bottomk, limitk, limit_ratio that is NaN is an error, always and by name, since 3.6",
        applies: |_, ours, _| ours.contains("Parameter value is NaN") || ours.contains("Ratio value is NaN"),
    },
    Deliberate {
        reason: "two results of one match are an error also for comparisons since 3.9",
        applies: |_, ours, theirs| ours.contains("multiple matches for labels: ") && theirs.contains("\"success\""),
    },
    Deliberate {
        reason: "Prometheus's parser gives up, without a reason",
        applies: |_, ours, theirs| theirs.contains("unexpected error") && ours.contains("parse error"),
    },
    Deliberate {
        reason: "what absent() makes of two matchers of one label depends on the order in which Prometheus's storage tried them",
        applies: |question, _, _| question.param("query").contains("absent") && repeats_label(question.param("query")),
    },
    Deliberate {
        reason: "3.5 names unexpected operators by their number",
        applies: |_, ours, theirs| theirs.contains("Item 57") && ours.contains("parse error: unexpected "),
    },
    Deliberate {
        reason: "3.5 misplaces the end of a call or an aggregation, and so the operator after it",
        applies: |_, ours, theirs| {
            let about_operators = ["must not occur in ON and GROUP clause at once", "comparisons between scalars must use BOOL modifier"];
            about_operators.iter().any(|about| [ours, theirs].iter().all(|text| text.contains(about)))
        },
    },
    Deliberate {
        reason: "a time that does not fit is refused; Prometheus wraps it around",
        applies: |question, ours, _| {
            let wild = |name: &str| ["1e30", "NaN", "Inf", "-Inf"].contains(&question.param(name));
            ["time", "start", "end"].into_iter().any(wild) && ours.contains("to a valid timestamp")
        },
    },
    Deliberate {
        reason: "expressions in durations are no experiment since 3.14, and errors in brackets read otherwise",
        applies: |_, ours, _| ours.contains("expected number, duration, step(), or range()") || ours.contains("expected ':'"),
    },
    Deliberate {
        reason: "Prometheus forgets the offset in timestamp(x offset … @ …)",
        applies: |question, _, _| ["timestamp(", " offset ", " @ "].iter().all(|part| question.param("query").contains(part)),
    },
    Deliberate {
        reason: "a wrong pattern of label_replace is told even where it is never applied",
        applies: |_, ours, theirs| ours.contains("invalid regular expression in label_replace()") && theirs.contains("\"success\""),
    },
    Deliberate {
        reason: "of several errors of evaluation another one is told, and duplicates are named in order (since 3.14)",
        applies: |_, ours, theirs| match (error(ours), error(theirs)) {
            (Some(a), Some(b)) => [&a, &b].iter().all(|text| ERRORS.iter().any(|known| text.starts_with(known))),
            _ => false,
        },
    },
    Deliberate {
        reason: "the last digit of a transcendental function, magnified",
        applies: |question, ours, theirs| {
            let query = question.param("query");
            let magnified =
                ["count_values", "sin(", "cos(", "tan(", "%", "ceil", "floor", "round", "resets", "changes", "sgn", "==", "!=", "<", ">"]
                    .iter()
                    .any(|f| query.contains(f));
            magnified && inexact(query) && [ours, theirs].iter().all(|text| text.contains("\"success\""))
        },
    },
];

/// Why these answers may differ, if they may.
#[must_use]
pub fn reason(question: &Question, ours: &str, theirs: &str) -> Option<&'static str> {
    ALL.iter().find(|d| (d.applies)(question, ours, theirs)).map(|d| d.reason)
}

/// Whether a query computes what is not exact to the last digit.
#[must_use]
pub fn inexact(query: &str) -> bool {
    ["atan", "^", "sin", "cos", "tan", "exp(", "ln(", "log2", "log10", "std"].iter().any(|f| query.contains(f))
}

/// Whether braces name a label twice.
fn repeats_label(query: &str) -> bool {
    let names = |braces: &str| -> Vec<String> {
        let written = braces.split('}').next().unwrap_or_default().split(", ");
        written.map(|m| m.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
    };
    query.split('{').skip(1).map(names).any(|names| names.iter().enumerate().any(|(i, name)| names[..i].contains(name)))
}

fn error(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    (body["errorType"] == "execution").then(|| body["error"].as_str().map(str::to_owned)).flatten()
}

/// A warning or info as it is compared; `None` if it is not.
#[must_use]
pub fn annotation(query: &str, text: &str) -> Option<String> {
    // Since 3.12.
    if text.contains("sort is ineffective for range queries") {
        return None;
    }
    // Since 3.6 an empty name is left out; details of the monotonicity are told since 3.10, and its metric no longer.
    let text = text.replace(" for metric name \"\"", "");
    if text.contains("needed to be fixed for monotonicity") {
        return text.split_once(')').map(|(known, _)| known.to_owned());
    }
    if text.ends_with("annotations omitted") {
        return Some(text);
    }
    // Of quantiles that vary, 3.5 judges the first step's where later versions judge the greatest and the least.
    let varies = query.contains("quantile by") || query.contains("quantile without") || query.contains("quantile(");
    if varies && query.contains("scalar(") && text.contains("quantile value should be between") {
        return None;
    }
    // What is inexact shows its last digit.
    let (told, position) = text.rsplit_once(" (").unwrap_or((&text, ""));
    let (told, value) = told.split_once(", got ").unwrap_or((told, ""));
    let value = if query.contains("time()") || inexact(query) { "" } else { value };
    Some(format!("{told} {value} {}", if position_varies(query) { "" } else { position }))
}

/// Whether it is not clear where an annotation points at: 3.5 forgets where a subquery stands (1:1) and does not skip parentheses around
/// constants.
fn position_varies(query: &str) -> bool {
    query.contains(':') || ["quantile((", "quantile_over_time(("].iter().any(|call| query.contains(call))
}
