use model::Labels;

use super::{Command, CommandReader, EvalCommand, EvalTime, LoadCommand};
use crate::script::ScriptError;
use crate::script::expect::{ExpectedResult, MessageMatch, TimeRange};

fn read(text: &str) -> Result<Vec<Command>, ScriptError> {
    let mut reader = CommandReader::new(text);
    let mut commands = Vec::new();
    while let Some(command) = reader.command()? {
        commands.push(command);
    }
    Ok(commands)
}

fn one(text: &str) -> Command {
    let mut commands = read(text).expect(text);
    assert_eq!(commands.len(), 1, "{text}");
    commands.remove(0)
}

fn load(text: &str) -> LoadCommand {
    match one(text) {
        Command::Load(load) => load,
        other => panic!("{other:?}"),
    }
}

fn eval(text: &str) -> EvalCommand {
    match one(text) {
        Command::Eval(eval) => eval,
        other => panic!("{other:?}"),
    }
}

#[test]
fn blocks_end_at_empty_lines_and_comments() {
    let script = "# head\nload 5m\n  a 1\n  b 2\n\nclear\neval instant at 5m a\n  a 1\n# tail\nload_with_nhcb 10s\n  c 3";
    let commands = read(script).expect("valid");
    let kinds: Vec<_> = commands
        .iter()
        .map(|c| match c {
            Command::Clear => "clear".to_owned(),
            Command::Load(l) => format!("load {} {} {:?}", l.step, l.with_nhcb, l.series.iter().map(|s| s.line).collect::<Vec<_>>()),
            Command::Eval(e) => format!("eval {} {}", e.line, e.expression),
        })
        .collect();
    assert_eq!(kinds, ["load 300000 false [3, 4]", "clear", "eval 7 a", "load 10000 true [11]"]);
    assert!(read("load 5m\n a 1\n# comment\n b 2").is_err());
}

#[test]
fn eval_headers() {
    assert_eq!(eval("eval instant at 1m30s sum by (a) (b)").time, EvalTime::Instant(90_000));
    assert_eq!(eval("eval instant at 0 1 + 1").expression, "1 + 1");
    assert_eq!(eval("eval   instant\tat 5m    a  or  b").expression, "a  or  b");
    let range = eval("eval range from 1m to 10m step 30s rate(a[5m])");
    assert_eq!(range.time, EvalTime::Range(TimeRange { start: 60_000, end: 600_000, step: 30_000 }));
    assert_eq!(range.expression, "rate(a[5m])");
    for bad in [
        "eval",
        "eval at 5m a",
        "eval instant at x a",
        "eval range from 5m to 1m step 1m a",
        "eval range from 0 to 1m step 0 a",
        "eval_ordered range from 0 to 1m step 1m a",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn expectations() {
    let e =
        eval("eval instant at 0 a\n expect ordered\n expect warn msg: PromQL warning: x (1:1)\n expect warn\n expect no_info\n a 1\n b _")
            .expectation;
    assert!(e.ordered && e.fail.is_none() && e.infos.none && !e.warnings.none);
    assert!(matches!(&e.warnings.wanted[..], [MessageMatch::Exact(m), MessageMatch::Any] if m == "PromQL warning: x (1:1)"));
    assert!(matches!(&e.result, ExpectedResult::Series(s) if s.len() == 2));

    let e = eval("eval instant at 0 a\n expect fail regex:many.*many").expectation;
    assert!(e.fail.is_some_and(|m| m.matches("so many-to-many here") && !m.matches("many")));

    let e = eval("eval instant at 0 \"x\"\n expect string `a\"b`").expectation;
    assert!(matches!(&e.result, ExpectedResult::Text(t) if t == "a\"b"));

    let e = eval("eval instant at 1m a[1m]\n expect range vector from 10s to 1m step 10s\n {a=\"b\"} 1 2 3").expectation;
    assert_eq!(e.range_vector, Some(TimeRange { start: 10_000, end: 60_000, step: 10_000 }));

    let commands = read("eval instant at 0 1\n 0x10\neval instant at 0 2\n 2").expect("a scalar ends the block");
    assert_eq!(commands.len(), 2);
}

#[test]
fn older_forms() {
    let e = eval("eval_fail instant at 0 a\n expected_fail_message  no such thing ").expectation;
    assert!(matches!(e.fail, Some(MessageMatch::Exact(m)) if m == "no such thing"));
    let e = eval("eval_fail instant at 0 a\n expected_fail_regexp b+").expectation;
    assert!(e.fail.is_some_and(|m| m.matches("abbc")));
    assert!(eval("eval_ordered instant at 0 a").expectation.ordered);
    assert_eq!(eval("eval_warn instant at 0 a").expectation.warnings.wanted.len(), 1);
    assert_eq!(eval("eval_info range from 0 to 1m step 1m a").expectation.infos.wanted.len(), 1);
}

#[test]
fn start_times_belong_to_the_next_line() {
    let series = load("load 1m\n a{b=\"c\"}@st _ -1mx1\n a{b=\"c\"} 1 2 3\n d 1").series;
    assert_eq!(series[0].start_offsets, [None, Some(-60_000), Some(-60_000)]);
    assert_eq!(series[0].data.labels, Labels::from_pairs([("__name__", "a"), ("b", "c")]));
    assert!(series[1].start_offsets.is_empty());
    for bad in ["load 1m\n a@st _\n b 1", "load 1m\n a@st _ _\n a 1", "load 1m\n a@st _", "load 1m\n a@st _\n a@st _\n a 1"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_last_line_of_a_series_counts() {
    let series = load("load 1m\n a 1\n b 2\n a{} 3 4").series;
    assert_eq!(series.iter().map(|s| (s.line, s.data.values.len())).collect::<Vec<_>>(), [(4, 2), (3, 1)]);
}

#[test]
fn errors_name_their_line() {
    for (script, line) in [
        ("\n\nfoo", 3),
        ("load\n a 1", 1),
        ("load 5m\n a 1\n b 1+1", 3),
        ("load 5m\n a", 0),
        ("eval instant at 0 a\n expect nothing", 2),
        ("eval instant at 0 a\n expect fail\n expect fail", 3),
        ("eval instant at 0 a\n expect warn\n expect no_warn", 3),
        ("eval instant at 0 a\n expect info regex: (", 2),
        ("eval instant at 0 a\n a 1 2", 2),
        ("eval instant at 0 a\n a 1\n a 2", 3),
        ("eval instant at 0 a\n a", 2),
        ("eval range from 0 to 1m step 1m a\n expect string \"\"", 2),
        ("eval range from 0 to 1m step 1m a\n expect ordered", 2),
        ("eval range from 0 to 1m step 1m a\n expect range vector from 0 to 1m step 1m", 2),
        ("eval instant at 0 \"a\"\n expect string \"a\" b", 2),
    ] {
        let got = read(script).err().map_or(0, |e| e.line);
        assert_eq!(got, line, "{script}");
    }
}
