//! Expressions that people have written, and what both servers say that they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::question::Question;
use crate::client::Client;

/// Collected expressions, beside the workspace.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");

/// A reason to differ, and what tells such an expression.
type Deliberate = (&'static str, fn(&Answers) -> bool);

/// Where the two mean to differ.
const DELIBERATE: [Deliberate; 4] = [
    ("later versions refuse @ before a range, and letters where a colon should be", |a| {
        let refused = a.ours.to_string();
        refused.contains("no @ modifiers allowed before range") || refused.contains("expected ':'")
    }),
    ("texts are UTF-8: what is not becomes U+FFFD", |a| a.same_tree() && a.format_ours.contains('\u{fffd}')),
    ("later versions keep `ignoring ()` where a group follows", |a| a.same_tree() && a.format_ours.contains("ignoring () group_")),
    ("later versions keep parentheses around a lone duration", |a| {
        let bare = a.format_ours.replace("[(", "[").replace(":(", ":").replace(")]", "]").replace("):", ":");
        a.same_tree() && (bare == a.format_theirs || a.format_ours.contains(" offset (") || a.format_ours.contains(" offset -("))
    }),
];

/// What came of one expression.
struct Answers {
    ours: Value,
    theirs: Value,
    format_ours: String,
    format_theirs: String,
}

/// The outcome for all expressions.
#[derive(Debug, Default)]
pub struct Tally {
    /// Trees and formatted texts that are equal.
    pub equal: usize,
    /// Refused by the oracle, so that there is nothing to compare.
    pub refused: usize,
    /// Meant to differ.
    pub meant: usize,
    /// Different.
    pub different: Vec<String>,
}

/// All expressions: conformance cases of the parser, rules, dashboards. Empty where the files are absent.
pub fn expressions() -> anyhow::Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for (file, field) in [("parse_cases.json", "input"), ("printer_cases.json", "in")] {
        let Ok(text) = std::fs::read_to_string(Path::new(SHARED).join("promql-parser").join(file)) else { continue };
        let cases: Vec<Value> = serde_json::from_str(&text).context(file)?;
        all.extend(cases.iter().filter_map(|case| case[field].as_str()).map(str::to_owned));
    }
    for path in files("rules", "yaml")? {
        collect_rules(&serde_yaml_ng::from_str(&std::fs::read_to_string(&path)?)?, &mut all);
    }
    for path in files("dashboards", "txt")? {
        let text = std::fs::read_to_string(&path)?;
        all.extend(text.lines().filter_map(|line| line.split_once('\t')).map(|(_, expression)| expression.to_owned()));
    }
    Ok(all)
}

fn files(folder: &str, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(Path::new(SHARED).join(folder)) else { return Ok(Vec::new()) };
    let paths = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == extension)).collect())
}

/// Every `expr` of a rule file.
fn collect_rules(value: &serde_yaml_ng::Value, out: &mut BTreeSet<String>) {
    match value {
        serde_yaml_ng::Value::Mapping(fields) => {
            for (key, value) in fields {
                match value.as_str().filter(|_| key.as_str() == Some("expr")) {
                    Some(expression) => _ = out.insert(expression.to_owned()),
                    None => collect_rules(value, out),
                }
            }
        }
        serde_yaml_ng::Value::Sequence(items) => items.iter().for_each(|item| collect_rules(item, out)),
        _ => {}
    }
}

/// Compares the trees and the formatted texts of an expression.
pub async fn compare(expression: &str, ours: &Client, theirs: &Client, tally: &mut Tally) -> anyhow::Result<()> {
    let ask = async |path: &str, client: &Client| -> anyhow::Result<Value> {
        let (status, body) = Question::new(path, &[("query", expression)]).ask(client).await?;
        serde_json::from_str(&body).with_context(|| format!("{path} {expression}: {status} {body}"))
    };
    let tree = ask("parse_query", theirs).await?;
    if tree["status"] != "success" {
        tally.refused += 1;
        return Ok(());
    }
    let text = |answer: &Value| answer["data"].as_str().unwrap_or_default().to_owned();
    let answers = Answers {
        ours: ask("parse_query", ours).await?,
        theirs: tree,
        format_ours: text(&ask("format_query", ours).await?),
        format_theirs: text(&ask("format_query", theirs).await?),
    };
    match answers.check() {
        Ok(()) => tally.equal += 1,
        Err(_) if DELIBERATE.iter().any(|(_, applies)| applies(&answers)) => tally.meant += 1,
        Err(difference) => tally.different.push(format!("{expression}\n{difference:#}")),
    }
    Ok(())
}

impl Answers {
    fn same_tree(&self) -> bool {
        self.ours == self.theirs
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.same_tree(), "   ours: {}\n theirs: {}", self.ours, self.theirs);
        ensure!(self.format_ours == self.format_theirs, "   ours:\n{}\n theirs:\n{}", self.format_ours, self.format_theirs);
        Ok(())
    }
}

/// Why the two may differ, for the report.
#[must_use]
pub fn reasons() -> Vec<&'static str> {
    DELIBERATE.iter().map(|(reason, _)| *reason).collect()
}
