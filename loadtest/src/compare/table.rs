//! Figures by server, in sections. Pure.

use serde_json::{Value, json};

use crate::figures::plain;

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
}

/// The table. The first server is the one that the others are compared with.
#[derive(Debug, Clone)]
pub(super) struct Table {
    servers: Vec<&'static str>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    section: String,
    figure: Figure,
    /// One for each server.
    values: Vec<Option<f64>>,
}

/// A figure's name, what it is counted in, and which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figure(pub(super) &'static str, pub(super) &'static str, pub(super) Better);

impl Table {
    pub(super) fn new(servers: impl Iterator<Item = &'static str>) -> Self {
        Self { servers: servers.collect(), rows: Vec::new() }
    }

    /// Sets a server's figure; a new one makes a new row at the end of its section.
    pub(super) fn set(&mut self, section: &str, figure: Figure, server: &str, value: Option<f64>) {
        let Some(column) = self.servers.iter().position(|s| *s == server) else { return };
        let at = match self.rows.iter().position(|row| row.section == section && row.figure == figure) {
            Some(at) => at,
            None => {
                let end = self.rows.iter().rposition(|row| row.section == section).map_or(self.rows.len(), |last| last + 1);
                self.rows.insert(end, Row { section: section.to_owned(), figure, values: vec![None; self.servers.len()] });
                end
            }
        };
        self.rows[at].values[column] = value;
    }

    /// Names of the columns.
    fn header(&self) -> Vec<String> {
        let mut header = vec!["figure".to_owned(), "unit".to_owned()];
        header.extend(self.servers.iter().map(|s| (*s).to_owned()));
        header.extend(self.servers.iter().skip(1).map(|s| format!("× {s}")));
        header
    }

    /// Cells of a row; the last ones say how many times better the first server is than the others.
    fn cells(&self, row: &Row) -> Vec<String> {
        let mut cells = vec![row.figure.0.to_owned(), row.figure.1.to_owned()];
        cells.extend(row.values.iter().map(|value| value.map_or("–".to_owned(), plain)));
        cells.extend((1..row.values.len()).map(|other| row.ratio(other).map_or("–".to_owned(), |r| format!("{r:.1}"))));
        cells
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let header = self.header();
        let lines: Vec<(&str, Vec<String>)> = self.rows.iter().map(|row| (row.section.as_str(), self.cells(row))).collect();
        let width = |column: usize| {
            let cells = lines.iter().map(|(_, cells)| cells[column].chars().count());
            cells.chain([header[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 | 1 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut out = vec![line(&header)];
        let mut section = "";
        for (of, cells) in &lines {
            if *of != section {
                section = of;
                out.push(format!("\n{section}"));
            }
            out.push(line(cells));
        }
        out.join("\n")
    }

    /// A Markdown table for each section.
    pub(super) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let header = self.header();
        let rule = header.iter().enumerate().map(|(i, _)| if i < 2 { "---" } else { "---:" }.to_owned()).collect::<Vec<_>>();
        let mut out = String::new();
        let mut section = "";
        for row in &self.rows {
            if row.section != section {
                section = &row.section;
                out.push_str(&format!("\n**{section}**\n\n{}{}", line(&header), line(&rule)));
            }
            out.push_str(&line(&self.cells(row)));
        }
        out
    }

    pub(super) fn json(&self) -> Value {
        let row = |row: &Row| {
            let values = self.servers.iter().zip(&row.values).map(|(server, value)| ((*server).to_owned(), json!(value)));
            json!({
                "section": row.section,
                "figure": row.figure.0,
                "unit": row.figure.1,
                "better": match row.figure.2 { Better::More => "more", Better::Less => "less" },
                "values": values.collect::<serde_json::Map<_, _>>(),
            })
        };
        Value::Array(self.rows.iter().map(row).collect())
    }
}

impl Row {
    /// How many times better the first server is than another.
    fn ratio(&self, other: usize) -> Option<f64> {
        let (ours, theirs) = (self.values.first().copied().flatten()?, self.values.get(other).copied().flatten()?);
        let (up, down) = match self.figure.2 {
            Better::More => (ours, theirs),
            Better::Less => (theirs, ours),
        };
        (up > 0.0 && down > 0.0).then(|| up / down)
    }
}

#[cfg(test)]
mod tests {
    use super::{Better, Figure, Table};

    const RATE: Figure = Figure("rate", "1/s", Better::More);
    const TIME: Figure = Figure("time", "ms", Better::Less);

    fn table() -> Table {
        let mut table = Table::new(["Ours", "Theirs"].into_iter());
        table.set("one", RATE, "Ours", Some(3_000_000.0));
        table.set("two", RATE, "Ours", Some(1.0));
        table.set("one", TIME, "Ours", Some(2.0));
        table.set("one", RATE, "Theirs", Some(1_500_000.0));
        table.set("one", TIME, "Theirs", Some(8.0));
        table.set("one", TIME, "Nobody", Some(8.0));
        table
    }

    #[test]
    fn rows_stay_in_their_section_and_ratios_say_how_much_better() {
        let expected = "figure  unit       Ours     Theirs  × Theirs\n\none\n\
                        rate    1/s   3,000,000  1,500,000       2.0\n\
                        time    ms         2.00       8.00       4.0\n\ntwo\n\
                        rate    1/s        1.00          –         –";
        assert_eq!(table().text(), expected);
    }

    #[test]
    fn markdown_and_json() {
        let markdown = table().markdown();
        assert!(
            markdown.contains("**one**\n\n| figure | unit | Ours | Theirs | × Theirs |\n| --- | --- | ---: | ---: | ---: |\n"),
            "{markdown}"
        );
        assert!(markdown.contains("| time | ms | 2.00 | 8.00 | 4.0 |\n"), "{markdown}");
        assert_eq!(table().json()[0]["values"]["Theirs"], 1_500_000.0);
        assert_eq!(table().json()[2]["values"]["Theirs"], serde_json::Value::Null);
    }
}
