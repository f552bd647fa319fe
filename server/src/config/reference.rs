//! The configuration reference: prose from `reference.md`, tables from the settings themselves.
//!
//! What a table says comes from the structs: names and defaults from a default [`Config`], types and texts from their doc comments by way of
//! the JSON schema. So a setting cannot be without its line, and a line not without its setting.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Context;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{Config, flat};
use crate::cli::FLAGS;

/// The page but for its tables. A line `{settings a b}` stands for the table of the settings `a`, `a.…`, `b` and `b.…`.
const PROSE: &str = include_str!("reference.md");

/// A setting.
struct Setting {
    /// Its path, `querier.timeout_seconds`.
    key: String,
    default: String,
    kind: String,
    text: String,
}

/// Prints the page.
pub fn print(out: &mut impl Write) -> anyhow::Result<()> {
    out.write_all(page().as_bytes()).context("write the reference")
}

/// The page. What the prose has no table for comes at its end.
#[must_use]
pub fn page() -> String {
    let mut rest = settings();
    let mut page = String::new();
    for line in PROSE.lines() {
        match line.strip_prefix("{settings ").and_then(|line| line.strip_suffix('}')) {
            Some(sections) => {
                let wanted = |setting: &Setting| sections.split(' ').any(|section| section == section_of(&setting.key));
                let (table, others) = std::mem::take(&mut rest).into_iter().partition(wanted);
                rest = others;
                page.push_str(&as_table(&table));
            }
            None => {
                page.push_str(line);
                page.push('\n');
            }
        }
    }
    while let Some(section) = rest.first().map(|setting| section_of(&setting.key).to_owned()) {
        let (table, others) = rest.into_iter().partition(|setting| section_of(&setting.key) == section);
        rest = others;
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## `{section}`\n\n{}", as_table(&table));
    }
    page
}

fn section_of(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

fn settings() -> Vec<Setting> {
    let generator = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator();
    let schema = generator.into_root_schema_for::<Config>().to_value();
    let described = |(key, default): (String, String)| {
        let schema = key.split('.').try_fold(&schema, |schema, name| schema.get("properties")?.get(name));
        let text = schema.and_then(|s| s.get("description")).and_then(Value::as_str).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Setting { kind: schema.map(kind).unwrap_or_default(), key, default, text }
    };
    flat(&Config::default()).into_iter().map(described).collect()
}

/// What a value may be, in a word.
fn kind(schema: &Value) -> String {
    let one_of = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten().filter_map(|s| s.get("const")?.as_str());
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let values: Vec<String> = one_of.chain(listed).map(|value| format!("`{value}`")).collect();
    if !values.is_empty() {
        return values.join(", ");
    }
    let name = match schema.get("type").and_then(Value::as_str) {
        Some("integer") => "integer",
        Some("number") => "number",
        Some("boolean") => "`true`, `false`",
        Some("array") => return format!("list of {}s", schema.get("items").map(kind).unwrap_or_default()),
        Some("object") => "map",
        _ => "text",
    };
    name.to_owned()
}

fn as_table(settings: &[Setting]) -> String {
    let mut table = "| key | default | type | environment variable, flag | meaning |\n|---|---|---|---|---|\n".to_owned();
    for Setting { key, default, kind, text } in settings {
        let variable = super::layers::variable(key);
        let flag = FLAGS.iter().find(|(setting, _)| setting == key).map(|(_, flag)| format!(", `--{flag}`")).unwrap_or_default();
        let _ = writeln!(table, "| `{key}` | `{default}` | {kind} | `{variable}`{flag} | {} |", text.replace('|', "\\|"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{page, settings};

    #[test]
    fn the_committed_page_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        assert!(std::fs::read_to_string(path).unwrap() == page(), "docs/configuration.md is not what the settings say: run `make docs`");
    }

    #[test]
    fn every_setting_says_what_it_is() {
        for setting in settings() {
            assert!(!setting.text.is_empty() && !setting.kind.is_empty(), "{} has no doc comment", setting.key);
            assert!(!setting.text.contains("[`"), "{}: a link of rustdoc means nothing in the reference", setting.key);
        }
    }

    #[test]
    fn a_setting_in_full() {
        let page = page();
        let line = |key: &str| page.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap_or_default().to_owned();
        let want = "| `data_dir` | `./data` | text | `PLIMSOLL_DATA_DIR`, `--data-dir` | Everything local";
        assert!(line("data_dir").starts_with(want), "{}", line("data_dir"));
        let sync = line("ingester.wal.sync");
        assert!(sync.contains("| `interval` | `interval`, `always` | `PLIMSOLL_INGESTER_WAL_SYNC` |"), "{sync}");
        let ranges = line("compactor.block_ranges_seconds");
        assert!(ranges.contains("| `[7200, 43200, 86400]` | list of integers |"), "{ranges}");
        assert!(!page.contains("{settings"), "a table is missing");
    }
}
