//! Outcomes as a page.

use std::fmt::Write;
use std::time::Duration;

use super::Outcome;
use super::load::Seen;

/// The table, in Markdown, and below it the first few failures of each kind.
#[must_use]
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| fault | pushes | failed | p99 before / during | queries | failed | wrong | p99 before / during | acknowledged samples |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let ms = |times: &[Duration]| Seen::p99(times).map_or("–".to_owned(), |p99| format!("{:.0}", p99.as_secs_f64() * 1_000.0));
    for Outcome { fault, before, during, kept, .. } in outcomes {
        let kept = match kept {
            Ok(found) => format!("{found}, all found"),
            Err(error) => error.lines().next().unwrap_or_default().to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} / {} ms | {} | {} | {} | {} / {} ms | {kept} |",
            fault.name(),
            during.pushes.len() + during.failed_pushes.len(),
            during.failed_pushes.len(),
            ms(&before.pushes),
            ms(&during.pushes),
            during.queries.len() + during.failed_queries.len(),
            during.failed_queries.len(),
            during.wrong_queries.len(),
            ms(&before.queries),
            ms(&during.queries),
        );
    }
    for Outcome { fault, during, told, .. } in outcomes {
        match told {
            Ok(seen) if seen.is_empty() => {}
            Ok(seen) => drop(writeln!(text, "\n- {}: {seen}", fault.name())),
            Err(error) => drop(writeln!(text, "\n- {}: **not as it must be**: {error}", fault.name())),
        }
        for (what, all) in [("push", &during.failed_pushes), ("query", &during.failed_queries), ("answer", &during.wrong_queries)] {
            for example in all.iter().take(2) {
                let _ = writeln!(text, "\n- {}, {what}: `{}`", fault.name(), example.lines().next().unwrap_or_default());
            }
        }
    }
    text
}
