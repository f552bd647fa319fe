//! Requests at the edge of what the API takes, most of them beyond.

use super::question::Question;

/// Odd values of times.
const TIMES: [&str; 17] = [
    "",
    "abc",
    "1.5.2",
    "NaN",
    "Inf",
    "-Inf",
    "1e3",
    "1e30",
    "-1",
    "0x10",
    "2015-07-01",
    "2015-07-01T20:10:51",
    "2015-07-01T20:10:51Z",
    "2015-07-01T20:10:51.781+02:00",
    "2015-13-01T00:00:00Z",
    "2015-07-01 20:10:51Z",
    " 5",
];

/// Odd values of durations.
const DURATIONS: [&str; 18] = [
    "",
    "0",
    "-1",
    "abc",
    "1h30m",
    "30m1h",
    "1.5h",
    "1e3",
    "0.001",
    "1ms",
    "Inf",
    "NaN",
    "5x",
    "99999999999",
    "300y",
    "1_000",
    "0x10",
    "+5",
];

/// Odd values of limits.
const LIMITS: [&str; 8] = ["", "0", "1", "-1", "abc", "1.5", "99999999999999999999", "+1"];

/// Odd expressions.
const QUERIES: [&str; 62] = [
    "",
    " ",
    "#",
    "up up",
    "up{",
    "up}",
    "up[",
    "up[5m",
    "up[5]",
    "up[0]",
    "up[-5m]",
    "up[5m] offset",
    "up offset 5",
    "up offset 5m offset 5m",
    "up @",
    "up @ foo",
    "up @ NaN",
    "up[5m:0s]",
    "up[5m:-1s]",
    "up[5m][5m]",
    "sum(up) offset 5m",
    "sum(up)[5m]",
    "rate(up)",
    "rate(up[5m], 1)",
    "rate()",
    "nope(up)",
    "sum",
    "sum(",
    "sum()",
    "sum(up, up)",
    "topk(up)",
    "topk(up, up)",
    "quantile(\"a\", up)",
    "count_values(1, up)",
    "1 + \"a\"",
    "\"a\" + \"b\"",
    "\"text\"",
    "'text'",
    "`te\\xt`",
    "1 and 1",
    "up and 1",
    "1 > 2",
    "1 > bool 2",
    "up > bool bool 1",
    "bool",
    "up + on up",
    "up + on(job) group_left(job) up",
    "up and on(job) group_left up",
    "up == group_left up",
    "{}",
    "{job=\"\"}",
    "{job=~\".*\"}",
    "{job=~\"(\"}",
    "up{job=\"a\" instance=\"b\"}",
    "up{job=a}",
    "up{__name__=\"x\"}",
    "up{1=\"a\"}",
    "1..2",
    "0b1",
    "1e",
    "label_replace(up, \"a b\", \"\", \"\", \"(\")",
    "-\"a\"",
];

/// All of them.
#[must_use]
pub fn requests(base: i64) -> Vec<Question> {
    let t = (base / 1_000 + 600).to_string();
    let (start, end) = ((base / 1_000 + 300).to_string(), t.clone());
    let mut all: Vec<Question> = QUERIES.iter().map(|query| Question::new("query", &[("query", query), ("time", &t)])).collect();
    for query in QUERIES {
        all.push(Question::new("query_range", &[("query", query), ("start", &start), ("end", &end), ("step", "60")]));
        all.push(Question::new("series", &[("match[]", query), ("start", &start), ("end", &end)]));
    }
    for time in TIMES {
        if !time.is_empty() {
            // Else it is now, for each of them.
            all.push(Question::new("query", &[("query", "1"), ("time", time)]));
        }
        all.push(Question::new("query_range", &[("query", "1"), ("start", time), ("end", &end), ("step", "3600000")]));
        all.push(Question::new("query_range", &[("query", "1"), ("start", &start), ("end", time), ("step", "3600000")]));
        all.push(Question::new("series", &[("match[]", "up"), ("start", time)]));
        all.push(Question::new("labels", &[("end", time)]));
        all.push(Question::new("label/job/values", &[("start", time)]));
        all.push(Question::new("query_exemplars", &[("query", "up"), ("start", time), ("end", &end)]));
    }
    for duration in DURATIONS {
        all.push(Question::new("query_range", &[("query", "up"), ("start", &start), ("end", &end), ("step", duration)]));
        // Not those that end a query before it begins, or a moment later.
        if !["0", "-1", "0.001", "1ms", "NaN"].contains(&duration) {
            all.push(Question::new("query", &[("query", "1"), ("time", &t), ("timeout", duration)]));
        }
        all.push(Question::new("query", &[("query", "sum(up)"), ("time", &t), ("lookback_delta", duration)]));
    }
    for limit in LIMITS {
        all.push(Question::new("query", &[("query", "sum(up)"), ("time", &t), ("limit", limit)]));
        all.push(Question::new("query_range", &[("query", "sum(up)"), ("start", &start), ("end", &end), ("step", "60"), ("limit", limit)]));
        all.push(Question::new("series", &[("match[]", "up{job=\"api\",instance=\"i0\"}"), ("limit", limit)]));
        all.push(Question::new("labels", &[("limit", limit)]));
        all.push(Question::new("label/job/values", &[("limit", limit)]));
    }
    all.extend(incomplete(&start, &end));
    all
}

/// Parameters that are missing, contradict each other, or go beyond a limit.
fn incomplete(start: &str, end: &str) -> Vec<Question> {
    vec![
        Question::new("query", &[]),
        Question::new("query", &[("time", start)]),
        Question::new("query_range", &[]),
        Question::new("query_range", &[("query", "up")]),
        Question::new("query_range", &[("query", "up"), ("start", start)]),
        Question::new("query_range", &[("query", "up"), ("start", start), ("end", end)]),
        Question::new("query_range", &[("query", "up"), ("start", end), ("end", start), ("step", "60")]),
        Question::new("query_range", &[("query", "up{"), ("start", end), ("end", start), ("step", "0")]),
        Question::new("query_range", &[("query", "up"), ("start", "0"), ("end", end), ("step", "1")]),
        Question::new("query_range", &[("query", "1"), ("start", "0"), ("end", "11000"), ("step", "1")]),
        Question::new("query_range", &[("query", "1"), ("start", "0"), ("end", "11001"), ("step", "1")]),
        Question::new("series", &[]),
        Question::new("series", &[("match[]", "")]),
        Question::new("series", &[("match[]", "up"), ("start", end), ("end", start)]),
        Question::new("series", &[("match[]", "up"), ("match[]", "{}")]),
        Question::new("labels", &[("match[]", "{}")]),
        Question::new("labels", &[("match[]", "sum(up)")]),
        Question::new("labels", &[("start", end), ("end", start)]),
        Question::new("label/job/values", &[("match[]", "up[5m]")]),
        Question::new("label/job/values", &[("match[]", "up offset 5m")]),
        Question::new("label/no such/values", &[]),
        Question::new("label/0a/values", &[]),
        Question::new("label/U__a_2e_b/values", &[]),
        Question::new("query_exemplars", &[]),
        Question::new("query_exemplars", &[("query", "up{"), ("start", start), ("end", end)]),
        Question::new("query_exemplars", &[("query", "up"), ("start", end), ("end", start)]),
        Question::new("metadata", &[("limit", "abc")]),
        Question::new("metadata", &[("limit_per_metric", "abc")]),
    ]
}
