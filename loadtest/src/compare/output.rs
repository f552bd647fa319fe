//! The table and the verdicts as text, Markdown and JSON.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::equality::{Count, Verdict};
use super::table::Table;
use crate::server::Kind;

/// Why answers at the samples' own times differ.
const WHY: &str = "Prometheus 2.42 counts a sample on the left border of a range, of a subquery and of the look-back, 3.x does not";
/// Why some points are left out.
const LEFT_OUT: &str = "rate and increase where the data begins within the range: 2.51 changed the order of the checks";

/// A run's results.
pub(super) struct Report {
    pub(super) scale: f64,
    pub(super) repeat: u32,
    pub(super) table: Table,
    pub(super) verdicts: Vec<Verdict>,
}

impl Report {
    pub(super) fn text(&self) -> String {
        format!("{}\n\n{}\n\n{}", self.conditions(), self.table.text(), self.equality().join("\n"))
    }

    fn markdown(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.conditions(),
            self.table.markdown(),
            self.equality().iter().map(|l| format!("- {l}\n")).collect::<String>()
        )
    }

    fn json(&self) -> serde_json::Value {
        let count = |c: &Count| json!({"equal": c.equal, "points": c.points, "leftOutPoints": c.left_out, "different": c.different, "unanswered": c.unanswered});
        let verdict = |v: &Verdict| json!({"shape": v.shape, "server": v.kind.name(), "besideSamples": count(&v.beside), "atSamples": count(&v.on_border)});
        let verdicts: Vec<_> = self.verdicts.iter().map(verdict).collect();
        json!({"scale": self.scale, "repeat": self.repeat, "cores": cores(), "rows": self.table.json(), "equality": verdicts})
    }

    fn conditions(&self) -> String {
        format!("scale {}, each query {} times, {} cores, load generator on the same machine", self.scale, self.repeat, cores())
    }

    fn equality(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for v in &self.verdicts {
            let Count { equal, points, left_out, different, unanswered } = &v.beside;
            let all = equal + different.len() + unanswered.len();
            let name = v.kind.name();
            let mut line = format!("{}: {equal} of {all} queries have the same answer from Plimsoll and {name} ({points} points)", v.shape);
            if *left_out > 0 {
                line.push_str(&format!("; {left_out} points are not compared ({LEFT_OUT})"));
            }
            lines.push(line);
            if v.is_good() && !different.is_empty() {
                lines.push(format!("{}: {} differ between Plimsoll and {name}, which is counted only", v.shape, different.len()));
            } else {
                lines.extend(different.iter().map(|d| format!("{}: DIFFERENT: {d}", v.shape)));
            }
            lines.extend(unanswered.iter().map(|d| format!("{}: no answer from {name}: {d}", v.shape)));
            let (same, differ) = (v.on_border.equal, v.on_border.different.len());
            if v.kind == Kind::Prometheus {
                lines.push(format!("{}: asked at a sample's own time, {same} are the same and {differ} differ, as known ({WHY})", v.shape));
            }
        }
        lines
    }

    pub(super) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let files = [("compare.txt", self.text()), ("compare.md", self.markdown()), ("compare.json", format!("{:#}\n", self.json()))];
        for (name, text) in files {
            std::fs::write(dir.join(name), text).with_context(|| format!("write {name}"))?;
        }
        Ok(())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}
