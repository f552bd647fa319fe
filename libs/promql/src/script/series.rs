//! Series lines: labels, then values.

use std::sync::Arc;

use model::{FloatHistogram, Labels, LabelsBuilder};

use super::histogram::{HistogramLiteral, add_scaled, parse_histogram};
use super::quoted::quoted;
use super::scan::Scanner;

/// The most values that one line may stand for: `1+1x1000000` and no more.
const MAX_VALUES_PER_LINE: usize = 1_000_000;

/// One value of a series line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ScriptValue {
    /// A number; the stale marker is one.
    Float(f64),
    /// A histogram, shared by the repetitions of `{{…}}xN`.
    Histogram(Arc<HistogramLiteral>),
}

/// A series line. `None` is a place in time without a sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeriesLine {
    pub(super) labels: Labels,
    pub(super) values: Vec<Option<ScriptValue>>,
}

/// How much more a script may still expand to; one per script.
#[derive(Debug)]
pub(super) struct ValueBudget {
    left: usize,
}

impl ValueBudget {
    /// The numbers (values, and buckets of histograms) that the lines of one script may expand to: some hundred megabytes.
    const PER_SCRIPT: usize = 10_000_000;

    pub(super) fn new() -> Self {
        Self { left: Self::PER_SCRIPT }
    }

    fn take(&mut self, n: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(n).ok_or_else(|| format!("the script expands to more than {} values", Self::PER_SCRIPT))?;
        Ok(())
    }
}

/// Reads `name{label="value"} 1 2+3x4`.
pub(super) fn parse_series_line(text: &str, budget: &mut ValueBudget) -> Result<SeriesLine, String> {
    let mut s = Scanner::new(text);
    let labels = parse_labels(&mut s)?;
    if !s.is_end() && !s.skip_blanks() {
        return Err(s.expected("a space after the series"));
    }
    let values = parse_values(&mut s, budget)?;
    Ok(SeriesLine { labels, values })
}

/// Reads a label set: `name`, `name{…}`, `{…}`, `{"name", …}`.
pub(super) fn parse_labels(s: &mut Scanner<'_>) -> Result<Labels, String> {
    let name = s.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("invalid metric name {name:?}"));
    }
    let mut labels = LabelsBuilder::new();
    labels.set(model::labels::METRIC_NAME, name);
    if s.eat("{") {
        parse_braces(s, &mut labels)?;
    } else if name.is_empty() {
        return Err(s.expected("a series"));
    }
    Ok(labels.build())
}

fn parse_braces(s: &mut Scanner<'_>, labels: &mut LabelsBuilder) -> Result<(), String> {
    loop {
        s.skip_blanks();
        if s.eat("}") {
            return Ok(());
        }
        parse_label(s, labels)?;
        s.skip_blanks();
        if !s.eat(",") && s.peek() != Some('}') {
            return Err(s.expected("\",\" or \"}\" in the label set"));
        }
    }
}

fn parse_label(s: &mut Scanner<'_>, labels: &mut LabelsBuilder) -> Result<(), String> {
    let is_quoted = s.peek().is_some_and(|c| "\"'`".contains(c));
    let name = if is_quoted { quoted(s)? } else { s.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned() };
    s.skip_blanks();
    let (name, value) = if s.eat("=") {
        s.skip_blanks();
        (name, quoted(s)?)
    } else if is_quoted {
        (model::labels::METRIC_NAME.to_owned(), name)
    } else {
        return Err(s.expected("\"=\" after the label name"));
    };
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit() && !is_quoted) {
        return Err(format!("invalid label name {name:?}"));
    }
    if labels.get(&name).is_some() {
        return Err(format!("label {name:?} occurs twice"));
    }
    labels.set(&name, &value);
    Ok(())
}

/// Reads values to the end of the line.
fn parse_values(s: &mut Scanner<'_>, budget: &mut ValueBudget) -> Result<Vec<Option<ScriptValue>>, String> {
    let mut values = Vec::new();
    while !s.is_end() {
        parse_item(s, &mut values, budget)?;
        if values.len() > MAX_VALUES_PER_LINE {
            return Err(format!("a line may stand for at most {MAX_VALUES_PER_LINE} values"));
        }
        if !s.is_end() && !s.skip_blanks() {
            return Err(s.expected("a space between values"));
        }
    }
    Ok(values)
}

fn parse_item(s: &mut Scanner<'_>, out: &mut Vec<Option<ScriptValue>>, budget: &mut ValueBudget) -> Result<(), String> {
    if s.eat("_") {
        let count = if s.eat("x") { s.count(MAX_VALUES_PER_LINE)? } else { 1 };
        budget.take(count)?;
        out.resize(out.len() + count, None);
        return Ok(());
    }
    if s.rest().starts_with("{{") {
        return parse_histogram_item(s, out, budget);
    }
    let first = if s.eat("stale") { model::stale_nan() } else { s.signed_number()? };
    let step = match s.sign() {
        Some(sign) => Some(sign * s.number()?),
        None => None,
    };
    let repeats = repetition(s, step.is_some())?;
    budget.take(repeats + 1)?;
    let mut value = first;
    out.push(Some(ScriptValue::Float(value)));
    for _ in 0..repeats {
        // Only a written step is added: an addition would change the bits of the stale marker.
        value = step.map_or(value, |step| value + step);
        out.push(Some(ScriptValue::Float(value)));
    }
    Ok(())
}

fn parse_histogram_item(s: &mut Scanner<'_>, out: &mut Vec<Option<ScriptValue>>, budget: &mut ValueBudget) -> Result<(), String> {
    let first = parse_histogram(s)?;
    let step = match s.sign() {
        Some(sign) => Some((sign, parse_histogram(s)?)),
        None => None,
    };
    let repeats = repetition(s, step.is_some())?;
    budget.take((repeats + 1).saturating_mul(1 + buckets(&first.histogram)))?;
    let mut value = Arc::new(first);
    out.push(Some(ScriptValue::Histogram(Arc::clone(&value))));
    for _ in 0..repeats {
        if let Some((factor, step)) = &step {
            let histogram = add_scaled(&value.histogram, &step.histogram, *factor)?;
            budget.take(buckets(&step.histogram))?;
            value = Arc::new(HistogramLiteral { histogram, hint_written: value.hint_written });
        }
        out.push(Some(ScriptValue::Histogram(Arc::clone(&value))));
    }
    Ok(())
}

/// The N of `xN`; 0 when there is none, which a step does not allow.
fn repetition(s: &mut Scanner<'_>, required: bool) -> Result<usize, String> {
    match s.eat("x") {
        true => s.count(MAX_VALUES_PER_LINE),
        false if required => Err(s.expected("\"x\" and a count after the step")),
        false => Ok(0),
    }
}

fn buckets(h: &FloatHistogram) -> usize {
    h.positive_buckets.len() + h.negative_buckets.len()
}

#[cfg(test)]
mod tests;
